"""Means of every outcome in every bootstrap draw, each distinct row computed once.

Lives here: replicate means, which distinguish copies of a row from rows that are equal by chance,
their percentile intervals and standard errors. Not here: the drawing of problems (bootstrap.py),
what the means say
about frontiers (draws.py, margins.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from isocost.errors import IsocostError
from isocost.frontier.arrays import FloatArray
from isocost.memory import DrawsAside

# Means of the same numbers taken in another order differ in the last bits; differences below this
# share are ties.
ROUNDING = 1e-12
# Numbers worked on at a time: 1 MiB stays in the cache.
BLOCK = 1 << 17
# Numbers of a strip of outcomes, 8 MiB. The size is fixed, whatever the memory: other strips would
# give other last bits.
STRIP = 1 << 20


@dataclass(frozen=True)
class Replicates:
    """Means of the distinct rows of a matrix in every draw.

    Attributes:
        rows: distinct rows in order of their first appearance, shape ``(distinct, problems)``; -0.0
            is 0.0. Without columns where only their centers are known.
        means: shape ``(distinct, draws)``; read tile by tile if they are spilled.
        copy_of: the distinct row of every outcome, shape ``(outcomes,)``.
        centers: weighted mean of every distinct row, shape ``(distinct,)``; None where the rows are
            at hand.
        spread: low and high end of the percentile interval and standard error of every distinct
            row, shape ``(3, distinct)``; None where not requested for them.
    """

    rows: FloatArray
    means: FloatArray | DrawsAside
    copy_of: NDArray[np.int64]
    centers: FloatArray | None = None
    spread: FloatArray | None = None

    @property
    def draws(self) -> int:
        """Number of draws."""
        return self.means.shape[1]

    def tile(self, draws: slice) -> FloatArray:
        """The means of all distinct rows in some draws, rows by rows."""
        if isinstance(self.means, DrawsAside):
            return self.means.tile(draws)
        return np.ascontiguousarray(self.means[:, draws])

    def take(self, outcomes: NDArray[np.integer]) -> Replicates:
        """The same draws of some outcomes; shares memory, so unused rows may remain."""
        return Replicates(self.rows, self.means, self.copy_of[outcomes], self.centers, self.spread)

    def center(self, weights: FloatArray | None) -> FloatArray:
        """Weighted mean of every distinct row, equal weights where None.

        Of a replicate with centers, these.
        """
        if self.centers is not None:
            return self.centers
        problems = self.rows.shape[1]
        return self.rows @ (np.full(problems, 1 / problems) if weights is None else weights)


def distinct_rows(values: FloatArray) -> tuple[FloatArray, NDArray[np.int64]]:
    """Return ``(rows, copy_of)``.

    The distinct rows in order of first appearance, and the number of each outcome's row.
    """
    plain = values + 0.0  # -0.0 and 0.0 are one value
    seen: dict[bytes, int] = {}
    copy_of = np.array([seen.setdefault(row.tobytes(), len(seen)) for row in plain], dtype=np.int64)
    return plain[np.unique(copy_of, return_index=True)[1]], copy_of


def replicates(values: FloatArray, counts: NDArray[Any]) -> Replicates:
    """Means in every draw.

    Args:
        values: shape ``(outcomes, problems)``, finite.
        counts: from `isocost.frontier.resample_counts`, or any weights of draws x problems; each
            draw is divided by its sum.

    Raises:
        IsocostError: a draw takes no problem at all.
    """
    rows, copy_of = distinct_rows(values)
    weight, size = _weighed(counts)
    return Replicates(rows, (rows @ weight.T) / size, copy_of)


def strip_rows(problems: int) -> int:
    """Outcomes of one strip."""
    return max(1, STRIP // max(problems, 1))


def strip_replicates(
    strips: Iterable[FloatArray],
    outcomes: int,
    counts: NDArray[Any],
    weights: FloatArray,
    *,
    room: FloatArray | DrawsAside | None = None,
    confidence: float | None = None,
) -> Replicates:
    """Like `replicates`, from strips of the matrix, one after the other.

    Only the means and the centers are kept.

    Args:
        strips: rows of the matrix in their order, finite; one strip holds `strip_rows` outcomes or
            fewer.
        outcomes: the most rows that there may be.
        counts: as in `replicates`.
        weights: weight of each problem in the centers, summing to 1.
        room: where the means are kept, of shape ``(outcomes, draws)``; memory where None.
        confidence: level of the intervals in ``spread``; None for no intervals.

    Raises:
        IsocostError: a draw takes no problem at all.
    """
    weight, size = _weighed(counts)
    # What is never written to takes no memory: there may be fewer distinct rows than outcomes.
    means, centers = np.empty((outcomes, len(counts))) if room is None else room, np.empty(outcomes)
    spread = None if confidence is None else np.empty((3, outcomes))
    seen: dict[bytes, int] = {}
    copy_of: list[NDArray[np.int64]] = []
    for strip in strips:
        plain, known = strip + 0.0, len(seen)
        # Digests instead of the rows: 128 bits never agree by chance.
        keys = [hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in plain]
        numbers = np.array([seen.setdefault(key, len(seen)) for key in keys], dtype=np.int64)
        copy_of.append(numbers)
        if len(seen) > known:
            fresh, first = np.unique(numbers, return_index=True)
            new, rows = plain[first[fresh >= known]], slice(known, len(seen))
            for at, found in _means_of(new, weight, size):
                means[known + at : known + at + len(found)] = found
                if spread is not None and confidence is not None:
                    spread[:2, known + at : known + at + len(found)] = percentile_interval(
                        found, confidence
                    )
                    spread[2, known + at : known + at + len(found)] = standard_error(found)
            centers[rows] = new @ weights
    n, none = len(seen), np.array([], dtype=np.int64)
    kept = means if isinstance(means, DrawsAside) else means[:n]
    own_spread = None if spread is None else spread[:, :n]
    return Replicates(
        np.empty((n, 0)),
        kept,
        np.concatenate(copy_of) if copy_of else none,
        centers[:n],
        own_spread,
    )


def _means_of(
    rows: FloatArray, weight: FloatArray, size: FloatArray
) -> Iterator[tuple[int, FloatArray]]:
    """Means of some rows in every draw, a block of rows after the other: first row and means."""
    step = max(1, STRIP // len(weight))
    for at in range(0, len(rows), step):
        yield at, (rows[at : at + step] @ weight.T) / size


def _weighed(counts: NDArray[Any]) -> tuple[FloatArray, FloatArray]:
    weight = counts.astype(np.float64)
    size = weight.sum(axis=1)
    if not (size > 0).all():
        raise IsocostError(
            f"draw {int(np.argmin(size))} takes no problem",
            remedy="Give every draw a positive weight.",
        )
    return weight, size


def percentile_interval(means: FloatArray, confidence: float) -> tuple[FloatArray, FloatArray]:
    """``(low, high)`` of every row: linear between order statistics.

    As ``numpy.quantile``, to the bit.

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
            row[start : start + step] = (
                left + gap * share if share < 0.5 else right - gap * (1 - share)
            )
    return found[0], found[1]


def standard_error(means: FloatArray) -> FloatArray:
    """Standard deviation over the draws of every row of ``means``, shape ``(rows, draws)``."""
    found = np.empty(len(means))
    step = max(1, BLOCK // means.shape[1])
    for start in range(0, len(means), step):
        found[start : start + step] = means[start : start + step].std(axis=1, ddof=1)
    return found
