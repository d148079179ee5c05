"""Bring every source of a store to its core tables, and handle those that fail.

Lives here: the loop over sessions and imports, keeping or leaving out a failed one, forgetting one
on purpose. Not here: how one is curated (``isocost.build.curate``), what counts as a loss
(``isocost.build.losses``), which sources exist (``isocost.intake``).
"""

from __future__ import annotations

import difflib
import shutil
from collections.abc import Iterator

from isocost import gates
from isocost.build.curate import (
    CORE_OF_SESSION,
    GROUP,
    Curated,
    SetAside,
    curate_session,
    leave_out,
    verdicts_folder,
)
from isocost.build.ledger import Ledger
from isocost.build.losses import Less, known_rows, refusal
from isocost.errors import IsocostError
from isocost.intake import (
    forgotten_sources,
    known_sources,
    lost_sources,
    remember_forgotten,
    source_of,
)
from isocost.schema.registry import table as table_of
from isocost.store import Store


def curate_all(
    store: Store, ledger: Ledger, *, force: bool = False
) -> Iterator[tuple[str, Curated | IsocostError]]:
    """Curate every source and yield the results; a failure does not stop the others.

    Args:
        store: the data root.
        ledger: the records.
        force: build all core tables unconditionally.

    Raises:
        Refused: sources have fewer rows than are known, without explanation. Every other source is
            curated then.
    """
    drop_forgotten(store, ledger)
    losses = vanished(store, ledger)
    for session_id in known_sources(store):
        try:
            yield session_id, curate_session(store, session_id, force=force, ledger=ledger)
        except Less as loss:
            losses.append(loss)
        except IsocostError as error:
            yield session_id, error
    yield from lost_sources(store, ledger.pieces("core", GROUP)).items()
    if losses:
        raise refusal(losses)


def keep_or_leave_out(store: Store, session_id: str, error: IsocostError, ledger: Ledger) -> bool:
    """Handle a source that cannot be curated now: intact core tables stay unchanged.

    Args:
        store: the tables.
        session_id: the source.
        error: why it cannot be curated. Quarantined rows are removed from the tables.
        ledger: the records.

    Returns:
        Whether its tables stayed.
    """
    if isinstance(error, Less):
        return True  # nothing is changed until the missing rows are explained
    is_aside = isinstance(error, SetAside) or source_of(store, session_id).is_in_quarantine()
    if not is_aside and ledger.find("core", GROUP, session_id) is not None:
        try:
            for name in CORE_OF_SESSION:
                store.read_only(name, [session_id], columns=[table_of(name).keys[0]])
            _record_kept(store, session_id, error, ledger)
            return True
        except IsocostError:
            pass
    leave_out(store, session_id, ledger, error=error)
    return False


def _record_kept(store: Store, session_id: str, error: IsocostError, ledger: Ledger) -> None:
    """Record in core_checks that a source's tables do not match the bank now."""
    record = ledger.recall("core", GROUP, session_id)
    earlier = store.read_only(gates.CHECKS, [session_id])
    checks = gates.kept(error, session_id, earlier)
    if record is not None and not checks.equals(earlier):
        ledger.amend("core", GROUP, session_id, record, {gates.CHECKS: checks})


def vanished(store: Store, ledger: Ledger) -> list[Less]:
    """Sources that were curated here and are no longer in the lake.

    Not even as parts without a session file.
    """
    unknown = (
        set(ledger.pieces("core", GROUP)) - set(known_sources(store)) - forgotten_sources(store)
    )
    gone = sorted(unknown - lost_sources(store, unknown).keys()) if unknown else []
    records = ((session_id, ledger.recall("core", GROUP, session_id)) for session_id in gone)
    where = str(store.lake / "sessions")
    return [
        Less(session_id, known_rows(record), 0, where=where)
        for session_id, record in records
        if record is not None
    ]


def forget(store: Store, session_id: str, ledger: Ledger | None = None) -> int:
    """Remove a source from every table permanently; its files in the lake stay there.

    Args:
        store: the tables.
        session_id: a known or curated source.
        ledger: records that are already open.

    Returns:
        Its known rows.

    Raises:
        IsocostError: there is no such source, or the note cannot be written.
    """
    ledger = ledger or Ledger(store)
    curated = set(ledger.pieces("core", GROUP))
    every = {*curated, *known_sources(store), *lost_sources(store, curated)}
    if session_id not in every:
        near = ", ".join(difflib.get_close_matches(session_id, every, n=3) or sorted(every)[:20])
        raise IsocostError(
            f"no source is called {session_id!r}",
            where=str(store.root),
            remedy=f"Sources here: {near or 'none'}",
        )
    record = ledger.recall("core", GROUP, session_id)
    rows = 0 if record is None else known_rows(record)
    remember_forgotten(store, session_id, rows)
    leave_out(store, session_id, ledger)
    shutil.rmtree(verdicts_folder(store, session_id), ignore_errors=True)
    return rows


def drop_forgotten(store: Store, ledger: Ledger) -> None:
    """Remove rows that reappeared in core tables of a forgotten source.

    For example from a restored folder.

    Its rows in core_checks are removed too, once the source is unknown.
    """
    forgotten, curated, judged = (
        forgotten_sources(store),
        set(ledger.pieces("core", GROUP)),
        judged_sources(store),
    )
    for session_id in forgotten & (curated | judged):
        leave_out(store, session_id, ledger)
    if not (store.lake / "sessions").is_dir():
        return  # tables that came without their lake
    # A source that was left out only has checks, and no measurements that a table could lose.
    empty = {
        session_id
        for session_id in judged - curated
        if not store.path("core_samples", session_id).exists()
    }
    unknown = empty - set(known_sources(store))
    for session_id in unknown - lost_sources(store, unknown).keys() if unknown else ():
        leave_out(store, session_id, ledger)


def judged_sources(store: Store) -> set[str]:
    """Sources with rows in core_checks; one that was left out has no other rows and no record."""
    return {path.stem.removeprefix("session=") for path in store.files(gates.CHECKS)}


def sources_of(ledger: Ledger) -> dict[str, int]:
    """Rows of core_samples and core_counts by source, as their records say."""
    records = {
        session_id: ledger.recall("core", GROUP, session_id)
        for session_id in ledger.pieces("core", GROUP)
    }
    counted = ("core_samples", "core_counts")
    return {
        source: sum(record.rows.get(name, 0) for name in counted)
        for source, record in records.items()
        if record is not None
    }
