"""From what is banked to the core tables, session by session; and the cards as tables.

Lives here: what a session's core tables are made from, and their building and writing. Not here:
how a core table is computed (``isocost.tables``), what is known and banked (``isocost.intake``),
the derived tables (``isocost.build.refresh``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import polars as pl

from isocost import gates
from isocost.bank.layout import FOLDERS, manifest_folder, part_folder
from isocost.bank.reader import prove_session, read_manifests
from isocost.bank.verify import repair_bank
from isocost.build.ledger import Ledger, Record
from isocost.build.losses import banked, refuse_less
from isocost.build.slices import checksum, code_fingerprint
from isocost.errors import IsocostError, one_source
from isocost.hashing import sha256_hex
from isocost.importers.sealing import import_manifest, prove_import, set_aside_damaged
from isocost.intake import card_book, raw_rows, source_facts
from isocost.intake.settings import read_settings
from isocost.plain_files import stored_bytes
from isocost.schema.frames import empty
from isocost.seals import Damaged, identity, unsealed_json
from isocost.store import IMPORT_PREFIX, SESSION_ID, SHARED, Store
from isocost.sweep import read_session

Frames = dict[str, pl.DataFrame]

CORE_OF_SESSION = (
    "core_calls",
    "core_checks",
    "core_counts",
    "core_energy_attribution",
    "core_energy_windows",
    "core_imported_metrics",
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
    """What became of one session, or of the cards.

    Attributes:
        rows: rows by table.
        is_reused: whether its core tables stood already and fit what is banked.
        refused: what critical rules refused, a sentence for each rule (``isocost.gates``).
        set_aside: one sentence for every damaged part or import that was moved to quarantine on the
            way.
    """

    rows: dict[str, int]
    is_reused: bool
    refused: tuple[str, ...] = ()
    set_aside: tuple[str, ...] = ()


@dataclass(frozen=True)
class Held:
    """Which tasks a session's core tables hold, and which points of each."""

    points: dict[str, frozenset[str]]

    @property
    def all_points(self) -> frozenset[str]:
        """Points of every task."""
        return frozenset().union(*self.points.values())


def curate_session(
    store: Store, session_id: str, *, force: bool = False, ledger: Ledger | None = None
) -> Curated:
    """Builds and writes the core tables of one session or imported source, unless they stand and
    fit what is banked.

    Args:
        store: where everything lies.
        session_id: the session or source.
        force: build them whatever stands there.
        ledger: records that were opened already.

    Raises:
        Less: fewer rows are banked than its core tables were made from, and nothing says why.
        IsocostError: nothing is banked under this id, what is banked is damaged, or anything else
            in it cannot be worked on.
    """
    ledger = ledger or Ledger(store)
    with one_source(session_id):
        try:
            return _curated(store, session_id, force, ledger)
        except Damaged as damage:
            notes = _set_aside(store, session_id)
            if not notes:
                raise
            try:
                return replace(_curated(store, session_id, force, ledger), set_aside=notes)
            except IsocostError as error:
                # A whole import is set aside at once: nothing of it is left to be curated.
                told = f"{damage.what}; {'; '.join(notes)}"
                raise SetAside(
                    told, where=damage.where, remedy=error.remedy or damage.remedy
                ) from error


class SetAside(IsocostError):
    """All that a source holds was damaged and is in quarantine now."""

    exit_code = 1


def _set_aside(store: Store, session_id: str) -> tuple[str, ...]:
    """Moves what is damaged of a source's bank to quarantine.

    Nothing where that cannot be done now.
    """
    try:
        if session_id.startswith(IMPORT_PREFIX):
            facts = source_facts(store, session_id)
            return tuple(set_aside_damaged(store.lake, facts["source_slug"], facts["import_id"]))
        return tuple(note for note in repair_bank(store.lake, session_id) if "set aside" in note)
    except (
        IsocostError,
        OSError,
    ):  # a run is writing to it, the lake is read-only, or the source's own file is what is damaged
        return ()


def _curated(store: Store, session_id: str, force: bool, ledger: Ledger) -> Curated:
    rest, lying = _made_from(store, session_id)
    seen = sha256_hex([rest, lying.listed])
    remembered = ledger.recall("core", GROUP, session_id)
    known = None if force or remembered is None else ledger.find("core", GROUP, session_id)
    if known is not None and known.told.get("seen") == seen:
        return _reused(known)
    refuse_less(store, session_id, remembered)
    wanted = sha256_hex([rest, lying.content()])
    if known is not None and known.fingerprint == wanted:
        # Touched or copied, and the same by name, size and manifest: proven, it needs no grading
        # again.
        _prove(store, session_id)
        ledger.retell("core", GROUP, session_id, known, {**known.told, "seen": seen})
        return _reused(known)
    frames = (
        _core_of_import(store, session_id)
        if session_id.startswith(IMPORT_PREFIX)
        else _core_of_session(store, session_id)
    )
    judged = gates.through(
        {name: frames.get(name, empty(name)) for name in CORE_OF_SESSION if name != gates.CHECKS},
        session_id,
    )
    refused = gates.refused(judged.outcomes)
    told: dict[str, Any] = {
        "points": {task: sorted(points) for task, points in _held(judged.frames).points.items()}
    }
    told |= {"refused": refused, "seen": seen, "banked": banked(store, session_id)}
    return Curated(
        ledger.write("core", GROUP, session_id, wanted, judged.frames, told=told).rows,
        False,
        tuple(refused),
    )


def _reused(known: Record) -> Curated:
    return Curated(known.rows, True, tuple(known.told.get("refused", ())))


def leave_out(
    store: Store,
    session_id: str,
    ledger: Ledger | None = None,
    *,
    error: IsocostError | None = None,
) -> None:
    """Takes a session out of the core tables.

    What is told of it in core_checks is the error, where there is one.
    """
    if not SESSION_ID.fullmatch(session_id):
        return  # a file of any name lies among the session files, and no table can be of it
    (ledger or Ledger(store)).drop("core", GROUP, session_id, CORE_OF_SESSION)
    if error is not None:
        store.write(gates.left_out(error, session_id), gates.CHECKS, session_id)


def held_by_sessions(store: Store, ledger: Ledger) -> dict[str, Held]:
    """Tasks and points of every session that has core tables, in order of its id."""
    found = {}
    for path in store.files("core_samples"):
        session_id = path.stem.removeprefix("session=")
        record = ledger.find("core", GROUP, session_id)
        if record is not None and isinstance(record.told.get("points"), dict):
            found[session_id] = Held(
                {task: frozenset(points) for task, points in record.told["points"].items()}
            )
        else:  # written by other hands, or by a run that was killed
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


@dataclass(frozen=True)
class Lying:
    """The files in the lake that a source's core tables are made from.

    Attributes:
        root: the lake.
        listed: path relative to the lake, and what changes when the file is touched.
    """

    root: Path
    listed: list[list[str | int]]

    def content(self) -> list[list[str | int]]:
        """The same by what they hold.

        Parts by name and size, for their manifests have their checksums; other files by their own.
        """
        return [
            [
                str(name),
                int(size) if str(name).endswith(".parquet") else checksum(self.root / str(name)),
            ]
            for name, size, *_ in self.listed
        ]


def _made_from(store: Store, session_id: str) -> tuple[str, Lying]:
    """Everything that a session's core tables are made from.

    All but the lake's files in one checksum, and those.
    """
    if session_id.startswith(IMPORT_PREFIX):
        facts = source_facts(store, session_id)
        told: dict[str, Any] = {"source": facts}
        folders = [f"raw/imports/source={facts['source_slug']}/import={facts['import_id']}"]
    else:
        path = store.session_file(session_id)
        if not path.exists():
            raise IsocostError(
                "was never planned here",
                where=f"session {session_id}",
                remedy="Plan its sweep: `isocost plan SWEEP.yaml`",
            )
        data = _datasets(path)
        told = {"session": checksum(path), "data": {name: _data(name) for name in sorted(data)}}
        folders = [
            manifest_folder(session_id),
            *(part_folder(table, session_id) for table in FOLDERS),
        ]
    told |= {
        "code": code_fingerprint(),
        "cards": cards_fingerprint(store),
        "denominators": _denominators(store),
    }
    return sha256_hex(told), Lying(
        store.lake, [entry for folder in folders for entry in _listed(store.lake, folder)]
    )


def _prove(store: Store, session_id: str) -> None:
    """Holds every part that a source's core tables are made from to the checksum that was sealed.

    Raises:
        Damaged: one of them is not what was sealed.
    """
    if session_id.startswith(IMPORT_PREFIX):
        facts = source_facts(store, session_id)
        prove_import(store.lake, facts["source_slug"], facts["import_id"])
    else:
        prove_session(store.lake, session_id)


def _datasets(path: Path) -> set[str]:
    """What the tasks of a session file name as their data.

    The file is held to its form when the session is curated.
    """
    try:
        return {
            planned["point"]["task"]["dataset"]
            for planned in unsealed_json(stored_bytes(path), str(path))["points"]
        }
    except (ValueError, KeyError, TypeError):
        return {
            planned.point.task.dataset for planned in read_session(path).points
        }  # says what is wrong


def _listed(lake: Path, folder: str) -> list[list[str | int]]:
    if not (lake / folder).is_dir():
        return []
    found = sorted(
        path
        for path in (lake / folder).rglob("*")
        if path.is_file() and not path.name.startswith(".")
    )
    return [[path.relative_to(lake).as_posix(), *identity(path)] for path in found]


def _data(dataset: str) -> str | None:
    """Checksum of the file that a task's problems are read from.

    None where they come from elsewhere.
    """
    path = Path(dataset).expanduser()
    try:
        status = path.stat()
        return _data_sum(path, status.st_size, status.st_mtime_ns) if path.is_file() else None
    except (OSError, ValueError):  # a name, or a text, and no file
        return None


@lru_cache(maxsize=1024)
def _data_sum(path: Path, _size: int, _changed: int) -> str:
    return checksum(path)


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


def _core_of_session(store: Store, session_id: str) -> Frames:
    from isocost import telemetry as power
    from isocost.tables.core.samples import build_core
    from isocost.tables.core.speculation import build_speculation
    from isocost.tables.energy.attribution import build_energy_attribution
    from isocost.tables.energy.runs import build_run_energy
    from isocost.tables.energy.windows import build_energy_windows, idle_stretches, source_reasons

    session, manifests = (
        read_session(store.session_file(session_id), named=session_id),
        read_manifests(store.lake, session_id),
    )
    calls, telemetry = (
        raw_rows(store, "raw_generations", session_id),
        power.possible(raw_rows(store, "raw_telemetry", session_id)),
    )
    batch = {session_id: session.engine.max_num_seqs}
    told = {"idle": idle_stretches(manifests), "reasons": source_reasons(manifests)}
    windows = build_energy_windows(calls, telemetry, max_num_seqs=batch, **told)
    core = build_core(
        calls,
        [session],
        manifests,
        book=card_book(store),
        energy=build_run_energy(windows, manifests),
        kept=verdicts_folder(store, session_id),
        **_denominators(store),
    )
    shares = build_energy_attribution(calls, telemetry, windows)
    drafted = build_speculation(raw_rows(store, "raw_steps", session_id))
    return {
        **core,
        "core_energy_windows": windows,
        "core_energy_attribution": shares,
        "core_speculation": drafted,
    }


def _core_of_import(store: Store, session_id: str) -> Frames:
    from isocost.tables.core.imports import build_imported_core

    told = source_facts(store, session_id)
    raw = raw_rows(store, "raw_imports", session_id)
    manifests = {
        told["import_id"]: import_manifest(store.lake, told["source_slug"], told["import_id"])
    }
    return build_imported_core(
        raw,
        verifier=told.get("verifier"),
        manifests=manifests,
        kept=verdicts_folder(store, session_id),
        **_denominators(store),
    )


def _denominators(store: Store) -> dict[str, str]:
    chosen = read_settings(store.root)
    return {"failed": chosen.failed, "unanswered": chosen.unanswered}


def verdicts_folder(store: Store, session_id: str) -> Path:
    """Where verdicts that took long are kept, so that a refresh that was killed goes on."""
    return store.root / "core" / "_verdicts" / session_id


def write_cards(store: Store, *, force: bool = False, ledger: Ledger | None = None) -> Curated:
    """Writes the packaged cards and those of the data root as tables, unless they stand and are the
    same.
    """
    ledger = ledger or Ledger(store)
    wanted = sha256_hex({"code": code_fingerprint(), "cards": cards_fingerprint(store)})
    known = None if force else ledger.find("core", "cards", SHARED)
    if known is not None and known.fingerprint == wanted:
        return Curated(known.rows, True)
    from isocost.tables.costs.costs import build_cards

    return Curated(
        ledger.write("core", "cards", SHARED, wanted, build_cards(card_book(store))).rows, False
    )
