"""Cost-of-pass: dollars (or any cost) per correct answer, and who sets the frontier.

Lives here: Erol et al. 2025, "Cost-of-Pass: An Economic Framework for Evaluating Language Models"
(arXiv 2504.13359). Not here: prices (`money`) and tables.

Assumes free, perfect verification and independent retries; without a verifier the number is a lower
bound. An unsolved problem has infinite cost, represented as inf in arrays and as NULL with a reason
in tables; a human baseline makes it finite.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from isocost.costs.checks import numbers, token_counts
from isocost.errors import IsocostError

Estimator = Literal["plug_in", "smoothed"]
ESTIMATORS: tuple[Estimator, ...] = ("plug_in", "smoothed")


@dataclass(frozen=True, slots=True)
class CostOfPass:
    """Cost-of-pass of models on problems.

    Attributes:
        per_model: v(m, p) = C / R, shape (models, problems); inf where a model never succeeds.
        frontier: min over models and the human baseline, shape (problems,).
        value: mean of ``frontier``, the price of the task.
        essentialness: relative rise of ``value`` when a model is taken away, shape (models,), in
            [0, 1]; 1 where it becomes infinite, NaN where it is infinite already.
        baseline: the human baseline per problem, shape (problems,); inf without one.
    """

    per_model: NDArray[np.float64]
    frontier: NDArray[np.float64]
    value: float
    essentialness: NDArray[np.float64]
    baseline: NDArray[np.float64]

    @property
    def gain(self) -> float:
        """Value of the humans alone less value with models; inf without a baseline."""
        return float(self.baseline.mean() - self.value) if np.isfinite(self.value) else float("nan")


def cost_of_pass(
    costs: ArrayLike, successes: ArrayLike, baseline: ArrayLike | None = None
) -> CostOfPass:
    """Frontier cost-of-pass from mean attempt costs and success rates.

    Args:
        costs: mean cost of one attempt, shape (models, problems) or (problems,) for one model.
        successes: success probability of one attempt in [0, 1], same shape.
        baseline: what a human expert costs per problem, one number or shape (problems,); None = no
            human to fall back on.

    Returns:
        Everything that follows from the two arrays.

    Raises:
        IsocostError: shapes differ, a rate outside [0, 1], a negative cost, no problem.

    Examples:
        >>> costs = [[0.002] * 3, [0.02, 0.03, 0.05]]
        >>> found = cost_of_pass(costs, [[6 / 8, 1 / 8, 0], [1, 4 / 8, 0]], 0.5)
        >>> found.frontier.tolist(), found.value
        ([0.002667, 0.016, 0.5], 0.172889)
        >>> found.essentialness.tolist()
        [0.105747, 0.0]
    """
    cost, rate = (
        np.atleast_2d(numbers(costs, "costs")),
        np.atleast_2d(numbers(successes, "successes", high=1)),
    )
    if cost.shape != rate.shape or cost.ndim != 2 or cost.size == 0:
        raise IsocostError(
            f"costs {cost.shape} and successes {rate.shape} must both be (models, problems)",
            where="cost_of_pass",
        )
    return _frontier(
        np.divide(cost, rate, out=np.full(cost.shape, np.inf), where=rate > 0), baseline
    )


def cost_of_pass_counts(
    costs: ArrayLike,
    correct: ArrayLike,
    attempts: ArrayLike,
    baseline: ArrayLike | None = None,
    *,
    estimator: Estimator = "plug_in",
) -> CostOfPass:
    """Frontier cost-of-pass from counts, by either estimator.

    ``plug_in`` is C n / c, as published: infinite with positive probability, biased up given c > 0,
    and its minimum over models biased down. ``smoothed`` is C (n + 1) / (c + 1): finite always,
    biased low by the factor 1 - (1 - R)^(n + 1).

    Args:
        costs: mean cost of one attempt, shape (models, problems).
        correct: correct attempts c, same shape.
        attempts: attempts n >= 1, same shape.
        baseline: see `cost_of_pass`.
        estimator: which one.

    Examples:
        >>> cost_of_pass_counts(
        ...     [[0.002] * 3, [0.02, 0.03, 0.05]], [[6, 1, 0], [8, 4, 0]], [[8] * 3] * 2, 0.5
        ... ).value
        0.172889
    """
    cost, c, n = (
        np.atleast_2d(a)
        for a in (
            numbers(costs, "costs"),
            token_counts(correct, "correct"),
            token_counts(attempts, "attempts"),
        )
    )
    if not cost.shape == c.shape == n.shape or np.any(n < 1) or np.any(c > n):
        raise IsocostError(
            "counts need one shape, at least one attempt and no more correct than attempts",
            where="cost_of_pass_counts",
        )
    if estimator == "plug_in":
        return cost_of_pass(cost, c / n, baseline)
    if estimator != "smoothed":
        raise IsocostError(
            f"unknown estimator {estimator!r}",
            where="argument estimator",
            remedy=f"Use one of {', '.join(ESTIMATORS)}",
        )
    return _frontier(cost * (n + 1) / (c + 1), baseline)


def _frontier(per_model: NDArray[np.float64], baseline: ArrayLike | None) -> CostOfPass:
    problems = per_model.shape[1]
    given = np.full((), np.inf) if baseline is None else numbers(baseline, "baseline")
    if given.shape not in ((), (1,), (problems,)):
        what = f"{given.size} baselines for {problems} problems"
        raise IsocostError(
            what, where="argument baseline", remedy="Give one number, or one per problem"
        )
    human = np.broadcast_to(given, (problems,)).copy()
    frontier = np.minimum(per_model.min(axis=0), human)
    value = float(frontier.mean())
    without = np.array(
        [_value(np.delete(per_model, m, axis=0), human) for m in range(per_model.shape[0])]
    )
    return CostOfPass(
        per_model, frontier, value, np.array([_essentialness(w, value) for w in without]), human
    )


def _value(per_model: NDArray[np.float64], human: NDArray[np.float64]) -> float:
    return float(np.minimum(per_model.min(axis=0, initial=np.inf), human).mean())


def _essentialness(without: float, with_all: float) -> float:
    if not np.isfinite(without):
        return 1.0 if np.isfinite(with_all) else float("nan")
    return (without - with_all) / without if without > 0 else 0.0


def group_essentialness(
    result: CostOfPass, groups: Mapping[str, Sequence[int]]
) -> dict[str, float]:
    """Essentialness of groups of models (a family, a technique).

    (V without the group - V) / V without it.

    Args:
        result: from `cost_of_pass`.
        groups: indexes into the models, by group name.

    Raises:
        IsocostError: an index has no model.

    Examples:
        >>> found = cost_of_pass(
        ...     [[0.002] * 3, [0.02, 0.03, 0.05]], [[6 / 8, 1 / 8, 0], [1, 4 / 8, 0]], 0.5
        ... )
        >>> group_essentialness(found, {"small": [0], "large": [1]})
        {'small': 0.105747, 'large': 0.0}
    """
    for name, members in groups.items():
        strange = [member for member in members if not 0 <= member < len(result.per_model)]
        if strange:
            remedy = f"Give indexes from 0 to {len(result.per_model) - 1}"
            raise IsocostError(
                f"there is no model {strange[0]}", where=f"group {name!r}", remedy=remedy
            )
    return {
        name: _essentialness(
            _value(np.delete(result.per_model, list(members), axis=0), result.baseline),
            result.value,
        )
        for name, members in groups.items()
    }
