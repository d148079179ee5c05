"""Agreement of a judge with gold labels, and its position bias, with intervals from problems.

Lives here: the numbers of one judge from counts per problem. Not here: abilities of several judges
(``isocost.items.abilities``), which answers have which label (``isocost.tables.judges``).

Answers to one problem are not independent, so problems (or clusters of them) carry the uncertainty.
Rates are ratios of sums over problems; their variance is that of the linearised ratio, and the
interval Wilson's at the number of independent answers with that variance, as for accuracies
(`isocost.frontier.score_interval`). Cohen's kappa and differences have t intervals of the
jackknife.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.special import ndtri

FloatArray = NDArray[np.float64]

CONFIDENCE = 0.95
_DUST = 1e-18


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its interval; None if it is undefined."""

    value: float | None
    low: float | None
    high: float | None


UNDEFINED = Estimate(None, None, None)


def rate(hits: ArrayLike, trials: ArrayLike, confidence: float = CONFIDENCE) -> Estimate:
    """A share: the sum of hits over the sum of trials.

    Args:
        hits: per problem, shape (problems,).
        trials: per problem.
        confidence: level.

    Examples:
        >>> rate([1, 0, 1, 1], [1, 1, 1, 1])
        Estimate(value=0.75, low=0.300642, high=0.954413)
    """
    x, n = np.asarray(hits, dtype=np.float64), np.asarray(trials, dtype=np.float64)
    x, n = x[n > 0], n[n > 0]
    if not n.size:
        return UNDEFINED
    units, total = len(n), float(n.sum())
    p = float(x.sum()) / total
    residuals = x - p * n
    z = float(ndtri((1 + confidence) / 2))
    if (n == 1).all():
        trials_like = total  # independent trials: their variance follows from the share
    elif units < 2:
        return Estimate(p, None, None)
    else:
        variance = float(residuals @ residuals) * units / (units - 1) / total**2
        is_spread = variance > _DUST and 0 < p < 1
        trials_like = p * (1 - p) / variance if is_spread else float(units)
        trials_like *= (z / float(stats.t.ppf((1 + confidence) / 2, units - 1))) ** 2
    low, high = _wilson(p, trials_like, z)
    return Estimate(p, low, high)


def _wilson(p: float, n: float, z: float) -> tuple[float, float]:
    bend = z * z / n
    centre = (p + bend / 2) / (1 + bend)
    half = z / (1 + bend) * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return (
        0.0 if p == 0 else max(float(centre - half), 0.0),
        1.0 if p == 1 else min(float(centre + half), 1.0),
    )


def jackknife(
    statistic: Callable[[FloatArray], float],
    counts: ArrayLike,
    confidence: float = CONFIDENCE,
    *,
    within: tuple[float, float] = (-1.0, 1.0),
) -> Estimate:
    """A statistic of sums over problems, with the t interval of the jackknife over problems.

    Args:
        statistic: of the sums of counts, shape (..., columns); NaN where it is undefined.
        counts: per problem, shape (problems, columns).
        confidence: level.
        within: the range that the interval is cut to.

    Returns:
        The estimate. Without an interval if there is one problem, no spread between problems, or
        the statistic is undefined without one of them.
    """
    table = np.asarray(counts, dtype=np.float64)
    total = table.sum(axis=0)
    value = float(statistic(total))
    if not np.isfinite(value):
        return UNDEFINED
    units = len(table)
    if units < 2:
        return Estimate(value, None, None)
    without = np.array([statistic(total - row) for row in table])
    variance = float((units - 1) / units * ((without - without.mean()) ** 2).sum())
    if not np.isfinite(variance) or variance <= _DUST:
        return Estimate(value, None, None)
    half = float(stats.t.ppf((1 + confidence) / 2, units - 1)) * variance**0.5
    return Estimate(value, max(value - half, within[0]), min(value + half, within[1]))


def kappa(confusion: ArrayLike, confidence: float = CONFIDENCE) -> Estimate:
    """Cohen's kappa.

    Args:
        confusion: per problem: true positive, false positive, false negative, true negative; shape
            (problems, 4).
        confidence: level.

    Examples:
        >>> kappa([[20, 5, 10, 15]]).value
        0.4
    """
    return jackknife(_kappa, confusion, confidence)


def _kappa(sums: FloatArray) -> float:
    true_positive, false_positive, false_negative, true_negative = sums
    n = float(sums.sum())
    if n == 0:
        return float("nan")
    agreed = (true_positive + true_negative) / n
    said, gold = (true_positive + false_positive) / n, (true_positive + false_negative) / n
    chance = said * gold + (1 - said) * (1 - gold)
    return float("nan") if chance >= 1 - _DUST else float((agreed - chance) / (1 - chance))


def difference(
    first: ArrayLike, second: ArrayLike, trials: ArrayLike, confidence: float = CONFIDENCE
) -> Estimate:
    """The difference of two shares of the same answers: (first - second) / trials.

    Args:
        first: hits per problem.
        second: hits per problem.
        trials: answers per problem.
        confidence: level.
    """
    x, y, n = (np.asarray(each, dtype=np.float64) for each in (first, second, trials))
    counts = np.stack([x - y, n], axis=1)[n > 0]
    if not len(counts):
        return UNDEFINED
    return jackknife(lambda sums: sums[0] / sums[1] if sums[1] else np.nan, counts, confidence)
