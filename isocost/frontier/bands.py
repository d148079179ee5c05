"""Simultaneous bands for curves over a budget.

Lives here: the multiplier-bootstrap band of a curve or of the difference of two curves, e.g. pass@k
over k. Not here: the per-problem curve values, which the caller computes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri
from scipy.stats import qmc

from isocost.errors import IsocostError
from isocost.frontier.arrays import FloatArray, finite_array

# Larger grids, and those that vary in more directions, are drawn problem by problem: nothing is
# saved there.
MOST_FACTORED, MOST_DIRECTIONS = 256, 40


@dataclass(frozen=True)
class Band:
    """A band that covers a whole curve at once; arrays have one entry per grid point.

    Attributes:
        mean: the curve.
        se: its standard error over problems, sd(ddof=1) / sqrt(problems).
        low: lower edge.
        high: upper edge.
        critical: multiplier of the standard error that makes the band simultaneous.
        p_value: two-sided, adjusted for all grid points at once (single-step max-t, Westfall and
            Young 1993); 1 where the curve is 0 without spread, NaN where it is another constant.
        confidence: level of the whole band.
        draws: multiplier draws.
        seed: seed of the generator.
    """

    mean: FloatArray
    se: FloatArray
    low: FloatArray
    high: FloatArray
    critical: float
    p_value: FloatArray
    confidence: float
    draws: int
    seed: int

    @property
    def sign(self) -> NDArray[np.int8]:
        """1 if the whole band is above zero, -1 if it is below, 0 if it is inconclusive."""
        return ((self.low > 0).astype(np.int8) - (self.high < 0)).astype(np.int8)


def simultaneous_band(
    values: ArrayLike,
    against: ArrayLike | None = None,
    *,
    confidence: float = 0.95,
    draws: int = 4096,
    seed: int = 0,
    clusters: ArrayLike | None = None,
) -> Band:
    """Sup-t band by Gaussian multipliers per problem (Chernozhukov, Chetverikov and Kato 2013).

    The grid may be anything that is measured on the same problems: the budgets of one curve, or
    many pairs of configurations, whose differences the band then covers all at once.

    Args:
        values: curve of every problem, shape ``(grid points, problems)``, e.g. pass@k of each
            problem for k = 1..K.
        against: optional curve of the same problems under another configuration; the band is then
            of values - against.
        confidence: probability that the whole curve lies inside.
        draws: multiplier draws, rounded up to a power of two.
        seed: of the generator.
        clusters: optional label per problem; whole clusters then share a multiplier.

    Returns:
        The band. Grid points without any spread keep width 0 and do not enter the supremum.

    Raises:
        IsocostError: shapes disagree, fewer than two problems (clusters), or a value is not finite
            (e.g. pass@k with k > n).

    Examples:
        >>> band = simultaneous_band([[1, 1, 1], [0, 0.5, 1], [0, 0, 0.5]])
        >>> band.low.round(2).tolist(), band.high.round(2).tolist()
        ([1.0, -0.0, -0.12], [1.0, 1.0, 0.46])
    """
    curve = _difference(values, against)
    if not 0 < confidence < 1:
        raise IsocostError(
            f"the confidence is {confidence}", remedy="Use a value between 0 and 1, e.g. 0.95."
        )
    mean = curve.mean(axis=1)
    sums = _unit_sums(curve - mean[:, None], clusters)
    units = sums.shape[1]
    if units < 2:
        raise IsocostError(
            f"{units} {'problem' if clusters is None else 'cluster'}",
            remedy="A band needs at least two problems.",
        )
    se = np.sqrt((sums**2).sum(axis=1) * units / (units - 1)) / curve.shape[1]
    # Sums of equal numbers leave rounding dust; without this it would look like spread.
    se = np.where(se <= 1e-14 * np.abs(curve).max(axis=1, initial=0.0), 0.0, se)
    moving = se > 0
    draws = 1 << (max(draws, 2) - 1).bit_length()
    critical, p_value = 0.0, np.where(np.abs(mean) <= 1e-14, 1.0, np.nan)
    if moving.any():
        peak = _peaks(sums[moving] / (curve.shape[1] * se[moving, None]), draws, seed)
        critical = float(np.quantile(peak, confidence))
        beyond = len(peak) - np.searchsorted(
            np.sort(peak), np.abs(mean[moving]) / se[moving], side="left"
        )
        p_value[moving] = (1 + beyond) / (1 + len(peak))
    return Band(
        mean,
        se,
        mean - critical * se,
        mean + critical * se,
        critical,
        p_value,
        confidence,
        draws,
        seed,
    )


def _difference(values: ArrayLike, against: ArrayLike | None) -> FloatArray:
    curve = finite_array(values, "values", (2,))
    if against is None:
        return curve
    other = finite_array(against, "against", (2,))
    if other.shape != curve.shape:
        raise IsocostError(
            f"the curves are {curve.shape} and {other.shape}",
            remedy="Pair them problem by problem.",
        )
    return curve - other


def _unit_sums(centered: FloatArray, clusters: ArrayLike | None) -> FloatArray:
    """Sums of what is centred over each unit, shape (grid points, units)."""
    if clusters is None:
        return centered
    label = np.unique(np.asarray(clusters), return_inverse=True)[1].reshape(-1)
    if len(label) != centered.shape[1]:
        raise IsocostError(
            f"{len(label)} cluster labels for {centered.shape[1]} problems",
            remedy="Give one label per problem.",
        )
    return centered @ np.eye(int(label.max()) + 1)[label]


def _peaks(scaled: FloatArray, draws: int, seed: int) -> FloatArray:
    """Largest absolute standardised error over the grid in each multiplier draw.

    The errors are normal with a covariance that is known, ``scaled @ scaled.T``. A smooth curve
    varies in few directions: one normal number for each of these serves as well as one per problem,
    and quasi-random ones (scrambled Sobol points) fix the quantile as well as many times as many
    random ones. Grids that vary in many directions get random numbers a problem.
    """
    factor, normal = scaled, None
    if len(scaled) <= MOST_FACTORED:
        left, size, _ = np.linalg.svd(scaled, full_matrices=False)
        kept = size > 1e-4 * size[0]
        if kept.sum() <= MOST_DIRECTIONS:
            factor = left[:, kept] * size[kept]
            # Directions have no sign of their own: without one fixed, another library would draw
            # other numbers.
            factor *= np.sign(factor[np.abs(factor).argmax(axis=0), np.arange(factor.shape[1])])
            normal = _quasi_normals(factor.shape[1], draws, seed)
    rng = np.random.default_rng(seed)

    def noise(start: int, stop: int) -> FloatArray:
        return (
            rng.standard_normal((stop - start, factor.shape[1]))
            if normal is None
            else normal[start:stop]
        )

    step = 1 << max(0, int(np.log2(4e6 // max(factor.shape))))
    starts = range(0, draws, step)
    return np.concatenate(
        [np.abs(noise(start, min(start + step, draws)) @ factor.T).max(axis=1) for start in starts]
    )


@lru_cache(maxsize=8)
def _quasi_normals(directions: int, draws: int, seed: int) -> FloatArray:
    """Quasi-random normal numbers (draws, directions).

    The bands of a task share them: many curves, few numbers of directions.
    """
    normal = ndtri(np.clip(qmc.Sobol(directions, rng=seed).random(draws), 1e-15, 1 - 1e-15))
    normal.setflags(write=False)
    return normal
