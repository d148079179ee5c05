"""Closed-form least squares for the parameters a family is linear in.

Lives here: the bounded two-column problem ``y = ceiling - gap * basis`` and the one-column problem,
vectorised over any leading axes. Not here: the nonlinear solver, which refines what this starts.
"""

from __future__ import annotations

import numpy as np

from isocost.curves.base import Array


def bounded_pair(basis: Array, y: Array, weight: Array, upper: float = 1.0) -> tuple[Array, Array]:
    """Minimise sum w (y - ceiling + gap * basis)^2 over 0 <= ceiling <= upper and gap >= 0.

    Args:
        basis: (..., N) values of the decaying basis function.
        y: observations, broadcastable to ``basis``.
        weight: non-negative weights, broadcastable to ``basis``.
        upper: largest ceiling allowed.

    Returns:
        Ceiling and gap, shape (...).
    """
    total = weight.sum(axis=-1)
    mean_h = (weight * basis).sum(axis=-1) / total
    mean_y = (weight * y).sum(axis=-1) / total
    centred = basis - mean_h[..., None]
    spread = (weight * centred**2).sum(axis=-1)
    covariance = (weight * centred * (y - mean_y[..., None])).sum(axis=-1)
    gap = np.where(spread > 1e-300, -covariance / np.maximum(spread, 1e-300), 0.0)
    gap = np.maximum(gap, 0.0)
    ceiling = mean_y + gap * mean_h
    # On the upper bound the problem has one column left: y = upper - gap * basis.
    square = np.maximum((weight * basis**2).sum(axis=-1), 1e-300)
    gap_at_bound = np.maximum((weight * basis * (upper - y)).sum(axis=-1) / square, 0.0)
    over = ceiling > upper
    return np.clip(np.where(over, upper, ceiling), 0.0, upper), np.where(over, gap_at_bound, gap)


def bounded_scale(
    basis: Array, y: Array, weight: Array, lower: float | Array = 0.0, upper: float | Array = 1.0
) -> Array:
    """Minimise sum w (y - scale * basis)^2 over lower <= scale <= upper.

    Arguments as in ``bounded_pair``, result shape (...).
    """
    square = np.maximum((weight * basis**2).sum(axis=-1), 1e-300)
    return np.clip((weight * basis * y).sum(axis=-1) / square, lower, upper)
