"""What an aggregate of every_eval_ever states of its model, its tool and each of its results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

NAME = "every_eval_ever"
OPTIONS: dict[str, Any] = {"provenance": {"task_version": "1", "prompt": "p"}}
ARGUMENTS, METRIC = (
    "evaluation_results/0/generation_config/generation_args",
    "evaluation_results/0/metric_config",
)

# Paths in the aggregate, by slashes.
STATED: dict[str, tuple[Any, Any]] = {
    "model_info/id": ("org/a", "org/b"),
    "model_info/name": ("m of May", "m of June"),
    "model_info/inference_platform": ("together", "openai"),
    "model_info/inference_engine": ({"name": "vllm"}, {"name": "sglang"}),
    "model_info/inference_engine/version": (
        {"name": "vllm", "version": "0.1"},
        {"name": "vllm", "version": "0.2"},
    ),
    "model_info/additional_details": ({"quantization": "fp8"}, {"quantization": "int4"}),
    "eval_library": (
        {"name": "lm_eval", "version": "0.4.8"},
        {"name": "lm_eval", "version": "0.4.9"},
    ),
    "evaluation_results/0/source_data": (
        {"dataset_name": "d", "hf_split": "test"},
        {"dataset_name": "d", "hf_split": "val"},
    ),
    f"{ARGUMENTS}/temperature": (0.5, 0.7),
    f"{ARGUMENTS}/top_p": (0.9, 1.0),
    f"{ARGUMENTS}/reasoning": (False, True),
    f"{ARGUMENTS}/max_attempts": (1, 2),
    f"{ARGUMENTS}/sandbox": ({"type": "docker"}, {"type": "local"}),
    f"{ARGUMENTS}/eval_plan": ({"name": "a"}, {"name": "b"}),
    f"{ARGUMENTS}/eval_limits": ({"token_limit": 1}, {"token_limit": 2}),
    f"{ARGUMENTS}/agentic_eval_config": (None, {"available_tools": [{"name": "bash"}]}),
    f"{ARGUMENTS}/a new one": (1, 2),
    "evaluation_results/0/generation_config/additional_details": (
        {"num_fewshot": "0"},
        {"num_fewshot": "5"},
    ),
    f"{METRIC}/llm_scoring": (
        None,
        {"judges": [{"model_info": {"id": "openai/gpt"}}], "input_prompt": "Grade."},
    ),
    f"{METRIC}/metric_parameters": ({"ignore_case": True}, {"ignore_case": False}),
}
HARMLESS: dict[str, tuple[Any, Any]] = {
    "retrieved_timestamp": ("1", "2"),
    "evaluation_timestamp": ("1", "2"),
    "source_metadata": ({"source_organization_name": "a"}, {"source_organization_name": "b"}),
    "model_info/developer": (None, "org"),
    "model_info/name": ("m", "org/m"),
    "evaluation_results/0/source_data": (
        {"dataset_name": "d", "samples_number": 1},
        {"dataset_name": "d", "samples_number": 2},
    ),
    f"{METRIC}/evaluation_description": (None, "The share of right answers."),
    f"{METRIC}/metric_unit": (None, "proportion"),
    "evaluation_results/0/score_details": (
        {"score": 1.0},
        {"score": 1.0, "uncertainty": {"num_samples": 1}},
    ),
}


def write(folder: Path, settings: dict[str, Any]) -> Path:
    """One evaluation of one sample.

    Both runs bear the same id, so that only their folders tell them apart.
    """
    document: dict[str, Any] = {
        "schema_version": "0.3.0",
        "evaluation_id": "t/m/1",
        "model_info": {"name": "m", "id": "org/m"},
        "eval_library": {"name": "lm_eval", "version": "0.4.8"},
        "evaluation_results": [
            {
                "evaluation_result_id": "t#acc",
                "evaluation_name": "t",
                "metric_config": {"metric_name": "Accuracy", "lower_is_better": False},
                "score_details": {"score": 1.0},
                "generation_config": {"generation_args": {"temperature": 0.5}},
            }
        ],
    }
    for path, value in settings.items():
        *places, last = path.split("/")
        if "inference_engine" in places:
            places, last = ["model_info"], "inference_engine"
        home: Any = document
        for place in places:
            home = home[int(place)] if isinstance(home, list) else home[place]
        home[last] = value
    (folder / "eval.json").write_text(json.dumps(document))
    instance = {
        "schema_version": "0.3.0",
        "evaluation_id": "t/m/1",
        "model_id": document["model_info"]["id"],
        "evaluation_name": "t",
        "evaluation_result_id": "t#acc",
        "sample_id": "s1",
        "interaction_type": "single_turn",
        "input": {"raw": "1+1?", "reference": ["2"]},
        "output": {"raw": ["2"]},
        "answer_attribution": [],
        "evaluation": {"score": 1.0, "is_correct": True},
    }
    (folder / "eval_samples.jsonl").write_text(json.dumps(instance) + "\n")
    return folder
