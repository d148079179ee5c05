"""GuideLLM states strategy, backend, data and more in each benchmark, and above all of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

NAME = "guidellm"
STATED: dict[str, tuple[Any, Any]] = {
    "strategy.type_": ("constant", "poisson"),
    "strategy.rate": (1.0, 2.0),
    "strategy.streams": (1, 2),
    "strategy.max_concurrency": (8, 64),
    "backend.model": ("m", "m2"),
    "backend.type_": ("openai_http", "vllm_python"),
    "backend.target": ("https://api.one.example", "https://api.two.example"),
    "backend.extras.temperature": (0, 1),
    "environment.gpu": ("H100", "A100"),
    "hardware": ("H100", "A100"),
    "spec.tokenizer.name": ("a", "b"),
    "spec.data": (["prompt_tokens=1"], ["prompt_tokens=2"]),
}
HARMLESS: dict[str, tuple[Any, Any]] = {
    "run_id": ("a", "b"),
    "strategy.random_seed": (1, 2),
    "backend.timeout": (1, 2),
    "backend.target": ("http://localhost:8000", "http://127.0.0.1:9000"),
    "spec.seed.value": (1, 2),
}
OPTIONS = {
    "provenance": {"task": "t", "task_version": "1", "prompt": "p", "sampling": {"temperature": 0}}
}


def write(folder: Path, settings: dict[str, Any]) -> Path:
    """One benchmark of one request.

    On a machine that is named, so that two runs of one configuration are repeats.
    """
    config: dict[str, Any] = {
        "strategy": {"type_": "constant"},
        "backend": {"model": "m"},
        "hardware": "H100",
    }
    spec: dict[str, Any] = {}
    for name, value in settings.items():
        home = spec if name.startswith("spec.") else config
        *parents, last = name.removeprefix("spec.").split(".")
        for parent in parents:
            home = home.setdefault(parent, {})
        home[last] = value
    request = {
        "request_id": "r",
        "output": folder.name,
        "prompt_tokens": 3,
        "output_tokens": 3,
        "time_to_first_token_ms": 100.0,
    }
    request |= {"inter_token_latency_ms": 100.0, "request_latency": 0.3}
    benchmark = {
        "config": config,
        "metrics": {},
        "requests": {"successful": [request], "errored": [], "incomplete": []},
    }
    path = folder / "report.json"
    path.write_text(
        json.dumps(
            {"metadata": {"version": 2}, "config": {"spec": spec}, "benchmarks": [benchmark]}
        )
    )
    return path
