"""build_compute_optimal on banks whose best allocation is known."""

import numpy as np
import polars as pl
import pytest

from isocost.schema.frames import empty
from isocost.tables.scaling.allocation import build_compute_optimal

pytestmark = pytest.mark.slow

HARD, EASY = 40, 40
# Configuration: success on hard and on easy problems, output tokens, FLOPs.
CONFIGURATIONS = {
    ("small", "pt-short"): (0.05, 0.95, 100, 1e9),
    ("small", "pt-long"): (0.5, 0.45, 400, 4e9),
    ("big", "pt-big"): (0.5, 0.9, 150, 6e9),
}


def make_samples(configurations=CONFIGURATIONS, samples=16, seed=0, classes=3):
    rng = np.random.default_rng(seed)
    rows = []
    for (model, point), (hard, easy, tokens, flops) in configurations.items():
        for i in range(HARD + EASY):
            for j in range(samples):
                right = bool(rng.random() < (hard if i < HARD else easy))
                rows.append(
                    {
                        "task": "sums",
                        "model_variant": model,
                        "point_id": point,
                        "problem_id": f"p{i:03d}",
                        "sample_index": j,
                        "is_valid": True,
                        "correct": right,
                        "answer_class": 0 if right else int(rng.integers(1, classes)),
                        "output_tokens": tokens,
                        "flops": flops,
                    }
                )
    return pl.DataFrame(rows)


@pytest.fixture(scope="module")
def table():
    return build_compute_optimal(make_samples(), n_bins=2, repetitions=10, seed=3)


def test_each_difficulty_gets_the_configuration_that_suits_it(table):
    small = table.filter(
        (pl.col("model_variant") == "small")
        & (pl.col("strategy") == "majority")
        & (pl.col("cost_axis") == "output_tokens_per_problem")
    )
    most = small.filter(pl.col("budget_cost") == small["budget_cost"].max())
    chosen = {row["difficulty_bin"]: row for row in most.iter_rows(named=True)}
    assert chosen[0]["chosen_point_id"] == "pt-long"
    assert chosen[1]["chosen_point_id"] == "pt-short"
    assert chosen[0]["difficulty_success"] < 0.5 < chosen[1]["difficulty_success"]
    assert chosen[-1]["accuracy"] > chosen[-1]["uniform_accuracy"] + 0.02
    assert chosen[-1]["cost"] < chosen[-1]["uniform_cost"]
    assert chosen[-1]["accuracy"] == pytest.approx(np.mean([chosen[b]["accuracy"] for b in (0, 1)]))
    assert chosen[-1]["accuracy_gain"] == pytest.approx(
        chosen[-1]["accuracy"] - chosen[-1]["uniform_accuracy"]
    )


def test_budgets_bound_the_cost_and_more_budget_is_not_worse(table):
    known = table.filter((pl.col("difficulty_bin") == -1) & pl.col("cost").is_not_null())
    assert (known["cost"] <= known["budget_cost"] * (1 + 1e-9)).all()
    for _, part in known.group_by("model_variant", "strategy", "cost_axis"):
        accuracy = part.sort("budget_cost")["accuracy"].to_numpy()
        assert (np.diff(accuracy) > -0.03).all()
    ratios = known["efficiency_ratio"].drop_nulls()
    assert len(ratios)
    assert ratios.max() > 1.5


def test_arms_of_one_price_have_one_budget():
    # Two samples a problem leave one to score: every configuration is one arm of one sample.
    found = build_compute_optimal(make_samples(samples=2), n_bins=2, repetitions=2)
    budgets = found.group_by("model_variant", "cost_axis").agg(
        pl.col("budget_cost").unique().sort()
    )
    assert {(m, a): len(b) for m, a, b in budgets.iter_rows()} == {
        ("small", "samples_per_problem"): 1,
        ("small", "output_tokens_per_problem"): 8,
        ("small", "flops_per_problem"): 8,
    }
    assert found.filter(cost_axis="samples_per_problem")["budget_cost"].unique().to_list() == [1.0]


def test_the_larger_model_is_compared_at_equal_flops_only(table):
    whole = table.filter(pl.col("difficulty_bin") == -1)
    by_axis = whole.filter(pl.col("larger_model_variant").is_not_null())
    assert set(by_axis["cost_axis"]) == {"flops_per_problem"}
    assert set(by_axis["model_variant"]) == {"small"}
    assert set(by_axis["larger_model_variant"]) == {"big"}
    # One sample of the big model costs 6e9: below it there is nothing to compare with.
    assert (
        by_axis.filter(pl.col("cost") < 6e9)["larger_accuracy"].null_count()
        == by_axis.filter(pl.col("cost") < 6e9).height
    )
    assert by_axis["larger_accuracy"].drop_nulls().is_between(0.6, 0.95).all()


def test_noise_is_not_mistaken_for_difficulty():
    """All problems equal, both configurations equal.

    An allocation that leaked would show a gain.
    """
    same = {("small", "pt-a"): (0.5, 0.5, 100, 1e9), ("small", "pt-b"): (0.5, 0.5, 100, 1e9)}
    gains = []
    for seed in range(4):
        table = build_compute_optimal(
            make_samples(same, samples=4, seed=seed), repetitions=10, seed=seed
        )
        gains += table.filter(
            (pl.col("difficulty_bin") == -1) & (pl.col("strategy") == "pass_at_k")
        )["accuracy_gain"].to_list()
    assert abs(np.mean(gains)) < 0.02


def test_unknown_costs_have_no_axis_and_small_banks_no_rows():
    samples = make_samples()
    partly = samples.with_columns(pl.when(pl.col("sample_index") != 3).then("flops").alias("flops"))
    assert set(build_compute_optimal(partly, repetitions=2)["cost_axis"]) == {
        "samples_per_problem",
        "output_tokens_per_problem",
    }
    assert build_compute_optimal(samples.filter(pl.col("sample_index") == 0)).equals(
        empty("out_compute_optimal")
    )
    assert build_compute_optimal(samples.filter(pl.col("problem_id") < "p003")).equals(
        empty("out_compute_optimal")
    )
    assert build_compute_optimal(empty("core_samples")).equals(empty("out_compute_optimal"))


def test_the_same_samples_give_the_same_rows_in_any_order():
    samples = make_samples(samples=4)
    first = build_compute_optimal(samples, repetitions=3, seed=1)
    assert first.equals(
        build_compute_optimal(
            samples.sample(fraction=1, shuffle=True, seed=2), repetitions=3, seed=1
        )
    )
    spoilt = pl.concat(
        [
            samples,
            samples.with_columns(pl.lit(False).alias("is_valid"), pl.lit(True).alias("correct")),
        ]
    )
    assert first.equals(build_compute_optimal(spoilt, repetitions=3, seed=1))


def test_counts_alone_are_weighed_by_samples_and_never_voted_on():
    blank = [
        pl.lit(None, kind).alias(name)
        for name, kind in (
            ("answer_class", pl.Int32),
            ("output_tokens", pl.Int64),
            ("flops", pl.Float64),
        )
    ]
    table = build_compute_optimal(make_samples().with_columns(blank), repetitions=2)
    assert set(table["cost_axis"]) == {"samples_per_problem"} and set(table["strategy"]) == {
        "pass_at_k"
    }
    assert set(table["cost_unit"]) == {"samples"} and table["budget_cost"].min() == 1


def test_a_configuration_of_few_problems_does_not_empty_the_task(table):
    samples = make_samples()
    few = samples.filter(
        (pl.col("point_id") == "pt-long") & (pl.col("problem_id") < "p006")
    ).with_columns(pl.lit("pt-few").alias("point_id"))
    assert build_compute_optimal(
        pl.concat([samples, few]), n_bins=2, repetitions=10, seed=3
    ).equals(table)
