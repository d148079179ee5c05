"""A sweep file becomes session files.

Lives here: planning a sweep into a store, and what several sweep files of one session ask for
together. Not here: parsing and expanding of sweep files (``isocost.sweep``), what can be wrong with
one (``isocost.intake.preflight``).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from isocost import atomic
from isocost.bank.reader import read_manifests
from isocost.errors import IsocostError
from isocost.intake.cards import card_book
from isocost.intake.catalog import forgotten_file
from isocost.intake.preflight import preflight
from isocost.intake.settings import sweep_note
from isocost.plain_files import stored_bytes
from isocost.seals import sealed_json, unsealed_json
from isocost.store import Store
from isocost.sweep import Point, Session, plan_sessions, read_session, session_json


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
        atomic.write_bytes(
            _asked_file(store, session.session_id), sealed_json(asked, sort_keys=True)
        )
        forgotten_file(store, session.session_id).unlink(missing_ok=True)
    place, note = sweep_note(store.root, spec, path)
    if note is None:
        place.unlink(missing_ok=True)
    else:
        atomic.write_bytes(place, note.encode())
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
    atomic.write_bytes(path, data)
