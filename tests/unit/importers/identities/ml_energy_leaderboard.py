"""The leaderboard states boards, batch limit and parallelism of each configuration, and the weights
of each model.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

NAME = "ml_energy_leaderboard"
STATED: dict[str, tuple[Any, Any]] = {
    "model_id": ("m", "m2"),
    "gpu_model": ("H100", "B200"),
    "num_gpus": (1, 8),
    "max_num_seqs": (8, 64),
    "parallelization": ({"tensor_parallel": 1}, {"tensor_parallel": 8}),
    "weight_precision": ("bfloat16", "fp8"),
    "batch_size": (1, 2),
    "inference_steps": (10, 20),
}
HARMLESS: dict[str, tuple[Any, Any]] = {
    "nickname": ("a", "b"),
    "output_length_distribution": ({"bins": [1]}, {"bins": [2]}),
}
OPTIONS = {"provenance": {"task_version": "1", "prompt": "p", "sampling": {"temperature": 0}}}


def write(folder: Path, settings: dict[str, Any]) -> Path:
    """One configuration."""
    one = {
        "gpu_model": "H100",
        "num_gpus": 1,
        "avg_power_watts": 300.0,
        "energy_per_token_joules": 1.0,
        **settings,
    }
    path = folder / "m__t.json"
    path.write_text(json.dumps({"model_id": "m", "task": "t", "configurations": [one]}))
    return path
