"""The two-parameter logistic model of item response.

Lives here: probability, information, ability estimates, fit by marginal likelihood. Not here:
whether a fit is worth having, which the table builder decides by the number of subjects.

P(theta) = 1 / (1 + exp(-a (theta - b))): a is discrimination, b difficulty. Other parametrisations
use b' = a b.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import expit

from isocost.errors import IsocostError
from isocost.items.classical import FloatArray, read_matrix

# Log-discrimination has a N(0, 0.5^2) and difficulty a N(0, 2^2) prior: items that all or none
# solve keep finite estimates.
_LOG_A_SD = 0.5
_B_SD = 2.0
_NODES = 31


@dataclass(frozen=True)
class TwoPl:
    """A fitted 2PL model.

    Attributes:
        discrimination: a per item.
        difficulty: b per item, on the scale where abilities are N(0, 1).
        ability: posterior mean ability per subject.
        converged: whether the parameters stopped moving.
    """

    discrimination: FloatArray
    difficulty: FloatArray
    ability: FloatArray
    converged: bool


def success_probability(theta: ArrayLike, a: ArrayLike, b: ArrayLike) -> FloatArray:
    """P(correct) at ability theta, broadcast over the arguments.

    Examples:
        >>> success_probability(0.0, 1.5, 0.5).item()
        0.320821
    """
    return expit(
        np.asarray(a, dtype=np.float64)
        * (np.asarray(theta, dtype=np.float64) - np.asarray(b, dtype=np.float64))
    )


def item_information(theta: ArrayLike, a: ArrayLike, b: ArrayLike) -> FloatArray:
    """Fisher information a^2 P (1 - P), at most a^2 / 4.

    The standard error of theta is 1 / sqrt of its sum over items.

    Examples:
        >>> item_information(0.0, [1.5, 1, 0.8], [0.5, -1, 0]).tolist()
        [0.490264, 0.196612, 0.16]
    """
    p = success_probability(theta, a, b)
    return np.asarray(a, dtype=np.float64) ** 2 * p * (1 - p)


def ability(responses: ArrayLike, a: ArrayLike, b: ArrayLike, *, prior: bool = False) -> float:
    """Most likely ability of one subject.

    Args:
        responses: correctness per item in [0, 1].
        a: discrimination per item.
        b: difficulty per item.
        prior: add a N(0, 1) prior, which keeps the estimate finite when all or no items are solved.

    Returns:
        The estimate; plus or minus infinity without prior where it has no finite maximum.

    Examples:
        >>> ability([1, 1, 0], [1.5, 1, 0.8], [0.5, -1, 0])
        1.067397
    """
    y, slope = np.asarray(responses, dtype=np.float64), np.asarray(a, dtype=np.float64)
    if not prior and (y == y[0]).all() and y[0] in (0.0, 1.0):
        return float("inf") if y[0] == 1 else float("-inf")

    def gradient(theta: float) -> float:
        return float(
            (slope * (y - success_probability(theta, slope, b))).sum() - (theta if prior else 0.0)
        )

    root: Any = brentq(gradient, -60, 60)
    return float(root)


def normalised_discrimination(theta: ArrayLike, a: ArrayLike, b: ArrayLike) -> float:
    """Share of the items' maximum possible information at these abilities, 0 to 1 (own measure)."""
    slope = np.asarray(a, dtype=np.float64)
    found = item_information(np.asarray(theta, dtype=np.float64)[:, None], slope, b)
    return float(found.mean(axis=0).sum() / (slope**2 / 4).sum())


def fit_two_pl(responses: ArrayLike, *, steps: int = 200, tolerance: float = 1e-5) -> TwoPl:
    """Fit a and b by penalised marginal likelihood.

    EM over a fixed normal grid (Bock and Aitkin 1981).

    Args:
        responses: subjects x items, mean correctness in [0, 1]; fractional entries enter as
            fractions of a success.
        steps: most EM steps.
        tolerance: largest parameter change that counts as converged.

    Returns:
        The fit. With few subjects (below about 20) the priors dominate the data.

    Raises:
        IsocostError: fewer than two subjects or items, or an entry outside [0, 1].
    """
    y = read_matrix(responses)
    if min(y.shape) < 2:
        raise IsocostError(
            f"responses have shape {y.shape}",
            remedy="A 2PL fit needs two subjects and two items or more.",
        )
    nodes = np.linspace(-4, 4, _NODES)
    prior = np.exp(-0.5 * nodes**2)
    prior /= prior.sum()
    share = np.clip(y.mean(axis=0), 0.02, 0.98)
    log_a, b = np.zeros(y.shape[1]), -np.log(share / (1 - share))
    converged = False
    for _ in range(steps):
        posterior = _posterior(y, nodes, prior, np.exp(log_a), b)
        new_log_a, new_b = _maximise(posterior.sum(axis=0), posterior.T @ y, nodes, log_a, b)
        moved = max(np.abs(new_log_a - log_a).max(), np.abs(new_b - b).max())
        log_a, b = new_log_a, new_b
        if moved < tolerance:
            converged = True
            break
    posterior = _posterior(y, nodes, prior, np.exp(log_a), b)
    return TwoPl(np.exp(log_a), b, posterior @ nodes, converged)


def _posterior(
    y: FloatArray, nodes: FloatArray, prior: FloatArray, a: FloatArray, b: FloatArray
) -> FloatArray:
    """Probability of each grid ability for each subject, subjects x nodes."""
    logit = a * (nodes[:, None] - b)
    log_p, log_q = -np.logaddexp(0, -logit), -np.logaddexp(0, logit)
    joint = y @ log_p.T + (1 - y) @ log_q.T + np.log(prior)
    joint = np.exp(joint - joint.max(axis=1, keepdims=True))
    return joint / joint.sum(axis=1, keepdims=True)


def _maximise(
    weight: FloatArray, right: FloatArray, nodes: FloatArray, log_a: FloatArray, b: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """A few damped Newton steps for all items at once on (log a, b).

    Given expected counts per grid ability.
    """
    for _ in range(5):
        a = np.exp(log_a)
        gap = nodes[:, None] - b
        p = success_probability(nodes[:, None], a, b)
        error = right - weight[:, None] * p
        info = weight[:, None] * p * (1 - p)
        grad_a = (error * gap).sum(axis=0) * a - log_a / _LOG_A_SD**2
        grad_b = -(error.sum(axis=0)) * a - b / _B_SD**2
        h_aa = (info * gap**2).sum(axis=0) * a**2 + 1 / _LOG_A_SD**2
        h_bb = info.sum(axis=0) * a**2 + 1 / _B_SD**2
        h_ab = -(info * gap).sum(axis=0) * a**2
        det = h_aa * h_bb - h_ab**2
        log_a = log_a + np.clip((h_bb * grad_a - h_ab * grad_b) / det, -0.5, 0.5)
        b = b + np.clip((h_aa * grad_b - h_ab * grad_a) / det, -1.0, 1.0)
    return log_a, b
