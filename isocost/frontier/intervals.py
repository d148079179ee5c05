"""Intervals and standard errors for accuracies.

Lives here: binomial intervals for one sample per problem, clustered and fixed-benchmark standard
errors for repeated samples, variance components, t intervals of means. Not here: bootstrap
intervals (bootstrap.py), comparisons of two configurations.

Binomial intervals assume independent trials: right for M problems with one sample each, wrong for M
x n pooled samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats
from scipy.special import betaincinv, ndtri

from isocost.errors import IsocostError
from isocost.frontier.arrays import FloatArray, finite_array

# Variance below rounding dust would mean billions of trials.
_DUST = 1e-24


def _proportion(
    successes: ArrayLike, trials: ArrayLike, confidence: float
) -> tuple[FloatArray, FloatArray, float]:
    try:
        x, n = np.broadcast_arrays(
            np.asarray(successes, dtype=np.float64), np.asarray(trials, dtype=np.float64)
        )
    except ValueError as error:
        raise IsocostError(
            f"successes and trials do not fit each other: {error}",
            remedy="Give one count of each per row.",
        ) from None
    if not ((n > 0) & (x >= 0) & (x <= n)).all():
        raise IsocostError(
            "successes are not between 0 and a positive number of trials",
            remedy="Pass counts x and n with 0 <= x <= n.",
        )
    if not 0 < confidence < 1:
        raise IsocostError(
            f"the confidence is {confidence}", remedy="Use a value between 0 and 1, e.g. 0.95."
        )
    return x, n, (1 - confidence) / 2


def wilson(
    successes: ArrayLike, trials: ArrayLike, confidence: float = 0.95
) -> tuple[FloatArray, FloatArray]:
    """Score interval of Wilson (1927): (low, high) of the shape of the inputs, inside [0, 1].

    Examples:
        >>> low, high = wilson(7, 10)
        >>> low.item(), high.item()
        (0.396778, 0.892209)
    """
    x, n, tail = _proportion(successes, trials, confidence)
    z = float(-ndtri(tail))
    share, bend = x / n, z * z / n
    center = (share + bend / 2) / (1 + bend)
    half = z / (1 + bend) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return np.where(x == 0, 0.0, np.maximum(center - half, 0)), np.where(
        x == n, 1.0, np.minimum(center + half, 1)
    )


def jeffreys(
    successes: ArrayLike, trials: ArrayLike, confidence: float = 0.95
) -> tuple[FloatArray, FloatArray]:
    """Equal-tailed interval of Beta(x + 1/2, n - x + 1/2), with 0 at x = 0 and 1 at x = n.

    Brown, Cai and DasGupta 2001.

    Examples:
        >>> low, high = jeffreys(7, 10)
        >>> low.item(), high.item()
        (0.394182, 0.907305)
    """
    x, n, tail = _proportion(successes, trials, confidence)
    low = np.where(x == 0, 0.0, betaincinv(x + 0.5, n - x + 0.5, tail))
    return low, np.where(x == n, 1.0, betaincinv(x + 0.5, n - x + 0.5, 1 - tail))


def clopper_pearson(
    successes: ArrayLike, trials: ArrayLike, confidence: float = 0.95
) -> tuple[FloatArray, FloatArray]:
    """Exact, conservative interval of Clopper and Pearson (1934).

    (low, high) of the shape of the inputs.

    Examples:
        >>> low, high = clopper_pearson(7, 10)
        >>> low.item(), high.item()
        (0.347547, 0.93326)
    """
    x, n, tail = _proportion(successes, trials, confidence)
    low = np.where(x == 0, 0.0, betaincinv(np.maximum(x, 0.5), n - x + 1, tail))
    return low, np.where(x == n, 1.0, betaincinv(x + 1, np.maximum(n - x, 0.5), 1 - tail))


def mean_interval(values: ArrayLike, confidence: float = 0.95) -> tuple[FloatArray, FloatArray]:
    """Student-t interval of the mean over the last axis (problems).

    With problems - 1 degrees of freedom.

    Raises:
        IsocostError: fewer than two problems, or a value is not finite.

    Examples:
        >>> low, high = mean_interval([1.0, 0.5, 0.0])
        >>> low.item(), high.item()
        (-0.742069, 1.742069)
    """
    data = finite_array(values, "values", (1, 2))
    if data.shape[-1] < 2:
        raise IsocostError(
            f"{data.shape[-1]} problem", remedy="The spread of a mean needs at least two problems."
        )
    half = (
        stats.t.ppf((1 + confidence) / 2, data.shape[-1] - 1)
        * data.std(axis=-1, ddof=1)
        / np.sqrt(data.shape[-1])
    )
    return data.mean(axis=-1) - half, data.mean(axis=-1) + half


def score_interval(
    values: ArrayLike, confidence: float = 0.95, *, clusters: ArrayLike | None = None
) -> tuple[FloatArray, FloatArray]:
    """Wilson interval at the effective number of trials, for mean accuracies.

    Per-problem values are in [0, 1].

    The effective number m (1 - m) / SE^2 reflects the effect of repeated samples and clusters on
    the variance, and is shrunk by (z / t)^2 for the estimated SE (Korn and Graubard 1998, with
    Wilson's interval as in Dean and Pagano 2015). Stays inside [0, 1] and, unlike bootstrap and t
    intervals, keeps its level near 0 and 1. Without spread between problems the trials are the
    problems (clusters) themselves; so they are where every problem is all right or all wrong, as
    with one sample each, and the interval is then Wilson's own.

    Args:
        values: mean score per problem, shape ``(problems,)`` or ``(outcomes, problems)``.
        confidence: level.
        clusters: optional label per problem.

    Returns:
        ``(low, high)``, one entry per outcome (scalars for one).

    Raises:
        IsocostError: fewer than two problems or clusters, or a value outside [0, 1].

    Examples:
        >>> low, high = score_interval([1.0, 0.5, 0.0, 0.25, 0.75])
        >>> low.item(), high.item()
        (0.149741, 0.850259)
    """
    rows = np.atleast_2d(finite_array(values, "values", (1, 2)))
    center, variance, units = _mean_variance(rows, clusters)
    spread = (variance > _DUST) & (center > 0) & (center < 1)
    trials = np.divide(
        center * (1 - center), variance, out=np.full(len(rows), float(units)), where=spread
    )
    trials = (
        trials * (ndtri((1 + confidence) / 2) / stats.t.ppf((1 + confidence) / 2, units - 1)) ** 2
    )
    if clusters is None:
        # The variance of independent trials follows from their mean: nothing is estimated, so
        # nothing is to be shrunk.
        trials = np.where(((rows == 0) | (rows == 1)).all(axis=1), float(units), trials)
    low, high = wilson(np.clip(center, 0, 1) * trials, trials, confidence)
    return (low[0], high[0]) if np.ndim(values) == 1 else (low, high)


def _mean_variance(
    values: ArrayLike, clusters: ArrayLike | None
) -> tuple[FloatArray, FloatArray, int]:
    """Means over the last axis, their variances over problems or clusters, number of units."""
    data = finite_array(values, "values", (1, 2))
    if ((data < 0) | (data > 1)).any():
        raise IsocostError(
            "a value is outside [0, 1]",
            remedy="Use mean_interval for quantities that are not shares.",
        )
    center = data.mean(axis=-1)
    sums, units = data - center[..., None], data.shape[-1]
    if clusters is not None:
        label = np.unique(np.asarray(clusters), return_inverse=True)[1].reshape(-1)
        units = int(label.max()) + 1
        sums = sums @ np.eye(units)[label]
    if units < 2:
        raise IsocostError(
            f"{units} problem or cluster", remedy="The spread of a mean needs at least two."
        )
    return center, (sums**2).sum(axis=-1) * units / (units - 1) / data.shape[-1] ** 2, units


def stratified_score_interval(
    strata: Sequence[ArrayLike],
    weights: ArrayLike,
    confidence: float = 0.95,
    *,
    clusters: Sequence[ArrayLike | None] | None = None,
) -> tuple[FloatArray, FloatArray]:
    """Wilson interval for a weighted mean of mean accuracies, e.g. over tasks.

    Each accuracy is a mean over its own problems.

    As `score_interval`, at the effective number of trials m (1 - m) / SE^2 with SE^2 = sum_t w_t^2
    SE_t^2, shrunk for Satterthwaite's degrees of freedom. A stratum without spread, where a
    bootstrap would see no uncertainty at all, gets the variance that Agresti and Coull's (1998)
    estimate warrants at its number of problems (clusters).

    Args:
        strata: one array of values in [0, 1] per stratum, each ``(problems,)`` or ``(outcomes,
            problems)``.
        weights: weight of each stratum, summing to 1.
        confidence: level.
        clusters: optional labels per stratum, None if each problem is independent.

    Returns:
        ``(low, high)``, one entry per outcome (scalars for one), inside [0, 1].

    Raises:
        IsocostError: no stratum, a stratum with fewer than two problems or clusters, or a value
            outside [0, 1].

    Examples:
        >>> low, high = stratified_score_interval([[1, 0.5, 0], [0.25, 0.75]], [0.5, 0.5])
        >>> low.item(), high.item()
        (0.110317, 0.889683)
    """
    share = finite_array(weights, "weights", (1,))
    labels = [None] * len(strata) if clusters is None else list(clusters)
    if len(strata) == 0 or len(share) != len(strata) or len(labels) != len(strata):
        raise IsocostError(
            f"{len(strata)} strata, {len(share)} weights",
            remedy="Give one weight (and one entry of clusters) a stratum.",
        )
    parts = [_stratum(part, label, confidence) for part, label in zip(strata, labels, strict=True)]
    center = np.clip(np.tensordot(share, np.stack([mean for mean, _, _ in parts]), 1), 0.0, 1.0)
    each = np.stack(
        [weight**2 * variance for weight, (_, variance, _) in zip(share, parts, strict=True)]
    )
    with np.errstate(divide="ignore"):  # nothing was estimated: the normal quantile
        freedom = each.sum(axis=0) ** 2 / sum(
            part**2 / free for part, (_, _, free) in zip(each, parts, strict=True)
        )
    inner = (center > 0) & (center < 1)
    alike = 1 / sum(
        weight**2 / np.shape(part)[-1] for weight, part in zip(share, strata, strict=True)
    )
    trials = np.divide(
        center * (1 - center), each.sum(axis=0), out=np.full(center.shape, alike), where=inner
    )
    trials = (
        trials * (ndtri((1 + confidence) / 2) / stats.t.ppf((1 + confidence) / 2, freedom)) ** 2
    )
    low, high = wilson(center * trials, trials, confidence)
    return low[()], high[()]


def _stratum(
    values: ArrayLike, clusters: ArrayLike | None, confidence: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Mean, its variance, positive, and the degrees of freedom with which that is known."""
    center, variance, units = _mean_variance(values, clusters)
    data, z = np.asarray(values, dtype=np.float64), float(ndtri((1 + confidence) / 2))
    is_plain = ((data == 0) | (data == 1)).all(axis=-1) & (clusters is None)
    pulled = (center * units + z * z / 2) / (units + z * z)
    variance = np.where(is_plain, center * (1 - center) / units, variance)
    variance = np.where(variance > _DUST, variance, pulled * (1 - pulled) / (units + z * z))
    # The variance of independent trials follows from their mean: nothing else is estimated.
    return center, variance, np.where(is_plain, np.inf, units - 1.0)


def clustered_se(scores: ArrayLike, clusters: ArrayLike, *, small_sample: bool = True) -> float:
    """Cluster-robust standard error of a mean.

    Liang and Zeger 1986; Miller 2024 without the factor.

    Args:
        scores: shape ``(n,)``, one per sample (or problem).
        clusters: label per score: the problem, or the coarsest shared source.
        small_sample: multiply the variance by G / (G - 1); with equal cluster sizes this equals
            sd(cluster means) / sqrt(G).

    Returns:
        The standard error; NaN with fewer than two clusters, where it is undefined.

    Raises:
        IsocostError: lengths disagree or a score is not finite.

    Examples:
        >>> scores, problem = (
        ...     [1, 1, 1, 1, 1, 0, 1, 0, 0, 0, 0, 0],
        ...     [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2],
        ... )
        >>> clustered_se(scores, problem), clustered_se(scores, problem, small_sample=False)
        (0.288675, 0.235702)
    """
    data = finite_array(scores, "scores", (1,))
    label = np.unique(np.asarray(clusters), return_inverse=True)[1].reshape(-1)
    if len(label) != len(data):
        raise IsocostError(
            f"{len(label)} cluster labels for {len(data)} scores",
            remedy="Give one label per score.",
        )
    groups = int(label.max()) + 1 if len(label) else 0
    if groups < 2:
        return float("nan")
    sums = np.bincount(label, weights=data - data.mean(), minlength=groups)
    return float(
        np.sqrt((sums**2).sum() * (groups / (groups - 1) if small_sample else 1.0)) / len(data)
    )


def fixed_benchmark_se(correct: ArrayLike, samples: ArrayLike) -> float:
    """Standard error of the mean accuracy when the problems are fixed and only sampling varies.

    Args:
        correct: correct samples per problem, shape ``(problems,)``.
        samples: samples per problem, at least 2 each.

    Returns:
        sqrt(sum_i s_i^2 / n_i) / problems; NaN where a problem has a single sample.

    Examples:
        >>> fixed_benchmark_se([4, 2, 0], [4, 4, 4])
        0.096225
    """
    c, n = np.broadcast_arrays(
        np.asarray(correct, dtype=np.float64), np.asarray(samples, dtype=np.float64)
    )
    if not ((n > 0) & (c >= 0) & (c <= n)).all():
        raise IsocostError(
            "correct counts are not between 0 and the samples",
            remedy="Pass counts c and n with 0 <= c <= n.",
        )
    if (n < 2).any():
        return float("nan")
    share = c / n
    return float(np.sqrt((share * (1 - share) / (n - 1)).sum()) / len(n))


@dataclass(frozen=True)
class VarianceSplit:
    """Where the spread of samples comes from, for equal numbers of samples per problem.

    Attributes:
        between: variance of the problems' true means, not below 0.
        within: mean variance of samples inside a problem.
        intraclass: between / (between + within); NaN when both are 0.
        design_effect: 1 + (n - 1) x intraclass: factor by which pooling samples understates the
            variance.
    """

    between: float
    within: float
    intraclass: float
    design_effect: float


def variance_split(scores: ArrayLike) -> VarianceSplit:
    """One-way random-effects split of ``scores`` (problems, samples), at least 2 x 2.

    Examples:
        >>> variance_split([[1, 1, 1, 1], [1, 0, 1, 0], [0, 0, 0, 0]])
        VarianceSplit(between=0.222222, within=0.111111, intraclass=0.666667, design_effect=3.0)
    """
    data = finite_array(scores, "scores", (2,))
    if min(data.shape) < 2:
        raise IsocostError(
            f"scores are {data.shape}", remedy="The split needs two problems and two samples each."
        )
    within = float(data.var(axis=1, ddof=1).mean())
    between = max(float(data.mean(axis=1).var(ddof=1)) - within / data.shape[1], 0.0)
    total = between + within
    share = between / total if total > 0 else float("nan")
    return VarianceSplit(between, within, share, 1 + (data.shape[1] - 1) * share)
