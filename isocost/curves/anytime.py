"""Measures of a whole accuracy-against-compute curve, without a fitted family.

Lives here: the completion curve, anytime scores and areas, cumulative regret, budget-control
metrics, token elasticity with its quadrant and request-level efficiency. Not here: fitted families
and frontiers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from isocost.curves.base import Array
from isocost.errors import IsocostError


def completion_curve(
    tokens: ArrayLike, correct: ArrayLike, budgets: ArrayLike
) -> tuple[Array, Array]:
    """Accuracy and spend when generation is cut at a budget and nothing cut counts as right.

    acc(b) = mean_j y_j 1[T_j <= b] and E[tokens](b) = mean_j min(T_j, b). A lower bound for
    protocols that force an answer.

    Args:
        tokens: (N,) generated tokens per sample.
        correct: (N,) 0 or 1 (or a score in 0..1) per sample.
        budgets: (B,) budgets in tokens.

    Returns:
        Accuracy and mean tokens, each (B,).
    """
    tokens, correct, budgets = (np.asarray(v, dtype=np.float64) for v in (tokens, correct, budgets))
    if tokens.shape != correct.shape or not tokens.size:
        raise IsocostError(
            "tokens and correctness must be equally long and not empty", where="completion_curve"
        )
    order = np.argsort(tokens, kind="stable")
    ends = np.searchsorted(tokens[order], budgets, side="right")
    right, spent = (np.concatenate([[0.0], np.cumsum(v[order])]) for v in (correct, tokens))
    size = len(tokens)
    return right[ends] / size, (spent[ends] + (size - ends) * budgets) / size


def anytime_score(
    budgets: ArrayLike, accuracy: ArrayLike, prior: Literal["uniform", "linear", "base"] = "uniform"
) -> float:
    """J = sum_j P_j acc(b_j) over budgets (Qi et al. 2025, AnytimeReasoner).

    Args:
        budgets: (B,) budgets.
        accuracy: (B,) accuracy at each.
        prior: "uniform", "linear" (P proportional to b) or "base" (all weight on the largest
            budget).
    """
    b, acc = _curve(budgets, accuracy)
    weights = {"uniform": np.ones_like(b), "linear": b, "base": (b == b[-1]).astype(np.float64)}
    if prior not in weights:
        raise IsocostError(
            f"unknown prior {prior!r}",
            where="anytime_score",
            remedy=f"Use one of {', '.join(weights)}.",
        )
    return float((weights[prior] * acc).sum() / weights[prior].sum())


def anytime_area(
    budgets: ArrayLike,
    accuracy: ArrayLike,
    *,
    scale: Literal["log", "linear"] = "log",
    low: float | None = None,
    high: float | None = None,
) -> float | None:
    """Mean accuracy over a range of budgets: trapezoid area divided by the range, over ln b or b.

    Args:
        budgets: (B,) positive budgets.
        accuracy: (B,) accuracy at each.
        scale: spacing along which the mean is taken.
        low: start of the range; the smallest budget when None. Accuracy is interpolated, and held
            flat outside the data.
        high: end of the range; the largest budget when None.

    Returns:
        The mean accuracy, or None where the range has no width.
    """
    b, acc = _curve(budgets, accuracy)
    low = float(b[0]) if low is None else low
    high = float(b[-1]) if high is None else high
    if not 0 < low < high:
        return None
    inner = b[(b > low) & (b < high)]
    points = np.concatenate([[low], inner, [high]])
    place, at = (np.log(b), np.log(points)) if scale == "log" else (b, points)
    return float(np.trapezoid(np.interp(at, place, acc), at) / (at[-1] - at[0]))


def cumulative_regret(tokens: ArrayLike, accuracy: ArrayLike, horizon: float) -> float:
    """Normalised regret 1 - (1/C) int_0^C y dx relative to an oracle.

    The oracle is right from the first token (Qu et al. 2025, MRT).

    Args:
        tokens: (B,) ascending cumulative tokens at which an answer could be forced.
        accuracy: (B,) accuracy of the answer forced there; linear in between, from (0, 0), held
            after the last.
        horizon: C, tokens.
    """
    b, acc = _curve(tokens, accuracy)
    if not horizon > 0:
        raise IsocostError(
            f"horizon {horizon} is not positive",
            where="cumulative_regret",
            remedy="Give the horizon in tokens.",
        )
    place, value = np.concatenate([[0.0], b]), np.concatenate([[0.0], acc])
    points = np.concatenate([place[place < horizon], [horizon]])
    return float(1.0 - np.trapezoid(np.interp(points, place, value), points) / horizon)


def budget_control(spent: ArrayLike, minimum: float, maximum: float) -> float:
    """Control of s1 (Muennighoff et al.

    2025): share of runs that spent between ``minimum`` and ``maximum``, both included.
    """
    values = np.asarray(spent, dtype=np.float64)
    if not values.size:
        raise IsocostError("there are no runs", where="budget_control")
    return float(((values >= minimum) & (values <= maximum)).mean())


def e3_score(accuracy: ArrayLike, tokens: ArrayLike) -> Array:
    """E^3 = A^2 / T, the Efficiency-aware Effectiveness Evaluation Score of Lin et al. 2025.

    arXiv:2505.16122 (Plan-and-Budget). Squared, because accuracy per token would reward a method
    that answers at once and is hardly ever right.

    Args:
        accuracy: A, mean accuracy as a share in 0..1, (...). A score made of percentages is 10^4
            times as large.
        tokens: T, mean of the tokens generated for a problem, (...).

    Returns:
        Per token, (...); NaN where no tokens were generated.

    Examples:
        Half as many tokens are worth as much as sqrt(2) times the accuracy:

        >>> e3_score([0.6, 0.6, 0.8], [1200, 600, 1600]).tolist()
        [0.0003, 0.0006, 0.0004]
    """
    a, t = np.asarray(accuracy, dtype=np.float64), np.asarray(tokens, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(t > 0, a * a / t, np.nan)


def budget_scaling(budgets: ArrayLike, accuracy: ArrayLike) -> float | None:
    """Scaling of s1: mean slope (f(b) - f(a)) / (b - a) over all pairs a < b.

    None with fewer than two budgets.

    Short gaps dominate on an uneven grid, so state the grid with the number.
    """
    b, acc = _curve(budgets, accuracy)
    first, second = np.triu_indices(len(b), 1)
    return (
        float(((acc[second] - acc[first]) / (b[second] - b[first])).mean()) if len(first) else None
    )


def budget_performance(accuracy: ArrayLike) -> float:
    """Performance of s1: the largest accuracy over the budgets."""
    return float(np.max(np.asarray(accuracy, dtype=np.float64)))


@dataclass(frozen=True)
class TokenElasticity:
    """Relative change of accuracy over relative change of tokens.

    Attributes:
        elasticity: TEP = (dP / P_0) / (dT / T_0) (Zhu et al. 2025, EllieSQL); None where P_0 = 0 or
            dT = 0.
        arc: the same with midpoints as bases, symmetric in both configurations; None where
            undefined.
        quadrant: "better", "equal" or "worse", then "costlier", "equal" or "cheaper". The sign of
            the elasticity alone cannot tell a cheaper and worse configuration from a costlier and
            better one.
    """

    elasticity: float | None
    arc: float | None
    quadrant: str


def token_elasticity(
    accuracy_0: float, tokens_0: float, accuracy_1: float, tokens_1: float
) -> TokenElasticity:
    """Token elasticity of performance of configuration 1 against baseline 0, with its quadrant."""
    gain, spend = accuracy_1 - accuracy_0, tokens_1 - tokens_0
    plain = (
        (gain / accuracy_0) / (spend / tokens_0)
        if accuracy_0 > 0 and tokens_0 > 0 and spend != 0
        else None
    )
    total_p, total_t = accuracy_1 + accuracy_0, tokens_1 + tokens_0
    arc = (gain / total_p) / (spend / total_t) if total_p > 0 and spend != 0 else None
    quality = "better" if gain > 0 else "worse" if gain < 0 else "equal"
    cost = "costlier" if spend > 0 else "cheaper" if spend < 0 else "equal"
    return TokenElasticity(plain, arc, f"{quality}_{cost}")


def requests_per_s(tokens_per_s: ArrayLike, tokens_per_request: ArrayLike) -> Array:
    """Request rate of a token throughput: (tokens / s) / (mean generated tokens per request).

    Token throughput cannot compare variants that answer at different lengths ("Extending Puzzle to
    gpt-oss", NVIDIA 2026).
    """
    return np.asarray(tokens_per_s, dtype=np.float64) / np.asarray(
        tokens_per_request, dtype=np.float64
    )


def matched_accuracy_gain(
    rate_a: ArrayLike,
    accuracy_a: ArrayLike,
    rate_b: ArrayLike,
    accuracy_b: ArrayLike,
    target: float,
) -> float | None:
    """Request-rate ratio B over A at equal accuracy along two accuracy-speed frontiers.

    One point per reasoning effort.

    ln rate is interpolated in accuracy; None where ``target`` is outside either frontier's range.
    """
    rates = []
    for rate, accuracy in ((rate_a, accuracy_a), (rate_b, accuracy_b)):
        acc, value = np.asarray(accuracy, dtype=np.float64), np.asarray(rate, dtype=np.float64)
        order = np.argsort(acc, kind="stable")
        if not acc[order][0] <= target <= acc[order][-1]:
            return None
        rates.append(np.interp(target, acc[order], np.log(value[order])))
    return float(np.exp(rates[1] - rates[0]))


def _curve(budgets: ArrayLike, accuracy: ArrayLike) -> tuple[Array, Array]:
    """Sorted budgets with their accuracies."""
    b, acc = np.asarray(budgets, dtype=np.float64), np.asarray(accuracy, dtype=np.float64)
    if b.shape != acc.shape or b.ndim != 1 or not len(b):
        raise IsocostError(
            "budgets and accuracies must be equally long and not empty",
            where="budgets",
            remedy="Give one accuracy per budget.",
        )
    order = np.argsort(b, kind="stable")
    if (np.diff(b[order]) == 0).any():
        raise IsocostError(
            "a budget occurs twice", where="budgets", remedy="Give one accuracy per budget."
        )
    return b[order], acc[order]
