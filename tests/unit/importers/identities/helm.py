"""What the run_spec.json of a HELM run states, and what each of its requests does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

NAME = "helm"
OPTIONS: dict[str, Any] = {"provenance": {"task_version": "1"}}

# Paths in run_spec.json, by slashes; instance and request are those of scenario_state.json.
STATED: dict[str, tuple[Any, Any]] = {
    "name": ("mmlu:subject=x,model=m", "mmlu:subject=y,model=m"),
    "adapter_spec/model": ("org/a", "org/b"),
    "adapter_spec/model_deployment": ("together/m", "huggingface/m"),
    "adapter_spec/method": ("generation", "chat"),
    "adapter_spec/instructions": ("", "Answer."),
    "adapter_spec/max_train_instances": (0, 5),
    "adapter_spec/substitutions": ([], [{"source": "a", "target": "b"}]),
    "adapter_spec/temperature": (0.0, 0.7),
    "adapter_spec/max_tokens": (5, 10),
    "adapter_spec/num_outputs": (1, 5),
    "adapter_spec/stop_sequences": ([], ["\n"]),
    "adapter_spec/multi_label": (False, True),
    "adapter_spec/output_mapping_pattern": (None, "answer is (.)"),
    "adapter_spec/reeval_parameters": (None, {"max_samples": 10}),
    "adapter_spec/a new field": (1, 2),
    "scenario_spec/class_name": ("helm.A", "helm.B"),
    "scenario_spec/args": ({"subject": "x"}, {"subject": "y"}),
    "data_augmenter_spec/should_augment_train_instances": (False, True),
    "data_augmenter_spec/seeds_per_instance": (1, 3),
    "annotators": (None, [{"class_name": "helm.Judge", "args": {}}]),
    "instance/perturbation": (None, {"name": "typos", "robustness": True}),
    "instance/split": ("test", "valid"),
    "request/top_p": (1, 0.9),
    "request/presence_penalty": (0, 0.5),
}
HARMLESS: dict[str, tuple[Any, Any]] = {
    "groups": (["mmlu"], ["mmlu", "core"]),
    "metric_specs": (
        [],
        [{"class_name": "helm.Basic", "args": {"names": ["exact_match", "f1_score"]}}],
    ),
    "name": ("mmlu:subject=x,model=m", "mmlu:subject=x,model=m,model_deployment=together_m"),
    "adapter_spec/max_eval_instances": (10, 100),
    "adapter_spec/eval_splits": (None, ["test"]),
    "adapter_spec/num_train_trials": (1, 3),
    "adapter_spec/random": (None, "2"),
    "data_augmenter_spec/seeds_per_instance": (
        1,
        None,
    ),  # as versions write it that know of no seeds
    "request/random": (None, "2"),
}


def write(folder: Path, settings: dict[str, Any]) -> Path:
    """One run of one instance."""
    spec: dict[str, Any] = {
        "name": "mmlu:subject=x,model=m",
        "scenario_spec": {"class_name": "helm.A", "args": {}},
        "adapter_spec": {
            "method": "generation",
            "model": "org/m",
            "temperature": 0.0,
            "max_tokens": 5,
            "num_outputs": 1,
        },
        "data_augmenter_spec": {"perturbation_specs": [], "seeds_per_instance": 1},
        "metric_specs": [],
        "groups": [],
    }
    state: dict[str, Any] = {
        "instance": {
            "id": "id1",
            "split": "test",
            "input": {"text": "1+1?"},
            "references": [{"output": {"text": "2"}, "tags": ["correct"]}],
        },
        "train_trial_index": 0,
        "request": {"prompt": "1+1?"},
        "result": {
            "success": True,
            "completions": [{"text": "2", "logprob": -1.0, "tokens": []}],
            "cached": False,
            "request_time": 1.0,
        },
    }
    for path, value in settings.items():
        *places, last = path.split("/")
        home = state if path.startswith(("instance/", "request/")) else spec
        for place in places:
            home = home[place]
        home[last] = value
    stats = [{"name": {"name": "exact_match"}, "count": 1, "mean": 1.0}]
    entry = {
        "instance_id": "id1",
        "train_trial_index": 0,
        "stats": stats,
        "perturbation": state["instance"].get("perturbation"),
    }
    for name, document in {
        "run_spec": spec,
        "scenario_state": {"request_states": [state]},
        "per_instance_stats": [entry],
    }.items():
        (folder / f"{name}.json").write_text(json.dumps(document))
    return folder
