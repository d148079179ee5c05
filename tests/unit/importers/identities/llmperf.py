"""llmperf's files name no machine and no setting but the model: the run alone tells two of them apart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

NAME = "llmperf"
STATED: dict[str, tuple[Any, Any]] = {}
HARMLESS: dict[str, tuple[Any, Any]] = {}
OPTIONS = {"provenance": {"model": "m", "task": "t", "task_version": "1", "prompt": "p", "sampling": {"temperature": 0}}}


def write(folder: Path, settings: dict[str, Any]) -> Path:
    """One run; what it measured differs from run to run."""
    request = {"error_code": None, "ttft_s": 0.1, "end_to_end_latency_s": 1.0 + len(str(folder)) / 1000, "number_input_tokens": 5}
    path = folder / "individual.json"
    path.write_text(json.dumps([request | {"number_output_tokens": 9, "inter_token_latency_s": 0.1, "note": folder.name}]))
    return path
