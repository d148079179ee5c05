"""Stored tables too large to hold, as batches of rows in the table's order.

Lives here: when a table is streamed, and DuckDB's sort of its files within a budget, which spills
to the disk. Not here: the writing of files (``isocost.schema.parquet``), the tables that fit
(``Store.read``).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from isocost import sql
from isocost.errors import IsocostError, MachineError
from isocost.schema.parquet import ROW_GROUP_ROWS, read_stamp, read_table
from isocost.schema.registry import table as table_of
from isocost.store import Store

# Memory for joining, deduplicating and sorting, as a multiple of the rows themselves.
COPIES = 4
# Bytes per value in memory. The size stated in a Parquet file is after dictionary encoding, a tenth
# of it or less.
WIDTHS = {"string": 40, "json": 80}
OF_LIST, OF_NUMBER = 80, 8


def is_large(store: Store, table_name: str, memory: int | None) -> bool:
    """Whether the rows of a table and the copies needed for sorting exceed a budget."""
    if memory is None:
        return False
    rows = 0
    for path in store.files(table_name):
        try:
            if read_stamp(path) != (table_name, table_of(table_name).schema_version):
                return False  # migrated or rejected where tables are read
            rows += pq.read_metadata(path).num_rows
        except (IsocostError, pa.ArrowException, OSError):
            return False
    width = sum(
        OF_LIST if "[" in c.type else WIDTHS.get(c.type, OF_NUMBER)
        for c in table_of(table_name).columns
    )
    return rows * width * COPIES > memory


def batches(store: Store, table_name: str, memory: int) -> Iterator[pa.RecordBatch]:
    """All rows of a stored table, as ``Store.read`` would return them.

    Args:
        store: the tables.
        table_name: the table, with files of the current version.
        memory: budget in bytes for DuckDB.

    Raises:
        IsocostError: a file is damaged.
        MachineError: there is no space to spill to.
    """
    paths, table = store.files(table_name), table_of(table_name)
    order = ", ".join(f'"{name}" ASC NULLS LAST' for name in table.sort_order)
    names = ", ".join(f'"{column.name}"' for column in table.columns)
    with limited(store.exports, memory) as connection:
        try:
            query = f"SELECT {names} FROM ({sql.rows_of(table, paths)}) ORDER BY {order}"
            yield from connection.sql(query).to_arrow_reader(ROW_GROUP_ROWS)
        except duckdb.Error as error:
            for path in paths:
                read_table(path, table_name)  # reports which one is damaged
            raise MachineError(
                f"could not be sorted: {str(error).splitlines()[0]}",
                where=table_name,
                remedy="Free space or give more --memory",
            ) from error


@contextmanager
def limited(beside: Path, memory: int) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB with a memory budget that spills into a temporary folder next to a path."""
    beside.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(
        prefix=".spill-", dir=beside.parent, ignore_cleanup_errors=True
    ) as spill:
        connection = duckdb.connect(
            ":memory:", config={"threads": 1, "autoinstall_known_extensions": False}
        )
        try:
            limit(connection, memory, Path(spill))
            connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
            yield connection
        finally:
            connection.close()


def limit(connection: duckdb.DuckDBPyConnection, memory: int, spill: Path) -> None:
    """Limit a connection to a budget; it spills into a folder."""
    # Below a hundred megabytes DuckDB cannot even sort.
    connection.execute(f"SET memory_limit = '{max(memory // 2**20, 128)}MiB'")
    connection.execute(f"SET temp_directory = {sql.quoted(spill)}")
