"""LoRA adapters: what a folder must have, whether it fits a model, what it costs."""

from __future__ import annotations

import json
from pathlib import Path

import adapters
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isocost.costs import forward_flops, load_book
from isocost.engines import vllm_serve
from isocost.engines.adapter_folder import AdapterFolder, tensor_shapes
from isocost.engines.protocol import EngineSettings, engine_class
from isocost.engines.vllm_settings import adapter_arguments
from isocost.errors import IsocostError


def settings(model: Path, adapter: Path | None) -> EngineSettings:
    return EngineSettings(
        model_path=str(model), model_name="tiny", dtype="float32", quantization=None, revision=None,
        seed=0, max_model_len=64, kv_cache_bytes=2**26, max_num_seqs=4, max_num_batched_tokens=512,
        block_size=None, enable_prefix_caching=True, enforce_eager=True, logprobs_k=5, options={},
        adapter_path=None if adapter is None else str(adapter),
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return adapters.write(tmp_path / "adapter", adapters.files())


@pytest.fixture
def model(tmp_path: Path) -> Path:
    config = {"num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1}
    config |= {"hidden_size": 64, "max_position_embeddings": 128, "dtype": "float32"}
    return adapters.write(
        tmp_path / "model",
        {
            "config.json": json.dumps(config).encode(),
            "tokenizer.json": b"{}",
            "model.safetensors": adapters.safetensors(adapters.weights()),
        },
    )


def test_a_sound_adapter_passes_and_says_its_size(folder, model):
    adapter = AdapterFolder(folder, "model tiny")
    adapter.check_fits(model)
    # two layers; q: 4 x 64 + 64 x 4, v: 4 x 64 + 32 x 4
    assert (adapter.rank(), adapter.parameters()) == (4, 2 * (256 + 256 + 256 + 128))


@pytest.mark.parametrize("engine", ["vllm", "vllm_serve"])
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda f: f.rename(f.with_name("gone")), "adapter folder .* does not exist"),
        (lambda f: (f / "adapter_config.json").unlink(), "has no adapter_config.json"),
        (lambda f: (f / "adapter_config.json").write_text("{"), "is not JSON"),
        (lambda f: (f / "adapter_config.json").write_text("[]"), "is not a JSON object"),
        (lambda f: (f / "adapter_model.safetensors").unlink(), "has no adapter_model.safetensors"),
        (lambda f: (f / "adapter_model.safetensors").write_bytes(b"\0" * 20), "cannot be read"),
        (lambda f: (f / "adapter_model.safetensors").write_bytes(b"pickle, no weights"), "cannot be read"),
        (lambda f: adapters.write(f, adapters.files(peft_type="IA3")), "of the kind IA3, not LORA"),
        (lambda f: adapters.write(f, adapters.files(use_dora=True)), "uses use_dora"),
        (lambda f: adapters.write(f, adapters.files(r=None)), "has no rank r"),
        (lambda f: adapters.write(f, adapters.files(513)), "rank 513, and vLLM applies at most 512"),
        (
            lambda f: adapters.write(f, {"adapter_model.safetensors": adapters.safetensors(adapters.pairs(hidden=128))}),
            "model.layers.0.self_attn.q_proj.weight of 128 x 128 weights; in the model it has 64 x 64",
        ),
        (
            lambda f: adapters.write(f, {"adapter_model.safetensors": adapters.safetensors(adapters.pairs(prefix="base_model.model.gpt"))}),
            "no layer that it changes is in the model",
        ),
        (
            lambda f: adapters.write(f, {"adapter_model.safetensors": adapters.safetensors({"x": (2, 2)})}),
            "has no LoRA weights",
        ),
    ],
)  # fmt: skip
def test_what_is_missing_or_does_not_fit_is_refused_before_a_start(
    folder, model, engine, change, said
):
    made = engine_class(engine)
    made(settings(model, folder)).check()
    change(folder)
    with pytest.raises(IsocostError, match=said) as error:
        made(settings(model, folder)).check()
    assert error.value.remedy


def test_weights_that_cannot_be_compared_are_left_to_vllm(folder, model):
    (model / "model.safetensors").rename(model / "pytorch_model.bin")
    AdapterFolder(folder, "m").check_fits(model)


def test_both_engines_are_told_the_adapter_and_clients_get_it_by_the_models_name(folder, model):
    told = adapter_arguments(settings(model, folder))
    assert told == {"enable_lora": True, "max_loras": 1, "max_lora_rank": 8}
    assert adapter_arguments(settings(model, None)) == {}
    words = vllm_serve.arguments(settings(model, folder), {}, 1)
    text = " ".join(words)
    assert f"--lora-modules tiny={folder}" in text and "--enable-lora" in text
    assert "--served-model-name tiny-without-adapter" in text
    bare = " ".join(vllm_serve.arguments(settings(model, None), {}, 1))
    assert "lora" not in bare and "--served-model-name tiny --" in bare


@given(st.integers(1, 64), st.lists(st.tuples(st.integers(1, 99), st.integers(1, 99)), min_size=1))
def test_an_adapter_costs_two_products_per_token(rank, layers):
    card = load_book().model("llama-3-8b")
    parameters = sum(rank * (d_in + d_out) for d_in, d_out in layers)
    prompt, output, cached = np.array([9, 40]), np.array([1, 7]), np.array([0, 16])
    more = forward_flops(
        card.with_adapter(parameters), prompt, output, cached_tokens=cached
    ) - forward_flops(card, prompt, output, cached_tokens=cached)
    tokens = prompt + output - 1 - cached
    assert np.allclose(
        more, tokens * sum(2 * rank * (d_in + d_out) for d_in, d_out in layers), rtol=0, atol=8192
    )


def test_the_header_is_read_as_the_library_writes_it(tmp_path):
    numpy_files = pytest.importorskip("safetensors.numpy")
    file = tmp_path / "x.safetensors"
    numpy_files.save_file({"a": np.zeros((3, 5)), "b": np.zeros(7)}, file, metadata={"k": "v"})
    assert tensor_shapes(file) == {"a": (3, 5), "b": (7,)}
