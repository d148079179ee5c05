"""The published files state model, temperature and side in their names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

NAME = "cruxeval_scored"
FOLDERS = False
STATED: dict[str, tuple[Any, Any]] = {
    "model": ("m", "n"),
    "temperature": (0.2, 0.8),
    "side": ("input", "output"),
}
HARMLESS: dict[str, tuple[Any, Any]] = {}
OPTIONS: dict[str, Any] = {"provenance": {"task_version": "1", "prompt": "p"}}


def write(folder: Path, settings: dict[str, Any]) -> Path:
    """One problem, two generations."""
    named = {"model": "m", "temperature": 0.2, "side": "input"} | settings
    path = (
        folder / f"sample_scored_{named['model']}_temp{named['temperature']}_{named['side']}.json"
    )
    texts = {
        "raw_generations": {"sample_0": ["1", folder.name]},
        "raw_scored_generations": {"sample_0": [True, False]},
    }
    path.write_text(json.dumps({"pass_at_1": 50.0, **texts}))
    return path
