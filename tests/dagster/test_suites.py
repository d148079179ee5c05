"""Every rule of the Great Expectations suites fires when one cell is wrong, and names the row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dagster as dg
import polars as pl
import pytest

from isocost.capabilities import capabilities_of, engine_names
from isocost.schema.registry import table
from isocost.schema.types import polars_schema
from pipelines.checks.expectations import outcome_result
from pipelines.checks.gx import judge, rule
from pipelines.checks.suites import CORE_SAMPLES, CORE_SESSIONS, SAMPLE_KEYS, SESSION_KEYS, samples_frame, sessions_frame

SAMPLE = {
    "point_id": "pt-1",
    "problem_id": "p-1",
    "session_id": "s-1",
    "task": "sums",
    "model_variant": "m",
    "prompt": "direct",
    "source": "generated",
    "is_valid": True,
    "invalid_reasons": [],
    "correct": True,
    "score": 1.0,
    "answer": "4",
    "answer_class": 0,
    "parse_status": "parsed",
    "finish_reason": "stop",
    "is_truncated": False,
    "prompt_tokens": 12,
    "output_tokens": 5,
    "logprob_sum": -2.5,
    "logprob_mean": -0.5,
    "entropy_mean_low": 0.1,
    "entropy_mean_high": 0.2,
    "queue_s": 0.01,
    "prefill_s": 0.1,
    "decode_s": 0.4,
    "latency_s": 0.5,
    "flops": 1e9,
    "energy_unknown_reason": "no_power_source",
    "n_calls": 1,
}
SESSION = {
    "session_id": "s-1",
    "source": "generated",
    "engine": "vllm",
    "status": "finished",
    "is_valid": True,
    "invalid_reasons": [],
    "started_unix_s": 1000.0,
    "ended_unix_s": 1010.0,
    "window_s": 8.0,
    "isocost_version": "0.1.0",
    "engine_version": "0.32.0",
    "resolved_engine": "{}",
    "energy_unknown_reason": "no_power_source",
    "rows_total": 30,
    "rows_warmup": 2,
    "rows_superseded": 0,
    "samples_total": 28,
    "samples_valid": 28,
    "samples_invalid": 0,
    "invalid_counts": "{}",
    "samples_truncated": 0,
    "output_tokens_per_s": 17.5,
}


def frame(name: str, rows: list[dict[str, Any]]) -> pl.DataFrame:
    schema = polars_schema(table(name))
    return pl.DataFrame([{column: row.get(column) for column in schema} for row in rows], schema=schema)


def samples() -> pl.DataFrame:
    return frame("core_samples", [{**SAMPLE, "sample_id": f"pt-1:p-1:{i}", "sample_index": i} for i in range(30)])


def sessions() -> pl.DataFrame:
    return frame("core_sessions", [{**SESSION, "run_id": f"r-{i}", "attempt": i} for i in (1, 2)])


def cell(column: str, value: Any) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """Sets one cell of the first row."""

    def change(data: pl.DataFrame) -> pl.DataFrame:
        rows = data.to_dicts()
        rows[0][column] = value
        return pl.DataFrame(rows, schema=data.schema)

    return change


SAMPLE_MUTATIONS = [
    ("ExpectCompoundColumnsToBeUnique(point_id, problem_id, sample_index)", cell("sample_index", 1)),
    ("ExpectColumnValuesToBeBetween(sample_index)", cell("sample_index", -1)),
    ("ExpectColumnValuesToBeBetween(prompt_tokens)", cell("prompt_tokens", 0)),
    ("ExpectColumnValuesToBeBetween(output_tokens)", cell("output_tokens", -1)),
    ("ExpectColumnValuesToBeBetween(logprob_mean)", cell("logprob_mean", 0.1)),
    ("ExpectColumnValuesToBeBetween(score)", cell("score", 1.5)),
    ("ExpectColumnValuesToBeBetween(queue_s)", cell("queue_s", -1.0)),
    ("ExpectColumnValuesToBeBetween(prefill_s)", cell("prefill_s", -1.0)),
    ("ExpectColumnValuesToBeBetween(decode_s)", cell("decode_s", -1.0)),
    ("ExpectColumnValuesToBeBetween(flops)", cell("flops", -1.0)),
    ("ExpectColumnValuesToBeBetween(energy_j)", cell("energy_j", -1.0)),
    ("ExpectColumnValuesToNotBeNull(energy_method) where energy_j.notnull()", cell("energy_j", 1.0)),
    ("ExpectColumnValuesToNotBeNull(energy_unknown_reason) where energy_j.isnull()", cell("energy_unknown_reason", None)),
    ('ExpectColumnValuesToNotBeNull(answer_class) where parse_status=="parsed"', cell("answer_class", None)),
    ('ExpectColumnValuesToBeNull(answer_class) where parse_status!="parsed"', cell("parse_status", "no_answer")),
    ("ExpectColumnPairValuesAToBeGreaterThanB(entropy_mean_high, entropy_mean_low)", cell("entropy_mean_high", 0.05)),
    ("ExpectColumnMeanToBeBetween(is_invalid_ratio)", lambda d: d.with_columns(is_valid=pl.col("sample_index") > 1)),
    ("ExpectColumnMeanToBeBetween(is_truncated_ratio)", lambda d: d.with_columns(is_truncated=pl.col("sample_index") > 10)),
]
SESSION_MUTATIONS = [
    ("ExpectCompoundColumnsToBeUnique(session_id, run_id, attempt)", lambda d: pl.concat([d, d.head(1)])),
    ("ExpectColumnValuesToBeBetween(attempt)", cell("attempt", 0)),
    ("ExpectColumnPairValuesAToBeGreaterThanB(ended_unix_s, started_unix_s)", cell("ended_unix_s", 900.0)),
    ("ExpectColumnValuesToBeBetween(window_s)", cell("window_s", 0.0)),
    ("ExpectColumnValuesToBeBetween(output_tokens_per_s)", cell("output_tokens_per_s", -1.0)),
    ("ExpectColumnPairValuesAToBeGreaterThanB(samples_total, samples_valid)", cell("samples_valid", 29)),
    ("ExpectColumnPairValuesAToBeGreaterThanB(rows_total, rows_warmup)", cell("rows_warmup", 31)),
    ("ExpectColumnValuesToNotBeNull(engine_version)", cell("engine_version", None)),
    ("ExpectColumnValuesToNotBeNull(resolved_engine)", cell("resolved_engine", None)),
    ("ExpectColumnValuesToNotBeNull(isocost_version)", cell("isocost_version", None)),
    ("ExpectColumnValuesToNotBeNull(energy_method) where energy_j.notnull()", cell("energy_j", 1.0)),
    ("ExpectColumnValuesToNotBeNull(energy_unknown_reason) where energy_j.isnull()", cell("energy_unknown_reason", None)),
    ("ExpectColumnValuesToNotBeInSet(status)", cell("status", "failed")),
]


def short(name: str) -> str:
    """A rule's name without the condition that says which sources it is about."""
    return name.split(" where source")[0].split(" where owes")[0]


def test_sound_samples_and_sessions_pass() -> None:
    assert [o.detail for o in judge(samples_frame(samples()), CORE_SAMPLES, SAMPLE_KEYS) if not o.is_passed] == []
    assert [o.detail for o in judge(sessions_frame(sessions()), CORE_SESSIONS, SESSION_KEYS) if not o.is_passed] == []


def test_every_rule_has_a_mutation() -> None:
    assert [short(r.name) for r in CORE_SAMPLES] == [name for name, _ in SAMPLE_MUTATIONS]
    assert [short(r.name) for r in CORE_SESSIONS] == [name for name, _ in SESSION_MUTATIONS]


@pytest.mark.parametrize(("name", "mutate"), SAMPLE_MUTATIONS, ids=[n for n, _ in SAMPLE_MUTATIONS])
def test_sample_rule_fires(name: str, mutate: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    (fired,) = [o for o in judge(samples_frame(mutate(samples())), CORE_SAMPLES, SAMPLE_KEYS) if o.rule.name == name]
    assert not fired.is_passed
    assert not fired.is_broken
    if "Mean" not in name:
        assert "pt-1:p-1:0" in fired.keys


@pytest.mark.parametrize(("name", "mutate"), SESSION_MUTATIONS, ids=[n for n, _ in SESSION_MUTATIONS])
def test_session_rule_fires(name: str, mutate: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    (fired,) = [
        o
        for o in judge(sessions_frame(mutate(sessions())), CORE_SESSIONS, SESSION_KEYS)
        if o.rule.name.split(" where source")[0].split(" where owes")[0] == name
    ]
    assert not fired.is_passed
    assert not fired.is_broken
    assert any(key.startswith("s-1/") for key in fired.keys)


@pytest.mark.parametrize("engine", engine_names())
@pytest.mark.parametrize(("column", "owes"), [("engine_version", "tells_version"), ("resolved_engine", "tells_configuration")])
def test_an_engine_owes_what_it_declares_and_no_more(engine: str, column: str, owes: str) -> None:
    """No rule knows an engine by name: what must not be unknown follows from what the class declares."""
    rows = sessions().with_columns(engine=pl.lit(engine)).with_columns(pl.lit(None, pl.String).alias(column))
    failed = [o.rule.name for o in judge(sessions_frame(rows), CORE_SESSIONS, SESSION_KEYS) if not o.is_passed]
    assert [name for name in failed if f"({column})" in name] == failed
    assert bool(failed) is getattr(capabilities_of(engine), owes)


def test_an_engine_that_is_gone_owes_nothing() -> None:
    rows = sessions().with_columns(engine=pl.lit("gone"), engine_version=pl.lit(None), resolved_engine=pl.lit(None))
    assert [o.rule.name for o in judge(sessions_frame(rows), CORE_SESSIONS, SESSION_KEYS) if not o.is_passed] == []


def test_a_rule_that_cannot_run_is_broken_and_an_error() -> None:
    outcomes = judge(samples(), [rule("ExpectColumnValuesToNotBeNull", "x", severity="info", column="nowhere")], SAMPLE_KEYS)
    assert outcomes[0].is_broken
    result = outcome_result("core_samples", outcomes)
    assert not result.passed
    assert result.severity is dg.AssetCheckSeverity.ERROR


def test_a_mean_of_nothing_known_is_not_judged() -> None:
    unknown = samples_frame(samples().with_columns(is_truncated=pl.lit(None, pl.Boolean)))
    for data in (unknown, samples_frame(samples().clear())):
        outcomes = judge(data, CORE_SAMPLES, SAMPLE_KEYS)
        assert [o.detail for o in outcomes if not o.is_passed] == []
        (truncated,) = [o for o in outcomes if "is_truncated_ratio" in o.rule.name]
        assert truncated.detail == "no value is known: nothing to judge"


def test_failed_keys_are_in_the_check_metadata() -> None:
    result = outcome_result("core_samples", judge(samples_frame(cell("score", 1.5)(samples())), CORE_SAMPLES, SAMPLE_KEYS))
    assert not result.passed
    first = result.metadata["rules"].records[0].data
    assert first["result"] == "failed"
    assert first["first_keys"] == "pt-1:p-1:0"


def test_a_warning_does_not_block() -> None:
    outcomes = judge(sessions_frame(sessions().with_columns(status=pl.lit("failed"))), CORE_SESSIONS, SESSION_KEYS)
    result = outcome_result("core_sessions", outcomes)
    assert not result.passed
    assert result.severity is dg.AssetCheckSeverity.WARN
