"""Exponentiated power law: y = exp(a * x**b) with a < 0 and b < 0.

Lives here: the coverage law of Brown et al. 2024, "Large Language Monkeys" (section 3.1). Its
ceiling is 1 by construction, which is wrong if some problems cannot be solved at all. Not
here: fitting.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from isocost.curves.base import Array, AsymptoteKind, Family, register

_EXPONENTS = np.array([0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5, 2.5])


@register
class ExponentiatedPowerLaw(Family):
    """y = exp(a * x**b); internal parameters ln(-a) and -b."""

    name: ClassVar[str] = "exponentiated_power_law"
    parameter_names: ClassVar[tuple[str, ...]] = ("a", "b")
    n_free: ClassVar[int] = 2
    asymptote_kind: ClassVar[AsymptoteKind] = "constructed"

    def bounds(self, log_x: Array, y: Array) -> tuple[Array, Array]:
        """Bounds; ln(-a) keeps every observed y in (1e-12, 1 - 1e-12) reachable.

        At any exponent up to 20.
        """
        reach = 20.0 * np.maximum(np.abs(log_x).max(axis=1), 1.0)
        lower = np.stack([-30.0 - reach, np.zeros_like(reach)], axis=1)
        upper = np.stack([5.0 + reach, np.full_like(reach, 20.0)], axis=1)
        return lower, upper

    def starts(self, log_x: Array, y: Array, weight: Array) -> Array:
        """Ordinary least squares of ln(-ln y) on ln x, then a grid over b.

        With the best ln(-a) for each.

        Linearising turns the error of y into an error of ln(-ln y) that is 1/(y ln y) times as
        large: hence the weights.
        """
        inner = np.clip(y, 1e-6, 1.0 - 1e-6)
        rate = np.log(-np.log(inner))
        w = weight * np.where((y > 0) & (y < 1), (inner * np.log(inner)) ** 2, 0.0) + 1e-12 * (
            weight > 0
        )
        total = w.sum(axis=1, keepdims=True)
        mean_x = (w * log_x).sum(axis=1, keepdims=True) / total
        mean_r = (w * rate).sum(axis=1, keepdims=True) / total
        spread = (w * (log_x - mean_x) ** 2).sum(axis=1, keepdims=True)
        slope = -(w * (log_x - mean_x) * (rate - mean_r)).sum(axis=1, keepdims=True) / np.maximum(
            spread, 1e-300
        )
        exponent = np.concatenate(
            [np.clip(slope, 0.0, 20.0), np.broadcast_to(_EXPONENTS, (len(y), len(_EXPONENTS)))],
            axis=1,
        )
        return np.stack([mean_r + exponent * mean_x, exponent], axis=2)

    def constant(self, level: Array) -> Array | None:
        """Those with b = 0.

        Points at 0 and 1 hardly weigh in the linearised start, and a curve through the others may
        miss them.
        """
        inner = np.clip(level, 1e-12, 1.0 - 1e-12)
        return np.stack([np.log(-np.log(inner)), np.zeros_like(inner)], axis=1)

    def evaluate(self, theta: Array, log_x: Array) -> tuple[Array, tuple[Array, ...]]:
        """Return exp(-h) with h = exp(ln(-a) - |b| ln x), and its derivatives."""
        h = np.exp(np.clip(theta[:, :1] - theta[:, 1:] * log_x, -700.0, 30.0))
        y = np.exp(-np.minimum(h, 700.0))
        return y, (-y * h, y * h * log_x)

    def public(self, theta: Array) -> Array:
        """Return columns a and b."""
        return np.stack([-np.exp(theta[:, 0]), -theta[:, 1]], axis=1)

    def rescale(self, theta: Array, log_factor: Array) -> Array | None:
        """ln(-a) moves by b times the factor."""
        return np.stack([theta[:, 0] + theta[:, 1] * log_factor, theta[:, 1]], axis=1)

    def predict(self, parameters: Array, x: Array) -> Array:
        """Evaluate exp(a * x**b)."""
        return np.exp(parameters[:, :1] * np.power(x, parameters[:, 1:2]))

    def asymptote(self, parameters: Array) -> Array:
        """1 by construction; exp(a) in the limit b = 0."""
        return np.where(parameters[:, 1] < 0, 1.0, np.exp(parameters[:, 0]))

    def invert(self, parameters: Array, target: Array) -> Array:
        """Return (ln(target)/a)**(1/b)."""
        a, b = parameters[:, 0], parameters[:, 1]
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            x = np.exp(np.log(np.log(target) / a) / b)
        flat = np.where(np.exp(a) >= target, 0.0, np.inf)
        return np.where(
            target >= 1.0, np.inf, np.where(target <= 0.0, 0.0, np.where(b < 0, x, flat))
        )
