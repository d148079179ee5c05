"""Checks of numeric arguments that every cost formula shares.

Lives here: turning array-likes into float64 arrays or into an error that names the argument. Not
here: checks of tables.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from isocost.errors import IsocostError


def numbers(
    values: ArrayLike, name: str, *, low: float = 0.0, high: float = np.inf, allow_inf: bool = False
) -> NDArray[np.float64]:
    """``values`` as float64 of any shape, all in [low, high] and finite unless ``allow_inf``.

    Raises:
        IsocostError: not numeric, NaN, infinite or out of range; names the argument and the first
            offender.
    """
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise IsocostError(
            "not an array of numbers",
            where=f"argument {name}",
            remedy="Remove NULLs and text first",
        ) from None
    bad = np.isnan(array) | (array < low) | (array > high)
    if not allow_inf:
        bad |= np.isinf(array)
    if np.any(bad):
        index = int(np.flatnonzero(bad.ravel())[0])
        raise IsocostError(
            f"the value {array.ravel()[index]!s} at position {index} is not a number in [{low:g},"
            f" {high:g}]",
            where=f"argument {name}",
            remedy="Unknown values are left out before the formula, not given as a placeholder",
        )
    return array


def token_counts(values: ArrayLike, name: str) -> NDArray[np.float64]:
    """``values`` as float64, all whole and >= 0.

    Raises:
        IsocostError: as `numbers`, or a fractional count.
    """
    array = numbers(values, name)
    if np.any(array != np.floor(array)):
        raise IsocostError(
            "a token count is not whole",
            where=f"argument {name}",
            remedy="Apply the formula per sample, then average",
        )
    return array
