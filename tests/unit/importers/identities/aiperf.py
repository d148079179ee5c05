"""AIPerf states its settings in the summary beside the records.

Endpoint, load, input, tokenizer.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

NAME = "aiperf"
STATED: dict[str, tuple[Any, Any]] = {
    "endpoint.model_names": (["m"], ["m2"]),
    "endpoint.type": ("chat", "completions"),
    "endpoint.streaming": (True, False),
    "endpoint.url": ("https://api.one.example", "https://api.two.example"),
    "loadgen.concurrency": (1, 8),
    "loadgen.request_rate": (1.0, 2.0),
    "loadgen.request_rate_mode": ("poisson", "constant"),
    "input.prompt.input_tokens.mean": (100, 200),
    "input.extra.temperature": (0, 1),
    "input.public_dataset": ("sharegpt", "other"),
    "tokenizer.name": ("a", "b"),
    "hardware": ("H100", "A100"),
}
HARMLESS: dict[str, tuple[Any, Any]] = {
    "output.artifact_directory": ("a", "b"),
    "cli_command": ("a", "b"),
    "loadgen.request_count": (1, 2),
    "input.random_seed": (1, 2),
    "endpoint.url": ("localhost:8000", "127.0.0.1:9000"),
    "endpoint.timeout_seconds": (1.0, 2.0),
}
OPTIONS = {
    "provenance": {"task": "t", "task_version": "1", "prompt": "p", "sampling": {"temperature": 0}}
}


def write(folder: Path, settings: dict[str, Any]) -> Path:
    """One run of one request.

    On a machine that is named, so that two runs of one configuration are repeats.
    """
    config: dict[str, Any] = {"endpoint": {"model_names": ["m"]}, "hardware": "H100"}
    for name, value in settings.items():
        home = config
        *parents, last = name.split(".")
        for parent in parents:
            home = home.setdefault(parent, {})
        home[last] = value
    (folder / "profile_export_aiperf.json").write_text(json.dumps({"input_config": config}))
    metrics = {
        "request_latency": {"value": 300.0 + len(folder.name), "unit": "ms"},
        "output_sequence_length": {"value": 3, "unit": "tokens"},
    }
    record = {
        "metadata": {"conversation_id": "c", "x_request_id": folder.name},
        "metrics": metrics,
        "error": None,
    }
    (folder / "profile_export.jsonl").write_text(json.dumps(record) + "\n")
    return folder
