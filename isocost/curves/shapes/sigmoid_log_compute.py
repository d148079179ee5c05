"""Sigmoid in log-compute: y = R_0 + (A - R_0) / (1 + (C_mid / x)**B).

Lives here: the curve of Khatri et al. 2025, "The Art of Scaling Reinforcement Learning Compute"
(ScaleRL, arXiv 2510.13786), with its fixed start R_0. Not here: fitting.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from isocost.curves.base import Array, AsymptoteKind, Family, register
from isocost.curves.linear import bounded_scale

_STEEPNESS = np.array([0.1, 0.2, 0.35, 0.6, 1.0, 1.6, 2.5, 4.0, 8.0])


@register
@dataclass(frozen=True)
class SigmoidLogCompute(Family):
    """Three free parameters: A (asymptote), C_mid (compute at half the gain) and B (steepness).

    Attributes:
        baseline: R_0, the accuracy without compute. It is measured or known (0 without an answer,
            the guessing rate for multiple choice), never fitted: with it free, the lower tail and
            the steepness are not separately identified.
    """

    name: ClassVar[str] = "sigmoid_log_compute"
    parameter_names: ClassVar[tuple[str, ...]] = ("A", "C_mid", "B", "R_0")
    n_free: ClassVar[int] = 3
    asymptote_kind: ClassVar[AsymptoteKind] = "fitted"
    level_parameter: ClassVar[str | None] = "A"

    baseline: float = 0.0

    def bounds(self, log_x: Array, y: Array) -> tuple[Array, Array]:
        """A in [R_0, 1]; C_mid within e^12 of the observed range; B in [0.02, 50]."""
        first, last = log_x.min(axis=1) - 12.0, log_x.max(axis=1) + 12.0
        lower = np.stack(
            [np.full_like(first, self.baseline), first, np.full_like(first, np.log(0.02))], axis=1
        )
        upper = np.stack([np.ones_like(last), last, np.full_like(last, np.log(50.0))], axis=1)
        return lower, upper

    def starts(self, log_x: Array, y: Array, weight: Array) -> Array:
        """Grid over C_mid and B, the best A in closed form."""
        first, last = log_x.min(axis=1, keepdims=True), log_x.max(axis=1, keepdims=True)
        middle = first - 4.0 + np.linspace(0.0, 1.0, 15) * (last - first + 7.0)
        slope = _STEEPNESS[None, None, :, None]
        share = _logistic(slope * (log_x[:, None, None, :] - middle[:, :, None, None]))
        gain = bounded_scale(
            share,
            y[:, None, None, :] - self.baseline,
            weight[:, None, None, :],
            0.0,
            1.0 - self.baseline,
        )
        grid = np.broadcast_arrays(gain + self.baseline, middle[:, :, None], np.log(_STEEPNESS))
        return np.stack(grid, axis=3).reshape(len(y), -1, 3)

    def evaluate(self, theta: Array, log_x: Array) -> tuple[Array, tuple[Array, ...]]:
        """Return R_0 + (A - R_0) s(B (ln x - ln C_mid)) and its derivatives."""
        gain, slope = theta[:, :1] - self.baseline, np.exp(theta[:, 2:3])
        offset = log_x - theta[:, 1:2]
        share = _logistic(slope * offset)
        inner = gain * share * (1.0 - share) * slope
        return self.baseline + gain * share, (share, -inner, inner * offset)

    def public(self, theta: Array) -> Array:
        """Return columns A, C_mid, B and R_0."""
        return np.stack(
            [
                theta[:, 0],
                np.exp(theta[:, 1]),
                np.exp(theta[:, 2]),
                np.full(len(theta), self.baseline),
            ],
            axis=1,
        )

    def rescale(self, theta: Array, log_factor: Array) -> Array | None:
        """C_mid moves with the unit."""
        return np.stack([theta[:, 0], theta[:, 1] + log_factor, theta[:, 2]], axis=1)

    def predict(self, parameters: Array, x: Array) -> Array:
        """Evaluate the sigmoid."""
        ceiling, middle, slope, start = (parameters[:, i : i + 1] for i in range(4))
        return start + (ceiling - start) * _logistic(slope * (np.log(x) - np.log(middle)))

    def asymptote(self, parameters: Array) -> Array:
        """Return A."""
        return parameters[:, 0]

    def invert(self, parameters: Array, target: Array) -> Array:
        """Return C_mid * ((A - R_0) / (target - R_0) - 1)**(-1 / B)."""
        ceiling, middle, slope, start = parameters.T
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            x = middle * np.exp(-np.log((ceiling - start) / (target - start) - 1.0) / slope)
        return np.where(target <= start, 0.0, np.where(target >= ceiling, np.inf, x))


def _logistic(z: Array) -> Array:
    return 1.0 / (1.0 + np.exp(-np.clip(z, -700.0, 700.0)))
