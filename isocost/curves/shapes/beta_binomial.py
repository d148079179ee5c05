"""Beta-binomial coverage: y(k) = 1 - B(alpha, beta + k) / B(alpha, beta).

Lives here: the curve that follows when problems' success rates are Beta distributed (Schaeffer et
al. 2025, arXiv 2502.17578; Kazdan et al. 2025, arXiv 2510.05197), fitted to coverage points by
least squares. Its ceiling is 1 by construction. Not here: the maximum likelihood fit to counts,
which is better if counts are available (``isocost.curves.counts``).
"""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from isocost.curves.base import Array, AsymptoteKind, Family, register
from isocost.curves.beta import invert_failure, log_failure, log_failure_gradient

# At the upper bound success rates differ by 0.005 at most, which no bank can distinguish from equal
# ones; beyond it lnB loses digits.
LOWER, UPPER = np.log(1e-3), np.log(1e4)
_SHAPES = np.array([0.02, 0.06, 0.15, 0.4, 1.0, 3.0, 20.0])
_MEANS = np.array([0.003, 0.02, 0.08, 0.2, 0.45, 0.8])


def start_grid() -> Array:
    """Start values (S, 2) of ln(alpha) and ln(beta).

    Shapes alpha crossed with mean success rates.
    """
    alpha, mean = (grid.ravel() for grid in np.meshgrid(_SHAPES, _MEANS))
    return np.log(np.stack([alpha, np.clip(alpha * (1.0 - mean) / mean, 2e-3, 9e3)], axis=1))


@register
class BetaBinomial(Family):
    """Coverage of k samples; internal parameters ln(alpha) and ln(beta)."""

    name: ClassVar[str] = "beta_binomial"
    parameter_names: ClassVar[tuple[str, ...]] = ("alpha", "beta")
    n_free: ClassVar[int] = 2
    asymptote_kind: ClassVar[AsymptoteKind] = "constructed"
    axis: ClassVar[Literal["any", "samples", "rounds"]] = "samples"

    def bounds(self, log_x: Array, y: Array) -> tuple[Array, Array]:
        """Both shapes in [1e-3, 1e4]."""
        return np.full((1, 2), LOWER), np.full((1, 2), UPPER)

    def starts(self, log_x: Array, y: Array, weight: Array) -> Array:
        """A fixed grid of shapes and mean success rates."""
        grid = start_grid()
        return np.broadcast_to(grid, (len(y), *grid.shape))

    def evaluate(self, theta: Array, log_x: Array) -> tuple[Array, tuple[Array, ...]]:
        """Return the coverage and its derivatives."""
        alpha, beta, k = np.exp(theta[:, :1]), np.exp(theta[:, 1:]), np.exp(log_x)
        failure = np.exp(log_failure(alpha, beta, k))
        by_alpha, by_beta = log_failure_gradient(alpha, beta, k)
        return 1.0 - failure, (-failure * by_alpha, -failure * by_beta)

    def public(self, theta: Array) -> Array:
        """Return columns alpha and beta."""
        return np.exp(theta)

    def predict(self, parameters: Array, x: Array) -> Array:
        """Evaluate the coverage of x samples, accurate for small values too."""
        return -np.expm1(log_failure(parameters[:, :1], parameters[:, 1:2], x))

    def asymptote(self, parameters: Array) -> Array:
        """1 by construction."""
        return np.where(np.isnan(parameters[:, 0]), np.nan, 1.0)

    def invert(self, parameters: Array, target: Array) -> Array:
        """Solve for the number of samples, real valued."""
        return invert_failure(parameters[:, 0], parameters[:, 1], 1.0 - target)
