"""vllm bench throughput states nothing of itself; what somebody adds in words is a setting."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

NAME = "vllm_throughput"
STATED: dict[str, tuple[Any, Any]] = {"model": ("m1", "m2"), "backend": ("vllm", "hf")}
HARMLESS: dict[str, tuple[Any, Any]] = {"date": ("a", "b")}
OPTIONS = {
    "provenance": {"task": "t", "task_version": "1", "prompt": "p", "sampling": {"temperature": 0}}
}


def write(folder: Path, settings: dict[str, Any]) -> Path:
    """One run."""
    path = folder / "r.json"
    numbers = {
        "elapsed_time": 10.0,
        "num_requests": 5,
        "total_num_tokens": 500,
        "requests_per_second": 0.5,
        "tokens_per_second": 50.0,
    }
    path.write_text(json.dumps({"model": "m", **numbers, **settings}))
    return path
