"""A session file that is hostile leaves out its own session, with file and key, and no other."""

from __future__ import annotations

import copy
import json
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.refresh import Layout, bank
from isocost.build.ledger import Ledger
from isocost.build.sources import curate_all, keep_or_leave_out
from isocost.errors import IsocostError
from isocost.seals import unsealed_text
from isocost.store import Store
from isocost.sweep import read_session
from isocost.sweep.models import session_from_json

LAYOUT = Layout("tasks", 1, 2, False, 3, 2)
HOSTILE = [
    "-1",
    f"1{'0' * 400}",
    f"1{'0' * 5000}",
    "1e999",
    "NaN",
    "null",
    "[]",
    '"\\ud800"',
    f'"{"x" * 100_000}"',
    f"{'[' * 5000}{']' * 5000}",
]


@pytest.fixture(scope="module")
def banked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A data root with one sound session, to be copied, and that session."""
    root = tmp_path_factory.mktemp("banked")
    (root / "problems").mkdir()
    return root / "data", bank(
        Store(root / "data"), root / "problems", LAYOUT, *LAYOUT.sessions()[0]
    )


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    root = tmp_path_factory.mktemp("session")
    session_id = bank(Store(root), root, LAYOUT, *LAYOUT.sessions()[0])
    return json.loads(unsealed_text(Store(root).session_file(session_id).read_bytes(), ""))


def places(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Keys of every value inside, outermost first."""
    items = value.items() if isinstance(value, dict) else ()
    for key, inner in enumerate(value) if isinstance(value, list) else items:
        yield (*above, key)
        yield from places(inner, (*above, key))


def with_value(written: dict[str, Any], place: tuple[Any, ...], value: str) -> str:
    changed = copy.deepcopy(written)
    inner: Any = changed
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = "@"
    return json.dumps(changed).replace('"@"', value)


@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: value[:12])
def test_every_value_is_judged_and_named(written: dict[str, Any], value: str) -> None:
    unlike = ("does not match its", "another engine configuration", "line 1 column")
    for place in places(written):
        try:
            session_from_json(with_value(written, place, value), where="lake/sessions/a.json")
        except IsocostError as error:
            text = str(error)
            assert text.startswith("lake/sessions/a.json")
            assert str(place[-1]) in text or any(each in text for each in unlike), (place, text)
        else:
            assert value == "null"  # of what may be unknown


@pytest.mark.parametrize("key", ["session_id", "points", "engine", "part_rows"])
def test_a_missing_or_unknown_key_is_named(written: dict[str, Any], key: str) -> None:
    less = {name: value for name, value in written.items() if name != key}
    for text, name in ((json.dumps(less), key), (json.dumps({**written, "extra": 1}), "extra")):
        with pytest.raises(IsocostError, match=f"a.json: {name}"):
            session_from_json(text, where="a.json")


def fifo(path: Path) -> None:
    os.mkfifo(path)


def folder(path: Path) -> None:
    path.mkdir()


def plug(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        here = Path.cwd()
        os.chdir(path.parent)  # a socket's path is short
        try:
            one.bind(path.name)
        finally:
            os.chdir(here)


def circle(path: Path) -> None:
    path.symlink_to(path.name)


def zeros(path: Path) -> None:
    path.write_bytes(b"\0" * 100_000)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("kind", [fifo, folder, plug, circle, zeros, device])
def test_what_is_no_session_file_stops_no_other_session(
    banked: tuple[Path, str], tmp_path: Path, kind: Any
) -> None:
    store, sound = Store(shutil.copytree(banked[0], tmp_path / "data")), banked[1]
    names = ["a.json", "import-a.source", "odd name.json", "-.json"]
    for name in names:
        kind(store.lake / "sessions" / name)
    ledger = Ledger(store)
    failed = {}
    for source, done in curate_all(store, ledger):
        if isinstance(done, IsocostError):
            failed[source] = str(done)
            assert not keep_or_leave_out(store, source, done, ledger)
    assert sorted(failed) == sorted(name.rpartition(".")[0] for name in names), failed
    assert store.read("core_samples")["session_id"].unique().to_list() == [sound]
    for name in names:
        with pytest.raises(IsocostError):
            read_session(store.lake / "sessions" / name)


def test_a_copy_under_another_name_is_another_sessions(
    banked: tuple[Path, str], tmp_path: Path
) -> None:
    store, sound = Store(shutil.copytree(banked[0], tmp_path / "data")), banked[1]
    copied = store.lake / "sessions" / "another.json"
    copied.write_bytes(store.session_file(sound).read_bytes())
    failed = {
        source: str(done)
        for source, done in curate_all(store, Ledger(store))
        if isinstance(done, IsocostError)
    }
    assert list(failed) == ["another"] and sound in failed["another"]
