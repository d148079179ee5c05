"""The pieces of the derived tables: which are out of date, and building them.

Lives here: ``derive``, the work on one step, and the boundary around each of its pieces. Not here:
the groups and how to add a table (``isocost.build.rules``), what a piece may read
(``isocost.build.slices``), the order of the steps (``isocost.build.refresh``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

from isocost.build.curate import Held, cards_fingerprint, held_by_sessions
from isocost.build.ledger import Ledger, Record
from isocost.build.rules import RULES, STEPS, Rule, Tables
from isocost.build.slices import Rows, code_fingerprint, point_piece, task_piece
from isocost.errors import IsocostError, MachineError, one_source
from isocost.hashing import sha256_hex
from isocost.intake.settings import broken_asks, read_settings, replay_options
from isocost.memory import chosen_budget
from isocost.seals import Damaged
from isocost.store import WHOLE, Store


class NotBuilt(IsocostError):
    """A piece of the derived tables is in none of them.

    Attributes:
        piece: which one, in words.
    """

    def __init__(self, piece: str, why: IsocostError) -> None:
        """Say which piece and why."""
        where = "" if why.where == piece else why.where
        super().__init__(f"{piece}: {why.what}", where=where, remedy=why.remedy)
        self.piece, self._why = piece, why

    def __reduce__(self):
        """Keep its own arguments when it crosses a process boundary."""
        return (NotBuilt, (self.piece, self._why))


@dataclass(frozen=True)
class Derived:
    """The result of one step.

    Attributes:
        name: of the step.
        rows: rows by table, reused ones included.
        built: pieces that were computed.
        reused: pieces that were up to date.
        unit: the kind of piece, in words.
        failed: reasons of pieces that could not be built.
    """

    name: str
    rows: dict[str, int]
    built: int
    reused: int
    unit: str = "pieces"
    failed: tuple[NotBuilt, ...] = ()


def derive(
    store: Store,
    step: str,
    *,
    force: bool = False,
    ledger: Ledger | None = None,
    held: Mapping[str, Held] | None = None,
    memory: int | None = None,
) -> Derived:
    """Build the out-of-date pieces of one step, and remove obsolete ones.

    A piece that fails does not stop the others. It is removed from the tables, even if an earlier
    version is intact: that version was built from different inputs than the other pieces, which
    would not be visible. It is retried every time.

    Args:
        store: the tables.
        step: a key of ``STEPS``.
        force: build all of them.
        ledger: records that are already open.
        held: contents of each session, if already known.
        memory: budget in bytes; ``$ISOCOST_MEMORY`` or half of what is free if None.

    Raises:
        Damaged: a derived table that is an input is damaged.
        MachineError: a file cannot be written; finished pieces stay.
        IsocostError: the settings are invalid; nothing was changed.
    """
    read_settings(store.root)  # a mistake in them is about every piece
    memory = chosen_budget() if memory is None else memory
    ledger = ledger or Ledger(store)
    held = held_by_sessions(store, ledger) if held is None else held
    rows, counts = dict.fromkeys(STEPS[step], 0), {True: 0, False: 0}
    wanted: dict[str, set[str]] = {table: set() for table in STEPS[step]}
    failed: list[NotBuilt] = []
    if any(rule.uses_replay_settings for rule in RULES if rule.step == step):
        failed += [NotBuilt(f"{step} as a sweep asks", fault) for fault in broken_asks(store.root)]
    for rule in (rule for rule in RULES if rule.step == step):
        pieces = _pieces(store, rule.per, held)
        for name, slice_ in pieces.items():
            mine = replace(slice_, memory=memory)
            try:
                record, is_reused = _up_to_date(rule, name, mine, ledger, force=force)
            except IsocostError as error:
                if _stops_all(error, store):
                    raise
                ledger.drop("out", rule.name, name, rule.tables)
                failed.append(NotBuilt(_shown(rule, slice_), error))
                continue
            counts[is_reused] += 1
            for table, n in record.rows.items():
                rows[table] += n
                wanted[table].add(name)
        for gone in set(ledger.pieces("out", rule.name)) - set(pieces):
            ledger.drop("out", rule.name, gone, ())
    _remove_strays(store, wanted)
    return Derived(step, rows, counts[False], counts[True], failed=tuple(failed))


def _up_to_date(
    rule: Rule, name: str, rows: Rows, ledger: Ledger, *, force: bool
) -> tuple[Record, bool]:
    """The record of an up-to-date piece, and whether it already existed."""
    with one_source(_shown(rule, rows), then="run `isocost refresh` again after the fix"):
        fingerprint = _fingerprint(rule, name, rows, ledger)
        known = None if force else ledger.find("out", rule.name, name)
        if known is not None and known.fingerprint == fingerprint:
            return known, True
        return ledger.write("out", rule.name, name, fingerprint, _built(rule, rows)), False


def _stops_all(error: IsocostError, store: Store) -> bool:
    """Whether the failure of one piece stops the rest.

    True for a failure of the machine, and for a damaged derived table, which can be rebuilt.
    """
    damaged = error.path if isinstance(error, Damaged) else None
    return isinstance(error, MachineError) or (
        damaged is not None and not damaged.is_relative_to(store.lake)
    )


def _shown(rule: Rule, rows: Rows) -> str:
    """A piece in words."""
    if rule.per == "point":
        return f"{rule.step} of point {rows.points[0]}, task {rows.task}"
    about = {"task": f"task {rows.task}", "session": f"session {''.join(rows.sessions)}"}
    return f"{rule.step} of {about.get(rule.per, 'all tasks')}"


def _pieces(store: Store, per: str, held: Mapping[str, Held]) -> dict[str, Rows]:
    """Every piece of a kind by name, with what it may read."""
    if per == "all":
        return {WHOLE: Rows(store, per, tuple(held))}
    if per == "session":
        found = {}
        before: dict[str, list[str]] = {}  # the sessions so far that contain a point
        for session_id, mine in sorted(held.items()):
            points = mine.all_points
            earlier = sorted({other for point in points for other in before.get(point, ())})
            found[session_id] = Rows(store, per, (session_id,), shadows=tuple(earlier))
            for point in points:
                before.setdefault(point, []).append(session_id)
        return found
    holders: dict[str, dict[str, list[str]]] = {}
    for session_id, mine in held.items():
        for task, points in mine.points.items():
            for point in points:
                holders.setdefault(task, {}).setdefault(point, []).append(session_id)
    if per == "task":
        return {
            task_piece(task): Rows(
                store,
                per,
                tuple(sorted({s for known in points.values() for s in known})),
                task,
                tuple(sorted(points)),
            )
            for task, points in sorted(holders.items())
        }
    return {
        point_piece(point): Rows(store, per, tuple(sessions), task, (point,))
        for task, points in sorted(holders.items())
        for point, sessions in sorted(points.items())
    }


def _fingerprint(rule: Rule, piece: str, rows: Rows, ledger: Ledger) -> str:
    files = sorted({path for table in rule.reads for path in rows.files(table)})
    inputs = [[path.relative_to(rows.store.root).as_posix(), ledger.sum_of(path)] for path in files]
    cards = cards_fingerprint(rows.store) if rule.uses_cards else ""
    replay = asdict(replay_options(rows.root, rows.task)) if rule.uses_replay_settings else {}
    told = {"rule": rule.name, "piece": piece, "inputs": inputs, "cards": cards, "replay": replay}
    return sha256_hex({**told, "code": code_fingerprint()})


def _built(rule: Rule, rows: Rows) -> Tables:
    frames = rule.build(replace(rows, allowed=rule.reads))
    if set(frames) != set(rule.tables):
        unlike = sorted(set(frames) ^ set(rule.tables))
        raise IsocostError(
            f"returns other tables than declared: {', '.join(unlike)}",
            where=f"isocost.build.rules.{rule.build.__name__}",
            remedy="Name every table that it returns in its Rule of isocost.build.rules.RULES",
        )
    return {name: frames[name] for name in rule.tables}


def _remove_strays(store: Store, wanted: dict[str, set[str]]) -> None:
    """Remove pieces of what no longer exists, and whole tables that an earlier version wrote."""
    for table, names in wanted.items():
        for path in store.files(table):
            if path.stem not in names:
                path.unlink(missing_ok=True)
        (store.root / "out" / f"{table}.parquet").unlink(missing_ok=True)
