"""Appends rows of one run and seals them as parts.

Lives here: `RunWriter` (append, seal, finish) and `open_run` (locks, recovery, the attempt number).
Not here: what the rows say.

The order of a seal is: part under a temporary name, fsync, rename, fsync of the folder, then the
manifest the same way. A crash between the two leaves a whole, unlisted part, which the next run
proves by its stamp and page checksums and lists (`recover`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import polars as pl

from isocost.bank import layout
from isocost.bank.files import Files
from isocost.bank.locks import points_locked
from isocost.bank.manifest import Manifest, PartEntry
from isocost.bank.parts import describe, encode
from isocost.bank.recover import Recovery, recover
from isocost.errors import IsocostError
from isocost.schema.registry import table as table_of
from isocost.schema.types import polars_schema

_SEALING_SHARE = 0.02
"""Most of a run's time that sealing may take: parts that fill faster than that grow instead, so
that a fast engine with small parts is not slowed by the disk, nor a long run by a manifest of a
hundred thousand parts."""


class RunWriter:
    """The open end of one run's parts.

    Rows of one `append` call always end up in one part: pass all calls of one sample in one call,
    so that a sample is never split. Nothing is durable before `seal` returns.
    """

    def __init__(
        self, files: Files, manifest: Manifest, *, part_rows: int, part_seconds: float = 60.0
    ) -> None:
        """Prepare a run; nothing is written before `start` or the first `seal`.

        Args:
            files: the lake.
            manifest: the run.
            part_rows: rows of raw_generations after which `due` turns true.
            part_seconds: seconds since the last seal after which `due` turns true.
        """
        self.files = files
        self.manifest = manifest
        self._part_rows = part_rows
        self._part_seconds = part_seconds
        self._rows: dict[str, list[dict[str, Any]]] = {}
        self._number = 0
        self._last_seal_s = time.monotonic()
        self._seal_cost_s = 0.0
        self._started = False

    def start(self, **info: Any) -> None:
        """Write the manifest of the run.

        Its attempt is recorded before anything is generated.

        Raises:
            IsocostError: the lake cannot be written.
        """
        self.manifest.info.update(info)
        self._write_manifest()

    def append(self, table: str, rows: Sequence[dict[str, Any]]) -> None:
        """Take rows of a raw table; ``session_id`` and ``run_id`` are added here."""
        own = {"session_id": self.manifest.session_id, "run_id": self.manifest.run_id}
        self._rows.setdefault(table, []).extend({**row, **own} for row in rows)

    def pending(self, table: str = "raw_generations") -> int:
        """Rows that are not sealed yet."""
        return len(self._rows.get(table, ()))

    def due(self) -> bool:
        """Whether enough rows or seconds have come together for a part.

        Never with nothing to seal.
        """
        rows, elapsed = self.pending(), time.monotonic() - self._last_seal_s
        full = rows >= self._part_rows and elapsed >= self._seal_cost_s / _SEALING_SHARE
        return full or (rows > 0 and elapsed >= self._part_seconds)

    def seal(self) -> list[PartEntry]:
        """Make everything appended so far durable.

        Returns:
            The new parts; empty if there was nothing to seal.

        Raises:
            IsocostError: storage failed (full, read-only, limited), or rows do not conform to their
                table. What was sealed before is intact.
        """
        sealed: list[PartEntry] = []
        begun = time.monotonic()
        if not self._started:
            self._write_manifest()
        part = layout.PartName(self.manifest.run_id, self._number)
        try:
            for table in [t for t in layout.FOLDERS if self._rows.get(t)]:
                sealed.append(self._seal_table(table, part))
        finally:
            # Also after a fault: what did reach the disk is listed if the disk takes the few bytes,
            # else adopted later.
            if sealed:
                self._number += 1
                self.manifest.parts.extend(sealed)
                self._write_manifest()
        self._last_seal_s = time.monotonic()
        self._seal_cost_s = self._last_seal_s - begun if sealed else self._seal_cost_s
        return sealed

    def finish(self, status: str, **info: Any) -> None:
        """Seal the rest and record how the run ended.

        Args:
            status: see `Manifest.status`.
            info: added to the manifest's info.
        """
        self.seal()
        self.manifest.status = status
        self.manifest.info.update(info)
        self._write_manifest()

    def fail(self, error: BaseException, **info: Any) -> None:
        """Records a failure without hiding it.

        A storage fault while doing so is dropped, since it is the news already.
        """
        self._rows.clear()
        self.manifest.status = "failed"
        self.manifest.info.update(info, error=f"{type(error).__name__}: {error}")
        try:
            self._write_manifest()
        except IsocostError:
            return

    def update(self, **info: Any) -> None:
        """Add to the manifest's info and write it."""
        self.manifest.info.update(info)
        self._write_manifest()

    def _seal_table(self, table: str, part: layout.PartName) -> PartEntry:
        frame = pl.DataFrame(
            self._rows[table], schema=polars_schema(table_of(table)), orient="row", strict=False
        )
        data = encode(frame, table, self.manifest, part)
        self.files.write(f"{layout.part_folder(table, self.manifest.session_id)}/{part}", data)
        self._rows[table] = []
        return describe(data, frame, table, part, time.time())

    def _write_manifest(self) -> None:
        self._started = True
        self.files.write(self.manifest.path, self.manifest.to_json())


@contextmanager
def open_run(
    files: Files,
    session_id: str,
    *,
    run_id: str | None = None,
    point_ids: Sequence[str] = (),
    part_rows: int,
    part_seconds: float = 60.0,
    info: dict[str, Any] | None = None,
) -> Iterator[tuple[RunWriter, Recovery]]:
    """Open a new run of a session: lock it and recover what earlier runs left.

    Args:
        files: the lake.
        session_id: the session.
        run_id: name of the run; a new UUID if None. A name that was used before gets a counter
            appended (an orchestrator's retry keeps its run id).
        point_ids: the session's points; each is locked too, since two sweeps may share one.
        part_rows: see `RunWriter`.
        part_seconds: see `RunWriter`.
        info: first content of the manifest's info.

    Yields:
        The writer and what recovery found.

    Raises:
        IsocostError: another process generates this session or one of its points, or the lake
            cannot be written.
    """
    layout.checked_id(session_id, "session id")
    run = layout.checked_id(run_id or layout.new_run_id(), "run id")
    what = f"session {session_id}"
    with (
        files.locked([layout.lock_path("session", session_id)], what),
        points_locked(files, point_ids, what),
    ):
        found = recover(files, session_id)
        used = {m.run_id for m in found.manifests}
        name, count = run, 1
        while name in used:
            count += 1
            name = f"{run}.{count}"
        attempt = 1 + max((m.attempt for m in found.manifests), default=0)
        manifest = Manifest(
            session_id=session_id, run_id=name, attempt=attempt, info=dict(info or {})
        )
        yield RunWriter(files, manifest, part_rows=part_rows, part_seconds=part_seconds), found
