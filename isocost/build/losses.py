"""Less than was known before is a fault and never a smaller table: what the records know against
what lies there now.

Lives here: which rows of a source were banked when its core tables were made, the comparison with
what is banked now, and the note that a source is meant to be gone. Not here: making of core tables
(``isocost.build.curate``), setting damaged parts aside (``isocost.bank``).

A lake that is not mounted, a folder that was emptied or a part that was deleted all look like a
bank with fewer rows. Rows may go in three ways: their part is in quarantine, their import was
replaced by another one under the same name, or the source was forgotten on purpose.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from isocost.bank import layout
from isocost.bank.files import Files
from isocost.bank.reader import read_manifests
from isocost.build.ledger import Record
from isocost.errors import IsocostError
from isocost.hashing import slug
from isocost.importers.sealing import import_manifest, imports_root, is_set_aside
from isocost.intake import forgotten_file, forgotten_sources, source_facts
from isocost.seals import sealed_json
from isocost.store import IMPORT_PREFIX, Store

Banked = dict[str, dict[str, int]]
"""Rows by part, by raw table."""


class Less(IsocostError):
    """A source holds fewer rows than are known of it.

    Attributes:
        source: the session or imported source.
        known: rows that its core tables were made from.
        found: how many of them lie there now.
    """

    exit_code = 1

    def __init__(self, source: str, known: int, found: int, *, where: str) -> None:
        """Says which source, how many rows and what to do."""
        what = (
            f"{source} holds {found} of the {known} rows that are known of it, and nothing says"
            " where the others went"
        )
        super().__init__(what, where=where, remedy=_REMEDY)
        self.source, self.known, self.found = source, known, found

    def __reduce__(self):
        """Keeps its own arguments when it crosses a process boundary."""
        return (_less, (self.source, self.known, self.found, self.where))


_REMEDY = (
    "Mount the lake or bring the files back. What is gone for good has to be said: `isocost bank"
    " verify --repair` records the loss of single parts, `isocost forget SOURCE` that of a whole"
    " source"
)


def _less(source: str, known: int, found: int, where: str) -> Less:
    return Less(source, known, found, where=where)


class Refused(IsocostError):
    """Nothing is published, because it would be less than before."""

    exit_code = 1


def refusal(losses: Sequence[Less]) -> Refused:
    """Why nothing is published: every source with its rows."""
    told = "\n".join(f"  {loss.source}: {loss.found} of {loss.known} rows" for loss in losses[:20])
    more = f"\n  and {len(losses) - 20} more sources" if len(losses) > 20 else ""
    who = (
        "1 source holds fewer rows than are known of it"
        if len(losses) == 1
        else f"{len(losses)} sources hold fewer rows than are known"
    )
    what = f"{who}, so that nothing was published; what stood there is as it was"
    return Refused(what, where=losses[0].where, remedy=f"{_REMEDY}\n{told}{more}")


def banked(store: Store, session_id: str) -> Banked:
    """Rows of every part that a source's core tables are made from.

    Raises:
        IsocostError: what tells of them is damaged or missing.
    """
    if session_id.startswith(IMPORT_PREFIX):
        facts = source_facts(store, session_id)
        manifest = import_manifest(store.lake, facts["source_slug"], facts["import_id"])
        return {
            "raw_imports": {
                f"{facts['import_id']}/{part['name']}": int(part["rows"])
                for part in manifest["parts"]
            }
        }
    found: Banked = {}
    for manifest in read_manifests(store.lake, session_id):
        for part in manifest.parts:
            found.setdefault(part.table, {})[part.file] = part.rows
    return found


def refuse_less(store: Store, session_id: str, record: Record | None) -> None:
    """Compares what a source's record knows with what lies in the lake.

    Args:
        store: where everything lies.
        session_id: a source that is known.
        record: of its core tables; nothing is compared without.

    Raises:
        Less: rows are gone that nothing accounts for.
        IsocostError: a manifest is damaged.
    """
    known: Mapping[str, Mapping[str, int]] = (
        record.told.get("banked", {}) if record is not None else {}
    )
    if not known:
        return
    gone = (
        _gone_of_import(store, session_id, known)
        if session_id.startswith(IMPORT_PREFIX)
        else _gone(store, session_id, known)
    )
    if gone:
        total = rows_of(known)
        raise Less(session_id, total, total - gone, where=str(store.lake))


def refuse_fewer_sources(store: Store, before: Mapping[str, int], now: Mapping[str, int]) -> None:
    """Compares the sources of the last publication with those of the next, should the records of
    the core tables be lost, too.

    Args:
        store: where everything lies.
        before: rows of core tables by source.
        now: the same.

    Raises:
        Refused: a source is gone that is neither forgotten nor in quarantine.
    """
    gone = before.keys() - now.keys() - forgotten_sources(store)
    losses = [
        Less(source, before[source], 0, where=str(store.lake))
        for source in sorted(gone)
        if not _is_quarantined(store, source)
    ]
    if losses:
        raise refusal(losses)


def _is_quarantined(store: Store, source: str) -> bool:
    aside = store.lake / "raw" / "quarantine"
    if not source.startswith(IMPORT_PREFIX):
        return (aside / f"session={source}").is_dir()
    return any(f"-{slug(source, 40)}-" in folder.name for folder in aside.glob("source=*"))


def rows_of(known: Mapping[str, Mapping[str, int]]) -> int:
    """All rows of all parts."""
    return sum(sum(parts.values()) for parts in known.values())


def known_rows(record: Record) -> int:
    """Rows that a record knows to have been banked, or else those of its core tables."""
    return rows_of(record.told.get("banked", {})) or sum(record.rows.values())


def _gone(store: Store, session_id: str, known: Mapping[str, Mapping[str, int]]) -> int:
    files = Files(store.lake)
    lying = {table: set(files.names(layout.part_folder(table, session_id))) for table in known}
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
        for manifest in read_manifests(store.lake, session_id)
        for entry in manifest.quarantined
    }
    return sum(
        rows
        for (table, part), rows in away.items()
        if (table, part) not in accounted
        and files.size(f"{layout.quarantine_path(session_id, table, part)}.reason.json") is None
    )


def _gone_of_import(store: Store, session_id: str, known: Mapping[str, Mapping[str, int]]) -> int:
    facts = source_facts(store, session_id)
    slug, import_id = facts["source_slug"], facts["import_id"]
    parts = {
        name.split("/")[1]: rows
        for name, rows in known.get("raw_imports", {}).items()
        if name.split("/")[0] == import_id
    }
    folder = imports_root(store.lake) / f"source={slug}" / f"import={import_id}"
    if not parts or (not folder.exists() and is_set_aside(store.lake, slug, import_id)):
        # Another import counts now, as somebody said under the source's name; or it is in
        # quarantine.
        return 0
    return sum(rows for name, rows in parts.items() if not (folder / name).is_file())


def is_in_quarantine(store: Store, session_id: str) -> bool:
    """Whether all of an imported source is in quarantine.

    A session's parts are set aside one by one.
    """
    if not session_id.startswith(IMPORT_PREFIX):
        return False
    try:
        facts = source_facts(store, session_id)
    except IsocostError:
        return False
    slug, import_id = facts["source_slug"], facts["import_id"]
    return not (
        imports_root(store.lake) / f"source={slug}" / f"import={import_id}"
    ).exists() and is_set_aside(store.lake, slug, import_id)


def remember_forgotten(store: Store, session_id: str, rows: int) -> Path:
    """Writes down that a source is meant to be in no table any more.

    Raises:
        IsocostError: the note cannot be written.
    """
    path = forgotten_file(store, session_id)
    told: dict[str, Any] = {"source": session_id, "rows": rows, "at_unix_s": time.time()}
    Files(store.root).write(path.relative_to(store.root).as_posix(), sealed_json(told))
    return path
