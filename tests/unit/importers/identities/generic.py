"""The generic format states what its mapping names.

Provenance by its own columns, every other setting as a condition.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

NAME = "generic"
FOLDERS = False
STATED: dict[str, tuple[Any, Any]] = {
    "model": ("m", "n"),
    "task": ("t", "u"),
    "task_version": ("1", "2"),
    "prompt": ("p", "q"),
    "sampling": ({"temperature": 0}, {"temperature": 1}),
    "rev": ("main", "v2"),
    "adapter": ("", "lora"),
    "gpu": ("H100", "A100"),
    "limit": (8, 16),
    "meta": ({"dtype": "bf16"}, {"dtype": "fp8"}),
}
HARMLESS: dict[str, tuple[Any, Any]] = {}
COLUMNS = {"problem": "id", "output": "outs", "correct": "ok"} | {
    name: name for name in ("model", "task", "task_version", "prompt", "sampling")
}
CONDITIONS = {
    "revision": "rev",
    "adapter": "adapter",
    "hardware": "gpu",
    "limit": "limit",
    "meta": "meta",
}
OPTIONS: dict[str, Any] = {"mapping": {"columns": COLUMNS, "conditions": CONDITIONS}}
STANDARD = {"model": "m", "task": "t", "task_version": "1", "prompt": "p", "sampling": "words"}
STANDARD |= {"rev": "r", "adapter": "a", "gpu": "g", "limit": 1, "meta": {"x": 1}}


def write(folder: Path, settings: dict[str, Any]) -> Path:
    """Two problems with a list of samples each.

    A second run has other texts, an empty adapter is none.
    """
    path = folder / "t.jsonl"
    rows = [{"id": f"q{i}", "outs": ["x", folder.name], "ok": [True, False]} for i in range(2)]
    path.write_text("".join(json.dumps(row | STANDARD | settings) + "\n" for row in rows))
    return path
