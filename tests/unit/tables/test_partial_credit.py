"""Partial credit.

Means take the score, what needs a verdict is undefined for the problem and says so, nothing is
dropped.
"""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isocost import sql
from isocost.schema.frames import conform, empty
from isocost.schema.registry import table
from isocost.schema.types import polars_schema
from isocost.strategies.registry import Strategy, find_strategies
from isocost.tables.coverage.accuracy_intervals import build_accuracy_intervals
from isocost.tables.coverage.bands import build_coverage_bands
from isocost.tables.items.items import build_item_statistics
from isocost.tables.outcomes.outcomes import Bootstrap, build_outcomes
from isocost.tables.tallies import tallies

FAST = Bootstrap(draws=100)


def samples(problems: dict[str, list[float]], point: str = "pt-1") -> pl.DataFrame:
    """1 and 0 are verdicts, anything between is partial credit."""
    rows = []
    for problem, scores in problems.items():
        for i, score in enumerate(scores):
            base = {
                "task": "t",
                "model_variant": "m",
                "prompt": "p",
                "point_id": point,
                "problem_id": problem,
                "sample_index": i,
            }
            base |= {
                "sample_id": f"{point}:{problem}:{i}",
                "session_id": "s",
                "source": "x",
                "is_valid": True,
                "invalid_reasons": [],
            }
            base |= {
                "correct": bool(score) if score in (0, 1) else None,
                "score": float(score),
                "parse_status": "parsed",
                "n_calls": 1,
            }
            base |= {
                "answer_class": int(score * 4),
                "answer": str(score),
                "output_tokens": 10 + i,
                "logprob_mean": -0.1 * (i + 1),
            }
            rows.append(base)
    schema = polars_schema(table("core_samples"))
    reported = pl.DataFrame(rows, schema={name: schema[name] for name in rows[0]})
    return conform(
        pl.concat([pl.DataFrame(schema=schema), reported], how="diagonal"), "core_samples"
    )


CPPP = {"q": [1, 0.5, 0.5, 0.5]}
MIXED = {"a": [1, 0.5, 0.5, 0.5], "b": [1, 0, 1, 1], "c": [0, 0, 0, 1]}


def one(frame: pl.DataFrame, **where) -> dict:
    return frame.filter(**where).row(0, named=True)


def test_c_p_p_p_is_0625_and_no_coverage():
    outcomes, problems = build_outcomes(samples(CPPP), bootstrap=FAST)
    vote = one(outcomes, strategy="majority_at_k", budget=1.0)
    assert vote["accuracy"] == pytest.approx(0.625) and vote["n_problems"] == 1
    # Three of four say the answer of half credit.
    assert one(outcomes, strategy="majority_at_k", budget=4.0)["accuracy"] == pytest.approx(0.5)
    assert one(outcomes, strategy="best_of_k_mean_logprob", budget=4.0)["accuracy"] == 1.0
    for strategy in ("pass_at_k", "pass_hat_k", "retry_until_verified", "surprisal_guided_at_k"):
        for found in outcomes.filter(strategy=strategy).iter_rows(named=True):
            assert found["accuracy"] is None and found["undefined_reasons"] == ["partial_credit:1"]
    reported = problems.join(
        outcomes.filter(strategy="pass_at_k").select("outcome_id"), on="outcome_id", how="semi"
    )
    assert set(reported["undefined_reason"]) == {"partial_credit"}


def test_where_one_problem_has_partial_credit_coverage_is_of_none():
    outcomes, _ = build_outcomes(samples(MIXED), bootstrap=FAST)
    for found in outcomes.filter(strategy="pass_at_k").iter_rows(named=True):
        assert found["accuracy"] is None and found["undefined_reasons"] == ["partial_credit:3"]
    vote = one(outcomes, strategy="majority_at_k", budget=1.0)
    assert (
        vote["accuracy"] == pytest.approx((0.625 + 0.75 + 0.25) / 3)
        and vote["interval_method"] == "percentile"
    )
    assert vote["selection_efficiency"] is None
    assert build_coverage_bands(samples(MIXED), draws=64)["out_coverage_bands"].is_empty()


def test_intervals_that_need_verdicts_say_so_and_another_is_recommended():
    found = build_accuracy_intervals(samples(MIXED), draws=100)
    assert found["accuracy"].to_list() == pytest.approx([(0.625 + 0.75 + 0.25) / 3] * found.height)
    refused = found.filter(pl.col("undefined_reason") == "partial_credit")["interval_method"]
    assert set(refused) == {"score", "wilson", "jeffreys", "clopper_pearson", "fixed_benchmark"}
    assert found.filter("is_recommended")["interval_method"].to_list() == ["bootstrap_percentile"]
    assert found.filter(interval_method="student_t")["accuracy_low"].null_count() == 0
    plain = build_accuracy_intervals(samples({"b": MIXED["b"], "c": MIXED["c"]}), draws=100)
    assert plain.filter("is_recommended")["interval_method"].to_list() == ["score"]


def test_items_and_the_summary_take_the_score():
    items = build_item_statistics(samples(MIXED))
    assert dict(items.select("problem_id", "solved_ratio").iter_rows()) == pytest.approx(
        {"a": 0.625, "b": 0.75, "c": 0.25}
    )
    (path,) = (path for path in sql.sql_files("out") if path.stem == "out_point_summary")
    with sql.over(
        {"core_samples": samples(MIXED), "core_counts": empty("core_counts")}
    ) as connection:
        row = sql.run_file(connection, path).row(0, named=True)
    assert row["accuracy"] == pytest.approx((0.625 + 0.75 + 0.25) / 3)
    assert (row["samples_graded"], row["samples_correct"], row["samples_partial"]) == (12, 5, 3)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.lists(st.sampled_from([0, 0.25, 0.5, 1]), min_size=1, max_size=5), min_size=1, max_size=4
    )
)
@pytest.mark.slow
def test_one_sample_of_every_policy_is_the_mean_score_and_nothing_is_lost(scores):
    drawn = {f"q{i}": values for i, values in enumerate(scores)}
    frame = samples(drawn)
    sums = tallies(frame)
    assert sums["n"].sum() == frame.height and sums["worth"].sum() == pytest.approx(
        sum(map(sum, scores))
    )
    outcomes, _ = build_outcomes(frame, budgets=[1], bootstrap=FAST)
    mean = np.mean([np.mean(values) for values in scores])
    kinds = {s.name: s for s in find_strategies() if isinstance(s, Strategy)}
    partial = sum(any(0 < v < 1 for v in values) for values in scores)
    for found in outcomes.filter(budget_unit="samples", budget=1.0).iter_rows(named=True):
        if kinds[found["strategy"]].reads_verdicts:
            assert found["n_problems_undefined"] == (len(scores) if partial else 0)
        elif found["strategy"] != "one_sample":
            assert found["accuracy"] == pytest.approx(mean), found["strategy"]
