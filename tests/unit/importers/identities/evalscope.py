"""evalscope states its settings in configs/task_config.yaml.

Model, generation, the data set's own, judge and provider.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

NAME = "evalscope"
STATED: dict[str, tuple[Any, Any]] = {
    "model": ("m", "m2"),
    "model_args.revision": ("main", "v2"),
    "model_args.precision": ("torch.float16", "torch.bfloat16"),
    "model_args.adapter": ("a", "b"),
    "generation_config.temperature": (0.0, 0.7),
    "generation_config.top_k": (20, 50),
    "generation_config.max_tokens": (512, 2048),
    "generation_config.extra_body.enable_thinking": (True, False),
    "dataset_args.toy.few_shot_num": (0, 5),
    "dataset_args.toy.prompt_template": ("{query}", "think: {query}"),
    "dataset_args.toy.shuffle_choices": (False, True),
    "resolved_benchmarks.toy.system_prompt": ("a", "b"),
    "evaluation_identity.benchmarks.toy.evaluation_version": ("v1.0", "v1.1"),
    "chat_template": ("a", "b"),
    "eval_type": ("llm_ckpt", "openai_api"),
    "eval_batch_size": (1, 64),
    "judge.strategy": ("rule", "llm"),
    "api_url": ("https://api.one.example/v1", "https://api.two.example/v1"),
    "evalscope_version": ("1.0", "1.1"),
}
HARMLESS: dict[str, tuple[Any, Any]] = {
    "work_dir": ("a", "b"),
    "seed": (1, 2),
    "limit": (10, 20),
    "generation_config.seed": (1, 2),
    "generation_config.timeout": (1, 2),
    "dataset_args.toy.local_path": ("a", "b"),
    "dataset_args.other.few_shot_num": (0, 5),
    "api_url": ("http://127.0.0.1:8000/v1", "http://localhost:9000/v1"),
}
OPTIONS = {"provenance": {"task_version": "1", "prompt": "p"}, "unknown": frozenset({"sampling"})}


def nested(settings: dict[str, Any]) -> dict[str, Any]:
    """Dotted names as nested mappings."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        *parents, last = name.split(".")
        place = found
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = value
    return found


def write(folder: Path, settings: dict[str, Any]) -> Path:
    """One run of one data set, a right answer whose text differs from run to run."""
    config = {"datasets": ["toy"], "generation_config": {"temperature": 0.5}, **nested(settings)}
    if "generation_config" in nested(settings):
        config["generation_config"] = {"top_p": 0.9, **config["generation_config"]}
    model = str(settings.get("model", "m"))
    output = {
        "choices": [{"message": {"content": f"ANSWER: A {folder.name}"}, "stop_reason": "stop"}],
        "usage": {},
    }
    prediction = {
        "index": 0,
        "model": model,
        "model_output": output,
        "messages": [{"role": "user", "content": "q"}],
    }
    review = {
        "index": 0,
        "target": "A",
        "sample_score": {"score": {"value": {"acc": 1.0}}, "group_id": 0, "generation_index": 0},
    }
    for kind, line in (("predictions", prediction), ("reviews", review)):
        path = folder / kind / model / "toy_main.jsonl"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(line) + "\n")
    (folder / "configs").mkdir()
    (folder / "configs" / "task_config.yaml").write_text(yaml.dump(config))
    return folder
