"""A sweep is checked as a whole, across rooms, and each mistake shows its line in the sweep file."""

from __future__ import annotations

import json

import pytest

from isocost.errors import IsocostError
from isocost.intake.preflight import preflight

pytestmark = pytest.mark.slow

SWEEP = """sweep: s
models: {name: m, path: "cache:small", dtype: float32}
engine: {max_model_len: 128, kv_cache_bytes: 64 MiB}
tasks:
  - name: t
    source: reasoning_gym
    dataset: letter_counting
    config:
      min_words: 1
      max_words: 2
    n_problems: 2
    verifier: numeric
prompts: {name: p, template: "{question}"}
grid: {temperature: 1.0, max_tokens: 8}
samples_per_problem: 2
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("ISOCOST_CACHE", str(tmp_path))
    folder = tmp_path / "models" / "small"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"max_position_embeddings": 2048}))
    for name in ("model.safetensors", "tokenizer.json"):
        (folder / name).touch()
    return tmp_path


def test_a_good_sweep_passes(place):
    (place / "s.yaml").write_text(SWEEP)
    assert preflight(place / "s.yaml").sweep == "s"


@pytest.mark.parametrize(
    ("old", "new", "line", "key", "stated"),
    [
        (
            "letter_counting",
            "letter_countin",
            7,
            "tasks[0].dataset",
            "Did you mean letter_counting",
        ),
        ("reasoning_gym", "reasoning-gym", 6, "tasks[0].source", "Did you mean reasoning_gym"),
        ("verifier: numeric", "verifier: numbers", 12, "tasks[0].verifier", "Did you mean numeric"),
        ("min_words: 1", "min_word: 1", 9, "tasks[0].config.min_word", "Did you mean min_words"),
        (
            "dtype: float32",
            "dtype: float32, reasoning_parser: qwen2",
            2,
            "models[0].reasoning_parser",
            "Did you mean qwen3",
        ),
        (
            "cache:small",
            "folder/model.Q4.gguf",
            2,
            "models[0].path",
            "isocost.engines.prepare folder/model.Q4.gguf",
        ),
        ("cache:small", "cache:smal", 2, "models[0].path", "Did you mean small"),
        (
            "64 MiB}",
            "64 MiB, options: {load_fromat: dummy}}",
            3,
            "engine.options.load_fromat",
            "Did you mean load_format",
        ),
        (
            "64 MiB}",
            "64 MiB, options: {in_flight: 0}}",
            3,
            "engine.options.in_flight",
            "positive whole number",
        ),
        (
            "64 MiB}",
            "64 MiB, options: {engine_args: {dtype: half}}}",
            3,
            "engine.options.engine_args.dtype",
            "set by the session itself",
        ),
        ("max_model_len: 128", "max_model_len: 4096", 3, "engine.max_model_len", "at most 2048"),
    ],
)
def test_each_mistake_names_line_and_key(place, old, new, line, key, stated):
    path = place / "s.yaml"
    path.write_text(SWEEP.replace(old, new))
    with pytest.raises(IsocostError) as caught:
        preflight(path)
    assert caught.value.where == f"{path} line {line}: {key}"
    assert stated in str(caught.value)


def test_a_plan_for_another_machine_needs_no_model_here(place):
    path = place / "s.yaml"
    path.write_text(SWEEP.replace("cache:small", "cache:elsewhere"))
    assert preflight(path, has_models=False).sweep == "s"


def test_a_method_that_needs_a_context_is_refused_for_problems_without_one(place):
    rows = place / "rows.jsonl"
    rows.write_text(
        '{"question": "a", "reference": "1", "about": "x"}\n' * 2
        + '{"question": "b", "reference": "2", "about": "x"}\n'
    )
    text = SWEEP.replace("max_tokens: 8}", "max_tokens: 8, method: sleep_time}")
    text = text.replace("source: reasoning_gym", "source: jsonl")
    text = text.replace("dataset: letter_counting", f"dataset: {rows}")
    config = "    config:\n      min_words: 1\n      max_words: 2\n"
    assert config in text
    (place / "s.yaml").write_text(text.replace(config, ""))
    with pytest.raises(IsocostError) as error:
        preflight(place / "s.yaml")
    assert "method sleep_time needs the context" in error.value.what
    assert error.value.where == "task t, rows.jsonl line 1, field context"
    (place / "s.yaml").write_text(text.replace(config, "    config: {context: about}\n"))
    assert preflight(place / "s.yaml").sweep == "s"
