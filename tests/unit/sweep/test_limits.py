"""Model folders, contexts and caches are checked before an engine starts."""

from __future__ import annotations

import json

import pytest

from isocost.errors import IsocostError
from isocost.sweep import model_folder, sweep_from_text
from isocost.sweep.limits import check_models, kv_bytes_per_token

CONFIG = {
    "num_hidden_layers": 30,
    "num_key_value_heads": 3,
    "num_attention_heads": 9,
    "hidden_size": 576,
    "head_dim": 64,
    "max_position_embeddings": 2048,
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("ISOCOST_CACHE", str(tmp_path))
    made = tmp_path / "models" / "small"
    made.mkdir(parents=True)
    (made / "config.json").write_text(json.dumps(CONFIG))
    (made / "model.safetensors").write_bytes(b"0" * 1000)
    (made / "tokenizer.json").touch()
    return made


def spec(path="cache:small", length=512, cache="64 MiB", engine="vllm"):
    return sweep_from_text(
        f"""sweep: s
models: {{name: small, path: "{path}", dtype: bfloat16}}
engine:
  engine: {engine}
  max_model_len: {length}
  kv_cache_bytes: {cache}
tasks: {{name: t, source: inline, dataset: d, n_problems: 1, verifier: exact}}
prompts: {{name: p, template: "{{question}}"}}
grid: {{temperature: 1.0, max_tokens: 8}}
samples_per_problem: 1
""",
        "f.yaml",
    )


def test_a_good_model_passes(folder):
    check_models(spec(), memory_bytes=2**30)
    check_models(spec(path=str(folder)))


def test_cache_names_a_folder_of_the_model_cache(folder):
    assert model_folder("cache:small") == folder


def test_bytes_of_a_token_follow_the_architecture():
    """SmolLM2-135M: 2 x 30 layers x 3 heads x 64 x 2 bytes."""
    assert kv_bytes_per_token(CONFIG, "bfloat16") == 23_040
    assert kv_bytes_per_token(CONFIG, "float32") == 46_080
    assert kv_bytes_per_token({**CONFIG, "torch_dtype": "float32"}, "auto") == 46_080
    assert kv_bytes_per_token({**CONFIG, "head_dim": None}, "bfloat16") == 23_040
    assert kv_bytes_per_token({"model_type": "mamba"}, "bfloat16") is None


@pytest.mark.parametrize(
    ("changes", "memory", "where", "what"),
    [
        ({"path": "cache:smal"}, None, "f.yaml line 2: models[0].path", "does not exist"),
        (
            {"length": 4096},
            None,
            "f.yaml line 5: engine.max_model_len",
            "exceed the context length of",
        ),
        ({"cache": "8 MiB"}, None, "f.yaml line 6: engine.kv_cache_bytes", "needs 11,796,480"),
        (
            {"cache": "8 GiB"},
            2**32,
            "f.yaml line 6: engine.kv_cache_bytes",
            "exceed this machine's memory",
        ),
    ],
)
def test_what_cannot_run_is_reported_by_key(folder, changes, memory, where, what):
    with pytest.raises(IsocostError) as caught:
        check_models(spec(**changes), memory_bytes=memory)
    assert caught.value.where == where
    assert what in caught.value.what
    assert caught.value.remedy


def test_a_near_name_is_offered(folder):
    with pytest.raises(IsocostError, match="Did you mean small"):
        check_models(spec(path="cache:smal"))


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("config.json", None, "has no config.json"),
        ("config.json", "{", "is not JSON"),
        ("model.safetensors", None, "no weights"),
        ("tokenizer.json", None, "no tokenizer"),
    ],
)
def test_half_a_model_is_reported(folder, name, content, what):
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_text(content)
    with pytest.raises(IsocostError, match=what):
        check_models(spec())


def test_other_engines_need_no_folder(tmp_path):
    check_models(spec(path="served-elsewhere", engine="openai"))
