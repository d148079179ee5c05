"""Which derived files still fit what they were made from, so that a refresh builds nothing twice.

Lives here: the record of a piece (a group of files that one computation writes), the checksums of files and of the code, and the rows that
one piece may read. Not here: which pieces there are and how one is computed (``isocost.parts``).

A piece is a computation over one session, one task or everything. Its record lies in ``core/_made`` or ``out/_made`` and says what it was
made from (one fingerprint over the checksums of every file it read, the options and the code) and what it wrote (each file's checksum).
The record is removed before the first file is written and comes back after the last one: a piece that was killed half way has none.
A file counts as unchanged while its size and time of change are those of the record; else its content decides.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

import polars as pl

import isocost
from isocost.errors import IsocostError
from isocost.hashing import sha256_hex, slug
from isocost.schema.registry import table as table_of
from isocost.store import Reader, Store

RECORD_SCHEMA = 1
# Samples that one query looks at together, where the points of a task do not depend on each other.
ROWS_AT_ONCE = 100_000
# Libraries whose numbers go into tables: another version may give another last digit.
_LIBRARIES = ("numpy", "scipy", "numba", "polars", "duckdb", "pyarrow", "moocore", "reasoning-gym", "sympy", "mpmath")
_CODE_SUFFIXES = {".py", ".sql", ".yaml", ".json"}

# Path relative to the store's root -> size, time of change in ns, SHA-256.
Files = dict[str, tuple[int, int, str]]


@dataclass(frozen=True)
class Record:
    """What a piece was made from, and what it wrote.

    Attributes:
        fingerprint: of everything that it was made from.
        rows: rows by table.
        files: what it wrote.
        told: what others want to know of it without opening its files.
    """

    fingerprint: str
    rows: dict[str, int]
    files: Files
    told: dict[str, Any] = field(default_factory=dict)


@lru_cache(maxsize=1)
def code_fingerprint() -> str:
    """Checksum of this package's own files, of the project's SQL and of the versions of the libraries that compute."""
    from isocost.sql import sql_root

    digest = hashlib.sha256()
    for root in (Path(isocost.__file__).parent, sql_root()):
        for path in sorted(p for p in root.rglob("*") if p.suffix in _CODE_SUFFIXES and p.is_file()):
            digest.update(f"{path.relative_to(root).as_posix()}\0".encode() + path.read_bytes() + b"\0")
    for name in _LIBRARIES:
        with suppress(importlib.metadata.PackageNotFoundError):
            digest.update(f"{name} {importlib.metadata.version(name)}\0".encode())
    return digest.hexdigest()


def checksum(path: Path) -> str:
    """SHA-256 of a file's content, hexadecimal."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def task_piece(task: str) -> str:
    """File name of a task's piece, which no other task shares."""
    return f"task-{slug(task, 40)}-{sha256_hex(task, 8)}"


def point_piece(point_id: str) -> str:
    """File name of a point's piece, which no other point shares."""
    return f"point-{slug(point_id, 40)}-{sha256_hex(point_id, 8)}"


class Ledger:
    """The records of one store's pieces."""

    def __init__(self, store: Store) -> None:
        """Opens the records; nothing is read yet."""
        self.store = store
        self._sums: dict[Path, tuple[int, int, str]] = {}

    def find(self, layer: str, group: str, piece: str) -> Record | None:
        """The record of a piece whose files are all there and unchanged; None otherwise."""
        path = self._path(layer, group, piece)
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            if told["schema"] != RECORD_SCHEMA:
                return None
            record = Record(told["fingerprint"], told["rows"], {k: (v[0], v[1], v[2]) for k, v in told["files"].items()}, told["told"])
        except (OSError, ValueError, KeyError, TypeError, IndexError):
            return None
        for name, (size, changed, digest) in record.files.items():
            file = self.store.root / name
            try:
                status = file.stat()
            except OSError:
                return None
            if (status.st_size, status.st_mtime_ns) == (size, changed):
                self._sums[file] = (size, changed, digest)
            elif status.st_size != size or self.sum_of(file) != digest:
                return None
        return record

    def sum_of(self, path: Path) -> str:
        """Checksum of a file, computed once while the file stays as it is; empty for one that is not there."""
        try:
            status = path.stat()
        except FileNotFoundError:
            return ""
        known = self._sums.get(path)
        if known is None or known[:2] != (status.st_size, status.st_mtime_ns):
            known = (status.st_size, status.st_mtime_ns, checksum(path))
            self._sums[path] = known
        return known[2]

    def write(
        self,
        layer: str,
        group: str,
        piece: str,
        fingerprint: str,
        frames: Mapping[str, pl.DataFrame],
        *,
        told: Mapping[str, Any] | None = None,
    ) -> Record:
        """Writes a piece's files and then its record.

        Args:
            layer: ``core`` or ``out``.
            group: the computation's name.
            piece: session id, task piece or ``all``; also the name of the files.
            fingerprint: of what it was made from.
            frames: rows by table.
            told: kept in the record.

        Raises:
            IsocostError: a frame breaks its table, or the place cannot be written.
        """
        record_path = self._path(layer, group, piece)
        with self._locked():
            record_path.unlink(missing_ok=True)
            files: Files = {}
            for name, frame in frames.items():
                path = self.store.write(frame, name, piece)
                files[path.relative_to(self.store.root).as_posix()] = self._entry(path)
            record = Record(fingerprint, {name: frame.height for name, frame in frames.items()}, files, dict(told or {}))
            _write_json(
                record_path,
                {"schema": RECORD_SCHEMA, "fingerprint": fingerprint, "rows": record.rows, "files": files, "told": record.told},
            )
        self._sums |= {self.store.root / name: entry for name, entry in files.items()}
        return record

    def note(self, layer: str, group: str, piece: str, fingerprint: str, paths: Iterable[Path], rows: Mapping[str, int]) -> None:
        """Writes the record of files that others wrote."""
        with self._locked():
            files = {path.relative_to(self.store.root).as_posix(): self._entry(path) for path in paths}
            told = {"schema": RECORD_SCHEMA, "fingerprint": fingerprint, "rows": dict(rows), "files": files, "told": {}}
            _write_json(self._path(layer, group, piece), told)

    def drop(self, layer: str, group: str, piece: str, tables: tuple[str, ...]) -> None:
        """Removes a piece: its record first, then its files."""
        with self._locked():
            self._path(layer, group, piece).unlink(missing_ok=True)
            for name in tables:
                self.store.path(name, piece).unlink(missing_ok=True)

    def _entry(self, path: Path) -> tuple[int, int, str]:
        status = path.stat()
        return status.st_size, status.st_mtime_ns, checksum(path)

    def pieces(self, layer: str, group: str) -> list[str]:
        """Names of the pieces of a group that have a record, sorted."""
        return sorted(path.stem for path in (self.store.root / layer / "_made" / group).glob("*.json"))

    def _path(self, layer: str, group: str, piece: str) -> Path:
        return self.store.root / layer / "_made" / group / f"{piece}.json"

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One writer of pieces at a time, so that a record never tells of another process's files."""
        path = self.store.root / ".pieces.lock"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = path.open("w")
        except OSError as error:
            raise IsocostError(f"cannot be written: {error.strerror}", where=str(path), remedy="Mend the folder and run again") from error
        with handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield


def _write_json(path: Path, value: Any) -> None:
    temporary = path.with_name(f".{path.name}.{uuid4().hex}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("w", encoding="utf-8") as handle:
            json.dump(value, handle, indent=1, sort_keys=True)
            handle.flush()
            os.fsync(handle.fileno())
        temporary.replace(path)
    except OSError as error:
        raise IsocostError(f"could not be written: {error.strerror}", where=str(path), remedy="Free space and run again") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@dataclass(frozen=True)
class Rows:
    """What one piece may read: the store's tables, cut to the piece.

    Attributes:
        store: where the tables lie.
        per: ``point``, ``task``, ``session`` or ``all``.
        sessions: the sessions that hold rows of it, sorted.
        task: of a point or a task.
        points: the points that it is about, for a point or a task.
        shadows: for a session, the sessions whose rows count before its own where both hold them.
        allowed: tables that may be read; any where None.
        memory: bytes that the computation may take; no bound where None.
    """

    store: Store
    per: str
    sessions: tuple[str, ...]
    task: str = ""
    points: tuple[str, ...] = ()
    shadows: tuple[str, ...] = ()
    allowed: tuple[str, ...] | None = None
    memory: int | None = None

    @property
    def root(self) -> Path:
        """The data root, for what lies beside the tables."""
        return self.store.root

    @property
    def lake(self) -> Path:
        """The raw lake."""
        return self.store.lake

    def read(self, table_name: str, *, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """The piece's rows of a table, as ``Store.read`` would give them of the whole.

        Args:
            table_name: the table.
            columns: only these, in this order; the rows are the same, in the same order.

        Raises:
            IsocostError: the table is none of those that may be read, or one of its files is damaged.
        """
        self._refuse_unsaid(table_name)
        definition = table_of(table_name)
        if self.per == "all" or not any(name in _columns(table_name) for name in ("task", "point_id", "session_id", "outcome_id")):
            return self.store.read(table_name, columns=columns)
        if definition.layer == "out":
            return self.store.read_only(table_name, self._pieces(), columns=columns)
        if self.per == "session":
            return self._own(table_name, columns)
        return self.store.read_only(table_name, self.sessions, self._cut(table_name), columns=columns)

    def readers(self, table_name: str) -> list[Reader]:
        """The same of an out table piece by piece: one function each, which reads some columns.

        Raises:
            IsocostError: the table is none of those that may be read.
        """
        self._refuse_unsaid(table_name)
        return self.store.readers(table_name, None if self.per == "all" else self._pieces())

    def by_points(self, table_name: str, most: int = ROWS_AT_ONCE) -> list[Rows]:
        """The rows of a task cut into groups of its points: as many groups as keep each near so many rows of a table.

        For computations that look at every point by itself; whatever else they read is cut to the same points.
        """
        if self.per != "task" or len(self.points) < 2:
            return [self]
        held = sum(pl.scan_parquet(path, glob=False).select(pl.len()).collect().item() for path in self.files(table_name) if path.exists())
        groups = min(max(1, -(-held // most)), len(self.points))
        ends = [len(self.points) * place // groups for place in range(groups + 1)]
        return [replace(self, per="point", points=self.points[first:last]) for first, last in pairwise(ends)]

    def _refuse_unsaid(self, table_name: str) -> None:
        if self.allowed is not None and table_name not in self.allowed:
            raise IsocostError(
                f"{table_name} is read by a computation that does not say so: it would not be built again when that table changes",
                remedy="Name it in `reads` of its Part in isocost.parts.PARTS",
            )

    def files(self, table_name: str) -> list[Path]:
        """The files that ``read`` opens."""
        if self.per == "all":
            return self.store.files(table_name)
        if table_of(table_name).layer == "out":
            return [path for name in self._pieces() if (path := self.store.path(table_name, name)).exists()]
        if not any(name in _columns(table_name) for name in ("task", "point_id", "session_id")):
            return self.store.files(table_name)
        return [self.store.path(table_name, session) for session in (*self.shadows, *self.sessions)]

    def _pieces(self) -> list[str]:
        """Names of the pieces of out tables that belong to it: a task has those of its points, too."""
        own = [task_piece(self.task)] if self.per == "task" else []
        return [*own, *(point_piece(point) for point in self.points)]

    def _cut(self, table_name: str) -> pl.Expr | None:
        names = _columns(table_name)
        if "point_id" in names and (self.per == "point" or "task" not in names):
            return pl.col("point_id").is_in(self.points)
        return pl.col("task") == self.task if "task" in names else None

    def _own(self, table_name: str, columns: Sequence[str] | None) -> pl.DataFrame:
        definition = table_of(table_name)
        if "session_id" in definition.keys or not self.shadows:
            return self.store.read_only(table_name, self.sessions, columns=columns)
        mine = self.store.read_only(table_name, self.sessions)
        first = self.store.read_only(table_name, self.shadows, columns=definition.keys)
        mine = mine.join(first, on=list(definition.keys), how="anti", maintain_order="left")
        return mine if columns is None else mine.select(columns)


def _columns(table_name: str) -> set[str]:
    return {column.name for column in table_of(table_name).columns}
