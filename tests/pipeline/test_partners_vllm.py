"""Two real vLLM engines in one session: each with its own model, tokens and steps."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "payload"))
import sessions

from isocost.bank.reader import read_manifests, read_raw
from isocost.bank.verify import verify_bank
from isocost.methods import method_of
from isocost.sweep.models import MethodSpec

pytestmark = [
    pytest.mark.pipeline,
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed"),
]
METHODS = {"cascade": {"thresholds": [0]}, "speculative_reasoning": {"separator": "e", "steps": 2}}


def test_both_engines_answer_and_are_told_apart(tmp_path):
    from isocost.engines.prepare import make_tiny_llama

    model = str(make_tiny_llama(tmp_path / "tiny-random-llama"))
    settings = {
        "path": model, "problems": 2, "samples": 1, "prompts": ("direct",), "max_tokens": 8,
        "max_model_len": 512, "max_num_seqs": 4, "warmup_requests": 1,
    }  # fmt: skip
    partner = sessions.partner(
        sessions.session("vllm", **settings), "vllm", path=model, max_model_len=256, seed=5
    )
    points = ()
    for name, given in METHODS.items():
        spec = MethodSpec(name=name, parameters=method_of(name, given).model_dump(mode="json"))
        made = sessions.session("vllm", method=spec, partners={"large": partner}, **settings)
        points += made.points
    session = made.model_copy(update={"points": points})
    file, lake = tmp_path / "session.json", tmp_path / "lake"
    file.write_text(session.model_dump_json())
    command = [sys.executable, "-m", "isocost.generate", "--session", str(file)]
    done = subprocess.run(
        [*command, "--lake", str(lake)], capture_output=True, text=True, timeout=500
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert verify_bank(lake).faults == ()

    calls = read_raw(lake, "raw_generations")
    assert calls.filter("is_warmup")["partner"].to_list().count("large") == 1
    real = calls.filter(~pl.col("is_warmup")).sort("call_id")
    asked = real.select("method", "role", "partner").unique()
    # No answer of a random model is that likely, so every sample is passed on.
    assert {("cascade", "solve", None), ("cascade", "escalate", "large"),
            ("speculative_reasoning", "step", None),
            ("speculative_reasoning", "score", "large")} <= set(asked.rows())  # fmt: skip
    judged = real.filter(role="score")
    assert judged["choice_logprobs"].list.len().unique().to_list() == [10]
    assert judged["output_tokens"].unique().to_list() == [1]
    prompts = real.filter(method="cascade").select("sample_id", "prompt_tokens").unique()
    assert prompts.height == 2  # both models are asked the same
    steps = read_raw(lake, "raw_steps")
    for partner_alias in (None, "large"):
        is_its = pl.col("partner").eq_missing(pl.lit(partner_alias))
        generated = calls.filter(is_its)["output_tokens"].sum()
        assert steps.filter(is_its)["output_tokens"].sum() == generated > 0
    assert steps["step_index"].is_unique().all()
    [manifest] = read_manifests(lake)
    resolved = [manifest.info["engine"], manifest.info["partners"]["large"]]
    assert [one["resolved"]["model"]["max_model_len"] for one in resolved] == [512, 256]
    assert [one["resolved"]["model"]["seed"] for one in resolved] == [0, 5]
    window = manifest.info["window"]
    times = real.select("scheduled_s", "last_token_s")
    assert window["start_s"] <= times["scheduled_s"].min() < times["last_token_s"].max()
    assert times["last_token_s"].max() <= window["end_s"]  # one clock for both processes
