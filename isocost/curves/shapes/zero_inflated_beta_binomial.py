"""Zero-inflated beta-binomial coverage: y(k) = (1 - pi) (1 - B(alpha, beta + k) / B(alpha, beta)).

Lives here: the coverage curve with a share pi of problems that no number of samples solves, fitted
to coverage points by least squares. Not here: the maximum likelihood fit to counts
(``isocost.curves.counts``).
"""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from isocost.curves.base import Array, AsymptoteKind, Family, register
from isocost.curves.beta import invert_failure, log_failure, log_failure_gradient
from isocost.curves.linear import bounded_scale
from isocost.curves.shapes.beta_binomial import LOWER, UPPER, start_grid


@register
class ZeroInflatedBetaBinomial(Family):
    """Coverage of k samples; internal parameters 1 - pi, ln(alpha) and ln(beta)."""

    name: ClassVar[str] = "zero_inflated_beta_binomial"
    parameter_names: ClassVar[tuple[str, ...]] = ("pi", "alpha", "beta")
    n_free: ClassVar[int] = 3
    asymptote_kind: ClassVar[AsymptoteKind] = "fitted"
    axis: ClassVar[Literal["any", "samples", "rounds"]] = "samples"

    def bounds(self, log_x: Array, y: Array) -> tuple[Array, Array]:
        """1 - pi in [0, 1], both shapes in [1e-3, 1e4]."""
        return np.array([[0.0, LOWER, LOWER]]), np.array([[1.0, UPPER, UPPER]])

    def starts(self, log_x: Array, y: Array, weight: Array) -> Array:
        """A fixed grid of shapes and means, with the best 1 - pi in closed form."""
        grid = start_grid()
        shapes = np.exp(grid)[None, :, :, None]
        solved = -np.expm1(log_failure(shapes[:, :, 0], shapes[:, :, 1], np.exp(log_x)[:, None, :]))
        share = bounded_scale(solved, y[:, None, :], weight[:, None, :])
        return np.concatenate(
            [share[:, :, None], np.broadcast_to(grid, (len(y), *grid.shape))], axis=2
        )

    def evaluate(self, theta: Array, log_x: Array) -> tuple[Array, tuple[Array, ...]]:
        """Return the coverage and its derivatives."""
        share, alpha, beta, k = (
            theta[:, :1],
            np.exp(theta[:, 1:2]),
            np.exp(theta[:, 2:3]),
            np.exp(log_x),
        )
        failure = np.exp(log_failure(alpha, beta, k))
        by_alpha, by_beta = log_failure_gradient(alpha, beta, k)
        solved = 1.0 - failure
        return share * solved, (solved, -share * failure * by_alpha, -share * failure * by_beta)

    def public(self, theta: Array) -> Array:
        """Return columns pi, alpha and beta."""
        return np.stack([1.0 - theta[:, 0], np.exp(theta[:, 1]), np.exp(theta[:, 2])], axis=1)

    def predict(self, parameters: Array, x: Array) -> Array:
        """Evaluate the coverage of x samples."""
        return -(1.0 - parameters[:, :1]) * np.expm1(
            log_failure(parameters[:, 1:2], parameters[:, 2:3], x)
        )

    def asymptote(self, parameters: Array) -> Array:
        """Return 1 - pi."""
        return 1.0 - parameters[:, 0]

    def invert(self, parameters: Array, target: Array) -> Array:
        """Solve for the number of samples, real valued; +inf at or above 1 - pi."""
        with np.errstate(divide="ignore", invalid="ignore"):
            failure = 1.0 - target / (1.0 - parameters[:, 0])
        return invert_failure(parameters[:, 1], parameters[:, 2], failure)
