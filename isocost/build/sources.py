"""Every source of a store, brought to its core tables one after the other; and what becomes of one
that cannot be.

Lives here: the loop over sessions and imports, keeping or leaving out one that failed, forgetting
one on purpose. Not here: how one is curated (``isocost.build.curate``), what counts as a loss
(``isocost.build.losses``), which sources there are (``isocost.intake``).
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
    """Curates every source, and yields what became of each; one that fails stops no other.

    Args:
        store: where everything lies.
        ledger: the records.
        force: build all core tables, whether they fit or not.

    Raises:
        Refused: sources hold fewer rows than are known of them and nothing accounts for that. Every
            other source is curated then.
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
    """What becomes of a source that cannot be curated now: its core tables stay as they were where
    they are sound.

    Args:
        store: the tables.
        session_id: the source.
        error: why it cannot be curated. What is in quarantine leaves the tables.
        ledger: the records.

    Returns:
        Whether its tables stayed.
    """
    if isinstance(error, Less):
        return True  # nothing is touched before somebody says where the rows went
    is_aside = isinstance(error, SetAside) or source_of(store, session_id).is_in_quarantine()
    if not is_aside and ledger.find("core", GROUP, session_id) is not None:
        try:
            for name in CORE_OF_SESSION:
                store.read_only(name, [session_id], columns=[table_of(name).keys[0]])
            _tell_kept(store, session_id, error, ledger)
            return True
        except IsocostError:
            pass
    leave_out(store, session_id, ledger, error=error)
    return False


def _tell_kept(store: Store, session_id: str, error: IsocostError, ledger: Ledger) -> None:
    """Says in core_checks that a source's tables are not of what is banked now."""
    record = ledger.recall("core", GROUP, session_id)
    earlier = store.read_only(gates.CHECKS, [session_id])
    told = gates.kept(error, session_id, earlier)
    if record is not None and not told.equals(earlier):
        ledger.amend("core", GROUP, session_id, record, {gates.CHECKS: told})


def vanished(store: Store, ledger: Ledger) -> list[Less]:
    """Sources that were curated here and of which the lake knows nothing any more, not even parts
    without a session file.
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
    """Takes a source out of every table for good; what lies in the lake stays there.

    Args:
        store: the tables.
        session_id: a source that is known or was curated.
        ledger: records that were opened already.

    Returns:
        Rows that were known of it.

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
    """Takes out what came back into the core tables of a source that is meant to be gone, such as
    by a restored folder.

    What core_checks says of a source that was left out goes with it, too, once the source is known
    no more.
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
    # One that was left out is only judged, and measured nothing that a table could lose.
    empty = {
        session_id
        for session_id in judged - curated
        if not store.path("core_samples", session_id).exists()
    }
    unknown = empty - set(known_sources(store))
    for session_id in unknown - lost_sources(store, unknown).keys() if unknown else ():
        leave_out(store, session_id, ledger)


def judged_sources(store: Store) -> set[str]:
    """Sources with rows in core_checks; one that was left out has no other and no record."""
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
