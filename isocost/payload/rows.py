"""A completion as a row of raw_generations.

Not here: what the columns mean (``isocost.schema.tables.raw``), and which values are valid
(``judgement``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from isocost.engines.logprobs import TokenLogprobs, statistics
from isocost.engines.protocol import Completion, Request
from isocost.payload.judgement import judged, judged_logprobs
from isocost.payload.work import NumberedCall, Sample

_STATISTICS = (
    "logprob_sum",
    "logprob_top1_mean",
    "tail_mass_sum",
    "entropy_low_sum",
    "entropy_high_sum",
    "self_certainty_low_sum",
    "confidence_sum",
    "confidence_tail",
    "confidence_lowest_group",
    "confidence_bottom_tenth",
    "token_confidences",
)
_MORE_OF_LOGPROBS = ("confidence_window", "logprobs_k", "token_logprobs")
_SAME = (
    "finish_reason",
    "stop_reason",
    "error",
    "prompt_tokens",
    "output_tokens",
    "cached_tokens",
    "arrival_unix_s",
    "queued_s",
    "scheduled_s",
    "first_token_s",
    "last_token_s",
    "num_preemptions",
    "num_retries",
    "reasoning_text",
    "reasoning_tokens",
)


def generation_row(
    sample: Sample,
    request: Request,
    completion: Completion,
    *,
    numbered: NumberedCall | None = None,
    attempt: int,
    logprobs_k: int,
    window: int,
    is_warmup: bool,
    notes: Sequence[str] = (),
) -> dict[str, Any]:
    """One validated row of raw_generations, without the ids that the writer adds.

    Args:
        sample: the requested sample.
        request: how it was sent.
        completion: its result.
        numbered: the call of a method; None for the only call of a sample.
        attempt: number of the run.
        logprobs_k: top log-probabilities requested.
        window: tokens of DeepConf's window.
        is_warmup: whether it only warmed up the engine; such a row has no sample_index.
        notes: faults found earlier, added to ``error``.
    """
    point, problem = sample.point, sample.asked.problem
    sample_id = (
        f"warmup-{sample.sample_index}:{point.point_id}:{problem.problem_id}"
        if is_warmup
        else sample.sample_id
    )
    index = 0 if numbered is None else numbered.index
    parent = None if numbered is None else numbered.call.parent
    holder = (None if numbered is None else numbered.parent_holder) or sample_id
    tokens = completion.token_ids
    logprobs, fault = judged_logprobs(completion.logprobs)
    row = {
        "call_id": f"{sample_id}:{index}",
        "sample_id": sample_id,
        "point_id": point.point_id,
        "problem_id": problem.problem_id,
        "attempt": attempt,
        "sample_index": None if is_warmup else sample.sample_index,
        "call_index": index,
        "parent_call_id": None if parent is None else f"{holder}:{parent}",
        "role": "solve" if numbered is None else numbered.call.role,
        "method": point.method_name,
        "wave": 0 if numbered is None else numbered.wave,
        "request_hash": None if numbered is None else numbered.request_hash,
        "partner": request.partner,
        "task": point.task.name,
        "model_variant": point.model_variant,
        "prompt_name": point.prompt.name,
        "prompt_hash": request.prompt_hash,
        "seed": request.seed,
        "output_text": completion.text,
        "output_token_ids": list(tokens)
        if isinstance(tokens, Sequence | np.ndarray) and not isinstance(tokens, str | bytes)
        else tokens,
        **{name: getattr(completion, name) for name in _SAME},
        **_logprob_columns(logprobs, logprobs_k, window),
        "choice_logprobs": completion.choice_logprobs,
        "step_scores": completion.step_scores,
        **completion.recorded,
        "is_warmup": is_warmup,
        "completion_hash": None,
    }
    row = judged(row, notes=[*notes, *([fault] if fault else [])])
    return row | {"completion_hash": completion_hash(row["output_token_ids"], row["output_text"])}


def completion_hash(token_ids: Sequence[int] | None, text: str | None) -> str | None:
    """First 16 hexadecimal digits of a hash of the token ids, otherwise of the text.

    SHA-256 of int32 little-endian ids; None without ids and text.
    """
    if token_ids is not None:
        return hashlib.sha256(np.asarray(token_ids, dtype="<i4").tobytes()).hexdigest()[:16]
    if text is not None:
        return hashlib.sha256(text.encode()).hexdigest()[:16]
    return None


def _logprob_columns(
    logprobs: TokenLogprobs | None, logprobs_k: int, window: int
) -> dict[str, Any]:
    if logprobs is None or not len(logprobs.sampled):
        return dict.fromkeys((*_STATISTICS, *_MORE_OF_LOGPROBS))
    found = asdict(statistics(logprobs, window=window))
    has_top = logprobs.top.shape[1] > 0
    return {
        **found,
        "confidence_window": window if has_top else None,
        "logprobs_k": logprobs_k,
        "token_logprobs": logprobs.sampled.astype(np.float32).tolist(),
        "token_confidences": None
        if found["token_confidences"] is None
        else found["token_confidences"].tolist(),
    }
