"""A LoRA adapter in a real vLLM says what the merged model says."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from isocost.engines.adapter_folder import AdapterFolder

pytestmark = [
    pytest.mark.pipeline,
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed"),
]


def test_an_adapter_answers_like_the_merged_model(tmp_path):
    program = Path(__file__).with_name("lora_and_merged.py")
    done = subprocess.run(
        [sys.executable, str(program), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={
            **os.environ,
            "PYTHONPATH": f"{Path(__file__).parents[2]}:{Path(__file__).parents[1]}",
        },
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["vllm"] == said["merged"] != said["bare"]
    content = AdapterFolder(tmp_path / "adapter", "tiny")
    assert said["described"] == {"sha256": content.sha256(), "parameters": 1792}
