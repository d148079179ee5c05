"""Turn a sweep file into session files.

Lives here: planning a sweep into a store, and the combined requests of several sweep files of one
session. Not here: parsing and expanding of sweep files (``isocost.sweep``), what can be wrong with
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
from isocost.intake.hub_models import keep_cards
from isocost.intake.preflight import preflight
from isocost.intake.settings import sweep_note
from isocost.plain_files import stored_bytes
from isocost.seals import sealed_json, unsealed_json
from isocost.store import Store
from isocost.sweep import Point, Session, plan_sessions, read_session, session_json


def plan_sweep(store: Store, path: Path) -> list[str]:
    """Validate a sweep file and write its session files.

    The request is the union of the current sweep files with this session's name, as last planned: a
    corrected typing error is gone, two files with the same name add up. A point that none of them
    requests any more stays known if it has banked samples, and gets at most one sample per problem.
    Nothing is generated here.

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
    engines = [
        engine for session in planned for engine in (session.engine, *session.partners.values())
    ]
    keep_cards(store.root, (engine.model for engine in engines))
    faults: list[IsocostError] = []
    book = card_book(store, faults)
    if faults:
        raise faults[0]
    for card in {engine.model.card for engine in engines if engine.model.card is not None}:
        book.model(card)  # rejects an unknown card now, not after the measurement
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
    """Samples per problem by sweep file and point.

    As last planned by each file that still exists.
    """
    found: dict[str, dict[str, int]] = {}
    file = _asked_file(store, session.session_id)
    if file.exists():
        try:
            asked = unsealed_json(
                stored_bytes(file), str(file), "Remove it and plan the sweep again"
            )
            found = {name: dict(points) for name, points in asked.items() if Path(name).exists()}
        except (ValueError, AttributeError, TypeError) as error:
            if isinstance(error, IsocostError):
                raise
            raise IsocostError(
                f"cannot be read: {error}",
                where=str(file),
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
    """A point that was planned earlier, with the current settings.

    Settings that are not part of a point, such as an address, may have changed.
    """
    return point.model_copy(
        update={
            "engine": session.engine,
            "model": session.engine.model,
            "partners": session.partners,
        }
    )


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
