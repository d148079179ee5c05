"""Intervals of fitted curves, and the compute needed for a target.

Lives here: profile intervals of an asymptote, percentile intervals from bootstrap draws,
``resampled_means`` and ``compute_to_target``. Not here: the fits themselves, and the choice between
families.

The profile interval takes the points as independent. Points that share samples are not; there the
problem bootstrap is the honest one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr
from scipy.stats import f as f_distribution
from scipy.stats import t as student

from isocost.curves.base import Array, Family
from isocost.curves.base import family as find_family
from isocost.curves.fitting import BatchFit, Fit, fit_many
from isocost.curves.solver import best_start, solve
from isocost.errors import IsocostError

_GRID, _ZOOMS = 25, 5


@dataclass(frozen=True)
class Interval:
    """A two-sided interval.

    Attributes:
        low: lower end; None if the data determine none.
        high: upper end; None if the data determine none.
        level: nominal coverage.
        method: "profile" or "problem_bootstrap_percentile".
    """

    low: float | None
    high: float | None
    level: float
    method: str


@dataclass(frozen=True)
class TargetCompute:
    """Compute needed to reach a target accuracy.

    Attributes:
        target: the requested accuracy.
        compute: x at which the curve reaches it, in the unit of the fit's x; None where it never
            does.
        low: lower end of the interval; None where unknown.
        high: upper end; None where unknown or unbounded.
        is_bounded: whether the interval has a finite upper end.
        share_reached: share of bootstrap draws whose curve reaches the target at all; None for a
            profile interval.
        status: "observed" (within the range of x), "extrapolated", "below_range", "unreachable" or
            "no_fit".
        level: nominal coverage.
        method: how the interval was made.
    """

    target: float
    compute: float | None
    low: float | None
    high: float | None
    is_bounded: bool
    share_reached: float | None
    status: Literal["observed", "extrapolated", "below_range", "unreachable", "no_fit"]
    level: float
    method: str


def resampled_means(
    values: ArrayLike, draws: int, seed: int, clusters: ArrayLike | None = None
) -> Array:
    """Bootstrap means over problems, all points together so that their correlation is kept.

    Args:
        values: (N, M) expected correctness (or cost) of N points on M problems, without NaN.
        draws: number of resamples D.
        seed: seed of the generator.
        clusters: (M,) labels; whole clusters are resampled if given.

    Returns:
        (D, N) means of the resampled problems.
    """
    values = np.asarray(values, dtype=np.float64)
    weights = problem_weights(values.shape[1], draws, seed, clusters)
    return weights @ values.T / weights.sum(axis=1, keepdims=True)


def problem_weights(
    n_problems: int, draws: int, seed: int, clusters: ArrayLike | None = None
) -> Array:
    """Multiplicities (D, M) of a problem bootstrap, or of a bootstrap of whole clusters."""
    labels = (
        np.arange(n_problems)
        if clusters is None
        else np.unique(np.asarray(clusters), return_inverse=True)[1].ravel()
    )
    size = int(labels.max()) + 1 if n_problems else 0
    if not size:
        return np.zeros((draws, 0))
    drawn = np.random.default_rng(seed).multinomial(size, np.full(size, 1.0 / size), size=draws)
    return drawn[:, labels].astype(np.float64)


def percentile_interval(
    values: ArrayLike,
    level: float = 0.95,
    method: str = "problem_bootstrap_percentile",
    *,
    units: int | None = None,
) -> Interval:
    """Percentile interval of bootstrap values, as ``percentile_bounds``.

    Infinite ends become None.
    """
    low, high = percentile_bounds(np.asarray(values, dtype=np.float64)[None, :], level, units)
    ends = [float(v) if np.isfinite(v) else None for v in (low[0], high[0])]
    return Interval(ends[0], ends[1], level, method)


def percentile_bounds(
    values: Array, level: float = 0.95, units: int | None = None
) -> tuple[Array, Array]:
    """Lower and upper percentiles of each row of (B, D).

    NaN draws are left out, +inf counts as larger than every number.

    The quantile p is at position p (D + 1) of the sorted draws; between two numbers it is
    interpolated, between a number and infinity it is the outer one, as there is nothing in between.

    Args:
        values: draws.
        level: nominal coverage.
        units: problems (clusters) that were resampled. The tail is then that of the expanded
            percentile interval (Hesterberg 2015): Phi(-sqrt(n / (n - 1)) t), t the quantile of
            Student's distribution with n - 1 degrees of freedom, because a bootstrap of few units
            is too narrow by the factor by which the t interval is wider than the normal one. If
            None, plain percentiles.
    """
    ordered = np.sort(values, axis=1)
    known = (~np.isnan(values)).sum(axis=1)
    if values.shape[1] == 0:
        return np.full(len(values), np.nan), np.full(len(values), np.nan)
    place = np.clip(_tail(level, units) * (known + 1), 1, np.maximum(known, 1)) - 1
    rows, outer = np.arange(len(values)), np.floor(place).astype(int)
    last = np.maximum(known - 1, 0)
    inner, share = np.minimum(outer + 1, last), place - outer

    def end(first: np.ndarray, second: np.ndarray) -> Array:
        near, far = ordered[rows, second], ordered[rows, first]
        with np.errstate(invalid="ignore"):
            between = far + share * (near - far)
        return np.where(
            known == 0, np.nan, np.where(np.isfinite(near) & np.isfinite(far), between, far)
        )

    return end(outer, inner), end(last - outer, last - inner)


@lru_cache(maxsize=256)
def _tail(level: float, units: int | None) -> float:
    """Share of the draws below the lower end.

    Cached: Student's quantile takes longer than sorting a row of draws.
    """
    tail = (1.0 - level) / 2.0
    if units is None or units <= 1:
        return tail
    return float(ndtr(np.sqrt(units / (units - 1)) * student.ppf(tail, units - 1)))


def _check_level(level: float, where: str) -> None:
    if not 0.0 < level < 1.0:
        raise IsocostError(
            f"level {level} is outside 0..1", where=where, remedy="Give a fraction such as 0.95."
        )


def profile_interval(fit: Fit, level: float = 0.95) -> Interval:
    """Profile interval of the asymptote of one least-squares fit.

    The asymptote is fixed, the other parameters are refitted, and values with RSS <= RSS_min (1 +
    F(level; 1, n - p) / (n - p)) are kept. Ends on the bound of the parameter (0 or 1) are reported
    as that bound.

    Returns:
        The interval; both ends None where the family's asymptote is not fitted, the fit is flat or
        failed, or n <= p.

    Examples:
        >>> from isocost.curves import fit
        >>> found = fit(
        ...     "saturating_power_law",
        ...     [1, 4, 16, 64, 256, 1024],
        ...     [0.30, 0.545, 0.68, 0.735, 0.77, 0.782],
        ... )
        >>> profile_interval(found)
        Interval(low=0.78522, high=0.815428, level=0.95, method='profile')
    """
    _check_level(level, "profile_interval")
    model = fit.model or find_family(fit.family)
    if (
        model.asymptote_kind != "fitted"
        or fit.status in ("flat", "too_few_points")
        or not fit.x
        or fit.rss is None
        or fit.asymptote is None
        or fit.n <= model.n_free
    ):
        return Interval(None, None, level, "profile")
    limit = fit.rss * (
        1.0 + f_distribution.ppf(level, 1, fit.n - model.n_free) / (fit.n - model.n_free)
    )
    box = tuple(np.broadcast_to(b, (1, b.shape[-1]))[0] for b in model.bounds(*_rows(fit, 1)[:2]))

    def inside(asymptotes: Array) -> np.ndarray:
        log_x, y, weight = _rows(fit, len(asymptotes))
        lower, upper = np.tile(box[0], (len(asymptotes), 1)), np.tile(box[1], (len(asymptotes), 1))
        lower[:, 0] = upper[:, 0] = asymptotes
        starts = np.clip(model.starts(log_x, y, weight), lower[:, None], upper[:, None])
        first = best_start(model.evaluate, starts, log_x, y, weight)
        return solve(model.evaluate, first, log_x, y, weight, lower, upper).rss <= limit * (
            1.0 + 1e-9
        )

    best = float(fit.asymptote)
    return Interval(
        _edge(inside, best, float(box[0][0])),
        _edge(inside, best, float(box[1][0])),
        level,
        "profile",
    )


def compute_to_target(
    fit: Fit,
    target: float,
    *,
    draws: BatchFit | None = None,
    level: float = 0.95,
    units: int | None = None,
) -> TargetCompute:
    """Compute at which a fitted curve reaches ``target``, with an interval.

    Args:
        fit: the curve fitted to the data.
        target: accuracy in 0..1.
        draws: the same family refitted under bootstrap draws; percentile interval over them, in
            which a draw that never reaches the target counts as infinite compute. Without them a
            profile interval (least-squares fits only): compute c is kept while the best curve
            through (c, target) has RSS <= RSS_min (1 + F / (n - p)).
        level: nominal coverage.
        units: problems (clusters) behind the draws, as in ``percentile_bounds``.

    Raises:
        IsocostError: when the target or the level is not in 0..1.

    Examples:
        >>> from isocost.curves import fit
        >>> found = fit(
        ...     "saturating_power_law",
        ...     [1, 4, 16, 64, 256, 1024],
        ...     [0.30, 0.545, 0.68, 0.735, 0.77, 0.782],
        ... )
        >>> reached = compute_to_target(found, 0.75)
        >>> reached.compute, reached.low, reached.high
        (101.954, 78.386, 140.946)
    """
    _check_level(level, "compute_to_target")
    if not 0.0 <= target <= 1.0:
        raise IsocostError(
            f"target accuracy {target} is outside 0..1",
            where="compute_to_target",
            remedy="Give a fraction, not percent.",
        )
    compute = _central(fit, target)
    status = _target_status(fit, compute)
    if draws is None:
        low, high, share, method = *_profile_target(fit, target, compute, level), None, "profile"
    else:
        drawn = draws.compute_to_target(target)
        known = drawn[~np.isnan(drawn)]
        interval = percentile_interval(drawn, level, units=units)
        low, high, method = interval.low, interval.high, interval.method
        share = float(np.isfinite(known).mean()) if len(known) else None
    found = compute if compute is not None and np.isfinite(compute) else None
    return TargetCompute(target, found, low, high, high is not None, share, status, level, method)


def _central(fit: Fit, target: float) -> float | None:
    if fit.level is not None:
        return 0.0 if fit.level >= target else np.inf
    values = np.array([[np.nan if v is None else v for v in fit.parameters.values()]])
    if not np.isfinite(values).all():
        return None
    model = fit.model or find_family(fit.family)
    return float(model.invert(values, np.array([target]))[0])


def _target_status(
    fit: Fit, compute: float | None
) -> Literal["observed", "extrapolated", "below_range", "unreachable", "no_fit"]:
    if compute is None:
        return "no_fit"
    if not np.isfinite(compute):
        return "unreachable"
    if fit.x and compute < min(fit.x):
        return "below_range"
    return "observed" if fit.x and compute <= max(fit.x) * (1 + 1e-12) else "extrapolated"


def _profile_target(
    fit: Fit, target: float, compute: float | None, level: float
) -> tuple[float | None, float | None]:
    """Profile interval of the compute, by adding the point (c, target) with a dominant weight."""
    model = fit.model or find_family(fit.family)
    if compute is None or not (np.isfinite(compute) and compute > 0):
        return None, None
    if not fit.x or fit.rss is None or fit.level is not None or fit.n <= model.n_free:
        return None, None
    limit = fit.rss * (
        1.0 + f_distribution.ppf(level, 1, fit.n - model.n_free) / (fit.n - model.n_free)
    )
    x, y, weight = (np.array(values) for values in (fit.x, fit.y, fit.weights))

    def inside(log_compute: Array) -> np.ndarray:
        size = len(log_compute)
        every_x = np.concatenate([np.tile(x, (size, 1)), np.exp(log_compute)[:, None]], axis=1)
        every_y = np.tile(np.append(y, target), (size, 1))
        every_w = np.tile(np.append(weight, 1e7 * weight.max()), (size, 1))
        found = fit_many(model, every_x, every_y, every_w)
        rss = (weight * (y - found.predict(every_x)[:, :-1]) ** 2).sum(axis=1)
        hit = np.abs(found.predict(every_x)[:, -1] - target) < 1e-4
        return hit & (rss <= limit * (1.0 + 1e-6) + 1e-14)

    centre = float(np.log(compute))
    span = float(np.log(x.max() / x.min()))
    low = _edge(inside, centre, min(centre, float(np.log(x.min()))) - span)
    far = max(centre, float(np.log(x.max()))) + 4.0 * span
    high = _edge(inside, centre, far)
    return float(np.exp(low)), None if high >= far else float(np.exp(high))


def _edge(inside: Callable[[Array], np.ndarray], best: float, bound: float) -> float:
    """Last value from ``best`` towards ``bound`` that is inside, by zooming on a grid."""
    near, far = best, bound
    for _ in range(_ZOOMS):
        grid = np.linspace(near, far, _GRID)
        kept = inside(grid)
        kept[0] = True
        if kept.all():
            return float(grid[-1])
        first_out = int(np.argmin(kept))
        near, far = grid[first_out - 1], grid[first_out]
    return float(near)


def _rows(fit: Fit, size: int) -> tuple[Array, Array, Array]:
    """The data of a fit, repeated for ``size`` refits."""
    x, y, weights = (
        np.tile(np.array(values), (size, 1)) for values in (np.log(fit.x), fit.y, fit.weights)
    )
    return x, y, weights


def bootstrap_fits(
    family: str | Family,
    x: ArrayLike,
    means: Array,
    weights: ArrayLike | None = None,
    centre: Fit | None = None,
) -> BatchFit:
    """Refit one curve under bootstrap draws.

    Args:
        family: name or instance.
        x: (N,) or (D, N) compute.
        means: (D, N) accuracies under the draws, from ``resampled_means``.
        weights: (N,) weights.
        centre: the fit to the data, whose parameters the draws start from; fitted to the mean draw
            when None.
    """
    model = find_family(family)
    if centre is not None and centre.x and centre.level is None:
        start = fit_many(
            model, np.array(centre.x), np.array([centre.y]), np.array(centre.weights)
        ).theta
    else:
        start = fit_many(
            model,
            np.median(np.atleast_2d(np.asarray(x, dtype=np.float64)), axis=0),
            means.mean(axis=0)[None],
            weights,
        ).theta
    return fit_many(
        model, x, means, weights, initial=np.repeat(start, len(means), axis=0), tolerance=1e-10
    )
