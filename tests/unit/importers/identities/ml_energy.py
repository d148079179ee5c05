"""ML.ENERGY states model, boards, batch limits and the rest beside its results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

NAME = "ml_energy"
STATED: dict[str, tuple[Any, Any]] = {
    "model_id": ("m", "m2"),
    "gpu_model": ("H100", "B200"),
    "num_gpus": (1, 8),
    "max_num_seqs": (8, 64),
    "max_num_batched_tokens": (1024, 2048),
    "max_output_tokens": (64, 128),
    "request_rate": (1.0, 2.0),
    "max_concurrency": (8, 64),
    "server_image": ("vllm:1", "vllm:2"),
    "tensor_parallel_size": (1, 8),
}
HARMLESS: dict[str, tuple[Any, Any]] = {"date": ("a", "b"), "seed": (1, 2), "log_dir": ("a", "b")}
OPTIONS = {
    "provenance": {"task": "t", "task_version": "1", "prompt": "p", "sampling": {"temperature": 0}}
}


def write(folder: Path, settings: dict[str, Any]) -> Path:
    """One run of one request."""
    request = {
        "prompt": "q",
        "output_text": folder.name,
        "input_len": 5,
        "output_len": 3,
        "latency": 0.3,
        "ttft": 0.1,
        "itl": [0.1, 0.1],
    }
    value = {
        "model_id": "m",
        "gpu_model": "H100",
        "num_gpus": 1,
        "steady_state_energy": 5.0,
        **settings,
    }
    path = folder / "results.json"
    path.write_text(json.dumps(value | {"results": [request | {"success": True, "energy": 1.0}]}))
    return path
