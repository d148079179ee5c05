"""The vLLM engine's parts that need no vLLM.

Refusals before a start, bindings, arrays from flat log-probabilities.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from isocost.capabilities import capabilities_of, engine_names
from isocost.engines import model_folder, vllm_arguments, vllm_settings
from isocost.engines.model_folder import ModelFolder
from isocost.engines.protocol import EngineSettings, engine_class
from isocost.engines.vllm import (
    VllmEngine,
    encode_chat,
    flat_logprobs,
    plain,
)
from isocost.engines.vllm_settings import omp_binding, set_environment, why_not_compiled
from isocost.errors import IsocostError


def settings(path: Path, **changes) -> EngineSettings:
    values = {
        "model_path": str(path), "model_name": "tiny", "dtype": "float32", "quantization": None, "revision": None, "seed": 0,
        "max_model_len": 256, "kv_cache_bytes": 2**26, "max_num_seqs": 4, "max_num_batched_tokens": 512, "block_size": None,
        "enable_prefix_caching": True, "enforce_eager": True, "logprobs_k": 5, "options": {},
    }  # fmt: skip
    return EngineSettings(**(values | changes))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "models" / "tiny"
    path.mkdir(parents=True)
    config = {
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "hidden_size": 576,
        "dtype": "bfloat16",
    }
    (path / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 8192}))
    (path / "tokenizer.json").write_text("{}")
    (path / "model.safetensors").write_bytes(bytes(1000))
    return path


LOADING = [name for name in engine_names() if capabilities_of(name).loads_model]
"""Engines that load a model: what one refuses before it starts, all do."""


@pytest.fixture(params=sorted({*LOADING} - {"vllm_scorer"}))  # which needs a real tokenizer
def engine(request: pytest.FixtureRequest) -> type:
    return engine_class(request.param)


def test_a_sound_folder_passes(engine, folder):
    engine(settings(folder)).check()


@pytest.mark.parametrize(
    ("hurt", "said"),
    [
        (
            lambda f: f.rename(f.with_name("gone")),
            r"folder .*models/tiny does not exist.*isocost.engines.prepare tiny",
        ),
        (lambda f: (f / "config.json").unlink(), "config.json is missing"),
        (lambda f: (f / "config.json").write_text("{"), "not valid JSON"),
        (lambda f: (f / "tokenizer.json").unlink(), "no tokenizer"),
        (lambda f: (f / "model.safetensors").unlink(), "no weights"),
    ],
)
def test_a_folder_that_lacks_something_is_refused_with_the_remedy(engine, folder, hurt, said):
    hurt(folder)
    with pytest.raises(IsocostError, match=said):
        engine(settings(folder)).check()


@pytest.mark.parametrize(
    ("hurt", "said"),
    [
        (lambda patch: os.environ.update(PATH="/nowhere"), r"no C\+\+ compiler \(g\+\+\)"),
        (lambda patch: os.environ.update(CXX="no-such-compiler"), "no-such-compiler"),
        (
            lambda patch: patch.setattr(sys, "prefix", "/home/me/my papers/.venv"),
            "contains a space",
        ),
    ],
)
def test_without_a_compiler_small_functions_run_uncompiled_and_a_model_is_refused(
    engine, folder, monkeypatch, hurt, said
):
    monkeypatch.setattr(vllm_settings, "is_cpu_build", lambda: True)
    monkeypatch.setattr(os, "environ", dict(os.environ))  # a copy to change
    monkeypatch.setattr(
        vllm_settings.shutil,
        "which",
        lambda name: "/usr/bin/g++" if name == "g++" and os.environ["PATH"] != "/nowhere" else None,
    )
    os.environ.pop("CXX", None)
    os.environ.pop("TORCH_COMPILE_DISABLE", None)
    assert why_not_compiled() is None
    set_environment(multiprocessing=False)
    assert "TORCH_COMPILE_DISABLE" not in os.environ
    hurt(monkeypatch)
    engine(settings(folder)).check()
    set_environment(multiprocessing=False)
    assert os.environ["TORCH_COMPILE_DISABLE"] == "1"
    with pytest.raises(IsocostError, match=said):
        engine(settings(folder, enforce_eager=False)).check()


def test_a_kv_cache_too_small_for_one_sequence_is_refused_with_both_numbers(engine, folder):
    # 2 (keys and values) x 30 layers x 3 heads x 64 channels x 4 bytes = 46,080 bytes a token
    assert ModelFolder(folder, "tiny").kv_bytes_per_token("float32") == 46_080
    needed = 46_080 * 256
    engine(settings(folder, kv_cache_bytes=needed)).check()
    with pytest.raises(IsocostError, match=f"fits 255 tokens.*needs {needed} bytes"):
        engine(settings(folder, kv_cache_bytes=needed - 1)).check()
    engine(settings(folder, kv_cache_bytes=needed // 2, dtype="bfloat16")).check()


@pytest.mark.parametrize("name", ["max_model_len", "kv_cache_bytes", "dtype"])
def test_what_only_a_server_may_leave_open_is_asked_for(
    engine: type, folder: Path, name: str
) -> None:
    with pytest.raises(IsocostError, match="needs max_model_len, kv_cache_bytes and dtype"):
        engine(settings(folder, **{name: None})).check()


def test_more_than_the_free_memory_or_the_models_positions_is_refused(engine, folder, monkeypatch):
    with pytest.raises(IsocostError, match="8192 positions"):
        engine(settings(folder, max_model_len=8193, kv_cache_bytes=2**40)).check()
    monkeypatch.setattr(model_folder, "free_memory", lambda: 2**26 + 1999)
    with pytest.raises(IsocostError, match="more memory than is free"):
        ModelFolder(folder, "tiny").check_memory(2**26, dtype="float32")
    ModelFolder(folder, "tiny").check_memory(
        2**26, dtype="bfloat16"
    )  # 1000 bytes of weights as stored, 2000 as float32


def test_free_memory_is_read_from_the_kernel():
    assert 2**24 < (model_folder.free_memory() or 0) < 2**50


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"tensor_paralel_size": 2}, "tensor_paralel_size"),
        ({"tensor_parallel_size": "2"}, "must be int, is str"),
        ({"tensor_parallel_size": True}, "must be int, is bool"),
        ({"engine_args": {"seed": 3}}, "set by the session itself"),
        ({"gpu_memory_utilisation": 0.5}, "Did you mean gpu_memory_utilization"),
        ({"max_logprob": 3}, "Put vLLM's own arguments under engine_args"),
    ],
)
def test_wrong_options_are_refused(folder, options, said):
    with pytest.raises(IsocostError, match=said):
        VllmEngine(settings(folder, options=options))


def test_arguments_of_vllm_are_known_without_importing_it(folder, monkeypatch):
    known = vllm_arguments.known_arguments()
    if known is None:
        pytest.skip("vLLM is not installed here")
    assert {"model", "kv_cache_memory_bytes", "speculative_config", "max_num_active_seqs"} <= known
    VllmEngine(settings(folder, options={"engine_args": {"max_num_active_seqs": 1}}))
    with pytest.raises(IsocostError, match="Did you mean max_num_active_seqs") as caught:
        VllmEngine(settings(folder, options={"engine_args": {"max_num_activ_seqs": 1}}))
    assert caught.value.where == "engine.options.engine_args.max_num_activ_seqs"
    monkeypatch.setattr(
        vllm_arguments, "known_arguments", lambda: None
    )  # not installed: vLLM tells when it starts
    VllmEngine(settings(folder, options={"engine_args": {"max_num_activ_seqs": 1}}))


def test_engines_are_found_by_name():
    assert engine_class("vllm") is VllmEngine
    with pytest.raises(
        IsocostError, match=r"Did you mean vllm. Known engines: openai, replay, vllm"
    ):
        engine_class("llama")


def test_flat_logprobs_put_the_generated_token_first_and_keep_exactly_k():
    flat = SimpleNamespace(start_indices=[0, 3], logprobs=[-2.0, -0.5, -1.0, -0.1, -0.1, -3.0])
    found = flat_logprobs(flat, 2, 2, 100)
    assert found is not None
    assert np.array_equal(found.sampled, [-2.0, -0.1]) and np.array_equal(
        found.top, [[-0.5, -1.0], [-0.1, -3.0]]
    )
    assert flat_logprobs(flat, 2, 3, 100) is None and flat_logprobs(None, 2, 2, 100) is None
    only = flat_logprobs(SimpleNamespace(start_indices=[0], logprobs=[-2.0]), 1, 0, 100)
    assert only is not None and only.top.shape == (1, 0)


def test_omp_binding_uses_every_core_it_may():
    assert [omp_binding(c) for c in ([0, 1], [3], [0, 1, 2, 5, 7, 8])] == ["0-1", "3", "0-2,5,7-8"]


def test_a_base_model_without_a_chat_template_gets_plain_text():
    class Plain:
        chat_template = None

        def __call__(self, text):
            return {"input_ids": [len(text)]}

    class Chat:
        chat_template = "x"

        def apply_chat_template(self, messages, add_generation_prompt, tokenize):
            assert add_generation_prompt and tokenize
            return {"input_ids": [len(m["content"]) for m in messages]}

    messages = [{"role": "system", "content": "abc"}, {"role": "user", "content": "defg"}]
    assert encode_chat(Plain(), messages) == [9] and encode_chat(Chat(), messages) == [3, 4]


def test_configuration_values_become_json():
    assert (
        json.dumps([plain(v) for v in (None, True, 3, "x", Path("/a"))])
        == '[null, true, 3, "x", "/a"]'
    )


class Words:
    """A tokenizer of which a character is a token, and token 0 ends a turn."""

    eos_token_id = 0
    chat_template = None

    def __call__(self, text, add_special_tokens=True):
        return {"input_ids": [9] * add_special_tokens + [ord(letter) for letter in text]}


@pytest.mark.parametrize(
    ("prefix", "text", "after"),
    [
        ((), "", []),
        ((5, 6), "", [5, 6]),
        ((5, 6), "ab", [5, 6, 97, 98]),
        ((5, 0), "ab", [5, 97, 98]),  # the model went on where it had stopped
        ((0,), "ab", [97, 98]),
        ((0, 5), "", [0, 5]),
    ],
)
def test_a_turn_goes_on_after_given_tokens_and_text(folder, prefix, text, after):
    engine = VllmEngine(settings(folder))
    engine._tokenizer = Words()
    request = SimpleNamespace(
        messages=[{"role": "user", "content": "q"}], prefix=prefix, continuation=text, choices=()
    )
    assert engine._whole_prompt(request) == [9, ord("q"), *after]
    assert engine.room(request) == 256 - 2 - len(after)


def test_what_continues_a_plain_text_keeps_its_special_tokens(folder):
    engine = VllmEngine(settings(folder))
    engine._tokenizer = SimpleNamespace(decode=lambda tokens, skip_special_tokens: "a")
    choice = SimpleNamespace(
        token_ids=[1, 2], stop_reason=None, text="a<|x|>", finish_reason="length", logprobs=None
    )
    names = ("queued_ts", "scheduled_ts", "first_token_ts", "last_token_ts", "num_preemptions")
    output = SimpleNamespace(
        request_id="r",
        outputs=[choice],
        metrics=SimpleNamespace(arrival_time=1.0, **dict.fromkeys(names, 0)),
        prompt_token_ids=[5],
        num_cached_tokens=0,
    )
    engine._texts.add("r")
    assert engine._completion(output).text == "a<|x|>"
    assert engine._completion(output).text == "a" and not engine._texts  # a chat
