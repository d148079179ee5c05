"""What the header of an Inspect log states of its run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

NAME = "inspect_ai"
OPTIONS: dict[str, Any] = {}

# Paths in the log, by slashes.
STATED: dict[str, tuple[Any, Any]] = {
    "eval/model": ("vllm/org/a", "vllm/org/b"),
    "eval/task": ("t", "u"),
    "eval/task_version": (1, 2),
    "eval/task_file": ("a/t.py", "b/t.py"),
    "eval/task_args": ({"subject": "algebra"}, {"subject": "physics"}),
    "eval/model_args": ({}, {"quantization": "fp8"}),
    "eval/model_args/tensor_parallel_size": (
        {"tensor_parallel_size": 1},
        {"tensor_parallel_size": 2},
    ),
    "eval/model_args/revision": ({"revision": "a"}, {"revision": "b"}),
    "eval/model_generate_config": ({"temperature": 0.5}, {"temperature": 0.7}),
    "eval/model_generate_config/reasoning_effort": (
        {"reasoning_effort": "low"},
        {"reasoning_effort": "high"},
    ),
    "eval/model_generate_config/max_tool_output": ({"max_tool_output": 1}, {"max_tool_output": 2}),
    "plan/config": ({}, {"max_tokens": 100}),
    "plan/steps": (
        [{"solver": "generate", "params": {}}],
        [{"solver": "generate", "params": {"tool_calls": "none"}}],
    ),
    "eval/solver_args": (None, {"attempts": 3}),
    "eval/model_roles": (None, {"grader": {"model": "openai/gpt", "config": {}, "args": {}}}),
    "eval/sandbox": (
        {"type": "docker", "config": "a.yaml"},
        {"type": "docker", "config": "b.yaml"},
    ),
    "eval/dataset/name": ("d", "e"),
    "eval/config/message_limit": (10, 20),
    "eval/config/token_limit": (None, 1000),
    "eval/config/time_limit": (None, 60),
    "eval/config/cost_limit": (None, 1.0),
    "eval/config/approval": (None, {"approvers": [{"name": "human", "tools": "*"}]}),
    "eval/config/score_on_error": (False, True),
    "eval/config/a new limit": (1, 2),
    "eval/a new key": ("x", "y"),
    "eval/scorers": (
        [{"name": "match", "options": {}}],
        [{"name": "match", "options": {"numeric": True}}],
    ),
    "eval/scorers/grader": (
        [{"name": "match", "options": {"model": {"model": "a", "config": {}}}}],
        [{"name": "match", "options": {"model": {"model": "b", "config": {}}}}],
    ),
}
HARMLESS: dict[str, tuple[Any, Any]] = {
    "eval/created": ("2026-11-01T10:00:00", "2026-11-02T10:00:00"),
    "eval/run_id": ("a", "b"),
    "eval/eval_id": ("a", "b"),
    "eval/task_id": ("a", "b"),
    "eval/eval_set_id": (None, "b"),
    "eval/tags": (None, ["nightly"]),
    "eval/metadata": (None, {"who": "me"}),
    "eval/model_base_url": (None, "http://localhost:8000/v1"),
    "eval/dataset/samples": (1, 100),
    "eval/dataset/sample_ids": ([1], [1, 2]),
    "eval/dataset/shuffled": (False, True),
    "eval/config/limit": (None, 10),
    "eval/config/epochs": (1, 2),
    "eval/config/epochs_reducer": (["mean"], ["pass_at_2"]),
    "eval/config/fail_on_error": (True, False),
    "eval/config/max_samples": (1, 10),
    "eval/config/log_buffer": (1, 10),
    "eval/revision": (
        {"type": "git", "commit": "a"},
        {"type": "git", "commit": "b", "dirty": True},
    ),
    "eval/packages": ({"inspect_ai": "0.3.58"}, {"inspect_ai": "0.3.95"}),
    "eval/task_args_passed": ({}, {"subject": "algebra"}),
    "eval/model_args/api_key": ({"api_key": "one"}, {"api_key": "two"}),
    "eval/model_generate_config/max_connections": (
        {"temperature": 1, "max_connections": 1},
        {"temperature": 1, "max_connections": 8},
    ),
    "eval/model_generate_config/extra_headers": (
        {"temperature": 1, "extra_headers": {"Authorization": "one"}},
        {"temperature": 1, "extra_headers": {"Authorization": "two"}},
    ),
    "stats": ({"started_at": "a"}, {"started_at": "b"}),
    "status": ("success", "cancelled"),
}


def write(folder: Path, settings: dict[str, Any]) -> Path:
    """One log of one sample."""
    log: dict[str, Any] = {
        "version": 2,
        "status": "success",
        "eval": {
            "task": "t",
            "task_version": 1,
            "model": "vllm/org/m",
            "model_generate_config": {"temperature": 0.5},
            "dataset": {"name": "d"},
            "config": {},
            "scorers": [{"name": "match", "options": {}}],
        },
        "plan": {"steps": [{"solver": "generate", "params": {}}], "config": {}},
        "samples": [
            {
                "id": 1,
                "epoch": 1,
                "input": "1+1?",
                "target": "2",
                "output": {"choices": [{"message": {"content": "2"}, "stop_reason": "stop"}]},
                "scores": {"match": {"value": "C", "answer": "2"}},
            }
        ],
    }
    for path, value in settings.items():
        *places, last = path.split("/")
        for taken in ("model_args", "model_generate_config", "scorers"):
            if taken in places:
                places, last = places[: places.index(taken)], taken
        home = log
        for place in places:
            home = home[place]
        home[last] = value
    path = folder / "log.json"
    path.write_text(json.dumps(log))
    return path
