"""Rows that come in runs are the rows of one frame, in memory or laid aside."""

from __future__ import annotations

import polars as pl
import pytest

from isocost.errors import IsocostError
from isocost.schema.registry import table
from isocost.schema.runs import Runs
from isocost.schema.types import polars_type
from isocost.store import Store

NAME = "out_frontier_attainment"


def rows_of(axis: str, n: int) -> pl.DataFrame:
    """Rows of one axis, the dearest first."""
    stated = {"task": "sums", "tasks": ["sums"], "frontier_kind": "policy", "cost_axis": axis}
    columns = []
    for column in table(NAME).columns:
        value = stated.get(column.name, "accuracy" if column.name == "quality_measure" else None)
        if value is None:
            value = {"string": "x", "float64": 0.5, "list[string]": ["x"]}.get(column.type, 3)
        columns.append(pl.lit(value, dtype=polars_type(column)).alias(column.name))
    frame = pl.select(columns)
    frame = pl.concat([frame] * n).with_columns(cost=pl.Series(range(n, 0, -1), dtype=pl.Float64))
    return frame


@pytest.mark.parametrize("memory", [None, 0])
@pytest.mark.slow
def test_runs_in_any_order_are_written_as_one_frame_is(memory, tmp_path):
    parts = [rows_of(axis, n) for axis, n in (("c", 3), ("a", 100_001), ("b", 1))]
    runs = Runs(NAME, memory=memory, folder=tmp_path / "aside")
    for part in parts:
        runs.add(part)
    assert runs.is_laid_aside == (memory == 0) and runs.height == 100_005
    assert not list((tmp_path / "aside").glob("*"))
    whole = runs.whole()
    assert whole.equals(pl.concat(list(runs.frames()))) and whole["cost"][0] == 1
    one, other = Store(tmp_path / "one"), Store(tmp_path / "other")
    assert one.write(runs, NAME).read_bytes() == other.write(whole, NAME).read_bytes()
    runs.close()
    assert runs.height == 0 and runs.whole().is_empty()


def test_a_run_breaks_its_table_as_a_frame_does_and_runs_must_not_overlap():
    runs = Runs(NAME)
    with pytest.raises(IsocostError, match="is NULL"):
        runs.add(rows_of("a", 2).with_columns(cost_axis=pl.lit(None, pl.String)))
    runs.add(rows_of("a", 4).filter(pl.col("cost") != 2))
    runs.add(rows_of("a", 4).filter(pl.col("cost") == 2))
    assert runs.whole().height == 4
    with pytest.raises(IsocostError, match="overlap"):
        list(runs.frames())
