"""The types of the three engines, derived from the one definition.

Lives here: column type -> Polars, Arrow, DuckDB. Not here: casting of data (``frames``).
"""

from __future__ import annotations

import polars as pl
import pyarrow as pa

from isocost.schema.model import Column, Table

_POLARS: dict[str, pl.DataType] = {
    "string": pl.String(),
    "json": pl.String(),
    "int8": pl.Int8(),
    "int32": pl.Int32(),
    "int64": pl.Int64(),
    "float32": pl.Float32(),
    "float64": pl.Float64(),
    "bool": pl.Boolean(),
    "timestamp": pl.Datetime("us", "UTC"),
    "list[string]": pl.List(pl.String()),
    "list[int32]": pl.List(pl.Int32()),
    "list[float32]": pl.List(pl.Float32()),
    "list[float64]": pl.List(pl.Float64()),
}
_ARROW: dict[str, pa.DataType] = {
    "string": pa.large_string(),
    "json": pa.large_string(),
    "int8": pa.int8(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "float32": pa.float32(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "list[string]": pa.large_list(pa.large_string()),
    "list[int32]": pa.large_list(pa.int32()),
    "list[float32]": pa.large_list(pa.float32()),
    "list[float64]": pa.large_list(pa.float64()),
}
_DUCKDB: dict[str, str] = {
    "string": "VARCHAR",
    "json": "VARCHAR",
    "int8": "TINYINT",
    "int32": "INTEGER",
    "int64": "BIGINT",
    "float32": "FLOAT",
    "float64": "DOUBLE",
    "bool": "BOOLEAN",
    "timestamp": "TIMESTAMP WITH TIME ZONE",
    "list[string]": "VARCHAR[]",
    "list[int32]": "INTEGER[]",
    "list[float32]": "FLOAT[]",
    "list[float64]": "DOUBLE[]",
}


def polars_type(column: Column) -> pl.DataType:
    """The Polars type of a column."""
    return _POLARS[column.type]


def duckdb_type(column: Column) -> str:
    """The DuckDB type of a column, as SQL spells it."""
    return _DUCKDB[column.type]


def polars_schema(table: Table) -> pl.Schema:
    """The Polars schema of a table, in stored column order."""
    return pl.Schema({column.name: _POLARS[column.type] for column in table.columns})


def arrow_schema(table: Table) -> pa.Schema:
    """The Arrow schema of a table; required columns are not nullable."""
    return pa.schema(
        [
            pa.field(c.name, _ARROW[c.type], nullable=not table.required(c.name))
            for c in table.columns
        ]
    )


def duckdb_ddl(table: Table, name: str | None = None) -> str:
    """``CREATE TABLE`` for a table, under its own name unless another is given."""
    lines = []
    for column in table.columns:
        required = " NOT NULL" if table.required(column.name) else ""
        lines.append(f'  "{column.name}" {_DUCKDB[column.type]}{required}')
    return f'CREATE TABLE "{name or table.name}" (\n' + ",\n".join(lines) + "\n)"
