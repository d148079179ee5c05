"""llmperf states model, load and lengths in the summary beside its responses.

Neither file names a machine.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

NAME = "llmperf"
STATED: dict[str, tuple[Any, Any]] = {
    "model": ("m", "m2"),
    "mean_input_tokens": (100, 200),
    "stddev_input_tokens": (10, 20),
    "mean_output_tokens": (100, 200),
    "num_concurrent_requests": (1, 8),
    "additional_sampling_params": ({"temperature": 0.5}, {"temperature": 1.0}),
    "engine": ("vllm", "sglang"),
    "hardware": ("H100", "A100"),
}
HARMLESS: dict[str, tuple[Any, Any]] = {"timestamp": (1, 2), "name": ("a", "b")}
OPTIONS = {
    "provenance": {"task": "t", "task_version": "1", "prompt": "p"},
    "unknown": frozenset({"sampling"}),
}


def write(folder: Path, settings: dict[str, Any]) -> Path:
    """One run.

    What it measured differs from run to run. The machine is named, so that they are repeats, unless
    the setting is x.
    """
    request = {
        "error_code": None,
        "ttft_s": 0.1,
        "end_to_end_latency_s": 1.0 + len(str(folder)) / 1000,
        "number_input_tokens": 5,
    }
    path = folder / "m_individual_responses.json"
    path.write_text(
        json.dumps(
            [
                request
                | {"number_output_tokens": 9, "inter_token_latency_s": 0.1, "note": folder.name}
            ]
        )
    )
    named = {} if "x" in settings else {"hardware": "H100", **settings}
    summary = {
        "model": "m",
        "additional_sampling_params": {"top_p": 0.5},
        "results_ttft_s_mean": 0.1,
        **named,
    }
    (folder / "m_summary.json").write_text(json.dumps(summary))
    return folder
