"""Hypervolume and contributions.

Worked vectors, moocore, inclusion-exclusion and removal one by one.
"""

from __future__ import annotations

from itertools import combinations

import moocore
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isocost.errors import IsocostError
from isocost.frontier import exclusive_contributions, hypervolume

COST = np.array([1, 2, 4, 3, 2, 5.0])
QUALITY = np.array([0.5, 0.7, 0.8, 0.7, 0.6, 0.8])
SOLID = np.array([(1, 3, 0.5), (2, 2, 0.4), (3, 1, 0.3), (2, 3, 0.35)])


def inclusion_exclusion(points: np.ndarray, corner: np.ndarray) -> float:
    points = points[(points < corner).all(axis=1)]
    total = 0.0
    for size in range(1, len(points) + 1):
        for chosen in combinations(range(len(points)), size):
            total += (-1) ** (size + 1) * np.prod(corner - points[list(chosen)].max(axis=0))
    return total


def test_worked_vectors_in_two_objectives():
    assert hypervolume(COST, QUALITY, [5, 0.4]) == pytest.approx(1.1, abs=1e-12)
    assert hypervolume(COST, QUALITY, [5, 0.4], ideal=[0, 1]) == pytest.approx(0.366667, abs=5e-7)
    kept = COST < 5  # log10 5 is inside the wider box
    assert hypervolume(np.log10(COST[kept]), QUALITY[kept], [1, 0.4]) == pytest.approx(
        0.279588, abs=5e-7
    )


def test_worked_vectors_in_three_objectives():
    corner = [4, 4, 0.6]
    assert hypervolume(SOLID[:, :2], SOLID[:, 2], corner, quality_direction="min") == pytest.approx(
        1.45, abs=1e-12
    )
    assert inclusion_exclusion(SOLID, np.array(corner)) == pytest.approx(1.45, abs=1e-12)
    exclusive = exclusive_contributions(SOLID[:, :2], SOLID[:, 2], corner, quality_direction="min")
    assert exclusive == pytest.approx([0.1, 0.2, 0.45, 0.05], abs=1e-12)


grid = st.integers(0, 8).map(float)
points_2d = st.lists(st.tuples(grid, grid), min_size=1, max_size=10).map(np.array)


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(points_2d)
def test_volume_matches_inclusion_exclusion_and_contributions_match_removal(points):
    cost, quality, corner = points[:, 0], -points[:, 1], [6.0, -6.0]
    total = hypervolume(cost, quality, corner)
    assert total == pytest.approx(inclusion_exclusion(points, np.array([6.0, 6.0])), abs=1e-9)
    removed = [
        total - hypervolume(np.delete(cost, i), np.delete(quality, i), corner)
        for i in range(len(points))
    ]
    assert exclusive_contributions(cost, quality, corner) == pytest.approx(removed, abs=1e-9)
    theirs = moocore.hv_contributions(points, ref=[6.0, 6.0], ignore_dominated=False)
    assert exclusive_contributions(cost, quality, corner) == pytest.approx(theirs, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(points_2d, points_2d)
def test_adding_points_never_shrinks_the_volume(points, more):
    both = np.concatenate([points, more])
    corner = [9.0, -9.0]
    assert (
        hypervolume(both[:, 0], -both[:, 1], corner)
        >= hypervolume(points[:, 0], -points[:, 1], corner) - 1e-12
    )


def test_points_beyond_the_reference_add_nothing():
    assert hypervolume([5, 6], [0.9, 0.9], [5, 0.4]) == 0.0
    assert exclusive_contributions([5, 1], [0.9, 0.4], [5, 0.4]).tolist() == [0.0, 0.0]
    assert hypervolume([], [], [5, 0.4]) == 0.0
    assert exclusive_contributions([], [], [5, 0.4]).shape == (0,)


def test_bad_corners_are_named():
    with pytest.raises(IsocostError, match="3 coordinates for 2 objectives"):
        hypervolume([1], [0.5], [5, 5, 0.4])
    with pytest.raises(IsocostError, match="ideal is not better"):
        hypervolume([1], [0.5], [5, 0.4], ideal=[6, 1])
