"""The share of the cost-quality plane that a set of configurations covers.

Lives here: hypervolume relative to a recorded reference point, its normalised form and exclusive
contributions. Not here: the frontier itself (dominance.py). Volumes come from moocore;
contributions in two objectives are our own, because contributions that count dominated points as
replacements must be both exact and fast.
"""

from __future__ import annotations

from collections.abc import Sequence

import moocore
import numpy as np
from numpy.typing import ArrayLike

from isocost.errors import IsocostError
from isocost.frontier.arrays import Direction, FloatArray, finite_array, oriented
from isocost.frontier.dominance import frontier_rows


def hypervolume(
    cost: ArrayLike,
    quality: ArrayLike,
    reference: ArrayLike,
    *,
    ideal: ArrayLike | None = None,
    cost_direction: Direction | Sequence[Direction] = "min",
    quality_direction: Direction = "max",
) -> float:
    """Measure of the region that the points dominate, bounded by a reference point.

    Zitzler and Thiele 1999.

    The value depends on the scaling of the axes and on the reference: record both. Points that are
    not strictly better than the reference in every objective add nothing. For cost over decades
    pass ``log10(cost)`` and say so.

    Args:
        cost: shape ``(n,)`` or ``(n, d)``.
        quality: shape ``(n,)``.
        reference: the cost (or costs) and then the quality that count as worthless, shape ``(d +
            1,)``.
        ideal: optional best corner, same layout; the volume is then divided by that of the box from
            reference to ideal.
        cost_direction: "min" or "max", one for all cost axes or one each.
        quality_direction: "max" or "min".

    Returns:
        Volume in units of cost x quality (a share of the box when ``ideal`` is given); 0.0 for no
        points.

    Raises:
        IsocostError: shapes disagree, a value is not finite, or the ideal is not better than the
            reference everywhere.

    Examples:
        >>> hypervolume([1, 2, 4], [0.5, 0.7, 0.8], [5, 0.4])
        1.1
        >>> hypervolume([1, 2, 4], [0.5, 0.7, 0.8], [5, 0.4], ideal=[0, 1])
        0.366667
    """
    points, corner = _to_minimise(cost, quality, reference, cost_direction, quality_direction)
    volume = float(moocore.hypervolume(points, ref=corner)) if len(points) else 0.0
    if ideal is None:
        return volume
    best = _corner(ideal, "ideal", points.shape[1], cost_direction, quality_direction)
    if not (best < corner).all():
        raise IsocostError(
            "the ideal is not better than the reference in every objective",
            remedy="Swap or correct them.",
        )
    return volume / float(np.prod(corner - best))


def exclusive_contributions(
    cost: ArrayLike,
    quality: ArrayLike,
    reference: ArrayLike,
    *,
    cost_direction: Direction | Sequence[Direction] = "min",
    quality_direction: Direction = "max",
) -> FloatArray:
    """The contribution of each point alone: HV(S) - HV(S without it).

    Dominated points replace a removed one.

    A duplicate adds nothing by this definition; deduplicate first (see `duplicate_groups`) to
    credit the group.

    Args:
        cost: shape ``(n,)`` or ``(n, d)``.
        quality: shape ``(n,)``.
        reference: cost (or costs) and then quality of the reference point.
        cost_direction: "min" or "max", one for all cost axes or one each.
        quality_direction: "max" or "min".

    Returns:
        Shape ``(n,)``, units of the hypervolume, zero or positive.

    Examples:
        >>> exclusive_contributions([1, 2, 4], [0.5, 0.7, 0.8], [5, 0.4]).tolist()
        [0.1, 0.4, 0.1]
    """
    points, corner = _to_minimise(cost, quality, reference, cost_direction, quality_direction)
    if len(points) == 0:
        return np.zeros(0)
    if points.shape[1] > 2:
        return np.asarray(
            moocore.hv_contributions(points, ref=corner, ignore_dominated=False), dtype=np.float64
        )
    return _contributions_2d(points[:, 0], -points[:, 1], float(corner[0]), float(-corner[1]))


def _contributions_2d(
    spent: FloatArray, grade: FloatArray, most: float, least: float
) -> FloatArray:
    """Exact exclusive areas.

    The step of a frontier point, minus what dominated points inside that step would still cover.
    """
    gain = np.zeros(len(spent))
    inside = np.flatnonzero((spent < most) & (grade > least))
    if inside.size == 0:
        return gain
    kept = inside[frontier_rows(spent[None, inside], grade[None, inside])[0]]
    steps, copy, copies = np.unique(spent[kept], return_index=True, return_counts=True)
    kept = kept[copy]
    right = np.append(steps[1:], most)
    floor = np.concatenate([[least], grade[kept][:-1]])
    owner = np.searchsorted(steps, spent[inside], side="right") - 1
    for i, point in enumerate(kept):
        if copies[i] > 1:
            continue  # another copy covers the same step
        rivals = inside[(owner == i) & (inside != point) & (grade[inside] > floor[i])]
        covered = 0.0
        if rivals.size:
            minimised = np.column_stack([spent[rivals], -grade[rivals]])
            covered = float(moocore.hypervolume(minimised, ref=[right[i], -floor[i]]))
        gain[point] = (right[i] - steps[i]) * (grade[point] - floor[i]) - covered
    return np.maximum(gain, 0.0)


def _to_minimise(
    cost: ArrayLike,
    quality: ArrayLike,
    reference: ArrayLike,
    cost_direction: Direction | Sequence[Direction],
    quality_direction: Direction,
) -> tuple[FloatArray, FloatArray]:
    costs, grades = oriented(cost, quality, cost_direction, quality_direction)
    points = np.column_stack([costs, -grades])
    return points, _corner(
        reference, "reference", points.shape[1], cost_direction, quality_direction
    )


def _corner(
    point: ArrayLike,
    name: str,
    objectives: int,
    cost_direction: Direction | Sequence[Direction],
    quality_direction: Direction,
) -> FloatArray:
    values = finite_array(point, name, (1,))
    if len(values) != objectives:
        raise IsocostError(
            f"`{name}` has {len(values)} coordinates for {objectives} objectives",
            remedy="Costs first, quality last.",
        )
    costs, grade = oriented(values[None, :-1], values[-1:], cost_direction, quality_direction)
    return np.append(costs[0], -grade)
