"""The published file states the model, as the key of its answers, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

NAME = "gsm8k_solutions"
FOLDERS = False
STATED: dict[str, tuple[Any, Any]] = {"model": ("6b", "175b")}
HARMLESS: dict[str, tuple[Any, Any]] = {}
OPTIONS: dict[str, Any] = {
    "provenance": {"task_version": "1", "prompt": "p", "sampling": {"temperature": 1}}
}


def write(folder: Path, settings: dict[str, Any]) -> Path:
    """One problem that one model answered."""
    path = folder / "solutions.jsonl"
    answer = {"solution": folder.name, "is_correct": True}
    path.write_text(
        json.dumps({"question": "q", "ground_truth": "4", settings.get("model", "6b"): answer})
    )
    return path
