"""Argument parsing of the estimators: budgets, rows, masks, and the shape of the result.

Lives here: turning "a number or a sequence" and "one row or a matrix" into one internal form and
back, with errors for users. Not here: any statistics.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from isocost.errors import IsocostError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Values = TypeVar("Values", Floats, Ints, Bools)


@dataclass(frozen=True)
class Shape:
    """Which of the two axes (problems, budgets) the caller gave as a scalar."""

    one_problem: bool
    one_budget: bool

    def give_back(self, values: Values) -> Values:
        """Drop the axes that the caller did not have from a (problems, budgets) matrix.

        A 0-d result is a plain number.
        """
        if self.one_budget:
            values = values[..., 0]
        if self.one_problem:
            values = values[0]
        return values if np.ndim(values) else values[()]


def read_budgets(k: ArrayLike) -> tuple[Ints, bool]:
    """Read budgets as a vector of whole numbers of at least 1.

    Also whether the caller gave a single one.
    """
    raw = np.asarray(k)
    if raw.ndim > 1 or raw.size == 0:
        raise IsocostError(
            f"budgets must be one number or a flat, non-empty sequence, got shape {raw.shape}",
            where="k",
        )
    if (
        raw.dtype == np.bool_
        or not np.issubdtype(raw.dtype, np.number)
        or np.any(raw != np.floor(raw))
    ):
        raise IsocostError(f"budgets must be whole numbers, got {k!r}", where="k")
    if np.any(raw < 1):
        raise IsocostError(
            f"budgets must be at least 1, got {raw.min()}",
            where="k",
            remedy="A budget of no samples answers nothing.",
        )
    return np.atleast_1d(raw).astype(np.int64), raw.ndim == 0


def read_counts(name: str, values: ArrayLike) -> Ints:
    """Read non-negative whole numbers of any shape, naming the argument when they are not."""
    raw = np.asarray(values)
    if raw.dtype.kind == "f" and not np.all(np.isfinite(raw)):
        raise IsocostError("counts must be whole numbers, got NaN or infinity", where=name)
    if raw.dtype.kind not in "iuf" or np.any(raw != np.floor(raw)) or np.any(raw < 0):
        raise IsocostError(
            f"counts must be whole numbers of at least 0, got {values!r:.200}", where=name
        )
    return raw.astype(np.int64)


def read_matrix(name: str, values: ArrayLike) -> tuple[Floats, bool]:
    """One row or a matrix of rows as float64 (problems, columns), and whether it was one row."""
    raw = np.asarray(values, dtype=np.float64)
    if raw.ndim not in (1, 2):
        raise IsocostError(
            f"expected one row or a matrix (problems, samples), got shape {raw.shape}", where=name
        )
    return np.atleast_2d(raw), raw.ndim == 1


def read_like(name: str, values: ArrayLike, shape: tuple[int, int]) -> Floats:
    """Read a float matrix that must have exactly the given shape.

    No broadcasting.
    """
    matrix, _ = read_matrix(name, values)
    if matrix.shape != shape:
        raise IsocostError(f"expected shape {shape}, got {matrix.shape}", where=name)
    return matrix


def read_valid(valid: ArrayLike | None, shape: tuple[int, int]) -> Bools:
    """Read the mask of samples that exist; all exist when none is given."""
    if valid is None:
        return np.ones(shape, dtype=np.bool_)
    mask = np.atleast_2d(np.asarray(valid, dtype=np.bool_))
    if mask.shape != shape:
        raise IsocostError(f"expected shape {shape}, got {mask.shape}", where="valid")
    return mask


def refuse_nan(name: str, values: Floats, valid: Bools, remedy: str) -> None:
    """Raise, with the first place, when an existing sample has a NaN."""
    bad = np.isnan(values) & valid
    if bad.any():
        row, column = (int(i) for i in np.argwhere(bad)[0])
        raise IsocostError(
            f"NaN at problem row {row}, sample {column} ({int(bad.sum())} in all)",
            where=name,
            remedy=remedy,
        )
