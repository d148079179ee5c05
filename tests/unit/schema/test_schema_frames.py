"""conform and faults: every rule fires on one changed cell, and nothing else changes the rows."""

from __future__ import annotations

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from isocost.errors import IsocostError
from isocost.schema.frames import conform, empty, faults
from isocost.schema.types import polars_schema


def test_a_good_frame_comes_back_in_stored_order(probe, rows):
    shuffled = rows.select(reversed(rows.columns))
    held = conform(shuffled, probe.name)
    assert held.columns == [c.name for c in probe.columns]
    assert held.select("probe_id", "step").rows() == [("w", 0), ("x", 0), ("x", 1)]
    assert_frame_equal(held.sort("probe_id", "step"), rows.sort("probe_id", "step"))
    assert faults(held, probe.name) == []


def test_an_empty_frame_holds(probe):
    assert empty(probe.name).schema == polars_schema(probe)
    assert faults(conform(empty(probe.name), probe.name), probe.name) == []


MUTATIONS = {
    "missing_column": (lambda f: f.drop("is_good"), "column is_good is missing"),
    "extra_column": (lambda f: f.with_columns(note=pl.lit("x")), "column note is not in the table"),
    "type": (
        lambda f: f.with_columns(pl.col("energy_j").cast(pl.String)),
        "column energy_j is String, must be Float64",
    ),
    "null": (lambda f: _set(f, "kind", None), r"column kind is NULL in 1 rows \(first keys: x/1\)"),
    "null in a key": (lambda f: _set(f, "step", None), r"column step is NULL"),
    "not_finite": (
        lambda f: _set(f, "energy_j", float("nan")),
        r"column energy_j is NaN or infinite; unknown is NULL in 1 rows",
    ),
    "infinite": (
        lambda f: _set(f, "energy_j", float("-inf")),
        r"column energy_j is NaN or infinite",
    ),
    "not_finite in a list": (
        lambda f: _set(f, "parts", [1.0, float("inf")]),
        "column parts contains NaN or infinity",
    ),
    "not_allowed": (lambda f: _set(f, "kind", "c"), "column kind is not one of a, b"),
    "duplicate_key": (
        lambda f: pl.concat([f, f.head(1)]),
        r"column probe_id\+step comes more than once in 2 rows",
    ),
}


def _set(frame: pl.DataFrame, column: str, value) -> pl.DataFrame:
    values = frame[column].to_list()
    values[0] = value
    return frame.with_columns(pl.Series(column, values, dtype=frame.schema[column]))


@pytest.mark.parametrize("name", MUTATIONS)
def test_every_rule_fires_on_one_change(name, probe, rows):
    mutate, message = MUTATIONS[name]
    with pytest.raises(IsocostError, match=message) as caught:
        conform(mutate(rows), probe.name)
    assert caught.value.where == "table out_probe"
    assert name.split(" ")[0].replace("infinite", "not_finite") in {
        f.rule for f in faults(mutate(rows), probe.name)
    }


def test_all_faults_are_reported_at_once(probe, rows):
    bad = _set(_set(rows, "kind", "c"), "energy_j", float("nan"))
    with pytest.raises(IsocostError, match=r"kind is not one of.*energy_j is NaN"):
        conform(bad, probe.name)


@pytest.mark.parametrize(
    ("column", "dtype"),
    [
        ("energy_j", pl.Float32()),
        ("energy_j", pl.Int64()),
        ("step", pl.Int64()),
        ("tags", pl.Null()),
        ("kind", pl.Categorical()),
    ],
)
def test_safe_types_are_cast(column, dtype, probe, rows):
    frame = rows.with_columns(
        pl.lit(None, dtype=dtype).alias(column)
        if dtype == pl.Null()
        else pl.col(column).cast(dtype)
    )
    assert conform(frame, probe.name).schema == polars_schema(probe)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("step", pl.Series([0.5, 1.0, 2.0])),
        ("is_good", pl.Series([1, 0, 1])),
        ("probe_id", pl.Series([1, 2, 3])),
    ],
)
def test_nothing_is_parsed_rounded_or_guessed(column, value, probe, rows):
    with pytest.raises(IsocostError, match=f"column {column} is"):
        conform(rows.with_columns(value.alias(column)), probe.name)


def test_a_number_that_does_not_fit_is_refused(probe, rows):
    with pytest.raises(IsocostError, match="small"):
        conform(rows.with_columns(small=pl.Series([1, 2, 300], dtype=pl.Int64)), probe.name)


def test_an_unknown_table_is_reported_with_its_neighbours(probe):
    with pytest.raises(IsocostError, match=r"no table is called 'out_prob'.*out_probe"):
        empty("out_prob")
