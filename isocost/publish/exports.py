"""The same tables as Parquet files with a Frictionless ``datapackage.json``.

For users of neither DuckDB nor this project.

Lives here: writing of the export folder. Not here: the warehouse file (``warehouse``). Identical
inputs give identical bytes: no time, host or path is written.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import polars as pl

import isocost
from isocost import atomic
from isocost.errors import IsocostError, MachineError
from isocost.memory import chosen_budget
from isocost.publish.handover import Handover, in_order
from isocost.publish.streams import batches, is_large
from isocost.schema.dictionary import describe_column
from isocost.schema.model import Column, Table
from isocost.schema.parquet import write_batches, write_table
from isocost.schema.registry import all_tables
from isocost.store import Store

DESCRIPTOR = "datapackage.json"
_STAGED = ".staged-"
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
    """The result of an export.

    Attributes:
        folder: the export folder.
        rows: rows by table.
        failures: why a table is missing, by table.
    """

    folder: Path
    rows: dict[str, int]
    failures: dict[str, str]


@dataclass(frozen=True, slots=True)
class StagedExports:
    """Exports in a hidden folder next to the published ones.

    Attributes:
        folder: that folder.
        target: the export folder.
        report: their description.
    """

    folder: Path
    target: Path
    report: ExportReport

    def commit(self) -> ExportReport:
        """Move the exports into place, the descriptor last.

        Removes files of an earlier export that are no longer part of it.

        Raises:
            IsocostError: the folder cannot be written.
        """
        before, names = _listed(self.target), [f"{name}.parquet" for name in self.report.rows]
        try:
            for name in (*names, DESCRIPTOR):
                (self.folder / name).replace(self.target / name)
            for name in before - set(names):
                (self.target / name).unlink(missing_ok=True)
            atomic.sync(self.target)
        except OSError as error:
            raise _unwritable(self.target, error) from error
        finally:
            self.discard()
        return self.report

    def discard(self) -> None:
        """Remove everything that was not moved into place."""
        shutil.rmtree(self.folder, ignore_errors=True)


def write_exports(
    store: Store, handover: Handover | None = None, *, memory: int | None = None
) -> ExportReport:
    """Write every stored core and out table as one Parquet file, and the descriptor last.

    A table that was never built is left out; a table that cannot be read is left out and listed in
    the report and in the descriptor. Files of an earlier export that are no longer part of it are
    removed; other files in the folder are left alone. All files are built before the first is moved
    into place, so a failure leaves the earlier export intact.

    Args:
        store: the tables; the folder is ``store.exports``.
        handover: others that publish the same tables in this run; closed at the end.
        memory: budget in bytes: larger tables are sorted on disk; ``$ISOCOST_MEMORY`` or half of
            what is free if None.

    Raises:
        IsocostError: the folder cannot be written.
    """
    return stage_exports(store, handover, memory=memory).commit()


def stage_exports(
    store: Store, handover: Handover | None = None, *, memory: int | None = None
) -> StagedExports:
    """Build the exports without moving them into place; see ``write_exports``."""
    handover = handover or Handover(())
    folder = store.exports / f"{_STAGED}{uuid4().hex}"
    try:
        _remove_stale(store.exports)
        folder.mkdir(parents=True)
        return StagedExports(
            folder,
            store.exports,
            _write_all(store, handover, folder, chosen_budget() if memory is None else memory),
        )
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, OSError):
            raise _unwritable(store.exports, error) from error
        raise
    finally:
        handover.close()


def _unwritable(folder: Path, error: OSError) -> MachineError:
    remedy = (
        "Free space or make the folder writable, then publish again; the earlier export is intact"
    )
    return MachineError(
        f"could not be written: {error.strerror or error}", where=str(folder), remedy=remedy
    )


def _remove_stale(folder: Path) -> None:
    """Remove leftovers of exports that were killed; a concurrent export is younger."""
    for path in folder.glob(f"{_STAGED}*"):
        if time.time() - path.stat().st_mtime > atomic.ABANDONED_S:
            shutil.rmtree(path, ignore_errors=True)


def _write_all(store: Store, handover: Handover, folder: Path, memory: int) -> ExportReport:
    resources: dict[str, dict[str, Any]] = {}
    failures: dict[str, str] = {}
    names = store.stored_tables()
    for name, frame in _frames(store, names, handover, memory):
        path = folder / f"{name}.parquet"
        try:
            if isinstance(frame, IsocostError):
                raise frame
            if frame is None:
                height = write_batches(batches(store, name, memory), name, path)
            else:
                height = write_table(frame, name, path, is_held=True) and frame.height
        except IsocostError as error:
            if isinstance(error, MachineError):
                raise  # the folder cannot be written, or there is no space to sort a table
            failures[name] = str(error)
            handover.give_file(name, None)
            continue
        handover.give_file(name, path)
        resources[name] = _resource(all_tables()[name], path, height)
    listed = [resources[name] for name in names if name in resources]
    _write_descriptor(folder, listed, failures)
    return ExportReport(
        store.exports, {resource["title"]: resource["rows"] for resource in listed}, failures
    )


def _frames(
    store: Store, names: list[str], handover: Handover, memory: int
) -> Iterator[tuple[str, pl.DataFrame | IsocostError | None]]:
    """Every table, or why it cannot be read, one after the other.

    Tables that the report waits for are read before anything is written.

    None for a table that is too large to be read at once.
    """
    ahead: dict[str, pl.DataFrame | IsocostError] = {}
    for name in handover.awaited():
        if is_large(store, name, memory):
            handover.give_frame(name, None)  # the report reads what it shows of it itself
            continue
        frame = _read(store, name)
        handover.give_frame(name, None if isinstance(frame, IsocostError) else frame)
        ahead[name] = frame
    for name in in_order(names):
        if name in ahead:
            yield name, ahead.pop(name)
        else:
            yield name, None if is_large(store, name, memory) else _read(store, name)


def _read(store: Store, name: str) -> pl.DataFrame | IsocostError:
    try:
        return store.read(name)
    except IsocostError as error:
        return error


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
        "schema": {
            "fields": [_field(table, column) for column in table.columns],
            "primaryKey": list(table.keys),
        },
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


def _write_descriptor(
    folder: Path, resources: list[dict[str, Any]], failures: dict[str, str]
) -> None:
    package: dict[str, Any] = {
        "profile": "data-package",
        "name": "isocost-tables",
        "title": "Isocost: what accuracy a unit of inference compute buys",
        "version": isocost.__version__,
        "resources": resources,
    }
    if failures:
        package["missing"] = [
            {"table": name, "problem": problem} for name, problem in sorted(failures.items())
        ]
    text = json.dumps(package, indent=1, ensure_ascii=False) + "\n"
    atomic.write_text(folder / DESCRIPTOR, text, intact="the earlier export is intact")


def _listed(folder: Path) -> set[str]:
    """Plain file names in the descriptor of the previous export.

    None if there is none or it is not ours.
    """
    try:
        resources = json.loads((folder / DESCRIPTOR).read_text(encoding="utf-8"))["resources"]
        return {
            str(resource["path"])
            for resource in resources
            if Path(str(resource["path"])).name == resource["path"]
        }
    except (OSError, ValueError, KeyError, TypeError):
        return set()
