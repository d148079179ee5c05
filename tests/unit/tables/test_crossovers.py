"""out_method_crossovers on curves whose crossing is planted, and against draws made one by one."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isocost.curves import percentile_interval
from isocost.frontier import resample_counts
from isocost.schema.frames import faults
from isocost.tables.frontiers.blocks import task_seed
from isocost.tables.scaling.crossovers import build_method_crossovers, compared_axes

AXES = [axis.per_problem for axis in compared_axes()]
TOKENS, FLOPS = "output_tokens_per_problem", "flops_per_problem"
SETTINGS = {
    "task": "sums", "model_variant": "tiny", "prompt": "direct", "temperature": 0.7,
    "max_tokens": 64, "seed": 0, "method_parameters": "{}",
}  # fmt: skip


def point(name, method="generate_then_verify", **changes):
    return {"point_id": name, "method": method, **SETTINGS, **changes}


def curve(name, strategy, budgets, accuracy, tokens, *, problems=None, flops=100.0, **changes):
    """Outcomes and problems of one strategy.

    Args:
        accuracy: (budgets, problems).
        tokens: the same shape, cost in tokens.
    """
    accuracy, tokens = np.asarray(accuracy, dtype=float), np.asarray(tokens, dtype=float)
    ids = problems or [f"p{i:03d}" for i in range(accuracy.shape[1])]
    family = strategy if strategy.startswith("majority") else "generate_then_verify"
    outcomes, rows = [], []
    for k, right, cost in zip(budgets, accuracy, tokens, strict=True):
        outcome = {
            "outcome_id": f"{name}:{strategy}:{k}", "task": "sums", "model_variant": "tiny",
            "prompt": "direct", "point_id": name, "strategy": strategy, "strategy_family": family,
            "strategy_kind": "policy", "budget": float(k),
            "parameters": '{"abstentions":"ignored","ties":"uniform"}',
        }  # fmt: skip
        outcomes.append(outcome | changes)
        for problem, y, c in zip(ids, right, cost, strict=True):
            costs = {axis: None if axis != TOKENS else c for axis in AXES}
            costs[FLOPS] = None if flops is None else flops * c
            known = None if np.isnan(y) else y
            rows.append(
                {"outcome_id": outcome["outcome_id"], "problem_id": problem, "accuracy": known}
                | costs
            )
    return outcomes, rows


def build(curves, points, **options):
    outcomes = pl.DataFrame([row for some, _ in curves for row in some])
    schema = {"outcome_id": pl.String, "problem_id": pl.String, "accuracy": pl.Float64}
    problems = pl.DataFrame(
        [row for _, some in curves for row in some],
        schema=schema | dict.fromkeys(AXES, pl.Float64),
    )
    found = build_method_crossovers(outcomes, problems, pl.DataFrame(points), **options)
    assert faults(found, "out_method_crossovers") == []
    return found


def planted(cost, n_problems=20, length=10.0, v=3, ratio=1.0):
    """Majority and verification whose mean accuracies cross at a cost in tokens.

    Both are linear in the logarithm of cost: 0.02 and 0.05 for each doubling, 0.5 at the crossing.
    """
    ks, s = [1, 2, 4, 8, 16, 32, 64], [1, 2, 4, 8, 16]
    lengths = np.full(n_problems, length)
    votes = np.outer(ks, lengths)
    verified = np.outer(s, lengths) * (1 + ratio * v)
    rise = [np.log2(np.mean(c, axis=1) / cost)[:, None] for c in (votes, verified)]
    return (
        curve("p1", "majority_at_k", ks, 0.5 + 0.02 * rise[0] + 0 * votes, votes),
        curve("p1", f"generate_then_verify_{v}", s, 0.5 + 0.05 * rise[1] + 0 * verified, verified),
    )


@pytest.mark.parametrize("cost", [45.0, 100.0, 333.0, 639.0])
def test_a_planted_crossing_is_found_in_tokens_and_in_flops(cost):
    found = build(planted(cost), [point("p1")])
    assert set(found["cost_axis"]) == set(AXES) and found.height == len(AXES)
    tokens, flops = (found.row(by_predicate=pl.col("cost_axis") == a, named=True)
                     for a in (TOKENS, FLOPS))  # fmt: skip
    assert tokens["crossover_cost"] == pytest.approx(cost, rel=1e-9)
    assert flops["crossover_cost"] == pytest.approx(100 * cost, rel=1e-9)
    assert (tokens["cost_unit"], flops["cost_unit"]) == ("tokens", "FLOP")
    assert (tokens["common_cost_low"], tokens["common_cost_high"]) == (40, 640)
    assert tokens["crossover_unknown_reason"] is None
    # Every problem is the same: every draw crosses there.
    assert tokens["crossover_cost_low"] == pytest.approx(cost, rel=1e-9)
    assert tokens["crossover_cost_high"] == pytest.approx(cost, rel=1e-9)
    assert tokens["crossover_ratio"] == 1.0
    unknown = found.filter(~pl.col("cost_axis").is_in([TOKENS, FLOPS]))
    assert set(unknown["crossover_unknown_reason"]) == {"cost_unknown"}
    assert unknown["crossover_cost"].null_count() == unknown.height


@pytest.mark.parametrize(
    ("cost", "reason", "ratio"),
    [(30.0, "above_from_the_start", 1.0), (650.0, "not_above_at_the_end", 0.0)],
)
def test_a_crossing_outside_the_common_range_is_unknown_and_says_on_which_side(cost, reason, ratio):
    row = build(planted(cost), [point("p1")]).filter(cost_axis=TOKENS).row(0, named=True)
    assert row["crossover_cost"] is None and row["crossover_unknown_reason"] == reason
    assert row["crossover_cost_low"] is None and row["crossover_cost_high"] is None
    assert row["crossover_ratio"] == ratio


def oracle(votes, verified, clusters, draws, seed):
    """Crossovers of the sample and of every draw, each from the curves' definition."""

    def crossing(weights):
        sides = []
        for accuracy, cost in (votes, verified):
            sides += [np.log((cost * weights).sum(axis=1) / weights.sum()),
                      (accuracy * weights).sum(axis=1) / weights.sum()]  # fmt: skip
        x, y, other_x, other_y = sides
        low, high = max(x[0], other_x[0]), min(x[-1], other_x[-1])
        grid = np.unique([*(k for k in (*x, *other_x) if low <= k <= high)])
        gap = np.interp(grid, other_x, other_y) - np.interp(grid, x, y)
        if gap[-1] <= 1e-12:
            return np.inf
        for i in range(len(grid) - 2, -1, -1):
            if gap[i] <= 1e-12:
                share = -min(gap[i], 0) / (gap[i + 1] - min(gap[i], 0))
                return float(np.exp(grid[i] + share * (grid[i + 1] - grid[i])))
        return -np.inf

    n = votes[0].shape[1]
    counts = resample_counts(n, draws, seed, clusters=clusters)
    return crossing(np.ones(n)), [crossing(row.astype(float)) for row in counts]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), clustered=st.booleans(), left_out=st.integers(0, 2))
def test_crossover_and_interval_are_those_of_draws_made_one_by_one(seed, clustered, left_out):
    rng = np.random.default_rng(seed)
    n = 8
    ks, s = [1, 2, 4, 8, 16], [1, 2, 4, 8]
    lengths = rng.integers(5, 30, n).astype(float)
    votes = np.clip(np.linspace(0.4, 0.6, 5)[:, None] + rng.normal(0, 0.1, (5, n)), 0, 1)
    verified = np.clip(np.linspace(0.3, 0.8, 4)[:, None] + rng.normal(0, 0.1, (4, n)), 0, 1)
    costs = np.outer(ks, lengths), np.outer(s, lengths) * 2.5
    ids = [f"p{i}" for i in range(n)]
    kept = slice(0, n - left_out)
    found = build(
        (
            curve("plain", "majority_at_k", ks, votes, costs[0], problems=ids),
            curve("p1", "generate_then_verify_1", s, verified[:, kept], costs[1][:, kept],
                  problems=ids[kept]),
        ),
        [point("p1"), point("plain", "sample")],
        clusters=pl.DataFrame({"problem_id": ids, "cluster_id": [f"c{i // 2}" for i in range(n)]})
        if clustered
        else None,
        draws=60,
    ).filter(cost_axis=TOKENS)  # fmt: skip
    row = found.row(0, named=True)
    assert found.height == 1 and row["majority_point_id"] == "plain"
    assert (row["n_problems"], row["n_problems_left_out"]) == (n - left_out, left_out)
    labels = [i // 2 if clustered else i for i in range(n - left_out)]
    assert row["n_units"] == len(set(labels))
    at, drawn = oracle(
        (votes[:, kept], costs[0][:, kept]), (verified[:, kept], costs[1][:, kept]), labels, 60,
        task_seed(0, "sums"),
    )  # fmt: skip
    assert row["crossover_cost"] == (pytest.approx(at, rel=1e-9) if np.isfinite(at) else None)
    wanted = percentile_interval(drawn, units=row["n_units"])
    for end, value in (("low", wanted.low), ("high", wanted.high)):
        mine = row[f"crossover_cost_{end}"]
        assert mine == (None if value is None else pytest.approx(value, rel=1e-9))
    assert row["crossover_ratio"] == pytest.approx(np.mean(np.array(drawn) < np.inf))


def test_votes_are_of_the_own_solutions_and_of_plain_points_with_equal_settings():
    flat = np.full((2, 3), 0.5), np.outer([1, 2], np.full(3, 10.0))
    names = ("p1", "plain", "warmer", "revised", "reseeded")
    curves = [curve(name, "majority_at_k", [1, 2], *flat) for name in names]
    curves += [curve("p1", "generate_then_verify_1", [1, 2], *flat)]
    curves += [curve("revised", "generate_then_verify_1", [1, 2], *flat)]
    points = [
        point("p1"), point("plain", "sample"), point("warmer", "sample", temperature=1.0),
        point("revised", "solve_detect_verify"), point("reseeded", "sample", seed=7),
    ]  # fmt: skip
    found = build(curves, points).filter(cost_axis=TOKENS)
    pairs = set(found.select("point_id", "majority_point_id").iter_rows())
    plain = {"plain", "reseeded"}
    assert pairs == {("p1", other) for other in {"p1", *plain}} | {("revised", o) for o in plain}


def test_what_cannot_be_compared_says_why():
    right, cost = np.full((2, 3), 0.5), np.outer([1, 2], np.full(3, 10.0))
    undefined = np.full((2, 3), np.nan)
    verified = curve("p1", "generate_then_verify_1", [1, 2], right, 10 * cost)
    for votes, problems, reason in (
        (right, None, "no_common_costs"),
        (undefined, None, "accuracy_undefined"),
        (right, ["a", "b", "c"], "no_common_problems"),
    ):
        vote = curve("p1", "majority_at_k", [1, 2], votes, cost, problems=problems)
        row = build((vote, verified), [point("p1")]).filter(cost_axis=TOKENS).row(0, named=True)
        assert row["crossover_unknown_reason"] == reason
        assert row["crossover_cost"] is None and row["crossover_ratio"] is None
    free = curve("p1", "generate_then_verify_1", [1, 2], right, 0 * cost)
    vote = curve("p1", "majority_at_k", [1, 2], right, cost)
    cheap = curve("p1", "generate_then_verify_1", [1, 2], right, cost - 10)
    for verified in (free, cheap):  # a cost of 0 has no logarithm
        found = build((vote, verified), [point("p1")])
        assert set(found["crossover_unknown_reason"]) == {"cost_unknown"}


def test_a_budget_that_is_undefined_for_a_problem_is_not_on_the_curve():
    ks = [1, 2, 4]
    right, cost = np.full((3, 3), 0.5), np.outer(ks, np.full(3, 10.0))
    right[2, 1] = np.nan
    found = build(
        (
            curve("p1", "majority_at_k", ks, right, cost),
            curve("p1", "generate_then_verify_1", ks, np.full((3, 3), 0.6), 2 * cost),
        ),
        [point("p1")],
    ).filter(cost_axis=TOKENS)
    row = found.row(0, named=True)
    assert (row["n_majority_budgets"], row["n_budgets"], row["common_cost_high"]) == (2, 3, 20)


def test_of_several_votes_the_plain_one_is_compared_and_bounds_never():
    right, cost = np.full((2, 3), 0.5), np.outer([1, 2], np.full(3, 10.0))
    wrong = '{"abstentions":"wrong","ties":"uniform"}'
    curves = [
        curve("p1", "majority_at_k_optimistic", [1, 2], right, cost, strategy_kind="metric",
              strategy_family="majority_at_k"),
        curve("p1", "majority_at_k_no_answer_votes", [1, 2], right, cost, parameters=wrong,
              strategy_family="majority_at_k"),
        curve("p1", "majority_at_k_first", [1, 2], right, cost, strategy_family="majority_at_k"),
        curve("p1", "generate_then_verify_1", [1, 2], right, 2 * cost),
    ]  # fmt: skip
    assert build([curves[0], curves[3]], [point("p1")]).is_empty()
    asked = build(curves, [point("p1")])
    assert set(asked["majority_strategy"]) == {"majority_at_k_first"}
    curves.append(curve("p1", "majority_at_k", [1, 2], right, cost))
    assert set(build(curves, [point("p1")])["majority_strategy"]) == {"majority_at_k"}


def test_one_problem_has_a_crossover_and_no_interval():
    found = build(planted(100.0, n_problems=1), [point("p1")]).filter(cost_axis=TOKENS)
    row = found.row(0, named=True)
    assert row["crossover_cost"] == pytest.approx(100)
    assert (row["draws"], row["crossover_cost_low"], row["crossover_ratio"]) == (0, None, None)


def test_without_verified_samples_there_are_no_rows():
    right, cost = np.full((2, 3), 0.5), np.outer([1, 2], np.full(3, 10.0))
    assert build([curve("p1", "majority_at_k", [1, 2], right, cost)], [point("p1")]).is_empty()
