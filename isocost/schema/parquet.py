"""Tables as Parquet files: stamped, atomic, the same bytes for the same rows.

Lives here: writing and reading of one table's file, the stamp in the file's key-value metadata and the rule for older stamps.
Not here: the raw lake with its parts and manifests (``isocost.bank``) and the published warehouse (``isocost.publish``).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

import isocost
from isocost.errors import IsocostError
from isocost.schema.frames import conform
from isocost.schema.registry import table as table_of
from isocost.schema.types import arrow_schema

ROW_GROUP_ROWS = 100_000
_TABLE, _VERSION, _CODE = b"isocost.table", b"isocost.metric_schema_version", b"isocost.code_version"

# (table, version found) -> function that lifts a frame by one version. A changed meaning either gets an entry or is refused.
MIGRATIONS: dict[tuple[str, int], Callable[[pl.DataFrame], pl.DataFrame]] = {}


def stamp(table_name: str) -> dict[bytes, bytes]:
    """The key-value metadata that every file of a table carries."""
    version = table_of(table_name).schema_version
    return {_TABLE: table_name.encode(), _VERSION: str(version).encode(), _CODE: isocost.__version__.encode()}


def to_arrow(frame: pl.DataFrame, table_name: str) -> pa.Table:
    """A conforming frame as an Arrow table with the table's schema and stamp."""
    schema = arrow_schema(table_of(table_name)).with_metadata(stamp(table_name))
    return frame.to_arrow().cast(schema)


def write_table(frame: pl.DataFrame, table_name: str, path: Path) -> Path:
    """Writes a frame as one table's file: conformed, stamped, under a temporary name first.

    Args:
        frame: rows of the table; see ``frames.conform`` for what is refused.
        table_name: the table.
        path: the file; its folder is made.

    Returns:
        The path written.

    Raises:
        IsocostError: the frame breaks its table, or the place cannot be written; an older file at ``path`` is untouched then.
    """
    arrow = to_arrow(conform(frame, table_name), table_name)
    temporary = path.with_name(f".{path.name}.{uuid4().hex}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(arrow, temporary, compression="zstd", row_group_size=ROW_GROUP_ROWS)
        with temporary.open("rb+") as handle:
            os.fsync(handle.fileno())
        temporary.replace(path)
    except OSError as error:
        raise IsocostError(
            f"could not be written: {error.strerror or error}",
            where=str(path),
            remedy="Free space or mend the folder's permissions, then run again; the file that stood there before is intact",
        ) from error
    finally:
        with suppress(OSError):  # what could not be written need not be removed
            temporary.unlink(missing_ok=True)
    return path


def read_stamp(path: Path) -> tuple[str, int]:
    """Table name and schema version that a file carries.

    Raises:
        IsocostError: the file is missing, is no Parquet file, or was not written by Isocost.
    """
    try:
        metadata = pq.read_schema(path).metadata or {}
    except FileNotFoundError as error:
        raise IsocostError("there is no such file", where=str(path), remedy="Materialize the table first") from error
    except (pa.ArrowInvalid, OSError) as error:
        raise IsocostError(f"is not a readable Parquet file ({error})", where=str(path)) from error
    if _TABLE not in metadata:
        raise IsocostError("carries no isocost stamp", where=str(path), remedy="Bring other people's files in with `isocost import`")
    return metadata[_TABLE].decode(), int(metadata[_VERSION])


def read_table(path: Path, table_name: str) -> pl.DataFrame:
    """One table's file, in today's meaning of its columns.

    Raises:
        IsocostError: missing, damaged or foreign file, another table, a newer version, or an older one without a migration.
    """
    found, version = read_stamp(path)
    wanted = table_of(table_name).schema_version
    if found != table_name:
        raise IsocostError(f"holds table {found}, not {table_name}", where=str(path))
    if version > wanted:
        raise IsocostError(f"has schema version {version}, this code knows {wanted}", where=str(path), remedy="Upgrade isocost")
    try:
        frame = pl.from_arrow(pq.read_table(path))
    except (pa.ArrowException, OSError) as error:
        raise IsocostError(f"is damaged ({error})", where=str(path), remedy=f"Materialize {table_name} again") from error
    while version < wanted:
        if (table_name, version) not in MIGRATIONS:
            raise IsocostError(
                f"has schema version {version} of {table_name}; version {wanted} gives its columns another meaning",
                where=str(path),
                remedy=f"Materialize {table_name} again: it is derived from the raw lake, which keeps everything it needs",
            )
        frame = MIGRATIONS[table_name, version](frame)
        version += 1
    return frame
