"""Coverage curves with their bands, and the intervals of an accuracy, against their numerics and
published worked numbers.
"""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from isocost.frontier import clopper_pearson, jeffreys, wilson
from isocost.strategies import pass_at_k
from isocost.tables.coverage.accuracy_intervals import build_accuracy_intervals
from isocost.tables.coverage.bands import DENSE, MOST_PAIRED, budget_grid, build_coverage_bands

pytestmark = pytest.mark.slow


def bank(counts: dict[str, list[tuple[int, int]]], task: str = "sums") -> pl.DataFrame:
    """Samples with n and c for each problem of each point."""
    rows = [
        {
            "task": task,
            "point_id": f"{task}-{point}",
            "model_variant": point,
            "prompt": "plain",
            "problem_id": f"{task}-q{number:03d}",
            "is_valid": True,
            "correct": i < c,
        }
        for point, cells in counts.items()
        for number, (n, c) in enumerate(cells)
        for i in range(n)
    ]
    return pl.DataFrame(rows)


def drawn(
    skill: float, problems: int = 40, samples: int = 8, seed: int = 0
) -> list[tuple[int, int]]:
    rng = np.random.default_rng(seed)
    return [(samples, int(c)) for c in rng.binomial(samples, rng.beta(skill, 1, problems))]


def test_curve_band_and_pointwise_interval():
    cells = drawn(1.0)
    rows = build_coverage_bands(bank({"a": cells}))["out_coverage_bands"]
    n, c = (np.array(column) for column in zip(*cells, strict=True))
    assert rows["k"].to_list() == list(range(1, 9))
    assert rows["pass_at_k"].to_numpy() == pytest.approx(
        pass_at_k(n, c, np.arange(1, 9)).mean(axis=0)
    )
    assert (rows["band_low"] <= rows["pass_at_k_low"]).all() and (
        rows["band_high"] >= rows["pass_at_k_high"]
    ).all()
    assert (rows["band_low"] < rows["pass_at_k_low"]).any() and rows["band_multiplier"][0] > 1.9


def test_a_problem_with_few_samples_ends_the_curve_for_all_and_ungraded_ones_do_not_count():
    cells = [(8, 3), (5, 5), (8, 0)]
    samples = bank({"a": cells})
    rows = build_coverage_bands(samples)["out_coverage_bands"]
    assert rows["k"].max() == 5 and rows["n_problems"].unique().to_list() == [3]
    ungraded = pl.concat([samples, samples.head(2).with_columns(correct=pl.lit(None, pl.Boolean))])
    assert build_coverage_bands(ungraded)["out_coverage_bands"].equals(rows)


def test_differences_come_in_both_directions_and_better_means_better():
    samples = bank({"good": drawn(3.0, 80, seed=1), "poor": drawn(0.4, 80, seed=2)})
    rows = build_coverage_bands(samples)["out_coverage_differences"]
    there = rows.filter(pl.col("point_id") == "sums-good").sort("k")
    back = rows.filter(pl.col("point_id") == "sums-poor").sort("k")
    assert there["verdict"].unique().to_list() == ["better"] and back[
        "verdict"
    ].unique().to_list() == ["worse"]
    assert there["pass_at_k_difference"].to_numpy() == pytest.approx(
        -back["pass_at_k_difference"].to_numpy()
    )
    assert there["band_low"].to_numpy() == pytest.approx(-back["band_high"].to_numpy())
    assert (there["band_low"] <= there["pass_at_k_difference_low"]).all()


def test_one_sample_each_and_no_spread_claim_nothing():
    rows = build_coverage_bands(bank({"a": [(2, 2), (2, 2)], "b": [(2, 0), (2, 0)]}))
    assert set(rows["out_coverage_differences"]["verdict"]) == {"unknown"}
    alone = build_coverage_bands(bank({"a": [(2, 1)]}))["out_coverage_bands"]
    assert alone["band_low"].null_count() == alone.height == 2
    sure = rows["out_coverage_bands"].filter(pl.col("point_id") == "sums-a")
    assert (sure["band_low"] < 0.7).all(), "two problems that were all right are no certainty"


def test_clusters_widen_the_band_and_tasks_do_not_depend_on_each_other():
    cells = [cell for cell in drawn(1.0, 10) for _ in range(4)]
    samples = bank({"a": cells})
    clusters = samples.select("problem_id").unique().sort("problem_id").with_row_index("i")
    clusters = clusters.select("problem_id", cluster_id=pl.format("c{}", pl.col("i") // 4))
    plain, grouped = (
        build_coverage_bands(samples, clusters=c)["out_coverage_bands"] for c in (None, clusters)
    )
    assert (
        grouped["n_units"].unique().to_list() == [10]
        and (grouped["pass_at_k_se"] >= 1.5 * plain["pass_at_k_se"]).all()
    )
    both = pl.concat([samples, bank({"a": drawn(0.5)}, "other")])
    assert (
        build_coverage_bands(both)["out_coverage_bands"]
        .filter(pl.col("task") == "sums")
        .equals(plain)
    )
    assert build_coverage_bands(samples.sample(fraction=1, shuffle=True, seed=1))[
        "out_coverage_bands"
    ].equals(plain)


def test_the_grid_is_dense_where_curves_bend_and_ends_at_the_last_budget():
    assert budget_grid(128).tolist() == list(range(1, 129))
    far = budget_grid(10_000)
    assert (
        far[:DENSE].tolist() == list(range(1, DENSE + 1))
        and far[-1] == 10_000
        and len(far) <= 2 * DENSE + 1
    )


def test_only_so_many_are_paired():
    cells = {f"m{i:02d}": [(2, i % 3), (2, 1)] for i in range(MOST_PAIRED + 2)}
    pairs = build_coverage_bands(bank(cells), draws=10)["out_coverage_differences"]
    assert pairs["point_id"].n_unique() == MOST_PAIRED


def test_binomial_intervals_for_single_samples_only():
    rows = build_accuracy_intervals(
        bank({"one": [(1, 1)] * 7 + [(1, 0)] * 3, "many": [(2, 1)] * 10})
    )
    one = {
        r["interval_method"]: r
        for r in rows.filter(pl.col("model_variant") == "one").iter_rows(named=True)
    }
    for name, rule in (
        ("wilson", wilson),
        ("jeffreys", jeffreys),
        ("clopper_pearson", clopper_pearson),
    ):
        assert (one[name]["accuracy_low"], one[name]["accuracy_high"]) == pytest.approx(
            tuple(map(float, rule(7, 10)))
        )
    assert (one["wilson"]["accuracy_low"], one["wilson"]["accuracy_high"]) == pytest.approx(
        (0.396778, 0.892209), abs=5e-7
    )
    assert one["score"]["is_recommended"] and one["score"]["accuracy_low"] == pytest.approx(
        one["wilson"]["accuracy_low"]
    )
    assert one["fixed_benchmark"]["undefined_reason"] == "a problem has a single sample"
    many = {
        r["interval_method"]: r
        for r in rows.filter(pl.col("model_variant") == "many").iter_rows(named=True)
    }
    assert (
        many["wilson"]["accuracy_low"] is None
        and "more than one sample" in many["wilson"]["undefined_reason"]
    )


def test_worked_variance_split_and_fixed_benchmark_error():
    """Three problems with four samples each: 1111, 1010, 0000."""
    rows = build_accuracy_intervals(bank({"a": [(4, 4), (4, 2), (4, 0)]}))
    row = {r["interval_method"]: r for r in rows.iter_rows(named=True)}
    assert row["student_t"]["accuracy_se"] == pytest.approx(0.288675, abs=5e-7)
    assert row["fixed_benchmark"]["accuracy_se"] == pytest.approx(0.0962250, abs=5e-8)
    split = row["score"]
    assert (split["between_variance"], split["within_variance"]) == pytest.approx(
        (0.222222, 0.111111), abs=1e-6
    )
    assert (split["intraclass_ratio"], split["design_effect"]) == pytest.approx(
        (0.666667, 3.0), abs=1e-6
    )


def test_one_problem_has_an_accuracy_and_no_interval():
    rows = build_accuracy_intervals(bank({"a": [(4, 2)]}))
    score = rows.filter(pl.col("interval_method") == "score").row(0, named=True)
    assert (score["accuracy"], score["accuracy_low"]) == (0.5, None) and "single problem" in score[
        "undefined_reason"
    ]
