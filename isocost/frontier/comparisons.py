"""Is one configuration better than another?

Lives here: paired comparison over problems, McNemar's test, control for many comparisons, power.
Not here: which pairs are worth comparing, and tables.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats
from scipy.special import ndtr, ndtri

from isocost.errors import IsocostError
from isocost.frontier.arrays import FloatArray, finite_array


@dataclass(frozen=True)
class Paired:
    """Paired comparison over problems; arrays of shape ``(pairs,)``.

    Attributes:
        difference: mean of first - second.
        se: its standard error over problems (clusters).
        low: lower end of the t interval.
        high: upper end of the t interval.
        p_value: two-sided; 1 where the two never differ, NaN where they differ by one constant (no
            spread to estimate).
        units: problems, or clusters, that the test rests on.
    """

    difference: FloatArray
    se: FloatArray
    low: FloatArray
    high: FloatArray
    p_value: FloatArray
    units: int


def paired_comparison(
    first: ArrayLike,
    second: ArrayLike,
    *,
    confidence: float = 0.95,
    clusters: ArrayLike | None = None,
) -> Paired:
    """Student-t test of per-problem differences (Miller 2024, "Adding error bars to evals").

    Args:
        first: mean score per problem, shape ``(problems,)`` or ``(pairs, problems)``.
        second: the same problems under the other configuration, same shape.
        confidence: level of the interval.
        clusters: optional label per problem; the standard error is then clustered, with clusters -
            1 degrees of freedom.

    Returns:
        Differences with intervals and p-values, one entry per pair.

    Raises:
        IsocostError: shapes disagree, fewer than two problems or clusters, or a value is not
            finite.

    Examples:
        >>> found = paired_comparison([0.5, 0.75, 1, 0.25], [0.5, 0.5, 0.75, 0.25])
        >>> found.difference.tolist(), found.se.tolist()
        ([0.125], [0.072169])
    """
    left = np.atleast_2d(finite_array(first, "first", (1, 2)))
    right = np.atleast_2d(finite_array(second, "second", (1, 2)))
    if left.shape != right.shape:
        raise IsocostError(
            f"the sides are {left.shape} and {right.shape}", remedy="Pair them problem by problem."
        )
    delta = left - right
    mean = delta.mean(axis=1)
    centered = delta - mean[:, None]
    problems = units = delta.shape[1]
    if clusters is not None:
        label = np.unique(np.asarray(clusters), return_inverse=True)[1].reshape(-1)
        if len(label) != problems:
            raise IsocostError(
                f"{len(label)} cluster labels for {problems} problems",
                remedy="Give one label per problem.",
            )
        units = int(label.max()) + 1
        centered = np.stack([centered[:, label == g].sum(axis=1) for g in range(units)], axis=1)
    if units < 2:
        raise IsocostError(
            "a single unit to compare on", remedy="A paired test needs two problems or clusters."
        )
    se = np.sqrt((centered**2).sum(axis=1) * units / (units - 1)) / problems
    # Sums of equal differences leave rounding dust; without this it would look like evidence.
    se = np.where(se <= 1e-14 * np.abs(delta).max(axis=1), 0.0, se)
    score = np.divide(np.abs(mean), se, out=np.full(len(mean), np.nan), where=se > 0)
    p_value = np.where(se > 0, 2 * stats.t.sf(score, units - 1), np.where(mean == 0, 1.0, np.nan))
    half = stats.t.ppf((1 + confidence) / 2, units - 1) * se
    return Paired(mean, se, mean - half, mean + half, p_value, units)


def holm(p_values: ArrayLike) -> FloatArray:
    """Adjusted p-values that control the chance of any false finding (Holm 1979).

    NaN stays NaN and is not counted.

    Examples:
        >>> holm([0.01, 0.04, 0.03]).tolist()
        [0.03, 0.06, 0.06]
    """
    return _adjust(
        p_values,
        stepwise=lambda p: np.minimum(np.maximum.accumulate(p * np.arange(len(p), 0, -1)), 1.0),
    )


def benjamini_hochberg(p_values: ArrayLike) -> FloatArray:
    """Adjusted p-values that control the share of false findings (Benjamini and Hochberg 1995).

    NaN stays NaN.

    Examples:
        >>> benjamini_hochberg([0.01, 0.04, 0.03]).tolist()
        [0.03, 0.04, 0.04]
    """

    def stepwise(p: FloatArray) -> FloatArray:
        return np.minimum(
            np.minimum.accumulate((p * len(p) / np.arange(1, len(p) + 1))[::-1])[::-1], 1.0
        )

    return _adjust(p_values, stepwise=stepwise)


def _adjust(p_values: ArrayLike, *, stepwise: Callable[[FloatArray], FloatArray]) -> FloatArray:
    given = np.asarray(p_values, dtype=np.float64)
    known = np.flatnonzero(~np.isnan(given))
    if ((given[known] < 0) | (given[known] > 1)).any():
        raise IsocostError("a p-value is outside [0, 1]", remedy="Pass probabilities.")
    out = np.full(given.shape, np.nan)
    order = known[np.argsort(given[known], kind="stable")]
    out[order] = stepwise(given[order])
    return out


@dataclass(frozen=True)
class McNemar:
    """McNemar's test of two configurations with one sample per problem.

    Attributes:
        exact: exact binomial p-value.
        mid_p: mid-p value, less conservative.
        statistic: chi-square with continuity correction.
        p_value: its p-value.
    """

    exact: float
    mid_p: float
    statistic: float
    p_value: float


def mcnemar(only_first: int, only_second: int) -> McNemar:
    """Tests the discordant counts (McNemar 1947; mid-p: Fagerland, Lydersen and Laake 2013).

    With repeated samples per problem use `paired_comparison` instead.

    Args:
        only_first: problems that only the first configuration solved.
        only_second: problems that only the second solved.

    Examples:
        >>> mcnemar(8, 2)
        McNemar(exact=0.109375, mid_p=0.06543, statistic=2.5, p_value=0.113846)
    """
    if only_first < 0 or only_second < 0:
        raise IsocostError("a count is negative", remedy="Pass numbers of discordant problems.")
    if only_first != int(only_first) or only_second != int(only_second):
        remedy = (
            "Pass numbers of discordant problems; compare mean scores with `paired_comparison`."
        )
        raise IsocostError(f"{only_first} and {only_second} are not counts", remedy=remedy)
    total, fewer = only_first + only_second, min(only_first, only_second)
    if total == 0:
        return McNemar(1.0, 1.0, 0.0, 1.0)
    exact = min(1.0, 2 * float(stats.binom.cdf(fewer, total, 0.5)))
    mid = 2 * float(stats.binom.cdf(fewer, total, 0.5)) - float(stats.binom.pmf(fewer, total, 0.5))
    statistic = max(abs(only_first - only_second) - 1, 0) ** 2 / total
    return McNemar(exact, min(mid, 1.0), statistic, float(stats.chi2.sf(statistic, 1)))


def problems_needed(
    variance: float, difference: float, *, power: float = 0.8, significance: float = 0.05
) -> int:
    """Problems that a paired comparison needs to find a difference (normal approximation).

    Args:
        variance: variance of the per-problem differences.
        difference: the difference in accuracy to find, not 0.
        power: probability of finding it.
        significance: two-sided level.

    Returns:
        (z_{1-a/2} + z_{power})^2 x variance / difference^2, rounded up.

    Examples:
        >>> problems_needed(0.1, 0.05)
        314
    """
    if difference == 0 or variance < 0:
        raise IsocostError(
            "no sample size finds a difference of 0",
            remedy="Give a difference and a variance that is not negative.",
        )
    return int(
        np.ceil((ndtri(1 - significance / 2) + ndtri(power)) ** 2 * variance / difference**2)
    )


def comparison_power(
    variance: float, difference: float, problems: int, *, significance: float = 0.05
) -> float:
    """Probability that a paired comparison over that many problems finds the difference.

    Normal approximation.

    Examples:
        >>> comparison_power(0.1, 0.05, 314)
        0.800057
    """
    if variance <= 0 or problems < 1:
        raise IsocostError(
            "power needs spread and problems",
            remedy="Give a positive variance and one problem or more.",
        )
    shift = abs(difference) * np.sqrt(problems / variance)
    edge = ndtri(1 - significance / 2)
    return float(ndtr(shift - edge) + ndtr(-shift - edge))


def detectable_difference(
    variance: float, problems: int, *, power: float = 0.8, significance: float = 0.05
) -> float:
    """Smallest difference that a paired comparison over that many problems detects.

    With the given power.

    Examples:
        >>> detectable_difference(0.1, 314)
        0.049996
    """
    if variance < 0 or problems < 1:
        raise IsocostError(
            "a detectable difference needs problems",
            remedy="Give one problem or more and a variance of 0 or more.",
        )
    return float((ndtri(1 - significance / 2) + ndtri(power)) * np.sqrt(variance / problems))
