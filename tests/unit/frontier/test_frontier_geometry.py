"""Staircase, hull, gaps, DPFR and knees."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from isocost.errors import IsocostError
from isocost.frontier import (
    dpfr,
    gaps,
    hull_quality,
    knee,
    pareto_mask,
    staircase,
    staircase_quality,
    upper_hull,
)

COST = [1, 2, 4, 3, 2, 5]
QUALITY = [0.5, 0.7, 0.8, 0.7, 0.6, 0.8]


def test_staircase_buys_the_best_affordable_quality():
    assert staircase(COST, QUALITY).tolist() == [0, 1, 2]
    got = staircase_quality(COST, QUALITY, [0.5, 1, 1.9, 2, 3.9, 100])
    assert np.isnan(got[0]) and got[1:].tolist() == [0.5, 0.5, 0.7, 0.7, 0.8]


def test_hull_of_the_published_cascade():
    # Randomised mixing of the operating points of the worked cascade.
    cost, quality = (
        [1, 2.666667, 4.333333, 6, 7.666667, 9.333333, 11],
        [0.5, 0.5, 0.666667, 0.833333, 0.666667, 0.666667, 0.666667],
    )
    assert upper_hull(cost, quality).tolist() == [0, 3]
    assert hull_quality(cost, quality, [3.5])[0] == pytest.approx(0.5 + 2.5 / 5 * 0.333333)
    assert np.isnan(hull_quality(cost, quality, [0.5])[0])


clouds = st.lists(st.tuples(st.integers(1, 30), st.integers(0, 20)), min_size=1, max_size=12)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(clouds, st.integers(1, 30))
def test_hull_is_the_best_mixture(points, budget):
    cost, quality = np.array(points, dtype=float).T
    got = hull_quality(cost, quality, [float(budget)])[0]
    if budget < cost.min():
        assert np.isnan(got)
        return
    best = linprog(
        -quality, A_ub=[cost], b_ub=[budget], A_eq=[np.ones(len(cost))], b_eq=[1], bounds=(0, 1)
    )
    assert got == pytest.approx(-best.fun, abs=1e-7)


def test_gaps_by_hand():
    found = gaps(COST, QUALITY)
    assert found.cost_ratio == pytest.approx([1, 1, 1, 1.5, 1, 1.25])
    assert found.quality_gap == pytest.approx([0, 0, 0, 0, 0.1, 0])
    # All three dominated points lie on the staircase; a point inside leaves by the shorter way,
    # here to the riser at cost 2.
    assert (found.distance == 0).all()
    inside = gaps([1, 2, 4, 3], [0.5, 0.7, 0.8, 0.6])
    assert inside.distance == pytest.approx([0, 0, 0, np.log(3 / 2) / np.log(4)])


@settings(max_examples=40, deadline=None)
@given(clouds)
def test_gaps_match_their_definition(points):
    cost, quality = np.array(points, dtype=float).T
    found, on = gaps(cost, quality), pareto_mask(cost, quality)
    for i in range(len(cost)):
        assert found.cost_ratio[i] == pytest.approx(
            cost[i] / cost[on & (quality >= quality[i])].min()
        )
        assert found.quality_gap[i] == pytest.approx(
            quality[on & (cost <= cost[i])].max() - quality[i]
        )
    assert (
        (found.cost_ratio >= 1).all()
        and (found.quality_gap >= 0).all()
        and (found.distance >= 0).all()
    )


def test_a_free_configuration_has_no_cost_ratio():
    found = gaps([0.0, 2.0], [0.5, 0.4])
    assert np.isnan(found.cost_ratio).all() and found.quality_gap == pytest.approx([0, 0.1])
    with pytest.raises(IsocostError, match="negative"):
        gaps([-1, 2], [0.5, 0.6])


def test_dpfr_as_published_and_interpolated():
    frontier = np.array([(1, 0.2), (0.9, 0.5), (0.6, 0.8), (0.2, 1)])
    assert dpfr([(0.7, 0.5)], frontier=frontier)[0] == pytest.approx(0.316228, abs=5e-7)
    exact = dpfr([(0.703690, 0.696310)], frontier=frontier, interpolated=True)[0]
    assert exact == pytest.approx(0, abs=1e-6)
    # The published walk never chooses its first point, even at alpha 0.
    assert dpfr([(1, 0.2)], frontier=frontier, alpha=0.0)[0] == pytest.approx(0.316228, abs=5e-7)
    assert dpfr([(1, 0.2)], frontier=frontier, alpha=0.0, interpolated=True)[0] == 0


def test_dpfr_of_one_point_and_bad_input():
    assert dpfr([(0.5, 0.5)])[0] == 0
    with pytest.raises(IsocostError, match="alpha is 2"):
        dpfr([(0.5, 0.5)], alpha=2)
    with pytest.raises(IsocostError, match="two measures"):
        dpfr([(0.5, 0.5, 0.5)])


def test_knee_of_the_worked_vector():
    found = knee([1, 2, 4, 8, 16], [0.5, 0.7, 0.8, 0.83, 0.84])
    assert (found.index, found.cost, found.quality) == (2, 4.0, 0.8)
    assert found.strength == pytest.approx(0.382353, abs=5e-7)
    assert found.rule == "chord:ln:0"


def test_knee_ignores_dominated_points_and_scaling_of_cost():
    cost, quality = (
        np.array([16, 3, 1, 8, 2, 4, 8.5]),
        np.array([0.84, 0.6, 0.5, 0.83, 0.7, 0.8, 0.1]),
    )
    assert knee(cost, quality).index == 5 == knee(cost * 1e6, quality).index


def test_marginal_knee_is_the_last_step_that_pays():
    found = knee([1, 2, 4, 8, 16], [0.5, 0.7, 0.8, 0.83, 0.84], rule="marginal", threshold=0.1)
    assert (
        found.cost == 4
        and found.strength == pytest.approx(0.1 / np.log(2))
        and found.rule == "marginal:ln:0.1"
    )


@pytest.mark.parametrize(
    ("cost", "quality", "options", "reason"),
    [
        ([1, 2], [0.1, 0.2], {}, "2 points"),
        ([1, 2, 4], [0.1, 0.2, 0.9], {}, "does not bend"),
        ([1, 2, 4], [0.1, 0.2, 0.3], {}, "does not bend"),
        ([0, 2, 4], [0.1, 0.2, 0.3], {}, "not positive"),
        ([1, 2, 4], [0.1, 0.2, 0.3], {"rule": "marginal", "threshold": 1.0}, "no step pays"),
        ([], [], {}, "0 points"),
    ],
)
def test_no_knee_has_a_reason(cost, quality, options, reason):
    found = knee(cost, quality, **options)
    assert found.index is None and found.cost is None and reason in found.reason


def test_unknown_rule_is_named():
    with pytest.raises(IsocostError, match="`elbow`"):
        knee([1], [1], rule="elbow")
