"""The layout of stored tables, and reading several sessions' files as one table.

Lives here: the folder layout under one data root, reading and writing of whole tables through
``isocost.schema.parquet``. Not here: the raw lake's parts and manifests (``isocost.bank``),
building of tables (``isocost.tables``).

Layout under the root::

    lake/raw/...                         the bank (isocost.bank)
    lake/sessions/<session_id>.json      what a session is to measure
    core/<table>/session=<id>.parquet    core tables, one file per session; session=_ for cards
    out/<table>/<piece>.parquet          derived tables, one file per piece (a task, a session, all)
    core/_made/ out/_made/               what each piece was built from
    warehouse.duckdb  exports/  report/  published output (isocost.publish)
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import polars as pl

from isocost.errors import IsocostError
from isocost.schema.frames import empty
from isocost.schema.parquet import read_table, read_tables, write_batches, write_table
from isocost.schema.registry import all_tables
from isocost.schema.registry import table as table_of
from isocost.schema.runs import Runs

Reader = Callable[[list[str]], pl.DataFrame]
SESSION_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_=.-]*")
SHARED = "_"
WHOLE = "all"
VALIDITY = "is_valid"
"""Column of tables with rows that can be rejected."""
# Bytes of small files that are read together.
TOGETHER = 1 << 22


@dataclass(frozen=True, slots=True)
class Store:
    """All tables of one data root.

    Attributes:
        root: the data root; made when first written to.
    """

    root: Path

    @property
    def lake(self) -> Path:
        """The raw lake, where ``isocost.bank`` works."""
        return self.root / "lake"

    @property
    def warehouse(self) -> Path:
        """The published DuckDB file."""
        return self.root / "warehouse.duckdb"

    @property
    def exports(self) -> Path:
        """The published Parquet files with their datapackage.json."""
        return self.root / "exports"

    @property
    def report(self) -> Path:
        """The report's page."""
        return self.root / "report" / "index.html"

    @property
    def is_there(self) -> bool:
        """Whether the root is a data root: it has a lake, or tables copied without a lake."""
        return any((self.root / name).is_dir() for name in ("lake", "core", "out"))

    def existing(self) -> Store:
        """This store, for readers of existing data.

        Raises:
            IsocostError: there is no data root here; nothing was created.
        """
        if self.is_there:
            return self
        what = "there is no data root here"
        if self.root.is_dir():
            what = "is not a data root: it has neither a lake nor tables"
        elif self.root.exists():
            what = "is not a folder"
        near = difflib.get_close_matches(self.root.name, _roots_in(self.root.parent), n=1)
        hint = f"Did you mean {self.root.parent / near[0]}? " if near else ""
        raise IsocostError(
            what,
            where=str(self.root),
            remedy=(
                f"{hint}Give another one with --data or $ISOCOST_DATA; `isocost plan`, `isocost "
                f"import` and runs create a new one"
            ),
        )

    def session_file(self, session_id: str) -> Path:
        """The JSON file that defines what a session is to measure."""
        return self.lake / "sessions" / f"{_checked(session_id)}.json"

    def session_ids(self) -> list[str]:
        """Every session that was ever planned here, sorted."""
        return sorted(path.stem for path in (self.lake / "sessions").glob("*.json"))

    def path(self, table_name: str, piece: str | None = None) -> Path:
        """One file of a table: a session's for core, a piece's for out."""
        layer = table_of(table_name).layer
        if layer == "core":
            return self.root / "core" / table_name / f"session={_checked(piece or SHARED)}.parquet"
        if layer == "out":
            return self.root / "out" / table_name / f"{_checked(piece or WHOLE)}.parquet"
        raise IsocostError(
            f"{table_name} is kept by the bank, not by the table store",
            remedy="Use isocost.bank to read raw tables",
        )

    def files(self, table_name: str) -> list[Path]:
        """The existing files of a core or out table, sorted."""
        folder = self.path(table_name).parent
        return sorted(
            folder.glob(
                "session=*.parquet" if table_of(table_name).layer == "core" else "[!.]*.parquet"
            )
        )

    def write(self, frame: pl.DataFrame | Runs, table_name: str, piece: str | None = None) -> Path:
        """Write one file of a table, atomically; see ``isocost.schema.parquet.write_table``."""
        path = self.path(table_name, piece)
        if isinstance(frame, Runs):
            write_batches(
                (batch for some in frame.frames() for batch in some.to_arrow().to_batches()),
                table_name,
                path,
            )
            return path
        return write_table(frame, table_name, path)

    def read(
        self, table_name: str, piece: str | None = None, *, columns: Sequence[str] | None = None
    ) -> pl.DataFrame:
        """A table: one session's or piece's file, or all of them as one frame in key order.

        A sample or problem with the same key in two sessions (two sweeps sharing a point) is kept
        once, from the session that sorts first: the rows mean the same draw. A sample that is not
        valid there is taken from the first session in which it is.

        Args:
            table_name: the table.
            piece: the session or piece; all if not given.
            columns: only these, in this order; the rows are the same, in the same order.

        Raises:
            IsocostError: the requested file is missing, foreign, or has another schema version.
        """
        if piece is not None:
            return read_table(self.path(table_name, piece), table_name, columns=columns)
        return _joined(table_name, self.files(table_name), None, columns)

    def read_only(
        self,
        table_name: str,
        pieces: Iterable[str],
        where: pl.Expr | None = None,
        *,
        columns: Sequence[str] | None = None,
    ) -> pl.DataFrame:
        """Like ``read`` without a piece, limited to some pieces and to rows that match a condition.

        Args:
            table_name: the table.
            pieces: sessions or pieces; one without a file has no rows.
            where: the condition; all rows if not given.
            columns: only these, in this order.
        """
        paths = [self.path(table_name, piece) for piece in sorted(pieces)]
        return _joined(table_name, [path for path in paths if path.exists()], where, columns)

    def readers(self, table_name: str, pieces: Iterable[str] | None = None) -> list[Reader]:
        """Functions that read some columns of an out table's pieces, for reading in parts.

        For tables that are too large to be read at once.

        Each reads one piece, or several small ones, which then takes a fraction of the time.

        Args:
            table_name: the table.
            pieces: only these; one without a file has no rows.
        """
        paths = (
            self.files(table_name)
            if pieces is None
            else [self.path(table_name, piece) for piece in sorted(pieces)]
        )
        return [
            partial(_some_columns, some, table_name)
            for some in _together([path for path in paths if path.exists()])
        ]

    def stored_tables(self) -> list[str]:
        """Names of the core and out tables that have at least one file."""
        return [
            name
            for name, table in all_tables().items()
            if table.layer != "raw" and self.files(name)
        ]


def _together(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """Files in groups of at most ``TOGETHER`` bytes, or of one."""
    group: list[Path] = []
    held = 0
    for path in paths:
        size = path.stat().st_size
        if group and held + size > TOGETHER:
            yield group
            group, held = [], 0
        group.append(path)
        held += size
    if group:
        yield group


def _some_columns(paths: Sequence[Path], table_name: str, columns: Sequence[str]) -> pl.DataFrame:
    return read_tables(paths, table_name, columns=columns)


def _roots_in(folder: Path) -> list[str]:
    """Names of the data roots in a folder."""
    try:
        return [path.name for path in folder.iterdir() if path.is_dir() and Store(path).is_there]
    except OSError:
        return []


def _joined(
    table_name: str, paths: Sequence[Path], where: pl.Expr | None, columns: Sequence[str] | None
) -> pl.DataFrame:
    """The files of a table as one frame.

    Every key once, from the first file that has it, or for rows with a validity from the first file
    in which it is valid, in the table's order.
    """
    if not paths:
        return empty(table_name) if columns is None else empty(table_name).select(columns)
    if len(paths) == 1:
        return read_table(paths[0], table_name, where, columns=columns)
    definition = table_of(table_name)
    judged = [column.name for column in definition.columns if column.name == VALIDITY]
    # Key and order columns are read, too, and removed at the end.
    needed = (
        None
        if columns is None
        else list(dict.fromkeys((*columns, *definition.keys, *definition.sort_order, *judged)))
    )
    frame = read_tables(paths, table_name, where, columns=needed)
    if definition.layer == "core":  # no two pieces of an out table have the same row
        frame = _once(frame, list(definition.keys), judged)
    frame = frame.sort(definition.sort_order, nulls_last=True, maintain_order=True)
    return frame if columns is None else frame.select(columns)


def _once(frame: pl.DataFrame, keys: list[str], judged: list[str]) -> pl.DataFrame:
    """Every key once: a row rejected in one session does not hide a valid copy in another."""
    once = frame.unique(subset=keys, keep="first", maintain_order=True)
    if not judged or once.height == frame.height:
        return once
    preferred = frame.sort(~pl.col(judged[0]), nulls_last=True, maintain_order=True)
    return preferred.unique(subset=keys, keep="first", maintain_order=True)


def _checked(session_id: str) -> str:
    if session_id != SHARED and not SESSION_ID.fullmatch(session_id):
        raise IsocostError(
            f"{session_id!r} is not a session id", remedy="Use letters, digits and _=.- only"
        )
    return session_id
