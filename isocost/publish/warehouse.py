"""The published DuckDB file: every core and out table with its dictionary.

Built next to the old file and swapped in.

Lives here: building of ``warehouse.duckdb`` from stored Parquet tables. Not here: the tables
themselves and the SQL of views and macros (``sql/``). Nothing ever opens the published file for
writing, so it can be read while sweeps run and while the next one is built: a reader keeps the file
that it opened.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import duckdb
import polars as pl

import isocost
from isocost import atomic, sql
from isocost.errors import IsocostError, MachineError
from isocost.memory import chosen_budget
from isocost.publish.handover import Handover, in_order
from isocost.publish.streams import is_large, limited
from isocost.schema.dictionary import describe_column
from isocost.schema.model import Table
from isocost.schema.registry import all_tables
from isocost.schema.types import duckdb_ddl, duckdb_type
from isocost.store import Store

# Files of DuckDB 2 are unreadable by 1.x, which many notebooks and drivers still use.
STORAGE_VERSION = "v1.4.0"

CHECKS_SCHEMA = pl.Schema(
    {
        "table_name": pl.String(),
        "check_name": pl.String(),
        "is_passed": pl.Boolean(),
        "failing_rows": pl.Int64(),
        "rule": pl.String(),
        "problem": pl.String(),
    }
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One table, view or macro file of the warehouse.

    Attributes:
        name: of the table or view; the file's name for macros.
        kind: ``table``, ``view`` or ``macro``.
        rows: rows of a table; None for the others and for a table that failed.
        problem: why it is not in the warehouse; otherwise empty.
    """

    name: str
    kind: str
    rows: int | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class WarehouseReport:
    """The result of building a warehouse.

    Attributes:
        path: the file.
        entries: every table, view and macro file, including failed ones.
        size_bytes: size of the file.
    """

    path: Path
    entries: tuple[Entry, ...]
    size_bytes: int
    rows: int = field(init=False)

    def __post_init__(self) -> None:
        """Add up the rows of all tables."""
        object.__setattr__(self, "rows", sum(entry.rows or 0 for entry in self.entries))

    @property
    def failures(self) -> tuple[Entry, ...]:
        """The entries that are missing from the warehouse."""
        return tuple(entry for entry in self.entries if entry.problem)


def build_warehouse(
    store: Store, handover: Handover | None = None, *, memory: int | None = None
) -> WarehouseReport:
    """Build the warehouse from the stored tables and swap it in.

    It contains every core and out table, in key order, without rows if it was not built yet; a
    table that cannot be read is left out and listed in the report and in the table ``_tables``. In
    addition: ``_columns`` (the data dictionary), ``_about``, and ``_checks`` with the outcome of
    every SQL check over the very rows that are published.

    Args:
        store: the tables; the file is ``store.warehouse``.
        handover: passes on the tables exported in the same run; without it they are read from the
            store.
        memory: budget in bytes for DuckDB; ``$ISOCOST_MEMORY`` or half of what is free if None.

    Returns:
        What was published and what failed.

    Raises:
        IsocostError: the file cannot be written; the previous file is then intact.
    """
    return stage_warehouse(store, handover, memory=memory).commit()


@dataclass(frozen=True, slots=True)
class StagedWarehouse:
    """A warehouse that was built next to the published one.

    Attributes:
        path: where it was built.
        target: the published file.
        entries: every table, view and macro file, including failed ones.
    """

    path: Path
    target: Path
    entries: tuple[Entry, ...]

    def commit(self) -> WarehouseReport:
        """Move it into place.

        Raises:
            IsocostError: the folder cannot be written.
        """
        try:
            # A log left by a killed writer belongs to the old file; DuckDB would replay it into the
            # new one.
            self.target.with_name(f"{self.target.name}.wal").unlink(missing_ok=True)
            atomic.put(self.path, self.target)
        except OSError as error:
            raise _unwritable(self.target, error) from error
        finally:
            self.discard()
        return WarehouseReport(self.target, self.entries, self.target.stat().st_size)

    def discard(self) -> None:
        """Remove what was not moved into place."""
        for leftover in (self.path, self.path.with_name(f"{self.path.name}.wal")):
            with suppress(OSError):
                leftover.unlink(missing_ok=True)


def stage_warehouse(
    store: Store, handover: Handover | None = None, *, memory: int | None = None
) -> StagedWarehouse:
    """Build the warehouse without moving it into place; see ``build_warehouse``."""
    target = store.warehouse
    staged = StagedWarehouse(atomic.temporary_beside(target), target, ())
    try:
        atomic.make_folder(target.parent)
        atomic.remove_stale(target)
        entries = _write(
            store,
            staged.path,
            handover or Handover(()),
            chosen_budget() if memory is None else memory,
        )
        staged = replace(staged, entries=entries)
        atomic.sync(staged.path)
    except BaseException as error:
        staged.discard()
        # DuckDB reports where a write failed, not why: everything except mistakes in SQL is about
        # the disk.
        if isinstance(
            error,
            OSError
            | duckdb.IOException
            | duckdb.FatalException
            | duckdb.InternalException
            | duckdb.TransactionException,
        ):
            raise _unwritable(target, error) from error
        raise
    return staged


def _unwritable(target: Path, error: BaseException) -> MachineError:
    said = " ".join(str(error).split())[:300]
    remedy = (
        "Free space or make the folder writable, then publish again; the previous warehouse is "
        "intact"
    )
    return MachineError(f"could not be written: {said}", where=str(target), remedy=remedy)


def _write(store: Store, path: Path, handover: Handover, memory: int) -> tuple[Entry, ...]:
    # One thread and one insertion per table: the same rows in the same order whenever the inputs
    # are the same.
    with limited(path, memory) as connection:
        connection.execute(
            f"ATTACH {sql.quoted(path)} AS warehouse (STORAGE_VERSION '{STORAGE_VERSION}')"
        )
        connection.execute("USE warehouse")
        tables = {name: table for name, table in all_tables().items() if table.layer != "raw"}
        connection.execute(
            "BEGIN"
        )  # all at once: a comment on every column is a thousand statements
        for table in tables.values():
            _create(connection, table)
        connection.execute("COMMIT")
        # One by one: inserted data is compressed at commit, while the next table is still arriving.
        filled = {
            name: _fill(connection, store, tables[name], handover, memory)
            for name in in_order(tables)
        }
        entries = [filled[name] for name in tables]
        entries += [_statement(connection, file, "macro") for file in sql.macro_files()]
        entries += [_statement(connection, file, "view") for file in sql.sql_files("views")]
        _describe(connection, list(tables.values()), entries)
        _insert(connection, "_checks", _checks(connection, entries))
        connection.execute(
            "COMMENT ON TABLE _checks IS 'Every SQL check with its outcome when the warehouse was"
            " built.'"
        )
        connection.execute("USE memory")
        connection.execute("DETACH warehouse")
    return tuple(entries)


def _create(connection: duckdb.DuckDBPyConnection, table: Table) -> None:
    connection.execute(duckdb_ddl(table))
    comment = " ".join([f"One row: {table.grain.rstrip('.')}.", *table.warnings])
    connection.execute(f'COMMENT ON TABLE "{table.name}" IS {_literal(comment)}')
    for column in table.columns:
        unit = f" Unit: {column.unit}." if column.unit else ""
        connection.execute(
            f'COMMENT ON COLUMN "{table.name}"."{column.name}" IS'
            f" {_literal(describe_column(column) + unit)}"
        )


def _fill(
    connection: duckdb.DuckDBPyConnection,
    store: Store,
    table: Table,
    handover: Handover,
    memory: int,
) -> Entry:
    """Insert a table's rows from its sorted export of this run, or otherwise from the store."""
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    exported = handover.file(table.name)
    if exported is not None:
        incoming = f"read_parquet({sql.quoted_file(exported)}, hive_partitioning = false)"
    elif is_large(store, table.name, memory):
        order = ", ".join(f'"{name}" ASC NULLS LAST' for name in table.sort_order)
        incoming = f"({sql.rows_of(table, store.files(table.name))}) ORDER BY {order}"
    else:
        try:
            frame = store.read(table.name)
        except IsocostError as error:
            connection.execute(f'DROP TABLE "{table.name}"')
            return Entry(table.name, "table", problem=str(error))
        connection.register("incoming", frame)
        incoming = "incoming"
    inserted = connection.execute(
        f'INSERT INTO "{table.name}" SELECT {names} FROM {incoming}'
    ).fetchone()
    connection.unregister("incoming")
    return Entry(table.name, "table", rows=int(inserted[0]) if inserted else 0)


def _checks(connection: duckdb.DuckDBPyConnection, entries: Sequence[Entry]) -> pl.DataFrame:
    """Run every SQL check over the tables just filled: one row per check.

    In the columns of ``CHECKS_SCHEMA``.

    A check that cannot run, because a table that it reads is damaged, has neither passed nor
    failed: it is NULL, with the reason in ``problem``.
    """
    sql.note_files(
        connection,
        [
            (entry.name, "", entry.problem)
            for entry in entries
            if entry.kind == "table" and entry.problem
        ],
    )
    rows = [_checked(connection, path) for path in sql.sql_files("checks")]
    return pl.DataFrame(rows, schema=CHECKS_SCHEMA, orient="row").sort("table_name", "check_name")


def _checked(
    connection: duckdb.DuckDBPyConnection, path: Path
) -> tuple[str | bool | int | None, ...]:
    table_name, check_name = path.stem.split("__", 1)
    try:
        failing = sql.run_file(connection, path).height
    except IsocostError as error:
        return (table_name, check_name, None, None, sql.describe(path), str(error))
    return (table_name, check_name, failing == 0, failing, sql.describe(path), None)


def _statement(connection: duckdb.DuckDBPyConnection, path: Path, kind: str) -> Entry:
    text = sql.text_of(path)
    try:
        connection.execute(f'CREATE VIEW "{path.stem}" AS {text}' if kind == "view" else text)
        if kind == "view":
            connection.execute(f'COMMENT ON VIEW "{path.stem}" IS {_literal(sql.describe(path))}')
    except duckdb.Error as error:
        return Entry(path.stem, kind, problem=str(error).splitlines()[0])
    return Entry(path.stem, kind)


def _describe(
    connection: duckdb.DuckDBPyConnection, tables: Sequence[Table], entries: Sequence[Entry]
) -> None:
    by_name = {entry.name: entry for entry in entries if entry.kind == "table"}
    rows = [
        {
            "table_name": table.name,
            "layer": table.layer,
            "grain": table.grain,
            "keys": list(table.keys),
            "warnings": list(table.warnings),
            "schema_version": table.schema_version,
            "n_rows": by_name[table.name].rows,
            "problem": by_name[table.name].problem or None,
        }
        for table in tables
    ]
    types = {
        "table_name": pl.String,
        "layer": pl.String,
        "grain": pl.String,
        "keys": pl.List(pl.String),
        "warnings": pl.List(pl.String),
        "schema_version": pl.Int32,
        "n_rows": pl.Int64,
        "problem": pl.String,
    }
    _insert(connection, "_tables", pl.DataFrame(rows, schema=types))
    connection.execute(
        "COMMENT ON TABLE _tables IS 'Every table: what a row is, usage notes, why it is missing.'"
    )
    _insert(connection, "_columns", dictionary(tables))
    connection.execute("COMMENT ON TABLE _columns IS 'Every column: type, unit, meaning.'")
    about = {"isocost_version": isocost.__version__, "storage_version": STORAGE_VERSION}
    _insert(
        connection, "_about", pl.DataFrame({"name": list(about), "value": list(about.values())})
    )


def dictionary(tables: Sequence[Table]) -> pl.DataFrame:
    """The data dictionary of some tables as rows: one per column."""
    rows = [
        (
            table.name,
            place,
            column.name,
            duckdb_type(column),
            column.unit or None,
            not table.required(column.name),
            describe_column(column),
        )
        for table in tables
        for place, column in enumerate(table.columns, start=1)
    ]
    schema = {
        "table_name": pl.String,
        "position": pl.Int32,
        "column_name": pl.String,
        "type": pl.String,
        "unit": pl.String,
        "is_nullable": pl.Boolean,
        "meaning": pl.String,
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


def _insert(connection: duckdb.DuckDBPyConnection, name: str, frame: pl.DataFrame) -> None:
    connection.register("incoming", frame)
    connection.execute(f'CREATE TABLE "{name}" AS SELECT * FROM incoming')
    connection.unregister("incoming")


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
