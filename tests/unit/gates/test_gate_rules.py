"""Every rule of the gate fires where one cell of a clean bank is wrong, it alone, and names the
row.
"""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest
from clean_bank import N, clean, with_cell

from isocost import gates
from isocost.capabilities import capabilities_of, engine_names
from isocost.errors import IsocostError
from isocost.gates.queries import core_checks, names
from isocost.gates.suites import SUITES

pytestmark = pytest.mark.slow  # hundreds of small imports or banks

LAST, BEFORE = N - 1, N - 2
# rule -> table, column, value, row
MUTATIONS: dict[tuple[str, str], tuple[str, str, Any, int]] = {
    ("core_samples", "sample_is_counted_once"): ("core_samples", "sample_index", 1, 0),
    ("core_samples", "index_counts_from_0"): ("core_samples", "sample_index", -1, 0),
    ("core_samples", "prompt_has_a_token"): ("core_samples", "prompt_tokens", 0, 2),
    ("core_samples", "logprob_is_of_a_probability"): ("core_samples", "logprob_mean", 0.1, 0),
    ("core_samples", "score_is_a_share"): ("core_samples", "score", 1.5, 0),
    ("core_samples", "parsed_answer_has_a_class"): ("core_samples", "answer_class", None, 0),
    ("core_samples", "no_answer_has_no_class"): ("core_samples", "answer_class", 1, LAST),
    ("core_samples", "entropy_bounds_are_in_order"): ("core_samples", "entropy_mean_high", 0.05, 0),
    ("core_samples", "cache_within_prompt"): ("core_samples", "cached_tokens", 13, 0),
    ("core_samples", "costs_are_not_negative"): ("core_samples", "flops", -1.0, 0),
    ("core_samples", "energy_has_its_method"): ("core_samples", "energy_method", None, 0),
    ("core_samples", "equal_answers_equal_verdict"): ("core_samples", "correct", False, 0),
    ("core_samples", "no_answer_is_not_correct"): ("core_samples", "correct", True, LAST),
    ("core_samples", "point_is_known"): ("core_samples", "point_id", "pt-2", 0),
    ("core_samples", "problem_is_known"): ("core_samples", "problem_id", "p-x", 0),
    ("core_samples", "session_is_known"): ("core_samples", "run_id", "r-x", 0),
    ("core_samples", "truncation_is_length"): ("core_samples", "is_truncated", True, 0),
    ("core_samples", "unknown_costs_have_their_reason"): ("core_samples", "flops", None, 0),
    ("core_samples", "validity_has_its_reason"): ("core_samples", "invalid_reasons", ["odd"], 0),
    ("core_sessions", "attempts_count_from_1"): ("core_sessions", "attempt", 0, 0),
    ("core_sessions", "window_has_a_length"): ("core_sessions", "window_s", 0.0, 0),
    ("core_sessions", "throughput_is_not_negative"): (
        "core_sessions",
        "output_tokens_per_s",
        -1.0,
        0,
    ),
    ("core_sessions", "valid_samples_are_some_of_all"): (
        "core_sessions",
        "samples_valid",
        N + 1,
        0,
    ),
    ("core_sessions", "warmup_rows_are_some_of_all"): ("core_sessions", "rows_warmup", 99, 0),
    ("core_sessions", "engine_version_is_known"): ("core_sessions", "engine_version", None, 0),
    ("core_sessions", "resolved_configuration_is_known"): (
        "core_sessions",
        "resolved_engine",
        None,
        0,
    ),
    ("core_sessions", "code_version_is_known"): ("core_sessions", "isocost_version", None, 0),
    ("core_sessions", "energy_has_its_method"): ("core_sessions", "energy_method", None, 0),
    ("core_sessions", "unknown_energy_has_its_reason"): ("core_sessions", "energy_j", None, 0),
    ("core_sessions", "run_did_not_fail"): ("core_sessions", "status", "failed", 0),
    ("core_sessions", "clock_runs_forward"): ("core_sessions", "ended_unix_s", 900.0, 0),
    ("core_points", "samples_add_up"): ("core_points", "samples_banked", N + 1, 0),
    ("core_energy_attribution", "shares_add_up"): ("core_energy_attribution", "energy_j", 3.0, 0),
}
MEANS = {
    ("core_samples", "most_samples_are_valid"): ("is_valid", False, "invalid_reasons", ["odd"]),
    ("core_samples", "most_answers_end_by_themselves"): (
        "is_truncated",
        True,
        "finish_reason",
        "length",
    ),
}
SCHEMA = [
    ("core_samples", "sample_id", None, "null"),
    ("core_samples", "latency_s", float("nan"), "not_finite"),
    ("core_samples", "parse_status", "perhaps", "not_allowed"),
    ("core_samples", "sample_id", "pt-1:p-0:1", "duplicate_key"),
    ("core_sessions", "window_s", float("inf"), "not_finite"),
    ("core_points", "method", None, "null"),
]


def fired(frames: dict[str, pl.DataFrame]) -> list[gates.Outcome]:
    return [outcome for outcome in gates.judge(frames) if not outcome.is_passed]


def test_a_clean_bank_breaks_no_rule_and_passes_untouched() -> None:
    frames = clean()
    assert [outcome.sentence() for outcome in fired(frames)] == []
    after = gates.through(frames, "s-1").frames
    assert all(after[name] is frame for name, frame in frames.items())
    checks = after["core_checks"]
    assert checks["is_passed"].all() and checks["session_id"].unique().to_list() == ["s-1"]


def test_every_rule_has_a_mutation() -> None:
    rules = {(table, rule.code) for table, (suite, _, _) in SUITES.items() for rule in suite} | {
        names(path) for path in core_checks()
    }
    assert rules == MUTATIONS.keys() | MEANS.keys()
    judged = {
        (outcome.table, outcome.code)
        for outcome in gates.judge(clean())
        if outcome.kind != "schema"
    }
    assert judged == rules


@pytest.mark.parametrize("which", MUTATIONS, ids="-".join)
def test_exactly_this_rule_fires_on_one_wrong_cell(which: tuple[str, str]) -> None:
    table, column, value, row = MUTATIONS[which]
    (outcome,) = fired(with_cell(clean(), table, column, value, row))
    assert (outcome.table, outcome.code) == which
    assert outcome.n_failing >= 1 and len(outcome.keys) == min(outcome.n_failing, 10)
    assert outcome.failing is not None and outcome.sentence().startswith(f"rule {which[1]} ")


@pytest.mark.parametrize("which", MEANS, ids="-".join)
def test_a_mean_warns_and_refuses_nothing(which: tuple[str, str]) -> None:
    frames = clean()
    first, value, second, word = MEANS[which]
    many = frames["core_samples"].with_row_index().with_columns(hit=pl.col("index") < N - 4)
    marked = many.with_columns(
        pl.when("hit").then(pl.lit(value)).otherwise(first).alias(first),
        pl.when("hit").then(pl.lit(word)).otherwise(second).alias(second),
    )
    frames["core_samples"] = marked.drop("index", "hit")
    if first == "is_valid":
        frames["core_points"] = frames["core_points"].with_columns(
            samples_valid=pl.lit(4, pl.Int64)
        )
    (outcome,) = fired(frames)
    assert (outcome.table, outcome.code) == which and not outcome.refuses
    assert gates.through(frames, "s-1").frames["core_samples"].equals(frames["core_samples"])


@pytest.mark.parametrize(("table", "column", "value", "kind"), SCHEMA)
def test_a_table_that_breaks_its_definition_stops_its_session(
    table: str, column: str, value: Any, kind: str
) -> None:
    frames = with_cell(clean(), table, column, value)
    (outcome,) = fired(frames)
    assert (outcome.table, outcome.code, outcome.kind) == (table, "schema", "schema")
    with pytest.raises(IsocostError, match=column.split("_", maxsplit=1)[0]) as caught:
        gates.through(frames, "s-1")
    reported = gates.left_out(caught.value, "s-1")
    assert (
        reported.sort("rule")["rule"].to_list() == ["schema", "source_can_be_curated"]
        and not reported["is_passed"].any()
    )


@pytest.mark.parametrize("engine", [*engine_names(), "gone"])
@pytest.mark.parametrize(
    ("column", "owes", "code"),
    [
        ("engine_version", "reports_version", "engine_version_is_known"),
        ("resolved_engine", "reports_configuration", "resolved_configuration_is_known"),
    ],
)
def test_an_engine_owes_what_it_declares_and_no_more(
    engine: str, column: str, owes: str, code: str
) -> None:
    """No rule knows an engine by name.

    What must not be unknown follows from what the class declares.
    """
    frames = with_cell(
        with_cell(clean(), "core_sessions", "engine", engine), "core_sessions", column, None
    )
    owed = engine != "gone" and getattr(capabilities_of(engine), owes)
    assert [outcome.code for outcome in fired(frames)] == ([code] if owed else [])
