"""By how much does an outcome beat, or miss, the frontier of all others?

Lives here: the margin, its bootstrap bounds, and both together with the share of draws on the
frontier. Not here: yes or no (dominance.py), the sweep over draws (draws.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from isocost.errors import IsocostError
from isocost.frontier.arrays import FloatArray, finite_array, matrix_pair
from isocost.frontier.dominance import snap
from isocost.frontier.draws import Pairs, is_small, margin_rows, pair_up, sweep_tiles
from isocost.frontier.replication import BLOCK, ROUNDING, Replicates, replicates

# Share of the error probability that pays for leaving out rivals that cannot be the best.
SCREENING = 0.005


def frontier_margin(cost: ArrayLike, quality: ArrayLike) -> FloatArray:
    """Own quality minus the best quality of any other point at no more than the own cost.

    Positive: on the frontier, and the frontier loses that much quality at this cost without the
    point. Zero: matched. Negative: dominated, by that much.

    Args:
        cost: shape ``(n,)``, lower is better.
        quality: shape ``(n,)``, higher is better.

    Returns:
        Shape ``(n,)``; ``inf`` for a point that costs less than all others, which nothing can
        dominate.

    Examples:
        >>> frontier_margin([1, 2, 3], [0.5, 0.7, 0.6]).tolist()
        [inf, 0.2, -0.1]
    """
    spent, grade = finite_array(cost, "cost", (1,)), finite_array(quality, "quality", (1,))
    if spent.shape != grade.shape:
        raise IsocostError(
            f"{len(spent)} costs for {len(grade)} qualities", remedy="Give one cost per quality."
        )
    return margin_rows(spent[None], grade[None])[0] if len(spent) else np.zeros(0)


def margin_bounds(
    values: ArrayLike,
    costs: ArrayLike,
    counts: NDArray[Any],
    *,
    tails: Sequence[float] = (0.025, 0.05),
    weights: ArrayLike | None = None,
) -> tuple[FloatArray, FloatArray]:
    """One-sided bounds of every margin under the shared problem bootstrap.

    The margin is a lead over the best of many, and that best is partly luck. Its plain bootstrap
    interval is therefore too low if outcomes are nearly tied. The upper bound here adds to the
    margin the quantile of the largest error over all rivals at once, as in comparisons with the
    best (Hsu 1984). Rivals that are certainly below the best cheaper one do not count, which costs
    `SCREENING` of the error probability (two steps after Romano, Shaikh and Wolf 2014). It holds
    its level with any number of near ties. The lower bound is the plain percentile, which errs on
    the low side. Rivals of the upper bound are those at no more mean cost; the order of costs is
    taken as given there.

    A rival costs no more when it costs no more up to rounding, in each draw as in the means. Needs
    up to 25 bytes per outcome and draw.

    Args:
        values: quality per problem, shape ``(outcomes, problems)``.
        costs: cost per problem, same shape. Outcomes that agree with another in values and costs on
            every problem are one outcome.
        counts: from `resample_counts`.
        tails: error probability of each one-sided bound, above `SCREENING`; (0.025,) gives a
            two-sided 95 % interval.
        weights: weight of each problem in the means, summing to 1; equal when left out.

    Returns:
        ``(low, high)``, each of shape ``(len(tails), outcomes)``; ``inf`` where that share of the
        draws leaves nothing cheaper.

    Raises:
        IsocostError: shapes disagree, a value is not finite, or a tail is out of range.
    """
    grades, spent = matrix_pair(values, costs)
    found = frontier_draws(
        replicates(grades, counts), replicates(spent, counts), tails=tails, weights=weights
    )
    return found.low, found.high


@dataclass(frozen=True)
class FrontierDraws:
    """The draws' results for every outcome.

    Attributes:
        membership: share of draws on the frontier, shape ``(outcomes,)``, as of
            `isocost.frontier.frontier_membership`.
        low: lower bounds of the margin, shape ``(len(tails), outcomes)``, as of `margin_bounds`.
        high: its upper bounds, same shape.
    """

    membership: FloatArray
    low: FloatArray
    high: FloatArray


def frontier_draws(
    quality: Replicates,
    cost: Replicates,
    *,
    tails: Sequence[float] = (0.025, 0.05),
    weights: ArrayLike | None = None,
) -> FrontierDraws:
    """Membership and the bounds of the margin from one sweep over the draws.

    Args:
        quality: means of the values, from `isocost.frontier.replicates`.
        cost: means of the costs of the same outcomes in the same draws.
        tails: as in `margin_bounds`.
        weights: as in `margin_bounds`.

    Raises:
        IsocostError: a weight is not finite, or a tail is out of range.
    """
    levels = finite_array(tails, "tails", (1,))
    if not ((levels > SCREENING) & (levels <= 0.5)).all():
        raise IsocostError(
            f"the tails are {list(tails)}",
            remedy=f"Each is an error probability in ({SCREENING}, 0.5].",
        )
    share = None if weights is None else finite_array(weights, "weights", (1,))
    pairs = pair_up(quality, cost)
    grade, price = (
        quality.center(share)[pairs.grade_of],
        snap(cost.center(share)[pairs.price_of], ROUNDING),
    )
    last, hits = pairs.draws - 1, np.zeros(len(pairs), dtype=np.int64)
    # Order statistics, not interpolation: infinite margins must not mix with finite ones.
    places = np.floor(levels * last).astype(np.int64)
    lowest = _Lowest(len(pairs), int(places.max()) + 1)
    for _, margin, found in sweep_tiles(pairs):
        hits += found
        lowest.take(margin)
    low = lowest.at(places)
    reach = np.sort(_span(pairs, grade))[int(np.ceil((1 - SCREENING) * last))]
    plan = _rival_plan(price, grade, reach=reach)
    from_top = last - np.ceil((1 - levels + SCREENING) * last).astype(np.int64)
    highest = _Lowest(len(pairs), int(from_top.max()) + 1)
    for draws in pairs.tiles():
        highest.take(-_rival_errors(pairs, pairs.quality.tile(draws), grade, plan))
    above = -highest.at(from_top)
    # Without rivals the error is -inf and the margin +inf: nothing can dominate, in any draw.
    high = margin_rows(price[None], grade[None]) + np.where(np.isneginf(above), 0.0, above)
    return FrontierDraws(
        hits[pairs.copy_of] / pairs.draws, low[:, pairs.copy_of], high[:, pairs.copy_of]
    )


class _Lowest:
    """The lowest numbers of every row of a matrix of which only some columns are seen at a time."""

    def __init__(self, rows: int, size: int) -> None:
        self._kept = np.full((rows, size), np.inf)

    def take(self, values: FloatArray) -> None:
        """Sees some more columns."""
        rows, size = self._kept.shape
        step = max(1, BLOCK // (size + values.shape[1]))
        for start in range(0, rows, step):
            both = np.concatenate(
                [self._kept[start : start + step], values[start : start + step]], axis=1
            )
            both.partition(size - 1, axis=1)
            self._kept[start : start + step] = both[:, :size]

    def at(self, places: NDArray[np.int64]) -> FloatArray:
        """The numbers at some places of every sorted row, shape ``(places, rows)``."""
        self._kept.sort(axis=1)
        return self._kept[:, places].T


def _span(pairs: Pairs, quality: FloatArray) -> FloatArray:
    """Largest minus smallest error of any outcome in every draw."""
    rows, first = np.unique(pairs.grade_of, return_index=True)
    span = np.empty(pairs.draws)
    for draws in pairs.tiles():
        grade = pairs.quality.tile(draws)
        low, high = np.full(grade.shape[1], np.inf), np.full(grade.shape[1], -np.inf)
        step = max(1, BLOCK // grade.shape[1])
        for start in range(0, len(rows), step):
            error = grade[rows[start : start + step]] - quality[first[start : start + step], None]
            low, high = np.minimum(low, error.min(axis=0)), np.maximum(high, error.max(axis=0))
        span[draws] = high - low
    return span


def _rival_errors(
    pairs: Pairs, grade: FloatArray, quality: FloatArray, plan: list[_Step]
) -> FloatArray:
    """`_rival_error` in the draws of a tile, outcomes x draws.

    ``grade`` are the means of the distinct values in these draws.
    """
    if is_small(len(pairs) * pairs.draws):
        return _rival_error(grade[pairs.grade_of].T - quality, plan).T
    from isocost.frontier.kernels import rival_errors

    none = np.array([], dtype=np.intp)
    parts = []
    for lists in (
        [step.members for step in plan],
        [none if step.rivals is None else step.rivals for step in plan],
        [step.joining for step in plan],
    ):
        parts.append((np.concatenate(lists), np.cumsum([0, *(len(each) for each in lists)])))
    (members, member_ends), (rivals, rival_ends), (joining, joining_ends) = parts
    renewed = np.array([step.rivals is not None for step in plan])
    rest = (members, member_ends, rivals, rival_ends, renewed, joining, joining_ends)
    out = np.empty((len(pairs), grade.shape[1]))
    rival_errors(grade, pairs.grade_of, quality, *rest, out)
    return out


@dataclass(frozen=True)
class _Step:
    """Outcomes of one cost.

    Attributes:
        members: their positions.
        rivals: all cheaper rivals that may be the best, where the best has changed; None if the
            previous ones still apply.
        joining: members that become rivals of more expensive outcomes, while the best stays the
            same.
    """

    members: NDArray[np.intp]
    rivals: NDArray[np.intp] | None
    joining: NDArray[np.intp]


def _rival_plan(cost: FloatArray, quality: FloatArray, reach: float) -> list[_Step]:
    """Steps by rising cost.

    A cheaper rival counts while its quality is within ``reach`` of the best cheaper one.
    """
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
    """Largest error of any rival at no more cost, minus the own error.

    -inf without rivals. Shape (draws, outcomes).
    """
    found = np.empty_like(error)
    cheaper = np.full(len(error), -np.inf)
    for step in plan:
        if step.rivals is not None:
            cheaper = error[:, step.rivals].max(axis=1)
        own = error[:, step.members]
        rival = np.repeat(cheaper[:, None], own.shape[1], axis=1)
        if own.shape[1] > 1:
            rival[:, 1:] = np.maximum(rival[:, 1:], np.maximum.accumulate(own, axis=1)[:, :-1])
            rival[:, :-1] = np.maximum(
                rival[:, :-1], np.maximum.accumulate(own[:, ::-1], axis=1)[:, ::-1][:, 1:]
            )
        found[:, step.members] = rival - own
        if len(step.joining):
            cheaper = np.maximum(cheaper, error[:, step.joining].max(axis=1))
    return found
