"""Expansion is pure, complete and stable.

Sessions group by engine configuration; ids name content.
"""

from __future__ import annotations

import importlib
import itertools
import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from isocost.capabilities import ENGINES, Exempt, Role, capabilities_of, engine_names
from isocost.errors import IsocostError
from isocost.hashing import sha256_hex
from isocost.payload.work import PAYLOAD_OPTIONS
from isocost.sweep import (
    Adapter,
    Budget,
    EngineConfig,
    ModelVariant,
    PlannedPoint,
    Point,
    expand,
    load_sweep,
    make_point,
    plan_sessions,
    session_from_json,
    sweep_from_text,
)
from isocost.sweep.expand import session_id_of

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
        for m, n, (t, p, b), temperature, s in itertools.product(
            ["a", "b-full", "b-int4"], [8, 64], asked, [0.5, 1.0], [0, 1]
        )
    }
    assert got == want
    assert len(expand(spec)) == len(want)


def test_a_variant_changes_only_what_it_names(spec):
    variants = {p.point.model.name: p.point.model for p in expand(spec)}
    assert variants["b-full"] == ModelVariant(
        name="b-full", path="pb", revision=None, dtype="bfloat16", quantization=None, card=None
    )
    assert variants["b-int4"] == ModelVariant(
        name="b-int4", path="pb4", revision=None, dtype="bfloat16", quantization="awq", card=None
    )


def test_an_expanded_point_has_no_defaults(spec):
    for model in (
        PlannedPoint,
        Point,
        type(spec.samples_per_problem and expand(spec)[0].point.engine),
        ModelVariant,
        Budget,
    ):
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
    assert [p.point.point_id for p in expand(spec)][:2] == [
        "pt-73c4f547f258b1b0",
        "pt-f518f1bf7d9e4dce",
    ]
    assert plan_sessions(spec)[0].session_id == "s-a-vllm-ada7609116"


def test_an_id_ignores_the_sweeps_name_and_the_number_of_samples(spec):
    other = sweep_from_text(
        TEXT.replace("sweep: s", "sweep: z").replace(
            "samples_per_problem: 4", "samples_per_problem: 9"
        )
    )
    assert [p.point.point_id for p in expand(other)] == [p.point.point_id for p in expand(spec)]
    assert {s.session_id for s in plan_sessions(other)}.isdisjoint(
        {s.session_id for s in plan_sessions(spec)}
    )


SERVER = TEXT.replace(
    "engine: {max_model_len: 256, kv_cache_bytes: 1 GiB, max_num_seqs: [8, 64]}",
    "engine: {engine: openai, max_num_seqs: [8, 64], options: {base_url: 'http://a/v1'}}",
)
CHANGED = {
    "engine": "vllm", "seed": 7, "max_model_len": 99, "kv_cache_bytes": 99, "max_num_seqs": 99, "max_num_batched_tokens": 9999,
    "block_size": 99, "enable_prefix_caching": False, "enforce_eager": True,
    "model.name": "z", "model.path": "z", "model.revision": "z", "model.dtype": "float16", "model.quantization": "z", "model.commit": "z", "model.card": "z",
    "model.chat_template_kwargs": {"z": 1}, "model.reasoning_parser": "z",
    "model.adapter": Adapter(path="z", revision=None, commit=None, sha256="z", parameters=9),
    "options.base_url": "http://z/v1", "options.api": "completions", "options.api_key_variable": "Z", "options.timeout_s": 9,
    "options.deadline_s": 9, "options.connect_s": 9, "options.first_token_s": 9, "options.patience_s": 9,
    "options.retries": 9, "options.extra_body": {"z": 1}, "options.in_flight": 9, "options.isolate_points": True, "options.clients": 9,
    "options.per_request_seed": True, "options.confidence_window": 9,
}  # fmt: skip


def changed(engine: EngineConfig, key: str) -> EngineConfig:
    """The engine with another value of one setting, by dotted key."""
    value = CHANGED[key]
    outer, _, inner = key.partition(".")
    if outer == "model":
        return engine.model_copy(update={"model": engine.model.model_copy(update={inner: value})})
    return engine.model_copy(
        update={"options": engine.options | {inner: value}} if inner else {key: value}
    )


def settings_of(engine: str) -> list[str]:
    """Every setting that an engine can be given, its options and the payload's included."""
    options = {**importlib.import_module(f"isocost.engines.{engine}")._OPTIONS, **PAYLOAD_OPTIONS}
    fields = [name for name in EngineConfig.model_fields if name not in ("model", "options")]
    return [
        *fields,
        *(f"model.{name}" for name in ModelVariant.model_fields),
        *(f"options.{name}" for name in options),
    ]


@pytest.mark.parametrize("key", settings_of("openai"))
def test_a_servers_setting_is_what_the_engine_declares(key):
    """A setting without a value in CHANGED fails here: whoever adds one decides what it is."""
    planned = expand(sweep_from_text(SERVER))[0].point
    engine = changed(planned.engine, key)
    other = make_point(
        **{**planned.model_dump(exclude={"point_id"}), "engine": engine, "model": engine.model}
    )
    role = capabilities_of("openai").role(key)
    assert (other.point_id != planned.point_id) is (role is Role.IDENTITY)
    assert (session_id_of("s", engine) != session_id_of("s", planned.engine)) is (
        role is not Role.NEITHER
    )


@pytest.mark.parametrize("key", [key for key in CHANGED if not key.startswith("options.")])
def test_of_an_engine_that_loads_its_model_every_setting_is_identity(key):
    planned = expand(sweep_from_text(TEXT))[0].point
    engine = (
        changed(planned.engine, key)
        if key != "engine"
        else planned.engine.model_copy(update={"engine": "replay"})
    )
    other = make_point(
        **{**planned.model_dump(exclude={"point_id"}), "engine": engine, "model": engine.model}
    )
    assert other.point_id != planned.point_id and session_id_of("s", engine) != session_id_of(
        "s", planned.engine
    )


def test_what_is_exempt_has_a_reason_and_is_a_setting():
    for name in engine_names():
        exempt = capabilities_of(name).exempt
        assert all(exemption.reason for exemption in exempt.values())
        assert exempt.keys() <= set(settings_of(name))


def test_a_new_engine_is_known_by_what_it_declares(monkeypatch):
    """Nothing of the sweep's room names an engine.

    A class that is registered in a file of its own is enough.
    """
    monkeypatch.setattr(ENGINES, "_items", ENGINES.all())
    text = SERVER.replace("engine: openai", "engine: mine")
    with pytest.raises(
        IsocostError,
        match=r"engine\.engine: no engine is called 'mine'\. Known engines: openai, replay, vllm",
    ):
        sweep_from_text(text)
    exempt = {"options.base_url": Exempt(Role.NEITHER, "where it is")}
    reported = replace(capabilities_of("openai"), exempt=exempt)
    mine = ENGINES.add(type("Mine", (), {"name": "mine", "capabilities": reported}))
    (first, *_), (moved, *_) = (
        plan_sessions(sweep_from_text(text)),
        plan_sessions(sweep_from_text(text.replace("http://a", "http://b"))),
    )
    assert (
        first.session_id == moved.session_id and session_from_json(first.model_dump_json()) == first
    )
    mine.capabilities = replace(reported, loads_model=True)
    with pytest.raises(IsocostError, match="key max_model_len is missing"):
        sweep_from_text(text)


def test_a_server_needs_no_sizes_and_a_session_banked_under_an_old_id_stays_readable():
    (session, _, *_) = plan_sessions(sweep_from_text(SERVER))
    assert session.engine.max_model_len is None and session.engine.kv_cache_bytes is None
    old = json.loads(session.model_dump_json())
    for planned in old["points"]:
        point = {
            key: value
            for key, value in planned["point"].items()
            if key not in ("sweep", "point_id")
        }
        planned["point"]["point_id"] = "pt-" + sha256_hex(
            point, 16
        )  # as before engines could exempt settings
    read = session_from_json(json.dumps(old))
    assert {p.point.point_id for p in read.points}.isdisjoint(
        {p.point.point_id for p in session.points}
    )
    old["points"][0]["point"]["engine"]["options"]["base_url"] = "http://elsewhere/v1"
    old["points"][0]["point"]["point_id"] = session.points[0].point.point_id
    with pytest.raises(IsocostError, match="another engine"):
        session_from_json(json.dumps(old))


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
        ("path: pa", "path: pa, chat_template_kwargs: {enable_thinking: false}"),
        ("path: pa", "path: pa, reasoning_parser: qwen3"),
        ("path: pa", "path: pa, adapter: some-folder"),
        ('template: "{question}"', 'template: "{question}", stop: "Question:"'),
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
    assert [s.session_id for s in plan_sessions(grown)] == [
        s.session_id for s in plan_sessions(spec)
    ]


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
        (p.model.name == "a" and p.sampling.temperature == 1.0)
        or (p.prompt.name == "steps" and p.budget.max_tokens == 128)
        for p in gone
    )
    assert len(gone) + len(left) == len(expand(spec))


@pytest.mark.slow
@given(
    temperatures=st.lists(
        st.sampled_from([0.1, 0.5, 0.7, 1.0, 1.5]), min_size=1, max_size=4, unique=True
    ),
    budgets=st.lists(st.integers(1, 200), min_size=1, max_size=4, unique=True),
    seeds=st.lists(st.integers(0, 2**40), min_size=1, max_size=3, unique=True),
)
@settings(max_examples=5, deadline=None)
def test_the_number_of_points_is_the_product_and_ids_never_collide(temperatures, budgets, seeds):
    text = (
        TEXT.replace("[0.5, 1.0]", str(temperatures))
        .replace("max_tokens: 16", f"max_tokens: {budgets}")
        .replace("[0, 1]", str(seeds))
    )
    points = expand(sweep_from_text(text))
    assert len(points) == 6 * len(temperatures) * len(seeds) * (2 * len(budgets) + 2)
    assert len({p.point.point_id for p in points}) == len(points)


def test_the_quickstart_is_two_tasks_by_two_prompts_in_one_session(repo):
    spec = load_sweep(repo / "pipelines" / "sweeps" / "quickstart.yaml")
    (session,) = plan_sessions(spec)
    assert len(session.points) == 4
    assert {p.samples_per_problem for p in session.points} == {16}
    assert (
        len({p.point.task.name for p in session.points})
        == len({p.point.prompt.name for p in session.points})
        == 2
    )
