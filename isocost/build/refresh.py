"""From the bank to the publication, step by step, without an orchestrator.

Nothing that is up to date is built again.

Lives here: ``everything`` and the publishing. The Dagster assets call the steps one by one;
``isocost refresh`` calls them in order. Not here: the work on one step (``isocost.build.derive``),
the groups and how to add a table (``isocost.build.rules``), planning and importing
(``isocost.intake``), core tables (``isocost.build.curate``). Names used by other modules are also
exported here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from isocost.build.curate import (
    CARDS,
    CORE_OF_SESSION,
    Curated,
    curate_session,
    held_by_sessions,
    leave_out,
    write_cards,
)
from isocost.build.derive import Derived, NotBuilt, derive
from isocost.build.estimate import needed
from isocost.build.ledger import Ledger
from isocost.build.losses import refuse_fewer_sources
from isocost.build.rules import RULES, STEPS, Rule
from isocost.build.rules.strategies import derive_strategies
from isocost.build.slices import code_fingerprint
from isocost.build.sources import curate_all, forget, keep_or_leave_out, sources_of
from isocost.errors import IsocostError, PartialError
from isocost.hashing import sha256_hex
from isocost.intake import (
    bring_in,
    card_book,
    clashes,
    known_sources,
    lost_sources,
    plan_sweep,
    raw_rows,
)
from isocost.intake.settings import read_settings
from isocost.memory import chosen_budget
from isocost.seals import Damaged, prove_parquet
from isocost.store import WHOLE, Store

if TYPE_CHECKING:
    from isocost.publish.exports import ExportReport
    from isocost.publish.handover import Handover
    from isocost.publish.warehouse import WarehouseReport

__all__ = [
    "CARDS",
    "CORE_OF_SESSION",
    "RULES",
    "STEPS",
    "Curated",
    "Derived",
    "NotBuilt",
    "Rule",
    "bring_in",
    "card_book",
    "clashes",
    "curate_session",
    "derive",
    "derive_strategies",
    "forget",
    "keep_or_leave_out",
    "known_sources",
    "leave_out",
    "lost_sources",
    "needed",
    "plan_sweep",
    "raw_rows",
    "write_cards",
]


def everything(
    store: Store, *, force: bool = False, memory: int | None = None
) -> Iterator[Derived]:
    """Bring every derived table up to date, then publish; yield each step when it is done.

    A session or source that cannot be curated does not stop the others: its tables stay unchanged
    if they are intact, otherwise it is left out, and it is reported. A damaged part of the bank is
    quarantined and reported; a damaged derived file is rebuilt and reported. Rows that a critical
    rule rejects (``isocost.gates``) are not used in derived tables and are reported. A piece of a
    derived table that cannot be built is left out and reported. If nothing at all can be read or
    derived, the publication stays unchanged.

    Args:
        store: the data root.
        force: build every piece unconditionally.
        memory: budget in bytes; ``$ISOCOST_MEMORY`` or half of what is free if None.

    Raises:
        Refused: sources have fewer rows than are known, without explanation; nothing is published
            then.
        IsocostError: the memory is too small even for the smallest chunks, or the settings are
            invalid; nothing was changed.
        PartialError: at the end, when all else is published: what was left out, set aside or
            refused, and why.
    """
    broken_cards: list[IsocostError] = []
    card_book(store, broken_cards)
    for error in broken_cards:
        yield Derived(f"{error.where} LEFT OUT", {}, 0, 0)
    read_settings(store.root)
    memory = chosen_budget() if memory is None else memory
    needed(store).refuse_beyond(memory)
    ledger, met = Ledger(store), set()
    ledger.clear_unfinished()
    while True:
        try:
            yield from _everything(store, ledger, force, memory, broken_cards)
            return
        except Damaged as damage:
            # Found only when it was read, since nothing of the file's outside had changed. What
            # wrote it writes it again.
            if damage.path is None or damage.path in met or not ledger.distrust(damage.path):
                raise
            met.add(damage.path)
            yield _rebuilt(store, damage.path, damage.what)


def _everything(
    store: Store, ledger: Ledger, force: bool, memory: int, broken_cards: list[IsocostError]
) -> Iterator[Derived]:
    counts, rows, met = {True: 0, False: 0}, 0, _Met(cards=broken_cards)
    for session_id, done in curate_all(store, ledger, force=force):
        if isinstance(done, IsocostError):
            is_kept = keep_or_leave_out(store, session_id, done, ledger)
            met.kept += is_kept
            met.failed.append(_failure(session_id, done, is_kept))
            yield Derived(f"{session_id} {'KEPT AS IT WAS' if is_kept else 'LEFT OUT'}", {}, 0, 0)
            continue
        counts[done.is_reused] += 1
        rows += sum(done.rows.values())
        met.refused += [f"{session_id}: {sentence}" for sentence in done.refused]
        met.has_refused += bool(done.refused)
        met.unjudged += [f"{session_id}: {sentence}" for sentence in done.unjudged]
        if done.set_aside:
            met.partly.append(IsocostError(f"{session_id}: {'; '.join(done.set_aside)}"))
            yield Derived(f"{session_id} PARTLY SET ASIDE", {}, 0, 0)
        met.lost += [f"{session_id}: {run} has lost its manifest" for run in done.without_manifest]
        if not done.is_reused:
            yield Derived(session_id, done.rows, 1, 0)
    summary = (
        f"{len(met.failed)} of {sum(counts.values()) + len(met.failed)} sources could not be read"
    )
    if met.failed and not store.files("core_samples") and store.warehouse.exists():
        raise IsocostError(
            f"{summary} and no other is banked; the previous publication is unchanged",
            remedy=met.lines(),
        )
    yield Derived("core", {"core": rows}, counts[False], counts[True], "sessions")
    cards = write_cards(store, force=force, ledger=ledger)
    yield Derived("cards", cards.rows, int(not cards.is_reused), int(cards.is_reused))
    held = held_by_sessions(store, ledger)
    pieces = 0
    for step in STEPS:
        found = derive(store, step, force=force, ledger=ledger, held=held, memory=memory)
        yield found
        yield from (Derived(f"{error.piece} LEFT OUT", {}, 0, 0) for error in found.failed)
        met.derived += found.failed
        pieces += found.built + found.reused
    if met.derived and not pieces and store.warehouse.exists():
        raise IsocostError(
            "no derived table could be built; the previous publication is unchanged",
            remedy=met.lines(),
        )
    yield from _published(store, ledger, force=force, memory=memory)
    for path, what in sorted(ledger.harmed.items()):
        yield _rebuilt(store, path, what)
    ledger.harmed.clear()
    met.tell(summary)


@dataclass
class _Met:
    """What kept a refresh from being complete.

    Attributes:
        failed: why each source could not be curated.
        kept: how many of these keep their tables.
        partly: what was quarantined of each source that was curated without it.
        lost: runs that are known from their parts alone.
        cards: why each card could not be read.
        derived: why each piece of the derived tables could not be built.
        refused: what critical rules rejected, by source.
        has_refused: number of sources with rejected rows.
        unjudged: judges that did not answer, by source.
    """

    failed: list[IsocostError] = field(default_factory=list)
    kept: int = 0
    partly: list[IsocostError] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    cards: list[IsocostError] = field(default_factory=list)
    derived: list[NotBuilt] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    has_refused: int = 0
    unjudged: list[str] = field(default_factory=list)

    def lines(self) -> str:
        """All of it, one line each."""
        met = (
            *self.failed,
            *self.partly,
            *self.lost,
            *self.cards,
            *self.derived,
            *self.refused,
            *self.unjudged,
        )
        return "\n".join(f"  {each}" for each in met)

    def tell(self, summary: str) -> None:
        """Report what was left out of the publication, if anything.

        Raises:
            PartialError: with everything that was left out.
        """
        fate = "are in no table or as they were before" if self.kept else "are in no table"
        what = [f"{summary} and {fate}"] if self.failed else []
        if self.partly:
            damaged = _counted(len(self.partly), "source")
            what.append(f"{damaged} had damaged parts, which are in no table")
        if self.lost:
            what.append(
                f"{_counted(len(self.lost), 'run')} {'is' if len(self.lost) == 1 else 'are'} known"
                " only from sealed parts, without a manifest (`isocost bank verify --repair`"
                " restores it)"
            )
        if self.cards:
            what.append(
                f"{_counted(len(self.cards), 'card')} could not be read, and values that"
                " depend on them are unknown"
            )
        if self.derived:
            what.append(
                f"{_counted(len(self.derived), 'piece')} of derived tables could not be built"
                f" and {'are' if len(self.derived) > 1 else 'is'} in none"
            )
        if self.refused:
            what.append(
                f"critical rules rejected rows of {_counted(self.has_refused, 'source')}, which are"
                f" not used in derived tables"
            )
        if self.unjudged:
            what.append(
                "judges did not answer, so some answers are not graded; the next refresh asks again"
            )
        if what:
            raise PartialError(f"{'; '.join(what)}; the rest is published", remedy=self.lines())


def _counted(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def _failure(session_id: str, error: IsocostError, is_kept: bool) -> IsocostError:
    fate = "its tables stay as they were" if is_kept else "it is in no table"
    what = f"{session_id}: {error.what}, {fate}; its measurements are in the lake"
    return IsocostError(what, where=error.where, remedy=error.remedy)


def _rebuilt(store: Store, path: Path, what: str) -> Derived:
    """That a derived file had to be written again."""
    return Derived(f"{path.relative_to(store.root)} REBUILT: it {what}", {}, 0, 0)


def _published(store: Store, ledger: Ledger, *, force: bool, memory: int) -> Iterator[Derived]:
    """Publish, unless the publication is up to date and intact."""
    paths = [path for name in store.stored_tables() for path in store.files(name)]
    inputs = [[path.relative_to(store.root).as_posix(), ledger.sum_of(path)] for path in paths]
    fingerprint = sha256_hex({"inputs": inputs, "code": code_fingerprint()})
    known = None if force else ledger.find("out", "published", WHOLE)
    if known is not None and known.fingerprint == fingerprint:
        yield from (
            Derived(name, {name: rows}, 0, 1, "publication") for name, rows in known.rows.items()
        )
        return
    before = ledger.recall("out", "published", WHOLE)
    sources = {source: rows for source, rows in sources_of(ledger).items() if rows}
    refuse_fewer_sources(store, {} if before is None else before.facts.get("sources", {}), sources)
    for path in paths:
        prove_parquet(path)
    from isocost.publish.together import publish

    done = publish(store, memory=memory)
    rows = {"warehouse": done.warehouse.rows, "exports": sum(done.exports.rows.values())}
    yield from (Derived(name, {name: count}, 0, 0) for name, count in rows.items())
    if done.warehouse.failures or done.exports.failures:
        ledger.drop("out", "published", WHOLE, ())
    else:
        ledger.note(
            "out", "published", WHOLE, fingerprint, done.files, rows, facts={"sources": sources}
        )


def publish_warehouse(
    store: Store, handover: Handover | None = None, memory: int | None = None
) -> WarehouseReport:
    """Build the warehouse with the outcome of every SQL check in it."""
    from isocost.publish.warehouse import build_warehouse

    return build_warehouse(store, handover, memory=memory)


def publish_exports(
    store: Store, handover: Handover | None = None, memory: int | None = None
) -> ExportReport:
    """Write the Parquet exports."""
    from isocost.publish.exports import write_exports

    return write_exports(store, handover, memory=memory)


def publish_report(store: Store, handover: Handover | None = None) -> Path:
    """Write the report's page."""
    from isocost.publish.report import write_report

    return write_report(store, handover)
