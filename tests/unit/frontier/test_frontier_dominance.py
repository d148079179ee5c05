"""Frontiers: worked vector, brute force, moocore, and the traps other tools fell into."""

from __future__ import annotations

import moocore
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isocost.errors import IsocostError
from isocost.frontier import duplicate_groups, pareto_mask
from isocost.frontier.dominance import frontier_rows

COST = [1, 2, 4, 3, 2, 5]
QUALITY = [0.5, 0.7, 0.8, 0.7, 0.6, 0.8]


def brute(points: np.ndarray) -> np.ndarray:
    """All objectives to minimise; the definition, spelled out pair by pair."""
    return np.array(
        [not any((o <= p).all() and (o < p).any() for o in points) for p in points], dtype=bool
    )


small = st.integers(0, 6).map(float)


@st.composite
def clouds(draw, objectives=2):
    n = draw(st.integers(1, 25))
    return np.array(
        draw(
            st.lists(
                st.lists(small, min_size=objectives, max_size=objectives), min_size=n, max_size=n
            )
        )
    )


def test_worked_vector():
    assert pareto_mask(COST, QUALITY).tolist() == [True, True, True, False, False, False]


def test_equal_quality_at_higher_cost_is_dominated():
    # The frontier of a well-known benchmark tool keeps such rows.
    assert pareto_mask([1, 2, 3], [0.5, 0.5, 0.5]).tolist() == [True, False, False]


def test_equal_cost_at_lower_quality_is_dominated():
    assert pareto_mask([1, 1], [0.5, 0.4]).tolist() == [True, False]


def test_duplicates_stay_together_or_the_first_stands_for_them():
    cost, quality = [2, 1, 2, 2], [0.7, 0.5, 0.7, 0.6]
    assert pareto_mask(cost, quality).tolist() == [True, True, True, False]
    assert pareto_mask(cost, quality, duplicates="first").tolist() == [True, True, False, False]
    assert duplicate_groups(cost, quality).tolist() == [1, 0, 1, 2]


def test_directions():
    cost, quality = np.array(COST), np.array(QUALITY)
    expected = pareto_mask(cost, quality)
    assert (pareto_mask(-cost, quality, cost_direction="max") == expected).all()
    assert (pareto_mask(cost, 1 - quality, quality_direction="min") == expected).all()


def test_tolerance_merges_values_and_zero_does_not():
    cost, quality = [1.0, 1.0 + 1e-9, 2.0], [0.5, 0.5 + 1e-9, 0.5 + 2e-9]
    assert pareto_mask(cost, quality).tolist() == [True, True, True]
    assert pareto_mask(cost, quality, tolerance=1e-8).tolist() == [True, True, False]
    assert pareto_mask(cost, quality, tolerance=[1e-8, 0.0]).tolist() == [False, True, True]


def test_tolerance_does_not_depend_on_the_order_of_points():
    rng = np.random.default_rng(3)
    cost, quality = rng.integers(0, 20, 60) * 0.1, rng.integers(0, 20, 60) * 0.05
    shuffle = rng.permutation(60)
    assert (
        pareto_mask(cost, quality, tolerance=0.04)[shuffle]
        == pareto_mask(cost[shuffle], quality[shuffle], tolerance=0.04)
    ).all()


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(clouds())
def test_two_objectives_match_brute_force_and_moocore(points):
    mask = pareto_mask(points[:, 0], -points[:, 1])
    assert (mask == brute(points)).all()
    assert (mask == moocore.is_nondominated(points, keep_weakly=True)).all()
    assert (
        pareto_mask(points[:, 0], -points[:, 1], duplicates="first")
        == moocore.is_nondominated(points)
    ).all()


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(clouds(objectives=3))
def test_three_objectives_match_brute_force(points):
    assert (pareto_mask(points[:, :2], -points[:, 2]) == brute(points)).all()


@settings(max_examples=40, deadline=None)
@given(clouds())
def test_idempotent_and_invariant_under_monotone_transforms(points):
    cost, quality = points[:, 0] + 1, -points[:, 1]
    mask = pareto_mask(cost, quality)
    assert pareto_mask(cost[mask], quality[mask]).all()
    assert (pareto_mask(np.log(cost), np.exp(quality)) == mask).all()


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 5), st.integers(1, 20), st.integers(0, 10**6))
def test_rows_are_judged_one_by_one(rows, n, seed):
    rng = np.random.default_rng(seed)
    cost, quality = (
        rng.integers(0, 5, (rows, n)).astype(float),
        rng.integers(0, 5, (rows, n)).astype(float),
    )
    expected = [brute(np.column_stack([c, -q])) for c, q in zip(cost, quality, strict=True)]
    assert (frontier_rows(cost, quality) == expected).all()
    dust = 1 + rng.uniform(-1, 1, (rows, n)) * 1e-15
    assert (frontier_rows(cost * dust, quality * dust, rounding=1e-12) == expected).all()


def test_no_points_no_frontier():
    assert pareto_mask([], []).shape == (0,)


@pytest.mark.parametrize(
    ("cost", "quality", "options", "message"),
    [
        (
            [1, np.nan],
            [0.1, 0.2],
            {},
            r"`cost` contains nan at \[1, 0\]|`cost` contains nan at \[1\]",
        ),
        ([1, 2], [0.1, np.inf], {}, "`quality` contains inf"),
        (["much"], [0.1], {}, "`cost` is not an array of numbers"),
        ([1, 2], [0.1], {}, "2 costs for 1 qualities"),
        ([1, 2], [0.1, 0.2], {"cost_direction": "down"}, "`down` is not a direction"),
        ([1, 2], [0.1, 0.2], {"tolerance": -1}, "tolerance is -1"),
        ([1, 2], [0.1, 0.2], {"tolerance": [1, 2, 3]}, "3 tolerances for 2 objectives"),
        ([1, 2], [0.1, 0.2], {"duplicates": "none"}, "`none` is not a duplicate policy"),
        ([[1, 2]], [0.1], {"cost_direction": ["min"]}, "1 cost directions for 2 cost axes"),
    ],
)
def test_bad_input_is_named(cost, quality, options, message):
    with pytest.raises(IsocostError, match=message):
        pareto_mask(cost, quality, **options)
