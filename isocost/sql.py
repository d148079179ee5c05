"""Runs the SQL files of the project over the stored tables.

Lives here: finding ``sql/`` (in a checkout or in an installed wheel), one in-memory DuckDB connection with a view a table, and
running one file. Not here: the SQL itself (``sql/``) and the published warehouse (``isocost.publish``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

import duckdb
import polars as pl

from isocost.errors import IsocostError
from isocost.schema.registry import all_tables
from isocost.schema.types import duckdb_ddl
from isocost.store import Store

_HEADER = re.compile(r"^--\s?(.*)$", re.MULTILINE)


def sql_root() -> Path:
    """The folder of SQL files: beside the packages in a checkout, inside ``pipelines`` in a wheel."""
    checkout = Path(__file__).resolve().parents[1] / "sql"
    if (checkout / "checks").is_dir():
        return checkout
    return Path(str(files("pipelines").joinpath("_sql")))


def sql_files(folder: str) -> list[Path]:
    """The SQL files of one folder (``out``, ``checks``, ``examples``, ``macros``), sorted by name."""
    return sorted((sql_root() / folder).glob("*.sql"))


def describe(path: Path) -> str:
    """The comment at the head of a SQL file, as one text."""
    text = path.read_text(encoding="utf-8")
    head = text.split("\n\n", 1)[0] if text.startswith("--") else ""
    lines = [m.group(1) for m in _HEADER.finditer(head)]
    return " ".join(line.strip() for line in lines).strip()


def quoted(path: Path) -> str:
    """A path as a SQL string literal."""
    return "'" + str(path).replace("'", "''") + "'"


@contextmanager
def session(store: Store, *, threads: int = 1) -> Iterator[duckdb.DuckDBPyConnection]:
    """An in-memory DuckDB with one view a core or out table and the project's macros.

    A table that has no file yet is an empty table of the right columns, so that SQL runs on a new machine too. One thread, because
    floating-point sums differ from run to run with more.
    """
    connection = duckdb.connect(":memory:", config={"threads": threads, "autoinstall_known_extensions": False})
    try:
        connection.execute("SET TimeZone = 'UTC'")
        for name, table in all_tables().items():
            if table.layer == "raw":
                continue
            paths = store.files(name)
            if paths:
                listed = ", ".join(quoted(p) for p in paths)
                connection.execute(f'CREATE VIEW "{name}" AS SELECT * FROM read_parquet([{listed}], hive_partitioning = false)')
            else:
                connection.execute(duckdb_ddl(table))
        for path in sql_files("macros"):
            connection.execute(path.read_text(encoding="utf-8"))
        yield connection
    finally:
        connection.close()


def run_file(connection: duckdb.DuckDBPyConnection, path: Path) -> pl.DataFrame:
    """The rows of one SQL file, which holds one SELECT.

    Raises:
        IsocostError: DuckDB refuses the file; the message names it.
    """
    try:
        return connection.sql(path.read_text(encoding="utf-8")).pl()
    except duckdb.Error as error:
        raise IsocostError(str(error).splitlines()[0], where=f"sql/{path.parent.name}/{path.name}") from error
