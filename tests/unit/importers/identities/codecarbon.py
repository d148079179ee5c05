"""codecarbon states project, machine, software and how it tracked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

NAME = "codecarbon"
STATED: dict[str, tuple[Any, Any]] = {
    "project_name": ("a", "b"),
    "gpu_model": ("H100", "A100"),
    "gpu_count": ("1", "8"),
    "cpu_model": ("x", "y"),
    "tracking_mode": ("machine", "process"),
    "codecarbon_version": ("2.4", "3.0"),
    "cloud_provider": ("aws", "gcp"),
    "pue": ("1.0", "1.2"),
}
HARMLESS: dict[str, tuple[Any, Any]] = {
    "run_id": ("a", "b"),
    "latitude": ("1", "2"),
    "country_name": ("a", "b"),
}
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
    """One line."""
    line = {
        "timestamp": "2026-05-30T11:03:37",
        "duration": "10.0",
        "energy_consumed": "0.001",
        "gpu_model": "H100",
        "run_id": "r",
        **settings,
    }
    path = folder / "emissions.csv"
    path.write_text(",".join(line) + "\n" + ",".join(line.values()) + "\n")
    return path
