"""Rows of a table that arrive in runs and may be spilled until all are written.

Lives here: ``Runs``, which keeps what fits into its memory and spills the rest into unnamed files.
Not here: the writing of the table's own file (``isocost.schema.parquet``), sorting of stored tables
(``isocost.publish.streams``).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

import polars as pl

from isocost.errors import IsocostError, MachineError
from isocost.schema.frames import conform, empty
from isocost.schema.registry import table as table_of


@dataclass
class _Run:
    """Some rows: in memory or in a file.

    Attributes:
        first: sort key of the first row.
        last: sort key of the last row.
        height: number of rows.
        frame: the rows; None if they are in the file.
        file: the file; None if they are in memory.
    """

    first: tuple[Any, ...]
    last: tuple[Any, ...]
    height: int
    frame: pl.DataFrame | None
    file: IO[bytes] | None = None

    def read(self) -> pl.DataFrame:
        """The rows."""
        if self.file is None:
            assert self.frame is not None
            return self.frame
        self.file.seek(0)
        return pl.read_ipc(self.file)


class Runs:
    """The rows of one table, in runs that do not overlap in the table's order.

    The runs may arrive in any order.
    """

    def __init__(
        self, table_name: str, *, memory: int | None = None, folder: Path | None = None
    ) -> None:
        """Start without rows.

        Args:
            table_name: the table.
            memory: budget in bytes for its rows; the rest is spilled. No bound if None.
            folder: where to spill rows; the system's folder for temporary files if None.
        """
        self.table_name = table_name
        self._memory, self._folder, self._held = memory, folder, 0
        self._runs: list[_Run] = []

    @property
    def height(self) -> int:
        """Number of rows."""
        return sum(run.height for run in self._runs)

    @property
    def is_laid_aside(self) -> bool:
        """Whether some rows are in files."""
        return any(run.file is not None for run in self._runs)

    def add(self, frame: pl.DataFrame) -> None:
        """Add a run, conformed.

        Raises:
            IsocostError: the rows do not conform to the table, or there is no space to spill them.
        """
        rows = conform(frame, self.table_name)
        if rows.is_empty():
            return
        ends = rows.select(table_of(self.table_name).sort_order)
        run = _Run(ends.row(0), ends.row(-1), rows.height, rows)
        size = int(rows.estimated_size())
        if self._memory is None or self._held + size <= self._memory:
            self._held += size
        else:
            run.file, run.frame = self._laid_aside(rows), None
        self._runs.append(run)

    def frames(self) -> Iterator[pl.DataFrame]:
        """The runs in the table's order, one at a time.

        Raises:
            IsocostError: rows of one run belong between those of another.
        """
        runs = sorted(self._runs, key=lambda run: run.first)
        for one, other in pairwise(runs):
            if one.last >= other.first:
                raise IsocostError(
                    "runs of rows overlap",
                    where=f"table {self.table_name}",
                    remedy="This is a defect; report it with the message.",
                )
        for run in runs:
            yield run.read()

    def whole(self) -> pl.DataFrame:
        """All rows in one frame, whether or not the runs overlap."""
        frames = [run.read() for run in self._runs]
        return conform(pl.concat(frames), self.table_name) if frames else empty(self.table_name)

    def close(self) -> None:
        """Free memory and disk; no rows remain."""
        for run in self._runs:
            if run.file is not None:
                run.file.close()
        self._runs.clear()

    def _laid_aside(self, rows: pl.DataFrame) -> IO[bytes]:
        try:
            if self._folder is not None:
                self._folder.mkdir(parents=True, exist_ok=True)
            file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 - closed with the runs
            rows.write_ipc(file, compression="lz4")
            file.flush()
        except OSError as error:
            raise MachineError(
                f"rows of {self.table_name} that do not fit into memory cannot be written to disk:"
                f" {error.strerror or error}",
                where=str(self._folder or tempfile.gettempdir()),
                remedy="Free space there, or give more memory with --memory",
            ) from error
        return file
