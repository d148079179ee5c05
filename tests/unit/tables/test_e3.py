"""E^3 of out_effort_frontier: by hand, against draws made one by one, and where it is unknown."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from isocost.curves import percentile_interval
from isocost.curves.anytime import e3_score
from isocost.frontier import resample_counts
from isocost.schema.frames import empty, faults
from isocost.tables.frontiers.blocks import task_seed
from isocost.tables.scaling.anytime import build_effort_frontier


def samples(right, tokens, *, point="p"):
    """Two samples for each problem; right and tokens are (problems, 2)."""
    return pl.DataFrame(
        [
            {
                "point_id": point, "problem_id": f"p{i}", "sample_id": f"{point}:p{i}:{j}",
                "task": "sums", "model_variant": "tiny", "prompt": "direct", "is_valid": True,
                "correct": bool(right[i][j]), "output_tokens": tokens[i][j], "latency_s": None,
                "finish_reason": "stop",
            }
            for i in range(len(right))
            for j in range(2)
        ],
        schema_overrides={"output_tokens": pl.Int64, "latency_s": pl.Float64},
    )  # fmt: skip


def test_it_is_accuracy_squared_over_tokens_of_a_problem():
    found = build_effort_frontier(samples([[1, 0], [1, 1], [0, 0]], [[10, 30], [40, 60], [90, 70]]))
    assert faults(found, "out_effort_frontier") == []
    row = found.row(0, named=True)
    # Accuracy (1/2 + 1 + 0) / 3, tokens (20 + 50 + 80) / 3.
    assert row["e3_per_token"] == pytest.approx(0.5**2 / 50)
    assert row["e3_per_token"] == pytest.approx(
        row["accuracy"] ** 2 / row["output_tokens_per_request"]
    )
    assert row["e3_unknown_reason"] is None


@pytest.mark.parametrize("clustered", [False, True])
def test_its_interval_is_that_of_draws_made_one_by_one(clustered):
    rng = np.random.default_rng(3)
    right, tokens = rng.random((12, 2)) < 0.6, rng.integers(5, 90, (12, 2))
    labels = [i // 3 if clustered else i for i in range(12)]
    ids = sorted(f"p{i}" for i in range(12))  # the order in which problems are drawn
    clusters = pl.DataFrame(
        {"problem_id": ids, "cluster_id": [f"c{label}" for label in labels]}
    )  # fmt: skip
    found = build_effort_frontier(
        samples(right, tokens), clusters=clusters if clustered else None, draws=300
    ).row(0, named=True)
    order = [int(name[1:]) for name in ids]
    counts = resample_counts(12, 300, task_seed(0, "sums"), clusters=labels)
    drawn = []
    for row in counts.astype(float):
        accuracy, spent = (
            np.average(values.mean(axis=1)[order], weights=row) for values in (right, tokens)
        )
        drawn.append(accuracy**2 / spent)
    wanted = percentile_interval(drawn, units=len(set(labels)))
    assert found["e3_per_token_low"] == pytest.approx(wanted.low, rel=1e-9)
    assert found["e3_per_token_high"] == pytest.approx(wanted.high, rel=1e-9)
    assert wanted.low < found["e3_per_token"] < wanted.high


def test_unknown_tokens_make_it_unknown_and_say_so():
    right = [[1, 0], [1, 1]]
    lacking = build_effort_frontier(samples(right, [[10, None], [40, 60]])).row(0, named=True)
    assert lacking["e3_per_token"] is None
    assert lacking["e3_unknown_reason"] == "output_tokens_unknown"
    silent = build_effort_frontier(samples(right, [[0, 0], [0, 0]])).row(0, named=True)
    assert (silent["e3_per_token"], silent["e3_unknown_reason"]) == (None, "no_tokens_generated")
    counts = pl.DataFrame(
        [{"task": "sums", "point_id": "c", "model_variant": "tiny", "problem_id": "p0",
          "n_samples": 4, "n_correct": 3, "source": "counts", "session_id": "s"}]
    )  # fmt: skip
    counts = pl.concat([empty("core_counts"), counts], how="diagonal_relaxed")
    counted = build_effort_frontier(samples(right, [[1, 2], [3, 4]]).clear(), counts=counts)
    assert counted["e3_unknown_reason"].to_list() == ["output_tokens_unknown"]


def test_one_problem_has_no_interval():
    row = build_effort_frontier(samples([[1, 0]], [[10, 30]])).row(0, named=True)
    assert row["e3_per_token"] == pytest.approx(0.25 / 20)
    assert row["e3_per_token_low"] is None and row["e3_per_token_high"] is None


def test_without_tokens_there_is_no_score():
    assert np.isnan(e3_score(0.5, 0)) and e3_score(0.0, 10) == 0
