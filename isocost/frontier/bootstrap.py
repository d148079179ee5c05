"""One bootstrap of problems, shared by every outcome.

Lives here: resampling of problems (or clusters of problems), replicate means draw by draw,
percentile and BCa intervals, frontier membership. Not here: means of all draws at once
(replication.py), who is on each draw's frontier (draws.py), intervals for single proportions
(intervals.py), paired tests (comparisons.py).

The unit of resampling is the problem, with all its outcomes, so any two outcomes are compared on
the same draw. The spread over samples of one problem is not uncertainty about the accuracy and is
never resampled instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from isocost.errors import IsocostError
from isocost.frontier.arrays import FloatArray, finite_array, matrix_pair
from isocost.frontier.dominance import frontier_rows
from isocost.frontier.draws import pair_up, sweep
from isocost.frontier.replication import (
    ROUNDING,
    distinct_rows,
    percentile_interval,
    replicates,
    standard_error,
)

Interval = Literal["percentile", "bca"]

# Numbers in flight per chunk: 16 Mi float64 = 128 MiB for each of the handful of temporaries.
CHUNK = 1 << 21


@dataclass(frozen=True)
class ProblemBootstrap:
    """Result of one shared bootstrap of problems; every array has one entry per outcome.

    Attributes:
        quality: mean of the values over problems.
        quality_low: lower end of its interval.
        quality_high: upper end of its interval.
        quality_se: standard deviation of the replicate means.
        cost: mean cost over problems.
        cost_low: lower end of its interval.
        cost_high: upper end of its interval.
        membership: share of draws in which no other outcome dominates this one (duplicates kept), 0
            to 1.
        draws: number of draws.
        seed: seed of the generator.
        confidence: level of the intervals.
        method: "percentile" or "bca", with "-clustered" when clusters were resampled.
    """

    quality: FloatArray
    quality_low: FloatArray
    quality_high: FloatArray
    quality_se: FloatArray
    cost: FloatArray
    cost_low: FloatArray
    cost_high: FloatArray
    membership: FloatArray
    draws: int
    seed: int
    confidence: float
    method: str


def problem_bootstrap(
    values: ArrayLike,
    costs: ArrayLike,
    draws: int = 2000,
    seed: int = 0,
    *,
    confidence: float = 0.95,
    method: Interval = "percentile",
    clusters: ArrayLike | None = None,
    noise_variance: ArrayLike | None = None,
) -> ProblemBootstrap:
    """Resample problems once and evaluate every outcome on the same draws.

    Efron 1979; BCa: Efron 1987.

    Args:
        values: quality per problem, shape ``(outcomes, problems)``, e.g. expected correctness in
            [0, 1].
        costs: cost per problem on one axis, same shape, known everywhere.
        draws: number of bootstrap draws.
        seed: of ``numpy.random.default_rng``; the same seed gives the same draws for any number of
            outcomes.
        confidence: level of the two-sided intervals.
        method: "percentile", or "bca" (bias-corrected and accelerated, for skewed means of few
            problems).
        clusters: optional label per problem, shape ``(problems,)``; whole clusters are then
            resampled.
        noise_variance: optional second stage, same shape as values: sampling variance of each
            value. Adds independent normal noise to the replicate means; leave out when a fixed bank
            was used up, as it would count that noise twice.

    Returns:
        Means, intervals and membership probability per outcome.

    Raises:
        IsocostError: shapes disagree, a value or cost is NaN or infinite, fewer than two problems
            or clusters, or bad options.

    Examples:
        >>> a, b, c = [1, 0, 0], [1, 1, 0], [0, 1, 1]
        >>> found = problem_bootstrap([a, b, c], [[1] * 3, [2] * 3, [3] * 3], draws=2000)
        >>> found.membership.round(2).tolist()  # 27, 19 and 10 of 27 possible resamples
        [1.0, 0.71, 0.37]
    """
    grades, spent = matrix_pair(values, costs)
    _check(draws, confidence, method)
    counts = resample_counts(grades.shape[1], draws, seed, clusters=clusters)
    noise = None
    if noise_variance is not None:
        noise = finite_array(noise_variance, "noise_variance", (2,))
        if noise.shape != grades.shape or (noise < 0).any():
            raise IsocostError(
                "`noise_variance` does not fit the values",
                remedy="Same shape as values, zero or positive.",
            )
    member = frontier_membership(grades, spent, counts, noise, seed)
    low, high, se = bootstrap_intervals(grades, counts, confidence, method, clusters, noise, seed)
    cost_low, cost_high, _ = bootstrap_intervals(spent, counts, confidence, method, clusters)
    name = method if clusters is None else f"{method}-clustered"
    center, price = grades.mean(axis=1), spent.mean(axis=1)
    return ProblemBootstrap(
        center, low, high, se, price, cost_low, cost_high, member, draws, seed, confidence, name
    )


def resample_counts(
    problems: int, draws: int, seed: int, *, clusters: ArrayLike | None = None
) -> NDArray[np.uint16]:
    """How often each problem is drawn in each bootstrap draw.

    Args:
        problems: number of problems.
        draws: number of draws.
        seed: of ``numpy.random.default_rng``.
        clusters: optional label per problem; whole clusters are drawn, as many as there are.

    Returns:
        Shape ``(draws, problems)``.

    Raises:
        IsocostError: fewer than two problems or clusters, or a label per problem is missing.
    """
    if clusters is None:
        units, label = problems, None
    else:
        label = np.unique(np.asarray(clusters), return_inverse=True)[1].reshape(-1)
        if len(label) != problems:
            raise IsocostError(
                f"{len(label)} cluster labels for {problems} problems",
                remedy="Give one label per problem.",
            )
        units = int(label.max()) + 1
    if units < 2:
        kind = "problem" if clusters is None else "cluster"
        raise IsocostError(
            f"there is only {units} {kind} to resample",
            remedy=f"Uncertainty needs at least two {kind}s.",
        )
    rng = np.random.default_rng(seed)
    counts = np.empty((draws, units), dtype=np.uint16)
    rows = max(1, CHUNK // units)
    for start in range(0, draws, rows):
        stop = min(start + rows, draws)
        drawn = (
            rng.integers(0, units, (stop - start, units)) + np.arange(stop - start)[:, None] * units
        )
        counts[start:stop] = np.bincount(drawn.ravel(), minlength=(stop - start) * units).reshape(
            -1, units
        )
    return counts if label is None else counts[:, label]


def replicate_means(
    values: FloatArray, counts: NDArray[Any], noise: FloatArray | None = None, seed: int = 0
) -> Iterator[tuple[int, FloatArray]]:
    """Yield ``(first draw, means)`` chunk by chunk; means are ``(draws in chunk, outcomes)``.

    Outcomes with the same values on every problem (strategies that spend the same samples) get
    bit-identical means, so that a tie stays a tie in every draw.

    Args:
        values: shape ``(outcomes, problems)``.
        counts: from `resample_counts`, or any weights of draws x problems; each draw is divided by
            its sum.
        noise: optional sampling variance of each value, same shape.
        seed: of the noise.
    """
    rows = max(1, CHUNK // max(values.shape))
    distinct, copy_of = distinct_rows(values)
    for start in range(0, len(counts), rows):
        weight = counts[start : start + rows].astype(np.float64)
        size = weight.sum(axis=1, keepdims=True)
        means = (weight @ distinct.T / size)[:, copy_of]
        if noise is not None:
            spread = np.sqrt(weight @ noise.T) / size
            means += spread * np.random.default_rng([seed, 1, start]).standard_normal(means.shape)
        yield start, means


def frontier_membership(
    values: FloatArray,
    costs: FloatArray,
    counts: NDArray[Any],
    noise: FloatArray | None = None,
    seed: int = 0,
) -> FloatArray:
    """Share of draws in which each outcome is on the frontier.

    Arguments as `replicate_means`, costs like values.
    """
    if noise is None:
        pairs = pair_up(replicates(values, counts), replicates(costs, counts))
        return sweep(pairs)[1][pairs.copy_of] / len(counts)
    hits = np.zeros(len(values), dtype=np.int64)
    chunks = zip(
        replicate_means(costs, counts), replicate_means(values, counts, noise, seed), strict=True
    )
    for (_, price), (_, grade) in chunks:
        hits += np.count_nonzero(frontier_rows(price, grade, rounding=ROUNDING), axis=0)
    return hits / len(counts)


def bootstrap_intervals(
    values: FloatArray,
    counts: NDArray[Any],
    confidence: float = 0.95,
    method: Interval = "percentile",
    clusters: ArrayLike | None = None,
    noise: FloatArray | None = None,
    seed: int = 0,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Low end, high end and standard error per outcome.

    A block of outcomes at a time, so that memory stays bounded.

    Arguments as in `problem_bootstrap` and `replicate_means`; ``clusters`` are those that the
    counts were drawn with.
    """
    if noise is None and method == "percentile":
        return _plain_intervals(values, counts, confidence)
    low, high, se = (np.empty(len(values)) for _ in range(3))
    width = max(1, 4 * CHUNK // len(counts))
    for start in range(0, len(values), width):
        block = slice(start, start + width)
        spread = None if noise is None else noise[block]
        means = np.concatenate(
            [part for _, part in replicate_means(values[block], counts, spread, seed + start)]
        )
        se[block] = means.std(axis=0, ddof=1)
        tails = np.array([(1 - confidence) / 2, (1 + confidence) / 2])
        if method == "percentile":
            low[block], high[block] = np.quantile(means, tails, axis=0)
        else:
            levels = _bca_levels(values[block], means, tails, clusters)
            ranked = np.sort(means, axis=0)
            low[block], high[block] = (_quantile_at(ranked, level) for level in levels)
    return low, high, se


def _plain_intervals(
    values: FloatArray, counts: NDArray[Any], confidence: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Percentile intervals and standard errors of distinct rows, spread to their copies."""
    rows, copy_of = distinct_rows(values)
    found = np.empty((3, len(rows)))
    width = max(1, 4 * CHUNK // len(counts))
    for start in range(0, len(rows), width):
        means = replicates(rows[start : start + width], counts).tile(slice(None))
        found[:2, start : start + width] = percentile_interval(means, confidence)
        found[2, start : start + width] = standard_error(means)
    low, high, se = found[:, copy_of]
    return low, high, se


def _bca_levels(
    values: FloatArray, means: FloatArray, tails: FloatArray, clusters: ArrayLike | None
) -> FloatArray:
    """Quantile levels of the BCa interval, shape (2, outcomes).

    Ties with the estimate count half.
    """
    center = values.mean(axis=1)
    slack = ROUNDING * np.maximum(np.abs(center), 1e-300)
    below = np.mean(means < center - slack, axis=0) + 0.5 * np.mean(
        np.abs(means - center) <= slack, axis=0
    )
    bias = ndtri(np.clip(below, 0.5 / len(means), 1 - 0.5 / len(means)))
    influence = values - center[:, None]
    if clusters is not None:
        label = np.unique(np.asarray(clusters), return_inverse=True)[1].reshape(-1)
        influence = influence @ np.eye(label.max() + 1)[label]
    power = (influence**2).sum(axis=1) ** 1.5
    skew = (influence**3).sum(axis=1)
    acceleration = np.divide(skew, 6 * power, out=np.zeros_like(skew), where=power > 0)
    shifted = bias + ndtri(tails)[:, None]
    return ndtr(bias + shifted / (1 - acceleration * shifted))


def _quantile_at(ranked: FloatArray, level: FloatArray) -> FloatArray:
    """Linear-interpolation quantile with a separate level for every column of a sorted matrix."""
    place = level * (len(ranked) - 1)
    lower = np.clip(np.floor(place).astype(np.int64), 0, len(ranked) - 1)
    upper = np.minimum(lower + 1, len(ranked) - 1)
    column = np.arange(ranked.shape[1])
    return ranked[lower, column] + (place - lower) * (ranked[upper, column] - ranked[lower, column])


def _check(draws: int, confidence: float, method: str) -> None:
    if draws < 2:
        raise IsocostError(
            f"{draws} bootstrap draws", remedy="Use at least 2; 1,000 or more for intervals."
        )
    if not 0 < confidence < 1:
        raise IsocostError(
            f"the confidence is {confidence}", remedy="Use a value between 0 and 1, e.g. 0.95."
        )
    if method not in ("percentile", "bca"):
        raise IsocostError(
            f"`{method}` is not a bootstrap interval", remedy='Use "percentile" or "bca".'
        )
