"""The sources of data in a store: known, forgotten, lost.

Lives here: finding every source, and the one with a key. Not here: the interface of a source
(``isocost.intake.source`` and its two kinds), bringing one in (``plan``, ``imports``).
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from pathlib import Path

import polars as pl

from isocost import atomic
from isocost.errors import IsocostError
from isocost.intake.imported import PREFIX, ImportedSource, lost_imports
from isocost.intake.sessions import EngineSession
from isocost.intake.source import Source
from isocost.seals import sealed_json
from isocost.store import SESSION_ID, Store


def source_of(store: Store, key: str) -> Source:
    """The source with a key, whether or not it is known here.

    Its own file determines its kind; without it, the form of the key does.
    """
    session, imported = EngineSession(store, key), ImportedSource(store, key)
    if session.is_known or imported.is_known:
        return session if session.is_known else imported
    return imported if key.startswith(PREFIX) else session


def sources(store: Store) -> list[Source]:
    """Every session and import that is not forgotten, by key.

    Excludes files that only share the ending: no source can have such a name.
    """
    return _sources_of(store, known_sources(store))


def known_sources(store: Store) -> list[str]:
    """Their keys, and the names of files that only look like theirs, for reporting."""
    folder = store.lake / "sessions"
    suffixes = (EngineSession.suffix, ImportedSource.suffix)
    found = (path for suffix in suffixes for path in folder.glob(f"*{suffix}"))
    return sorted({path.stem for path in found} - forgotten_sources(store))


def imports(store: Store) -> list[ImportedSource]:
    """Every import that is not meant to be gone, by key."""
    return [source for source in sources(store) if isinstance(source, ImportedSource)]


def forgotten_file(store: Store, key: str) -> Path:
    """The note that a source is meant to be in no table."""
    return store.root / "forgotten" / f"{key}.json"


def forgotten_sources(store: Store) -> set[str]:
    """Keys of sources that are meant to be in no table.

    Planning or importing them again takes that back.
    """
    return {path.stem for path in (store.root / "forgotten").glob("*.json")}


def remember_forgotten(store: Store, key: str, rows: int) -> Path:
    """Write down that a source is meant to be in no table any more.

    Raises:
        MachineError: the note cannot be written.
    """
    path = forgotten_file(store, key)
    atomic.write_bytes(path, sealed_json({"source": key, "rows": rows, "at_unix_s": time.time()}))
    return path


def lost_sources(store: Store, curated: Collection[str] = ()) -> dict[str, IsocostError]:
    """Why the sources without their own file in the lake cannot be used; by key.

    Args:
        store: the lake.
        curated: keys that have core tables; they also give the name of an import with a damaged
            manifest.
    """
    keys = {*known_sources(store), *forgotten_sources(store)}
    known, had = (_sources_of(store, each) for each in (keys, curated))
    found: list[Source] = [each for each in EngineSession.in_lake(store) if each.key not in keys]
    found += lost_imports(
        store,
        [source for source in known if isinstance(source, ImportedSource)],
        [source for source in had if isinstance(source, ImportedSource)],
        keys,
    )
    lost = {source.key: source for source in found if SESSION_ID.fullmatch(source.key)}
    return {key: lost[key].lost() for key in sorted(lost)}


def _sources_of(store: Store, keys: Iterable[str]) -> list[Source]:
    return [source_of(store, key) for key in keys if SESSION_ID.fullmatch(key)]


def raw_rows(store: Store, table_name: str, key: str) -> pl.DataFrame:
    """The rows of a raw table of a source.

    Raises:
        IsocostError: a part is missing or damaged.
    """
    return source_of(store, key).raw(table_name)
