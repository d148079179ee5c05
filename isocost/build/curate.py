"""From the bank to the core tables, session by session; and the cards as tables.

Lives here: the inputs of a session's core tables, and building and writing them. Not here:
how a core table is computed (``isocost.tables``), what is known and banked (``isocost.intake``),
the derived tables (``isocost.build.refresh``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import polars as pl

from isocost import gates
from isocost.build.ledger import Ledger, Record
from isocost.build.losses import refuse_less
from isocost.build.slices import code_fingerprint
from isocost.errors import IsocostError, one_source
from isocost.hashing import sha256_hex
from isocost.intake import EngineSession, ImportedSource, Source, card_book, source_of
from isocost.intake.settings import read_settings
from isocost.plain_files import stored_bytes
from isocost.schema.frames import empty
from isocost.seals import Damaged
from isocost.store import SESSION_ID, SHARED, Store

if TYPE_CHECKING:
    from isocost.tables.core.judged import Judges

Frames = dict[str, pl.DataFrame]

CORE_OF_SESSION = (
    "core_answers",
    "core_calls",
    "core_checks",
    "core_counts",
    "core_energy_attribution",
    "core_energy_windows",
    "core_imported_metrics",
    "core_judgements",
    "core_label_agreement",
    "core_points",
    "core_problems",
    "core_samples",
    "core_sessions",
    "core_speculation",
)
CARDS = ("core_devices", "core_models", "core_prices")
GROUP = "sessions"


@dataclass(frozen=True)
class Curated:
    """The result of curating one session, or the cards.

    Attributes:
        rows: rows by table.
        is_reused: whether its core tables existed and match the bank.
        refused: what critical rules rejected, a sentence for each rule (``isocost.gates``).
        set_aside: one sentence for every damaged part or import that was quarantined.
        without_manifest: runs that are known from their parts alone.
        unjudged: one sentence for every judge that did not answer.
    """

    rows: dict[str, int]
    is_reused: bool
    refused: tuple[str, ...] = ()
    set_aside: tuple[str, ...] = ()
    without_manifest: tuple[str, ...] = ()
    unjudged: tuple[str, ...] = ()


@dataclass(frozen=True)
class Held:
    """The tasks in a session's core tables, and the points of each."""

    points: dict[str, frozenset[str]]

    @property
    def all_points(self) -> frozenset[str]:
        """Points of every task."""
        return frozenset().union(*self.points.values())


def curate_session(
    store: Store, session_id: str, *, force: bool = False, ledger: Ledger | None = None
) -> Curated:
    """Build and write the core tables of one session or import, unless they are up to date.

    Args:
        store: the data root.
        session_id: the session or source.
        force: rebuild them unconditionally.
        ledger: records that are already open.

    Raises:
        Less: fewer rows are banked than its core tables were built from, without explanation.
        IsocostError: nothing is banked under this id, what is banked is damaged, or anything else
            in it cannot be processed.
    """
    ledger, source = ledger or Ledger(store), source_of(store, session_id)
    with one_source(session_id):
        try:
            return _curated(source, force, ledger)
        except Damaged as damage:
            notes = _set_aside(source)
            if not notes:
                raise
            try:
                return replace(_curated(source, force, ledger), set_aside=notes)
            except IsocostError as error:
                # A whole import is set aside at once: nothing of it is left to be curated.
                message = f"{damage.what}; {'; '.join(notes)}"
                raise SetAside(
                    message, where=damage.where, remedy=error.remedy or damage.remedy
                ) from error


class SetAside(IsocostError):
    """Everything in a source was damaged and is now in quarantine."""

    exit_code = 1


def _set_aside(source: Source) -> tuple[str, ...]:
    """Quarantine the damaged parts of a source's bank.

    Does nothing if that is impossible now: a run is writing to it, the lake is read-only, or the
    source's own file is damaged.
    """
    try:
        return source.set_aside_damaged()
    except (IsocostError, OSError):
        return ()


def _curated(source: Source, force: bool, ledger: Ledger) -> Curated:
    key, rest, lying = source.key, _made_from(source), source.lying()
    seen = sha256_hex([rest, lying.listed])
    remembered = ledger.recall("core", GROUP, key)
    known = None if force or remembered is None else ledger.find("core", GROUP, key)
    if known is not None and known.facts.get("unjudged"):
        known = None  # a judge that was away may be there now
    if known is not None and known.facts.get("seen") == seen:
        return _reused(known)
    refuse_less(source, remembered)
    wanted = sha256_hex([rest, lying.content()])
    if known is not None and known.fingerprint == wanted:
        # Touched or copied, and the same by name, size and manifest: proven, it needs no grading
        # again.
        source.prove()
        ledger.update_facts("core", GROUP, key, known, {**known.facts, "seen": seen})
        return _reused(known)
    frames = _core(source)
    judged = gates.through(
        {name: frames.get(name, empty(name)) for name in CORE_OF_SESSION if name != gates.CHECKS},
        key,
    )
    refused = gates.refused(judged.outcomes)
    facts: dict[str, Any] = {
        "points": {task: sorted(points) for task, points in _held(judged.frames).points.items()}
    }
    facts |= {"refused": refused, "seen": seen, "banked": source.banked()}
    facts["without_manifest"] = list(source.without_manifest())
    facts["unjudged"] = _unjudged(judged.frames)
    return Curated(
        ledger.write("core", GROUP, key, wanted, judged.frames, facts=facts).rows,
        False,
        tuple(refused),
        without_manifest=tuple(facts["without_manifest"]),
        unjudged=tuple(facts["unjudged"]),
    )


def _reused(known: Record) -> Curated:
    return Curated(
        known.rows,
        True,
        tuple(known.facts.get("refused", ())),
        without_manifest=tuple(known.facts.get("without_manifest", ())),
        unjudged=tuple(known.facts.get("unjudged", ())),
    )


def leave_out(
    store: Store,
    session_id: str,
    ledger: Ledger | None = None,
    *,
    error: IsocostError | None = None,
) -> None:
    """Remove a session from the core tables.

    core_checks then contains the error, if there is one.
    """
    if not SESSION_ID.fullmatch(session_id):
        return  # a file with any name can be among the session files
    (ledger or Ledger(store)).drop("core", GROUP, session_id, CORE_OF_SESSION)
    if error is not None:
        store.write(gates.left_out(error, session_id), gates.CHECKS, session_id)


def held_by_sessions(store: Store, ledger: Ledger) -> dict[str, Held]:
    """Tasks and points of every session that has core tables, in order of its id."""
    found = {}
    for path in store.files("core_samples"):
        session_id = path.stem.removeprefix("session=")
        record = ledger.find("core", GROUP, session_id)
        if record is not None and isinstance(record.facts.get("points"), dict):
            found[session_id] = Held(
                {task: frozenset(points) for task, points in record.facts["points"].items()}
            )
        else:  # written externally, or by a run that was killed
            found[session_id] = _held(
                {
                    name: store.read_only(name, [session_id])
                    for name in ("core_samples", "core_points")
                }
            )
    return found


def _held(frames: Frames) -> Held:
    pairs = pl.concat(
        [frames[name].select("task", "point_id") for name in ("core_samples", "core_points")]
    ).unique()
    return Held(
        {
            str(key[0]): frozenset(part["point_id"])
            for key, part in pairs.sort("task").group_by("task", maintain_order=True)
        }
    )


def _made_from(source: Source) -> str:
    """Checksum of all inputs of a source's core tables except the lake's files."""
    inputs = source.inputs() | {
        "code": code_fingerprint(),
        "cards": cards_fingerprint(source.store),
        "denominators": _denominators(source.store),
    }
    return sha256_hex(inputs)


def cards_fingerprint(store: Store) -> str:
    """Of the cards under the data root; the packaged ones belong to the code."""
    folder, digest = store.root / "cards", hashlib.sha256()
    for path in _card_files(folder):
        digest.update(
            f"{path.relative_to(folder).as_posix()}\0".encode() + stored_bytes(path) + b"\0"
        )
    return digest.hexdigest()


def _card_files(folder: Path) -> Iterator[Path]:
    return (
        iter(sorted(path for path in folder.rglob("*") if path.is_file()))
        if folder.is_dir()
        else iter(())
    )


def _unjudged(frames: Frames) -> list[str]:
    """What judges left undone, a sentence for each judge that did not answer."""
    lost = frames["core_judgements"].filter(pl.col("failure").is_not_null())
    return [
        f"judge {judge} did not answer {len(rows)} questions: {rows['failure'][0]}"
        for (judge,), rows in lost.sort("judge").group_by("judge", maintain_order=True)
    ]


def _judges(store: Store) -> Judges:
    from isocost.judges.asking import Asker
    from isocost.tables.core.judged import Judges

    return Judges(Asker(store.lake))


def _core(source: Source) -> Frames:
    """The core tables of a source, by its kind."""
    if isinstance(source, EngineSession):
        return _core_of_session(source)
    assert isinstance(source, ImportedSource), source
    return _core_of_import(source)


def _core_of_session(source: EngineSession) -> Frames:
    from isocost import telemetry as power
    from isocost.tables.core.engines import runs_of_several
    from isocost.tables.core.samples import build_core
    from isocost.tables.core.speculation import build_speculation
    from isocost.tables.energy.attribution import build_energy_attribution
    from isocost.tables.energy.runs import build_run_energy
    from isocost.tables.energy.windows import build_energy_windows, idle_stretches, source_reasons

    session, manifests = source.session(), source.manifests()
    calls = source.raw("raw_generations")
    telemetry = power.possible(source.raw("raw_telemetry"))
    judges, book = _judges(source.store), card_book(source.store)
    batch = {source.key: session.engine.max_num_seqs}
    several = runs_of_several(calls, manifests)
    windows = build_energy_windows(
        calls,
        telemetry,
        max_num_seqs=batch,
        idle=idle_stretches(manifests),
        reasons=source_reasons(manifests),
        several=several,
    )
    core = build_core(
        calls,
        [session],
        manifests,
        book=book,
        energy=build_run_energy(windows, manifests),
        answers=source.raw("raw_answers"),
        kept=verdicts_folder(source.store, source.key),
        judges=judges,
        **_denominators(source.store),
    )
    shares = build_energy_attribution(calls, telemetry, windows, several)
    drafted = build_speculation(source.raw("raw_steps"))
    return {
        **core,
        "core_judgements": judges.frame(source.key, book),
        "core_energy_windows": windows,
        "core_energy_attribution": shares,
        "core_speculation": drafted,
    }


def _core_of_import(source: ImportedSource) -> Frames:
    from isocost.tables.core.imports import build_imported_core

    judges = _judges(source.store)
    core = build_imported_core(
        source.raw("raw_imports"),
        verifier=source.verifier,
        manifests={source.import_id: source.manifest()},
        kept=verdicts_folder(source.store, source.key),
        judges=judges,
        **_denominators(source.store),
    )
    return {**core, "core_judgements": judges.frame(source.key, card_book(source.store))}


class _Denominators(TypedDict):
    """What counts into a mean; see ``isocost.tables.core.denominators``."""

    failed: str
    unanswered: str


def _denominators(store: Store) -> _Denominators:
    chosen = read_settings(store.root)
    return {"failed": chosen.failed, "unanswered": chosen.unanswered}


def verdicts_folder(store: Store, session_id: str) -> Path:
    """The cache folder of slow verdicts, so that an interrupted refresh resumes."""
    return store.root / "core" / "_verdicts" / session_id


def write_cards(store: Store, *, force: bool = False, ledger: Ledger | None = None) -> Curated:
    """Write the packaged cards and those of the data root as tables, unless unchanged."""
    ledger = ledger or Ledger(store)
    wanted = sha256_hex({"code": code_fingerprint(), "cards": cards_fingerprint(store)})
    known = None if force else ledger.find("core", "cards", SHARED)
    if known is not None and known.fingerprint == wanted:
        return Curated(known.rows, True)
    from isocost.tables.costs.costs import build_cards

    return Curated(
        ledger.write("core", "cards", SHARED, wanted, build_cards(card_book(store))).rows, False
    )
