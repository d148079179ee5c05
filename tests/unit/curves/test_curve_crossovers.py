"""`overtaking_cost` against a scan of the whole range, and where there is nothing to find."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from isocost.curves.crossovers import overtaking_cost
from isocost.errors import IsocostError


@st.composite
def curves(draw):
    """Increasing costs and accuracies on a grid, so that ties and touching curves are common."""
    steps = draw(st.lists(st.integers(1, 40), min_size=1, max_size=7, unique=True))
    values = st.integers(0, 6).map(lambda n: n / 6)
    return (
        np.array(sorted(steps), dtype=float),
        np.array(draw(st.lists(values, min_size=len(steps), max_size=len(steps)))),
    )


def scanned(cost, accuracy, other_cost, other_accuracy, steps=4001):
    """The same by looking at thousands of costs: the last one at which it is not above."""
    low, high = max(cost[0], other_cost[0]), min(cost[-1], other_cost[-1])
    if low > high:
        return np.nan, 0.0
    knots = np.concatenate([cost, other_cost])
    grid = np.concatenate([np.geomspace(low, high, steps), knots[(knots >= low) & (knots <= high)]])
    grid = np.sort(np.clip(grid, low, high))
    gap = np.interp(np.log(grid), np.log(cost), accuracy) - np.interp(
        np.log(grid), np.log(other_cost), other_accuracy
    )
    behind = np.flatnonzero(gap <= 1e-9)
    if not behind.size:
        return -np.inf, 0.0
    if gap[-1] <= 1e-9:
        return np.inf, 0.0
    return grid[behind[-1]], grid[behind[-1] + 1] - grid[behind[-1]]


@settings(max_examples=400, deadline=None)
@given(curves(), curves())
@example((np.array([1.0, 2.0]), np.array([0.0, 1.0])), (np.array([1.0, 2.0]), np.array([1.0, 0.0])))
@example((np.array([2.0]), np.array([0.5])), (np.array([1.0, 3.0]), np.array([0.0, 0.5])))
def test_it_is_the_last_cost_of_a_scan_at_which_the_curve_is_not_above(one, other):
    found = float(overtaking_cost(*one, *other))
    wanted, step = scanned(*one, *other)
    if np.isfinite(wanted):
        assert wanted - 1e-6 * wanted <= found <= wanted + step * 1.01 + 1e-6 * wanted
    else:
        assert found == wanted or (np.isnan(found) and np.isnan(wanted))


@settings(max_examples=50, deadline=None)
@given(curves(), st.integers(1, 5), st.integers(0, 100))
def test_many_draws_at_once_are_each_their_own(one, draws, seed):
    rng = np.random.default_rng(seed)
    scale = rng.uniform(0.5, 2, (draws, 1))
    accuracy = rng.random((draws, len(one[0])))
    other = np.sort(rng.uniform(1, 40, (draws, 4)), axis=1), rng.random((draws, 4))
    together = overtaking_cost(one[0] * scale, accuracy, *other)
    alone = [
        float(overtaking_cost(one[0] * scale[i], accuracy[i], other[0][i], other[1][i]))
        for i in range(draws)
    ]
    np.testing.assert_array_equal(together, alone)


@settings(max_examples=100, deadline=None)
@given(curves(), curves(), st.floats(0.1, 1e9))
def test_the_unit_of_cost_does_not_matter(one, other, unit):
    found = float(overtaking_cost(*one, *other))
    scaled = float(overtaking_cost(one[0] * unit, one[1], other[0] * unit, other[1]))
    np.testing.assert_allclose(scaled, found * unit, rtol=1e-9)


def test_touching_is_not_crossing_and_only_the_last_crossing_counts():
    flat = [1, 100], [0.5, 0.5]
    assert overtaking_cost([1, 10, 100], [0.6, 0.5, 0.7], *flat) == pytest.approx(10)
    twice = overtaking_cost([1, 4, 16, 100], [0.6, 0.4, 0.6, 0.7], *flat)
    assert twice == pytest.approx(8)
    assert overtaking_cost([1, 10, 100], [0.4, 0.7, 0.5], *flat) == np.inf
    assert np.isnan(overtaking_cost([200, 300], [0.9, 0.9], *flat))
    assert np.isnan(overtaking_cost([0, 10], [0.4, 0.7], *flat))
    assert np.isnan(overtaking_cost([1, np.nan], [0.4, 0.7], *flat))


def test_what_is_no_curve_is_refused():
    with pytest.raises(IsocostError, match="are not a curve"):
        overtaking_cost([1, 2], [0.5], [1], [0.5])
    with pytest.raises(IsocostError, match="are not a curve"):
        overtaking_cost([], [], [1], [0.5])
