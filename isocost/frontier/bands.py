"""Simultaneous bands for curves over a budget.

Lives here: the multiplier-bootstrap band of a curve or of the difference of two curves, e.g. pass@k over k. Not here: the
per-problem curve values, which the caller computes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from isocost.errors import IsocostError
from isocost.frontier.arrays import FloatArray, finite_array


@dataclass(frozen=True)
class Band:
    """A band that covers a whole curve at once; arrays have one entry per grid point.

    Attributes:
        mean: the curve.
        se: its standard error over problems, sd(ddof=1) / sqrt(problems).
        low: lower edge.
        high: upper edge.
        critical: multiplier of the standard error that makes the band simultaneous.
        confidence: level of the whole band.
        draws: multiplier draws.
        seed: seed of the generator.
    """

    mean: FloatArray
    se: FloatArray
    low: FloatArray
    high: FloatArray
    critical: float
    confidence: float
    draws: int
    seed: int

    @property
    def sign(self) -> NDArray[np.int8]:
        """1 where the whole band lies above zero, -1 where below, 0 where it is inconclusive."""
        return ((self.low > 0).astype(np.int8) - (self.high < 0)).astype(np.int8)


def simultaneous_band(
    values: ArrayLike, against: ArrayLike | None = None, *, confidence: float = 0.95, draws: int = 4000, seed: int = 0
) -> Band:
    """Sup-t band by Gaussian multipliers per problem (Chernozhukov, Chetverikov and Kato 2013).

    Args:
        values: curve of every problem, shape ``(grid points, problems)``, e.g. pass@k of each problem for k = 1..K.
        against: optional curve of the same problems under another configuration; the band is then of values - against.
        confidence: probability that the whole curve lies inside.
        draws: multiplier draws.
        seed: of ``numpy.random.default_rng``.

    Returns:
        The band. Grid points without any spread keep width 0 and do not enter the supremum.

    Raises:
        IsocostError: shapes disagree, fewer than two problems, or a value is not finite (e.g. pass@k with k > n).
    """
    curve = finite_array(values, "values", (2,))
    if against is not None:
        other = finite_array(against, "against", (2,))
        if other.shape != curve.shape:
            raise IsocostError(f"the curves are {curve.shape} and {other.shape}", remedy="Pair them problem by problem.")
        curve = curve - other
    problems = curve.shape[1]
    if problems < 2:
        raise IsocostError(f"{problems} problem", remedy="A band needs at least two problems.")
    if not 0 < confidence < 1:
        raise IsocostError(f"the confidence is {confidence}", remedy="It lies between 0 and 1, e.g. 0.95.")
    mean = curve.mean(axis=1)
    se = curve.std(axis=1, ddof=1) / np.sqrt(problems)
    moving = se > 0
    critical = 0.0
    if moving.any():
        scaled = (curve[moving] - mean[moving, None]) / (problems * se[moving, None])
        rng = np.random.default_rng(seed)
        peak = np.concatenate(
            [np.abs(rng.standard_normal((min(500, draws - start), problems)) @ scaled.T).max(axis=1) for start in range(0, draws, 500)]
        )
        critical = float(np.quantile(peak, confidence))
    return Band(mean, se, mean - critical * se, mean + critical * se, critical, confidence, draws, seed)
