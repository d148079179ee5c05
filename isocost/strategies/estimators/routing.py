"""Routers: one model is chosen before anything is generated; and the oracle router's bound.

Lives here: routing by any score known beforehand, with thresholds found on other problems, and the
best any router could do. Not here: cascades, which look at an answer first (cascades.py).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from isocost.errors import IsocostError
from isocost.strategies.estimators.cascades import fold_numbers
from isocost.strategies.shapes import Floats, Ints, read_matrix


class RouteResult(NamedTuple):
    """A router's expectation for each problem.

    Correctness, cost, and the number of the model chosen, all (problems,).
    """

    accuracy: Floats
    cost: Floats
    choice: Ints


def _read(accuracies: ArrayLike, costs: ArrayLike) -> tuple[Floats, Floats]:
    p, c = read_matrix("accuracies", accuracies)[0], read_matrix("costs", costs)[0]
    if p.shape != c.shape or np.isnan(p).any() or np.isnan(c).any():
        raise IsocostError(
            f"expected known accuracies and costs of one shape, got {p.shape} and {c.shape}",
            where="routing",
        )
    return p, c


def route(
    scores: ArrayLike, accuracies: ArrayLike, costs: ArrayLike, thresholds: ArrayLike
) -> RouteResult:
    """Send a problem to model m if its score is in the m-th interval between thresholds.

    A score equal to a threshold goes up.

    Args:
        scores: difficulty or any other score known before generation, (problems,).
        accuracies: chance that a sample of each model is correct, (problems, models).
        costs: mean cost of a sample, same shape; only the chosen model is paid.
        thresholds: rising, one fewer than models.

    Examples:
        >>> found = route([0.9, 0.2], [[1, 1], [0, 1]], [[1, 10], [1, 10]], [0.5])
        >>> found.accuracy.tolist(), found.cost.tolist()
        ([1.0, 0.0], [10.0, 1.0])
    """
    p, c = _read(accuracies, costs)
    score = np.asarray(scores, dtype=np.float64)
    bars = np.atleast_1d(np.asarray(thresholds, dtype=np.float64))
    if (
        score.shape != (len(p),)
        or np.isnan(score).any()
        or bars.shape != (p.shape[1] - 1,)
        or np.any(np.diff(bars) < 0)
    ):
        raise IsocostError(
            "expected a known score per problem and rising thresholds, one fewer than models",
            where="route",
        )
    choice = np.searchsorted(bars, score, side="right")
    rows = np.arange(len(p))
    return RouteResult(p[rows, choice], c[rows, choice], choice)


def cross_fit_route(
    scores: ArrayLike,
    accuracies: ArrayLike,
    costs: ArrayLike,
    shares: ArrayLike,
    *,
    folds: int = 5,
    seed: int = 0,
) -> RouteResult:
    """`route` with thresholds at quantiles of the other folds' scores.

    About ``shares`` of problems go to each model.

    Args:
        scores: as `route`.
        accuracies: as `route`.
        costs: as `route`.
        shares: share of problems for each model, summing to 1.
        folds: number of folds.
        seed: of the split.
    """
    p, c = _read(accuracies, costs)
    score, parts = np.asarray(scores, dtype=np.float64), np.asarray(shares, dtype=np.float64)
    if parts.shape != (p.shape[1],) or np.any(parts < 0) or abs(parts.sum() - 1) > 1e-9:
        raise IsocostError("expected one share a model, summing to 1", where="shares")
    fold = fold_numbers(len(p), folds, seed)
    accuracy, cost = np.zeros((2, len(p)))
    choice = np.zeros(len(p), dtype=np.int64)
    levels = np.minimum(np.cumsum(parts)[:-1], 1.0)
    for number in range(folds):
        test = fold == number
        bars = np.array(
            [np.inf if level >= 1 else np.quantile(score[~test], level) for level in levels]
        )
        accuracy[test], cost[test], choice[test] = route(score[test], p[test], c[test], bars)
    return RouteResult(accuracy, cost, choice)


def oracle_router(accuracies: ArrayLike, costs: ArrayLike) -> RouteResult:
    """The best router: for each problem the cheapest of the models most likely to be right.

    The cheapest model if none can be.

    With stochastic answers the chance c/n is maximised, not a drawn outcome: the maximum over drawn
    outcomes would select on noise. Only the chosen model is paid.

    Args:
        accuracies: chance that a sample of each model is correct, (problems, models).
        costs: mean cost of a sample, same shape.

    Examples:
        >>> found = oracle_router([[1, 1], [1, 1], [0, 1], [0, 1], [1, 0], [0, 0]], [[1, 10]] * 6)
        >>> found.accuracy.mean().item(), found.cost.mean().item()
        (0.833333, 4.0)
    """
    p, c = _read(accuracies, costs)
    best = p.max(axis=1, keepdims=True)
    choice = np.where(p >= best, c, np.inf).argmin(axis=1)
    rows = np.arange(len(p))
    return RouteResult(p[rows, choice], c[rows, choice], choice)
