"""The published files state no settings.

Copies that people made with a model or a temperature in them do.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

NAME = "large_language_monkeys"
STATED: dict[str, tuple[Any, Any]] = {
    "model": ("m", "n"),
    "temperature": (0.6, 1.0),
    "num_few_shot": (4, 8),
    "revision": ("main", "v2"),
    "hardware": ("H100", "A100"),
}
HARMLESS: dict[str, tuple[Any, Any]] = {}
STANDARD = {"model": "m"}
OPTIONS: dict[str, Any] = {
    "provenance": {"task": "t", "task_version": "1", "prompt": "p", "sampling": {"temperature": 1}}
}


def write(folder: Path, settings: dict[str, Any]) -> Path:
    """JSON rows of two problems."""
    path = folder / "rows.json"
    rows = [
        {
            "question": f"q{i}",
            "gt_answer": "4",
            "samples": ["4", folder.name],
            "is_corrects": [True, False],
            "orig_dset_idx": i,
        }
        for i in range(2)
    ]
    path.write_text(json.dumps([row | STANDARD | settings for row in rows]))
    return path
