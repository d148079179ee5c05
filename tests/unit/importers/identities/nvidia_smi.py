"""An nvidia-smi log states the boards that it reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

NAME = "nvidia_smi"
STATED: dict[str, tuple[Any, Any]] = {"name": ("NVIDIA H100", "NVIDIA A100")}
HARMLESS: dict[str, tuple[Any, Any]] = {"pstate": ("P0", "P2")}
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
    """Eight seconds of one board."""
    stated = {"name": "NVIDIA H100", "pstate": "P0", **settings}
    lines = [
        f"2026/03/07 00:20:0{second}.000, 0, {stated['name']}, {stated['pstate']}, 100.00 W"
        for second in range(8)
    ]
    path = folder / "log.csv"
    path.write_text("\n".join(["timestamp, index, name, pstate, power.draw [W]", *lines]))
    return path
