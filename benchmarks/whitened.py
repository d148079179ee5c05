"""Least squares with the full covariance of a curve's points, for comparison.

The tables use weights only.

Lives here: generalised least squares by whitened residuals, the covariance shrunk towards its
diagonal. Not here: the experiment (``coverage_curves``) and what the project does with its outcome
(docs/decisions/0008).
"""

from __future__ import annotations

import numpy as np

from isocost.curves.base import Array, Family
from isocost.curves.solver import best_start, solve


def shrunk_covariance(observed: Array, shrinkage: float) -> Array:
    """Covariance of the mean accuracies, off-diagonals times ``1 - shrinkage``.

    Budgets x problems in, budgets x budgets out.

    The diagonal gets the same floor as the tables' weights, scaled down: a point near 0 or 1 has
    next to no variance.
    """
    covariance = np.cov(observed) / observed.shape[1]
    variance = np.diag(covariance)
    return (1 - shrinkage) * covariance + np.diag(
        shrinkage * variance + 0.0125 * np.median(variance)
    )


def fit_whitened(
    model: Family, x: Array, y: Array, covariance: Array, initial: Array | None = None
) -> Array:
    """Internal parameters (B, P) of the curves (B, N) that minimise r' C^-1 r, r the residuals."""
    whiten = np.linalg.inv(np.linalg.cholesky(covariance))
    # Mean weight 1, as everywhere, so that tolerances mean the same.
    whiten /= np.sqrt(np.trace(whiten.T @ whiten) / len(whiten))
    log_x, ones = np.log(np.broadcast_to(x, y.shape)), np.ones_like(y)

    def evaluate(theta: Array, points: Array) -> tuple[Array, tuple[Array, ...]]:
        value, slopes = model.evaluate(theta, points)
        return value @ whiten.T, tuple(slope @ whiten.T for slope in slopes)

    bounds = model.bounds(log_x, y)
    lower, upper = (np.broadcast_to(b, (len(y), b.shape[-1])).copy() for b in bounds)
    if initial is None:
        starts = np.clip(model.starts(log_x, y, ones), lower[:, None], upper[:, None])
        initial = best_start(model.evaluate, starts, log_x, y, ones)
    first = np.clip(np.broadcast_to(initial, lower.shape), lower, upper)
    return solve(
        evaluate, first, log_x, y @ whiten.T, ones, lower, upper, tolerance=1e-9, max_iterations=200
    ).theta
