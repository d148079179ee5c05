"""The same tables as Parquet files with a Frictionless ``datapackage.json``: for people who use neither DuckDB nor this project.

Lives here: writing of the export folder. Not here: the warehouse file (``warehouse``). Identical inputs give identical bytes: no
time, host or path is written.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import isocost
from isocost.errors import IsocostError
from isocost.schema.dictionary import describe_column
from isocost.schema.model import Column, Table
from isocost.schema.parquet import write_table
from isocost.schema.registry import all_tables
from isocost.store import Store

DESCRIPTOR = "datapackage.json"
_TYPES = {
    "string": "string",
    "json": "string",
    "int8": "integer",
    "int32": "integer",
    "int64": "integer",
    "float32": "number",
    "float64": "number",
    "bool": "boolean",
    "timestamp": "datetime",
}


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What was exported.

    Attributes:
        folder: the export folder.
        rows: rows by table.
        failures: why a table is missing, by table.
    """

    folder: Path
    rows: dict[str, int]
    failures: dict[str, str]


def write_exports(store: Store) -> ExportReport:
    """Writes every stored core and out table as one Parquet file, and the descriptor last.

    A table that was never built is left out; one that cannot be read is left out and told in the report and in the descriptor.
    Files of an earlier export that are no longer part of it are removed, others in the folder are left alone.

    Args:
        store: the tables; the folder is ``store.exports``.

    Raises:
        IsocostError: the folder cannot be written.
    """
    folder = store.exports
    before = _listed(folder)
    resources: list[dict[str, Any]] = []
    rows: dict[str, int] = {}
    failures: dict[str, str] = {}
    for name in store.stored_tables():
        try:
            frame = store.read(name)
        except IsocostError as error:
            failures[name] = str(error)
            continue
        path = write_table(frame, name, folder / f"{name}.parquet", is_held=True)
        rows[name] = frame.height
        resources.append(_resource(all_tables()[name], path, frame.height))
    _write_descriptor(folder, resources, failures)
    for name in before - {resource["path"] for resource in resources}:
        (folder / name).unlink(missing_ok=True)
    return ExportReport(folder, rows, failures)


def _resource(table: Table, path: Path, rows: int) -> dict[str, Any]:
    with path.open("rb") as handle:
        digest = hashlib.file_digest(handle, "sha256").hexdigest()
    return {
        "name": table.name.replace("_", "-"),
        "path": path.name,
        "title": table.name,
        "description": " ".join([f"One row: {table.grain.rstrip('.')}.", *table.warnings]),
        "format": "parquet",
        "mediatype": "application/vnd.apache.parquet",
        "bytes": path.stat().st_size,
        "hash": f"sha256:{digest}",
        "rows": rows,
        "schemaVersion": table.schema_version,
        "schema": {"fields": [_field(table, column) for column in table.columns], "primaryKey": list(table.keys)},
    }


def _field(table: Table, column: Column) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": column.name,
        "type": "array" if column.type.startswith("list[") else _TYPES[column.type],
        "description": describe_column(column),
    }
    if column.unit:
        entry["unit"] = column.unit
    constraints: dict[str, Any] = {}
    if table.required(column.name):
        constraints["required"] = True
    if column.allowed:
        constraints["enum"] = list(column.allowed)
    if constraints:
        entry["constraints"] = constraints
    return entry


def _write_descriptor(folder: Path, resources: list[dict[str, Any]], failures: dict[str, str]) -> None:
    package: dict[str, Any] = {
        "profile": "data-package",
        "name": "isocost-tables",
        "title": "Isocost: what accuracy a unit of inference compute buys",
        "version": isocost.__version__,
        "resources": resources,
    }
    if failures:
        package["missing"] = [{"table": name, "problem": problem} for name, problem in sorted(failures.items())]
    temporary = folder / f".{DESCRIPTOR}.{uuid4().hex}.tmp"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(package, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        temporary.replace(folder / DESCRIPTOR)
    except OSError as error:
        raise IsocostError(f"could not be written: {error.strerror or error}", where=str(folder / DESCRIPTOR)) from error
    finally:
        temporary.unlink(missing_ok=True)


def _listed(folder: Path) -> set[str]:
    """Plain file names in the descriptor of the export before; none where there is none or it is not ours to read."""
    try:
        resources = json.loads((folder / DESCRIPTOR).read_text(encoding="utf-8"))["resources"]
        return {str(resource["path"]) for resource in resources if Path(str(resource["path"])).name == resource["path"]}
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return set()
