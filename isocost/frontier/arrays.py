"""Validate the arrays that enter this package.

Lives here: conversion to float arrays, shape checks, the rejection of unknown (NaN) and infinite
values, and orientation of axes so that the rest of the package always minimises cost and maximises
quality. Not here: any statistic.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from isocost.errors import IsocostError

Direction = Literal["min", "max"]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


def finite_array(values: ArrayLike, name: str, ndim: tuple[int, ...]) -> FloatArray:
    """``values`` as a float64 array, with rank and finiteness checked.

    Args:
        values: anything numpy reads as an array.
        name: what to call it in an error.
        ndim: the ranks that are allowed.

    Raises:
        IsocostError: not numbers, wrong rank, or an entry is NaN or infinite (the error names the
            first one).
    """
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise IsocostError(
            f"`{name}` is not an array of numbers ({error})",
            remedy="Pass numbers, rows of one length.",
        ) from error
    if array.ndim not in ndim:
        raise IsocostError(
            f"`{name}` has {array.ndim} dimensions",
            remedy=f"Pass an array of rank {' or '.join(map(str, ndim))}.",
        )
    if not np.isfinite(array).all():
        place = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise IsocostError(
            f"`{name}` contains {array[place]} at {list(place)}",
            remedy=(
                "An unknown value cannot be compared or averaged: leave such rows out and count"
                " them."
            ),
        )
    return array


def oriented(
    cost: ArrayLike,
    quality: ArrayLike,
    cost_direction: Direction | Sequence[Direction],
    quality_direction: Direction,
) -> tuple[FloatArray, FloatArray]:
    """Return ``(costs, quality)`` with every cost to be minimised and quality to be maximised.

    Args:
        cost: shape ``(n,)`` or ``(n, d)``.
        quality: shape ``(n,)``.
        cost_direction: "min" (spent) or "max" (earned), one for all cost axes or one each.
        quality_direction: "max" (accuracy) or "min" (error).

    Returns:
        Costs of shape ``(n, d)`` and quality of shape ``(n,)``; axes that point the other way are
        negated.

    Raises:
        IsocostError: shapes disagree, a direction is unknown, or a value is not finite.
    """
    costs = finite_array(cost, "cost", (1, 2))
    costs = costs[:, None] if costs.ndim == 1 else costs
    grades = finite_array(quality, "quality", (1,))
    if len(costs) != len(grades):
        raise IsocostError(
            f"{len(costs)} costs for {len(grades)} qualities",
            remedy="Give one cost row per quality.",
        )
    directions = (
        [cost_direction] * costs.shape[1]
        if isinstance(cost_direction, str)
        else list(cost_direction)
    )
    if len(directions) != costs.shape[1]:
        raise IsocostError(
            f"{len(directions)} cost directions for {costs.shape[1]} cost axes",
            remedy="Give one direction per axis.",
        )
    for direction in (*directions, quality_direction):
        if direction not in ("min", "max"):
            raise IsocostError(f"`{direction}` is not a direction", remedy='Use "min" or "max".')
    signs = np.array([1.0 if direction == "min" else -1.0 for direction in directions])
    return costs * signs, grades if quality_direction == "max" else -grades


def matrix_pair(values: ArrayLike, costs: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Return two finite matrices of one shape, outcomes x problems.

    Raises:
        IsocostError: the shapes differ, a matrix is empty or a value is not finite.
    """
    left, right = finite_array(values, "values", (2,)), finite_array(costs, "costs", (2,))
    if left.shape != right.shape:
        raise IsocostError(
            f"values are {left.shape} and costs {right.shape}",
            remedy="Both are outcomes x problems.",
        )
    if 0 in left.shape:
        raise IsocostError(
            f"values are {left.shape}", remedy="Give at least one outcome and one problem."
        )
    return left, right
