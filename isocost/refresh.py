"""From what is banked to what people read, step by step, without an orchestrator; nothing that still fits is built again.

Lives here: ``derive``, which builds the pieces of one group that no longer fit and writes them, and ``everything``. The Dagster assets
call the steps one by one; ``isocost refresh`` calls them in order. Not here: the groups and how to add a table (``isocost.parts``),
planning and importing (``isocost.intake``), core tables (``isocost.curate``), records and checksums (``isocost.pieces``). What others
call is named here, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from isocost.curate import (
    CARDS,
    CORE_OF_SESSION,
    Curated,
    Held,
    cards_fingerprint,
    curate_session,
    held_by_sessions,
    leave_out,
    write_cards,
)
from isocost.errors import IsocostError, PartialError
from isocost.estimate import needed
from isocost.hashing import sha256_hex
from isocost.intake import bring_in, card_book, clashes, known_sources, lost_sources, plan_sweep, raw_rows
from isocost.ledger import Ledger
from isocost.losses import refuse_fewer_sources
from isocost.memory import chosen_budget
from isocost.parts import (
    PARTS,
    STEPS,
    Frames,
    Part,
    derive_chains,
    derive_costs,
    derive_items,
    derive_session_costs,
    derive_strategies,
    derive_summary,
)
from isocost.pieces import Rows, code_fingerprint, point_piece, task_piece
from isocost.seals import Damaged, prove_parquet
from isocost.settings import read_settings, replay_options
from isocost.sources import curate_all, forget, keep_or_leave_out, sources_of
from isocost.store import WHOLE, Store

if TYPE_CHECKING:
    from isocost.publish.exports import ExportReport
    from isocost.publish.handover import Handover
    from isocost.publish.warehouse import WarehouseReport

__all__ = [
    "CARDS",
    "CORE_OF_SESSION",
    "PARTS",
    "STEPS",
    "Curated",
    "Part",
    "bring_in",
    "card_book",
    "clashes",
    "curate_session",
    "derive_chains",
    "derive_costs",
    "derive_items",
    "derive_session_costs",
    "derive_strategies",
    "derive_summary",
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


@dataclass(frozen=True)
class Derived:
    """What became of one step.

    Attributes:
        name: of the step.
        rows: rows by table, reused ones included.
        built: pieces that were computed.
        reused: pieces that stood already.
        unit: what a piece is, in words.
    """

    name: str
    rows: dict[str, int]
    built: int
    reused: int
    unit: str = "pieces"


def derive(
    store: Store,
    step: str,
    *,
    force: bool = False,
    ledger: Ledger | None = None,
    held: Mapping[str, Held] | None = None,
    memory: int | None = None,
) -> Derived:
    """Builds the pieces of one step that do not fit their inputs any more, and removes those that have none.

    Args:
        store: the tables.
        step: a key of ``STEPS``.
        force: build all of them.
        ledger: records that were opened already.
        held: what each session holds, where that is known already.
        memory: bytes that it may take; ``$ISOCOST_MEMORY`` or half of what is free where None.

    Raises:
        IsocostError: an input is damaged, or a file cannot be written; pieces that were finished stay.
    """
    memory = chosen_budget() if memory is None else memory
    ledger = ledger or Ledger(store)
    held = held_by_sessions(store, ledger) if held is None else held
    rows, counts = dict.fromkeys(STEPS[step], 0), {True: 0, False: 0}
    wanted: dict[str, set[str]] = {table: set() for table in STEPS[step]}
    for part in (part for part in PARTS if part.step == step):
        pieces = _pieces(store, part.per, held)
        for name, slice_ in pieces.items():
            fingerprint = _fingerprint(part, name, slice_, ledger)
            record = None if force else ledger.find("out", part.name, name)
            is_reused = record is not None and record.fingerprint == fingerprint
            if record is None or not is_reused:
                record = ledger.write("out", part.name, name, fingerprint, _built(part, replace(slice_, memory=memory)))
            counts[is_reused] += 1
            for table, n in record.rows.items():
                rows[table] += n
                wanted[table].add(name)
        for gone in set(ledger.pieces("out", part.name)) - set(pieces):
            ledger.drop("out", part.name, gone, ())
    _remove_strays(store, wanted)
    return Derived(step, rows, counts[False], counts[True])


def _pieces(store: Store, per: str, held: Mapping[str, Held]) -> dict[str, Rows]:
    """Every piece of a kind by name, with what it may read."""
    if per == "all":
        return {WHOLE: Rows(store, per, tuple(held))}
    if per == "session":
        found = {}
        for session_id, mine in held.items():
            earlier = tuple(other for other, theirs in held.items() if other < session_id and theirs.all_points & mine.all_points)
            found[session_id] = Rows(store, per, (session_id,), shadows=earlier)
        return found
    holders: dict[str, dict[str, list[str]]] = {}
    for session_id, mine in held.items():
        for task, points in mine.points.items():
            for point in points:
                holders.setdefault(task, {}).setdefault(point, []).append(session_id)
    if per == "task":
        return {
            task_piece(task): Rows(store, per, tuple(sorted({s for known in points.values() for s in known})), task, tuple(sorted(points)))
            for task, points in sorted(holders.items())
        }
    return {
        point_piece(point): Rows(store, per, tuple(sessions), task, (point,))
        for task, points in sorted(holders.items())
        for point, sessions in sorted(points.items())
    }


def _fingerprint(part: Part, piece: str, rows: Rows, ledger: Ledger) -> str:
    files = sorted({path for table in part.reads for path in rows.files(table)})
    inputs = [[path.relative_to(rows.store.root).as_posix(), ledger.sum_of(path)] for path in files]
    cards = cards_fingerprint(rows.store) if part.uses_cards else ""
    replay = asdict(replay_options(rows.root, rows.task)) if part.uses_replay_settings else {}
    told = {"part": part.name, "piece": piece, "inputs": inputs, "cards": cards, "replay": replay}
    return sha256_hex({**told, "code": code_fingerprint()})


def _built(part: Part, rows: Rows) -> Frames:
    frames = part.build(replace(rows, allowed=part.reads))
    if set(frames) != set(part.tables):
        unlike = sorted(set(frames) ^ set(part.tables))
        raise IsocostError(
            f"returns other tables than it says: {', '.join(unlike)}",
            where=f"isocost.parts.{part.build.__name__}",
            remedy="Name every table that it returns in its Part of isocost.parts.PARTS",
        )
    return {name: frames[name] for name in part.tables}


def _remove_strays(store: Store, wanted: dict[str, set[str]]) -> None:
    """Removes pieces of what is there no more, and whole tables that an earlier version wrote."""
    for table, names in wanted.items():
        for path in store.files(table):
            if path.stem not in names:
                path.unlink(missing_ok=True)
        (store.root / "out" / f"{table}.parquet").unlink(missing_ok=True)


def everything(store: Store, *, force: bool = False, memory: int | None = None) -> Iterator[Derived]:
    """Brings every derived table up to date with what is banked, then publishes; yields each step when it is done.

    A session or source that cannot be curated does not stop the others: its tables stay as they were where they are sound, else it is in
    none, and it is named. A damaged part of the bank is set aside and named; a derived file that is not what was written is built again
    and named. What a critical rule refuses (``isocost.gates``) feeds no derived table and is told. Where nothing at all can be read, what
    is published stays.

    Args:
        store: the data root.
        force: build every piece, whether it fits or not.
        memory: bytes that it may take; ``$ISOCOST_MEMORY`` or half of what is free where None.

    Raises:
        Refused: sources hold fewer rows than are known of them, and nothing accounts for that; nothing is published then.
        IsocostError: the memory is too small even for the smallest chunks, or the settings are broken; nothing was touched then.
        PartialError: at the end, when all else is published: what was left out, set aside or refused, and why.
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
            # Found only when it was read, since nothing of the file's outside had changed. What wrote it writes it again.
            if damage.path is None or damage.path in met or not ledger.distrust(damage.path):
                raise
            met.add(damage.path)
            yield _told(store, damage.path, damage.what)


def _everything(store: Store, ledger: Ledger, force: bool, memory: int, broken_cards: list[IsocostError]) -> Iterator[Derived]:
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
        if done.set_aside:
            met.partly.append(IsocostError(f"{session_id}: {'; '.join(done.set_aside)}"))
            yield Derived(f"{session_id} PARTLY SET ASIDE", {}, 0, 0)
        if not done.is_reused:
            yield Derived(session_id, done.rows, 1, 0)
    told = f"{len(met.failed)} of {sum(counts.values()) + len(met.failed)} sources could not be read"
    if met.failed and not store.files("core_samples") and store.warehouse.exists():
        raise IsocostError(f"{told} and no other is banked; what was published before stays as it was", remedy=met.lines())
    yield Derived("core", {"core": rows}, counts[False], counts[True], "sessions")
    cards = write_cards(store, force=force, ledger=ledger)
    yield Derived("cards", cards.rows, int(not cards.is_reused), int(cards.is_reused))
    held = held_by_sessions(store, ledger)
    for step in STEPS:
        yield derive(store, step, force=force, ledger=ledger, held=held, memory=memory)
    yield from _published(store, ledger, force=force, memory=memory)
    for path, what in sorted(ledger.harmed.items()):
        yield _told(store, path, what)
    ledger.harmed.clear()
    met.tell(told)


@dataclass
class _Met:
    """What kept a refresh from being whole.

    Attributes:
        failed: why each source could not be curated.
        kept: how many of these keep the tables that they had.
        partly: what was set aside of each source that was curated without it.
        cards: why each card could not be read.
        refused: what critical rules refused, by source.
        has_refused: sources of which something was refused.
    """

    failed: list[IsocostError] = field(default_factory=list)
    kept: int = 0
    partly: list[IsocostError] = field(default_factory=list)
    cards: list[IsocostError] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    has_refused: int = 0

    def lines(self) -> str:
        """All of it, a line each."""
        return "\n".join(f"  {each}" for each in (*self.failed, *self.partly, *self.cards, *self.refused))

    def tell(self, told: str) -> None:
        """Says what was left out of what is published, where something was.

        Raises:
            PartialError: with everything that was met.
        """
        fate = "are in no table or as they were before" if self.kept else "are in no table"
        what = [f"{told} and {fate}"] if self.failed else []
        if self.partly:
            what.append(f"{len(self.partly)} sources had damaged parts, which are in no table")
        if self.cards:
            what.append(f"{len(self.cards)} cards could not be read, and what hangs on them is unknown")
        if self.refused:
            what.append(f"critical rules refused rows of {self.has_refused} sources, which feed no derived table")
        if what:
            raise PartialError(f"{'; '.join(what)}; the rest is published", remedy=self.lines())


def _failure(session_id: str, error: IsocostError, is_kept: bool) -> IsocostError:
    fate = "its tables stay as they were" if is_kept else "it is in no table"
    what = f"{session_id}: {error.what}, {fate}; what it measured lies in the lake"
    return IsocostError(what, where=error.where, remedy=error.remedy)


def _told(store: Store, path: Path, what: str) -> Derived:
    """That a derived file had to be written again."""
    return Derived(f"{path.relative_to(store.root)} BUILT AGAIN, it {what}", {}, 0, 0)


def _published(store: Store, ledger: Ledger, *, force: bool, memory: int) -> Iterator[Derived]:
    """Publishes, unless what is published was made from these very files and lies there as it was written."""
    paths = [path for name in store.stored_tables() for path in store.files(name)]
    inputs = [[path.relative_to(store.root).as_posix(), ledger.sum_of(path)] for path in paths]
    fingerprint = sha256_hex({"inputs": inputs, "code": code_fingerprint()})
    known = None if force else ledger.find("out", "published", WHOLE)
    if known is not None and known.fingerprint == fingerprint:
        yield from (Derived(name, {name: rows}, 0, 1, "publication") for name, rows in known.rows.items())
        return
    before = ledger.recall("out", "published", WHOLE)
    sources = {source: rows for source, rows in sources_of(store, ledger).items() if rows}
    refuse_fewer_sources(store, {} if before is None else before.told.get("sources", {}), sources)
    for path in paths:
        prove_parquet(path)
    from isocost.publish.together import publish

    done = publish(store, memory=memory)
    rows = {"warehouse": done.warehouse.rows, "exports": sum(done.exports.rows.values())}
    yield from (Derived(name, {name: count}, 0, 0) for name, count in rows.items())
    if done.warehouse.failures or done.exports.failures:
        ledger.drop("out", "published", WHOLE, ())
    else:
        ledger.note("out", "published", WHOLE, fingerprint, done.files, rows, told={"sources": sources})


def publish_warehouse(store: Store, handover: Handover | None = None, memory: int | None = None) -> WarehouseReport:
    """Builds the warehouse with the outcome of every SQL check in it."""
    from isocost.publish.warehouse import build_warehouse

    return build_warehouse(store, handover, memory=memory)


def publish_exports(store: Store, handover: Handover | None = None, memory: int | None = None) -> ExportReport:
    """Writes the Parquet exports."""
    from isocost.publish.exports import write_exports

    return write_exports(store, handover, memory=memory)


def publish_report(store: Store, handover: Handover | None = None) -> Path:
    """Writes the report's page."""
    from isocost.publish.report import write_report

    return write_report(store, handover)
