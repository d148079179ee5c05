"""A bounded Levenberg-Marquardt solver that fits many small curves in one call.

Lives here: the iteration, vectorised over fits. ``scipy.optimize.least_squares`` solves one problem per call and costs milliseconds
in overhead; a refit of every curve under hundreds of bootstrap draws needs tens of thousands of fits with two or three parameters
each, which as one batch is a handful of small matrix products. Not here: families, start values, statistics.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from isocost.curves.base import Array

Evaluate = Callable[[Array, Array], tuple[Array, Array]]


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
    """Picks for each fit the start (B, S, P) with the smallest residual sum; returns (B, P)."""
    n_fits, n_starts, n_parameters = starts.shape
    if n_starts == 1:
        return starts[:, 0]
    flat = starts.reshape(n_fits * n_starts, n_parameters)

    def spread(values: Array) -> Array:
        return np.repeat(values, n_starts, axis=0)

    rss = weighted_rss(evaluate, flat, spread(log_x), spread(y), spread(weight)).reshape(n_fits, n_starts)
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
    """Minimises sum_n weight (y - f(theta, x))^2 for B fits at once, inside a box.

    A parameter on its bound whose gradient points outward is held for the step (projected gradient); the damping follows
    Marquardt's scaling. Fits that have converged leave the batch.

    Args:
        evaluate: returns predictions (b, N) and Jacobian (b, N, P) for a sub-batch.
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
    lower = np.broadcast_to(lower, theta.shape)
    upper = np.broadcast_to(upper, theta.shape)
    theta = np.clip(theta, lower, upper)
    rss = np.empty(len(theta))
    converged = np.zeros(len(theta), dtype=bool)
    rows = np.arange(len(theta))
    damping = np.full(len(theta), 1e-3)
    predicted, jacobian = evaluate(theta, log_x)
    rss[:] = (weight * (y - predicted) ** 2).sum(axis=1)
    for _ in range(max_iterations):
        if not len(rows):
            break
        current, lx, obs, w = theta[rows], log_x[rows], y[rows], weight[rows]
        step = _step(predicted, jacobian, current, obs, w, lower[rows], upper[rows], damping[rows])
        trial = np.clip(current + step, lower[rows], upper[rows])
        trial_predicted, trial_jacobian = evaluate(trial, lx)
        trial_rss = (w * (obs - trial_predicted) ** 2).sum(axis=1)
        better = trial_rss < rss[rows]
        moved = np.abs(trial - current).max(axis=1)
        gained = rss[rows] - trial_rss
        small = (moved <= 1e-12 * (1.0 + np.abs(current).max(axis=1))) | (better & (gained <= tolerance * rss[rows]))
        done = small | (~better & (damping[rows] > 1e10)) | (better & (trial_rss <= 1e-28))
        theta[rows[better]] = trial[better]
        rss[rows[better]] = trial_rss[better]
        damping[rows] = np.clip(np.where(better, damping[rows] * 0.2, damping[rows] * 6.0), 1e-9, 1e12)
        converged[rows[done]] = True
        keep = ~done
        predicted = np.where(better[:, None], trial_predicted, predicted)[keep]
        jacobian = np.where(better[:, None, None], trial_jacobian, jacobian)[keep]
        rows = rows[keep]
    return Solution(theta, rss, converged)


def _step(predicted: Array, jacobian: Array, theta: Array, y: Array, weight: Array, lower: Array, upper: Array, damping: Array) -> Array:
    """One damped Gauss-Newton step per fit, with parameters held that would leave the box."""
    gradient = np.einsum("bnp,bn->bp", jacobian, weight * (y - predicted))
    held = ((theta <= lower) & (gradient <= 0)) | ((theta >= upper) & (gradient >= 0))
    hessian = np.matmul(jacobian.transpose(0, 2, 1), weight[:, :, None] * jacobian)
    n_parameters = theta.shape[1]
    diagonal = np.einsum("bpp->bp", hessian)
    scale = np.maximum(diagonal, 1e-12 * diagonal.max(axis=1, keepdims=True) + 1e-200)
    hessian = hessian + np.eye(n_parameters) * (damping[:, None] * scale)[:, :, None]
    either = held[:, :, None] | held[:, None, :]
    hessian = np.where(either, np.eye(n_parameters), hessian)
    # Unit diagonal before solving: parameters may differ by many orders of magnitude.
    root = np.sqrt(np.einsum("bpp->bp", hessian))
    scaled = hessian / (root[:, :, None] * root[:, None, :]) + 1e-15 * np.eye(n_parameters)
    return np.linalg.solve(scaled, (np.where(held, 0.0, gradient) / root)[:, :, None])[:, :, 0] / root
