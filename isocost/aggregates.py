"""Aggregates of a Polars column as plain numbers.

Lives here: the smallest, the largest and the mean of a column of numbers. Polars declares an
aggregate as anything that a column may hold. Not here: statistics of samples
(``isocost.strategies.estimators``, ``isocost.frontier``).
"""

from __future__ import annotations

import polars as pl


def smallest(column: pl.Series) -> float:
    """The smallest number of a column with at least one."""
    return _number(column.min(), column)


def largest(column: pl.Series) -> float:
    """The largest number of a column with at least one."""
    return _number(column.max(), column)


def mean(column: pl.Series) -> float:
    """The mean of a column with at least one number."""
    return _number(column.mean(), column)


def _number(found: object, column: pl.Series) -> float:
    assert isinstance(found, int | float), f"{column.name} has no number: {column.dtype}"
    return float(found)
