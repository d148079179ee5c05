"""Fits one curve, or thousands at once.

Lives here: ``fit`` and ``fit_many``, the result classes, information criteria and the status of a
fit. Not here: the families, the solver, intervals.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from isocost.curves.base import Array, Family
from isocost.curves.base import family as find_family
from isocost.curves.solver import Solution, best_start, solve
from isocost.errors import IsocostError

Status = Literal["ok", "flat", "at_bound", "too_few_points", "not_converged"]
# Noise around 1 is an accuracy still; 42 is a percentage, which every bounded family would call
# flat.
_MOST = 1.5
STATUSES: tuple[Status, ...] = ("ok", "flat", "at_bound", "too_few_points", "not_converged")
# A rise below this over all observed compute is not a gain: it is far below one problem in a
# benchmark of 100,000.
FLAT_GAIN = 1e-6
# A perfect fit has no finite log-likelihood; the mean squared residual is floored at the rounding
# error of an accuracy.
_RSS_FLOOR = 1e-30
_CHUNK = 256


@dataclass(frozen=True)
class Fit:
    """One fitted curve.

    Attributes:
        family: name of the family.
        parameters: public parameters by name; None where the data do not identify one.
        asymptote: limit for unbounded compute; None where the family has none or the fit failed;
            the level of a flat curve.
        rss: weighted residual sum of squares (weights scaled to mean 1); None for a likelihood fit
            or without a fit.
        aic: n ln(RSS/n) + 2 K with K = curve parameters + 1, or 2 K - 2 ln L for a likelihood fit.
        aicc: AIC + 2 K (K + 1) / (n - K - 1); None where n <= K + 1.
        bic: n ln(RSS/n) + K ln n, or K ln n - 2 ln L.
        n: number of points (of problems for a likelihood fit).
        status: "ok"; "flat" (no gain with compute: a result); "at_bound" (a parameter ended on its
            bound, so it is not identified); "too_few_points"; "not_converged".
        log_likelihood: maximised log-likelihood; None for a least-squares fit.
        level: the constant that a flat fit predicts; None otherwise.
        x: compute of the points fitted; empty for a likelihood fit.
        y: accuracy of the points fitted.
        weights: their weights, as scaled.
        model: the family object, for families that carry a setting.
    """

    family: str
    parameters: Mapping[str, float | None]
    asymptote: float | None
    rss: float | None
    aic: float | None
    aicc: float | None
    bic: float | None
    n: int
    status: Status
    log_likelihood: float | None = None
    level: float | None = None
    x: tuple[float, ...] = field(default=(), repr=False)
    y: tuple[float, ...] = field(default=(), repr=False)
    weights: tuple[float, ...] = field(default=(), repr=False)
    model: Family | None = field(default=None, repr=False, compare=False)

    def predict(self, x: ArrayLike) -> Array:
        """Evaluate the curve at compute ``x`` (any shape, positive).

        NaN where the fit has no parameters.
        """
        points = np.asarray(x, dtype=np.float64)
        if self.level is not None:
            return np.full(points.shape, self.level)
        values = np.array([[np.nan if v is None else v for v in self.parameters.values()]])
        if not np.isfinite(values).all():
            return np.full(points.shape, np.nan)
        model = self.model or find_family(self.family)
        return model.predict(values, points.reshape(1, -1)).reshape(points.shape)


@dataclass(frozen=True)
class BatchFit:
    """B curves of one family fitted together; row b of every array belongs to curve b.

    Attributes:
        model: the family.
        parameters: (B, Q) public parameters, NaN where unidentified.
        asymptote: (B,) limits, NaN where there is none.
        level: (B,) constants of flat curves, NaN otherwise.
        rss: (B,) weighted residual sums of squares, NaN without a fit.
        n: (B,) points with positive weight.
        status: (B,) indices into ``STATUSES``.
        theta: (B, P) internal parameters, NaN without a fit.
        x: (B, N) compute.
        y: (B, N) accuracy.
        weight: (B, N) weights, scaled to mean 1 over the points in use.
    """

    model: Family
    parameters: Array
    asymptote: Array
    level: Array
    rss: Array
    n: np.ndarray
    status: np.ndarray
    theta: Array
    x: Array
    y: Array
    weight: Array

    def __len__(self) -> int:
        """Number of curves."""
        return len(self.rss)

    def predict(self, x: ArrayLike) -> Array:
        """Evaluate all curves at ``x``, shape (N,) or (B, N).

        Returns (B, N), NaN without a fit.
        """
        points = np.broadcast_to(np.asarray(x, dtype=np.float64), (len(self), np.shape(x)[-1]))
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            curve = self.model.predict(self.parameters, points)
        return np.where(np.isnan(self.level)[:, None], curve, self.level[:, None])

    def compute_to_target(self, target: ArrayLike) -> Array:
        """Compute at which each curve reaches ``target`` (scalar or (B,)).

        +inf where it never does, NaN without a fit.
        """
        goal = np.broadcast_to(np.asarray(target, dtype=np.float64), (len(self),))
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            x = self.model.invert(self.parameters, goal)
        return np.where(np.isnan(self.level), x, np.where(self.level >= goal, 0.0, np.inf))

    def rows(self, index: slice | np.ndarray) -> BatchFit:
        """Some of the curves."""
        names = (
            "parameters",
            "asymptote",
            "level",
            "rss",
            "n",
            "status",
            "theta",
            "x",
            "y",
            "weight",
        )
        return BatchFit(self.model, **{name: getattr(self, name)[index] for name in names})

    def rescaled(self, factor: Array) -> BatchFit:
        """The same curves with every x multiplied by ``factor`` (B,), without fitting again.

        Raises:
            IsocostError: when the family's shape depends on the unit of x.
        """
        theta = self.model.rescale(self.theta, np.log(factor))
        if theta is None:
            raise IsocostError(
                f"family {self.model.name} counts whole units of x",
                where="rescaled",
                remedy="Fit it again.",
            )
        with np.errstate(invalid="ignore", over="ignore"):
            parameters = np.where(
                np.isnan(self.level)[:, None], self.model.public(theta), self.parameters
            )
        return replace(
            self, theta=theta, parameters=parameters, x=self.x * np.asarray(factor)[:, None]
        )

    def criteria(self) -> tuple[Array, Array, Array]:
        """AIC, AICc and BIC of every curve, each (B,); NaN where undefined."""
        n, k = self.n.astype(np.float64), self.model.n_free + 1
        with np.errstate(invalid="ignore", divide="ignore"):
            base = n * np.log(np.maximum(self.rss / n, _RSS_FLOOR))
            correction = np.where(n > k + 1, 2.0 * k * (k + 1) / (n - k - 1), np.nan)
            return base + 2 * k, base + 2 * k + correction, base + k * np.log(n)

    def fit(self, row: int = 0) -> Fit:
        """Row ``row`` as a ``Fit``."""
        aic, aicc, bic = (_known(values[row]) for values in self.criteria())
        used = self.weight[row] > 0
        names = self.model.parameter_names
        return Fit(
            family=self.model.name,
            parameters={
                name: _known(value) for name, value in zip(names, self.parameters[row], strict=True)
            },
            asymptote=_known(self.asymptote[row]),
            rss=_known(self.rss[row]),
            aic=aic,
            aicc=aicc,
            bic=bic,
            n=int(self.n[row]),
            status=STATUSES[self.status[row]],
            level=_known(self.level[row]),
            x=tuple(self.x[row][used].tolist()),
            y=tuple(self.y[row][used].tolist()),
            weights=tuple(self.weight[row][used].tolist()),
            model=self.model,
        )


def fit(family: str | Family, x: ArrayLike, y: ArrayLike, weights: ArrayLike | None = None) -> Fit:
    """Fit one curve by weighted least squares.

    Args:
        family: name of a registered family, or a ``Family`` instance.
        x: (N,) compute, positive.
        y: (N,) accuracy in 0..1.
        weights: (N,) non-negative weights, best 1 / variance of y; equal when None.

    Returns:
        The fit. Flat, degenerate or too few data give a status, never an exception.

    Raises:
        IsocostError: when the family is unknown or the input is malformed (shapes, x <= 0, NaN,
            negative weights, y in percent).

    Examples:
        >>> found = fit(
        ...     "saturating_power_law",
        ...     [1, 4, 16, 64, 256, 1024],
        ...     [0.30, 0.545, 0.68, 0.735, 0.77, 0.782],
        ... )
        >>> found.parameters
        {'y_inf': 0.799564, 'a': 0.500533, 'b': 0.500031}
    """
    values = np.atleast_1d(np.asarray(y, dtype=np.float64))
    beyond = values[np.isfinite(values) & (np.abs(values) > _MOST)]
    if beyond.size:
        raise IsocostError(
            f"{beyond[-1]:g} is not an accuracy",
            where="fit: y",
            remedy="Give fractions in 0..1, not percent.",
        )
    return fit_many(family, np.atleast_1d(x), values[None, :], weights).fit(0)


def fit_many(
    family: str | Family,
    x: ArrayLike,
    y: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    initial: Array | None = None,
    tolerance: float = 1e-14,
    max_iterations: int = 200,
) -> BatchFit:
    """Fit B curves of one family at once, for example all bootstrap draws of all strategies.

    Args:
        family: name of a registered family, or a ``Family`` instance.
        x: (N,) or (B, N) compute, positive.
        y: (B, N) accuracy.
        weights: (N,) or (B, N); a point of weight 0 is left out, so that curves with different
            numbers of points can share a batch.
        initial: (B, P) start values in internal parameters (``BatchFit.theta``) that replace the
            family's own grid of starts; rows with NaN get the grid. Bootstrap draws start at the
            fit to the data, which is several times as fast.
        tolerance: relative change of the residual sum that ends a fit.
        max_iterations: steps after which a fit counts as not converged and keeps what it reached.

    Returns:
        The fits.

    Raises:
        IsocostError: on an unknown family or malformed input.
    """
    model = find_family(family)
    x, y, weight = _checked(x, y, weights)
    n = (weight > 0).sum(axis=1)
    log_x = np.log(x)
    lower, upper = model.bounds(log_x, y)
    span = _range(y, weight)
    distinct = _distinct(log_x, weight)
    fittable = (distinct >= model.n_free) & (span > FLAT_GAIN)
    theta = np.full((len(y), lower.shape[-1]), np.nan)
    rss = np.full(len(y), np.nan)
    converged = np.ones(len(y), dtype=bool)
    rows = np.flatnonzero(fittable)
    if len(rows):
        picked = (log_x[rows], y[rows], weight[rows])
        box = (np.broadcast_to(lower, theta.shape)[rows], np.broadcast_to(upper, theta.shape)[rows])
        first = (
            np.full((len(rows), theta.shape[1]), np.nan)
            if initial is None
            else np.array(initial[rows], dtype=np.float64)
        )
        first = _started(model, np.clip(first, *box), picked, box)
        solution = _solved(
            model, first, picked, box, tolerance=tolerance, max_iterations=max_iterations
        )
        theta[rows], rss[rows], converged[rows] = (
            solution.theta,
            solution.rss,
            solution.is_converged,
        )
    return _assembled(model, x, y, weight, n, theta, rss, converged, distinct, (lower, upper))


def _started(
    model: Family, first: Array, picked: tuple[Array, Array, Array], box: tuple[Array, Array]
) -> Array:
    """Fill the rows without start values from the family's grid.

    In chunks, because the grid is large.
    """
    cold = np.flatnonzero(np.isnan(first).any(axis=1))
    for begin in range(0, len(cold), _CHUNK):
        rows = cold[begin : begin + _CHUNK]
        part = tuple(values[rows] for values in picked)
        starts = np.clip(model.starts(*part), box[0][rows, None], box[1][rows, None])
        first[rows] = best_start(model.evaluate, starts, *part)
    return first


def _solved(
    model: Family,
    first: Array,
    picked: tuple[Array, Array, Array],
    box: tuple[Array, Array],
    **limits: Any,
) -> Solution:
    """Fit from the given starts.

    Fits that end worse than the mean are repeated from the mean, which they can only improve on.
    """
    solution = solve(model.evaluate, first, *picked, *box, **limits)
    _, y, weight = picked
    level = (weight * y).sum(axis=1) / weight.sum(axis=1)
    start = model.constant(level)
    if start is None:
        return solution
    rows = np.flatnonzero(
        solution.rss > (weight * (y - level[:, None]) ** 2).sum(axis=1) * (1.0 + 1e-6)
    )
    if len(rows):
        again = solve(
            model.evaluate, start[rows], *(values[rows] for values in (*picked, *box)), **limits
        )
        solution.theta[rows], solution.rss[rows], solution.is_converged[rows] = (
            again.theta,
            again.rss,
            again.is_converged,
        )
    return solution


def _assembled(
    model: Family,
    x: Array,
    y: Array,
    weight: Array,
    n: np.ndarray,
    theta: Array,
    rss: Array,
    converged: np.ndarray,
    distinct: np.ndarray,
    box: tuple[Array, Array],
) -> BatchFit:
    """Convert internal solutions to public results, and determine the status of each."""
    has_theta = np.asarray(np.isfinite(theta).all(axis=1))
    with np.errstate(invalid="ignore", over="ignore"):
        parameters = model.public(theta)
        predicted = model.evaluate(np.where(has_theta[:, None], theta, 0.0), np.log(x))[0]
    gain = _range(predicted, weight)
    mean = (weight * y).sum(axis=1) / np.maximum(weight.sum(axis=1), 1e-300)
    is_short = distinct < model.n_free
    is_flat = ~is_short & (~has_theta | (gain <= FLAT_GAIN))
    on_bound = ((theta <= box[0] + 1e-9) | (theta >= box[1] - 1e-9)).any(axis=1)
    status = np.select([is_short, is_flat, ~converged, on_bound], [3, 1, 4, 2], default=0)
    level = np.where(is_flat, mean, np.nan)
    parameters = np.where(is_flat[:, None] | ~has_theta[:, None], np.nan, parameters)
    if model.level_parameter is not None:
        parameters[is_flat, model.parameter_names.index(model.level_parameter)] = mean[is_flat]
    with np.errstate(invalid="ignore", over="ignore"):
        asymptote = np.where(is_flat, mean, model.asymptote(parameters))
    flat_rss = (weight * (y - mean[:, None]) ** 2).sum(axis=1)
    rss = np.where(is_flat, flat_rss, rss)
    return BatchFit(model, parameters, asymptote, level, rss, n, status, theta, x, y, weight)


def _checked(x: ArrayLike, y: ArrayLike, weights: ArrayLike | None) -> tuple[Array, Array, Array]:
    """Broadcast the input to (B, N), scale the weights and reject unusable input."""
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    w = np.ones(y.shape[-1:]) if weights is None else np.asarray(weights, dtype=np.float64)
    if y.ndim != 2 or x.shape[-1:] != y.shape[-1:] or w.shape[-1:] != y.shape[-1:]:
        raise IsocostError(
            f"x, y and weights have different lengths: {x.shape}, {y.shape}, {w.shape}",
            where="fit",
            remedy="Give one y and weight for every x.",
        )
    x, w = np.broadcast_to(x, y.shape), np.broadcast_to(w, y.shape)
    if y.shape[1] == 0:
        x, y, w = (np.pad(values, ((0, 0), (0, 1))) for values in (x, y, w))
    if not np.isfinite(w).all() or (w < 0).any():
        raise IsocostError(
            "weights must be finite and not negative",
            where="fit: weights",
            remedy="Use 1 / variance, or 0 to leave a point out.",
        )
    used = w > 0
    if not (np.isfinite(x) & (x > 0))[used].all():
        raise IsocostError(
            "compute must be positive and finite",
            where="fit: x",
            remedy="Give such points weight 0 or leave them out.",
        )
    if not np.isfinite(y[used]).all():
        raise IsocostError(
            "accuracy must be finite",
            where="fit: y",
            remedy="Give such points weight 0 or leave them out.",
        )
    # Points of weight 0 may have any value; they get harmless values so that arithmetic on them
    # cannot raise or spread NaN.
    first = np.argmax(used, axis=1)[:, None]
    x = np.where(
        used,
        x,
        np.where(
            used.any(axis=1, keepdims=True), np.take_along_axis(np.asarray(x), first, axis=1), 1.0
        ),
    )
    total = np.maximum(w.sum(axis=1, keepdims=True), 1e-300)
    return x, np.where(used, y, 0.0), w * used.sum(axis=1, keepdims=True) / total


def _range(values: Array, weight: Array) -> Array:
    """Largest minus smallest value over the points in use; 0 where there are none."""
    used = weight > 0
    top = np.where(used, values, -np.inf).max(axis=1, initial=-np.inf)
    low = np.where(used, values, np.inf).min(axis=1, initial=np.inf)
    return np.where(used.any(axis=1), top - low, 0.0)


def _distinct(log_x: Array, weight: Array) -> np.ndarray:
    """Number of distinct compute values among the points in use, per row, up to rounding."""
    if log_x.shape[1] == 0:
        return np.zeros(len(log_x), dtype=int)
    ordered = np.sort(np.where(weight > 0, log_x, np.inf), axis=1)
    fresh = np.isfinite(ordered)
    with np.errstate(invalid="ignore"):
        fresh[:, 1:] &= ordered[:, 1:] - ordered[:, :-1] > 1e-9
    return fresh.sum(axis=1)


def _known(value: float) -> float | None:
    """None instead of NaN or infinity."""
    return float(value) if np.isfinite(value) else None
