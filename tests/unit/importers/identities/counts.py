"""A counts file states the model, the task, and what every line says alike."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

NAME = "counts"
FOLDERS = False
STATED: dict[str, tuple[Any, Any]] = {
    "model": ("m", "n"),
    "task": ("t", "u"),
    "temperature": (0.2, 0.8),
    "revision": ("main", "v2"),
    "generation": ({"top_p": 0.9}, {"top_p": 1.0}),
}
HARMLESS: dict[str, tuple[Any, Any]] = {"source": ("AIME", "AMC")}
STANDARD = {"model": "m", "task": "t"}
OPTIONS: dict[str, Any] = {
    "provenance": {"task_version": "1", "prompt": "p", "sampling": {"temperature": 1}}
}


def write(folder: Path, settings: dict[str, Any]) -> Path:
    """Two problems, with a difficulty that is each one's own."""
    path = folder / "t.jsonl"
    rows = [
        {"id": f"q{i}", "c": i, "n": 3, "difficulty": i} | STANDARD | settings for i in range(2)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path
