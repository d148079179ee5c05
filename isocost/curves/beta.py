"""The arithmetic of beta-binomial coverage.

Lives here: the chance that k samples all fail when a problem's success rate is Beta(alpha, beta),
its derivatives and its inverse. Not here: the families that use it and the likelihood fits
(``isocost.curves.counts``).
"""

from __future__ import annotations

import numpy as np
from scipy.special import betaln, digamma

from isocost.curves.base import Array


def log_failure(alpha: Array, beta: Array, k: Array) -> Array:
    """Natural logarithm of E[(1 - p)^k] for p ~ Beta(alpha, beta).

    Ln B(alpha, beta + k) - ln B(alpha, beta); k may be real.
    """
    return betaln(alpha, beta + k) - betaln(alpha, beta)


def log_failure_gradient(alpha: Array, beta: Array, k: Array) -> tuple[Array, Array]:
    """Derivatives of ``log_failure`` with respect to ln(alpha) and ln(beta)."""
    together = digamma(alpha + beta) - digamma(alpha + beta + k)
    return alpha * together, beta * (together + digamma(beta + k) - digamma(beta))


def invert_failure(alpha: Array, beta: Array, failure: Array) -> Array:
    """The real k at which E[(1 - p)^k] falls to ``failure``.

    0 where failure >= 1, +inf where failure <= 0 or k exceeds 1e300.
    """
    low, high = np.full(failure.shape, -46.0), np.full(failure.shape, 691.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        goal = np.log(failure)
        out_of_reach = ~(log_failure(alpha, beta, np.exp(high)) <= goal)
        for _ in range(64):
            middle = 0.5 * (low + high)
            above = log_failure(alpha, beta, np.exp(middle)) > goal
            low, high = np.where(above, middle, low), np.where(above, high, middle)
    k = np.exp(0.5 * (low + high))
    k = np.where(np.isnan(alpha) | np.isnan(failure), np.nan, np.where(out_of_reach, np.inf, k))
    return np.where(failure >= 1.0, 0.0, k)
