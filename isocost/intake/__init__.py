"""What comes in: a sweep file becomes session files, another tool's results become an imported
source.

Lives here: planning a sweep, bringing in an import, which sessions and sources are known and what
raw rows each holds. Not here: what is derived from them (``isocost.build.refresh``), parsing of
sweep files (``isocost.sweep``) and of other tools' files (``isocost.importers``).
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping, Set
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import polars as pl

from isocost.bank.files import Files
from isocost.bank.layout import FOLDERS
from isocost.bank.listing import part_names
from isocost.bank.manifest import manifest_names, session_ids
from isocost.bank.reader import read_manifests, read_raw
from isocost.errors import IsocostError, MachineError
from isocost.hashing import sha256_hex, slug
from isocost.importers import ImportReport, import_path, read_import
from isocost.importers.sealing import source_names
from isocost.intake.preflight import preflight
from isocost.intake.settings import sweep_note
from isocost.plain_files import stored_bytes
from isocost.schema.frames import empty
from isocost.schema.parquet import read_table
from isocost.seals import Damaged, sealed_json, unsealed_json
from isocost.store import IMPORT_PREFIX, Store
from isocost.sweep import Point, Session, plan_sessions, read_session, session_json
from isocost.tasks import verifier_names


def plan_sweep(store: Store, path: Path) -> list[str]:
    """Validates a sweep file and writes what each of its sessions has to do.

    What is asked for is what the sweep files of this session's name say now, as they were planned
    last: a mended typing error is gone, two files of one name add up. A point that none of them
    asks for any more stays known if anything of it is banked, and gets no more samples than one a
    problem. Nothing is generated here.

    Args:
        store: where session files go.
        path: the sweep file.

    Returns:
        The ids of its sessions, in the order in which they should run.

    Raises:
        IsocostError: the sweep file is at fault; file, key and remedy are in the message, and
            nothing was written.
    """
    spec = preflight(path)
    planned = plan_sessions(spec)
    faults: list[IsocostError] = []
    book = card_book(store, faults)
    if faults:
        raise faults[0]
    for card in {
        model.card
        for model in (session.engine.model for session in planned)
        if model.card is not None
    }:
        book.model(card)  # refuses an unknown card now, not after the measurement
    for session in planned:
        asked = _asked(store, session, path)
        _write_session(store, _merged(store, session, asked))
        _write(_asked_file(store, session.session_id), sealed_json(asked, sort_keys=True))
        forgotten_file(store, session.session_id).unlink(missing_ok=True)
    place, note = sweep_note(store.root, spec, path)
    if note is None:
        place.unlink(missing_ok=True)
    else:
        _write(place, note.encode())
    return [session.session_id for session in planned]


def _asked_file(store: Store, session_id: str) -> Path:
    return store.session_file(session_id).with_suffix(".asked")


def _asked(store: Store, session: Session, path: Path) -> dict[str, dict[str, int]]:
    """Samples a problem by sweep file and point.

    What each file that is still there asked for when it was planned last.
    """
    found: dict[str, dict[str, int]] = {}
    told = _asked_file(store, session.session_id)
    if told.exists():
        try:
            asked = unsealed_json(
                stored_bytes(told), str(told), "Remove it and plan the sweep again"
            )
            found = {name: dict(points) for name, points in asked.items() if Path(name).exists()}
        except (ValueError, AttributeError, TypeError) as error:
            if isinstance(error, IsocostError):
                raise
            raise IsocostError(
                f"cannot be read: {error}",
                where=str(told),
                remedy="Remove it and plan the sweep again",
            ) from error
    found[str(path.resolve())] = {
        planned.point.point_id: planned.samples_per_problem for planned in session.points
    }
    return found


def _merged(store: Store, session: Session, asked: Mapping[str, Mapping[str, int]]) -> Session:
    path = store.session_file(session.session_id)
    before = (
        {
            planned.point.point_id: planned
            for planned in read_session(path, named=session.session_id).points
        }
        if path.exists()
        else {}
    )
    known = before | {planned.point.point_id: planned for planned in session.points}
    wanted: dict[str, int] = {}
    for samples in asked.values():
        for point_id, number in samples.items():
            wanted[point_id] = max(number, wanted.get(point_id, 0))
    banked = _banked_points(store, session.session_id) if before.keys() - wanted.keys() else set()
    points = [
        planned.model_copy(
            update={
                "samples_per_problem": wanted.get(point_id, 1),
                "point": _asked_of(session, planned.point),
            }
        )
        for point_id, planned in known.items()
        if point_id in wanted or point_id in banked
    ]
    return session.model_copy(update={"points": tuple(points)})


def _asked_of(session: Session, point: Point) -> Point:
    """A point that was planned earlier, under the settings of now.

    What is no part of a point may have changed, as an address may.
    """
    return point.model_copy(update={"engine": session.engine, "model": session.engine.model})


def _banked_points(store: Store, session_id: str) -> set[str]:
    return {
        point_id
        for manifest in read_manifests(store.lake, session_id)
        for part in manifest.parts
        for point_id in part.points
    }


def _write_session(store: Store, session: Session) -> None:
    path = store.session_file(session.session_id)
    data = session_json(session)
    if path.is_file() and path.read_bytes() == data:
        return
    _write(path, data)


def _write(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{uuid4().hex}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as handle:
            handle.write(data)
            handle.flush()
            os.fsync(handle.fileno())
        temporary.replace(path)
    except OSError as error:
        remedy = "Free space or make the folder writable, and run again"
        raise MachineError(
            f"could not be written: {error.strerror}", where=str(path), remedy=remedy
        ) from error
    finally:
        with suppress(OSError):  # what could not be written need not be removed
            temporary.unlink(missing_ok=True)


def bring_in(
    store: Store,
    session_id: str,
    *,
    format: str,
    path: Path,
    provenance: Mapping[str, Any],
    unknown: Set[str] = frozenset(),
    mapping: Path | None = None,
    verifier: str | None = None,
    condition: Mapping[str, Any] | Iterable[str] = (),
    metric: str | None = None,
) -> ImportReport:
    """Imports another tool's results as the source ``session_id``.

    Args:
        store: where the lake lies.
        session_id: the source's key; starts with ``import-``.
        format: name of an importer.
        path: file or folder.
        provenance: what the source does not hold: model, task, task_version, prompt, sampling.
        unknown: names of provenance that nobody knows.
        mapping: mapping file of the generic importer.
        verifier: verifier that judges every text; ``"none"`` where the source's own labels judge.
            None says nothing: the labels judge what is new here, and what a verifier has judged
            before is asked about.
        condition: settings that the source does not state, such as the hardware; they enter every
            record's identity.
        metric: the metric whose score is the verdict, where the source has several; its usual one
            where None.

    Raises:
        IsocostError: a wrong key, bad input, the same content is another source already, or it is
            not said whether the verifier of before still judges; nothing was imported then.
    """
    if not session_id.startswith(IMPORT_PREFIX):
        raise IsocostError(
            f"{session_id!r} cannot name an imported source",
            remedy=f"Use a key that starts with {IMPORT_PREFIX}",
        )
    before = _verifier_before(store, session_id)
    judge = _judge(session_id, verifier, before)
    source = store.session_file(session_id).with_suffix(".source")
    report = import_path(
        format,
        path,
        store.lake,
        provenance=provenance,
        unknown=unknown,
        mapping=mapping,
        name=session_id,
        condition=condition,
        metric=metric,
    )
    if report.status == "already":
        _refuse_twin(store, session_id, report, path)
    if source.exists() and judge != before:
        told = (
            f"judged by {judge or 'the labels of the source'} now, by"
            f" {before or 'the labels of the source'} before"
        )
        report = replace(report, warnings=(*report.warnings, told))
    told = {
        "import_id": report.import_id,
        "source_slug": report.source_slug,
        "format": report.format,
        "verifier": judge,
    }
    _write(source, sealed_json(told))
    forgotten_file(store, session_id).unlink(missing_ok=True)
    return report


LABELS = "none"
"""What is said for a verifier where the source's own labels judge."""


def _judge(session_id: str, verifier: str | None, before: str | None) -> str | None:
    """The verifier that judges an import; None for the source's labels."""
    if verifier is not None and verifier != LABELS and verifier not in verifier_names():
        known = ", ".join((*verifier_names(), LABELS))
        raise IsocostError(
            f"no verifier is called {verifier!r}",
            remedy=f"Use one of {known}; nothing was imported",
        )
    if verifier is None and before is not None:
        raise IsocostError(
            f"its texts were judged by {before} before, and now nobody says who judges them;"
            " nothing was changed",
            where=session_id,
            remedy=(
                f"Say --verifier {before} to keep it, or --verifier {LABELS} for the labels of the"
                " source"
            ),
        )
    return None if verifier == LABELS else verifier


def _verifier_before(store: Store, session_id: str) -> str | None:
    """The verifier that judged this source until now.

    None where its labels did, it is new here, or its note cannot be read.
    """
    try:
        return source_facts(store, session_id).get("verifier")
    except IsocostError:
        return None


def _refuse_twin(store: Store, session_id: str, report: ImportReport, path: Path) -> None:
    """Refuses content that another source holds.

    One measurement under two names would be superseded under one of them only.
    """
    held = {
        key: _import_id(store, key) for key in known_sources(store) if key.startswith(IMPORT_PREFIX)
    }
    others = [
        key
        for key, import_id in held.items()
        if import_id == report.import_id and key != session_id
    ]
    if others and held.get(session_id) != report.import_id:
        raise IsocostError(
            f"the same content with the same provenance lies here already, as source {others[0]};"
            " nothing was imported",
            where=f"{path} as {session_id}",
            remedy=(
                f"Use {others[0]}, which is in every table; under that name it can also be"
                " corrected or judged by another verifier"
            ),
        )


def source_key(name: str, *, shown: str | None = None) -> str:
    """The key of an imported source: no two names have one key, also where they differ in case,
    spaces or marks alone.

    Args:
        name: what tells the source from others.
        shown: what its key is to look like; the name itself where None.
    """
    readable = slug(name if shown is None else shown, 50)
    return IMPORT_PREFIX + (readable if readable == name else f"{readable}-{sha256_hex(name, 8)}")


class _Rooted(Protocol):
    @property
    def root(self) -> Path: ...


def card_book(store: _Rooted, faults: list[IsocostError] | None = None):
    """The packaged cards and those under ``cards/`` of the data root, which win.

    Args:
        store: has the data root.
        faults: gets what is wrong with cards that were left out; a broken card never stops the work
            on what needs it not.
    """
    from isocost.costs import load_book

    own = store.root / "cards"
    return load_book(own, faults=[] if faults is None else faults) if own.is_dir() else load_book()


def clashes(store: Store, session_id: str) -> list[str]:
    """What to tell about an imported source that holds the same samples of the same run as another
    source, with other results.

    A sample is kept once (``Store.read``): of two states of one run only the first source counts.
    Other runs of the same configuration are further samples of it and clash with none. Also told is
    a run that lies here as another configuration, too: what was said of the model, task, prompt or
    sampling differs, and both count. One sentence for each; none for a session of an engine.
    """
    return [
        *_clashes(store, session_id, "core_samples", _SAMPLE_RESULTS),
        *_clashes(store, session_id, "core_counts", _COUNT_RESULTS),
    ]


_SAMPLE_RESULTS = ("sample_id", "correct", "answer", "completion_hash", "output_tokens")
_COUNT_RESULTS = ("count_id", "n_samples", "n_correct")


def _clashes(store: Store, session_id: str, table_name: str, what: tuple[str, ...]) -> list[str]:
    """The sentences of one table, whose key and results are named."""
    own, key = store.path(table_name, session_id), what[0]
    noun = "samples" if table_name == "core_samples" else "counts"
    if not session_id.startswith(IMPORT_PREFIX) or not own.exists():
        return []
    mine, told = read_table(own, table_name, columns=what), []
    if mine.is_empty():
        return []
    for path in store.files(table_name):
        other = path.stem.removeprefix("session=")
        if path == own or not other.startswith(IMPORT_PREFIX):
            continue
        everything = read_table(path, table_name, columns=what)
        n = _same_run_elsewhere(mine, everything, key)
        if n:
            told.append(
                f"{n} {noun} of the same run lie in {other} as another configuration, and both"
                " count: what is said of their model, task, prompt or sampling differs. Import one"
                " of them again under its name with what the other says"
            )
        theirs = everything.join(mine, on=key, how="semi")
        n = theirs.height - theirs.join(mine, on=what, how="semi", nulls_equal=True).height
        if n:
            first = min(path, own).stem.removeprefix("session=")
            told.append(
                f"{n} {noun} of the same run have other results in {other}; only those of {first}"
                " count. A corrected file takes the place of the earlier one when it is imported"
                " under its name (--name)"
            )
    return told


def _same_run_elsewhere(mine: pl.DataFrame, theirs: pl.DataFrame, key: str) -> int:
    """Rows that are the same number of the same run on the same problem under another point
    (``POINT:PROBLEM:RUN#number``).
    """
    rest = pl.col(key).str.replace(r"^[^:]*:", "").alias("rest")
    others = theirs.join(mine, on=key, how="anti").select(rest)
    return others.join(
        mine.join(theirs, on=key, how="anti").select(rest), on="rest", how="semi"
    ).height


def _import_id(store: Store, session_id: str) -> str | None:
    """The import that a source says it is.

    None where its note cannot be read: to import it again is what mends that.
    """
    try:
        return str(source_facts(store, session_id)["import_id"])
    except IsocostError:
        return None


def known_sources(store: Store) -> list[str]:
    """Every session and imported source of the store that is not meant to be gone, sorted."""
    sources = [path.stem for path in (store.lake / "sessions").glob("*.source")]
    return sorted({*store.session_ids(), *sources} - forgotten_sources(store))


def forgotten_file(store: Store, session_id: str) -> Path:
    """The note that a source is meant to be in no table."""
    return store.root / "forgotten" / f"{session_id}.json"


def forgotten_sources(store: Store) -> set[str]:
    """Sources that are meant to be in no table.

    Planning or importing them again takes that back.
    """
    return {path.stem for path in (store.root / "forgotten").glob("*.json")}


def lost_sources(store: Store, curated: Collection[str] = ()) -> dict[str, IsocostError]:
    """Sessions and imported sources of which the lake holds parts or manifests, but not the file
    that makes them known; by id.

    What a known source has left behind, such as an import that a corrected file superseded, is not
    lost.

    Args:
        store: where the lake lies.
        curated: ids that have core tables; tells the name of an import whose manifest is damaged,
            too.
    """
    known, files = {*known_sources(store), *forgotten_sources(store)}, Files(store.lake)
    lost = {}
    for session_id in session_ids(files):
        if session_id in known or not (
            manifest_names(files, session_id)
            or any(part_names(files, table, session_id) for table in FOLDERS)
        ):
            continue
        remedy = "Plan its sweep again, `isocost plan SWEEP.yaml` writes the file again"
        lost[session_id] = IsocostError(
            "its session file is lost", where=str(store.session_file(session_id)), remedy=remedy
        )
    sources = source_names(store.lake)
    held = (
        {
            _slug_of(store, session_id)
            for session_id in known
            if session_id.startswith(IMPORT_PREFIX)
        }
        if sources
        else set()
    )
    for home, told in sources.items():
        name = told or next((one for one in curated if f"-{slug(one, 40)}-" in home), "")
        if name.startswith(IMPORT_PREFIX) and name not in known and home not in held:
            where = str(store.session_file(name).with_suffix(".source"))
            remedy = (
                f"Import it again under the same name, `--name {name.removeprefix(IMPORT_PREFIX)}`"
                " writes the file again"
            )
            lost[name] = IsocostError("its source file is lost", where=where, remedy=remedy)
    return dict(sorted(lost.items()))


def _slug_of(store: Store, session_id: str) -> str | None:
    try:
        return source_facts(store, session_id)["source_slug"]
    except IsocostError:
        return None


def raw_rows(store: Store, table_name: str, session_id: str) -> pl.DataFrame:
    """The rows of a raw table that one session or imported source holds."""
    if session_id.startswith(IMPORT_PREFIX):
        if table_name != "raw_imports":
            return empty(table_name)
        facts = source_facts(store, session_id)
        # Also one that another name's corrected file has superseded: this source still says that it
        # is what counts here.
        return read_import(store.lake, facts["source_slug"], facts["import_id"])
    return (
        empty(table_name)
        if table_name == "raw_imports"
        else read_raw(store.lake, table_name, session_id)
    )


def source_facts(store: Store, session_id: str) -> dict[str, Any]:
    """What an import wrote down about itself."""
    path = store.session_file(session_id).with_suffix(".source")
    if not path.exists():
        remedy = "Use `isocost import`, or materialize raw_imports"
        raise IsocostError("was never imported here", where=f"source {session_id}", remedy=remedy)
    remedy = "Import its file or folder again under the same name"
    try:
        facts = unsealed_json(stored_bytes(path), str(path), remedy)
        return {
            **facts,
            "import_id": str(facts["import_id"]),
            "source_slug": str(facts["source_slug"]),
        }
    except Damaged as error:
        raise Damaged(f"{session_id}: {error.what}", where=str(path), remedy=remedy) from None
    except OSError as error:
        what = f"{session_id}: cannot be read: {error.strerror or error}"
        raise IsocostError(what, where=str(path), remedy=remedy) from None
    except (ValueError, TypeError, KeyError) as error:
        raise Damaged(
            f"{session_id}: cannot be read ({type(error).__name__}: {error})",
            where=str(path),
            remedy=remedy,
        ) from None
