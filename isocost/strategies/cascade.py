"""Cascades of two or more models, replayed from one bank a model, with thresholds found on other problems.

Lives here: threshold cascades (Chen, Zaharia and Zou 2023) in closed form, cross-fitting of the thresholds, the oracle bound
of a cascade. Not here: routers, which choose before anything is generated (routing.py).

Given the problem, samples of different models are independent, so the expectation factorises stage by stage: no pairs of
samples are drawn. Cost is cumulative along the chain and one answer a problem is accepted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import ArrayLike

from isocost.errors import IsocostError
from isocost.strategies.shapes import Floats, Ints, read_matrix

GRID = 40  # candidate thresholds a stage, at quantiles of the stage's scores, as in the authors' search


@dataclass(frozen=True)
class CascadeResult:
    """A cascade's expectation for each problem.

    Attributes:
        accuracy: expected correctness, (problems,) or (threshold sets, problems).
        cost: expected cost in the unit of ``costs``, same shape.
        reach: chance that each model is asked, same shape with a trailing axis of models.
    """

    accuracy: Floats
    cost: Floats
    reach: Floats


@dataclass(frozen=True)
class CrossFit:
    """A cascade whose thresholds for each problem were found on the other folds.

    Attributes:
        accuracy: expected correctness on the held-out problem, (problems,).
        cost: expected cost, (problems,).
        reach: chance that each model is asked, (problems, models).
        thresholds: (folds, models - 1).
        folds: the fold of each problem, (problems,).
    """

    accuracy: Floats
    cost: Floats
    reach: Floats
    thresholds: Floats
    folds: Ints


def _stages(values: Sequence[ArrayLike], scores: Sequence[ArrayLike], costs: Sequence[ArrayLike]) -> tuple[list, list, list]:
    if len(values) < 2 or len(scores) < len(values) - 1 or len(costs) != len(values):
        raise IsocostError("expected values and costs of at least two models, and scores of all but the last", where="cascade")
    grades = [read_matrix("values", v)[0] for v in values]
    prices = [read_matrix("costs", c)[0] for c in costs]
    marks = [read_matrix("scores", s)[0] for s in scores[: len(values) - 1]]
    for stage, (grade, price) in enumerate(zip(grades, prices, strict=True)):
        if grade.shape != price.shape or len(grade) != len(grades[0]) or (stage < len(marks) and marks[stage].shape != grade.shape):
            raise IsocostError("values, scores and costs must have one shape a model, and one row a problem", where=f"model {stage}")
        if grade.shape[1] == 0 or np.isnan(grade).any() or np.isnan(price).any():
            raise IsocostError("every problem needs samples with known value and cost", where=f"model {stage}")
        if stage < len(marks) and np.isnan(marks[stage]).any():
            raise IsocostError("NaN score", where=f"model {stage}", remedy="Map 'no answer' to minus infinity: it is never accepted.")
    return grades, marks, prices


def cascade(values: Sequence[ArrayLike], scores: Sequence[ArrayLike], costs: Sequence[ArrayLike], thresholds: ArrayLike) -> CascadeResult:
    """Accepts a model's answer when its score is at least the model's threshold, else asks the next; the last is accepted.

    Args:
        values: correctness for each model, (problems, samples of that model).
        scores: the score the acceptance rests on, same shapes; not needed for the last model.
        costs: cost of each sample, same shapes.
        thresholds: one a model but the last; minus infinity always accepts, infinity never. Or (sets, models - 1).

    Returns:
        `CascadeResult`, exact.
    """
    grades, marks, prices = _stages(values, scores, costs)
    sets = np.asarray(thresholds, dtype=np.float64)
    if sets.ndim not in (1, 2) or sets.shape[-1] != len(grades) - 1 or np.isnan(sets).any():
        raise IsocostError(f"expected {len(grades) - 1} thresholds, or rows of them, got shape {sets.shape}", where="thresholds")
    rows = np.atleast_2d(sets)
    shape = (len(rows), len(grades[0]))
    accuracy, cost, reached = np.zeros(shape), np.zeros(shape), np.ones(shape)
    reach = np.ones((*shape, len(grades)))
    for stage, (grade, price) in enumerate(zip(grades, prices, strict=True)):
        reach[:, :, stage] = reached
        cost += reached * price.mean(axis=1)
        if stage == len(grades) - 1:
            accuracy += reached * grade.mean(axis=1)
            break
        gained, left = stage_curves(grade, marks[stage], rows[:, stage])
        accuracy += reached * gained
        reached = reached * left
    if sets.ndim == 1:
        return CascadeResult(accuracy[0], cost[0], reach[0])
    return CascadeResult(accuracy, cost, reach)


def stage_curves(grade: Floats, mark: Floats, thresholds: Floats) -> tuple[Floats, Floats]:
    """For each threshold and problem: correctness accepted here, and the chance of passing on; both (thresholds, problems)."""
    ranking = np.argsort(mark, axis=1, kind="stable")
    ordered = np.take_along_axis(mark, ranking, axis=1)
    below = np.concatenate([np.zeros((len(grade), 1)), np.cumsum(np.take_along_axis(grade, ranking, axis=1), axis=1)], axis=1)
    place = np.stack([np.searchsorted(row, thresholds, side="left") for row in ordered], axis=1)
    total = below[:, -1][None, :]
    passed = np.take_along_axis(below.T, place, axis=0)
    return (total - passed) / grade.shape[1], place / grade.shape[1]


def fold_numbers(problems: int, folds: int, seed: int = 0) -> Ints:
    """A random fold for each problem, sizes as equal as they can be."""
    if not 2 <= folds <= problems:
        raise IsocostError(f"{folds} folds of {problems} problems", where="folds", remedy="Use 2 up to the number of problems.")
    return np.random.default_rng(seed).permutation(np.arange(problems) % folds)


def cross_fit_cascade(
    values: Sequence[ArrayLike],
    scores: Sequence[ArrayLike],
    costs: Sequence[ArrayLike],
    *,
    cost_budget: float | None = None,
    escalate: float | None = None,
    folds: int = 5,
    grid: int = GRID,
    seed: int = 0,
) -> CrossFit:
    """Evaluates on each fold of problems the thresholds found on the others, so that accuracy is not inflated by the search.

    Give one of: ``cost_budget``, then thresholds maximise mean accuracy subject to mean cost at most the budget (brute force
    over quantile grids); or ``escalate``, then each threshold is that quantile of the stage's scores, so that about this
    share is passed on.

    Args:
        values: correctness for each model, (problems, samples of that model).
        scores: acceptance scores of all models but the last.
        costs: cost of each sample.
        cost_budget: largest mean cost a problem.
        escalate: share passed on at each stage, 0..1.
        folds: number of folds.
        grid: candidate thresholds a stage.
        seed: of the split into folds.

    Raises:
        IsocostError: neither or both targets given, or a budget below the cost of the first model alone.
    """
    grades, marks, prices = _stages(values, scores, costs)
    if (cost_budget is None) == (escalate is None):
        raise IsocostError("give exactly one of cost_budget and escalate", where="cross_fit_cascade")
    fold = fold_numbers(len(grades[0]), folds, seed)
    thresholds = np.zeros((folds, len(grades) - 1))
    accuracy, cost = np.zeros((2, len(fold)))
    reach = np.zeros((len(fold), len(grades)))
    for number in range(folds):
        train, test = fold != number, fold == number
        parts = [[m[train] for m in group] for group in (grades, marks, prices)]
        if escalate is not None:
            found = np.array([_quantile(m, escalate) for m in parts[1]])
        else:
            found = best_thresholds(*parts, cost_budget=float(cost_budget), grid=grid)
        thresholds[number] = found
        held = cascade([g[test] for g in grades], [m[test] for m in marks], [p[test] for p in prices], found)
        accuracy[test], cost[test], reach[test] = held.accuracy, held.cost, held.reach
    return CrossFit(accuracy, cost, reach, thresholds, fold)


def _quantile(mark: Floats, share: float) -> float:
    """Threshold below which about this share of scores lies; minus infinity and infinity at the ends."""
    if share <= 0:
        return -np.inf
    if share >= 1:
        return np.inf
    return float(np.quantile(mark, share, method="higher"))


def best_thresholds(
    values: Sequence[Floats], scores: Sequence[Floats], costs: Sequence[Floats], *, cost_budget: float, grid: int = GRID
) -> Floats:
    """Thresholds of the highest mean accuracy at a mean cost of at most the budget, the cheaper of equals.

    Raises:
        IsocostError: when the first model alone costs more.
    """
    shares = np.linspace(0.0, 1.0, grid)
    candidates = [np.unique([_quantile(mark, s) for s in shares]) for mark in scores[: len(values) - 1]]
    best, found = (-np.inf, np.inf), None
    # The last threshold is scanned as a vector, the ones before it one combination at a time.
    for head in product(*candidates[:-1]):
        sets = np.array([[*head, last] for last in candidates[-1]])
        result = cascade(values, scores, costs, sets)
        mean_accuracy, mean_cost = result.accuracy.mean(axis=1), result.cost.mean(axis=1)
        for i in np.flatnonzero(mean_cost <= cost_budget + 1e-12):
            if (mean_accuracy[i], -mean_cost[i]) > (best[0], -best[1]):
                best, found = (mean_accuracy[i], mean_cost[i]), sets[i]
    if found is None:
        raise IsocostError(f"no cascade costs at most {cost_budget} a problem: the first model alone costs more", where="cost_budget")
    return found


def oracle_cascade(accuracies: ArrayLike, costs: ArrayLike) -> CascadeResult:
    """Bound of every cascade in this order: a perfect verifier accepts, and no model is asked when none ahead can succeed.

    Args:
        accuracies: chance that one sample of each model is correct, (problems, models).
        costs: mean cost of a sample of each model, same shape.

    Returns:
        `CascadeResult` with (problems,) accuracy and cost: the cost of the path, not of the answering model alone.
    """
    p, _ = read_matrix("accuracies", accuracies)
    c, _ = read_matrix("costs", costs)
    if p.shape != c.shape or np.isnan(p).any() or np.isnan(c).any():
        raise IsocostError(f"expected known accuracies and costs of one shape, got {p.shape} and {c.shape}", where="oracle_cascade")
    later = np.cumsum(p[:, ::-1], axis=1)[:, ::-1] > 0
    reach = np.ones(p.shape)
    for stage in range(1, p.shape[1]):
        reach[:, stage] = reach[:, stage - 1] * (1 - p[:, stage - 1]) * later[:, stage]
    return CascadeResult((reach * p).sum(axis=1), (reach * c).sum(axis=1), reach)
