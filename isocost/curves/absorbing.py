"""The saturating exponential shared by both forms of TTSPM, and its saturation budget.

Lives here: F(N) = F_max (1 - (1 - p)^N) of Wang et al. 2025, "Scaling over Scaling" (arXiv
2505.20522), and N*, the budget from which one more unit gains at most epsilon. Not here: the
registered families, which say what N and p mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from isocost.curves.base import Array, AsymptoteKind, Family
from isocost.curves.linear import bounded_scale
from isocost.errors import IsocostError

_RATES = np.geomspace(1e-3, 1e2, 40)


class AbsorbingCurve(Family):
    """F(N) = F_max (1 - exp(-c N)) with c = -ln(1 - p); internal parameters F_max and ln(c)."""

    n_free: ClassVar[int] = 2
    asymptote_kind: ClassVar[AsymptoteKind] = "fitted"
    level_parameter: ClassVar[str | None] = "F_max"

    def bounds(self, log_x: Array, y: Array) -> tuple[Array, Array]:
        """F_max in [0, 1].

        The rate from "no bend within the data" to "saturated before the first point".
        """
        lower = np.stack([np.zeros(len(y)), np.log(1e-5) - log_x.max(axis=1)], axis=1)
        upper = np.stack([np.ones(len(y)), np.log(36.0) - log_x.min(axis=1)], axis=1)
        return lower, upper

    def starts(self, log_x: Array, y: Array, weight: Array) -> Array:
        """Grid over the rate relative to the largest budget, the best F_max in closed form."""
        rate = np.log(_RATES) - log_x.max(axis=1, keepdims=True) + np.log(3.0)
        shape = -np.expm1(-np.exp(np.clip(rate[:, :, None] + log_x[:, None, :], -700.0, 6.0)))
        return np.stack([bounded_scale(shape, y[:, None, :], weight[:, None, :]), rate], axis=2)

    def evaluate(self, theta: Array, log_x: Array) -> tuple[Array, tuple[Array, ...]]:
        """Return F_max (1 - exp(-c N)) and its derivatives."""
        exponent = np.exp(np.clip(theta[:, 1:] + log_x, -700.0, 6.0))
        shape = -np.expm1(-exponent)
        return theta[:, :1] * shape, (shape, theta[:, :1] * np.exp(-exponent) * exponent)

    def public(self, theta: Array) -> Array:
        """Return F_max and p = 1 - exp(-c)."""
        return np.stack([theta[:, 0], -np.expm1(-np.exp(theta[:, 1]))], axis=1)

    def predict(self, parameters: Array, x: Array) -> Array:
        """Evaluate F_max (1 - (1 - p)^N)."""
        with np.errstate(divide="ignore"):
            return -parameters[:, :1] * np.expm1(x * np.log1p(-parameters[:, 1:2]))

    def asymptote(self, parameters: Array) -> Array:
        """Return F_max."""
        return parameters[:, 0]

    def invert(self, parameters: Array, target: Array) -> Array:
        """Return ln(1 - target / F_max) / ln(1 - p)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            x = np.log1p(-target / parameters[:, 0]) / np.log1p(-parameters[:, 1])
        return np.where(target >= parameters[:, 0], np.inf, np.maximum(x, 0.0))


@dataclass(frozen=True)
class SaturationBudget:
    """The budget beyond which more samples or rounds no longer pay off.

    Attributes:
        n_star: smallest N with F(N + 1) - F(N) <= epsilon; 0 for a flat curve.
        raw: the real-valued solution before rounding up; None if it does not exist (F_max p = 0,
            or p = 1).
        status: "saturates", or "flat" when even the first unit gains at most epsilon: there is
            nothing to saturate.
    """

    n_star: int
    raw: float | None
    status: Literal["saturates", "flat"]


def saturation_budget(f_max: float, p: float, epsilon: float) -> SaturationBudget:
    """N*, the smallest N with a marginal gain of at most epsilon.

    N* = ceil(ln(epsilon / (F_max p)) / ln(1 - p)).

    Args:
        f_max: accuracy for unbounded N, 0..1.
        p: chance per sample or round, 0..1.
        epsilon: gain in accuracy per unit that is no longer worthwhile, positive.

    Raises:
        IsocostError: an argument is out of range.

    Examples:
        >>> saturation_budget(0.9, 0.2, 0.01)
        SaturationBudget(n_star=13, raw=12.95297, status='saturates')
    """
    if not (0.0 <= f_max <= 1.0 and 0.0 <= p <= 1.0 and epsilon > 0.0):
        raise IsocostError(
            f"no saturation budget for F_max={f_max}, p={p}, epsilon={epsilon}",
            where="saturation_budget",
            remedy="Use F_max and p in 0..1 and a positive epsilon.",
        )
    raw = None if f_max * p == 0 or p == 1 else float(np.log(epsilon / (f_max * p)) / np.log1p(-p))
    if epsilon >= f_max * p:
        return SaturationBudget(0, raw, "flat")
    # 1e-12: an exact solution must not be rounded up to the next unit by its last bit.
    return SaturationBudget(
        1 if raw is None else max(1, int(np.ceil(raw - 1e-12))), raw, "saturates"
    )
