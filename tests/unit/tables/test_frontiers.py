"""Frontier tables.

What is included, excluded and counted; agreement with the numerics; macro; determinism.
"""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from isocost.errors import IsocostError
from isocost.frontier import (
    hypervolume,
    joint_membership,
    mcnemar,
    pareto_mask,
    problem_bootstrap,
    replicates,
    resample_counts,
    score_interval,
    stratified_score_interval,
)
from isocost.schema.tables.frontiers import MACRO_TASK
from isocost.tables.frontiers.blocks import cost_unit, task_seed
from isocost.tables.frontiers.frontiers import TABLE_NAMES, build_frontiers

pytestmark = pytest.mark.slow

AXES = ("output_tokens_per_problem", "energy_j_per_problem")


def bank(tasks=("algebra",), strategies=6, problems=25, seed=0):
    """Outcomes that trade tokens for accuracy, and their problems."""
    rng = np.random.default_rng(seed)
    outcomes, rows = [], []
    for task in tasks:
        hardness = rng.random(problems)
        for budget in range(1, strategies + 1):
            outcome = f"{task}-k{budget:02d}"
            accuracy = 1 - hardness**budget
            tokens = budget * rng.lognormal(4, 0.3, problems)
            outcomes.append(
                {
                    "outcome_id": outcome,
                    "task": task,
                    "model_variant": "tiny",
                    "prompt": "plain",
                    "point_id": f"pt-{task}",
                    "strategy": "any_correct",
                    "budget": budget,
                    "parameters": "{}",
                    "accuracy": accuracy.mean(),
                    AXES[0]: tokens.mean(),
                    AXES[1]: tokens.mean() * 2,
                }
            )
            for number in range(problems):
                rows.append(
                    {
                        "outcome_id": outcome,
                        "problem_id": f"{task}-{number:03d}",
                        "accuracy": accuracy[number],
                        AXES[0]: tokens[number],
                        AXES[1]: tokens[number] * 2,
                    }
                )
    return pl.DataFrame(outcomes), pl.DataFrame(rows)


@pytest.fixture(scope="module")
def built():
    return build_frontiers(*bank(), draws=400, seed=3)


def matrices(problems: pl.DataFrame, axis: str):
    ordered = problems.sort("outcome_id", "problem_id")
    count = ordered["outcome_id"].n_unique()
    return ordered["accuracy"].to_numpy().reshape(count, -1), ordered[axis].to_numpy().reshape(
        count, -1
    )


def test_every_table_comes_and_conforms(built):
    assert tuple(built) == TABLE_NAMES
    assert built["out_frontier_points"].height == 12 and built["out_frontiers"].height == 2
    assert built["out_frontier_points"]["cost_unit"].unique().sort().to_list() == ["J", "tokens"]


def test_numbers_are_those_of_the_frontier_room(built):
    _, problems = bank()
    values, costs = matrices(problems, AXES[0])
    points = built["out_frontier_points"].filter(pl.col("cost_axis") == AXES[0]).sort("outcome_id")
    oracle = problem_bootstrap(values, costs, 400, task_seed(3, "algebra"))
    assert points["accuracy"].to_numpy() == pytest.approx(values.mean(axis=1))
    assert points["frontier_probability"].to_numpy() == pytest.approx(oracle.membership)
    assert points["cost_low"].to_numpy() == pytest.approx(oracle.cost_low)
    assert points["accuracy_se"].to_numpy() == pytest.approx(oracle.quality_se)
    assert points["accuracy_low"].to_numpy() == pytest.approx(score_interval(values)[0])
    mask = pareto_mask(costs.mean(axis=1), values.mean(axis=1))
    assert points["is_on_frontier"].to_list() == mask.tolist()
    row = built["out_frontiers"].filter(pl.col("cost_axis") == AXES[0]).row(0, named=True)
    corner = [np.log10(row["reference_cost"]), row["reference_accuracy"]]
    assert row["hypervolume_cost_scale"] == "log10" and row["reference_cost"] in (1e2, 1e3, 1e4)
    assert row["hypervolume"] == pytest.approx(
        hypervolume(np.log10(costs.mean(axis=1)), values.mean(axis=1), corner)
    )
    assert 0 < row["hypervolume_ratio"] < 1
    gain = points["hypervolume_contribution"].to_numpy()
    keep = np.arange(6) != 2
    rest = hypervolume(np.log10(costs.mean(axis=1))[keep], values.mean(axis=1)[keep], corner)
    assert gain[2] == pytest.approx(row["hypervolume"] - rest)


def test_cheapest_outcome_has_no_margin_and_a_knee_is_flagged_once(built):
    points = built["out_frontier_points"].filter(pl.col("cost_axis") == AXES[0])
    cheapest = points.sort("cost").row(0, named=True)
    assert cheapest["frontier_margin"] is None and cheapest["is_on_frontier"]
    row = built["out_frontiers"].filter(pl.col("cost_axis") == AXES[0]).row(0, named=True)
    assert points.filter("is_knee")["outcome_id"].to_list() == [row["knee_outcome_id"]]
    assert row["knee_reason"] is None and row["knee_rule"].startswith("chord:ln")


def test_unknown_cost_is_left_out_and_counted_never_free():
    outcomes, problems = bank()
    problems = problems.with_columns(
        pl.when((pl.col("outcome_id") == "algebra-k01") & (pl.col("problem_id") == "algebra-003"))
        .then(None)
        .otherwise(pl.col(AXES[1]))
        .alias(AXES[1])
    )
    built = build_frontiers(outcomes, problems, draws=50)
    energy = built["out_frontier_points"].filter(pl.col("cost_axis") == AXES[1])
    assert "algebra-k01" not in energy["outcome_id"].to_list() and energy.height == 5
    counts = dict(built["out_frontiers"].select("cost_axis", "n_excluded_unknown_cost").iter_rows())
    assert counts == {AXES[0]: 0, AXES[1]: 1}


def test_undefined_accuracy_and_other_problems_are_left_out_and_counted():
    outcomes, problems = bank()
    undefined = pl.col("outcome_id") == "algebra-k06"
    problems = problems.with_columns(
        pl.when(undefined).then(None).otherwise(pl.col("accuracy")).alias("accuracy")
    )
    problems = problems.filter(
        ~((pl.col("outcome_id") == "algebra-k05") & (pl.col("problem_id") == "algebra-000"))
    )
    row = build_frontiers(outcomes, problems, draws=50)["out_frontiers"].row(0, named=True)
    assert (row["n_outcomes"], row["n_included"]) == (6, 4)
    assert (row["n_excluded_unknown_accuracy"], row["n_excluded_other_problems"]) == (1, 1)


def test_duplicates_are_one_point_with_all_their_keys():
    outcomes, problems = bank(strategies=3)
    copy = pl.col("outcome_id").str.replace("algebra-k02", "algebra-k02-vote")
    twin = outcomes.filter(pl.col("budget") == 2).with_columns(
        copy, pl.lit("vote").alias("strategy")
    )
    outcomes = pl.concat([outcomes, twin])
    problems = pl.concat(
        [problems, problems.filter(pl.col("outcome_id") == "algebra-k02").with_columns(copy)]
    )
    built = build_frontiers(outcomes, problems, draws=80)
    points = built["out_frontier_points"].filter(pl.col("cost_axis") == AXES[0])
    pair = points.filter(pl.col("outcome_id").str.starts_with("algebra-k02"))
    assert pair["duplicate_outcome_ids"].to_list() == [["algebra-k02", "algebra-k02-vote"]] * 2
    assert pair["duplicate_of_outcome_id"].to_list() == ["algebra-k02"] * 2
    assert (
        pair["is_on_frontier"].to_list() == [True, True]
        and pair["frontier_probability"].n_unique() == 1
    )
    assert (
        pair["hypervolume_contribution"].n_unique() == 1 and pair["hypervolume_contribution"][0] > 0
    )
    row = built["out_frontiers"].filter(pl.col("cost_axis") == AXES[0]).row(0, named=True)
    assert (row["n_included"], row["n_frontier"]) == (4, 3)
    assert "algebra-k02-vote" not in built["out_comparisons"]["second_outcome_id"].to_list()


def test_oracles_have_a_frontier_of_their_own_and_metrics_none():
    outcomes, problems = bank()
    kinds = {"algebra-k05": "metric", "algebra-k06": "oracle"}
    outcomes = outcomes.with_columns(
        pl.col("outcome_id").replace_strict(kinds, default="policy").alias("strategy_kind")
    )
    built = build_frontiers(outcomes, problems, draws=60)
    points = built["out_frontier_points"].filter(pl.col("cost_axis") == AXES[0])
    ids = {
        kind: set(points.filter(pl.col("frontier_kind") == kind)["outcome_id"])
        for kind in ("policy", "oracle")
    }
    assert len(ids["policy"]) == 4 and ids["oracle"] - ids["policy"] == {"algebra-k06"}
    row = built["out_frontiers"].filter(pl.col("cost_axis") == AXES[0]).sort("frontier_kind")
    assert row.select("frontier_kind", "n_excluded_other_kind", "n_included").rows() == [
        ("oracle", 1, 5),
        ("policy", 2, 4),
    ]
    assert "algebra-k06" not in built["out_comparisons"]["second_outcome_id"].to_list()
    alone = build_frontiers(
        outcomes.with_columns(strategy_kind=pl.lit("policy")), problems, draws=60
    )["out_frontiers"]
    assert alone["frontier_kind"].unique().to_list() == ["policy"]


def test_doubt_is_said_and_a_costlier_copy_of_the_answers_is_beyond_doubt():
    outcomes, problems = bank(strategies=3)
    costlier = pl.col("outcome_id").str.replace("algebra-k02", "algebra-k02-twice")
    twin = outcomes.filter(pl.col("budget") == 2).with_columns(costlier)
    extra = problems.filter(pl.col("outcome_id") == "algebra-k02").with_columns(
        costlier, *(pl.col(axis) * 1.01 for axis in AXES)
    )
    points = build_frontiers(pl.concat([outcomes, twin]), pl.concat([problems, extra]), draws=200)[
        "out_frontier_points"
    ]
    rows = {
        row["outcome_id"]: row
        for row in points.filter(pl.col("cost_axis") == AXES[0]).iter_rows(named=True)
    }
    assert (
        not rows["algebra-k02-twice"]["is_on_optimistic_frontier"]
        and rows["algebra-k02-twice"]["frontier_probability"] == 0
    )
    assert (
        rows["algebra-k01"]["is_on_conservative_frontier"]
        and rows["algebra-k03"]["is_on_optimistic_frontier"]
    )
    for row in rows.values():
        assert row["is_on_optimistic_frontier"] or not row["is_on_conservative_frontier"]


def test_macro_frontier_weighs_tasks_alike():
    small, large = bank(("algebra",), problems=10, seed=1), bank(("geometry",), problems=40, seed=2)
    outcomes, problems = (pl.concat(pair) for pair in zip(small, large, strict=True))
    built = build_frontiers(outcomes, problems, draws=300, seed=3)
    macro = built["out_frontier_points"].filter(
        (pl.col("task") == MACRO_TASK) & (pl.col("cost_axis") == AXES[0])
    )
    assert (
        macro.height == 6
        and macro["point_id"].null_count() == 6
        and macro["n_problems"].unique().to_list() == [50]
    )
    by_id = dict(outcomes.select("outcome_id", "accuracy").iter_rows())
    for row in macro.iter_rows(named=True):
        assert row["accuracy"] == pytest.approx(
            np.mean([by_id[member] for member in row["member_outcome_ids"]])
        )
        assert row["accuracy_low"] <= row["accuracy"] <= row["accuracy_high"]
        assert row["interval_method"] == "score_stratified"
        values = [
            matrices(problems.filter(pl.col("outcome_id") == member), AXES[0])[0][0]
            for member in row["member_outcome_ids"]
        ]
        ends = stratified_score_interval(values, [0.5, 0.5])
        assert (row["accuracy_low"], row["accuracy_high"]) == pytest.approx(tuple(map(float, ends)))
    first = built["out_frontier_points"].filter(
        (pl.col("budget") == 1) & (pl.col("cost_axis") == AXES[0])
    )
    errors = dict(first.select("task", "accuracy_se").iter_rows())
    # Independent draws for the two tasks: variances add, a quarter each.
    assert errors[MACRO_TASK] ** 2 == pytest.approx(
        (errors["algebra"] ** 2 + errors["geometry"] ** 2) / 4, rel=0.2
    )


def test_macro_leaves_out_what_was_not_measured_everywhere():
    outcomes, problems = bank(("algebra", "geometry"))
    outcomes = outcomes.filter(pl.col("outcome_id") != "geometry-k06")
    built = build_frontiers(
        outcomes, problems.filter(pl.col("outcome_id") != "geometry-k06"), draws=50
    )
    row = built["out_frontiers"].filter(pl.col("task") == MACRO_TASK).row(0, named=True)
    assert (row["n_outcomes"], row["n_included"], row["n_excluded_other_problems"]) == (6, 5, 1)


def test_sampling_columns_of_points_keep_configurations_apart():
    outcomes, problems = bank(("algebra", "geometry"), strategies=2)
    warm = pl.col("outcome_id") + "-warm"
    both = pl.concat([outcomes, outcomes.with_columns(warm, pl.col("point_id") + "-warm")])
    rows = pl.concat([problems, problems.with_columns(warm)])
    points = pl.DataFrame(
        {
            "point_id": ["pt-algebra", "pt-geometry", "pt-algebra-warm", "pt-geometry-warm"],
            "temperature": [0.0, 0.0, 1.0, 1.0],
        }
    )
    assert (
        build_frontiers(both, rows, draws=20)["out_frontiers"]
        .filter(pl.col("task") == MACRO_TASK)
        .is_empty()
    )
    reported = build_frontiers(both, rows, draws=20, points=points)["out_frontiers"].filter(
        pl.col("task") == MACRO_TASK
    )
    assert reported["n_included"].to_list() == [4, 4]


def test_clusters_widen_the_intervals():
    outcomes, problems = bank(strategies=2, problems=40)
    groups = problems.select("problem_id").unique().sort("problem_id").with_row_index("row")
    clusters = groups.select("problem_id", cluster_id=pl.format("c{}", pl.col("row") // 10))
    plain = build_frontiers(outcomes, problems, draws=200)["out_frontier_points"]
    grouped = build_frontiers(outcomes, problems, draws=200, clusters=clusters)[
        "out_frontier_points"
    ]
    assert plain["n_units"].unique().to_list() == [40] and grouped[
        "n_units"
    ].unique().to_list() == [4]
    compared = build_frontiers(outcomes, problems, draws=200, clusters=clusters)["out_comparisons"]
    assert compared["test_method"].to_list() == ["paired_t_clustered"]


def test_one_problem_shows_a_frontier_without_uncertainty():
    built = build_frontiers(*bank(problems=1), draws=20)
    points = built["out_frontier_points"]
    assert (
        points["accuracy_low"].null_count() == points.height
        and points["frontier_probability"].null_count() == points.height
    )
    assert (
        points["is_on_frontier"].null_count() == 0
        and built["out_frontiers"]["n_possible"].null_count() == 2
    )
    assert built["out_comparisons"].is_empty() and built["out_frontier_attainment"].is_empty()


def test_comparisons_adjust_for_their_number(built):
    rows = built["out_comparisons"].filter(pl.col("comparison_family") == "frontier")
    n = rows["n_comparisons"][0]
    assert rows.height == n == 15
    assert (rows["first_outcome_id"] < rows["second_outcome_id"]).all()
    assert (rows["p_value_holm"] >= rows["p_value_bh"]).all() and (
        rows["p_value_bh"] >= rows["p_value"]
    ).all()
    assert (rows["accuracy_difference"] < 0).all() and set(rows["verdict"]) <= {
        "second_better",
        "no_difference_shown",
    }
    assert (rows["accuracy_difference_band_low"] <= rows["accuracy_difference_low"]).all()
    assert (rows["accuracy_difference_band_high"] >= rows["accuracy_difference_high"]).all()
    assert (rows["p_value_max_t"] >= rows["p_value"] - 0.02).all() and (
        rows["p_value_max_t"] >= 1 / 4097 - 1e-12
    ).all()


def plain_right_or_wrong():
    """Three configurations at one sample a problem.

    12 solves what 10 does and more, 11 is as good as 10 but on other problems.
    """
    right = {"p10": range(10), "p11": range(5, 15), "p12": range(18)}
    outcomes, rows = [], []
    for name, solved in right.items():
        for strategy in ("majority_at_k", "best_of_k"):
            outcome = f"{name}-{strategy}"
            stated = {
                "outcome_id": outcome,
                "task": "sums",
                "model_variant": name,
                "prompt": "plain",
                "point_id": name,
            }
            outcomes.append(
                {
                    **stated,
                    "strategy": strategy,
                    "budget": 1,
                    "parameters": "{}",
                    AXES[0]: 1.0 + len(solved),
                }
            )
            rows += [
                {
                    "outcome_id": outcome,
                    "problem_id": f"q{i:02d}",
                    "accuracy": float(i in solved),
                    AXES[0]: 1.0 + len(solved),
                }
                for i in range(20)
            ]
    return pl.DataFrame(outcomes), pl.DataFrame(rows)


def test_single_samples_are_compared_by_mcnemar():
    rows = build_frontiers(*plain_right_or_wrong(), draws=200)["out_comparisons"].filter(
        pl.col("comparison_family") == "single_sample"
    )
    assert (
        rows["test_method"].unique().to_list() == ["mcnemar_exact"]
        and rows["n_comparisons"].to_list() == [3] * 3
    )
    found = {
        (r["first_outcome_id"][:3], r["second_outcome_id"][:3]): r
        for r in rows.iter_rows(named=True)
    }
    same, more = found["p10", "p11"], found["p10", "p12"]
    assert (
        same["n_first_only"],
        same["n_second_only"],
        same["p_value"],
        same["accuracy_difference"],
    ) == (5, 5, 1.0, 0.0)
    assert (more["n_first_only"], more["n_second_only"]) == (0, 8)
    assert more["p_value"] == pytest.approx(mcnemar(0, 8).exact) == pytest.approx(2 * 0.5**8)
    assert more["verdict"] == "second_better" and more["p_value_holm"] == pytest.approx(
        3 * 2 * 0.5**8
    )
    assert rows["first_outcome_id"].str.ends_with("majority_at_k").all(), (
        "one outcome stands for a configuration"
    )


def test_the_frontier_is_compared_with_the_best_single_sample():
    rows = build_frontiers(*plain_right_or_wrong(), draws=100)["out_comparisons"]
    against = rows.filter(pl.col("comparison_family") == "frontier_against_single")
    assert against["second_outcome_id"].unique().to_list() == ["p12-majority_at_k"]
    assert against["first_outcome_id"].str.slice(0, 3).to_list() == ["p10"], (
        "equal answers under another name are no rival"
    )
    assert against["verdict"].to_list() == ["second_better"]


def three_costs():
    """a is cheap and slow, b dear and fast, both as accurate; c is worse than a in everything."""
    costs = {"a": (1.0, 9.0), "b": (5.0, 2.0), "c": (2.0, 10.0)}
    right = {"a": range(8), "b": range(8), "c": range(4)}
    outcomes, rows = [], []
    for name, (tokens, wait) in costs.items():
        axes = {"output_tokens_per_problem": tokens, "latency_parallel_s_per_problem": wait}
        stated = {
            "outcome_id": name,
            "task": "sums",
            "model_variant": "m",
            "prompt": "p",
            "point_id": name,
            "strategy": "s",
            "budget": 2,
        }
        outcomes.append({**stated, "parameters": "{}", **axes})
        rows += [
            {"outcome_id": name, "problem_id": f"q{i}", "accuracy": float(i in right[name]), **axes}
            for i in range(16)
        ]
    return pl.DataFrame(outcomes), pl.DataFrame(rows)


def test_two_costs_at_once_keep_what_one_cost_would_drop():
    built = build_frontiers(*three_costs(), draws=300)
    points = {
        row["outcome_id"]: row for row in built["out_joint_frontier_points"].iter_rows(named=True)
    }
    assert {name: row["is_on_frontier"] for name, row in points.items()} == {
        "a": True,
        "b": True,
        "c": False,
    }
    assert (
        points["b"]["is_on_second_cost_frontier"] and not points["b"]["is_on_first_cost_frontier"]
    )
    assert points["a"]["frontier_probability"] == points["b"]["frontier_probability"] == 1
    assert points["c"]["frontier_probability"] == 0 and points["c"]["hypervolume_contribution"] == 0
    row = built["out_joint_frontiers"].row(0, named=True)
    assert (
        row["n_frontier"],
        row["n_included"],
        row["first_reference_cost"],
        row["second_reference_cost"],
    ) == (2, 3, 10.0, 100.0)
    # Boxes from each point to (10, 100, 0) in log10, accuracy 0.5, less what both cover.
    a, b = (1 - 0) * (2 - np.log10(9)), (1 - np.log10(5)) * (2 - np.log10(2))
    both = (1 - np.log10(5)) * (2 - np.log10(9))
    assert row["hypervolume"] == pytest.approx(0.5 * (a + b - both))
    # Without a the dominated c stands in, at a quarter: its own box less what b covers of it.
    c, shared = (1 - np.log10(2)) * (2 - 1), (1 - np.log10(5)) * (2 - 1)
    assert points["a"]["hypervolume_contribution"] == pytest.approx(
        0.5 * (a - both) - 0.25 * (c - shared)
    )
    assert row["hypervolume_ratio"] == pytest.approx(row["hypervolume"] / ((1 - 0) * (2 - 0)))


def test_joint_membership_is_brute_force_over_the_draws():
    rng = np.random.default_rng(4)
    values, first, second = (
        rng.integers(0, 2, (5, 6)).astype(float),
        rng.integers(1, 4, (5, 6)) * 1.0,
        rng.integers(1, 4, (5, 6)) * 1.0,
    )
    counts = resample_counts(6, 200, 1)
    hits = np.zeros(5)
    for draw in counts:
        q, x, y = (matrix @ draw for matrix in (values, first, second))
        for i in range(5):
            hits[i] += not any(
                q[j] >= q[i]
                and x[j] <= x[i]
                and y[j] <= y[i]
                and (q[j] > q[i] or x[j] < x[i] or y[j] < y[i])
                for j in range(5)
            )
    assert joint_membership(
        *(replicates(matrix, counts) for matrix in (values, first, second))
    ) == pytest.approx(hits / 200)


def test_mixing_two_outcomes_beats_what_lies_between_them():
    points = (
        build_frontiers(*bank(), draws=40)["out_frontier_points"]
        .filter(pl.col("cost_axis") == AXES[0])
        .sort("cost")
    )
    assert (points.filter("is_on_hull")["hull_accuracy_gap"] < 1e-9).all()
    hull = points.filter("is_on_hull")
    expected = (
        np.interp(points["cost"], hull["cost"], hull["accuracy"]) - points["accuracy"].to_numpy()
    )
    assert points["hull_accuracy_gap"].to_numpy() == pytest.approx(
        np.maximum(expected, 0), abs=1e-9
    )


def test_attainment_rises_with_budget_and_falls_with_certainty(built):
    curve = (
        built["out_frontier_attainment"]
        .filter(pl.col("cost_axis") == AXES[0])
        .sort("attained_ratio", "cost")
    )
    for level in (0.05, 0.5, 0.95):
        accuracy = curve.filter(pl.col("attained_ratio") == level)["accuracy"].drop_nulls()
        assert accuracy.is_sorted()
    wide = curve.pivot("attained_ratio", index="cost", values="accuracy").drop_nulls()
    assert (wide["0.05"] >= wide["0.5"]).all() and (wide["0.5"] >= wide["0.95"]).all()


def test_same_input_same_bytes_in_any_row_order():
    outcomes, problems = bank(("algebra", "geometry"))
    once = build_frontiers(outcomes, problems, draws=60)
    again = build_frontiers(
        outcomes.sample(fraction=1, shuffle=True, seed=1),
        problems.sample(fraction=1, shuffle=True, seed=2),
        draws=60,
    )
    for name in TABLE_NAMES:
        assert once[name].equals(again[name]), name


def test_a_task_does_not_change_when_another_is_added():
    alone = build_frontiers(*bank(("algebra",)), draws=60)["out_frontier_points"]
    both = build_frontiers(*bank(("algebra", "geometry")), draws=60)["out_frontier_points"].filter(
        pl.col("task") == "algebra"
    )
    assert alone.equals(both)


def test_nothing_to_compare_gives_empty_tables():
    outcomes, problems = bank()
    built = build_frontiers(outcomes.clear(), problems.clear())
    assert all(frame.is_empty() for frame in built.values()) and tuple(built) == TABLE_NAMES


def test_bad_input_is_named():
    outcomes, problems = bank()
    with pytest.raises(IsocostError, match="algebra-k02: 1 outcomes have no problem rows"):
        build_frontiers(outcomes, problems.filter(pl.col("outcome_id") != "algebra-k02"))
    with pytest.raises(IsocostError, match="comes more than once"):
        build_frontiers(pl.concat([outcomes, outcomes.head(1)]), problems)
    with pytest.raises(IsocostError, match="rows repeat a key"):
        build_frontiers(outcomes, pl.concat([problems, problems.head(1)]))
    with pytest.raises(IsocostError, match="column accuracy is missing"):
        build_frontiers(outcomes, problems.drop("accuracy"))
    with pytest.raises(IsocostError, match="negative"):
        build_frontiers(outcomes, problems.with_columns(-pl.col(AXES[0])))


def test_units_are_those_of_the_axes():
    names = (
        "latency_parallel_s_per_problem",
        "flops_per_problem",
        "samples_per_problem",
        "prompt_tokens_unshared_per_problem",
    )
    assert [cost_unit(name) for name in names] == ["s", "FLOP", "samples", "tokens"]
    with pytest.raises(IsocostError, match="no cost axis 'effort_per_problem'"):
        cost_unit("effort_per_problem")
