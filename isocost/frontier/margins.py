"""By how much does an outcome beat, or miss, the frontier of all others?

Lives here: the margin, its many-draws kernel and its bootstrap bounds. Not here: yes or no (dominance.py), probability of
membership (bootstrap.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from isocost.errors import IsocostError
from isocost.frontier.arrays import FloatArray, finite_array, matrix_pair
from isocost.frontier.bootstrap import ROUNDING, replicate_means
from isocost.frontier.dominance import snap

# Share of the error probability that pays for leaving out rivals that cannot be the best.
SCREENING = 0.005


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
    once, as in comparisons with the best (Hsu 1984). Rivals that are surely below the best cheaper one do not count, which costs
    `SCREENING` of the error probability (two steps after Romano, Shaikh and Wolf 2014). It holds its level with any number of near
    ties. The lower bound is the plain percentile, which errs on the low side. Rivals of the upper bound are those at no more mean
    cost; the order of costs is taken as given there.

    Needs 16 bytes per outcome and draw, as the margin of one outcome depends on all others.

    Args:
        values: quality per problem, shape ``(outcomes, problems)``.
        costs: cost per problem, same shape. Outcomes that agree with another in values and costs on every problem are one outcome.
        counts: from `resample_counts`.
        tails: error probability of each one-sided bound, above `SCREENING`; (0.025,) gives a two-sided 95 % interval.
        weights: weight of each problem in the means, summing to 1; equal when left out.

    Returns:
        ``(low, high)``, each of shape ``(len(tails), outcomes)``; ``inf`` where that share of the draws leaves nothing cheaper.

    Raises:
        IsocostError: shapes disagree, a value is not finite, or a tail is out of range.
    """
    grades, spent = matrix_pair(values, costs)
    levels = finite_array(tails, "tails", (1,))
    if not ((levels > SCREENING) & (levels <= 0.5)).all():
        raise IsocostError(f"the tails are {list(tails)}", remedy=f"Each is an error probability in ({SCREENING}, 0.5].")
    share = np.full(grades.shape[1], 1 / grades.shape[1]) if weights is None else finite_array(weights, "weights", (1,))
    seen: dict[bytes, int] = {}
    copy_of = np.array([seen.setdefault(g.tobytes() + c.tobytes(), len(seen)) for g, c in zip(grades + 0.0, spent + 0.0, strict=True)])
    first = np.unique(copy_of, return_index=True)[1]
    grades, spent = grades[first], spent[first]
    quality, cost = grades @ share, snap(spent @ share, ROUNDING)
    margin, worst, span = np.empty((len(counts), len(grades))), np.empty((len(counts), len(grades))), np.empty(len(counts))
    for (start, price), (_, grade) in zip(replicate_means(spent, counts), replicate_means(grades, counts), strict=True):
        margin[start : start + len(price)] = margin_rows(price, grade)
        span[start : start + len(price)] = np.ptp(grade - quality, axis=1)
    last = len(counts) - 1
    plan = _rival_plan(cost, quality, reach=np.sort(span)[int(np.ceil((1 - SCREENING) * last))])
    for start, grade in replicate_means(grades, counts):
        worst[start : start + len(grade)] = _rival_error(grade - quality, plan)
    margin.sort(axis=0)
    worst.sort(axis=0)
    # Order statistics, not interpolation: infinite margins must not mix with finite ones.
    low = margin[np.floor(levels * last).astype(np.int64)]
    above = worst[np.ceil((1 - levels + SCREENING) * last).astype(np.int64)]
    # Without rivals the error is -inf and the margin +inf: nothing can dominate, whatever the draws.
    high = margin_rows(cost[None], quality[None]) + np.where(np.isneginf(above), 0.0, above)
    return low[:, copy_of], high[:, copy_of]


@dataclass(frozen=True)
class _Step:
    """Outcomes of one cost.

    Attributes:
        members: their positions.
        rivals: all cheaper rivals that may be the best, where the best has changed; None where the last ones still stand.
        joining: members that become rivals of what is dearer, while the best stays the same.
    """

    members: NDArray[np.intp]
    rivals: NDArray[np.intp] | None
    joining: NDArray[np.intp]


def _rival_plan(cost: FloatArray, quality: FloatArray, reach: float) -> list[_Step]:
    """Steps by rising cost; a cheaper rival counts while its quality is within ``reach`` of the best cheaper one."""
    order = np.lexsort((-quality, cost))
    steps: list[_Step] = []
    best, rivals, changed = -np.inf, np.array([], dtype=np.intp), False
    for members in np.split(order, np.flatnonzero(np.diff(cost[order])) + 1):
        top = max(best, float(quality[members].max()))
        joining = members[quality[members] >= top - reach]
        steps.append(_Step(members, rivals if changed else None, joining))
        rivals = np.concatenate([rivals, joining])
        changed = top > best
        if changed:
            rivals, best = rivals[quality[rivals] >= top - reach], top
    return steps


def _rival_error(error: FloatArray, plan: list[_Step]) -> FloatArray:
    """Largest error of any rival at no more cost, minus the own error; -inf without rivals. Shape (draws, outcomes)."""
    found = np.empty_like(error)
    cheaper = np.full(len(error), -np.inf)
    for step in plan:
        if step.rivals is not None:
            cheaper = error[:, step.rivals].max(axis=1)
        own = error[:, step.members]
        rival = np.repeat(cheaper[:, None], own.shape[1], axis=1)
        if own.shape[1] > 1:
            rival[:, 1:] = np.maximum(rival[:, 1:], np.maximum.accumulate(own, axis=1)[:, :-1])
            rival[:, :-1] = np.maximum(rival[:, :-1], np.maximum.accumulate(own[:, ::-1], axis=1)[:, ::-1][:, 1:])
        found[:, step.members] = rival - own
        if len(step.joining):
            cheaper = np.maximum(cheaper, error[:, step.joining].max(axis=1))
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
