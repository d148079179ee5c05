"""A bounded Levenberg-Marquardt solver that fits many small curves in one call.

Lives here: the iteration, vectorised over fits. ``scipy.optimize.least_squares`` solves one problem
per call and costs milliseconds in overhead; a refit of every curve under hundreds of bootstrap
draws needs tens of thousands of fits with two or three parameters each. Every array is stored
column by column (Fortran order), so that each operation runs over all fits at once. Not here:
families, start values, statistics.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from isocost.curves.base import Array

Evaluate = Callable[[Array, Array], tuple[Array, Sequence[Array]]]


@dataclass(frozen=True)
class Solution:
    """Result of ``solve``.

    Attributes:
        theta: (B, P) parameters.
        rss: (B,) weighted residual sums of squares.
        is_converged: (B,) whether the iteration met its tolerance.
    """

    theta: Array
    rss: Array
    is_converged: np.ndarray


def weighted_rss(evaluate: Evaluate, theta: Array, log_x: Array, y: Array, weight: Array) -> Array:
    """Weighted residual sums of squares of B parameter vectors, shape (B,)."""
    predicted, _ = evaluate(theta, log_x)
    return (weight * (y - predicted) ** 2).sum(axis=1)


def best_start(evaluate: Evaluate, starts: Array, log_x: Array, y: Array, weight: Array) -> Array:
    """Pick for each fit the start (B, S, P) with the smallest residual sum; returns (B, P)."""
    n_fits, n_starts, n_parameters = starts.shape
    if n_starts == 1:
        return starts[:, 0]
    flat = starts.reshape(n_fits * n_starts, n_parameters)

    def spread(values: Array) -> Array:
        return np.repeat(values, n_starts, axis=0)

    rss = weighted_rss(evaluate, flat, spread(log_x), spread(y), spread(weight)).reshape(
        n_fits, n_starts
    )
    rss = np.where(np.isfinite(rss), rss, np.inf)
    return starts[np.arange(n_fits), rss.argmin(axis=1)]


def solve(
    evaluate: Evaluate,
    theta: Array,
    log_x: Array,
    y: Array,
    weight: Array,
    lower: Array,
    upper: Array,
    *,
    max_iterations: int = 200,
    tolerance: float = 1e-14,
) -> Solution:
    """Minimise sum_n weight (y - f(theta, x))^2 for B fits at once, inside a box.

    A parameter on its bound whose gradient points outward is held for the step (projected
    gradient); the damping follows Marquardt's scaling. Fits that have converged leave the batch.

    Args:
        evaluate: returns predictions (b, N) and their P derivatives, each (b, N), for a sub-batch.
        theta: (B, P) start values.
        log_x: (B, N) natural logarithm of compute.
        y: (B, N) observations.
        weight: (B, N) weights; 0 leaves a point out.
        lower: bounds, broadcastable to (B, P).
        upper: bounds, broadcastable to (B, P).
        max_iterations: cap on iterations.
        tolerance: a step that lowers the residual sum by less than this share ends the fit.

    Returns:
        The solution; ``is_converged`` is False where the cap ended the iteration.
    """
    lower, upper = (np.broadcast_to(bound, theta.shape) for bound in (lower, upper))
    theta = np.clip(theta, lower, upper)
    rss, converged = np.empty(len(theta)), np.zeros(len(theta), dtype=bool)
    # The working set: arrays of the fits still under way, thinned out when a third of them is done,
    # not at every step.
    rows, now = np.arange(len(theta)), np.array(theta, order="F")
    data = tuple(np.array(values, order="F") for values in (log_x, y, weight, lower, upper))
    active = np.ones(len(theta), dtype=bool)
    predicted, slopes = evaluate(now, data[0])
    best = (data[2] * (data[1] - predicted) ** 2).sum(axis=1)
    fits = _Fits(now, best, predicted, slopes, np.full(len(theta), 1e-3))
    for _ in range(max_iterations):
        fits, done = _iterate(evaluate, fits, active, data, tolerance)
        converged[rows[done]] = True
        active &= ~done
        if active.sum() <= 0.67 * len(active):
            theta[rows], rss[rows] = fits.theta, fits.rss
            if not active.any():
                return Solution(theta, rss, converged)
            fits, data, rows = (
                fits.only(active),
                tuple(_only(v, active) for v in data),
                rows[active],
            )
            active = np.ones(len(rows), dtype=bool)
    theta[rows], rss[rows] = fits.theta, fits.rss
    return Solution(theta, rss, converged)


@dataclass(frozen=True)
class _Fits:
    """The fits under way: parameters, residual sums, predictions, slopes and damping of each."""

    theta: Array
    rss: Array
    predicted: Array
    slopes: Sequence[Array]
    damping: Array

    def only(self, active: np.ndarray) -> _Fits:
        """Those that have not converged."""
        return _Fits(
            _only(self.theta, active),
            self.rss[active],
            _only(self.predicted, active),
            [_only(slope, active) for slope in self.slopes],
            self.damping[active],
        )


def _only(values: Array, active: np.ndarray) -> Array:
    return np.array(values[active], order="F")


# A function of its own: in the body of the loop a type checker would infer every array from every
# other, for half a minute.
def _iterate(
    evaluate: Evaluate, fits: _Fits, active: np.ndarray, data: tuple[Array, ...], tolerance: float
) -> tuple[_Fits, np.ndarray]:
    """The fits after one step, and which of them ended with it."""
    lx, obs, w, low, high = data
    now, best, damping = fits.theta, fits.rss, fits.damping
    step = _step(fits.predicted, fits.slopes, now, obs, w, low, high, damping)
    trial = np.clip(now + step, low, high)
    trial_predicted, trial_slopes = evaluate(trial, lx)
    reached = (w * (obs - trial_predicted) ** 2).sum(axis=1)
    better = active & (reached < best)
    moved, size = np.abs(trial - now).max(axis=1), np.abs(now).max(axis=1)
    small = (moved <= 1e-12 * (1.0 + size)) | (better & (best - reached <= tolerance * best))
    done = active & (small | (~better & (damping > 1e10)) | (better & (reached <= 1e-28)))
    column = better[:, None]
    after = _Fits(
        np.where(column, trial, now),
        np.where(better, reached, best),
        np.where(column, trial_predicted, fits.predicted),
        [np.where(column, new, old) for new, old in zip(trial_slopes, fits.slopes, strict=True)],
        np.clip(np.where(better, damping * 0.2, damping * 6.0), 1e-9, 1e12),
    )
    return after, done


def _step(
    predicted: Array,
    slopes: Sequence[Array],
    theta: Array,
    y: Array,
    weight: Array,
    lower: Array,
    upper: Array,
    damping: Array,
) -> Array:
    """One damped Gauss-Newton step per fit, with parameters held that would leave the box."""
    size = len(slopes)
    residual = weight * (y - predicted)
    gradient = [(slope * residual).sum(axis=1) for slope in slopes]
    held = [
        ((theta[:, i] <= lower[:, i]) & (gradient[i] <= 0))
        | ((theta[:, i] >= upper[:, i]) & (gradient[i] >= 0))
        for i in range(size)
    ]
    weighted = [weight * slope for slope in slopes]
    diagonal = [(weighted[i] * slopes[i]).sum(axis=1) for i in range(size)]
    largest = np.maximum.reduce(diagonal)
    # Unit diagonal before solving: parameters may differ by many orders of magnitude.
    root = [
        np.where(held[i], 1.0, np.sqrt(np.maximum(diagonal[i], 1e-12 * largest + 1e-200)))
        for i in range(size)
    ]
    nothing = np.zeros(0)
    matrix: list[list[Array]] = [[nothing] * size for _ in range(size)]
    for i in range(size):
        matrix[i][i] = np.where(held[i], 1.0, 1.0 + damping)
        for j in range(i):
            product = (weighted[i] * slopes[j]).sum(axis=1) / (root[i] * root[j])
            matrix[i][j] = matrix[j][i] = np.where(held[i] | held[j], 0.0, product)
    right = [np.where(held[i], 0.0, gradient[i] / root[i]) for i in range(size)]
    solution = _eliminate(matrix, right)
    return np.stack([solution[i] / root[i] for i in range(size)], axis=0).T


def _eliminate(matrix: list[list[Array]], right: list[Array]) -> list[Array]:
    """Solve many small positive definite systems, entry by entry.

    Without pivots, which such systems do not need.
    """
    size = len(right)
    for k in range(size):
        # The damping keeps every pivot above 1e-9 except for rounding.
        pivot = np.maximum(matrix[k][k], 1e-12)
        for i in range(k + 1, size):
            ratio = matrix[i][k] / pivot
            right[i] = right[i] - ratio * right[k]
            for j in range(k, size):
                matrix[i][j] = matrix[i][j] - ratio * matrix[k][j]
    for k in reversed(range(size)):
        for j in range(k + 1, size):
            right[k] = right[k] - matrix[k][j] * right[j]
        right[k] = right[k] / np.maximum(matrix[k][k], 1e-12)
    return right
