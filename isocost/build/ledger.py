"""Records of derived files: their inputs, their outputs, and whether those still exist.

Lives here: the record of a piece (a group of files that one computation writes) and the
verification of its files. Not here: which pieces exist, what one may read
(``isocost.build.slices``) and how it
is computed (``isocost.build.rules``).

A record is stored in ``core/_made`` or ``out/_made``, has its own checksum, and states what its
piece was built from (one fingerprint over the checksums of every file it read, the options and the
code) and what it wrote. It is removed before the first file is written and written after the last
one, so an interrupted piece has none. A file counts as unchanged while its size, its times of
change and its inode are those of the record, so that a refresh with nothing new reads no table;
otherwise its content decides. A reader of a table verifies its file again by the checksum inside
the file (``isocost.seals``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from isocost import atomic
from isocost.errors import MachineError
from isocost.lock_files import exclusive
from isocost.plain_files import stored_bytes
from isocost.schema.runs import Runs
from isocost.seals import Damaged, Identity, checksum, identity, sealed_json, unsealed_json
from isocost.store import Store

RECORD_SCHEMA = 2

# Path relative to the store's root -> identity for detecting changes, SHA-256.
Files = dict[str, tuple[Identity, str]]


@dataclass(frozen=True)
class Record:
    """The inputs and outputs of a piece.

    Attributes:
        fingerprint: of all inputs.
        rows: rows by table.
        files: what it wrote.
        facts: information for others without opening its files.
    """

    fingerprint: str
    rows: dict[str, int]
    files: Files
    facts: dict[str, Any] = field(default_factory=dict)


class Ledger:
    """The records of one store's pieces.

    Attributes:
        store: the tables.
        harmed: why a file in a record is no longer usable, by path; reported when it was rebuilt.
    """

    def __init__(self, store: Store) -> None:
        """Open the records; nothing is read yet."""
        self.store = store
        self.harmed: dict[Path, str] = {}
        self._sums: dict[Path, tuple[Identity, str]] = {}

    def recall(self, layer: str, group: str, piece: str) -> Record | None:
        """The record of a piece, regardless of its files.

        None if there is none, or it is damaged.
        """
        path = self._path(layer, group, piece)
        try:
            stored = unsealed_json(stored_bytes(path), str(path))
            if stored["schema"] != RECORD_SCHEMA:
                return None
            files = {
                name: ((sizes[0], sizes[1], sizes[2], sizes[3]), digest)
                for name, (sizes, digest) in stored["files"].items()
            }
            return Record(stored["fingerprint"], stored["rows"], files, stored["told"])
        except FileNotFoundError:
            return None
        except Damaged as error:
            self.harmed[path] = error.what
        except (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError):
            return None
        return None

    def find(self, layer: str, group: str, piece: str) -> Record | None:
        """The record of a piece whose files are all there and unchanged; None otherwise."""
        record = self.recall(layer, group, piece)
        if record is None:
            return None
        touched: Files = {}
        for name, (known, digest) in record.files.items():
            file = self.store.root / name
            try:
                now = identity(file)
                if now != known:
                    if now[0] != known[0] or self.sum_of(file) != digest:
                        self.harmed[file] = "was changed after it was written"
                        return None
                    touched[name] = (now, digest)
            except OSError:
                self.harmed[file] = "was missing"
                return None
            self._sums[file] = (now, digest)
        if touched:  # a copied or restored data root is read once, not in every refresh
            record = Record(
                record.fingerprint, record.rows, {**record.files, **touched}, record.facts
            )
            with suppress(MachineError), self._locked():
                self._put(self._path(layer, group, piece), record)
        return record

    def sum_of(self, path: Path) -> str:
        """Checksum of a file, computed once while the file is unchanged.

        Empty if the file does not exist.
        """
        try:
            now = identity(path)
        except FileNotFoundError:
            return ""
        known = self._sums.get(path)
        if known is None or known[0] != now:
            known = (now, checksum(path))
            self._sums[path] = known
        return known[1]

    def write(
        self,
        layer: str,
        group: str,
        piece: str,
        fingerprint: str,
        frames: Mapping[str, pl.DataFrame | Runs],
        *,
        facts: Mapping[str, Any] | None = None,
    ) -> Record:
        """Write a piece's files and then its record.

        Args:
            layer: ``core`` or ``out``.
            group: the computation's name.
            piece: session id, task piece or ``all``; also the name of the files.
            fingerprint: of its inputs.
            frames: rows by table; runs are closed when they are written.
            facts: stored in the record.

        Raises:
            IsocostError: a frame does not conform to its table, or the path cannot be written.
        """
        record_path = self._path(layer, group, piece)
        with self._locked():
            record_path.unlink(missing_ok=True)
            files: Files = {}
            for name, frame in frames.items():
                path = self.store.write(frame, name, piece)
                files[path.relative_to(self.store.root).as_posix()] = (
                    identity(path),
                    checksum(path),
                )
            record = Record(
                fingerprint,
                {name: frame.height for name, frame in frames.items()},
                files,
                dict(facts or {}),
            )
            self._put(record_path, record)
        for frame in frames.values():
            if isinstance(frame, Runs):
                frame.close()
        self._sums |= {self.store.root / name: entry for name, entry in files.items()}
        return record

    def note(
        self,
        layer: str,
        group: str,
        piece: str,
        fingerprint: str,
        paths: Iterable[Path],
        rows: Mapping[str, int],
        *,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        """Write the record of files that others wrote."""
        with self._locked():
            files = {
                path.relative_to(self.store.root).as_posix(): (identity(path), checksum(path))
                for path in paths
            }
            self._put(
                self._path(layer, group, piece),
                Record(fingerprint, dict(rows), files, dict(facts or {})),
            )

    def update_facts(
        self, layer: str, group: str, piece: str, record: Record, facts: Mapping[str, Any]
    ) -> Record:
        """Rewrite a record with different information, for the same files."""
        found = Record(record.fingerprint, record.rows, record.files, dict(facts))
        with self._locked():
            self._put(self._path(layer, group, piece), found)
        return found

    def amend(
        self, layer: str, group: str, piece: str, record: Record, frames: Mapping[str, pl.DataFrame]
    ) -> None:
        """Rewrite some files of a piece that cannot be rebuilt now.

        Its record then matches nothing, so the piece is rebuilt as soon as possible.
        """
        path = self._path(layer, group, piece)
        with self._locked():
            path.unlink(missing_ok=True)
            files, rows = dict(record.files), dict(record.rows)
            for name, frame in frames.items():
                file = self.store.write(frame, name, piece)
                entry = (identity(file), checksum(file))
                files[file.relative_to(self.store.root).as_posix()] = entry
                self._sums[file], rows[name] = entry, frame.height
            facts = {key: value for key, value in record.facts.items() if key != "seen"}
            self._put(path, Record("", rows, files, facts))

    def drop(self, layer: str, group: str, piece: str, tables: tuple[str, ...]) -> None:
        """Remove a piece: its record first, then its files."""
        with self._locked():
            self._path(layer, group, piece).unlink(missing_ok=True)
            for name in tables:
                self.store.path(name, piece).unlink(missing_ok=True)

    def distrust(self, path: Path) -> bool:
        """Forget that a derived file fits, so that it is built again.

        Whether a record named it.
        """
        try:
            name = path.relative_to(self.store.root)
        except ValueError:
            return False
        self._sums.pop(path, None)
        found = False
        for place in (self.store.root / name.parts[0] / "_made").glob(
            f"*/{path.stem.removeprefix('session=')}.json"
        ):
            record = self.recall(name.parts[0], place.parent.name, place.stem)
            if record is not None and name.as_posix() in record.files:
                place.unlink(missing_ok=True)
                found = True
        return found

    def clear_unfinished(self) -> None:
        """Remove leftovers of killed writers next to tables and records.

        No other writer is active while this holds the lock.
        """
        with self._locked():
            for layer in ("core", "out"):
                for place in (
                    (self.store.root / layer).glob("*/"),
                    (self.store.root / layer / "_made").glob("*/"),
                ):
                    for folder in place:
                        for path in folder.glob(".*.tmp"):
                            path.unlink(missing_ok=True)

    def pieces(self, layer: str, group: str) -> list[str]:
        """Names of the pieces of a group that have a record, sorted."""
        return sorted(
            path.stem
            for path in (self.store.root / layer / "_made" / group).glob("*.json")
            if not path.name.startswith(".")
        )

    def groups(self, layer: str) -> list[str]:
        """Names of the groups of a layer that have records, sorted."""
        return sorted(
            path.name for path in (self.store.root / layer / "_made").glob("*") if path.is_dir()
        )

    def _path(self, layer: str, group: str, piece: str) -> Path:
        return self.store.root / layer / "_made" / group / f"{piece}.json"

    def _put(self, path: Path, record: Record) -> None:
        content = {
            "schema": RECORD_SCHEMA,
            "fingerprint": record.fingerprint,
            "rows": record.rows,
            "files": record.files,
        }
        # "told" is the key of every stored record; another one would rebuild every table.
        atomic.write_bytes(path, sealed_json({**content, "told": record.facts}, sort_keys=True))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One writer of pieces at a time: no record describes another process's files."""
        with exclusive(self.store.root / ".pieces.lock"):
            yield
