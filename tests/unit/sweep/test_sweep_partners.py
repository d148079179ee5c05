"""Partners in a sweep file: defaults, ids, sessions, and every mistake with its place."""

from __future__ import annotations

import json

import pytest

from isocost.errors import IsocostError
from isocost.hashing import sha256_hex
from isocost.sweep import plan_sessions, session_json, sweep_from_text
from isocost.sweep.models import session_from_json

SWEEP = """sweep: s
models:
  - {name: small, path: p, dtype: float32}
engine:
  max_model_len: 256
  kv_cache_bytes: 1 GiB
  max_num_seqs: 8
  options: {in_flight: 3}
partners:
  large:
    model: {name: big, path: q, dtype: bfloat16}
    engine: {max_model_len: 512, seed: 7}
tasks:
  - {name: t, source: inline, dataset: d, n_problems: 1, verifier: exact}
prompts:
  - {name: direct, template: "{question}"}
grid:
  temperature: 0.5
  max_tokens: 16
  method: [sample, cascade]
samples_per_problem: 4
"""
WITHOUT = SWEEP[: SWEEP.index("partners:")] + SWEEP[SWEEP.index("tasks:") :]
SERVED = SWEEP.replace(
    "    engine: {max_model_len: 512, seed: 7}",
    '    engine: {engine: openai, options: {base_url: "http://a.b/v1", timeout_s: 5}}',
)


def sessions(text=SWEEP):
    return plan_sessions(sweep_from_text(text))


def test_a_partner_has_the_engine_settings_that_it_does_not_state():
    plain, with_partner = sessions()
    assert plain.partners == {} and [p.point.method_name for p in plain.points] == ["sample"]
    [(alias, config)] = with_partner.partners.items()
    assert alias == "large" and config.model.name == "big" and config.model.dtype == "bfloat16"
    assert (config.max_model_len, config.seed) == (512, 7)
    assert (config.kv_cache_bytes, config.max_num_seqs, config.engine) == (2**30, 8, "vllm")
    assert config.options == {}  # options belong to one engine
    [planned] = with_partner.points
    assert planned.point.partners == with_partner.partners
    assert planned.point.engine_of("large") == config
    assert planned.point.engine_of(None) == planned.point.engine
    assert planned.point.engine_of("other") is None


def test_what_has_no_partner_has_the_ids_and_bytes_of_a_sweep_without_partners():
    [before] = sessions(WITHOUT.replace("[sample, cascade]", "sample"))
    plain, _ = sessions()
    assert session_json(plain) == session_json(before)
    assert "partners" not in json.loads(plain.model_dump_json())
    engine = plain.engine.model_dump(mode="json")
    assert plain.session_id == f"s-small-vllm-{sha256_hex({'sweep': 's', 'engine': engine}, 10)}"


def ids(text):
    _, session = sessions(text)
    return session.session_id, session.points[0].point.point_id


@pytest.mark.parametrize(
    ("old", "new", "is_same"),
    [
        ("name: big", "name: bigger", False),
        ("dtype: bfloat16", "dtype: float32", False),
        ("seed: 7", "seed: 8", False),
        ("max_model_len: 512", "max_model_len: 511", False),
        ("max_num_seqs: 8", "max_num_seqs: 9", False),
    ],
)
def test_what_a_partner_is_is_part_of_the_point(old, new, is_same):
    changed = ids(SWEEP.replace(old, new))
    assert [one == other for one, other in zip(ids(SWEEP), changed, strict=True)] == [is_same] * 2


def test_settings_that_a_partners_engine_exempts_are_not():
    assert ids(SERVED) == ids(SERVED.replace("http://a.b", "http://c.d").replace("5}", "6}"))
    assert ids(SERVED)[1] != ids(SWEEP)[1]


def test_a_session_file_keeps_its_partners_and_is_not_edited():
    _, session = sessions()
    assert session_from_json(session_json(session)) == session
    text = session.model_dump_json().replace('"max_model_len":512', '"max_model_len":513')
    with pytest.raises(IsocostError, match="does not match its content"):
        session_from_json(text)
    data = json.loads(session.model_dump_json())
    del data["partners"]
    with pytest.raises(IsocostError, match="another engine configuration"):
        session_from_json(json.dumps(data))


def fault(old, new, text=SWEEP):
    assert old in text
    with pytest.raises(IsocostError) as caught:
        sweep_from_text(text.replace(old, new), "f.yaml")
    return caught.value


@pytest.mark.parametrize(
    ("old", "new", "where", "what", "remedy"),
    [
        (
            "cascade]",
            "{name: cascade, models: [lage]}]",
            "f.yaml line 20: grid.method[1]",
            "method cascade calls the partner 'lage', which the sweep does not have",
            "Did you mean large?",
        ),
        (
            "cascade]",
            "self_refine]",
            "f.yaml line 10: partners.large",
            "no method of the sweep calls the partner 'large'",
            "Name it in a method's parameters",
        ),
        (
            "  large:",
            "  Large:",
            "f.yaml line 10: partners.Large",
            "an alias is 1 to 40 lower-case letters",
            "",
        ),
        (
            "dtype: bfloat16",
            "revision: r",
            "f.yaml line 11: partners.large.model.dtype",
            "key dtype is missing",
            "Add it: engine vllm loads the model.",
        ),
        (
            "{max_model_len: 512, seed: 7}",
            "{engine: vlm}",
            "f.yaml line 12: partners.large.engine.engine",
            "no engine is called 'vlm'",
            "Did you mean vllm?",
        ),
        (
            "max_model_len: 512",
            "max_model_len: 16",
            "f.yaml line 12: partners.large.engine.max_model_len",
            "16 generated tokens leave no room for a prompt in a context of 16",
            "Raise it, or lower max_tokens.",
        ),
        (
            "seed: 7",
            "max_num_batched_tokens: 7",
            "f.yaml line 12: partners.large.engine.max_num_batched_tokens",
            "is below max_num_seqs 8",
            "",
        ),
        (
            "seed: 7",
            "sed: 7",
            "f.yaml line 12: partners.large.engine.sed",
            "unknown key sed",
            "Did you mean seed?",
        ),
        (
            "seed: 7",
            "options: {api_key: sk-abcdefghijklmnopqrstuvwx}",
            "partners.large.engine.options.api_key",
            "",
            "environment variable",
        ),
    ],
)
def test_mistakes_name_file_line_and_key(old, new, where, what, remedy):
    error = fault(old, new)
    assert where in (error.where or "") and what in error.what and remedy in (error.remedy or "")


def test_a_partner_whose_engine_cannot_do_what_the_method_needs_is_refused():
    error = fault("cascade]", "speculative_reasoning]", SERVED)
    assert error.where == "f.yaml line 20: grid.method[1]"
    assert "continues from given tokens for the partner large; openai does not" in error.what
    error = fault("[sample, cascade]", "cascade", WITHOUT)
    assert "Add partners.large" in (error.remedy or "")
