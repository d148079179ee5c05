"""Where tables lie, and how several sessions' files read as one table.

Lives here: the folder layout under one data root, reading and writing of whole tables through ``isocost.schema.parquet``. Not
here: the raw lake's parts and manifests (``isocost.bank``), building of tables (``isocost.tables``).

Layout under the root::

    lake/raw/...                         the bank (isocost.bank)
    lake/sessions/<session_id>.json      what a session was asked to do
    core/<table>/session=<id>.parquet    core tables, one file a session; session=_ for cards
    out/<table>.parquet                  derived tables, rebuilt whole
    warehouse.duckdb  exports/  report/  what people read (isocost.publish)
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from isocost.errors import IsocostError
from isocost.schema.frames import empty
from isocost.schema.parquet import read_table, write_table
from isocost.schema.registry import all_tables
from isocost.schema.registry import table as table_of

SESSION_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_=.-]*")
SHARED = "_"
IMPORT_PREFIX = "import-"


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

    def session_file(self, session_id: str) -> Path:
        """The JSON file that says what a session was asked to do."""
        return self.lake / "sessions" / f"{_checked(session_id)}.json"

    def session_ids(self) -> list[str]:
        """Every session that was ever planned here, sorted."""
        return sorted(path.stem for path in (self.lake / "sessions").glob("*.json"))

    def path(self, table_name: str, session_id: str | None = None) -> Path:
        """The file of a table: one a session for core, one in all for out."""
        layer = table_of(table_name).layer
        if layer == "core":
            return self.root / "core" / table_name / f"session={_checked(session_id or SHARED)}.parquet"
        if layer == "out":
            return self.root / "out" / f"{table_name}.parquet"
        raise IsocostError(f"{table_name} is kept by the bank, not by the table store", remedy="Use isocost.bank to read raw tables")

    def files(self, table_name: str) -> list[Path]:
        """The existing files of a core or out table, sorted."""
        if table_of(table_name).layer == "out":
            path = self.path(table_name)
            return [path] if path.exists() else []
        return sorted((self.root / "core" / table_name).glob("session=*.parquet"))

    def write(self, frame: pl.DataFrame, table_name: str, session_id: str | None = None) -> Path:
        """Writes one file of a table, atomically; see ``isocost.schema.parquet.write_table``."""
        return write_table(frame, table_name, self.path(table_name, session_id))

    def read(self, table_name: str, session_id: str | None = None) -> pl.DataFrame:
        """A table: one session's file, or all of them as one frame in key order.

        A sample or problem that two sessions hold under one key (two sweeps sharing a point) is kept once, from the session that
        sorts first: the rows mean the same draw.

        Raises:
            IsocostError: the one file asked for is missing, foreign, or of another schema version.
        """
        if session_id is not None:
            return read_table(self.path(table_name, session_id), table_name)
        files = self.files(table_name)
        if not files:
            return empty(table_name)
        frame = pl.concat([read_table(path, table_name) for path in files])
        if len(files) == 1:
            return frame
        definition = table_of(table_name)
        return frame.unique(subset=definition.keys, keep="first", maintain_order=True).sort(
            definition.sort_order, nulls_last=True, maintain_order=True
        )

    def stored_tables(self) -> list[str]:
        """Names of the core and out tables that have at least one file."""
        return [name for name, table in all_tables().items() if table.layer != "raw" and self.files(name)]


def _checked(session_id: str) -> str:
    if session_id != SHARED and not SESSION_ID.fullmatch(session_id):
        raise IsocostError(f"{session_id!r} is no session id", remedy="Use letters, digits and _=.- only")
    return session_id
