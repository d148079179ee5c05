"""Shapes drawn through a frontier and distances to it.

Lives here: staircase, upper concave hull (randomised mixing), cost and quality gaps, distance to
the staircase, DPFR. Not here: who is on the frontier (dominance.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from isocost.errors import IsocostError
from isocost.frontier.arrays import FloatArray, finite_array
from isocost.frontier.dominance import pareto_mask


@dataclass(frozen=True)
class Gaps:
    """How far every point is from the frontier of all points; arrays of shape ``(n,)``.

    Attributes:
        cost_ratio: own cost / cheapest frontier cost that reaches the own quality, >= 1.
        quality_gap: best frontier quality at no more than the own cost, minus the own quality, >=
            0.
        distance: Euclidean distance to the staircase after scaling cost (its logarithm where all
            costs are positive) and quality to [0, 1] over all points; 0 on the staircase.
    """

    cost_ratio: FloatArray
    quality_gap: FloatArray
    distance: FloatArray


def _sorted_frontier(
    cost: ArrayLike, quality: ArrayLike
) -> tuple[FloatArray, FloatArray, NDArray[np.intp]]:
    spent, grade = finite_array(cost, "cost", (1,)), finite_array(quality, "quality", (1,))
    kept = np.flatnonzero(pareto_mask(spent, grade, duplicates="first"))
    if kept.size == 0:
        raise IsocostError("there are no points", remedy="A frontier needs at least one point.")
    return spent, grade, kept[np.argsort(spent[kept], kind="stable")]


def staircase(cost: ArrayLike, quality: ArrayLike) -> NDArray[np.intp]:
    """Indices of the distinct frontier points by rising cost.

    What a deterministic choice among configurations achieves.

    Args:
        cost: shape ``(n,)``, lower is better.
        quality: shape ``(n,)``, higher is better.

    Returns:
        Indices into the input; quality rises strictly along them. The first copy represents
        duplicates.

    Raises:
        IsocostError: no points, shapes disagree or a value is not finite.

    Examples:
        >>> staircase([1, 2, 4, 3, 2, 5], [0.5, 0.7, 0.8, 0.7, 0.6, 0.8]).tolist()
        [0, 1, 2]
    """
    return _sorted_frontier(cost, quality)[2]


def upper_hull(cost: ArrayLike, quality: ArrayLike) -> NDArray[np.intp]:
    """Indices of the upper concave hull.

    What choosing between two configurations at random per request achieves.

    Mixing is linear in raw cost and quality, so never pass logarithms of cost (Provost and Fawcett
    2001; Andrew 1979).

    Args:
        cost: shape ``(n,)`` in raw units.
        quality: shape ``(n,)``.

    Returns:
        Indices of the vertices by rising cost, a subset of `staircase`; points on an edge are left
        out.

    Examples:
        >>> upper_hull([1, 2, 3, 4], [0.5, 0.6, 0.8, 0.8]).tolist()
        [0, 2]
    """
    spent, grade, order = _sorted_frontier(cost, quality)
    hull: list[int] = []
    for point in order:
        while len(hull) > 1:
            a, b = hull[-2], hull[-1]
            if (grade[b] - grade[a]) * (spent[point] - spent[a]) > (grade[point] - grade[a]) * (
                spent[b] - spent[a]
            ):
                break
            hull.pop()
        hull.append(int(point))
    return np.array(hull, dtype=np.intp)


def staircase_quality(cost: ArrayLike, quality: ArrayLike, at: ArrayLike) -> FloatArray:
    """Best quality at no more than each given cost.

    NaN below the cheapest point, where nothing is affordable.

    Examples:
        >>> staircase_quality([1, 2, 4], [0.5, 0.7, 0.8], [0.5, 3, 10]).tolist()
        [nan, 0.7, 0.8]
    """
    spent, grade, order = _sorted_frontier(cost, quality)
    place = np.searchsorted(spent[order], np.asarray(at, dtype=np.float64), side="right") - 1
    return np.where(place >= 0, grade[order][np.maximum(place, 0)], np.nan)


def hull_quality(cost: ArrayLike, quality: ArrayLike, at: ArrayLike) -> FloatArray:
    """Best expected quality of a random mixture at each mean cost.

    NaN below the cheapest point, flat beyond the most expensive.

    Examples:
        >>> hull_quality([1, 3], [0.5, 0.8], [0.5, 2, 4]).tolist()
        [nan, 0.65, 0.8]
    """
    spent, grade = finite_array(cost, "cost", (1,)), finite_array(quality, "quality", (1,))
    hull = upper_hull(spent, grade)
    return np.interp(np.asarray(at, dtype=np.float64), spent[hull], grade[hull], left=np.nan)


def gaps(cost: ArrayLike, quality: ArrayLike) -> Gaps:
    """Cost ratio, quality gap and scaled distance of every point to the frontier of all of them.

    Args:
        cost: shape ``(n,)``, zero or positive, lower is better.
        quality: shape ``(n,)``, higher is better.

    Returns:
        Gaps; a frontier point has ratio 1, gap 0 and distance 0. The cost ratio is NaN where the
        frontier cost is 0.

    Raises:
        IsocostError: no points, a negative cost, shapes disagree or a value is not finite.

    Examples:
        >>> found = gaps([1, 2, 4], [0.5, 0.7, 0.6])
        >>> found.cost_ratio.tolist(), found.quality_gap.tolist()
        ([1.0, 1.0, 2.0], [0.0, 0.0, 0.1])
    """
    spent, grade, order = _sorted_frontier(cost, quality)
    if (spent < 0).any():
        raise IsocostError(
            f"cost {spent.min()} is negative",
            remedy="Gaps are ratios of costs, which are zero or positive.",
        )
    steps, levels = spent[order], grade[order]
    reach = steps[np.searchsorted(levels, grade, side="left")]
    ratio = np.where(
        spent == reach,
        1.0,
        np.divide(spent, reach, out=np.full(len(spent), np.nan), where=reach > 0),
    )
    ratio = np.where((reach == 0) & (spent == 0), np.nan, ratio)
    gap = levels[np.searchsorted(steps, spent, side="right") - 1] - grade
    return Gaps(ratio, gap, _staircase_distance(spent, grade, order))


def _staircase_distance(
    spent: FloatArray, grade: FloatArray, order: NDArray[np.intp]
) -> FloatArray:
    axis = np.log(spent) if (spent > 0).all() else spent
    x = (axis - axis.min()) / (np.ptp(axis) or 1.0)
    y = (grade - grade.min()) / (np.ptp(grade) or 1.0)
    left, top = x[order], y[order]
    right = np.append(left[1:], np.inf)
    # A dominated point leaves the dominated region across the nearest tread (upwards) or riser
    # (leftwards).
    floor = np.concatenate([[-np.inf], top[:-1]])
    best = np.full(len(x), np.inf)
    for a, b, q, low in zip(left, right, top, floor, strict=True):
        tread = np.hypot(np.maximum(np.maximum(a - x, x - b), 0), q - y)
        riser = np.hypot(x - a, np.maximum(np.maximum(low - y, y - q), 0))
        np.minimum(best, np.minimum(tread, riser), out=best)
    best[pareto_mask(spent, grade)] = 0.0
    return best


def dpfr(
    measures: ArrayLike,
    *,
    frontier: ArrayLike | None = None,
    alpha: float = 0.5,
    interpolated: bool = False,
) -> FloatArray:
    """Distance to a reference point on the Pareto frontier of two measures.

    Rampisela et al., WWW 2025.

    The frontier is walked from the end with the largest first measure. As published, the target is
    the frontier point whose cumulative arc length is nearest to ``alpha`` of the total, and the
    very first point is never chosen; ``interpolated`` takes the point at exactly that arc length.
    The value depends on the scaling: bring both measures to [0, 1] first.

    Args:
        measures: shape ``(n, 2)``, both higher is better.
        frontier: points that define the frontier, shape ``(m, 2)``; those of ``measures`` when left
            out.
        alpha: share of the arc length at which the target is, 0 to 1.
        interpolated: see above.

    Returns:
        Distance of every row of ``measures`` to the target, shape ``(n,)``.

    Raises:
        IsocostError: shapes disagree, a value is not finite, or alpha is out of range.

    Examples:
        >>> frontier = [[1, 0.2], [0.9, 0.5], [0.6, 0.8], [0.2, 1]]
        >>> dpfr([[0.7, 0.5]], frontier=frontier).tolist()
        [0.316228]
    """
    points = finite_array(measures, "measures", (2,))
    source = points if frontier is None else finite_array(frontier, "frontier", (2,))
    if points.shape[1] != 2 or source.shape[1] != 2 or len(source) == 0:
        raise IsocostError(
            f"measures are {points.shape}",
            remedy="DPFR is defined for two measures and a frontier of a point or more.",
        )
    if not 0 <= alpha <= 1:
        raise IsocostError(f"alpha is {alpha}", remedy="It is a share of the arc length, 0 to 1.")
    kept = source[pareto_mask(source[:, 0], source[:, 1], cost_direction="max", duplicates="first")]
    walk = kept[np.argsort(-kept[:, 0], kind="stable")]
    length = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(walk, axis=0).T))])
    goal = alpha * length[-1]
    if len(walk) == 1:
        target = walk[0]
    elif interpolated:
        target = np.array(
            [np.interp(goal, length, walk[:, 0]), np.interp(goal, length, walk[:, 1])]
        )
    else:
        target = walk[1 + int(np.argmin(np.abs(length[1:] - goal)))]
    return np.hypot(*(points - target).T)
