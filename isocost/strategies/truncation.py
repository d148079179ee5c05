"""Token budgets: what cutting every sample at b tokens would cost and lose, and summaries of anytime curves.

Lives here: the strict completion curve of a bank, and curve summaries of papers under their names. Not here: forced answers
after a cut (that needs new generations) and fits (curves).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from isocost.errors import IsocostError
from isocost.strategies.shapes import Bools, Floats, Shape, read_budgets, read_like, read_matrix, read_valid, refuse_nan


class TruncationResult(NamedTuple):
    """Accuracy and expected tokens when every sample is cut at b tokens; shaped by the arguments."""

    accuracy: Floats
    tokens: Floats


def truncate_at(values: ArrayLike, tokens: ArrayLike, budget: ArrayLike, *, valid: ArrayLike | None = None) -> TruncationResult:
    """Strict completion curve: mean of value where the sample ends within b tokens, and mean of min(tokens, b).

    A lower bound for protocols that force an answer after the cut.

    Args:
        values: correctness, one row or (problems, samples).
        tokens: generated tokens of each sample, same shape.
        budget: token budget or budgets.
        valid: mask of samples that exist.
    """
    grade, one_row = read_matrix("values", values)
    length = read_like("tokens", tokens, grade.shape)
    mask = read_valid(valid, grade.shape)
    refuse_nan("values", grade, mask, "Leave ungraded samples out with valid=.")
    refuse_nan("tokens", length, mask, "Leave samples of unknown length out with valid=.")
    budgets, one_budget = read_budgets(budget)
    accuracy, spent = completion_curve(grade, length, budgets, mask)
    give = Shape(one_row, one_budget).give_back
    return TruncationResult(give(accuracy), give(spent))


def completion_curve(grade: Floats, length: Floats, budgets: np.ndarray, mask: Bools) -> tuple[Floats, Floats]:
    """The computation behind `truncate_at` on checked matrices."""
    sizes = mask.sum(axis=1)
    accuracy, spent = np.full((2, len(grade), len(budgets)), np.nan)
    known = sizes > 0
    for i, b in enumerate(budgets):
        right = np.where(mask & (length <= b), grade, 0.0).sum(axis=1)
        used = np.where(mask, np.minimum(length, b), 0.0).sum(axis=1)
        accuracy[known, i], spent[known, i] = right[known] / sizes[known], used[known] / sizes[known]
    return accuracy, spent


def _curve(budgets: ArrayLike, accuracies: ArrayLike, fewest: int = 1) -> tuple[Floats, Floats]:
    b, y = np.asarray(budgets, dtype=np.float64), np.asarray(accuracies, dtype=np.float64)
    if b.ndim != 1 or b.shape != y.shape or len(b) < fewest or np.any(np.diff(b) <= 0) or np.any(b <= 0) or np.isnan(y).any():
        raise IsocostError(f"expected at least {fewest} rising positive budgets and one known accuracy each", where="curve")
    return b, y


def anytime_score(budgets: ArrayLike, accuracies: ArrayLike, prior: str = "uniform") -> float:
    """Expected accuracy under a prior over budgets (Qi et al. 2025): "uniform", "linear" (weight by budget) or "base" (the last)."""
    b, y = _curve(budgets, accuracies)
    weights = {"uniform": np.ones(len(b)), "linear": b, "base": np.eye(len(b))[-1]}
    if prior not in weights:
        raise IsocostError(f"unknown prior {prior!r}", where="prior", remedy=f"Use one of {', '.join(weights)}.")
    return float(np.average(y, weights=weights[prior]))


def log_budget_area(budgets: ArrayLike, accuracies: ArrayLike) -> float:
    """Mean accuracy over the logarithm of the budget, by trapezoids between the smallest and the largest budget."""
    b, y = _curve(budgets, accuracies, fewest=2)
    return float(np.trapezoid(y, np.log(b)) / np.log(b[-1] / b[0]))


def cumulative_regret(tokens: ArrayLike, accuracies: ArrayLike, horizon: float) -> float:
    """Normalised cumulative regret (Qu et al. 2025): 1 - (1/C) integral of accuracy over tokens 0..C, from the origin (0, 0).

    Linear between episode ends, the last accuracy held to the horizon C.
    """
    x, y = _curve(tokens, accuracies)
    if horizon <= 0:
        raise IsocostError(f"must be above 0 tokens, got {horizon}", where="horizon")
    ends, values = np.concatenate([[0.0], x]), np.concatenate([[0.0], y])
    inside = ends < horizon
    grid = np.append(ends[inside], horizon)
    return float(1 - np.trapezoid(np.interp(grid, ends, values), grid) / horizon)


def pairwise_scaling(budgets: ArrayLike, accuracies: ArrayLike) -> float:
    """Scaling of s1 (Muennighoff et al. 2025): mean slope over all pairs of budgets, per token; short gaps dominate."""
    b, y = _curve(budgets, accuracies, fewest=2)
    low, high = np.triu_indices(len(b), k=1)
    return float(np.mean((y[high] - y[low]) / (b[high] - b[low])))
