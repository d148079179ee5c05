"""The quality that a budget buys, and in what share of bootstrap draws.

Lives here: attainment of single goals and attainment curves over a grid of budgets. Not here:
membership of single outcomes (bootstrap.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from isocost.errors import IsocostError
from isocost.frontier.arrays import FloatArray, finite_array, matrix_pair
from isocost.frontier.bootstrap import resample_counts
from isocost.frontier.draws import CHUNK, Pairs, pair_up
from isocost.frontier.replication import ROUNDING, Replicates, replicates


def attainment_curves(
    values: ArrayLike,
    costs: ArrayLike,
    grid: ArrayLike,
    *,
    levels: Sequence[float] = (0.05, 0.5, 0.95),
    draws: int = 2000,
    seed: int = 0,
    clusters: ArrayLike | None = None,
    counts: NDArray[Any] | None = None,
) -> FloatArray:
    """Level sets of the empirical attainment function (Grunert da Fonseca, Fonseca and Hall 2001).

    Args:
        values: quality per problem, shape ``(outcomes, problems)``.
        costs: cost per problem, same shape.
        grid: budgets at which to read the frontier of each draw, shape ``(g,)``.
        levels: shares of draws, each in (0, 1].
        draws: bootstrap draws of problems.
        seed: as in `problem_bootstrap`.
        clusters: as in `problem_bootstrap`.
        counts: draws made before, from `resample_counts`; draws, seed and clusters are then not
            used.

    Returns:
        Shape ``(len(levels), g)``: the largest quality that at least this share of the draws
        attains at no more than the
        budget; NaN where fewer draws can afford any outcome at all.

    Raises:
        IsocostError: shapes disagree, a value is not finite, or a level is outside (0, 1].
    """
    return attainment_levels(
        *_means(values, costs, draws, seed, clusters, counts), grid, levels=levels
    )


def attainment_levels(
    quality: Replicates,
    cost: Replicates,
    grid: ArrayLike,
    *,
    levels: Sequence[float] = (0.05, 0.5, 0.95),
) -> FloatArray:
    """As `attainment_curves`, from means that were made before.

    Args:
        quality: means of the values, from `isocost.frontier.replicates`.
        cost: means of the costs of the same outcomes in the same draws.
        grid: as in `attainment_curves`.
        levels: as in `attainment_curves`.

    Raises:
        IsocostError: the grid is not finite, or a level is outside (0, 1].
    """
    shares = finite_array(levels, "levels", (1,))
    if not ((shares > 0) & (shares <= 1)).all():
        raise IsocostError(
            f"the attainment levels are {list(levels)}",
            remedy="Each is a share of draws in (0, 1].",
        )
    best = np.concatenate(list(_best_at(pair_up(quality, cost), finite_array(grid, "grid", (1,)))))
    falling = -np.sort(-best, axis=0)
    picked = falling[np.ceil(shares * len(best) - 1e-9).astype(np.int64) - 1]
    return np.where(np.isneginf(picked), np.nan, picked)


def attainment_probability(
    values: ArrayLike,
    costs: ArrayLike,
    goal_cost: ArrayLike,
    goal_quality: ArrayLike,
    *,
    draws: int = 2000,
    seed: int = 0,
    clusters: ArrayLike | None = None,
    counts: NDArray[Any] | None = None,
) -> FloatArray:
    """Share of bootstrap draws whose frontier weakly dominates each goal.

    That is, some outcome costs no more and is no worse.

    Args:
        values: quality per problem, shape ``(outcomes, problems)``.
        costs: cost per problem, same shape.
        goal_cost: shape ``(g,)``.
        goal_quality: shape ``(g,)``.
        draws: bootstrap draws of problems.
        seed: as in `problem_bootstrap`.
        clusters: as in `problem_bootstrap`.
        counts: draws made before, from `resample_counts`; draws, seed and clusters are then not
            used.

    Returns:
        Probabilities, shape ``(g,)``.

    Examples:
        >>> attainment_probability([[1, 0, 1, 1]], [[1, 1, 1, 1]], [1.0], [0.5]).round(2).tolist()
        [0.95]
    """
    limit, wanted = (
        finite_array(goal_cost, "goal_cost", (1,)),
        finite_array(goal_quality, "goal_quality", (1,)),
    )
    if limit.shape != wanted.shape:
        raise IsocostError(
            f"{len(limit)} goal costs for {len(wanted)} goal qualities",
            remedy="Give one of each per goal.",
        )
    hits, total = np.zeros(len(limit), dtype=np.int64), 0
    for best in _best_at(pair_up(*_means(values, costs, draws, seed, clusters, counts)), limit):
        hits += np.count_nonzero(best >= wanted - ROUNDING * np.abs(wanted), axis=0)
        total += len(best)
    return hits / total


def _means(
    values: ArrayLike,
    costs: ArrayLike,
    draws: int,
    seed: int,
    clusters: ArrayLike | None,
    counts: NDArray[Any] | None,
) -> tuple[Replicates, Replicates]:
    grades, spent = matrix_pair(values, costs)
    if counts is None:
        counts = resample_counts(grades.shape[1], draws, seed, clusters=clusters)
    return replicates(grades, counts), replicates(spent, counts)


def _best_at(pairs: Pairs, grid: FloatArray) -> Iterator[FloatArray]:
    """Best quality affordable at each budget, draws x budgets, -inf if there is none.

    Yielded chunk by chunk.
    """
    limit = grid + ROUNDING * np.abs(grid)
    step = max(1, CHUNK // len(pairs))
    for draws in pairs.tiles():
        prices, grades = pairs.rows(draws)
        for start in range(0, len(prices), step):
            price, grade = prices[start : start + step], grades[start : start + step]
            order = np.argsort(price, axis=1)
            price = np.take_along_axis(price, order, 1)
            reached = np.maximum.accumulate(np.take_along_axis(grade, order, 1), axis=1)
            place = np.stack([np.searchsorted(row, limit, side="right") for row in price]) - 1
            yield np.where(
                place >= 0, np.take_along_axis(reached, np.maximum(place, 0), 1), -np.inf
            )
