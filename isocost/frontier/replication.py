"""Means of every outcome in every bootstrap draw, each distinct row computed once.

Lives here: replicate means with copies of a row told apart from equals by chance, their percentile intervals and standard errors.
Not here: the drawing of problems (bootstrap.py), what the means say about frontiers (draws.py, margins.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from isocost.errors import IsocostError
from isocost.frontier.arrays import FloatArray

# Means of the same numbers taken in another order differ in the last bits; differences below this share are ties.
ROUNDING = 1e-12
# Numbers worked on at a time: 1 MiB stays in the cache.
BLOCK = 1 << 17


@dataclass(frozen=True)
class Replicates:
    """Means of the distinct rows of a matrix in every draw.

    Attributes:
        rows: distinct rows in order of their first appearance, shape ``(distinct, problems)``; -0.0 is 0.0.
        means: shape ``(distinct, draws)``.
        copy_of: the distinct row of every outcome, shape ``(outcomes,)``.
    """

    rows: FloatArray
    means: FloatArray
    copy_of: NDArray[np.int64]

    def take(self, outcomes: NDArray[np.integer]) -> Replicates:
        """The same draws of some outcomes only; shares memory, so rows that no outcome has may remain."""
        return Replicates(self.rows, self.means, self.copy_of[outcomes])


def distinct_rows(values: FloatArray) -> tuple[FloatArray, NDArray[np.int64]]:
    """Returns ``(rows, copy_of)``: the distinct rows in order of first appearance, and the number of each outcome's row."""
    plain = values + 0.0  # -0.0 and 0.0 are one value
    seen: dict[bytes, int] = {}
    copy_of = np.array([seen.setdefault(row.tobytes(), len(seen)) for row in plain], dtype=np.int64)
    return plain[np.unique(copy_of, return_index=True)[1]], copy_of


def replicates(values: FloatArray, counts: NDArray) -> Replicates:
    """Means in every draw.

    Args:
        values: shape ``(outcomes, problems)``, finite.
        counts: from `isocost.frontier.resample_counts`, or any weights of draws x problems; each draw is divided by its sum.

    Raises:
        IsocostError: a draw takes no problem at all.
    """
    rows, copy_of = distinct_rows(values)
    weight = counts.astype(np.float64)
    size = weight.sum(axis=1)
    if not (size > 0).all():
        raise IsocostError(f"draw {int(np.argmin(size))} takes no problem", remedy="Give every draw a positive weight.")
    return Replicates(rows, (rows @ weight.T) / size, copy_of)


def percentile_interval(means: FloatArray, confidence: float) -> tuple[FloatArray, FloatArray]:
    """``(low, high)`` of every row: linear between order statistics, as ``numpy.quantile``, to the bit.

    Args:
        means: shape ``(rows, draws)``.
        confidence: level of the two-sided interval.
    """
    tails = np.array([(1 - confidence) / 2, (1 + confidence) / 2])
    last = means.shape[1] - 1
    found = np.empty((2, len(means)))
    step = max(1, BLOCK // means.shape[1])
    for start in range(0, len(means), step):
        ranked = np.sort(means[start : start + step], axis=1)
        for row, place in zip(found, last * tails, strict=True):
            below = int(np.floor(place))
            share, left, right = place - below, ranked[:, below], ranked[:, min(below + 1, last)]
            gap = right - left
            row[start : start + step] = left + gap * share if share < 0.5 else right - gap * (1 - share)
    return found[0], found[1]


def standard_error(means: FloatArray) -> FloatArray:
    """Standard deviation over the draws of every row of ``means``, shape ``(rows, draws)``."""
    found = np.empty(len(means))
    step = max(1, BLOCK // means.shape[1])
    for start in range(0, len(means), step):
        found[start : start + step] = means[start : start + step].std(axis=1, ddof=1)
    return found
