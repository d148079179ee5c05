"""Where one accuracy-against-cost curve overtakes another for good.

Lives here: `overtaking_cost`, for measured curves and for many draws of them at once. Not here:
fitted curves, and which curves of a bank are compared (``isocost.tables.scaling.crossovers``).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from isocost.curves.base import Array
from isocost.errors import IsocostError

TIE = 1e-12
"""Accuracies closer than this are equal: means taken in another order differ in the last bits."""


def overtaking_cost(
    cost: ArrayLike, accuracy: ArrayLike, other_cost: ArrayLike, other_accuracy: ArrayLike
) -> Array:
    """The smallest cost from which on a curve is above another one, and stays above.

    Between measured budgets a curve is linear in the logarithm of cost; beyond them it is unknown.
    So the curves are compared on the range of costs that both cover, and "stays" means until the
    end of that range. Where they touch without crossing, the curve is not yet above.

    Args:
        cost: (..., N) positive costs of the curve's budgets, increasing.
        accuracy: (..., N) accuracy at each.
        other_cost: (..., M) of the other curve, the leading dimensions the same.
        other_accuracy: (..., M).

    Returns:
        Of the leading dimensions: the cost; minus infinity where the curve is above in the whole
        range, so that it overtook before or was never behind; infinity where it is not above at
        the end of the range; NaN where no cost is covered by both, or a cost is unknown or not
        positive.

    Raises:
        IsocostError: costs and accuracies are not equally many, or there are none.

    Examples:
        >>> found = overtaking_cost([4, 16, 64], [0.2, 0.5, 0.8], [1, 4, 16], [0.3, 0.4, 0.4])
        >>> round(found.item(), 3)  # 4 x 4^(2/3)
        10.079
        >>> overtaking_cost([4, 16], [0.5, 0.6], [1, 4, 16], [0.3, 0.4, 0.4]).item()
        -inf
    """
    first, second = _curve(cost, accuracy), _curve(other_cost, other_accuracy)
    x = np.concatenate([first[0], second[0]], axis=-1)
    gap = np.concatenate(
        [first[1] - _along(*second, first[0]), _along(*first, second[0]) - second[1]], axis=-1
    )
    low = np.maximum(first[0][..., :1], second[0][..., :1])
    high = np.minimum(first[0][..., -1:], second[0][..., -1:])
    inside = (x >= low) & (x <= high)
    order = np.argsort(np.where(inside, x, np.inf), axis=-1, kind="stable")
    x, gap = (np.take_along_axis(values, order, axis=-1) for values in (x, gap))
    inside = np.take_along_axis(inside, order, axis=-1)
    behind = inside & ~(gap > TIE)
    n_behind = np.where(behind, np.arange(1, x.shape[-1] + 1), 0).max(axis=-1)
    n_inside = inside.sum(axis=-1)
    # The knot at which it is behind for the last time, and the next one, at which it is above.
    last = np.maximum(n_behind - 1, 0)[..., None]
    after = np.minimum(last + 1, x.shape[-1] - 1)
    (x0, x1), (g0, g1) = (
        [np.take_along_axis(values, at, axis=-1)[..., 0] for at in (last, after)]
        for values in (x, gap)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.clip(-g0 / (g1 - g0), 0.0, 1.0)
        found = np.exp(x0 + np.where(g0 < 0, share, 0.0) * (x1 - x0))
    found = np.where(n_behind == 0, -np.inf, np.where(n_behind == n_inside, np.inf, found))
    unknown = ~np.isfinite(x).all(axis=-1) | (n_inside == 0) | ~np.isfinite(gap).all(axis=-1)
    return np.where(unknown, np.nan, found)


def _curve(cost: ArrayLike, accuracy: ArrayLike) -> tuple[Array, Array]:
    """Logarithms of the costs, and the accuracies."""
    x, y = np.asarray(cost, dtype=np.float64), np.asarray(accuracy, dtype=np.float64)
    if x.shape != y.shape or not x.shape or not x.shape[-1]:
        raise IsocostError(
            f"costs {x.shape} and accuracies {y.shape} are not a curve",
            where="overtaking_cost",
            remedy="Give as many accuracies as costs, at least one.",
        )
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(x), y


def _along(x: Array, y: Array, at: Array) -> Array:
    """Values of curves at some places, like ``numpy.interp`` for each; held flat outside."""
    right = np.clip((x[..., None, :] <= at[..., :, None]).sum(axis=-1), 1, max(x.shape[-1] - 1, 1))
    left = right - 1
    right = np.minimum(right, x.shape[-1] - 1)
    (x0, x1), (y0, y1) = (
        [np.take_along_axis(values, places, axis=-1) for places in (left, right)]
        for values in (x, y)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(x1 > x0, np.clip((at - x0) / (x1 - x0), 0.0, 1.0), 0.0)
    return y0 + share * (y1 - y0)
