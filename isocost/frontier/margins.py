"""By how much does an outcome beat, or miss, the frontier of all others?

Lives here: the margin, its many-draws kernel and its bootstrap bounds. Not here: yes or no (dominance.py), probability of
membership (bootstrap.py).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from isocost.errors import IsocostError
from isocost.frontier.arrays import FloatArray, finite_array, matrix_pair
from isocost.frontier.bootstrap import ROUNDING, replicate_means
from isocost.frontier.dominance import snap


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


def margin_bounds(
    values: ArrayLike,
    costs: ArrayLike,
    counts: NDArray,
    *,
    tails: Sequence[float] = (0.025, 0.05),
    weights: ArrayLike | None = None,
) -> tuple[FloatArray, FloatArray]:
    """One-sided bounds of every margin under the shared problem bootstrap.

    The margin is a lead over the best of many, and that best is partly luck. Its plain bootstrap interval therefore sits too low
    wherever outcomes are nearly tied. The upper bound here adds to the margin the quantile of the largest error over all rivals at
    once (as in comparisons with the best, Hsu 1984; least favourable configuration of moment inequalities): it holds its level with any
    number of rivals and is cautious where few of them are close. The lower bound is the plain percentile, which errs on the low side.
    Rivals of the upper bound are those at no more mean cost; the order of costs is taken as given there.

    Needs 16 bytes per outcome and draw, as the margin of one outcome depends on all others.

    Args:
        values: quality per problem, shape ``(outcomes, problems)``.
        costs: cost per problem, same shape. Outcomes that agree with another in values and costs on every problem are one outcome.
        counts: from `resample_counts`.
        tails: error probability of each one-sided bound; (0.025,) gives a two-sided 95 % interval.
        weights: weight of each problem in the means, summing to 1; equal when left out.

    Returns:
        ``(low, high)``, each of shape ``(len(tails), outcomes)``; ``inf`` where that share of the draws leaves nothing cheaper.

    Raises:
        IsocostError: shapes disagree, a value is not finite, or a tail lies outside (0, 0.5].
    """
    grades, spent = matrix_pair(values, costs)
    levels = finite_array(tails, "tails", (1,))
    if not ((levels > 0) & (levels <= 0.5)).all():
        raise IsocostError(f"the tails are {list(tails)}", remedy="Each is an error probability in (0, 0.5].")
    share = np.full(grades.shape[1], 1 / grades.shape[1]) if weights is None else finite_array(weights, "weights", (1,))
    seen: dict[bytes, int] = {}
    copy_of = np.array([seen.setdefault(g.tobytes() + c.tobytes(), len(seen)) for g, c in zip(grades + 0.0, spent + 0.0, strict=True)])
    first = np.unique(copy_of, return_index=True)[1]
    grades, spent = grades[first], spent[first]
    quality, cost = grades @ share, snap(spent @ share, ROUNDING)
    order = np.lexsort((-quality, cost))
    groups = np.split(order, np.flatnonzero(np.diff(cost[order])) + 1)
    margin, worst = np.empty((len(counts), len(grades))), np.empty((len(counts), len(grades)))
    for (start, price), (_, grade) in zip(replicate_means(spent, counts), replicate_means(grades, counts), strict=True):
        rows = slice(start, start + len(price))
        margin[rows] = margin_rows(price, grade)
        worst[rows] = _rival_error(grade - quality, groups)
    margin.sort(axis=0)
    worst.sort(axis=0)
    last = len(counts) - 1
    # Order statistics, not interpolation: infinite margins must not mix with finite ones.
    low = margin[np.floor(levels * last).astype(np.int64)]
    above = worst[np.ceil((1 - levels) * last).astype(np.int64)]
    # Without rivals the error is -inf and the margin +inf: nothing can dominate, whatever the draws.
    high = margin_rows(cost[None], quality[None]) + np.where(np.isneginf(above), 0.0, above)
    return low[:, copy_of], high[:, copy_of]


def _rival_error(error: FloatArray, groups: list[NDArray[np.intp]]) -> FloatArray:
    """Largest error of any rival at no more cost, minus the own error; -inf without rivals. ``groups``: equal costs, cheap first."""
    found = np.empty_like(error)
    cheaper = np.full(len(error), -np.inf)
    for group in groups:
        own = error[:, group]
        rival = np.repeat(cheaper[:, None], len(group), axis=1)
        if len(group) > 1:
            rival[:, 1:] = np.maximum(rival[:, 1:], np.maximum.accumulate(own, axis=1)[:, :-1])
            rival[:, :-1] = np.maximum(rival[:, :-1], np.maximum.accumulate(own[:, ::-1], axis=1)[:, ::-1][:, 1:])
        found[:, group] = rival - own
        cheaper = np.maximum(cheaper, own.max(axis=1))
    return found


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
