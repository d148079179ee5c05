"""Read the raw lake: manifests, sealed parts, the rows of one point.

Lives here: `read_raw`, `scan_raw`, `read_manifests`. Only sealed parts are read: those listed in a
manifest and whole unlisted ones (`listing`), so an unfinished, torn or quarantined part never
reaches a table, and none is missing without an error. `read_raw` and `scan_raw` check every part
against its checksum. Not here: verification of a whole bank (`verify`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from isocost.bank import layout
from isocost.bank.files import Files
from isocost.bank.listing import load_complete
from isocost.bank.manifest import Manifest, PartEntry
from isocost.bank.parts import PartFault, check_version, read_columns
from isocost.errors import IsocostError
from isocost.schema.frames import empty
from isocost.schema.model import Table
from isocost.schema.parquet import MIGRATIONS
from isocost.schema.registry import table as table_of
from isocost.schema.types import polars_schema, polars_type
from isocost.seals import Damaged, prove_sealed


def read_manifests(lake: str | Path, session_id: str | None = None) -> list[Manifest]:
    """Manifests of one session, or of all, by session and attempt.

    A run with a lost manifest gets one reconstructed from its parts' stamps: status ``died``, the
    loss in ``info["error"]``.

    Args:
        lake: folder or fsspec URL of the lake.
        session_id: the session; all if None.

    Raises:
        IsocostError: a manifest or an unlisted part is damaged; ``isocost bank verify --repair``
            repairs both.
    """
    return load_complete(Files(lake), session_id)


def raw_parts(
    lake: str | Path,
    table: str,
    session_id: str | None = None,
    *,
    point_ids: Sequence[str] | None = None,
) -> list[tuple[str, PartEntry]]:
    """Relative path and entry of every sealed part of a raw table.

    In order of session, attempt and number.

    Args:
        lake: folder or fsspec URL of the lake.
        table: raw table name.
        session_id: only this session's parts.
        point_ids: only parts with rows of one of these points (known from the manifests; no
            part is opened).

    Raises:
        IsocostError: there is no lake here, the table is not part of it or has no points, or a
            manifest is damaged.
    """
    if table not in layout.FOLDERS:
        remedy = (
            f"Tables of the lake: {', '.join(layout.FOLDERS)}; imported rows are read with"
            " isocost.importers.read_imports"
        )
        raise IsocostError(f"{table!r} is not a table that runs write", remedy=remedy)
    if isinstance(point_ids, str):
        raise IsocostError(
            f"point_ids is the text {point_ids!r}", remedy="Give a list of point ids"
        )
    if point_ids is not None and "point_id" not in (c.name for c in table_of(table).columns):
        raise IsocostError(
            f"rows of {table} belong to no point", remedy="Read it by session, without point_ids"
        )
    if not Files(lake).is_there():
        raise IsocostError(
            "is not a lake: the folder does not exist",
            where=str(lake),
            remedy="Give the lake's folder, e.g. data/lake",
        )
    wanted = None if point_ids is None else set(point_ids)
    return [
        (f"{layout.part_folder(table, manifest.session_id)}/{part.file}", part)
        for manifest in load_complete(Files(lake), session_id, [table])
        for part in sorted(manifest.parts, key=lambda p: p.file)
        if part.table == table and (wanted is None or wanted & part.points.keys())
    ]


def read_raw(
    lake: str | Path,
    table: str,
    session_id: str | None = None,
    *,
    point_ids: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
) -> pl.DataFrame:
    """Rows of a raw table; an empty frame with the right columns if there are none.

    Columns that a part was written without (it is older than the column) are NULL.

    Args:
        lake: folder or fsspec URL of the lake.
        table: ``raw_generations``, ``raw_steps`` or ``raw_telemetry``.
        session_id: only this session.
        point_ids: only these points; opens only parts that contain them.
        columns: only these columns, in this order.

    Returns:
        Rows sorted by the table's order.

    Raises:
        IsocostError: a part is missing or damaged, and the message says how to quarantine it; or
            see `raw_parts`.
    """
    files, parts, definition = (
        Files(lake),
        raw_parts(lake, table, session_id, point_ids=point_ids),
        table_of(table),
    )
    names = [c.name for c in definition.columns] if columns is None else list(columns)
    unknown = [name for name in names if name not in {c.name for c in definition.columns}]
    if unknown:
        raise IsocostError(
            f"{table} has no column {unknown[0]!r}",
            remedy="docs/data-dictionary.md names its columns",
        )
    frames = [
        _read_part(files, path, entry, definition, columns, point_ids) for path, entry in parts
    ]
    if not frames:
        return empty(table).select(names)
    order = [c for c in definition.sort_order if c in names]
    joined = pl.concat(frames)
    return (joined.sort(order, nulls_last=True, maintain_order=True) if order else joined).select(
        names
    )


def scan_raw(
    lake: str | Path,
    table: str,
    session_id: str | None = None,
    *,
    point_ids: Sequence[str] | None = None,
) -> pl.LazyFrame:
    """Like `read_raw`, lazily, with projection and predicate pushdown.

    Polars opens the files itself. Rows are in part order.

    Every part is checked against its checksum here, before Polars reads it: once per process while
    the file is unchanged. At a URL this reads it one more time.

    Raises:
        IsocostError: a part is missing, damaged, or of another schema version; or see `raw_parts`.
    """
    files, parts = Files(lake), raw_parts(lake, table, session_id, point_ids=point_ids)
    version = table_of(table).schema_version
    old = next((path for path, part in parts if part.schema_version != version), None)
    if old is not None:
        raise IsocostError(
            f"was not written with schema version {version} of {table}",
            where=files.full(old),
            remedy="Use read_raw, which migrates",
        )
    for path, entry in parts:
        _prove(files, path, entry)
    paths = [files.full(path) for path, _ in parts]
    if not paths:
        return empty(table).lazy()
    schema = polars_schema(table_of(table))
    # These are names, not patterns: a lake in a folder called `runs[1]` would match nothing.
    frame = pl.scan_parquet(
        paths,
        schema=schema,
        missing_columns="insert",
        extra_columns="ignore",
        glob=False,
        hive_partitioning=False,
    )
    return frame if point_ids is None else frame.filter(pl.col("point_id").is_in(list(point_ids)))


def prove_session(lake: str | Path, session_id: str) -> None:
    """Check every part of a session against its sealed checksum.

    Each is read once per process while it is unchanged.

    Raises:
        Damaged: a part or manifest is not what was sealed.
        IsocostError: one is missing.
    """
    files = Files(lake)
    for table in layout.FOLDERS:
        for path, entry in raw_parts(lake, table, session_id):
            _prove(files, path, entry)


_REMEDY = (
    "Run `isocost bank verify` for the whole story, `--repair` to set it aside and have its samples"
    " generated again"
)


def _prove(files: Files, path: str, entry: PartEntry) -> None:
    full = files.full(path)
    if files.is_local:
        prove_sealed(Path(full), entry.sha256, what="a sealed part", remedy=_REMEDY)
        return
    try:
        data = files.read(path)
    except FileNotFoundError:
        raise IsocostError("a sealed part is missing", where=full, remedy=_REMEDY) from None
    if hashlib.sha256(data).hexdigest() != entry.sha256:
        raise Damaged(
            "a sealed part is damaged: its SHA-256 is not the sealed one",
            where=full,
            remedy=_REMEDY,
        )


def _read_part(
    files: Files,
    path: str,
    entry: PartEntry,
    definition: Table,
    columns: Sequence[str] | None,
    point_ids: Sequence[str] | None,
) -> pl.DataFrame:
    check_version(entry.schema_version, definition.name, files.full(path))
    try:
        data = files.read(path)
        if len(data) != entry.bytes:
            raise PartFault("size", f"has {len(data)} bytes, {entry.bytes} were sealed")
        if hashlib.sha256(data).hexdigest() != entry.sha256:
            raise PartFault("checksum", "its SHA-256 is not the sealed one")
        have = _names(data)
        wanted = [c.name for c in definition.columns] if columns is None else list(columns)
        extra = ["point_id"] if point_ids is not None and "point_id" not in wanted else []
        old = entry.schema_version < definition.schema_version
        frame = read_columns(data, None if old else [c for c in [*wanted, *extra] if c in have])
    except FileNotFoundError:
        raise IsocostError(
            "a sealed part is missing", where=files.full(path), remedy=_REMEDY
        ) from None
    except PartFault as fault:
        raise Damaged(
            f"a sealed part is damaged ({fault})", where=files.full(path), remedy=_REMEDY
        ) from None
    for version in range(entry.schema_version, definition.schema_version):
        frame = MIGRATIONS[definition.name, version](frame)
    if point_ids is not None:
        frame = frame.filter(pl.col("point_id").is_in(list(point_ids)))
    types = {c.name: polars_type(c) for c in definition.columns}
    return frame.select(
        pl.col(c) if c in frame.columns else pl.lit(None, dtype=types[c]).alias(c) for c in wanted
    )


def _names(data: bytes) -> list[str]:
    try:
        return list(pq.read_schema(pa.BufferReader(data)).names)
    except (pa.ArrowException, OSError) as error:
        raise PartFault("unreadable", str(error).splitlines()[0]) from None
