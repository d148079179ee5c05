"""Log-linear curve: y = alpha + beta * ln x.

Lives here: the local rule "each doubling buys the same". It leaves [0, 1], has no asymptote, and
must not be extrapolated far. Not here: fitting.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from isocost.curves.base import Array, AsymptoteKind, Family, register


@register
class LogLinear(Family):
    """y = alpha + beta ln x, beta of either sign; internal parameters are the public ones."""

    name: ClassVar[str] = "log_linear"
    parameter_names: ClassVar[tuple[str, ...]] = ("alpha", "beta")
    n_free: ClassVar[int] = 2
    asymptote_kind: ClassVar[AsymptoteKind] = "none"
    level_parameter: ClassVar[str | None] = "alpha"

    def bounds(self, log_x: Array, y: Array) -> tuple[Array, Array]:
        """None."""
        return np.full((1, 2), -np.inf), np.full((1, 2), np.inf)

    def starts(self, log_x: Array, y: Array, weight: Array) -> Array:
        """The closed-form solution, which the solver confirms."""
        total = weight.sum(axis=1)
        mean_x, mean_y = (weight * log_x).sum(axis=1) / total, (weight * y).sum(axis=1) / total
        centred = log_x - mean_x[:, None]
        slope = (weight * centred * y).sum(axis=1) / np.maximum(
            (weight * centred**2).sum(axis=1), 1e-300
        )
        return np.stack([mean_y - slope * mean_x, slope], axis=1)[:, None, :]

    def evaluate(self, theta: Array, log_x: Array) -> tuple[Array, tuple[Array, ...]]:
        """Return alpha + beta ln x and its derivatives."""
        return theta[:, :1] + theta[:, 1:] * log_x, (np.ones_like(log_x), log_x)

    def public(self, theta: Array) -> Array:
        """Return columns alpha and beta."""
        return theta.copy()

    def rescale(self, theta: Array, log_factor: Array) -> Array | None:
        """Alpha gives what beta gains."""
        return np.stack([theta[:, 0] - theta[:, 1] * log_factor, theta[:, 1]], axis=1)

    def predict(self, parameters: Array, x: Array) -> Array:
        """Evaluate alpha + beta ln x."""
        return parameters[:, :1] + parameters[:, 1:2] * np.log(x)

    def asymptote(self, parameters: Array) -> Array:
        """NaN: the line has no limit."""
        return np.full(len(parameters), np.nan)

    def invert(self, parameters: Array, target: Array) -> Array:
        """Return exp((target - alpha) / beta) for a rising line.

        A falling one reaches the target at no larger compute: +inf.
        """
        alpha, beta = parameters[:, 0], parameters[:, 1]
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            return np.where(beta > 0, np.exp((target - alpha) / beta), np.inf)
