"""A CSV of the exporter states the boards that it reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

NAME = "dcgm"
STATED: dict[str, tuple[Any, Any]] = {"modelName": ("NVIDIA H100", "NVIDIA A100")}
HARMLESS: dict[str, tuple[Any, Any]] = {"Hostname": ("a", "b")}
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
    stated = {"modelName": "NVIDIA H100", "Hostname": "a", **settings}
    lines = [
        f"2026-03-07T00:20:0{second}Z,0,{stated['modelName']},{stated['Hostname']},100"
        for second in range(8)
    ]
    path = folder / "log.csv"
    path.write_text("\n".join(["timestamp,gpu,modelName,Hostname,DCGM_FI_DEV_POWER_USAGE", *lines]))
    return path
