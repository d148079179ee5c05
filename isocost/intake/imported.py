"""Imports as sources of data.

Lives here: ``ImportedSource``, the note that makes an import known, and the keys that imports have.
Not here: bringing one in (``isocost.intake.imports``), reading of other tools' files and the sealed
parts (``isocost.importers``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from isocost import atomic
from isocost.bank.layout import QUARANTINE
from isocost.errors import IsocostError
from isocost.hashing import sha256_hex, slug
from isocost.importers.stored import (
    import_folder,
    import_manifest,
    prove_import,
    read_import,
    source_names,
)
from isocost.importers.verify import is_set_aside, set_aside_damaged
from isocost.intake.source import Banked, Share, Source
from isocost.plain_files import stored_bytes
from isocost.schema.frames import empty
from isocost.seals import Damaged, sealed_json, unsealed_json
from isocost.store import Store

PREFIX = "import-"
"""Prefix of all keys of imports, so that a folder of core tables shows its contents."""


def source_key(name: str, *, shown: str | None = None) -> str:
    """The key of an imported source: different names always have different keys.

    Even if they differ only in case, spaces or punctuation.

    Args:
        name: what distinguishes the source.
        shown: the readable part of its key; the name itself if None.
    """
    readable = slug(name if shown is None else shown, 50)
    return PREFIX + (readable if readable == name else f"{readable}-{sha256_hex(name, 8)}")


@dataclass(frozen=True)
class ImportedSource(Source):
    """Another tool's results under one name; which import of that name counts is in its note."""

    suffix = ".source"

    @property
    def name(self) -> str:
        """Its name for ``--name``."""
        return self.key.removeprefix(PREFIX)

    @cached_property
    def note(self) -> dict[str, Any]:
        """The note from when it was imported: import, format, verifier.

        Raises:
            IsocostError: it was never imported here.
            Damaged: the note is not what was written.
        """
        return _read_note(self.file, self.key)

    def write_note(self, content: Mapping[str, Any]) -> None:
        """Make an import the one that counts for this source.

        Raises:
            MachineError: it cannot be written.
        """
        atomic.write_bytes(self.file, sealed_json({**content, "source": self.key}))

    @property
    def import_id(self) -> str:
        """The import that counts."""
        return self.note["import_id"]

    @property
    def place(self) -> tuple[Path, str, str]:
        """Where that import is: lake, slug of its source, id."""
        return self.store.lake, self.note["source_slug"], self.import_id

    @property
    def verifier(self) -> str | None:
        """The verifier of its texts; None if the source's own labels are the verdicts."""
        return self.note.get("verifier")

    def manifest(self) -> dict[str, Any]:
        """The import's description of itself: format, version, given and unknown provenance.

        Raises:
            IsocostError: it is missing or damaged.
        """
        return import_manifest(*self.place)

    def check(self) -> None:
        """Read its note."""
        _read_note(self.file, self.key)

    def inputs(self) -> dict[str, Any]:
        """Its note."""
        return {"source": self.note}

    def folders(self) -> tuple[str, ...]:
        """The folder of the import that counts."""
        return (import_folder(*self.place).relative_to(self.store.lake).as_posix(),)

    def raw(self, table_name: str) -> pl.DataFrame:
        """Rows of the import that counts here, even if another name's file superseded it."""
        return read_import(*self.place) if table_name == "raw_imports" else empty(table_name)

    def prove(self) -> None:
        """Hold every part to the checksum in its manifest."""
        prove_import(*self.place)

    def banked(self) -> Banked:
        """Rows of every part of the import that counts."""
        rows = {part["name"]: int(part["rows"]) for part in self.manifest()["parts"]}
        return {"raw_imports": {f"{self.import_id}/{name}": n for name, n in rows.items()}}

    def gone(self, known: Mapping[str, Mapping[str, int]]) -> int:
        """Rows of parts that are not in their folder.

        None if another import counts now, or the import is in quarantine.
        """
        own = f"{self.import_id}/"
        folder = import_folder(*self.place)
        if self.is_in_quarantine():
            return 0
        return sum(
            rows
            for name, rows in known.get("raw_imports", {}).items()
            if name.startswith(own) and not (folder / name.removeprefix(own)).is_file()
        )

    def set_aside_damaged(self) -> tuple[str, ...]:
        """Move the whole import where its bytes were changed."""
        return tuple(set_aside_damaged(*self.place))

    def is_in_quarantine(self) -> bool:
        """Whether the import that counts was set aside."""
        try:
            return not import_folder(*self.place).exists() and is_set_aside(*self.place)
        except IsocostError:
            return False

    def was_set_aside(self) -> bool:
        """Whether an import of this name was set aside."""
        aside = self.store.lake / QUARANTINE
        return any(self.is_held_by(home.name) for home in aside.glob("source=*"))

    def is_held_by(self, home: str) -> bool:
        """Whether a folder of imports has this name, according to the folder's name."""
        return f"-{slug(self.key, 40)}-" in home

    def shares(self) -> Iterator[Share]:
        """Its records, as if all were samples of one configuration of a separate task."""
        records = sum(int(part["rows"]) for part in self.manifest()["parts"])
        yield Share(f"of {self.key}", self.key, records, records)

    def lost(self) -> IsocostError:
        """It has to be imported again."""
        remedy = f"Import it again under the same name, `--name {self.name}` writes the file again"
        return IsocostError("its source file is lost", where=str(self.file), remedy=remedy)


def lost_imports(
    store: Store, known: list[ImportedSource], curated: list[ImportedSource], keys: set[str]
) -> list[ImportedSource]:
    """Imports with parts in the lake but without the note that makes them known.

    Leftovers of a known source, such as an import that a corrected file superseded, are not lost.

    Args:
        store: where the lake is.
        known: imports with a note, and those that are meant to be gone.
        curated: imports that have core tables; they tell the name of an import whose manifest is
            damaged, too.
        keys: keys that are not lost.
    """
    homes = source_names(store.lake)
    if not homes:
        return []
    held, lost = {_home_of(each) for each in known}, []
    for home, stated in homes.items():
        key = stated or next((each.key for each in curated if each.is_held_by(home)), "")
        if key.startswith(PREFIX) and key not in keys and home not in held:
            lost.append(ImportedSource(store, key))
    return lost


def _home_of(source: ImportedSource) -> str | None:
    try:
        return source.note["source_slug"]
    except IsocostError:
        return None


def _read_note(path: Path, key: str) -> dict[str, Any]:
    if not path.exists():
        remedy = "Use `isocost import`, or materialize raw_imports"
        raise IsocostError("was never imported here", where=f"source {key}", remedy=remedy)
    remedy = "Import its file or folder again under the same name"
    try:
        note = unsealed_json(stored_bytes(path), str(path), remedy)
        own = {name: str(note[name]) for name in ("import_id", "source_slug")}
        if note.get("source", key) != key:  # those of earlier versions do not say it
            raise Damaged(f"it is the note of {note['source']}", where=str(path))
        return {**note, **own}
    except Damaged as error:
        raise Damaged(f"{key}: {error.what}", where=str(path), remedy=remedy) from None
    except OSError as error:
        what = f"{key}: cannot be read: {error.strerror or error}"
        raise IsocostError(what, where=str(path), remedy=remedy) from None
    except (ValueError, TypeError, KeyError) as error:
        raise Damaged(
            f"{key}: cannot be read ({type(error).__name__}: {error})",
            where=str(path),
            remedy=remedy,
        ) from None
