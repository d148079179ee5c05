"""LoadGen logs what was in effect: scenario, mode, target rate, names of system and data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

NAME = "mlperf_power"
FOLDERS = False
STATED: dict[str, tuple[Any, Any]] = {
    "effective_scenario": ("Offline", "Server"),
    "effective_test_mode": ("PerformanceOnly", "AccuracyOnly"),
    "effective_target_qps": (1.0, 2.0),
    "effective_samples_per_query": (1, 8),
    "sut_name": ("one", "two"),
    "qsl_name": ("one", "two"),
}
HARMLESS: dict[str, tuple[Any, Any]] = {
    "effective_schedule_rng_seed": (1, 2),
    "effective_min_duration_ms": (1, 2),
    "effective_min_query_count": (1, 2),
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
    """One run of four seconds."""
    (folder / "spl.txt").write_text(
        "".join(f"Time,09-01-2025 10:00:0{second}.000,Watts,100.0,Mark,r\n" for second in range(9))
    )
    events = {
        "power_begin": "09-01-2025 10:00:02.000",
        "power_end": "09-01-2025 10:00:06.000",
        **settings,
    }
    lines = [
        f":::MLLOG {json.dumps({'key': key, 'value': value})}" for key, value in events.items()
    ]
    (folder / "mlperf_log_detail.txt").write_text("\n".join(lines))
    return folder
