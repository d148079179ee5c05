"""What a results file of lm-evaluation-harness states: of the run, of the model, of the task."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

NAME = "lm_eval"
OPTIONS: dict[str, Any] = {}
ENVIRONMENT = "PyTorch version: {}\nGPU models and configuration: \nGPU 0: {}\nGPU 1: {}\n\nNvidia driver version: 535\nModel name:  Xeon\n"

# Paths in the results file, by slashes.
STATED: dict[str, tuple[Any, Any]] = {
    "model_name": ("org/a", "org/b"),
    "config/model": ("hf", "vllm"),
    "config/model_args": ("pretrained=org/m,revision=step1", "pretrained=org/m,revision=step2"),
    "config/model_args/peft": ("pretrained=org/m", "pretrained=org/m,peft=org/adapter"),
    "config/model_args/load_in_4bit": (
        {"pretrained": "org/m"},
        {"pretrained": "org/m", "load_in_4bit": True},
    ),
    "config/model_args/dtype": (
        "pretrained=org/m,dtype=float16",
        "pretrained=org/m,dtype=bfloat16",
    ),
    "config/model_args/a new one": ("pretrained=org/m,what=1", "pretrained=org/m,what=2"),
    "config/model_revision": ("main", "dev"),
    "config/model_sha": ("82047f", "93158a"),
    "config/peft_sha": (None, "93158a"),
    "config/model_dtype": ("torch.float16", "torch.bfloat16"),
    "config/model_num_parameters": (1, 2),
    "config/device": ("cpu", "cuda:0"),
    "config/gen_kwargs": (None, "top_p=0.9"),
    "config/a new setting": (1, 2),
    "lm_eval_version": ("0.4.8", "0.4.9"),
    "transformers_version": ("4.57", "5.0"),
    "pretty_env_info": (
        ENVIRONMENT.format("2.9.0", "A100", "A100"),
        ENVIRONMENT.format("2.9.0", "H100", "H100"),
    ),
    "pretty_env_info/torch": (
        ENVIRONMENT.format("2.9.0", "A100", "A100"),
        ENVIRONMENT.format("2.8.0", "A100", "A100"),
    ),
    "max_length": (2048, 4096),
    "system_instruction": (None, "Think."),
    "chat_template": (None, "{{ messages }}"),
    "chat_template_sha": ("a", "b"),
    "fewshot_as_multiturn": (False, True),
    "a new key": ("x", "y"),
    "versions/t": (1, 2),
    "n-shot/t": (0, 5),
    "configs/t/doc_to_text": ("Q: {{q}}", "Question: {{q}}"),
    "configs/t/description": ("", "Answer."),
    "configs/t/fewshot_config": (None, {"sampler": "first_n"}),
    "configs/t/gen_prefix": (None, "A:"),
    "configs/t/process_docs": (None, "def process_docs(docs): return docs"),
    "configs/t/dataset_path": ("org/d", "org/e"),
    "configs/t/dataset_name": ("main", "hard"),
    "configs/t/dataset_kwargs": (None, {"revision": "x"}),
    "configs/t/test_split": ("test", "validation"),
    "configs/t/metric_list": (
        [{"metric": "exact_match"}],
        [{"metric": "exact_match", "ignore_case": True}],
    ),
    "configs/t/process_results": (None, "def process_results(doc, results): return {}"),
    "configs/t/filter_list": (
        [{"name": "none", "filter": [{"function": "regex", "regex_pattern": "a"}]}],
        [{"name": "none", "filter": [{"function": "regex", "regex_pattern": "b"}]}],
    ),
    "configs/t/generation_kwargs": ({"temperature": 0.5}, {"temperature": 0.7}),
    "configs/t/metadata": ({"version": 1}, {"version": 1, "max_seq_lengths": [4096]}),
}
HARMLESS: dict[str, tuple[Any, Any]] = {
    "date": (1.0, 2.0),
    "git_hash": ("a", "b"),
    "upper_git_hash": ("a", "b"),
    "start_time": (1.0, 2.0),
    "total_evaluation_time_seconds": ("1.0", "2.0"),
    "task_hashes": ({"t": "a"}, {"t": "b"}),
    "pretty_env_info": (
        ENVIRONMENT.format("2.9.0", "A100", "A100"),
        ENVIRONMENT.format("2.9.0", "A100", "A100") + "CPU max MHz: 3400\n",
    ),
    "config/batch_size": (1, "auto"),
    "config/limit": (None, 10),
    "config/bootstrap_iters": (0, 100000),
    "config/use_cache": (None, "/cache"),
    "config/device": ("cuda:0", "cuda:1"),
    "config/random_seed": (0, 1),
    "config/torch_seed": (1234, 1),
    "config/fewshot_seed": (1234, 1),  # of no examples: there are none
    "config/gen_kwargs": (None, "temperature=0.5"),  # stands in generation_kwargs, too
    "config/model_args/base_url": (
        "model=org/m,base_url=http://a",
        "model=org/m,base_url=http://b",
    ),
    "config/model_args/api_key": (
        {"model": "org/m", "api_key": "one"},
        {"model": "org/m", "api_key": "two"},
    ),
    "config/model_args/num_concurrent": (
        "model=org/m,num_concurrent=1",
        "model=org/m,num_concurrent=8",
    ),
    "config/model_args/a dict or a text": (
        "pretrained=org/m,revision=a",
        {"pretrained": "org/m", "revision": "a"},
    ),
    "configs/t/tag": (None, ["math"]),
    "configs/t/repeats": (1, 2),
    "configs/t/process_docs": ("<function f at 0x7f01>", "<function f at 0x7f02>"),
}


def write(folder: Path, settings: dict[str, Any]) -> Path:
    """One run of one document."""
    stamp = "2026-01-21T03-44-18.458309"
    document: dict[str, Any] = {
        "results": {"t": {"alias": "t", "exact_match,none": 1.0}},
        "configs": {
            "t": {
                "task": "t",
                "output_type": "generate_until",
                "generation_kwargs": {"temperature": 0.5},
                "doc_to_text": "{{q}}",
            }
        },
        "versions": {"t": 1},
        "n-shot": {"t": 0},
        "model_name": "org/m",
        "config": {"model": "hf", "model_args": "pretrained=org/m"},
    }
    for path, value in settings.items():
        *places, last = path.split("/")
        if "model_args" in places:
            places, last = ["config"], "model_args"
        if "pretty_env_info" in places:
            places, last = [], "pretty_env_info"
        home = document
        for place in places:
            home = home[place]
        home[last] = value
    (folder / f"results_{stamp}.json").write_text(json.dumps(document))
    sample = {
        "doc_id": 0,
        "doc": {"question": "1+1?"},
        "target": "2",
        "arguments": {"gen_args_0": {"arg_0": "1+1?", "arg_1": {"temperature": 0.5}}},
        "resps": [["2"]],
        "filtered_resps": ["2"],
        "filter": "none",
        "metrics": ["exact_match"],
        "exact_match": 1.0,
    }
    (folder / f"samples_t_{stamp}.jsonl").write_text(json.dumps(sample) + "\n")
    return folder
