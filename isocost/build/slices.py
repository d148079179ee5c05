"""What one piece of the derived tables may read, and the checksum of the code that computes it.

Lives here: names of pieces, ``Rows``, the checksum of the code. Not here: which pieces exist and
how one is computed (``isocost.build.rules``), the records of their inputs
(``isocost.build.ledger``).

A piece is a computation over one session, one task, one point or everything.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import polars as pl

import isocost
from isocost.build.ledger import Ledger, Record
from isocost.errors import IsocostError
from isocost.hashing import sha256_hex, slug
from isocost.schema.registry import table as table_of
from isocost.seals import checksum, prove_parquet
from isocost.store import VALIDITY, Reader, Store

__all__ = ["Ledger", "Record", "Rows", "checksum", "code_fingerprint", "point_piece", "task_piece"]

# Samples processed by one query, if the points of a task do not depend on each other.
ROWS_AT_ONCE = 100_000
# Libraries whose numbers go into tables: another version may change the last digit.
_LIBRARIES = (
    "numpy",
    "scipy",
    "numba",
    "polars",
    "duckdb",
    "pyarrow",
    "moocore",
    "reasoning-gym",
    "sympy",
    "mpmath",
)
_CODE_SUFFIXES = {".py", ".sql", ".yaml", ".json"}


@lru_cache(maxsize=1)
def code_fingerprint() -> str:
    """Checksum of this package's files, of the SQL and of the versions of numeric libraries."""
    from isocost.sql import sql_root

    digest = hashlib.sha256()
    for root in (Path(isocost.__file__).parent, sql_root()):
        for path in sorted(
            p for p in root.rglob("*") if p.suffix in _CODE_SUFFIXES and p.is_file()
        ):
            digest.update(
                f"{path.relative_to(root).as_posix()}\0".encode() + path.read_bytes() + b"\0"
            )
    for name in _LIBRARIES:
        with suppress(importlib.metadata.PackageNotFoundError):
            digest.update(f"{name} {importlib.metadata.version(name)}\0".encode())
    return digest.hexdigest()


def task_piece(task: str) -> str:
    """Unique file name of a task's piece."""
    return f"task-{slug(task, 40)}-{sha256_hex(task, 8)}"


def point_piece(point_id: str) -> str:
    """Unique file name of a point's piece."""
    return f"point-{slug(point_id, 40)}-{sha256_hex(point_id, 8)}"


@dataclass(frozen=True)
class Rows:
    """What one piece may read: the store's tables, cut to the piece.

    Attributes:
        store: the tables.
        per: ``point``, ``task``, ``session`` or ``all``.
        sessions: the sessions with rows of it, sorted.
        task: of a point or a task.
        points: its points, for a point or a task.
        shadows: for a session, the sessions with precedence for shared rows.
        allowed: tables that may be read; any if None.
        memory: budget in bytes of the computation; no bound if None.
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
        """The data root, for files outside the tables."""
        return self.store.root

    @property
    def lake(self) -> Path:
        """The raw lake."""
        return self.store.lake

    def read(self, table_name: str, *, columns: Sequence[str] | None = None) -> pl.DataFrame:
        """The piece's rows of a table, as ``Store.read`` would return them from the whole.

        Args:
            table_name: the table.
            columns: only these, in this order; the rows are the same, in the same order.

        Raises:
            IsocostError: the table may not be read, or one of its files is damaged.
        """
        self._refuse_unsaid(table_name)
        definition = table_of(table_name)
        if self.per == "all" or not any(
            name in _columns(table_name)
            for name in ("task", "point_id", "session_id", "outcome_id")
        ):
            return self.store.read(table_name, columns=columns)
        if definition.layer == "out":
            return self.store.read_only(table_name, self._pieces(), columns=columns)
        if self.per == "session":
            return self._own(table_name, columns)
        return self.store.read_only(
            table_name, self.sessions, self._cut(table_name), columns=columns
        )

    def readers(self, table_name: str) -> list[Reader]:
        """The same for an out table piece by piece: one function each, which reads some columns.

        Raises:
            IsocostError: the table may not be read.
        """
        self._refuse_unsaid(table_name)
        return self.store.readers(table_name, None if self.per == "all" else self._pieces())

    def by_points(self, table_name: str, most: int = ROWS_AT_ONCE) -> list[Rows]:
        """The rows of a task in groups of its points, each near a given number of rows.

        For computations on individual points; their other inputs are cut to the same points.
        """
        if self.per != "task" or len(self.points) < 2:
            return [self]
        paths = [path for path in self.files(table_name) if path.exists()]
        for path in paths:
            prove_parquet(path)
        held = sum(
            pl.scan_parquet(path, glob=False).select(pl.len()).collect().item() for path in paths
        )
        groups = min(max(1, -(-held // most)), len(self.points))
        ends = [len(self.points) * place // groups for place in range(groups + 1)]
        return [
            replace(self, per="point", points=self.points[first:last])
            for first, last in pairwise(ends)
        ]

    def _refuse_unsaid(self, table_name: str) -> None:
        if self.allowed is not None and table_name not in self.allowed:
            raise IsocostError(
                f"{table_name} is read by a computation that does not say so: it would not be built"
                " again when that table changes",
                remedy="Name it in `reads` of its Rule in isocost.build.rules.RULES",
            )

    def files(self, table_name: str) -> list[Path]:
        """The files that ``read`` opens."""
        if self.per == "all":
            return self.store.files(table_name)
        if table_of(table_name).layer == "out":
            return [
                path
                for name in self._pieces()
                if (path := self.store.path(table_name, name)).exists()
            ]
        if not any(name in _columns(table_name) for name in ("task", "point_id", "session_id")):
            return self.store.files(table_name)
        return [self.store.path(table_name, session) for session in (*self.shadows, *self.sessions)]

    def _pieces(self) -> list[str]:
        """Names of the pieces of out tables that belong to it.

        A task has those of its points, too.
        """
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
        judged = [VALIDITY] if VALIDITY in _columns(table_name) else []
        needed = [*definition.keys, *judged]
        first = self.store.read_only(table_name, self.shadows, columns=needed)
        if judged:  # a row that was rejected there does not hide one here
            first = first.filter(pl.col(VALIDITY))
        mine = mine.join(first, on=list(definition.keys), how="anti", maintain_order="left")
        return mine if columns is None else mine.select(columns)


def _columns(table_name: str) -> set[str]:
    return {column.name for column in table_of(table_name).columns}
