"""Rows of raw_generations made in a line, so that a test says only what it is about."""

from __future__ import annotations

from typing import Any

from isocost.schema.registry import table

SESSION = "quick-0123456789"


def call(
    index: int, *, point: str = "pt-a", problem: str = "p0", attempt: int = 1, **changes: Any
) -> dict[str, Any]:
    sample = f"{point}:{problem}:{index}"
    row: dict[str, Any] = dict.fromkeys(c.name for c in table("raw_generations").columns)
    row |= {
        "call_id": f"{sample}:0", "sample_id": sample, "point_id": point, "problem_id": problem, "attempt": attempt,
        "sample_index": index, "call_index": 0, "role": "solve", "task": "t", "model_variant": "m",
        "prompt_name": "direct", "prompt_hash": "0" * 16,
        "output_text": f"answer {index}", "output_token_ids": [1, 2, index],
        "finish_reason": "stop", "prompt_tokens": 5, "output_tokens": 3,
        "logprob_sum": -0.5, "is_warmup": False, "token_logprobs": [-0.1, -0.2, -0.2],
    }  # fmt: skip
    return row | changes
