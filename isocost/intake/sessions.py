"""Engine sessions as sources of data.

Lives here: ``EngineSession``. Not here: planning of sessions (``isocost.intake.plan``), their
generation (``isocost.generate``), their parts and manifests (``isocost.bank``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import polars as pl

from isocost.bank import layout
from isocost.bank.files import Files
from isocost.bank.listing import part_names
from isocost.bank.manifest import Manifest, manifest_names, session_ids
from isocost.bank.reader import prove_session, read_manifests, read_raw
from isocost.bank.verify import repair_bank
from isocost.errors import IsocostError
from isocost.intake.source import Banked, Share, Source
from isocost.plain_files import stored_bytes
from isocost.schema.frames import empty
from isocost.seals import checksum, unsealed_json
from isocost.store import Store
from isocost.sweep import Session, read_session


@dataclass(frozen=True)
class EngineSession(Source):
    """What one engine start measured, under the id of its session."""

    suffix = ".json"

    @classmethod
    def in_lake(cls, store: Store) -> list[EngineSession]:
        """Every session with parts or manifests in the lake, whether or not it is known."""
        files = Files(store.lake)
        return [
            cls(store, key)
            for key in session_ids(files)
            if manifest_names(files, key)
            or any(part_names(files, table, key) for table in layout.FOLDERS)
        ]

    def session(self) -> Session:
        """The session's definition.

        Raises:
            IsocostError: its file is damaged or missing.
        """
        return read_session(self.file, named=self.key)

    def manifests(self) -> list[Manifest]:
        """The manifests of its runs, by attempt.

        Raises:
            IsocostError: one is damaged.
        """
        return read_manifests(self.store.lake, self.key)

    def check(self) -> None:
        """Read its session file."""
        self.session()

    def inputs(self) -> dict[str, Any]:
        """The session file and the files that its tasks' problems are read from."""
        if not self.is_known:
            raise IsocostError(
                "was never planned here",
                where=f"session {self.key}",
                remedy="Plan its sweep: `isocost plan SWEEP.yaml`",
            )
        data = {name: _data(name) for name in sorted(self._datasets())}
        return {"session": checksum(self.file), "data": data}

    def folders(self) -> tuple[str, ...]:
        """Its manifests and the parts of each table."""
        parts = (layout.part_folder(table, self.key) for table in layout.FOLDERS)
        return (layout.manifest_folder(self.key), *parts)

    def raw(self, table_name: str) -> pl.DataFrame:
        """Rows that its runs sealed."""
        if table_name not in layout.FOLDERS:
            return empty(table_name)
        return read_raw(self.store.lake, table_name, self.key)

    def prove(self) -> None:
        """Hold every part to the checksum in its manifest."""
        prove_session(self.store.lake, self.key)

    def banked(self) -> Banked:
        """Rows of every part that a manifest lists or that is whole."""
        found: Banked = {}
        for manifest in self.manifests():
            for part in manifest.parts:
                found.setdefault(part.table, {})[part.file] = part.rows
        return found

    def gone(self, known: Mapping[str, Mapping[str, int]]) -> int:
        """Rows of parts that are neither in their folder nor recorded as set aside."""
        files = Files(self.store.lake)
        lying = {table: set(files.names(layout.part_folder(table, self.key))) for table in known}
        away = {
            (table, part): rows
            for table, parts in known.items()
            for part, rows in parts.items()
            if part not in lying[table]
        }
        if not away:
            return 0
        accounted = {
            (entry.table, entry.file)
            for manifest in self.manifests()
            for entry in manifest.quarantined
        }
        return sum(
            rows
            for (table, part), rows in away.items()
            if (table, part) not in accounted
            and files.size(f"{layout.quarantine_path(self.key, table, part)}.reason.json") is None
        )

    def without_manifest(self) -> tuple[str, ...]:
        """Runs that have parts and no manifest."""
        listed = {Path(name).stem for name in manifest_names(Files(self.store.lake), self.key)}
        return tuple(one.run_id for one in self.manifests() if one.run_id not in listed)

    def set_aside_damaged(self) -> tuple[str, ...]:
        """Move its damaged parts and manifests, one by one."""
        notes = repair_bank(self.store.lake, self.key)
        return tuple(note for note in notes if "set aside" in note)

    def is_in_quarantine(self) -> bool:
        """Never: its parts are set aside one by one, and the session stays."""
        return False

    def was_set_aside(self) -> bool:
        """Whether a part or manifest of it was set aside."""
        return (self.store.lake / layout.quarantine_folder(self.key)).is_dir()

    def shares(self) -> Iterator[Share]:
        """Its requests, point by point."""
        for planned in unsealed_json(stored_bytes(self.file), str(self.file))["points"]:
            point, each = planned["point"], int(planned["samples_per_problem"])
            task, problems = point["task"], int(point["task"]["n_problems"])
            yield Share(str(task["name"]), str(point["point_id"]), problems, problems * each, each)

    def lost(self) -> IsocostError:
        """Its sweep has to be planned again."""
        remedy = "Plan its sweep again, `isocost plan SWEEP.yaml` writes the file again"
        return IsocostError("its session file is lost", where=str(self.file), remedy=remedy)

    def _datasets(self) -> set[str]:
        """What its tasks name as their data; the file is held to its form when it is curated."""
        try:
            content = unsealed_json(stored_bytes(self.file), str(self.file))
            return {planned["point"]["task"]["dataset"] for planned in content["points"]}
        except (ValueError, KeyError, TypeError):  # reading it reports the fault
            return {planned.point.task.dataset for planned in self.session().points}


def _data(dataset: str) -> str | None:
    """Checksum of the file with a task's problems.

    None if they come from elsewhere.
    """
    path = Path(dataset).expanduser()
    try:
        status = path.stat()
        return _data_sum(path, status.st_size, status.st_mtime_ns) if path.is_file() else None
    except (OSError, ValueError):  # a name or a text, not a file
        return None


@lru_cache(maxsize=1024)
def _data_sum(path: Path, _size: int, _changed: int) -> str:
    return checksum(path)
