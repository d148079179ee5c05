"""SGLang bench_serving states load, data set and lengths, and the whole configuration of the server
where it described itself.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

NAME = "sglang_bench"
STATED: dict[str, tuple[Any, Any]] = {
    "backend": ("sglang", "vllm"),
    "dataset_name": ("random", "sharegpt"),
    "request_rate": (1.0, 8.0),
    "max_concurrency": (8, 64),
    "random_input_len": (128, 1024),
    "random_output_len": (128, 1024),
    "random_range_ratio": (0.5, 1.0),
    "tag": ("a", "b"),
    "server_info.model_path": ("m1", "m2"),
    "server_info.tp_size": (1, 8),
    "server_info.quantization": ("fp8", "awq"),
    "server_info.version": ("0.4", "0.5"),
    "server_info.dtype": ("auto", "half"),
    "hardware": ("H100", "A100"),
}
HARMLESS: dict[str, tuple[Any, Any]] = {
    "server_info.port": (1, 2),
    "server_info.random_seed": (1, 2),
    "server_info.log_level": ("a", "b"),
}
OPTIONS = {
    "provenance": {"task": "t", "task_version": "1", "prompt": "p", "sampling": {"temperature": 0}}
}


def write(folder: Path, settings: dict[str, Any]) -> Path:
    """One run of one request.

    On a machine that is named, so that two runs of one configuration are repeats.
    """
    server = {"model_path": "m"} | {
        name.partition(".")[2]: value
        for name, value in settings.items()
        if name.startswith("server_info.")
    }
    stated = {
        name: value for name, value in settings.items() if not name.startswith("server_info.")
    }
    result = {
        "backend": "sglang",
        "dataset_name": "random",
        "request_rate": 2.0,
        "duration": 2.0,
        "hardware": "H100",
        **stated,
    }
    detail = {
        "input_lens": [5],
        "output_lens": [3],
        "ttfts": [0.1],
        "itls": [[0.1, 0.1]],
        "errors": [""],
        "generated_texts": [folder.name],
    }
    path = folder / "run.jsonl"
    path.write_text(
        json.dumps(result | {"server_info": server, "completed": len(str(folder.name))} | detail)
        + "\n"
    )
    return path
