"""From a table's definition to its asset: name, group, description, column schema, metadata.

Everything here derives from ``isocost.schema``; no asset writes its columns a second time.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import dagster as dg

from isocost.schema.dictionary import describe_column
from isocost.schema.model import Table
from isocost.schema.registry import table as table_of
from isocost.schema.types import duckdb_type

Result = dg.MaterializeResult[Any]
"""Its type parameter is a value for an I/O manager; the tables here are written by their bodies."""


def column_schema(table: Table) -> dg.TableSchema:
    """The table's columns as Dagster shows them."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=column.name,
                type=duckdb_type(column),
                description=describe_column(column)
                + (f" Unit: {column.unit}." if column.unit else ""),
                constraints=dg.TableColumnConstraints(nullable=not table.required(column.name)),
            )
            for column in table.columns
        ]
    )


def table_spec(
    name: str, deps: Iterable[str] = (), *, kinds: Iterable[str] = ("parquet",)
) -> dg.AssetSpec:
    """The asset of one table.

    Its layer is the group, its grain and warnings are the description.
    """
    table = table_of(name)
    description = "\n\n".join(
        [f"One row: {table.grain.rstrip('.')}.", *(f"**Note:** {w}" for w in table.warnings)]
    )
    return dg.AssetSpec(
        key=name,
        deps=list(deps),
        description=description,
        group_name=table.layer,
        kinds=set(kinds),
        code_version=str(table.schema_version),
        metadata={
            "dagster/column_schema": column_schema(table),
            "grain": table.grain,
            "keys": ", ".join(table.keys),
        },
    )


def result(
    name: str, rows: int, path: Path, **metadata: dg.MetadataValue | str | int | float | bool
) -> Result:
    """The metadata of one materialization of a table: rows and path, and the body's own."""
    return dg.MaterializeResult(
        asset_key=name,
        metadata={"dagster/row_count": int(rows), "dagster/uri": str(path), **metadata},
    )
