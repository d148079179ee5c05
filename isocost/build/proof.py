"""Verify everything outside the bank: session files, notes, derived tables, publication.

Lives here: reading every byte and reporting differences; nothing is changed. Not here: verification
of the bank (``isocost.bank.verify``), rebuilding damaged files
(``isocost.build.refresh``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from isocost.build.ledger import Ledger
from isocost.errors import IsocostError, one_source
from isocost.intake import EngineSession, forgotten_sources, known_sources, source_of
from isocost.judges.bank import FOLDER, REMEDY
from isocost.plain_files import stored_bytes
from isocost.seals import checksum, prove_parquet, unsealed_json
from isocost.store import SESSION_ID, Store

_AGAIN = "`isocost refresh` builds it again"


@dataclass(frozen=True, slots=True)
class StoreFault:
    """A stored file that differs from what was written.

    Attributes:
        path: relative to the data root.
        detail: what was found, and what to do.
    """

    path: str
    detail: str

    def __str__(self) -> str:
        return f"{self.path}: {self.detail}"


@dataclass(frozen=True, slots=True)
class StoreReport:
    """The verification of a data root except its bank.

    Attributes:
        faults: all faults, by path.
        files: files that were read.
    """

    faults: tuple[StoreFault, ...]
    files: int


def verify_store(store: Store) -> StoreReport:
    """Check every session file, derived table and published file against its checksum."""
    checked: set[Path] = set()
    faults = {
        fault.path: fault
        for fault in reversed(
            [
                *_sources(store, checked),
                *_recorded(store, checked),
                *_others(store, checked),
                *_judgements(store, checked),
            ]
        )
    }
    return StoreReport(tuple(faults[path] for path in sorted(faults)), len(checked))


def _fault(store: Store, path: Path, detail: str) -> StoreFault:
    return StoreFault(path.relative_to(store.root).as_posix(), detail)


def _sources(store: Store, checked: set[Path]) -> Iterator[StoreFault]:
    """Session files, the notes of imports, and the requests of sweeps."""
    for key in [*known_sources(store), *sorted(forgotten_sources(store))]:
        if not SESSION_ID.fullmatch(key):
            path = store.lake / "sessions" / f"{key}{EngineSession.suffix}"
            yield _fault(store, path, "no source can have this name; move the file away")
            continue
        source = source_of(store, key)
        if not source.is_known:
            continue
        checked.add(source.file)
        try:
            with one_source(key):
                source.check()
        except IsocostError as error:
            yield _fault(store, source.file, str(error))
    for path in [
        *sorted((store.lake / "sessions").glob("*.asked")),
        *sorted((store.root / "forgotten").glob("*.json")),
    ]:
        checked.add(path)
        try:
            unsealed_json(stored_bytes(path), "")
        except IsocostError as error:
            yield _fault(
                store,
                path,
                f"{error.what}; remove it, then plan, import or forget its source again",
            )


def _recorded(store: Store, checked: set[Path]) -> Iterator[StoreFault]:
    """What the records of derived tables and of the publication name, byte by byte."""
    ledger = Ledger(store)
    for layer in ("core", "out"):
        for group in ledger.groups(layer):
            for piece in ledger.pieces(layer, group):
                record = ledger.recall(layer, group, piece)
                for name, (_, digest) in {} if record is None else sorted(record.files.items()):
                    path = store.root / name
                    checked.add(path)
                    if not path.is_file():
                        yield _fault(store, path, f"is missing; {_AGAIN}")
                    elif checksum(path) != digest:
                        yield _fault(
                            store, path, f"its SHA-256 is not that of its record; {_AGAIN}"
                        )
    yield from (_fault(store, path, f"{what}; {_AGAIN}") for path, what in ledger.harmed.items())


def _judgements(store: Store, checked: set[Path]) -> Iterator[StoreFault]:
    """Sealed judgements by the checksum that they carry."""
    for path in sorted((store.lake / FOLDER).rglob("part-*.parquet")):
        checked.add(path)
        try:
            if not prove_parquet(path):
                yield _fault(store, path, f"has no checksum; {REMEDY}")
        except (IsocostError, OSError) as error:
            what = error.what if isinstance(error, IsocostError) else str(error)
            yield _fault(store, path, f"{what}; {REMEDY}")


def _others(store: Store, checked: set[Path]) -> Iterator[StoreFault]:
    """Files that no record names.

    Tables and verdicts by the checksum that they carry, exports by that in their descriptor.
    """
    for path in sorted(
        {*(store.root / "core").rglob("*.parquet"), *(store.root / "out").rglob("*.parquet")}
        - checked
    ):
        checked.add(path)
        try:
            if not prove_parquet(path):
                yield _fault(store, path, f"has no checksum, so it cannot be verified; {_AGAIN}")
        except (IsocostError, OSError) as error:
            yield _fault(store, path, error.what if isinstance(error, IsocostError) else str(error))
    descriptor = store.exports / "datapackage.json"
    if not descriptor.is_file():
        return
    checked.add(descriptor)
    try:
        listed = {
            str(one["path"]): str(one["hash"])
            for one in json.loads(stored_bytes(descriptor))["resources"]
        }
    except (ValueError, KeyError, TypeError) as error:
        yield _fault(
            store, descriptor, f"cannot be read ({type(error).__name__}: {error}); {_AGAIN}"
        )
        return
    for name, digest in sorted(listed.items()):
        path = store.exports / name
        if path in checked or path.parent != store.exports:
            continue
        checked.add(path)
        if not path.is_file():
            yield _fault(store, path, f"is missing; {_AGAIN}")
        elif f"sha256:{checksum(path)}" != digest:
            yield _fault(store, path, f"its SHA-256 is not that of the descriptor; {_AGAIN}")
