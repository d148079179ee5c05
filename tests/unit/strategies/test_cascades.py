from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isocost.errors import IsocostError
from isocost.strategies import (
    best_thresholds,
    cascade,
    cross_fit_cascade,
    cross_fit_route,
    oracle_cascade,
    oracle_router,
    route,
)

SMALL = np.array([[1, 1, 0, 0, 1, 0]], dtype=float).T
LARGE = np.array([[1, 1, 1, 1, 0, 0]], dtype=float).T
SCORE = np.array([[0.95, 0.8, 0.6, 0.3, 0.7, 0.2]]).T
COSTS = [np.full((6, 1), 1.0), np.full((6, 1), 10.0)]
CHANCES, PRICES = np.hstack([SMALL, LARGE]), np.tile([1.0, 10.0], (6, 1))


def test_published_operating_points():
    thresholds = np.array([[0, 0.25, 0.5, 0.65, 0.75, 0.9, 1.01]]).T
    result = cascade([SMALL, LARGE], [SCORE], COSTS, thresholds)
    accuracy = np.array([0.5, 0.5, 2 / 3, 5 / 6, 2 / 3, 2 / 3, 2 / 3])
    assert np.allclose(result.accuracy.mean(axis=1), accuracy, atol=1e-12)
    assert np.round(result.cost.mean(axis=1), 6).tolist() == [
        1.0,
        2.666667,
        4.333333,
        6.0,
        7.666667,
        9.333333,
        11.0,
    ]


def test_published_oracles():
    router, path = oracle_router(CHANCES, PRICES), oracle_cascade(CHANCES, PRICES)
    assert float(router.accuracy.mean()) == pytest.approx(5 / 6)
    assert float(router.cost.mean()) == pytest.approx(4.0)
    assert float(path.accuracy.mean()) == pytest.approx(5 / 6)
    assert float(path.cost.mean()) == pytest.approx(13 / 3)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_three_models_against_every_triple_of_samples(seed):
    rng = np.random.default_rng(seed)
    values = [rng.integers(0, 2, (2, 3)).astype(float) for _ in range(3)]
    scores = [rng.integers(0, 4, (2, 3)).astype(float) for _ in range(2)]
    costs = [rng.random((2, 3)) for _ in range(3)]
    bars = rng.integers(0, 5, 2).astype(float)
    result = cascade(values, scores, costs, bars)
    for i in range(2):
        accuracy, cost = [], []
        for a, b, c in itertools.product(range(3), repeat=3):
            spent, answer = costs[0][i, a], values[0][i, a]
            if scores[0][i, a] < bars[0]:
                spent, answer = spent + costs[1][i, b], values[1][i, b]
                if scores[1][i, b] < bars[1]:
                    spent, answer = spent + costs[2][i, c], values[2][i, c]
            accuracy.append(answer)
            cost.append(spent)
        assert result.accuracy[i] == pytest.approx(np.mean(accuracy), abs=1e-12)
        assert result.cost[i] == pytest.approx(np.mean(cost), abs=1e-12)


def test_invariants_of_thresholds_and_bounds():
    rng = np.random.default_rng(3)
    values = [rng.integers(0, 2, (30, n)).astype(float) for n in (4, 6)]
    scores, costs = [rng.random((30, 4))], [np.full((30, 4), 1.0), np.full((30, 6), 10.0)]
    never, always = (
        cascade(values, scores, costs, [-np.inf]),
        cascade(values, scores, costs, [np.inf]),
    )
    assert np.allclose(never.accuracy, values[0].mean(axis=1))
    assert np.allclose(never.cost, 1.0)
    assert np.allclose(always.accuracy, values[1].mean(axis=1))
    assert np.allclose(always.cost, 11.0)
    chances = np.stack([v.mean(axis=1) for v in values], axis=1)
    bound = oracle_cascade(chances, np.tile([1.0, 10.0], (30, 1)))
    for bar in np.linspace(0, 1, 11):
        assert np.all(cascade(values, scores, costs, [bar]).accuracy <= bound.accuracy + 1e-12)


def test_the_oracle_router_beats_every_cascade_where_answers_are_certain():
    router = oracle_router(CHANCES, PRICES)
    for bar in np.linspace(0, 1.1, 12):
        result = cascade([SMALL, LARGE], [SCORE], COSTS, [bar])
        assert np.all(router.accuracy >= result.accuracy)
        if result.accuracy.mean() == router.accuracy.mean():
            assert router.cost.mean() <= result.cost.mean()


def test_rows_of_unequal_length_equal_their_own_matrices():
    values = [np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 9.0]]), np.array([[1.0], [1.0]])]
    scores = [np.array([[0.9, 0.1, 0.5], [0.2, 0.8, 9.0]])]
    costs = [np.ones((2, 3)), np.full((2, 1), 5.0)]
    sizes = [np.array([3, 2]), np.array([1, 1])]
    both = cascade(values, scores, costs, [0.5], sizes=sizes)
    alone = cascade(
        [values[0][1:, :2], values[1][1:]],
        [scores[0][1:, :2]],
        [costs[0][1:, :2], costs[1][1:]],
        [0.5],
    )
    assert both.accuracy[1] == pytest.approx(float(alone.accuracy[0]))
    assert both.cost[1] == pytest.approx(float(alone.cost[0]))
    assert np.isfinite(cascade(values, scores, costs, [np.inf], sizes=sizes).accuracy).all()


def test_thresholds_come_from_other_problems():
    """A problem's own samples must not move its threshold.

    Changing them leaves its fold's threshold as it was.
    """
    rng = np.random.default_rng(0)
    values = [rng.integers(0, 2, (20, 3)).astype(float), np.ones((20, 2))]
    scores, costs = [rng.random((20, 3))], [np.ones((20, 3)), np.full((20, 2), 4.0)]
    first = cross_fit_cascade(values, scores, costs, cost_budget=3.0, folds=4)
    held = first.folds == first.folds[0]
    changed = [scores[0].copy()]
    changed[0][held] = rng.random((int(held.sum()), 3)) * 10
    second = cross_fit_cascade(values, changed, costs, cost_budget=3.0, folds=4)
    assert np.array_equal(first.thresholds[first.folds[0]], second.thresholds[first.folds[0]])


def test_searched_thresholds_are_the_best_on_a_grid_and_within_budget():
    found = best_thresholds([SMALL, LARGE], [SCORE], COSTS, 6.0)
    result = cascade([SMALL, LARGE], [SCORE], COSTS, found)
    assert float(result.accuracy.mean()) == pytest.approx(5 / 6)
    assert float(result.cost.mean()) <= 6.0
    with pytest.raises(IsocostError, match="first model alone"):
        best_thresholds([SMALL, LARGE], [SCORE], COSTS, 0.5)


def test_escalation_shares_are_met_on_average():
    rng = np.random.default_rng(1)
    values = [rng.integers(0, 2, (200, 5)).astype(float), np.ones((200, 1))]
    fit = cross_fit_cascade(
        values, [rng.random((200, 5))], [np.ones((200, 5)), np.ones((200, 1))], escalate=0.3
    )
    assert float(fit.reach[:, 1].mean()) == pytest.approx(0.3, abs=0.03)


def test_routes_by_score():
    found = route([1.0, 5.0, 9.0], np.tile([0.2, 0.9], (3, 1)), np.tile([1.0, 10.0], (3, 1)), [5.0])
    assert found.choice.tolist() == [0, 1, 1]
    assert found.cost.tolist() == [1.0, 10.0, 10.0]
    crossed = cross_fit_route(
        np.arange(100.0), np.tile([0.2, 0.9], (100, 1)), np.tile([1.0, 10.0], (100, 1)), [0.7, 0.3]
    )
    assert crossed.choice.mean() == pytest.approx(0.3, abs=0.05)


def test_unknown_scores_and_shapes_are_refused():
    with pytest.raises(IsocostError, match="NaN score"):
        cascade([SMALL, LARGE], [np.full((6, 1), np.nan)], COSTS, [0.5])
    with pytest.raises(IsocostError, match="thresholds"):
        cascade([SMALL, LARGE], [SCORE], COSTS, [0.5, 0.5])
    with pytest.raises(IsocostError, match="exactly one"):
        cross_fit_cascade([SMALL, LARGE], [SCORE], COSTS)
