"""Three real vLLM engines in one session: each with its own model, tokens and steps.

The third is a process reward model in vLLM's pooling runner: a tiny random one, so its scores mean
nothing.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "payload"))
import sessions

from isocost.bank.reader import read_manifests, read_raw
from isocost.bank.verify import verify_bank
from isocost.engines.vllm_scorer import VllmScorer
from isocost.errors import IsocostError
from isocost.methods import method_of
from isocost.payload.work import engine_settings
from isocost.sweep.models import MethodSpec

pytestmark = [
    pytest.mark.pipeline,
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed"),
]
METHODS = [
    ("cascade", {"thresholds": [0]}),
    ("speculative_reasoning", {"separator": "e", "steps": 2}),
    (
        "beam_search",
        {"scorer": "process_reward", "width": 1, "expansions": 2, "depth": 2, "separator": "e"},
    ),
]


def make_tiny_reward_model(folder: Path, llama: Path) -> Path:
    """A random Qwen2 process reward model with the tokenizer of a tiny llama and a step tag."""
    import torch
    from safetensors.torch import save_file
    from transformers import AutoTokenizer, Qwen2Config

    folder.mkdir()
    tokenizer = AutoTokenizer.from_pretrained(llama)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<extra_0>"]})
    tokenizer.save_pretrained(folder)
    words, size = len(tokenizer), 64
    config = Qwen2Config(
        vocab_size=words, hidden_size=size, intermediate_size=2 * size, num_hidden_layers=1,
        num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=512,
    )  # fmt: skip
    architecture = {"architectures": ["Qwen2ForProcessRewardModel"], "num_labels": 2}
    (folder / "config.json").write_text(json.dumps(config.to_dict() | architecture))
    torch.manual_seed(0)
    shapes = {"model.embed_tokens.weight": (words, size), "model.norm.weight": (size,),
              "score.0.weight": (size, size), "score.0.bias": (size,),
              "score.2.weight": (2, size), "score.2.bias": (2,)}  # fmt: skip
    layer = "model.layers.0."
    for name in ("q", "k", "v", "o"):
        shapes[f"{layer}self_attn.{name}_proj.weight"] = (size, size)
        shapes |= {f"{layer}self_attn.{name}_proj.bias": (size,)} if name != "o" else {}
    shapes |= {f"{layer}mlp.{name}_proj.weight": (2 * size, size) for name in ("gate", "up")}
    shapes |= {f"{layer}mlp.down_proj.weight": (size, 2 * size)}
    shapes |= {f"{layer}{name}_layernorm.weight": (size,) for name in ("input", "post_attention")}
    weights = {name: torch.randn(shape) * 0.3 for name, shape in shapes.items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


@pytest.fixture(scope="module")
def lake(tmp_path_factory) -> Path:
    from isocost.engines.prepare import make_tiny_llama

    folder = tmp_path_factory.mktemp("partners")
    llama = make_tiny_llama(folder / "tiny-random-llama")
    settings = {
        "path": str(llama), "problems": 2, "samples": 1, "prompts": ("direct",), "max_tokens": 16,
        "max_model_len": 512, "max_num_seqs": 4, "warmup_requests": 1,
    }  # fmt: skip
    like = sessions.session("vllm", **settings)
    reward = make_tiny_reward_model(folder / "tiny-reward", llama)
    partners = {
        "large": sessions.partner(like, "vllm", path=str(llama), max_model_len=256, seed=5),
        "reward": sessions.partner(like, "vllm_scorer", path=str(reward), max_model_len=256),
    }
    points = ()
    for name, given in METHODS:
        spec = MethodSpec(name=name, parameters=method_of(name, given).model_dump(mode="json"))
        made = sessions.session("vllm", method=spec, partners=partners, **settings)
        points += made.points
    session = made.model_copy(update={"points": points})

    odd = partners["reward"].model_copy(update={"options": {"step_tag": "two words"}})
    broken = session.model_copy(update={"partners": {"reward": odd}})
    with pytest.raises(IsocostError, match="and must be one") as caught:
        VllmScorer(engine_settings(broken, 0, "reward")).check()
    assert caught.value.where == "engine.options.step_tag"

    file, lake = folder / "session.json", folder / "lake"
    file.write_text(session.model_dump_json())
    command = [sys.executable, "-m", "isocost.generate", "--session", str(file)]
    done = subprocess.run(
        [*command, "--lake", str(lake)], capture_output=True, text=True, timeout=500
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert verify_bank(lake).faults == ()
    return lake


def test_a_search_is_scored_by_a_process_reward_model(lake):
    calls = read_raw(lake, "raw_generations").filter(~pl.col("is_warmup"), method="beam_search")
    scored, steps = calls.filter(role="score"), calls.filter(role="step")
    assert scored.height == steps.height > 0
    assert set(scored["partner"]) == {"reward"} and set(steps["partner"]) == {None}
    flat = scored["step_scores"].explode()
    assert flat.is_between(0, 1).all() and flat.n_unique() > 1
    assert set(scored["step_scores"].list.len()) == {1, 2}
    assert set(scored["output_tokens"]) == {0} and scored["prompt_tokens"].min() > 10
    made = read_raw(lake, "raw_steps").filter(partner="reward", is_warmup=False)
    assert made.height > 0 and made["output_tokens"].sum() == 0


def test_all_engines_answer_and_are_distinguished(lake):
    calls = read_raw(lake, "raw_generations")
    assert calls.filter("is_warmup")["partner"].to_list().count("large") == 1
    real = calls.filter(~pl.col("is_warmup")).sort("call_id")
    asked = real.select("method", "role", "partner").unique()
    # No answer of a random model is that likely, so every sample is passed on.
    assert {("cascade", "solve", None), ("cascade", "escalate", "large"),
            ("speculative_reasoning", "step", None),
            ("speculative_reasoning", "score", "large")} <= set(asked.rows())  # fmt: skip
    judged = real.filter(role="score", partner="large")
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
