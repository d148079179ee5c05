"""What a critical rule refuses is invalid with the rule's code, every count follows, and nothing
else changes.
"""

from __future__ import annotations

import json
from typing import Any

import polars as pl
import pytest
from clean_bank import N, clean, frame, with_cell
from hypothesis import given, settings
from hypothesis import strategies as st

from isocost import gates
from isocost.gates import expectations
from isocost.gates.suites import SUITES

pytestmark = pytest.mark.slow  # hundreds of small imports or banks

WRONG: list[tuple[str, Any]] = [
    ("sample_index", -3),
    ("prompt_tokens", 0),
    ("output_tokens", -1),
    ("cached_tokens", 99),
    ("logprob_mean", 0.5),
    ("score", 2.0),
    ("energy_method", None),
    ("flops", None),
    ("problem_id", "p-x"),
    ("point_id", "pt-x"),
    ("is_truncated", True),
    ("answer_class", None),
    ("invalid_reasons", ["odd"]),
]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, N - 1), st.sampled_from(WRONG)), min_size=1, max_size=4))
def test_refused_samples_are_invalid_and_every_count_follows(
    mutations: list[tuple[int, tuple[str, Any]]],
) -> None:
    before = clean()
    for row, (column, value) in mutations:
        before = with_cell(before, "core_samples", column, value, row)
    after = gates.through(before, "s-1")
    refused = {
        key for outcome in after.outcomes if outcome.refuses for key in _samples_of(before, outcome)
    }
    samples, was = after.frames["core_samples"], before["core_samples"]
    assert samples["sample_id"].to_list() == was["sample_id"].to_list()
    for row, old in zip(samples.iter_rows(named=True), was.iter_rows(named=True), strict=True):
        if row["sample_id"] not in refused:
            assert row == old
            continue
        assert not row["is_valid"] and set(row["invalid_reasons"]) > set(old["invalid_reasons"])
        assert {k: v for k, v in row.items() if k not in ("is_valid", "invalid_reasons")} == {
            k: v for k, v in old.items() if k not in ("is_valid", "invalid_reasons")
        }
    lost = was.filter(pl.col("is_valid") & pl.col("sample_id").is_in(list(refused)))
    run = after.frames["core_sessions"].row(0, named=True)
    mine = lost.filter(pl.col("run_id") == "r-1").height
    assert (run["samples_valid"], run["samples_invalid"]) == (N - mine, mine)
    counted = json.loads(run["invalid_counts"])
    gained = (
        samples.filter(pl.col("sample_id").is_in(list(refused)))["invalid_reasons"]
        .explode()
        .value_counts()
    )
    assert counted == {code: n for code, n in gained.iter_rows() if code != "odd"}
    points = dict(after.frames["core_points"].select("point_id", "samples_valid").iter_rows())
    assert points["pt-1"] == N - lost.filter(pl.col("point_id") == "pt-1").height
    assert "validity_has_its_reason" not in {
        o.code for o in gates.judge(after.frames) if not o.is_passed
    }


def _samples_of(frames: dict[str, pl.DataFrame], outcome: gates.Outcome) -> list[str]:
    rows = frames["core_samples"]
    if outcome.table != "core_samples" or outcome.failing is None:
        return rows["sample_id"].to_list()
    return rows.join(outcome.failing, on=outcome.failing.columns, how="semi", nulls_equal=True)[
        "sample_id"
    ].to_list()


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [("core_sessions", "ended_unix_s", 900.0), ("core_energy_attribution", "energy_j", 3.0)],
)
def test_a_rule_about_a_run_refuses_all_samples_of_that_run_and_no_others(
    table: str, column: str, value: float
) -> None:
    frames = clean()
    other = frames["core_samples"].with_columns(
        run_id=pl.when(pl.col("problem_id") == "p-0").then(pl.lit("r-2")).otherwise("run_id")
    )
    second = frames["core_sessions"].with_columns(
        run_id=pl.lit("r-2"), attempt=pl.lit(2, pl.Int32), energy_j=pl.lit(8.0)
    )
    frames["core_samples"], frames["core_sessions"] = (
        other,
        pl.concat([frames["core_sessions"], second]),
    )
    judged = gates.through(with_cell(frames, table, column, value), "s-1")
    (outcome,) = [outcome for outcome in judged.outcomes if outcome.refuses]
    samples = judged.frames["core_samples"]
    assert samples.filter("is_valid")["run_id"].unique().to_list() == ["r-2"]
    assert samples.filter(~pl.col("is_valid"))["invalid_reasons"].explode().unique().to_list() == [
        outcome.code
    ]
    runs = {row["run_id"]: row for row in judged.frames["core_sessions"].iter_rows(named=True)}
    assert (
        outcome.code in runs["r-1"]["invalid_reasons"]
        and not runs["r-1"]["is_valid"]
        and runs["r-2"]["is_valid"]
    )


def test_a_rule_about_sums_refuses_the_session_with_its_counts() -> None:
    frames = clean()
    known = {
        "point_id": "pt-1",
        "session_id": "s-1",
        "task": "sums",
        "model_variant": "m",
        "source": "counts",
    }
    frames["core_counts"] = frame(
        "core_counts",
        [{**known, "count_id": "c", "problem_id": "p-0", "n_samples": 10, "n_correct": 3}],
    )
    frames["core_points"] = frames["core_points"].with_columns(
        samples_banked=pl.lit(99, pl.Int64), samples_valid=pl.lit(N + 10, pl.Int64)
    )
    frames["core_problems"] = frames["core_problems"].with_columns(
        n_valid=pl.when(pl.col("problem_id") == "p-0").then(14).otherwise(4).cast(pl.Int64),
        n_correct=pl.when(pl.col("problem_id") == "p-0")
        .then(7)
        .otherwise("n_correct")
        .cast(pl.Int64),
    )
    after = gates.through(frames, "s-1").frames
    assert after["core_counts"].is_empty() and not after["core_samples"]["is_valid"].any()
    assert after["core_points"]["samples_valid"].to_list() == [0]
    assert after["core_problems"].select(pl.col("n_valid", "n_correct").sum()).row(0) == (0, 0)


CELLS = {
    "core_samples": [
        *WRONG,
        ("parse_status", "no_answer"),
        ("entropy_mean_high", 0.0),
        ("entropy_mean_low", None),
        ("prompt_tokens", None),
    ],
    "core_sessions": [
        ("attempt", 0),
        ("window_s", 0.0),
        ("window_s", None),
        ("output_tokens_per_s", -0.5),
        ("samples_valid", 99),
        ("rows_warmup", 99),
        ("engine", "openai"),
        ("engine_version", None),
        ("resolved_engine", None),
        ("energy_j", None),
        ("energy_method", None),
        ("isocost_version", None),
        ("status", "failed"),
    ],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SUITES)
def test_great_expectations_reads_every_statement_as_the_gate_judges_it(name: str) -> None:
    """The library itself is the independent oracle.

    On drawn rows both find the same rows against every statement.
    """
    from isocost.gates.great import read

    rules, keys, prepare = SUITES[name]

    @settings(max_examples=6, deadline=None)
    @given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from(CELLS[name])), max_size=6))
    def agree(mutations: list[tuple[int, tuple[str, Any]]]) -> None:
        frames = {
            "core_samples": clean()["core_samples"],
            "core_sessions": pl.concat([clean()["core_sessions"]] * 6),
        }
        for row, (column, value) in mutations:
            frames = with_cell(frames, name, column, value, row)
        ready = prepare(frames[name])
        ours = expectations.judged(ready, rules, name, keys)
        for mine, theirs in zip(ours, read(ready, rules, keys), strict=True):
            assert not theirs.is_broken, theirs.detail
            assert mine.is_passed is theirs.is_passed, mine.code
            if theirs.rule.is_about_rows:
                assert (mine.n_failing, set(mine.keys)) == (
                    theirs.unexpected_count,
                    set(theirs.keys),
                ), mine.code

    agree()
