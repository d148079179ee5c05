"""vllm bench serve states load, backend, tokenizer and whatever --metadata says.

A sweep names its settings in its folders.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

NAME = "vllm_bench"
STATED: dict[str, tuple[Any, Any]] = {
    "model_id": ("m", "m2"),
    "request_rate": (1.0, "inf"),
    "burstiness": (1.0, 0.5),
    "max_concurrency": (8, 64),
    "num_prompts": (10, 20),
    "backend": ("vllm", "openai-chat"),
    "endpoint_type": ("openai", "openai-chat"),
    "tokenizer_id": ("a", "b"),
    "label": ("a", "b"),
    "ramp_up_strategy": ("linear", "exponential"),
    "hardware": ("H100", "A100"),
    "tp": ("4", "8"),
    "quantization": ("fp8", "awq"),
    "sweep": ("SERVE--max_num_seqs-8-", "SERVE--max_num_seqs-16-"),
}
HARMLESS: dict[str, tuple[Any, Any]] = {"date": ("20260101-000000", "20260102-000000")}
OPTIONS = {
    "provenance": {"task": "t", "task_version": "1", "prompt": "p", "sampling": {"temperature": 0}},
    "condition": ["host=h"],
}


def write(folder: Path, settings: dict[str, Any]) -> Path:
    """One run of one request.

    On a machine that is named, so that two runs of one configuration are repeats.
    """
    stated = {name: value for name, value in settings.items() if name != "sweep"}
    result = {
        "model_id": "m",
        "tokenizer_id": "m",
        "duration": 2.0,
        "completed": 1,
        "request_throughput": 0.5,
        "hardware": "H100",
        **stated,
    }
    detail = {
        "input_lens": [5],
        "output_lens": [3],
        "ttfts": [0.1],
        "itls": [[0.1, 0.1]],
        "errors": [""],
        "start_times": [1.0],
    }
    detail["generated_texts"] = [folder.name]
    home = folder / settings["sweep"] if "sweep" in settings else folder
    home.mkdir(exist_ok=True)
    path = home / "run=0.json"
    path.write_text(json.dumps(result | detail))
    return path
