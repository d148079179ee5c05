"""Every mistake in a sweep file is one error that names file, line, key and what would be right."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isocost.errors import IsocostError
from isocost.sweep import SweepSpec, load_sweep, sweep_from_text
from isocost.sweep.expand import model_variants

GOOD = """sweep: s
models:
  - {name: a, path: pa, dtype: float32}
engine:
  max_model_len: 256
  kv_cache_bytes: 1 GiB
  max_num_seqs: 8
tasks:
  - {name: t, source: inline, dataset: d, n_problems: 1, verifier: exact}
prompts:
  - name: direct
    template: "{question}"
grid:
  temperature: [0.5, 1.0]
  max_tokens: 16
samples_per_problem: 4
"""


def fault(old, new):
    assert old in GOOD
    with pytest.raises(IsocostError) as caught:
        sweep_from_text(GOOD.replace(old, new, 1), "f.yaml")
    return caught.value


@pytest.mark.parametrize(
    ("old", "new", "where", "what", "remedy"),
    [
        (
            "  temperature:",
            "  temprature:",
            "f.yaml line 14: grid.temprature",
            "unknown key temprature",
            "Did you mean temperature?",
        ),
        ("engine:", "engin:", "f.yaml line 4: engin", "unknown key engin", "Did you mean engine?"),
        (
            "samples_per_problem: 4",
            "samples_per_problem: 4\nbank: {telemetry: amdsim}",
            "f.yaml line 17: bank.telemetry",
            "no power source is called 'amdsim'",
            "Did you mean amdsmi? Known power sources: amdsmi, auto, none, nvml, rapl.",
        ),
        (
            "samples_per_problem: 4",
            "",
            "f.yaml line 1: samples_per_problem",
            "is missing",
            "Add it",
        ),
        (
            "[0.5, 1.0]",
            "[]",
            "f.yaml line 14: grid.temperature",
            "zero points",
            "at least one value",
        ),
        (
            "models:\n  - {name: a, path: pa, dtype: float32}",
            "models: []",
            "f.yaml line 2: models",
            "zero points",
            "at least one",
        ),
        (
            "[0.5, 1.0]",
            "[0.5, 0]",
            "f.yaml line 14: grid.temperature[1]",
            "greedy",
            "temperature above 0",
        ),
        (
            "[0.5, 1.0]",
            "[0.5, 3.0]",
            "f.yaml line 14: grid.temperature[1]",
            "less than or equal to 2",
            "",
        ),
        ("[0.5, 1.0]", "[0.5, .nan]", "f.yaml line 14: grid.temperature[1]", "", ""),
        ("[0.5, 1.0]", "[0.5, '1.0']", "f.yaml line 14: grid.temperature[1]", "valid number", ""),
        (
            "[0.5, 1.0]",
            "[0.5, 0.5]",
            "f.yaml line 13: grid",
            "the same point occurs twice",
            "repeated",
        ),
        (
            "max_tokens: 16",
            "max_tokens: 256",
            "f.yaml line 15: grid.max_tokens",
            "no room for a prompt",
            "max_model_len (256)",
        ),
        (
            "max_tokens: 16",
            "max_tokens: 0",
            "f.yaml line 15: grid.max_tokens[0]",
            "greater than or equal to 1",
            "",
        ),
        (
            "max_tokens: 16",
            "max_tokens: 1.5",
            "f.yaml line 15: grid.max_tokens[0]",
            "valid integer",
            "",
        ),
        (
            "max_num_seqs: 8",
            "max_num_seqs: 8000",
            "f.yaml line 4: engine.max_num_batched_tokens",
            "below max_num_seqs 8000",
            "Raise",
        ),
        ("1 GiB", "1 Gb", "f.yaml line 6: engine.kv_cache_bytes", "512 MiB", ""),
        (
            "float32",
            "float23",
            "f.yaml line 3: models[0].dtype",
            "unknown value (got 'float23')",
            "Did you mean float32?",
        ),
        (
            '"{question}"',
            '"{qestion}"',
            "f.yaml line 12: prompts[0].template",
            "must contain {question}",
            "",
        ),
        ("name: a,", "name: 'a:b',", "f.yaml line 3: models[0].name", "begins with a letter", ""),
        (
            "samples_per_problem: 4",
            "samples_per_problem: 4\nsweep: z",
            "f.yaml line 17: sweep",
            "given twice, first in line 1",
            "Keep one",
        ),
        (
            "samples_per_problem: 4",
            "samples_per_problem: 4\nbank: {part_rows: .nan}",
            "f.yaml line 17: bank.part_rows",
            ".nan is no finite number",
            "finite",
        ),
        (
            "samples_per_problem: 4",
            "samples_per_problem: 4\nexclude: [{task: u}]",
            "f.yaml line 17: exclude[0].task",
            "not in any list",
            "Known values: t",
        ),
        (
            "samples_per_problem: 4",
            "samples_per_problem: 4\nexclude: [{task: t}]",
            "f.yaml line 17: exclude",
            "zero points",
            "Narrow",
        ),
        (
            "samples_per_problem: 4",
            "samples_per_problem: 4\nexclude: [{}]",
            "f.yaml line 17: exclude[0]",
            "excludes nothing",
            "",
        ),
        ("engine:\n", "engine:\n\tx: 1\n", "f.yaml line 5, column 1", "not valid YAML", ""),
        (
            "[0.5, 1.0]",
            f"[0.5, 1.0]\n  top_k: {list(range(300))}\n  seed: {list(range(400))}",
            "f.yaml line 13: grid",
            "240,000 points",
            "several",
        ),
    ],
)
def test_a_mistake_is_reported_with_place_and_remedy(old, new, where, what, remedy):
    error = fault(old, new)
    assert error.where == where
    assert what in error.what
    assert remedy in error.remedy


def test_two_entries_of_one_name_are_reported():
    error = fault("prompts:\n", 'prompts:\n  - {name: direct, template: "a {question}"}\n')
    assert (error.where, error.what) == (
        "f.yaml line 12: prompts[1].name",
        "the name direct is given twice",
    )


def test_a_variant_has_the_path_of_its_model_and_a_name_that_fits():
    old, new = "dtype: float32}", "dtype: float32, variants: [{{{}}}]}}"
    error = fault(old, new.format(f"name: {'v' * 79}"))
    assert error.where == "f.yaml line 3: models[0].variants[0].name"
    assert "is longer than 80 characters" in error.what
    assert error.remedy.endswith("by 1.")
    error = fault(old, new.format("name: v, path: ''"))
    assert error.where == "f.yaml line 3: models[0].variants[0].path"
    spec = sweep_from_text(GOOD.replace(old, new.format("name: v, path: null")))
    assert model_variants(spec.models[0])[0].path == "pa"


def test_further_mistakes_are_named_too():
    error = fault(
        "max_tokens: 16\nsamples_per_problem: 4", "max_tokens: 0\nsamples_per_problem: -4"
    )
    assert "f.yaml line 16: samples_per_problem" in error.remedy


@pytest.mark.parametrize(
    "text",
    [
        "",
        "- a",
        "text",
        "&a [*a]",
        "x: " + "[" * 60 + "]" * 60,
        "? {a: 1}\n: 2",
        "a: !!python/object:os.system x",
        "\x00",
    ],
)
def test_what_is_no_mapping_is_refused(text):
    with pytest.raises(IsocostError, match=r"f\.yaml"):
        sweep_from_text(text, "f.yaml")


def test_a_file_that_is_missing_or_no_text_is_reported(tmp_path):
    with pytest.raises(IsocostError, match="cannot be read: No such file"):
        load_sweep(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"sweep: caf\xe9")
    with pytest.raises(IsocostError, match="not UTF-8"):
        load_sweep(tmp_path / "latin.yaml")
    with pytest.raises(IsocostError):
        load_sweep(tmp_path)


def test_greedy_decoding_is_fine_with_one_sample_and_one_seed():
    text = GOOD.replace("[0.5, 1.0]", "0").replace(
        "samples_per_problem: 4", "samples_per_problem: 1"
    )
    assert sweep_from_text(text).grid.temperature == (0.0,)
    with pytest.raises(IsocostError, match="2 seeds would measure the same"):
        sweep_from_text(text.replace("max_tokens: 16", "max_tokens: 16\n  seed: [1, 2]"))


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("512 MiB", 2**29),
        ("1.5GiB", 3 * 2**29),
        ("2 GB", 2 * 10**9),
        ("12345", None),
        (12345, 12345),
    ],
)
def test_sizes_are_bytes_or_have_a_unit(written, meant):
    text = GOOD.replace("1 GiB", f'"{written}"' if isinstance(written, str) else str(written))
    if meant is None:
        with pytest.raises(IsocostError):
            sweep_from_text(text)
    else:
        assert sweep_from_text(text).engine.kv_cache_bytes == meant


@given(st.text(max_size=200) | st.binary(max_size=200))
@settings(max_examples=40, deadline=None)
def test_any_text_is_a_sweep_or_one_error(text):
    text = text if isinstance(text, str) else text.decode("latin-1")
    try:
        assert isinstance(sweep_from_text(text, "f.yaml"), SweepSpec)
    except IsocostError as error:
        assert str(error).startswith("f.yaml")


@pytest.mark.slow
@given(
    line=st.integers(0, GOOD.count("\n") - 1),
    cut=st.integers(0, 40),
    put=st.sampled_from(["", "{", "]", ": ", "null", "-", "1e400", "~", "'"]),
)
@settings(max_examples=60, deadline=None)
def test_a_damaged_file_is_a_sweep_or_one_error(line, cut, put):
    lines = GOOD.split("\n")
    lines[line] = lines[line][:cut] + put + lines[line][cut + 1 :]
    try:
        assert isinstance(sweep_from_text("\n".join(lines), "f.yaml"), SweepSpec)
    except IsocostError as error:
        assert str(error).startswith("f.yaml")


def test_a_number_of_samples_that_nobody_can_mean_is_refused():
    with pytest.raises(
        IsocostError,
        match=r"line 16: samples_per_problem: the sweep asks for 2,000,000,000 samples",
    ):
        sweep_from_text(GOOD.replace("samples_per_problem: 4", "samples_per_problem: 1000000000"))


@pytest.mark.parametrize(
    ("engine", "key", "value", "applies"),
    [
        ("openai", "chat_template_kwargs", "{a: 1}", True),
        ("openai", "reasoning_parser", "qwen3", False),
        ("openai", "adapter", "folder", False),
        ("vllm", "adapter", "folder", True),
        ("vllm_serve", "reasoning_parser", "qwen3", True),
    ],
)
def test_a_key_of_a_model_that_its_engine_would_ignore_is_refused(engine, key, value, applies):
    text = GOOD.replace("path: pa", f"path: pa, {key}: {value}")
    text = text.replace("engine:\n", f"engine:\n  engine: {engine}\n")
    if applies:
        assert getattr(sweep_from_text(text).models[0], key) is not None
        return
    with pytest.raises(IsocostError, match=f"engine {engine} does not apply {key}") as error:
        sweep_from_text(text)
    assert error.value.where.endswith(f"line 3: models[0].{key}")


def test_a_variant_inherits_and_replaces_arguments_of_the_chat_template():
    entry = (
        "path: pa, chat_template_kwargs: {a: 1}, variants: "
        "[{name: x}, {name: y, chat_template_kwargs: {b: 2}}, {name: z, chat_template_kwargs: {}}]"
    )
    spec = sweep_from_text(GOOD.replace("path: pa", entry))
    made = [weights.chat_template_kwargs for weights in spec.models[0].weights()]
    assert made == [{"a": 1}, {"b": 2}, None]
    with pytest.raises(IsocostError, match="JSON can express"):
        sweep_from_text(GOOD.replace("path: pa", "path: pa, chat_template_kwargs: {a: 2020-01-01}"))


def test_stop_texts_are_a_text_or_a_list_and_never_empty():
    for written, read in (('"Q:"', ("Q:",)), ('["Q:", "\\n\\n"]', ("Q:", "\n\n"))):
        spec = sweep_from_text(
            GOOD.replace("- name: direct", f"- name: direct\n    stop: {written}")
        )
        assert spec.prompts[0].stop == read
    with pytest.raises(IsocostError, match="stop"):
        sweep_from_text(GOOD.replace("- name: direct", '- name: direct\n    stop: [""]'))


def test_arguments_of_a_template_are_refused_where_clients_would_not_send_them():
    text = GOOD.replace("path: pa", "path: pa, chat_template_kwargs: {a: 1}").replace(
        "  max_tokens: 16", "  max_tokens: 16\n  method: {name: external, command: run}"
    )
    served = text.replace("engine:\n", "engine:\n  engine: vllm_serve\n")
    assert sweep_from_text(served).models[0].chat_template_kwargs == {"a": 1}
    with pytest.raises(IsocostError, match="the clients of method external send requests") as error:
        sweep_from_text(text.replace("engine:\n", "engine:\n  engine: openai\n"))
    assert "models[0]" in error.value.where
