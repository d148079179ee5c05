"""Membership in the frontier of one quality and two costs, over many draws.

Lives here: the share of draws in which each outcome is on that frontier. Not here: frontiers of one
cost (draws.py), which two costs belong together (isocost.tables.frontiers.joint).

Most outcomes are dominated in nearly every draw by one of a few outcomes that clearly dominate them
in the means. These are tried first; only the rest needs the rounding rules and moocore.
"""

from __future__ import annotations

import moocore
import numpy as np
from numpy.typing import NDArray

from isocost.frontier.arrays import FloatArray
from isocost.frontier.draws import CHUNK, chain_reach, is_small, linked_in_doubt, listed, tiles
from isocost.frontier.replication import ROUNDING, Replicates

# Outcomes tried as dominators of each outcome.
GUIDES = 8
_SIGNS = (-1.0, 1.0, 1.0)


def joint_membership(quality: Replicates, first: Replicates, second: Replicates) -> FloatArray:
    """Share of draws in which no other outcome dominates in accuracy and two costs.

    Duplicates all count.

    Numbers of a draw that a chain of neighbours links, each within `ROUNDING` of the next, are
    equal.

    Args:
        quality: means of the values, from `isocost.frontier.replicates`.
        first: means of one cost of the same outcomes in the same draws.
        second: means of the other cost.

    Returns:
        Shape ``(outcomes,)``.
    """
    sides = (quality, first, second)
    _, chosen, copy_of = np.unique(
        np.column_stack([side.copy_of for side in sides]),
        axis=0,
        return_index=True,
        return_inverse=True,
    )
    places = [side.copy_of[chosen] for side in sides]
    is_few = is_small(len(chosen) * quality.draws)
    guides = (
        None
        if is_few
        else _guides(
            np.column_stack(
                [s * side.center(None)[p] for s, side, p in zip(_SIGNS, sides, places, strict=True)]
            )
        )
    )
    hits = np.zeros(len(chosen), dtype=np.int64)
    step = max(1, CHUNK // len(chosen))
    for draws in tiles(len(chosen), quality.draws):
        means = tuple(side.tile(draws) for side in sides)
        alive = np.ones((len(chosen), means[0].shape[1]), dtype=bool)
        if guides is not None and not any((some < 0).any() for some in means):
            from isocost.frontier.kernels import strike_out

            mean, place, reach = means, places, chain_reach(len(chosen))
            strike_out(
                mean[0], mean[1], mean[2], place[0], place[1], place[2],
                guides, 0.5 * ROUNDING, reach, alive,
            )  # fmt: skip
        for start in range(0, alive.shape[1], step):
            hits += _hits(means, places, alive[:, start : start + step], start)
    return hits[copy_of.reshape(-1)] / quality.draws


def _guides(means: FloatArray) -> NDArray[np.int64]:
    """Outcomes that dominate each outcome in the means, the clearest first.

    -1 if there are fewer.

    Args:
        means: three numbers to minimise, shape ``(outcomes, 3)``.
    """
    # Ranks make the distances in all three comparable, whatever their units.
    ranks = np.column_stack([np.searchsorted(np.sort(column), column) for column in means.T]) / len(
        means
    )
    front = np.flatnonzero(moocore.is_nondominated(means, keep_weakly=False))
    found = np.full((len(means), min(GUIDES, len(front))), -1, dtype=np.int64)
    step = max(1, CHUNK // len(front))
    for start in range(0, len(means), step):
        room = (ranks[start : start + step, None, :] - ranks[None, front, :]).min(axis=2)
        best = np.argpartition(-room, found.shape[1] - 1, axis=1)[:, : found.shape[1]]
        found[start : start + step] = np.where(
            np.take_along_axis(room, best, 1) >= 0, front[best], -1
        )
    found[found == np.arange(len(means))[:, None]] = -1
    return found


def _hits(
    sides: tuple[FloatArray, ...],
    places: list[NDArray[np.int64]],
    alive: NDArray[np.bool_],
    start: int,
) -> NDArray[np.int64]:
    """Draws, from ``start`` on, in which each outcome is on the frontier of those ``alive``."""
    rows, sizes = listed(alive)
    draws = start + np.arange(len(sizes))
    axes = [
        sign * side[place[rows], draws[:, None]]
        for sign, side, place in zip(_SIGNS, sides, places, strict=True)
    ]
    hits = np.zeros(len(alive), dtype=np.int64)
    in_doubt = np.logical_or.reduce(
        [linked_in_doubt(axis, chain_reach(len(alive))) for axis in axes]
    ) & (sizes < len(alive))
    points = np.stack([snap_rows(axis) for axis in axes], axis=2)
    for line, size, each, doubtful, d in zip(rows, sizes, points, in_doubt, draws, strict=True):
        if doubtful:
            whole = [
                snap_rows(sign * side[place, d][None])[0]
                for sign, side, place in zip(_SIGNS, sides, places, strict=True)
            ]
            hits += moocore.is_nondominated(np.column_stack(whole), keep_weakly=True)
        else:
            hits[line[:size]] += moocore.is_nondominated(each[:size], keep_weakly=True)
    return hits


def snap_rows(values: FloatArray) -> FloatArray:
    """As `isocost.frontier.snap`, for every row (draw) of a matrix at once."""
    order = np.argsort(values, axis=1, kind="stable")
    ranked = np.take_along_axis(values, order, 1)
    starts = np.ones(values.shape, dtype=bool)
    starts[:, 1:] = np.diff(ranked, axis=1) > ROUNDING * np.abs(ranked[:, 1:])
    place = np.maximum.accumulate(np.where(starts, np.arange(values.shape[1]), 0), axis=1)
    out = np.empty(values.shape)
    np.put_along_axis(out, order, np.take_along_axis(ranked, place, 1), 1)
    return out
