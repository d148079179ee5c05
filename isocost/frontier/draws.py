"""Frontiers of many draws at once: membership and margins of every outcome.

Lives here: the sweep over all draws, its plain version for few outcomes, and the pairing of
distinct values with distinct costs. Not here: the means themselves (replication.py), the frontier
of a single row of points (dominance.py), bounds (margins.py).

Sorting every outcome in every draw would cost most of the time, though a few outcomes decide who is
on the frontier. The sweep keeps the best and the second best quality at every cost among some
members, and reads every outcome off that staircase. A non-member that is better than the second
best shows that the staircase is incomplete: it becomes a member, and the draw is read again. An
outcome may be on the frontier unless a member is certainly better; only those few need the rounding
rules of ``frontier_rows``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from isocost.frontier.arrays import FloatArray
from isocost.frontier.dominance import frontier_rows
from isocost.frontier.replication import ROUNDING, Replicates

# Outcomes x draws below which sorting takes less time than loading the compiled sweep.
SMALL = 1 << 18
# Draws read together: no fewer than the first, no more than the second, and in between as many as
# make so many numbers with all outcomes.
TILE, MOST, NUMBERS = 64, 256, 1 << 23
# Layers of the frontier of the means that are members from the start.
LAYERS = 3
# Numbers in flight per chunk of the plain version and of the last step.
CHUNK = 1 << 21


@dataclass(frozen=True)
class Pairs:
    """Outcomes distinguished by values and costs together.

    Attributes:
        quality: means of the values.
        cost: means of the costs.
        grade_of: row of ``quality.means`` for every pair.
        price_of: row of ``cost.means`` for every pair.
        copy_of: the pair of every outcome, numbered in order of first appearance.
    """

    quality: Replicates
    cost: Replicates
    grade_of: NDArray[np.int64]
    price_of: NDArray[np.int64]
    copy_of: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.grade_of)

    @property
    def draws(self) -> int:
        """Number of draws."""
        return self.quality.draws

    def rows(self, draws: slice) -> tuple[FloatArray, FloatArray]:
        """Costs and qualities of some draws, each of shape ``(draws, pairs)``."""
        return self.cost.tile(draws)[self.price_of].T, self.quality.tile(draws)[self.grade_of].T

    def tiles(self) -> Iterator[slice]:
        """The draws, so many at a time that a matrix of pairs and these draws is small."""
        return tiles(len(self), self.draws)


def pair_up(quality: Replicates, cost: Replicates) -> Pairs:
    """Join the values and the costs of the same outcomes."""
    key = quality.copy_of * len(cost.rows) + cost.copy_of
    _, first, number = np.unique(key, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first, kind="stable")] = np.arange(len(first))
    first = np.sort(first)
    return Pairs(
        quality, cost, quality.copy_of[first], cost.copy_of[first], rank[number.reshape(-1)]
    )


def tiles(outcomes: int, draws: int) -> Iterator[slice]:
    """The draws, some at a time; what is found must not depend on how many."""
    width = max(TILE, min(MOST, NUMBERS // max(outcomes, 1)))
    for start in range(0, draws, width):
        yield slice(start, min(start + width, draws))


def sweep(pairs: Pairs) -> tuple[FloatArray, NDArray[np.int64]]:
    """Margin of every pair in every draw, and the number of draws in which it is on the frontier.

    Returns:
        Margins of shape ``(pairs, draws)`` as of `margin_rows` at `ROUNDING`; counts of shape
        ``(pairs,)`` as of ``frontier_rows``.
    """
    margin, hits = np.empty((len(pairs), pairs.draws)), np.zeros(len(pairs), dtype=np.int64)
    for draws, some, found in sweep_tiles(pairs):
        margin[:, draws] = some
        hits += found
    return margin, hits


def sweep_tiles(pairs: Pairs) -> Iterator[tuple[slice, FloatArray, NDArray[np.int64]]]:
    """Like `sweep`, in tiles of draws: the draws, their margins and their counts.

    Margins have shape ``(pairs, these draws)``.
    """
    members = _layers(
        pairs.cost.center(None)[pairs.price_of], pairs.quality.center(None)[pairs.grade_of]
    )
    used, is_few = np.zeros(len(pairs), dtype=bool), is_small(len(pairs) * pairs.draws)
    for draws in pairs.tiles():
        price, grade = pairs.cost.tile(draws), pairs.quality.tile(draws)
        if is_few or (price < 0).any():
            yield draws, *_plain_sweep(pairs, price, grade)
        else:
            margin, near = _compiled_sweep(pairs, price, grade, members, used)
            members = np.flatnonzero(used)
            yield draws, margin, _frontier_hits(pairs, price, grade, near)


def _compiled_sweep(
    pairs: Pairs,
    price: FloatArray,
    grade: FloatArray,
    members: NDArray[np.int64],
    used: NDArray[np.bool_],
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Margins in the draws of a tile, and possible frontier members.

    Marks the members that made a step.
    """
    from isocost.frontier.kernels import build_staircases, sweep_margins

    margin = np.empty((len(pairs), price.shape[1]))
    near = np.empty(margin.shape, dtype=bool)
    # Any order will do; by rising cost the staircases are walked once.
    sequence = np.lexsort((pairs.price_of, pairs.cost.center(None)[pairs.price_of]))
    todo = np.arange(price.shape[1])
    while todo.size:
        spent = price[pairs.price_of[members], todo[:, None]]
        order = np.argsort(spent, axis=1)
        staircases = build_staircases(
            spent, grade[pairs.grade_of[members], todo[:, None]], order, members, used
        )
        fresh = np.zeros(len(pairs), dtype=bool)
        rest = (pairs.price_of, pairs.grade_of, sequence, todo, staircases)
        dirty = sweep_margins(
            price, grade, *rest, ROUNDING, chain_reach(len(pairs)), margin, near, fresh
        )
        members, todo = np.concatenate([members, np.flatnonzero(fresh)]), todo[dirty]
    return margin, near


def is_small(size: int) -> bool:
    """Whether the compiled loops are not worth their loading for this many outcomes x draws."""
    return size < SMALL


def chain_reach(size: int) -> float:
    """Relative distance within which a chain of ``size`` numbers must end.

    Each number of a chain equals the next up to rounding.
    """
    return 2 * (size + 2) * ROUNDING


def _plain_sweep(
    pairs: Pairs, price: FloatArray, grade: FloatArray
) -> tuple[FloatArray, NDArray[np.int64]]:
    margin, hits = np.empty((len(pairs), price.shape[1])), np.zeros(len(pairs), dtype=np.int64)
    step = max(1, CHUNK // len(pairs))
    for start in range(0, price.shape[1], step):
        spent, level = (
            price[pairs.price_of, start : start + step].T,
            grade[pairs.grade_of, start : start + step].T,
        )
        margin[:, start : start + step] = margin_rows(spent, level, rounding=ROUNDING).T
        hits += np.count_nonzero(frontier_rows(spent, level, rounding=ROUNDING), axis=0)
    return margin, hits


def _layers(cost: FloatArray, quality: FloatArray) -> NDArray[np.int64]:
    """The first layers of the frontier: likely the best and second best at any cost."""
    left, found = np.lexsort((-quality, cost)), []
    for _ in range(LAYERS):
        best = np.maximum.accumulate(quality[left])
        stands = (
            np.concatenate([[True], best[1:] > best[:-1]]) if len(left) else np.zeros(0, dtype=bool)
        )
        found.append(left[stands])
        left = left[~stands]
    return np.concatenate(found)


def _frontier_hits(
    pairs: Pairs, price: FloatArray, grade: FloatArray, near: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Draws of a tile in which each pair is on the frontier, among those ``near`` it.

    All others are certainly dominated.

    Leaving those out changes no comparison, with one exception: they may link two costs to a chain
    of equals. If costs are that close, the draw is evaluated in full.
    """
    hits, reach = np.zeros(len(pairs), dtype=np.int64), chain_reach(len(pairs))
    step = max(1, CHUNK // len(pairs))
    for start in range(0, near.shape[1], step):
        rows, sizes = listed(near[:, start : start + step])
        draws = start + np.arange(len(sizes))
        spent = price[pairs.price_of[rows], draws[:, None]]
        kept = frontier_rows(spent, grade[pairs.grade_of[rows], draws[:, None]], rounding=ROUNDING)
        kept &= np.arange(rows.shape[1]) < sizes[:, None]
        doubtful = linked_in_doubt(spent, reach) & (sizes < len(pairs))
        kept[doubtful] = False
        hits += np.bincount(rows[kept], minlength=len(pairs))
        for d in draws[doubtful]:
            hits += frontier_rows(
                price[pairs.price_of, d][None], grade[pairs.grade_of, d][None], rounding=ROUNDING
            )[0]
    return hits


def listed(mask: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The marked outcomes of every draw, and how many they are.

    Args:
        mask: shape ``(outcomes, draws)``, with a mark in every draw.

    Returns:
        Outcomes in order, shape ``(draws, most)``, filled up with copies of the last, which cannot
        change who is dominated; shape
        ``(draws,)``.
    """
    draw, who = np.nonzero(np.ascontiguousarray(mask.T))
    sizes = np.bincount(draw, minlength=mask.shape[1])
    starts = np.cumsum(sizes) - sizes
    return who[starts[:, None] + np.minimum(np.arange(int(sizes.max())), sizes[:, None] - 1)], sizes


def linked_in_doubt(values: FloatArray, reach: float) -> NDArray[np.bool_]:
    """Rows in which two neighbouring numbers differ, but so little that they may be linked.

    Numbers between them may link them to one chain.
    """
    ranked = np.sort(values, axis=1)
    gap, size = np.diff(ranked, axis=1), np.maximum(np.abs(ranked[:, 1:]), np.abs(ranked[:, :-1]))
    # Half of ROUNDING: closer numbers are linked in any case.
    return np.asarray(((gap > 0.5 * ROUNDING * size) & (gap <= reach * size)).any(axis=1))


def margin_rows(cost: FloatArray, quality: FloatArray, *, rounding: float = 0.0) -> FloatArray:
    """Own quality minus the best of the others at the same or lower cost, within each row.

    Args:
        cost: shape ``(rows, n)``.
        quality: same shape.
        rounding: a rival may cost more by this share of the own cost, which then counts as
            rounding, not as a difference.

    Returns:
        Shape ``(rows, n)``; ``inf`` without rivals, 0 where the margin is rounding.
    """
    order = np.argsort(cost, axis=1, kind="stable")
    spent, grade = np.take_along_axis(cost, order, 1), np.take_along_axis(quality, order, 1)
    limit = spent + rounding * np.abs(spent)
    last = (
        np.stack(
            [
                np.searchsorted(row, most, side="right")
                for row, most in zip(spent, limit, strict=True)
            ]
        )
        - 1
    )
    place = np.arange(cost.shape[1])
    best = np.maximum.accumulate(grade, axis=1)
    before = np.concatenate([np.full((len(cost), 1), -np.inf), best[:, :-1]], axis=1)
    is_new = grade > before
    # Of the best and its challenger one is the second best so far.
    second = np.maximum.accumulate(np.where(is_new, before, grade), axis=1)
    owner = np.maximum.accumulate(np.where(is_new, place, 0), axis=1)
    is_own = np.take_along_axis(owner, last, 1) == place
    rival = np.where(is_own, np.take_along_axis(second, last, 1), np.take_along_axis(best, last, 1))
    gain = grade - rival
    gain[np.abs(gain) <= ROUNDING * np.abs(grade)] = 0.0
    margin = np.empty(cost.shape)
    np.put_along_axis(margin, order, gain, 1)
    return margin
