"""Expansion is pure, complete and stable; sessions group by engine configuration; ids name content."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from isocost.errors import IsocostError
from isocost.sweep import Budget, ModelVariant, PlannedPoint, Point, expand, load_sweep, plan_sessions, session_from_json, sweep_from_text

TEXT = """
sweep: s
models:
  - {name: a, path: pa, dtype: float32}
  - name: b
    path: pb
    dtype: bfloat16
    variants:
      - {name: full}
      - {name: int4, path: pb4, quantization: awq}
engine: {max_model_len: 256, kv_cache_bytes: 1 GiB, max_num_seqs: [8, 64]}
tasks:
  - {name: t1, source: inline, dataset: d, n_problems: 1, verifier: exact, config: {problems: [{question: q, reference: r}]}}
  - {name: t2, source: inline, dataset: d, n_problems: 1, verifier: exact, config: {problems: [{question: q, reference: r}]}}
prompts:
  - {name: direct, template: "{question}"}
  - {name: steps, template: "{question} step by step", max_tokens: [64, 128], tasks: t1}
grid: {temperature: [0.5, 1.0], max_tokens: 16, seed: [0, 1]}
samples_per_problem: 4
"""


@pytest.fixture(scope="module")
def spec():
    return sweep_from_text(TEXT)


def test_the_product_is_complete(spec):
    got = {
        (
            p.point.model.name,
            p.point.engine.max_num_seqs,
            p.point.task.name,
            p.point.prompt.name,
            p.point.sampling.temperature,
            p.point.budget.max_tokens,
            p.point.seed,
        )
        for p in expand(spec)
    }
    asked = [("t1", "direct", 16), ("t2", "direct", 16), ("t1", "steps", 64), ("t1", "steps", 128)]
    want = {
        (m, n, t, p, temperature, b, s)
        for m, n, (t, p, b), temperature, s in itertools.product(["a", "b-full", "b-int4"], [8, 64], asked, [0.5, 1.0], [0, 1])
    }
    assert got == want
    assert len(expand(spec)) == len(want)


def test_a_variant_changes_only_what_it_names(spec):
    variants = {p.point.model.name: p.point.model for p in expand(spec)}
    assert variants["b-full"] == ModelVariant(name="b-full", path="pb", revision=None, dtype="bfloat16", quantization=None, card=None)
    assert variants["b-int4"] == ModelVariant(name="b-int4", path="pb4", revision=None, dtype="bfloat16", quantization="awq", card=None)


def test_an_expanded_point_has_no_defaults(spec):
    for model in (PlannedPoint, Point, type(spec.samples_per_problem and expand(spec)[0].point.engine), ModelVariant, Budget):
        assert all(field.is_required() for field in model.model_fields.values())
    whole = expand(spec)[0].point.model_dump()
    for key in whole:
        with pytest.raises(ValidationError):
            Point(**{k: v for k, v in whole.items() if k != key})
    with pytest.raises(ValidationError):
        Point(**whole, extra=1)


def test_point_ids_are_golden():
    """A changed id would orphan every banked sample: change this only with a migration."""
    spec = sweep_from_text(TEXT)
    assert [p.point.point_id for p in expand(spec)][:2] == ["pt-73c4f547f258b1b0", "pt-f518f1bf7d9e4dce"]
    assert plan_sessions(spec)[0].session_id == "s-a-vllm-ada7609116"


def test_an_id_ignores_the_sweeps_name_and_the_number_of_samples(spec):
    other = sweep_from_text(TEXT.replace("sweep: s", "sweep: z").replace("samples_per_problem: 4", "samples_per_problem: 9"))
    assert [p.point.point_id for p in expand(other)] == [p.point.point_id for p in expand(spec)]
    assert {s.session_id for s in plan_sessions(other)}.isdisjoint({s.session_id for s in plan_sessions(spec)})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("temperature: [0.5, 1.0]", "temperature: [0.6, 1.0]"),
        ('template: "{question}"', 'template: "{question}!"'),
        ("max_tokens: 16", "max_tokens: 17"),
        ("kv_cache_bytes: 1 GiB", "kv_cache_bytes: 2 GiB"),
        ("path: pa", "path: pz"),
        ("seed: [0, 1]", "seed: [2, 1]"),
        ("dataset: d, n", "dataset: e, n"),
    ],
)
def test_every_part_of_the_configuration_is_in_the_id(spec, old, new):
    assert old in TEXT
    first = expand(spec)[0].point.point_id
    assert first not in {p.point.point_id for p in expand(sweep_from_text(TEXT.replace(old, new)))}


def test_sessions_group_by_engine_and_lose_no_point(spec):
    sessions = plan_sessions(spec)
    assert len(sessions) == 6
    assert len({s.session_id for s in sessions}) == 6
    assert [p for s in sessions for p in s.points] == list(expand(spec))
    assert all(p.point.engine == s.engine for s in sessions for p in s.points)


def test_a_session_id_survives_a_growing_sweep(spec):
    grown = sweep_from_text(TEXT.replace("temperature: [0.5, 1.0]", "temperature: [0.5, 1.0, 1.5]"))
    assert [s.session_id for s in plan_sessions(grown)] == [s.session_id for s in plan_sessions(spec)]


def test_a_session_reads_back_from_its_json(spec):
    for session in plan_sessions(spec):
        assert session_from_json(session.model_dump_json()) == session


def test_an_edited_session_file_is_refused(spec):
    text = plan_sessions(spec)[0].model_dump_json()
    with pytest.raises(IsocostError, match="does not match its content"):
        session_from_json(text.replace('"temperature":0.5', '"temperature":0.9', 1))
    with pytest.raises(IsocostError, match="session file: logprobs_k"):
        session_from_json(text.replace('"logprobs_k":5', '"logprobs_k":-1'))
    with pytest.raises(IsocostError, match="another engine"):
        session_from_json(text.replace('"max_num_seqs":8', '"max_num_seqs":9', 1))
    with pytest.raises(IsocostError):
        session_from_json("{")


def test_exclusions_take_out_what_they_match(spec):
    rule = "exclude:\n  - {model: a, temperature: 1.0}\n  - {prompt: steps, max_tokens: 128}\n"
    left = {p.point.point_id for p in expand(sweep_from_text(TEXT + rule))}
    gone = [p.point for p in expand(spec) if p.point.point_id not in left]
    assert gone
    assert all(
        (p.model.name == "a" and p.sampling.temperature == 1.0) or (p.prompt.name == "steps" and p.budget.max_tokens == 128) for p in gone
    )
    assert len(gone) + len(left) == len(expand(spec))


@pytest.mark.slow
@given(
    temperatures=st.lists(st.sampled_from([0.1, 0.5, 0.7, 1.0, 1.5]), min_size=1, max_size=4, unique=True),
    budgets=st.lists(st.integers(1, 200), min_size=1, max_size=4, unique=True),
    seeds=st.lists(st.integers(0, 2**40), min_size=1, max_size=3, unique=True),
)
@settings(max_examples=5, deadline=None)
def test_the_number_of_points_is_the_product_and_ids_never_collide(temperatures, budgets, seeds):
    text = TEXT.replace("[0.5, 1.0]", str(temperatures)).replace("max_tokens: 16", f"max_tokens: {budgets}").replace("[0, 1]", str(seeds))
    points = expand(sweep_from_text(text))
    assert len(points) == 6 * len(temperatures) * len(seeds) * (2 * len(budgets) + 2)
    assert len({p.point.point_id for p in points}) == len(points)


def test_the_quickstart_is_two_tasks_by_two_prompts_in_one_session(repo):
    spec = load_sweep(repo / "pipelines" / "sweeps" / "quickstart.yaml")
    (session,) = plan_sessions(spec)
    assert len(session.points) == 4
    assert {p.samples_per_problem for p in session.points} == {16}
    assert len({p.point.task.name for p in session.points}) == len({p.point.prompt.name for p in session.points}) == 2
