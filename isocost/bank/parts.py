"""One part: rows to bytes, bytes to rows, and the proof that they are what was sealed.

Lives here: encoding with stamp and page checksums, `check_part`. Not here: which parts exist
(`manifest`) and what happens to a bad one (`recover`, `verify`).
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import replace

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from isocost.bank import layout
from isocost.bank.files import Files
from isocost.bank.manifest import Manifest, PartEntry
from isocost.errors import IsocostError
from isocost.schema.frames import conform
from isocost.schema.parquet import MIGRATIONS, to_arrow
from isocost.schema.registry import table as table_of
from isocost.schema.types import polars_type

ROW_GROUP_ROWS = 20_000
_STAMP = b"isocost.part"


class PartFault(Exception):
    """A part failed verification. Internal: callers quarantine the part or report it.

    Attributes:
        kind: ``missing``, ``size``, ``checksum``, ``unreadable``, ``stamp``, ``rows`` or
            ``foreign_rows``.
        detail: what was found.
    """

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind = kind
        self.detail = detail


def encode(frame: pl.DataFrame, table: str, manifest: Manifest, part: layout.PartName) -> bytes:
    """Encode a frame as the bytes of a part.

    It conforms to its table and is stamped with its own name and its run; every data page has a
    CRC.

    The stamp also contains the manifest's information about the run, so a lost manifest can be
    rebuilt from the parts alone.

    Raises:
        IsocostError: the frame does not conform to its table.
    """
    arrow = to_arrow(conform(frame, table), table)
    own = {
        "session_id": manifest.session_id,
        "run_id": part.run_id,
        "number": part.number,
        "rows": arrow.num_rows,
    }
    own |= {"attempt": manifest.attempt, "info": manifest.info}
    arrow = arrow.replace_schema_metadata(
        {**(arrow.schema.metadata or {}), _STAMP: json.dumps(own, allow_nan=False).encode()}
    )
    sink = pa.BufferOutputStream()
    pq.write_table(
        arrow, sink, compression="zstd", row_group_size=ROW_GROUP_ROWS, write_page_checksum=True
    )
    return sink.getvalue().to_pybytes()


def describe(
    data: bytes, frame: pl.DataFrame, table: str, part: layout.PartName, now_s: float
) -> PartEntry:
    """The manifest's entry of an encoded part."""
    points: dict[str, int] = {}
    if "point_id" in frame.columns:
        counted = frame.group_by("point_id").len().sort("point_id")
        points = dict(zip(counted["point_id"].to_list(), counted["len"].to_list(), strict=True))
    return PartEntry(
        table=table,
        file=str(part),
        rows=frame.height,
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        points=points,
        sealed_unix_s=now_s,
        schema_version=table_of(table).schema_version,
    )


def adopted(data: bytes, frame: pl.DataFrame, table: str, part: layout.PartName) -> PartEntry:
    """The entry of a part that was found whole but unlisted; its version is read from its stamp."""
    metadata = pq.read_schema(pa.BufferReader(data)).metadata or {}
    version = int(metadata.get(b"isocost.metric_schema_version", b"1"))
    return replace(
        describe(data, frame, table, part, time.time()), is_adopted=True, schema_version=version
    )


def manifest_from_stamp(
    data: bytes, session_id: str, part: layout.PartName, attempt: int
) -> Manifest:
    """Reconstruct the manifest of a run from the stamp of one of its parts.

    Without listing any part; used if the run's manifest is lost.

    Args:
        data: bytes of a verified part.
        session_id: its session.
        part: its name.
        attempt: used if the part is older than stamps that contain it.
    """
    stamp = json.loads((pq.read_schema(pa.BufferReader(data)).metadata or {}).get(_STAMP, b"{}"))
    info = {
        **stamp.get("info", {}),
        "error": "the manifest was lost; this one was made from the parts",
    }
    return Manifest(
        session_id=session_id,
        run_id=part.run_id,
        attempt=int(stamp.get("attempt", attempt)),
        status="died",
        info=info,
    )


def check_part(
    files: Files,
    session_id: str,
    table: str,
    name: str,
    entry: PartEntry | None,
    columns: Sequence[str] = (),
) -> tuple[pl.DataFrame, bytes]:
    """Verify a part and read it.

    Args:
        files: the lake.
        session_id: session in whose folder it is.
        table: raw table.
        name: file name.
        entry: its manifest entry; None for an unlisted part, which is then checked against its own
            stamp and page checksums.
        columns: columns to return in addition to the checked ids.

    Returns:
        The rows (checked ids and requested columns) and the file's bytes.

    Raises:
        PartFault: it is not what was sealed.
        IsocostError: it cannot be checked: storage cannot read it, or a newer isocost wrote it. Not
            a reason to quarantine it.
    """
    path = f"{layout.part_folder(table, session_id)}/{name}"
    try:
        data = files.read(path)
    except FileNotFoundError:
        raise PartFault("missing", "the manifest lists it, the folder has it not") from None
    if entry is not None and len(data) != entry.bytes:
        raise PartFault("size", f"has {len(data)} bytes, {entry.bytes} were sealed")
    if entry is not None and hashlib.sha256(data).hexdigest() != entry.sha256:
        raise PartFault("checksum", "its SHA-256 is not the sealed one")
    part = layout.parse_part(name)
    if part is None:
        raise PartFault("stamp", "its name is not a valid part name")
    frame = _decode(data, session_id, part, table, columns)
    if entry is not None and frame.height != entry.rows:
        raise PartFault("rows", f"has {frame.height} rows, {entry.rows} were sealed")
    return frame, data


def check_version(found: int, table: str, where: str) -> None:
    """Refuse a part whose columns mean something that this code does not know.

    Raises:
        IsocostError: a newer isocost wrote it, or an older one from whose meaning no migration
            leads here.
    """
    wanted = table_of(table).schema_version
    if found > wanted:
        raise IsocostError(
            f"has schema version {found} of {table}, this code knows {wanted}",
            where=where,
            remedy="Upgrade isocost",
        )
    if any((table, version) not in MIGRATIONS for version in range(found, wanted)):
        raise IsocostError(
            f"has schema version {found} of {table}; version {wanted} gives its columns another"
            " meaning",
            where=where,
            remedy=(
                "Read it with the isocost that wrote it (its version is in the manifest), or "
                "generate the session again"
            ),
        )


def read_columns(data: bytes, columns: Sequence[str] | None) -> pl.DataFrame:
    """Columns of an encoded part, page checksums verified; all columns if None.

    Raises:
        PartFault: the bytes are not an intact Parquet file.
    """
    try:
        file = pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True)
        frame = pl.from_arrow(file.read(columns=list(columns) if columns is not None else None))
    except (pa.ArrowException, OSError, KeyError, IndexError, ValueError) as error:
        raise PartFault("unreadable", str(error).splitlines()[0]) from None
    assert isinstance(frame, pl.DataFrame)
    return frame


def _decode(
    data: bytes, session_id: str, part: layout.PartName, table: str, columns: Sequence[str]
) -> pl.DataFrame:
    try:
        # Reading every page is the point: a CRC is only checked on a page that is read.
        file = pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True)
        metadata = file.schema_arrow.metadata or {}
        stamp = json.loads(metadata.get(_STAMP, b"{}"))
        arrow = file.read()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise PartFault("unreadable", str(error).splitlines()[0]) from None
    own = {"session_id": session_id, "run_id": part.run_id, "number": part.number}
    if {k: stamp.get(k) for k in own} != own or metadata.get(b"isocost.table") != table.encode():
        raise PartFault(
            "stamp",
            "its stamp names another table, session, run or number: it was copied or renamed",
        )
    if arrow.num_rows != stamp.get("rows"):
        raise PartFault("rows", f"has {arrow.num_rows} rows, its stamp says {stamp.get('rows')}")
    check_version(
        int(metadata.get(b"isocost.metric_schema_version", b"0")),
        table,
        f"part {part} of session {session_id}",
    )
    ids = [c for c in ("session_id", "run_id", "point_id") if c in arrow.column_names]
    wanted = [c for c in columns if c not in ids]
    frame = pl.from_arrow(arrow.select([*ids, *(c for c in wanted if c in arrow.column_names)]))
    assert isinstance(frame, pl.DataFrame)
    # A part that is older than a column has NULL there.
    types = {c.name: polars_type(c) for c in table_of(table).columns}
    frame = frame.with_columns(
        pl.lit(None, types[c]).alias(c) for c in wanted if c not in frame.columns
    ).select(*ids, *wanted)
    foreign = frame.filter(
        (pl.col("session_id") != session_id) | (pl.col("run_id") != part.run_id)
    ).height
    if foreign:
        raise PartFault("foreign_rows", f"{foreign} rows belong to another session or run")
    return frame
