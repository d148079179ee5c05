"""Cascades of two or more models, replayed from one bank per model.

Thresholds are chosen on other problems.

Lives here: threshold cascades (Chen, Zaharia and Zou 2023) in closed form, cross-fitting of the
thresholds, the oracle bound of a cascade. Not here: routers, which choose before anything is
generated (routing.py).

Given the problem, samples of different models are independent, so the expectation factorises stage
by stage: no pairs of samples are drawn. Cost is cumulative along the chain, and one answer per
problem is accepted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import ArrayLike

from isocost.errors import IsocostError
from isocost.stopping import escalating_threshold
from isocost.strategies.shapes import Floats, Ints, read_matrix

# Candidate thresholds a stage, at quantiles of the stage's scores, as in the authors' search.
GRID = 40


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


@dataclass(frozen=True)
class _Stage:
    """One model's samples.

    Values and costs padded with 0, scores padded with infinity, and how many samples there are.
    """

    values: Floats
    costs: Floats
    scores: Floats
    sizes: Ints

    def rows(self, chosen: np.ndarray) -> _Stage:
        """The same for some problems."""
        return _Stage(
            self.values[chosen], self.costs[chosen], self.scores[chosen], self.sizes[chosen]
        )

    def mean(self, amounts: Floats) -> Floats:
        """Mean over each problem's samples."""
        return amounts.sum(axis=1) / self.sizes

    def known_scores(self) -> Floats:
        """All scores of existing samples in one vector."""
        return self.scores[np.arange(self.scores.shape[1])[None, :] < self.sizes[:, None]]


def _stages(
    values: Sequence[ArrayLike],
    scores: Sequence[ArrayLike],
    costs: Sequence[ArrayLike],
    sizes: Sequence[ArrayLike] | None,
) -> list[_Stage]:
    """Check the matrices of every model and pads them beyond each problem's samples."""
    models = len(values)
    if (
        models < 2
        or len(scores) < models - 1
        or len(costs) != models
        or (sizes is not None and len(sizes) != models)
    ):
        raise IsocostError(
            "expected values and costs of at least two models, and scores of all but the last",
            where="cascade",
        )
    stages: list[_Stage] = []
    for number in range(models):
        where = f"model {number}"
        grade, price = (
            read_matrix("values", values[number])[0],
            read_matrix("costs", costs[number])[0],
        )
        mark = (
            read_matrix("scores", scores[number])[0]
            if number < models - 1
            else np.zeros(grade.shape)
        )
        if (
            grade.shape != price.shape
            or mark.shape != grade.shape
            or (stages and len(grade) != len(stages[0].values))
        ):
            raise IsocostError(
                "values, scores and costs must have one shape per model, and one row per problem",
                where=where,
            )
        held = (
            np.full(len(grade), grade.shape[1])
            if sizes is None
            else np.asarray(sizes[number], dtype=np.int64)
        )
        inside = np.arange(grade.shape[1])[None, :] < held[:, None]
        if np.any(held < 1) or np.isnan(grade[inside]).any() or np.isnan(price[inside]).any():
            raise IsocostError("every problem needs samples with known value and cost", where=where)
        if np.isnan(mark[inside]).any():
            raise IsocostError(
                "NaN score",
                where=where,
                remedy="Map 'no answer' to minus infinity: it is never accepted.",
            )
        stages.append(
            _Stage(
                np.where(inside, grade, 0.0),
                np.where(inside, price, 0.0),
                np.where(inside, mark, np.inf),
                held,
            )
        )
    return stages


def cascade(
    values: Sequence[ArrayLike],
    scores: Sequence[ArrayLike],
    costs: Sequence[ArrayLike],
    thresholds: ArrayLike,
    *,
    sizes: Sequence[ArrayLike] | None = None,
) -> CascadeResult:
    """Accept a model's answer if its score reaches the threshold, else ask the next model.

    The last answer is always accepted.

    Args:
        values: correctness for each model, (problems, samples of that model).
        scores: the score that decides acceptance, same shapes; not needed for the last model.
        costs: cost of each sample, same shapes.
        thresholds: one per model except the last; minus infinity always accepts, infinity never. Or
            (sets, models - 1).
        sizes: for each model, how many leading samples of each row exist; all if not given.

    Returns:
        `CascadeResult`, exact.

    Raises:
        IsocostError: for shapes that differ, NaN among existing samples, or a problem without
            samples.

    Examples:
        >>> # Six problems; the second model costs ten times as much as the first.
        >>> first, second = [[1], [1], [0], [0], [1], [0]], [[1], [1], [1], [1], [0], [0]]
        >>> scores = [[0.95], [0.8], [0.6], [0.3], [0.7], [0.2]]
        >>> found = cascade([first, second], [scores], [[[1]] * 6, [[10]] * 6], [0.65])
        >>> found.accuracy.mean().item(), found.cost.mean().item()
        (0.833333, 6.0)
    """
    stages = _stages(values, scores, costs, sizes)
    sets = np.asarray(thresholds, dtype=np.float64)
    if sets.ndim not in (1, 2) or sets.shape[-1] != len(stages) - 1 or np.isnan(sets).any():
        raise IsocostError(
            f"expected {len(stages) - 1} thresholds, or rows of them, got shape {sets.shape}",
            where="thresholds",
        )
    result = _run(stages, np.atleast_2d(sets))
    if sets.ndim == 1:
        return CascadeResult(result.accuracy[0], result.cost[0], result.reach[0])
    return result


def _run(stages: Sequence[_Stage], rows: Floats) -> CascadeResult:
    """The expectation for every row of thresholds and every problem."""
    shape = (len(rows), len(stages[0].values))
    accuracy, cost, reached = np.zeros(shape), np.zeros(shape), np.ones(shape)
    reach = np.ones((*shape, len(stages)))
    for number, stage in enumerate(stages):
        reach[:, :, number] = reached
        cost += reached * stage.mean(stage.costs)
        if number == len(stages) - 1:
            accuracy += reached * stage.mean(stage.values)
            break
        gained, left = _stage_curves(stage, rows[:, number])
        accuracy += reached * gained
        reached = reached * left
    return CascadeResult(accuracy, cost, reach)


def _stage_curves(stage: _Stage, thresholds: Floats) -> tuple[Floats, Floats]:
    """For each threshold and problem, by the rule of `isocost.stopping.is_kept`.

    Correctness accepted here, and the chance of passing on; both (thresholds, problems).
    """
    ranking = np.argsort(stage.scores, axis=1, kind="stable")
    ordered = np.take_along_axis(stage.scores, ranking, axis=1)
    gains = np.cumsum(np.take_along_axis(stage.values, ranking, axis=1), axis=1)
    below = np.concatenate([np.zeros((len(gains), 1)), gains], axis=1)
    place = np.stack([np.searchsorted(row, thresholds, side="left") for row in ordered], axis=1)
    passed = np.take_along_axis(below.T, place, axis=0)
    return (below[:, -1] - passed) / stage.sizes, place / stage.sizes


def fold_numbers(problems: int, folds: int, seed: int = 0) -> Ints:
    """A random fold for each problem, sizes as equal as they can be."""
    if not 2 <= folds <= problems:
        raise IsocostError(
            f"{folds} folds of {problems} problems",
            where="folds",
            remedy="Use 2 up to the number of problems.",
        )
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
    sizes: Sequence[ArrayLike] | None = None,
) -> CrossFit:
    """Evaluate on each fold the thresholds found on the others.

    So accuracy is not inflated by the search.

    Give one of: ``cost_budget``, then thresholds maximise mean accuracy subject to mean cost at
    most the budget (brute force over quantile grids); or ``escalate``, then each threshold is that
    quantile of the stage's scores, so that about this share is passed on.

    Args:
        values: correctness for each model, (problems, samples of that model).
        scores: acceptance scores of all models but the last.
        costs: cost of each sample.
        cost_budget: largest mean cost per problem.
        escalate: share passed on at each stage, 0..1.
        folds: number of folds.
        grid: candidate thresholds per stage.
        seed: of the split into folds.
        sizes: as in `cascade`.

    Raises:
        IsocostError: neither or both targets given, or a budget below the cost of the first model
            alone.
    """
    stages = _stages(values, scores, costs, sizes)
    if (cost_budget is None) == (escalate is None):
        raise IsocostError(
            "give exactly one of cost_budget and escalate", where="cross_fit_cascade"
        )
    fold = fold_numbers(len(stages[0].values), folds, seed)
    thresholds = np.zeros((folds, len(stages) - 1))
    accuracy, cost = np.zeros((2, len(fold)))
    reach = np.zeros((len(fold), len(stages)))
    for number in range(folds):
        train = [stage.rows(fold != number) for stage in stages]
        if escalate is not None:
            thresholds[number] = [
                escalating_threshold(stage.known_scores(), escalate) for stage in train[:-1]
            ]
        elif cost_budget is not None:
            thresholds[number] = _search(train, float(cost_budget), grid)
        test = fold == number
        held = _run([stage.rows(test) for stage in stages], thresholds[number : number + 1])
        accuracy[test], cost[test], reach[test] = held.accuracy[0], held.cost[0], held.reach[0]
    return CrossFit(accuracy, cost, reach, thresholds, fold)


def best_thresholds(
    values: Sequence[ArrayLike],
    scores: Sequence[ArrayLike],
    costs: Sequence[ArrayLike],
    cost_budget: float,
    *,
    grid: int = GRID,
    sizes: Sequence[ArrayLike] | None = None,
) -> Floats:
    """Thresholds with the highest mean accuracy within the cost budget.

    Ties go to the cheaper.

    Accuracy on the same problems is inflated by the search; `cross_fit_cascade` is not.

    Raises:
        IsocostError: the first model alone costs more.
    """
    return _search(_stages(values, scores, costs, sizes), cost_budget, grid)


def _search(stages: Sequence[_Stage], cost_budget: float, grid: int) -> Floats:
    """Brute force.

    The last threshold is scanned as a vector, the ones before it one combination at a time.
    """
    shares = np.linspace(0.0, 1.0, grid)
    candidates = [
        np.unique([escalating_threshold(stage.known_scores(), s) for s in shares])
        for stage in stages[:-1]
    ]
    best, found = (-np.inf, np.inf), None
    for head in product(*candidates[:-1]):
        sets = np.array([[*head, last] for last in candidates[-1]])
        result = _run(stages, sets)
        mean_accuracy, mean_cost = result.accuracy.mean(axis=1), result.cost.mean(axis=1)
        for i in np.flatnonzero(mean_cost <= cost_budget + 1e-12):
            if (mean_accuracy[i], -mean_cost[i]) > (best[0], -best[1]):
                best, found = (mean_accuracy[i], mean_cost[i]), sets[i]
    if found is None:
        raise IsocostError(
            f"no cascade costs at most {cost_budget} per problem: the first model alone costs more",
            where="cost_budget",
        )
    return found


def oracle_cascade(accuracies: ArrayLike, costs: ArrayLike) -> CascadeResult:
    """Bound of every cascade in this order: a perfect verifier accepts.

    No model is asked if none ahead can succeed.

    Args:
        accuracies: chance that one sample of each model is correct, (problems, models).
        costs: mean cost of a sample of each model, same shape.

    Returns:
        `CascadeResult` with (problems,) accuracy and cost: the cost of the path, not of the
        answering model alone.

    Examples:
        >>> found = oracle_cascade([[1, 1], [1, 1], [0, 1], [0, 1], [1, 0], [0, 0]], [[1, 10]] * 6)
        >>> found.accuracy.mean().item(), found.cost.mean().item()
        (0.833333, 4.333333)
    """
    p, _ = read_matrix("accuracies", accuracies)
    c, _ = read_matrix("costs", costs)
    if p.shape != c.shape or np.isnan(p).any() or np.isnan(c).any():
        raise IsocostError(
            f"expected known accuracies and costs of one shape, got {p.shape} and {c.shape}",
            where="oracle_cascade",
        )
    later = np.cumsum(p[:, ::-1], axis=1)[:, ::-1] > 0
    reach = np.ones(p.shape)
    for stage in range(1, p.shape[1]):
        reach[:, stage] = reach[:, stage - 1] * (1 - p[:, stage - 1]) * later[:, stage]
    return CascadeResult((reach * p).sum(axis=1), (reach * c).sum(axis=1), reach)
