"""List columns of core_samples for replay: confidence records and verification verdicts.

Lives here: reading both from the rows of one point. Not here: the other columns (outcome_banks.py),
how lists get into core_samples (core_traces.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from isocost.aggregates import largest
from isocost.errors import IsocostError
from isocost.strategies.records import Records

RECORD_COLUMNS = ("confidence_record_tokens", "confidence_record_values")
LISTS = (*RECORD_COLUMNS, "verdicts")

Fill = Callable[[np.ndarray, Any], np.ndarray]
"""Values of the rows, in their order, and a padding -> (problems, samples)."""


def bank_records(rows: pl.DataFrame, fill: Fill, point_id: str) -> Records | None:
    """Records of a point's samples; None if no sample has any.

    Raises:
        IsocostError: a sample has more tokens than values, or they do not rise and fall.
    """
    if (
        not set(RECORD_COLUMNS) <= set(rows.columns)
        or rows[RECORD_COLUMNS[0]].null_count() == rows.height
    ):
        return None
    count = [
        rows[name].list.len().cast(pl.Int64).fill_null(-1).to_numpy() for name in RECORD_COLUMNS
    ]
    tokens, values = (
        rows.filter(pl.col(name).list.len() > 0)[name].explode().to_numpy()
        for name in RECORD_COLUMNS
    )
    held = np.maximum(count[0], 0)
    start = np.cumsum(held) - held
    first = np.zeros(len(tokens), dtype=np.bool_)
    first[start[held > 0]] = True
    # Falling as doubles, two lows may be one and the same as stored.
    is_orderly = np.array_equal(count[0], count[1]) and bool(
        np.all((np.diff(tokens) > 0) & (np.diff(values) <= 0) | first[1:])
    )
    if not is_orderly:
        raise IsocostError(
            "confidence records must be as many tokens as values, rising and falling",
            where=f"core_samples, point {point_id}",
            remedy="Build the core tables again from the bank.",
        )
    return Records(
        fill(start, 0), fill(count[0], -1), tokens.astype(np.int32), values.astype(np.float64)
    )


def bank_verdicts(rows: pl.DataFrame, fill: Fill) -> tuple[np.ndarray | None, np.ndarray | None]:
    """Verdicts (problems, samples, verifications), NaN if none, and the number per sample.

    None if no sample has any.
    """
    if "verdicts" not in rows.columns or rows["verdicts"].null_count() == rows.height:
        return None, None
    count = rows["verdicts"].list.len().cast(pl.Int64).fill_null(0)
    lists, most = rows["verdicts"], int(largest(count))
    columns = [
        lists.list.get(i, null_on_oob=True).cast(pl.Float64).fill_null(float("nan"))
        for i in range(most)
    ]
    if not columns:
        return None, None
    return np.stack([fill(column.to_numpy(), np.nan) for column in columns], axis=2), fill(
        count.cast(pl.Float64).to_numpy(), np.nan
    )
