"""Mistakes that the payload finds before it starts vLLM.

What it banks, killed or not, is tested with the Dagster job (``test_end_to_end``).
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "payload"))
import sessions

pytestmark = [
    pytest.mark.pipeline,
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed"),
]


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    from isocost.engines.prepare import make_tiny_llama

    return make_tiny_llama(tmp_path_factory.mktemp("models") / "tiny-random-llama")


def payload(session: Path, lake: Path, *more: str) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-m",
        "isocost.generate",
        "--session",
        str(session),
        "--lake",
        str(lake),
        *more,
    ]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"path": "/nowhere/tiny"}, "the folder /nowhere/tiny does not exist"),
        ({"kv_cache_bytes": 1000}, "fits 1 tokens"),
        ({"max_tokens": 250}, "exceeds max_model_len 256"),
    ],
)
def test_a_mistake_is_one_line_before_any_engine_starts(tmp_path, model, changes, said):
    lake, file = tmp_path / "lake", tmp_path / "session.json"
    file.write_text(sessions.session("vllm", **({"path": str(model)} | changes)).model_dump_json())
    made = payload(file, lake)
    output, _ = made.communicate(timeout=120)
    assert made.returncode == 2 and said in output
    assert "Traceback" not in output and "engine vllm is up" not in output
    assert not (lake / "raw" / "manifests").exists()
