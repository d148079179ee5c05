"""vllm bench latency states no setting at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

NAME = "vllm_latency"
STATED: dict[str, tuple[Any, Any]] = {}
HARMLESS: dict[str, tuple[Any, Any]] = {}
OPTIONS = {
    "provenance": {
        "model": "m",
        "task": "t",
        "task_version": "1",
        "prompt": "p",
        "sampling": {"temperature": 0},
    }
}


def write(folder: Path, settings: dict[str, Any]) -> Path:
    """One run of two batches."""
    path = folder / "r.json"
    path.write_text(
        json.dumps(
            {"avg_latency": 1.5, "latencies": [1.0, 2.0], "percentiles": {"50": 1.5}, **settings}
        )
    )
    return path
