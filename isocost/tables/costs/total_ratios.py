"""Intervals of ratios of totals: percentiles over resampled problems.

Used for the cost per correct answer.

Lives here: draws of problems and percentiles of means and ratios under them. Not here: intervals of
accuracies (``outcomes``).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from isocost.frontier import resample_counts

DRAWS, SEED, TAILS = 2000, 0, (0.025, 0.975)
Floats = NDArray[np.float64]


@lru_cache(maxsize=1)
def draws_of(problems: int) -> Floats | None:
    """How often each problem is in each draw, (draws, problems).

    None where there are fewer than two problems.
    """
    return resample_counts(problems, DRAWS, SEED).astype(np.float64) if problems > 1 else None


def mean_interval(values: Floats, weights: Floats) -> tuple[float, float]:
    """Percentiles of the mean over problems; infinite ends where a value is.

    Args:
        values: (problems,).
        weights: (draws, problems).
    """
    if not np.isfinite(values).all():
        return np.inf, np.inf
    low, high = np.quantile(weights @ values / weights.sum(axis=1), TAILS)
    return float(low), float(high)


def ratio_interval(above: Floats, below: Floats, weights: Floats) -> tuple[float, float]:
    """Percentiles of a ratio of totals over problems.

    An end is infinite if the lower total is 0 in that share of the draws.

    Args:
        above: numerator per problem, (problems,).
        below: denominator per problem, (problems,).
        weights: (draws, problems).
    """
    total = weights @ below
    ratios = np.sort(
        np.divide(weights @ above, total, out=np.full(len(weights), np.inf), where=total > 0)
    )
    low, high = (ratios[min(int(np.ceil(tail * len(ratios))), len(ratios) - 1)] for tail in TAILS)
    return float(low), float(high)
