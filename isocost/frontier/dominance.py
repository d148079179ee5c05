"""Dominance: frontiers of points with declared direction, tolerance and duplicate policy.

Lives here: the non-dominated mask for two, three or more objectives, its many-draws kernel, and
grouping of duplicates. Not here: volumes (hypervolume.py), shapes and distances (geometry.py),
uncertainty (bootstrap.py).

A point dominates another when it is no worse in any objective and strictly better in at least one.
A point that is equally good but more expensive is therefore dominated; exact
duplicates do not dominate each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import moocore
import numpy as np
from numpy.typing import ArrayLike, NDArray

from isocost.errors import IsocostError
from isocost.frontier.arrays import BoolArray, Direction, FloatArray, oriented

Duplicates = Literal["all", "first"]


def pareto_mask(
    cost: ArrayLike,
    quality: ArrayLike,
    *,
    cost_direction: Direction | Sequence[Direction] = "min",
    quality_direction: Direction = "max",
    tolerance: float | Sequence[float] = 0.0,
    duplicates: Duplicates = "all",
) -> BoolArray:
    """Marks the points that no other point dominates (Kung, Luccio and Preparata 1975).

    Args:
        cost: shape ``(n,)``, or ``(n, d)`` for several cost axes, in raw units (dominance ignores
            monotone rescaling).
        quality: shape ``(n,)``.
        cost_direction: "min" or "max", one for all cost axes or one each.
        quality_direction: "max" or "min".
        tolerance: values of one axis are equal when a chain of values links them in steps of at
            most this; one number for every axis or one each (cost axes first, then quality). 0
            means exact comparison.
        duplicates: "all" keeps every copy of a frontier point, "first" the copy that comes first in
            the input.

    Returns:
        Boolean mask of shape ``(n,)``, in input order; empty for no points.

    Raises:
        IsocostError: shapes disagree, a value is NaN or infinite, or an option is unknown.

    Examples:
        >>> pareto_mask([1, 2, 4, 3, 2, 5], [0.5, 0.7, 0.8, 0.7, 0.6, 0.8]).tolist()
        [True, True, True, False, False, False]
    """
    levels = objective_levels(
        cost,
        quality,
        cost_direction=cost_direction,
        quality_direction=quality_direction,
        tolerance=tolerance,
    )
    if duplicates not in ("all", "first"):
        raise IsocostError(
            f"`{duplicates}` is not a duplicate policy", remedy='Use "all" or "first".'
        )
    if len(levels) == 0:
        return np.zeros(0, dtype=bool)
    if levels.shape[1] > 2:
        return np.asarray(
            moocore.is_nondominated(levels, keep_weakly=duplicates == "all"), dtype=bool
        )
    mask = frontier_rows(levels[None, :, 0], -levels[None, :, 1])[0]
    if duplicates == "first":
        kept = np.flatnonzero(mask)
        # On a two-objective frontier equal cost means equal quality, so cost alone identifies a
        # duplicate.
        _, first = np.unique(levels[kept, 0], return_index=True)
        mask = np.zeros(len(levels), dtype=bool)
        mask[kept[first]] = True
    return mask


def duplicate_groups(
    cost: ArrayLike, quality: ArrayLike, *, tolerance: float | Sequence[float] = 0.0
) -> NDArray[np.int64]:
    """Number the distinct points, so that duplicates can be shown once with all their keys.

    Args:
        cost: shape ``(n,)`` or ``(n, d)``.
        quality: shape ``(n,)``.
        tolerance: as in `pareto_mask`.

    Returns:
        Group number per point, shape ``(n,)``, dense, in order of cost and then falling quality.

    Examples:
        >>> duplicate_groups([1, 2, 1], [0.5, 0.7, 0.5]).tolist()
        [0, 1, 0]
    """
    levels = objective_levels(
        cost, quality, cost_direction="min", quality_direction="max", tolerance=tolerance
    )
    if len(levels) == 0:
        return np.zeros(0, dtype=np.int64)
    return np.unique(levels, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)


def objective_levels(
    cost: ArrayLike,
    quality: ArrayLike,
    *,
    cost_direction: Direction | Sequence[Direction] = "min",
    quality_direction: Direction = "max",
    tolerance: float | Sequence[float] = 0.0,
) -> FloatArray:
    """Replace every objective by numbers to minimise.

    Values within the tolerance become exactly equal.

    Returns:
        Shape ``(n, d + 1)``: the values themselves at tolerance 0 (quality negated), else level
        ranks.

    Raises:
        IsocostError: a tolerance is negative, or their number is not that of the objectives.
    """
    costs, grades = oriented(cost, quality, cost_direction, quality_direction)
    axes = np.column_stack([costs, -grades])
    steps = np.asarray(tolerance, dtype=np.float64)
    if steps.ndim and len(steps) != axes.shape[1]:
        raise IsocostError(
            f"{len(steps)} tolerances for {axes.shape[1]} objectives",
            remedy="Give one per axis, quality last.",
        )
    if not (steps >= 0).all():
        raise IsocostError(
            f"the tolerance is {tolerance}", remedy="A tolerance is zero or positive."
        )
    steps = np.broadcast_to(steps, (axes.shape[1],))
    return (
        np.column_stack([_levels(axes[:, j], steps[j]) for j in range(axes.shape[1])])
        if len(axes)
        else axes
    )


def _levels(values: FloatArray, step: float) -> FloatArray:
    """Rank values after merging sorted neighbours at most ``step`` apart.

    Independent of order, hence deterministic.
    """
    if step == 0:
        return values + 0.0  # -0.0 and 0.0 become one value
    order = np.argsort(values, kind="stable")
    ranks = np.empty(len(values))
    ranks[order] = np.concatenate([[0], np.cumsum(np.diff(values[order]) > step)])
    return ranks


def snap(values: FloatArray, rounding: float) -> FloatArray:
    """Replace values that differ only by rounding with one value, for exact comparison.

    Args:
        values: shape ``(n,)``.
        rounding: sorted neighbours that differ by no more than this share of their size are equal.

    Returns:
        Shape ``(n,)``; every value replaced by the smallest of its chain of neighbours.
    """
    order = np.argsort(values, kind="stable")
    ranked = values[order]
    first = np.concatenate([[True], np.diff(ranked) > rounding * np.abs(ranked[1:])])
    out = np.empty(len(values))
    out[order] = ranked[first][np.cumsum(first) - 1]
    return out


def frontier_rows(cost: FloatArray, quality: FloatArray, *, rounding: float = 0.0) -> BoolArray:
    """Frontier of every row at once: O(rows x n log n), no Python loop.

    Args:
        cost: shape ``(rows, n)``, to minimise.
        quality: shape ``(rows, n)``, to maximise.
        rounding: relative rounding error of the numbers; neighbours in cost, and qualities, that
            differ by no more than this share of their size are equal. 0 compares exactly.

    Returns:
        Mask ``(rows, n)``; duplicates are all kept.
    """
    order = np.argsort(cost, axis=1, kind="stable")
    spent = np.take_along_axis(cost, order, 1)
    grade = np.take_along_axis(quality, order, 1)
    best = np.maximum.accumulate(grade, axis=1)
    width = cost.shape[1]
    starts = np.ones(cost.shape, dtype=bool)
    starts[:, 1:] = spent[:, 1:] - spent[:, :-1] > rounding * np.abs(spent[:, 1:])
    place = np.arange(width, dtype=np.int32)
    first = np.maximum.accumulate(np.where(starts, place, np.int32(0)), axis=1)
    ends = np.ones(cost.shape, dtype=bool)
    ends[:, :-1] = starts[:, 1:]
    last = np.minimum.accumulate(np.where(ends, place, np.int32(width - 1))[:, ::-1], axis=1)[
        :, ::-1
    ]
    cheaper = np.where(first > 0, np.take_along_axis(best, np.maximum(first - 1, 0), 1), -np.inf)
    slack = rounding * np.abs(grade)
    kept = (grade > cheaper + slack) & (grade >= np.take_along_axis(best, last, 1) - slack)
    mask = np.empty(cost.shape, dtype=bool)
    np.put_along_axis(mask, order, kept, 1)
    return mask
