"""Runs the SQL files of the project over the stored tables.

Lives here: finding ``sql/`` (in a checkout or in an installed wheel), one in-memory DuckDB
connection with a view a table, running one file, and finding the damaged file where that fails. Not
here: the SQL itself (``sql/``) and the published warehouse (``isocost.publish``).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from pathlib import Path

import duckdb
import polars as pl

from isocost.axes.registry import all_axes
from isocost.errors import IsocostError
from isocost.schema.axis_columns import reasoned_columns
from isocost.schema.model import Table
from isocost.schema.parquet import read_stamp, read_table
from isocost.schema.registry import all_tables
from isocost.schema.types import duckdb_ddl
from isocost.store import SHARED, VALIDITY, Store

_HEADER = re.compile(r"^--\s?(.*)$", re.MULTILINE)
_LIST = re.compile(r"\{\{ (\w+) \}\}")
_MACRO = re.compile(r"\bMACRO\s+(\w+)\s*\(", re.IGNORECASE)
_FILES = {"table_name": pl.String, "path": pl.String, "problem": pl.String}
_AGAIN = "Run `isocost refresh` to rebuild every derived table from the bank"


def sql_root() -> Path:
    """The folder of SQL files.

    Beside the packages in a checkout, inside ``pipelines`` in a wheel.
    """
    checkout = Path(__file__).resolve().parents[1] / "sql"
    if (checkout / "checks").is_dir():
        return checkout
    return Path(str(files("pipelines").joinpath("_sql")))


def sql_files(folder: str) -> list[Path]:
    """SQL files of a folder (``out``, ``checks``, ``examples``, ``macros``), sorted by name."""
    return sorted((sql_root() / folder).glob("*.sql"))


def macro_files() -> list[Path]:
    """The files of macros, each after those whose macros it uses."""
    texts = {path: text_of(path) for path in sql_files("macros")}
    home = {name: path for path, text in texts.items() for name in _MACRO.findall(text)}
    ordered: list[Path] = []

    def place(path: Path, above: tuple[Path, ...] = ()) -> None:
        if path in ordered or path in above:
            return
        for name, other in home.items():
            if other != path and re.search(rf"\b{name}\b", texts[path]):
                place(other, (*above, path))
        ordered.append(path)

    for path in texts:
        place(path)
    return ordered


def text_of(path: Path) -> str:
    """The SQL of a file, with the lists that it leaves to the registered cost axes filled in.

    ``{{ core_costs }}`` are the columns of core_samples that axes bring, ``{{ reasoned_costs }}``
    those of them whose unknowns ``costs_unknown_reasons`` explains, ``{{ reasoned_names }}`` the
    same as text, ``{{ outcome_costs }}`` the axes' columns of out_strategy_outcomes.

    Raises:
        IsocostError: the file names another list.
    """

    def listed(found: re.Match[str]) -> str:
        if found[1] not in lists:
            raise IsocostError(
                f"there is no list {found[1]!r}",
                where=f"sql/{path.parent.name}/{path.name}",
                remedy=f"Use one of {', '.join(lists)}.",
            )
        return ", ".join(lists[found[1]])

    lists = _lists()
    return _LIST.sub(listed, path.read_text(encoding="utf-8"))


@cache
def _lists() -> dict[str, tuple[str, ...]]:
    axes = all_axes().values()
    return {
        "core_costs": tuple(axis.fields[0].name for axis in axes if axis.fields),
        "reasoned_costs": reasoned_columns(),
        "reasoned_names": tuple(f"'{name}'" for name in reasoned_columns()),
        "outcome_costs": tuple(axis.per_problem for axis in axes),
    }


def describe(path: Path) -> str:
    """The comment at the top of a SQL file, as one text.

    Without the line that names a check's key.
    """
    text = text_of(path)
    head = text.split("\n\n", 1)[0] if text.startswith("--") else ""
    lines = [m.group(1) for m in _HEADER.finditer(head)]
    return " ".join(line.strip() for line in lines if not line.startswith("Key: ")).strip()


def quoted(path: Path) -> str:
    """A path as a SQL string literal."""
    return "'" + str(path).replace("'", "''") + "'"


def quoted_file(path: Path) -> str:
    """A path as a SQL string literal for functions that take patterns.

    A folder named ``runs[1]`` is not a pattern.
    """
    return quoted(
        Path(
            "".join(
                f"[{character}]" if character in "*?[" else character for character in str(path)
            )
        )
    )


@contextmanager
def session(
    store: Store, *, threads: int = 1, only: Collection[str] | None = None
) -> Iterator[duckdb.DuckDBPyConnection]:
    """An in-memory DuckDB with one view per core or out table and the project's macros.

    With ``only``, core tables contain only the rows of these sessions.

    A table that has no file yet is an empty table of the right columns, so that SQL runs on a new
    machine too. A row in the files of several sessions appears once, from the first of them, as in
    ``Store.read``. A table with a damaged file has no view: SQL that reads it fails in ``run_file``
    with the file's name, all other SQL runs. One thread, because floating-point sums differ from
    run to run with more.
    """
    connection = duckdb.connect(
        ":memory:", config={"threads": threads, "autoinstall_known_extensions": False}
    )
    try:
        connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
        known: list[tuple[str, str, str | None]] = []
        for name, table in all_tables().items():
            if table.layer == "raw":
                continue
            paths = store.files(name)
            if only is not None and table.layer == "core":
                paths = [
                    path for path in paths if path.stem.removeprefix("session=") in {*only, SHARED}
                ]
            if paths:
                problem = _view(connection, store, table, paths)
                known += [(name, str(path), problem) for path in paths]
            else:
                connection.execute(duckdb_ddl(table))
        note_files(connection, known)
        for path in macro_files():
            connection.execute(text_of(path))
        yield connection
    finally:
        connection.close()


def tables_of(path: Path) -> list[str]:
    """The core and out tables that a SQL file names, sorted."""
    text = text_of(path)
    return [
        name
        for name, table in sorted(all_tables().items())
        if table.layer != "raw" and re.search(rf"\b{name}\b", text)
    ]


def columns_of(path: Path, table_name: str) -> list[str]:
    """The columns of a table that a SQL file may read.

    Those whose names are in it, in the table's order.
    """
    text = text_of(path)
    return [
        column.name
        for column in all_tables()[table_name].columns
        if re.search(rf"\b{column.name}\b", text)
    ]


@contextmanager
def over(frames: Mapping[str, pl.DataFrame]) -> Iterator[duckdb.DuckDBPyConnection]:
    """As ``session``, over frames in memory: what a SQL file reads, cut to some of its rows."""
    connection = duckdb.connect(
        ":memory:", config={"threads": 1, "autoinstall_known_extensions": False}
    )
    try:
        connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
        for name, table in all_tables().items():
            if name in frames:
                connection.register(name, frames[name])
            elif table.layer != "raw":  # a macro may name any table
                connection.execute(duckdb_ddl(table))
        for path in macro_files():
            connection.execute(text_of(path))
        yield connection
    finally:
        connection.close()


@contextmanager
def bare(frames: Mapping[str, pl.DataFrame | None]) -> Iterator[duckdb.DuckDBPyConnection]:
    """Like ``over``, with only these tables and no macros.

    Opening takes milliseconds, which matters with one per session.

    Args:
        frames: rows by table; an empty table if None.
    """
    connection = duckdb.connect(
        ":memory:", config={"threads": 1, "autoinstall_known_extensions": False}
    )
    try:
        for name, frame in frames.items():
            if frame is None:
                connection.execute(duckdb_ddl(all_tables()[name]))
            else:
                connection.register(name, frame)
        yield connection
    finally:
        connection.close()


def note_files(
    connection: duckdb.DuckDBPyConnection, known: Iterable[tuple[str, str, str | None]]
) -> None:
    """Record in a connection which file each table was read from, for ``run_file``.

    And why a table is missing: name, path, problem.
    """
    connection.register("_noted", pl.DataFrame(list(known), schema=_FILES, orient="row"))
    connection.execute("CREATE TEMP TABLE _files AS SELECT * FROM _noted")
    connection.unregister("_noted")


def _view(
    connection: duckdb.DuckDBPyConnection, store: Store, table: Table, paths: list[Path]
) -> str | None:
    """Create the view of a stored table, or return why it has none."""
    try:
        if {read_stamp(path) for path in paths} == {(table.name, table.schema_version)}:
            connection.execute(f'CREATE VIEW "{table.name}" AS {rows_of(table, paths)}')
        else:  # a foreign file, or one of an older version: rejected or migrated, as everywhere
            pieces = [path.stem.removeprefix("session=") for path in paths]
            connection.register(table.name, store.read_only(table.name, pieces))
    except IsocostError as error:
        return str(error)
    return None


def rows_of(table: Table, paths: list[Path]) -> str:
    """A query for the rows of a table's files, each key once, in no order."""
    listed = ", ".join(quoted_file(path) for path in paths)
    if len(paths) == 1 or table.layer == "out":  # no two pieces of an out table have the same row
        return f"SELECT * FROM read_parquet([{listed}], hive_partitioning = false)"
    keys = ", ".join(f'"{key}"' for key in table.keys)
    is_judged = any(column.name == VALIDITY for column in table.columns)
    first = f"{VALIDITY} DESC, _path" if is_judged else "_path"
    once = f"QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY {first}) = 1"
    return (
        f"SELECT * EXCLUDE (_path) FROM read_parquet([{listed}], hive_partitioning = false,"
        f" filename = '_path') {once}"
    )


def run_file(connection: duckdb.DuckDBPyConnection, path: Path) -> pl.DataFrame:
    """The rows of one SQL file, which contains one SELECT.

    Raises:
        IsocostError: DuckDB rejects the file, or a table that it reads is damaged; the message
            names the fault.
    """
    text, where = text_of(path), f"sql/{path.parent.name}/{path.name}"
    try:
        return connection.sql(text).pl()
    except duckdb.Error as error:
        problem = _problem(connection, text)
        if problem:
            raise IsocostError(problem, where=where, remedy=_AGAIN) from error
        raise IsocostError(str(error).splitlines()[0], where=where) from error


def _problem(connection: duckdb.DuckDBPyConnection, text: str) -> str | None:
    """What is wrong with a file of the tables that a query names.

    DuckDB's own message does not always say which file it was.
    """
    try:
        known = connection.sql(
            "SELECT table_name, path, problem FROM _files ORDER BY ALL"
        ).fetchall()
    except duckdb.Error:  # no connection of ``session``, or a transaction that failed
        return None
    for name, path, problem in known:
        if not re.search(rf"\b{name}\b", text):
            continue
        if problem:
            return problem
        try:
            read_table(Path(path), name)
        except IsocostError as error:
            return str(error)
    return None
