"""A process reward model in vLLM's pooling runner: a tiny random one, so scores mean nothing."""

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

from isocost.bank.reader import read_raw
from isocost.engines.vllm_scorer import VllmScorer
from isocost.errors import IsocostError
from isocost.methods import method_of
from isocost.payload.work import engine_settings
from isocost.sweep.models import MethodSpec

pytestmark = [
    pytest.mark.pipeline,
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed"),
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


def test_a_search_is_scored_by_a_process_reward_model(tmp_path):
    from isocost.engines.prepare import make_tiny_llama

    llama = make_tiny_llama(tmp_path / "tiny-random-llama")
    reward = make_tiny_reward_model(tmp_path / "tiny-reward", llama)
    settings = {
        "path": str(llama), "problems": 2, "samples": 1, "prompts": ("direct",), "max_tokens": 16,
        "max_model_len": 256, "max_num_seqs": 4, "warmup_requests": 1,
    }  # fmt: skip
    like = sessions.session("vllm", **settings)
    partner = sessions.partner(like, "vllm_scorer", path=str(reward))
    given = {"scorer": "process_reward", "width": 1, "expansions": 2, "depth": 2, "separator": "e"}
    spec = MethodSpec(
        name="beam_search", parameters=method_of("beam_search", given).model_dump(mode="json")
    )
    session = sessions.session("vllm", method=spec, partners={"reward": partner}, **settings)

    odd = partner.model_copy(update={"options": {"step_tag": "two words"}})
    broken = session.model_copy(update={"partners": {"reward": odd}})
    with pytest.raises(IsocostError, match="and must be one") as caught:
        VllmScorer(engine_settings(broken, 0, "reward")).check()
    assert caught.value.where == "engine.options.step_tag"

    file, lake = tmp_path / "session.json", tmp_path / "lake"
    file.write_text(session.model_dump_json())
    command = [sys.executable, "-m", "isocost.generate", "--session", str(file)]
    done = subprocess.run(
        [*command, "--lake", str(lake)], capture_output=True, text=True, timeout=500
    )
    assert done.returncode == 0, done.stdout + done.stderr
    calls = read_raw(lake, "raw_generations").filter(~pl.col("is_warmup"))
    scored, steps = calls.filter(role="score"), calls.filter(role="step")
    assert scored.height == steps.height > 0
    assert set(scored["partner"]) == {"reward"} and set(steps["partner"]) == {None}
    flat = scored["step_scores"].explode()
    assert flat.is_between(0, 1).all() and flat.n_unique() > 1
    assert set(scored["step_scores"].list.len()) == {1, 2}
    assert set(scored["output_tokens"]) == {0} and scored["prompt_tokens"].min() > 10
    made = read_raw(lake, "raw_steps").filter(partner="reward", is_warmup=False)
    assert made.height > 0 and made["output_tokens"].sum() == 0
