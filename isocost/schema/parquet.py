"""Tables as Parquet files: stamped, atomic, the same bytes for the same rows.

Lives here: writing and reading of one table's file, the stamp in the file's key-value metadata and
the rule for older stamps. Every file carries its own checksum (``isocost.seals``), which is
verified before any of it is read. Not here: the raw lake with its parts and manifests
(``isocost.bank``) and the published warehouse (``isocost.publish``).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cache
from itertools import chain, pairwise
from pathlib import Path
from typing import TypeVar, cast

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

import isocost
from isocost import atomic
from isocost.errors import IsocostError
from isocost.schema.frames import conform, empty
from isocost.schema.registry import table as table_of
from isocost.schema.types import arrow_schema
from isocost.seals import (
    BLANK,
    PARQUET_KEY,
    SEALED,
    SEALED_KEY,
    Damaged,
    Identity,
    identity,
    prove_parquet,
    seal_parquet,
)

ROW_GROUP_ROWS = 100_000
# Files whose stamps are remembered while they stay as they are.
_STAMPS_AT_MOST = 50_000
FrameT = TypeVar("FrameT", pl.DataFrame, pl.LazyFrame)
_TABLE, _VERSION, _CODE = (
    b"isocost.table",
    b"isocost.metric_schema_version",
    b"isocost.code_version",
)

# (table, version found) -> function that migrates a frame by one version. A changed meaning either
# gets an entry or is rejected.
MIGRATIONS: dict[tuple[str, int], Callable[[pl.DataFrame], pl.DataFrame]] = {}


def stamp(table_name: str) -> dict[bytes, bytes]:
    """The key-value metadata that every file of a table carries."""
    version = table_of(table_name).schema_version
    return {
        _TABLE: table_name.encode(),
        _VERSION: str(version).encode(),
        _CODE: isocost.__version__.encode(),
    }


def to_arrow(frame: pl.DataFrame, table_name: str) -> pa.Table:
    """A conforming frame as an Arrow table with the table's schema and stamp."""
    schema = arrow_schema(table_of(table_name)).with_metadata(stamp(table_name))
    return frame.to_arrow().cast(schema)


def write_table(frame: pl.DataFrame, table_name: str, path: Path, *, is_held: bool = False) -> Path:
    """Write a frame as one table's file: conformed, stamped, under a temporary name first.

    Args:
        frame: rows of the table; see ``frames.conform`` for what is rejected.
        table_name: the table.
        path: the file; its folder is created.
        is_held: whether the frame was read from the table's own files, which were validated when
            they were written.

    Returns:
        The path written.

    Raises:
        IsocostError: the frame does not conform to its table, or the path cannot be written; an
            older file at ``path`` is then unchanged.
    """
    rows = frame if is_held else conform(frame, table_name)
    if rows.is_empty():
        atomic.write_bytes(path, _no_rows(table_name))
    else:
        _write_groups(_groups(to_arrow(rows, table_name), table_name), path)
    return path


def write_batches(batches: Iterable[pa.RecordBatch], table_name: str, path: Path) -> int:
    """Write more rows than fit into memory, with the same bytes as ``write_table``.

    Args:
        batches: rows as they were read from the table's own files, in the table's order, any number
            at a time.
        table_name: the table.
        path: the file; its folder is created.

    Returns:
        The number of rows.

    Raises:
        IsocostError: as ``write_table``; also any error from reading the rows.
    """
    schema, written = arrow_schema(table_of(table_name)).with_metadata(stamp(table_name)), 0

    def groups() -> Iterator[pa.Table]:
        nonlocal written
        held = schema.empty_table()
        for batch in batches:
            held = pa.concat_tables([held, pa.Table.from_batches([batch]).cast(schema)])
            # The last group may go on in the next batch.
            *whole, last = [*_groups(held, table_name)] or [held]
            yield from whole
            held, written = last.combine_chunks(), written + batch.num_rows
        if held.num_rows or not written:
            yield held

    _write_groups(groups(), path)
    return written


def _write_groups(groups: Iterable[pa.Table], path: Path) -> None:
    with atomic.replacing(path) as temporary:
        write_sealed(groups, temporary)


@cache
def _no_rows(table_name: str) -> bytes:
    """The file of a table without rows.

    Half of the files of thousands of small sessions, and always the same.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.parquet")
        write_sealed(_groups(to_arrow(empty(table_name), table_name), table_name), path)
        return path.read_bytes()


def _groups(arrow: pa.Table, table_name: str) -> Iterator[pa.Table]:
    """Row groups.

    For a table sorted by task, the rows of each task, in limited chunks.
    """
    for piece in _by_task(arrow, table_name):
        for start in range(0, max(piece.num_rows, 1), ROW_GROUP_ROWS):
            yield piece.slice(start, ROW_GROUP_ROWS)


def write_sealed(pieces: Iterable[pa.Table], path: Path) -> None:
    """Write tables of one schema as a Parquet file with its own checksum.

    And a checksum for each page.

    Args:
        pieces: at least one table; each begins a row group, and only one is held at a time.
        path: the file.

    Raises:
        OSError: the path cannot be written.
    """
    rest = iter(pieces)
    first = next(rest)
    schema = first.schema.with_metadata({**(first.schema.metadata or {}), SEALED_KEY: SEALED})
    with pq.ParquetWriter(path, schema, compression="zstd", write_page_checksum=True) as writer:
        for piece in chain([first], rest):
            writer.write_table(
                piece.combine_chunks().replace_schema_metadata(schema.metadata),
                row_group_size=ROW_GROUP_ROWS,
            )
        writer.add_key_value_metadata({PARQUET_KEY: BLANK})
    seal_parquet(path)


def _by_task(arrow: pa.Table, table_name: str) -> list[pa.Table]:
    """The rows of each task of a table sorted by task.

    A row group of one task is found without reading the others.
    """
    if table_of(table_name).sort_order[:1] != ("task",) or arrow.num_rows == 0:
        return [arrow]
    tasks = cast(pl.Series, pl.from_arrow(arrow["task"]))
    starts = [
        0,
        *(tasks != tasks.shift(1)).arg_true().to_list(),
        arrow.num_rows,
    ]  # the first is NULL there, and no change
    return [arrow.slice(begin, end - begin) for begin, end in pairwise(starts)]


_stamps: dict[Path, tuple[Identity, tuple[str, int]]] = {}


def read_stamp(path: Path) -> tuple[str, int]:
    """Read the table name and schema version of a file.

    Raises:
        IsocostError: the file is missing, is not a Parquet file, or was not written by Isocost.
        Damaged: it is not what was written.
    """
    try:
        prove_parquet(path)
        now = identity(path)
        if path in _stamps and _stamps[path][0] == now:
            return _stamps[path][1]
        # A tenth of the time of Arrow's, which counts with a file for every session and task.
        metadata = pl.read_parquet_metadata(path)
    except FileNotFoundError as error:
        raise IsocostError(
            "the file does not exist", where=str(path), remedy="Materialize the table first"
        ) from error
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise Damaged.of(path, f"is not a readable Parquet file ({error})") from error
    if _TABLE.decode() not in metadata:
        raise IsocostError(
            "carries no isocost stamp",
            where=str(path),
            remedy="Use `isocost import` for files of other tools",
        )
    found = metadata[_TABLE.decode()], int(metadata[_VERSION.decode()])
    if len(_stamps) >= _STAMPS_AT_MOST:
        _stamps.clear()
    _stamps[path] = (now, found)
    return found


def _rows(path: Path, where: pl.Expr | None, columns: Sequence[str] | None) -> pl.DataFrame:
    try:
        return _scanned([path], where, columns)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError):
        # Arrow describes a damaged file better, and does not panic.
        table = pq.read_table(path, page_checksum_verification=True)
        frame = cast(pl.DataFrame, pl.from_arrow(table))
        return _cut(frame, where, columns)


def _scanned(
    paths: Sequence[Path], where: pl.Expr | None, columns: Sequence[str] | None
) -> pl.DataFrame:
    return _cut(
        pl.scan_parquet(list(paths), hive_partitioning=False, glob=False), where, columns
    ).collect()


def _cut(frame: FrameT, where: pl.Expr | None, columns: Sequence[str] | None) -> FrameT:
    frame = frame if where is None else frame.filter(where)
    return frame if columns is None else frame.select(columns)


def read_tables(
    paths: Sequence[Path],
    table_name: str,
    where: pl.Expr | None = None,
    *,
    columns: Sequence[str] | None = None,
) -> pl.DataFrame:
    """Several files of one table, as ``read_table`` gives each: all rows in file order.

    At least one file.

    Files of the current version are opened together, which takes half the time; if one has another
    version or cannot be read, all of them go through ``read_table``, which migrates it or reports
    the fault.
    """
    if len(paths) > 1 and _are_current(paths, table_name):
        with suppress(
            pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, UnicodeDecodeError
        ):
            return _scanned(paths, where, columns)
    frames = [read_table(path, table_name, where, columns=columns) for path in paths]
    return frames[0] if len(frames) == 1 else pl.concat(frames)


def _are_current(paths: Sequence[Path], table_name: str) -> bool:
    wanted = (table_name, table_of(table_name).schema_version)
    try:
        return all(read_stamp(path) == wanted for path in paths)
    except IsocostError:
        return False


def read_table(
    path: Path,
    table_name: str,
    where: pl.Expr | None = None,
    *,
    columns: Sequence[str] | None = None,
) -> pl.DataFrame:
    """Read one table's file, in the current meaning of its columns.

    Args:
        path: the file.
        table_name: the table that it must contain.
        where: only rows that match this condition.
        columns: only these, in this order; all if None.

    Raises:
        IsocostError: missing, damaged or foreign file, another table, a newer version, or an older
            one without a migration.
    """
    found, version = read_stamp(path)
    wanted = table_of(table_name).schema_version
    if found != table_name:
        raise IsocostError(f"contains table {found}, not {table_name}", where=str(path))
    if version > wanted:
        raise IsocostError(
            f"has schema version {version}, this code knows {wanted}",
            where=str(path),
            remedy="Upgrade isocost",
        )
    try:
        frame = _rows(path, where, columns) if version == wanted else _rows(path, None, None)
    except (
        pa.ArrowException,
        pl.exceptions.PolarsError,
        pl.exceptions.PanicException,
        OSError,
        UnicodeDecodeError,
    ) as error:
        raise Damaged.of(
            path, f"is damaged ({error})", f"Materialize {table_name} again"
        ) from error
    if version == wanted:
        return frame
    while version < wanted:
        if (table_name, version) not in MIGRATIONS:
            raise IsocostError(
                f"has schema version {version} of {table_name}; in version {wanted} its columns "
                f"have a different meaning",
                where=str(path),
                remedy=(
                    f"Materialize {table_name} again: it is derived from the raw lake, which keeps"
                    " everything it needs"
                ),
            )
        frame = MIGRATIONS[table_name, version](frame)
        version += 1
    return _cut(frame, where, columns)
