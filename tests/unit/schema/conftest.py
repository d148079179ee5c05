"""A small table of every rule, put into the registry for one test."""

from __future__ import annotations

import polars as pl
import pytest

from isocost.schema import registry
from isocost.schema.model import Column, Table

PROBE = Table(
    name="out_probe",
    grain="one measured thing",
    keys=("probe_id", "step"),
    columns=(
        Column("probe_id", "string", "Names the thing"),
        Column("step", "int32", "Counts from zero"),
        Column("kind", "string", "What it is", nullable=False, allowed=("a", "b")),
        Column("energy_j", "float64", "Energy spent", unit="J", source="a meter"),
        Column("parts", "list[float64]", "Energy of its parts", unit="J"),
        Column("tags", "list[string]", "Free words"),
        Column("seen", "timestamp", "When it was seen"),
        Column("is_good", "bool", "Whether it counts"),
        Column("small", "int8", "A small number"),
    ),
    warnings=("Made up",),
    schema_version=2,
)


@pytest.fixture
def probe(monkeypatch) -> Table:
    tables = {**registry.all_tables(), PROBE.name: PROBE}
    monkeypatch.setattr(registry, "all_tables", lambda: tables)
    return PROBE


@pytest.fixture
def rows() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "probe_id": ["x", "x", "w"],
            "step": pl.Series([1, 0, 0], dtype=pl.Int32),
            "kind": ["a", "b", "a"],
            "energy_j": [1.5, None, 0.0],
            "parts": [[0.5, 1.0], None, []],
            "tags": [["t"], [], None],
            "seen": pl.Series([None] * 3, dtype=pl.Datetime("us", "UTC")),
            "is_good": [True, None, False],
            "small": pl.Series([1, None, -1], dtype=pl.Int8),
        }
    )
