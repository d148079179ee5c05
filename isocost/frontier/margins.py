"""By how much does an outcome beat, or miss, the frontier of all others?

Lives here: the margin, its many-draws kernel and its bootstrap interval. Not here: yes or no (dominance.py), probability of
membership (bootstrap.py).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from isocost.errors import IsocostError
from isocost.frontier.arrays import FloatArray, finite_array, matrix_pair
from isocost.frontier.bootstrap import ROUNDING, replicate_means


def frontier_margin(cost: ArrayLike, quality: ArrayLike) -> FloatArray:
    """Own quality minus the best quality that any other point offers at no more than the own cost.

    Positive: on the frontier, and the frontier loses that much quality at this cost without the point. Zero: matched. Negative:
    dominated, by that much.

    Args:
        cost: shape ``(n,)``, lower is better.
        quality: shape ``(n,)``, higher is better.

    Returns:
        Shape ``(n,)``; ``inf`` for a point that costs less than all others, which nothing can dominate.
    """
    spent, grade = finite_array(cost, "cost", (1,)), finite_array(quality, "quality", (1,))
    if spent.shape != grade.shape:
        raise IsocostError(f"{len(spent)} costs for {len(grade)} qualities", remedy="Give one cost per quality.")
    return margin_rows(spent[None], grade[None])[0] if len(spent) else np.zeros(0)


def margin_intervals(values: ArrayLike, costs: ArrayLike, counts: NDArray, *, confidence: float = 0.95) -> tuple[FloatArray, FloatArray]:
    """Percentile interval of every margin under the shared problem bootstrap.

    Needs 8 bytes per outcome and draw, as the margin of one outcome depends on all others.

    Args:
        values: quality per problem, shape ``(outcomes, problems)``.
        costs: cost per problem, same shape.
        counts: from `resample_counts`, or any weights of draws x problems; each draw is divided by its sum.
        confidence: level of the interval.

    Returns:
        ``(low, high)``; ``inf`` where that share of the draws leaves nothing cheaper to compare with.
    """
    grades, spent = matrix_pair(values, costs)
    found = np.empty((len(counts), len(grades)))
    for (start, price), (_, grade) in zip(replicate_means(spent, counts), replicate_means(grades, counts), strict=True):
        found[start : start + len(price)] = margin_rows(price, grade)
    found.sort(axis=0)
    tail = (1 - confidence) / 2
    last = len(counts) - 1
    # Order statistics, not interpolation: infinite margins must not mix with finite ones.
    return found[int(np.floor(tail * last))], found[int(np.ceil((1 - tail) * last))]


def margin_rows(cost: FloatArray, quality: FloatArray) -> FloatArray:
    """Margin of every entry within its row, shape ``(rows, n)``."""
    # Two stable sorts: by falling quality, then by cost, so that equals in cost stand best first.
    order = np.argsort(-quality, axis=1, kind="stable")
    order = np.take_along_axis(order, np.argsort(np.take_along_axis(cost, order, 1), axis=1, kind="stable"), 1)
    spent, grade = np.take_along_axis(cost, order, 1), np.take_along_axis(quality, order, 1)
    rival = np.full(cost.shape, -np.inf)
    rival[:, 1:] = np.maximum.accumulate(grade, axis=1)[:, :-1]
    same = spent[:, 1:] == spent[:, :-1]
    rival[:, :-1] = np.maximum(rival[:, :-1], np.where(same, grade[:, 1:], -np.inf))
    gain = grade - rival
    gain[np.abs(gain) <= ROUNDING * np.abs(grade)] = 0.0
    margin = np.empty(cost.shape)
    np.put_along_axis(margin, order, gain, 1)
    return margin
