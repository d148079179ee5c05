"""The shared problem bootstrap.

Exact enumeration, worked vectors, scipy, ties, chunks, clusters.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import stats

import isocost.frontier.bootstrap as module
from isocost.errors import IsocostError
from isocost.frontier import (
    attainment_curves,
    attainment_probability,
    frontier_margin,
    frontier_membership,
    margin_bounds,
    problem_bootstrap,
    resample_counts,
)
from isocost.frontier.dominance import pareto_mask

VALUES = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 1.0]])
COSTS = np.array([[1.0] * 3, [2.0] * 3, [3.0] * 3])


def every_resample() -> np.ndarray:
    return np.array(
        [np.bincount(draw, minlength=3) for draw in product(range(3), repeat=3)], dtype=np.uint16
    )


def test_membership_by_enumeration_of_all_27_resamples(monkeypatch):
    monkeypatch.setattr(module, "resample_counts", lambda *a, **k: every_resample())
    found = problem_bootstrap(VALUES, COSTS, 27)
    assert (found.membership * 27).round(9).tolist() == [27, 19, 10]


def test_membership_converges_to_the_enumeration():
    found = problem_bootstrap(VALUES, COSTS, 20_000, seed=5)
    assert found.membership == pytest.approx([1, 19 / 27, 10 / 27], abs=0.015)


def test_worked_standard_error_and_percentiles():
    x = np.array([[1, 0.5, 0, 0.25, 0.75]])
    found = problem_bootstrap(x, np.ones_like(x), 10_000, seed=0)
    assert found.quality_se[0] == pytest.approx(0.158542, abs=5e-6)
    assert (found.quality_low[0], found.quality_high[0]) == pytest.approx((0.2, 0.8))
    assert found.quality[0] == 0.5 and found.method == "percentile" and found.draws == 10_000


@pytest.mark.slow
def test_bca_agrees_with_scipy_on_skewed_data():
    rng = np.random.default_rng(2)
    x = rng.lognormal(0, 1, 40)
    ours = problem_bootstrap(np.stack([x, x * 2]), np.ones((2, 40)), 100_000, seed=1, method="bca")
    theirs = stats.bootstrap(
        (x,), np.mean, method="BCa", n_resamples=100_000, batch=10_000, rng=np.random.default_rng(3)
    ).confidence_interval
    assert (ours.quality_low[0], ours.quality_high[0]) == pytest.approx(
        (theirs.low, theirs.high), rel=0.01
    )
    plain = problem_bootstrap(x[None], np.ones((1, 40)), 20_000, seed=1)
    assert (
        ours.quality_high[0] > plain.quality_high[0]
    )  # BCa moves the interval towards the long tail
    assert ours.quality_low[1] == pytest.approx(2 * ours.quality_low[0])


def test_ties_are_ties_in_every_draw():
    # The dearer copy of an outcome is dominated in all draws, whatever the rounding of the matrix
    # product; equals stay equals.
    rng = np.random.default_rng(0)
    base = rng.integers(0, 8, (1, 101)) / 7
    values = np.repeat(base, 40, axis=0)
    costs = np.repeat(rng.lognormal(size=(1, 101)), 40, axis=0) * np.repeat([1.0, 1.5], 20)[:, None]
    member = problem_bootstrap(values, costs, 500).membership
    assert member[:20].tolist() == [1.0] * 20 and member[20:].tolist() == [0.0] * 20


def test_membership_is_the_share_of_replicate_frontiers():
    rng = np.random.default_rng(4)
    values, costs = rng.random((9, 12)), rng.random((9, 12))
    counts = resample_counts(12, 300, 7)
    slow = np.mean(
        [pareto_mask(costs @ w / 12, values @ w / 12) for w in counts.astype(float)], axis=0
    )
    assert problem_bootstrap(values, costs, 300, seed=7).membership == pytest.approx(slow)


def test_chunks_do_not_change_the_result(monkeypatch):
    rng = np.random.default_rng(4)
    values, costs = rng.random((30, 12)), rng.random((30, 12))
    whole = problem_bootstrap(values, costs, 400, seed=7)
    monkeypatch.setattr(module, "CHUNK", 700)
    parts = problem_bootstrap(values, costs, 400, seed=7)
    for name in ("quality_low", "quality_high", "cost_low", "cost_high", "membership"):
        assert getattr(parts, name) == pytest.approx(getattr(whole, name), abs=1e-12)


def test_draws_do_not_depend_on_the_outcomes_beside():
    rng = np.random.default_rng(4)
    values, costs = rng.random((30, 12)), rng.random((30, 12))
    alone = problem_bootstrap(values[3:4], costs[3:4], 200, seed=1)
    beside = problem_bootstrap(values, costs, 200, seed=1)
    assert (
        alone.quality_low[0] == pytest.approx(beside.quality_low[3], abs=1e-12)
        and alone.membership[0] == 1
    )


def test_clusters_are_drawn_whole():
    label = np.array(["a", "b", "a", "c", "b"])
    counts = resample_counts(5, 200, 0, clusters=label)
    assert (counts[:, 0] == counts[:, 2]).all() and (counts[:, 1] == counts[:, 4]).all()
    assert (counts[:, [0, 1, 3]].sum(axis=1) == 3).all()
    rng = np.random.default_rng(1)
    shared = np.repeat(rng.random(20), 5)[None]
    cluster = np.repeat(np.arange(20), 5)
    plain = problem_bootstrap(shared, shared, 4000)
    grouped = problem_bootstrap(shared, shared, 4000, clusters=cluster)
    assert grouped.quality_se[0] == pytest.approx(shared[0].std() / np.sqrt(20), rel=0.05)
    assert grouped.quality_se[0] > 2 * plain.quality_se[0]
    assert grouped.method == "percentile-clustered"
    skewed = problem_bootstrap(shared, shared, 4000, clusters=cluster, method="bca")
    assert skewed.quality_low[0] == pytest.approx(grouped.quality_low[0], abs=0.03)


def test_second_stage_adds_the_sampling_variance():
    rng = np.random.default_rng(1)
    values = rng.random((3, 50))
    noise = np.full_like(values, 0.2)
    without = problem_bootstrap(values, values, 8000)
    with_it = problem_bootstrap(values, values, 8000, noise_variance=noise)
    assert with_it.quality_se**2 == pytest.approx(without.quality_se**2 + 0.2 / 50, rel=0.06)


@pytest.mark.parametrize(
    ("values", "costs", "options", "message"),
    [
        ([[0.5, np.nan]], [[1, 1]], {}, "`values` contains nan"),
        ([[0.5, 0.6]], [[1, np.inf]], {}, "`costs` contains inf"),
        ([[0.5, 0.6]], [[1, 1, 1]], {}, "values are"),
        ([[0.5]], [[1]], {}, "only 1 problem"),
        ([[0.5, 1]], [[1, 1]], {"clusters": ["a", "a"]}, "only 1 cluster"),
        ([[0.5, 1]], [[1, 1]], {"clusters": ["a"]}, "1 cluster labels"),
        ([[0.5, 1]], [[1, 1]], {"draws": 1}, "1 bootstrap draws"),
        ([[0.5, 1]], [[1, 1]], {"confidence": 95}, "confidence is 95"),
        ([[0.5, 1]], [[1, 1]], {"method": "t"}, "`t` is not a bootstrap"),
        ([[0.5, 1]], [[1, 1]], {"noise_variance": [[-1, 0]]}, "noise_variance"),
    ],
)
def test_bad_input_is_named(values, costs, options, message):
    with pytest.raises(IsocostError, match=message):
        problem_bootstrap(values, costs, **options)


def test_attainment_by_enumeration(monkeypatch):
    import isocost.frontier.attainment as attainment

    monkeypatch.setattr(attainment, "resample_counts", lambda *a, **k: every_resample())
    means = VALUES @ every_resample().T.astype(float) / 3
    best = np.maximum.accumulate(means, axis=0)
    goals = [0.0, 1 / 3, 2 / 3, 1.0]
    for spend, row in ((1, best[0]), (2.5, best[1]), (3, best[2])):
        got = attainment_probability(VALUES, COSTS, [spend] * 4, goals)
        assert got == pytest.approx([(row >= g - 1e-12).mean() for g in goals])
    curves = attainment_curves(VALUES, COSTS, [0.5, 1, 2, 3], levels=[0.05, 0.5, 0.95])
    assert np.isnan(curves[:, 0]).all()
    for column, row in enumerate(best, start=1):
        for line, level in enumerate((0.05, 0.5, 0.95)):
            reached = [q for q in np.unique(row) if (row >= q - 1e-12).mean() >= level]
            assert curves[line, column] == pytest.approx(max(reached))
    assert (np.diff(curves[:, 1:], axis=0) <= 0).all()


def test_attainment_refuses_bad_levels():
    with pytest.raises(IsocostError, match="levels"):
        attainment_curves(VALUES, COSTS, [1], levels=[0])
    with pytest.raises(IsocostError, match="goal"):
        attainment_probability(VALUES, COSTS, [1, 2], [0.5])


def test_margin_is_the_lead_over_all_others_at_no_more_cost():
    rng = np.random.default_rng(0)
    cost, quality = rng.integers(0, 6, 40).astype(float), rng.integers(0, 9, 40) / 8
    slow = []
    for i in range(40):
        rivals = quality[(cost <= cost[i]) & (np.arange(40) != i)]
        slow.append(quality[i] - rivals.max() if rivals.size else np.inf)
    got = frontier_margin(cost, quality)
    assert got == pytest.approx(slow)
    on = pareto_mask(cost, quality)
    assert on[got > 0].all() and not on[got < 0].any()
    assert frontier_margin([1, 2], [0.5, 0.6]).tolist() == [np.inf, pytest.approx(0.1)]
    with pytest.raises(IsocostError, match="2 costs for 1"):
        frontier_margin([1, 2], [0.5])


def test_margin_bounds_by_hand():
    rng = np.random.default_rng(6)
    values = rng.random((8, 30)) * np.array([[1, 0.1, 1, 0.6, 1.2, 0.3, 1.1, 1]]).T
    costs = np.repeat(np.array([1.0, 2, 2, 2, 3, 4, 5, 6])[:, None], 30, axis=1)
    counts = resample_counts(30, 999, 0)
    low, high = margin_bounds(values, costs, counts, tails=(0.025,))
    means = counts @ values.T / 30.0
    error = means - values.mean(axis=1)
    reach = np.sort(np.ptp(error, axis=1))[int(np.ceil(0.995 * 998))]
    for i in range(1, 8):
        rivals = [j for j in range(8) if j != i and costs[j, 0] <= costs[i, 0]]
        plain = np.sort(means[:, i] - means[:, rivals].max(axis=1))
        assert low[0, i] == pytest.approx(plain[24])
        best = max(values[j].mean() for j in rivals if costs[j, 0] < costs[i, 0])
        near = [j for j in rivals if costs[j, 0] == costs[i, 0] or values[j].mean() >= best - reach]
        worst = np.sort(error[:, near].max(axis=1) - error[:, i])[int(np.ceil(0.98 * 998))]
        margin = values[i].mean() - values[rivals].mean(axis=1).max()
        assert high[0, i] == pytest.approx(margin + worst)
    assert np.isposinf([low[0, 0], high[0, 0]]).all()
    with pytest.raises(IsocostError, match="tails"):
        margin_bounds(values, costs, counts, tails=(0.9,))


def test_copies_of_an_outcome_are_no_rivals():
    rng = np.random.default_rng(6)
    values, costs = rng.random((4, 30)), np.repeat(np.arange(1.0, 5.0)[:, None], 30, axis=1)
    counts = resample_counts(30, 200, 0)
    twice = margin_bounds(np.r_[values, values[2:3]], np.r_[costs, costs[2:3]], counts)
    once = margin_bounds(values, costs, counts)
    assert twice[0][:, [0, 1, 2, 3]] == pytest.approx(once[0]) and twice[0][:, 4] == pytest.approx(
        once[0][:, 2]
    )
    assert twice[1][:, 4] == pytest.approx(once[1][:, 2])


@pytest.mark.slow
def test_upper_bound_holds_where_many_are_nearly_tied():
    rng = np.random.default_rng(8)
    costs = np.repeat(np.arange(1.0, 16.0)[:, None], 60, axis=1)
    held, claimed = [], []
    for repetition in range(80):
        values = (rng.random((15, 60)) < 0.6).astype(float)
        counts = resample_counts(60, 200, repetition)
        held.append(margin_bounds(values, costs, counts, tails=(0.05,))[1][0, -1] > 0)
        claimed.append(frontier_membership(values, costs, counts)[-1] >= 0.05)
    assert np.mean(held) == pytest.approx(0.95, abs=0.06)
    assert np.mean(claimed) < 0.6  # the reason for the bound: a membership share is no test
