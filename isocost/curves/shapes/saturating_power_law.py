"""Saturating power law: y = y_inf - a * x**(-b) with a, b > 0 and y_inf <= 1.

Lives here: the three-parameter law whose ceiling the data decide. The parameters are strongly
correlated, so trust the profile or the bootstrap interval of ``y_inf``, not a curvature at the
optimum. Not here: fitting.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from isocost.curves.base import Array, AsymptoteKind, Family, register
from isocost.curves.linear import bounded_pair

_EXPONENTS = np.geomspace(0.01, 10.0, 28)


@register
class SaturatingPowerLaw(Family):
    """y = y_inf - a * x**-b; internal parameters y_inf, ln(a) and ln(b)."""

    name: ClassVar[str] = "saturating_power_law"
    parameter_names: ClassVar[tuple[str, ...]] = ("y_inf", "a", "b")
    n_free: ClassVar[int] = 3
    asymptote_kind: ClassVar[AsymptoteKind] = "fitted"
    level_parameter: ClassVar[str | None] = "y_inf"

    def bounds(self, log_x: Array, y: Array) -> tuple[Array, Array]:
        """y_inf in [0, 1]; the gap at the first point below 2; b in [1e-3, 20]."""
        reach = 20.0 * np.abs(log_x).max(axis=1)
        lower = np.stack(
            [np.zeros_like(reach), -40.0 - reach, np.full_like(reach, np.log(1e-3))], axis=1
        )
        upper = np.stack(
            [np.ones_like(reach), 10.0 + reach, np.full_like(reach, np.log(20.0))], axis=1
        )
        return lower, upper

    def starts(self, log_x: Array, y: Array, weight: Array) -> Array:
        """Variable projection.

        For each exponent of a grid the best y_inf and a in closed form, respecting their bounds.
        """
        first = np.where(weight > 0, log_x, np.inf).min(axis=1)[:, None, None]
        decay = np.exp(
            np.clip(-_EXPONENTS[None, :, None] * (log_x[:, None, :] - first), -60.0, 60.0)
        )
        ceiling, gap = bounded_pair(decay, y[:, None, :], weight[:, None, :])
        log_gap = np.log(np.maximum(gap, 1e-12)) + _EXPONENTS[None, :] * first[:, :, 0]
        exponent = np.broadcast_to(np.log(_EXPONENTS), ceiling.shape)
        return np.stack([ceiling, log_gap, exponent], axis=2)

    def evaluate(self, theta: Array, log_x: Array) -> tuple[Array, tuple[Array, ...]]:
        """Return y_inf - exp(ln a - b ln x) and its derivatives."""
        b = np.exp(theta[:, 2:3])
        gap = np.exp(np.clip(theta[:, 1:2] - b * log_x, -700.0, 30.0))
        return theta[:, :1] - gap, (np.ones_like(gap), -gap, gap * b * log_x)

    def public(self, theta: Array) -> Array:
        """Return columns y_inf, a and b."""
        return np.stack([theta[:, 0], np.exp(theta[:, 1]), np.exp(theta[:, 2])], axis=1)

    def rescale(self, theta: Array, log_factor: Array) -> Array | None:
        """ln(a) moves by b times the factor."""
        return np.stack(
            [theta[:, 0], theta[:, 1] + np.exp(theta[:, 2]) * log_factor, theta[:, 2]], axis=1
        )

    def predict(self, parameters: Array, x: Array) -> Array:
        """Evaluate y_inf - a * x**-b."""
        return parameters[:, :1] - parameters[:, 1:2] * np.power(x, -parameters[:, 2:3])

    def asymptote(self, parameters: Array) -> Array:
        """Return y_inf."""
        return parameters[:, 0]

    def invert(self, parameters: Array, target: Array) -> Array:
        """Return (a / (y_inf - target))**(1/b)."""
        ceiling, a, b = parameters[:, 0], parameters[:, 1], parameters[:, 2]
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            x = np.exp((np.log(a) - np.log(np.maximum(ceiling - target, 0.0))) / b)
        return np.where(target >= ceiling, np.inf, x)
