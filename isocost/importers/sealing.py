"""Rows of an import become sealed parts in a lake, all or nothing.

Lives here: writing of parts in a staging folder, the seal, and which import of a source counts from
then on. Not here: parsing (the format modules), the order of an import (``run``), where sealed
imports are and how they are read (``stored``).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq

from isocost import atomic
from isocost.errors import IsocostError
from isocost.importers.row import Row, columns
from isocost.importers.stored import (
    import_folder,
    imports_root,
    locked,
    manifest_in,
    read_index,
    write_json,
)
from isocost.lock_files import exclusive
from isocost.schema.frames import conform
from isocost.schema.parquet import stamp, to_arrow
from isocost.schema.registry import table
from isocost.schema.types import arrow_schema, polars_schema
from isocost.seals import checksum

BATCH_ROWS = 8_192
BATCH_TEXT_BYTES = 32 << 20
PART_ROWS = 262_144
_TEXTS = ("output_text", "problem_text", "extra", "reference")


class PartWriter:
    """Turns rows into sealed-to-be parts in a staging folder, in bounded memory."""

    def __init__(self, folder: Path) -> None:
        """Write into ``folder``, which exists and is empty."""
        self.folder = folder
        self.rows = 0
        self.reasons: dict[str, int] = {}
        self._schema = polars_schema(table("raw_imports"))
        self._arrow = arrow_schema(table("raw_imports")).with_metadata(stamp("raw_imports"))
        self._batch: list[dict[str, Any]] = []
        self._text_bytes = 0
        self._part: pq.ParquetWriter | None = None
        self._part_rows = 0
        self._parts = 0

    def add(self, values: dict[str, Any], row: Row) -> None:
        """Take one row: its values by column name."""
        values["null_reasons"] = sorted(row.reasons)
        for reason in row.reasons:
            self.reasons[reason] = self.reasons.get(reason, 0) + 1
        self._batch.append(values)
        self._text_bytes += sum(len(values.get(name) or "") for name in _TEXTS)
        self.rows += 1
        if len(self._batch) >= BATCH_ROWS or self._text_bytes >= BATCH_TEXT_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write the buffered rows as one row group."""
        if not self._batch:
            return
        batch, self._batch, self._text_bytes = self._batch, [], 0
        data = {name: [values.get(name) for values in batch] for name in columns()}
        arrow = to_arrow(
            conform(pl.DataFrame(data, schema=self._schema, strict=True), "raw_imports"),
            "raw_imports",
        )
        if self._part is None:
            path = self.folder / f"part-{self._parts:05d}.parquet"
            self._part = pq.ParquetWriter(
                path, self._arrow, compression="zstd", write_page_checksum=True
            )
        self._part.write_table(arrow)
        self._part_rows += arrow.num_rows
        if self._part_rows >= PART_ROWS:
            self._close_part()

    def close(self) -> None:
        """Write the rest and close the last part."""
        self.flush()
        self._close_part()

    def abandon(self) -> None:
        """Close the open file without caring for its content."""
        if self._part is not None:
            with suppress(Exception):
                self._part.close()
            self._part = None

    def _close_part(self) -> None:
        if self._part is not None:
            self._part.close()
            self._part, self._part_rows = None, 0
            self._parts += 1


@contextmanager
def staging(lake: Path, import_id: str) -> Iterator[Path]:
    """A folder to write in that is removed afterwards in any case.

    Also cleans up after killed imports.
    """
    root = lake / "raw" / "importing"
    atomic.make_folder(root)
    _sweep(root)
    folder = root / f"{import_id}-{os.getpid()}-{os.urandom(4).hex()}"
    with exclusive(folder / "lock"):
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _sweep(root: Path) -> None:
    for folder in root.iterdir():
        # Held while its writer lives.
        with suppress(OSError, IsocostError), exclusive(folder / "lock", waits=False):
            shutil.rmtree(folder, ignore_errors=True)


def seal(
    lake: Path, slug: str, import_id: str, staged: Path, manifest: dict[str, Any]
) -> str | None:
    """Move staged parts into the lake atomically, and make them count for their source.

    Returns:
        The import id that is superseded by this one, or None.
    """
    manifest = {
        **manifest,
        "parts": [_part_entry(path) for path in sorted(staged.glob("part-*.parquet"))],
    }
    write_json(staged / "manifest.json", manifest)
    for leftover in staged.iterdir():  # the lock, and spill files of a fast path
        if leftover.is_dir():
            shutil.rmtree(leftover)
        elif leftover.name != "manifest.json" and leftover.suffix != ".parquet":
            leftover.unlink()
    atomic.sync(staged)
    home = imports_root(lake) / f"source={slug}"
    with locked(home):
        target = home / f"import={import_id}"
        if not target.exists():
            atomic.put(staged, target)
        return _activate(home, import_id)


def reactivate(lake: Path, slug: str, import_id: str) -> tuple[str | None, int] | None:
    """Make an import that already exists under its source the one that counts again.

    Returns:
        The import that it supersedes and its own number of records; None if it is not there.
    """
    home = imports_root(lake) / f"source={slug}"
    manifest = import_folder(lake, slug, import_id) / "manifest.json"
    if not manifest.is_file():
        return None
    with locked(home):
        before = _activate(home, import_id)
    return before, manifest_in(manifest.parent)["records"]


def _activate(home: Path, import_id: str) -> str | None:
    index = read_index(home)
    before = index["active"]
    if before == import_id:
        return None
    index["superseded_by"].pop(import_id, None)
    if before is not None:
        index["superseded_by"][before] = import_id
    index["active"] = import_id
    write_json(home / "index.json", index)
    return before


def _part_entry(path: Path) -> dict[str, Any]:
    atomic.sync(path)
    return {
        "name": path.name,
        "rows": pq.read_metadata(path).num_rows,
        "bytes": path.stat().st_size,
        "sha256": checksum(path),
    }
