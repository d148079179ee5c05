"""The replay engine reads what is sealed and proven, and nothing else that lies in the lake."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from benchmarks.refresh import Layout, bank
from isocost.engines.replay import _load
from isocost.errors import IsocostError
from isocost.store import Store

LAYOUT = Layout("tasks", 1, 2, False, 3, 2)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    (tmp_path / "problems").mkdir()
    found = Store(tmp_path / "data[1]")  # a name that would be a pattern to a reader by pattern
    bank(found, tmp_path / "problems", LAYOUT, *LAYOUT.sessions()[0])
    return found


def part(store: Store) -> Path:
    (found,) = (store.lake / "raw" / "generations").rglob("part-*.parquet")
    return found


def test_every_sealed_row_is_replayed(store: Store) -> None:
    rows = _load(str(store.lake), None, None)
    assert len(rows) == 6 and len({row["sample_id"] for row in rows}) == 6
    point = rows[0]["point_id"]
    assert _load(str(store.lake), rows[0]["session_id"], point) == rows
    assert (
        _load(str(store.lake), None, "pt-another") == [] == _load(str(store.lake), "another", None)
    )


@pytest.mark.parametrize("place", [0.1, 0.5, 0.9])
def test_a_part_with_a_flipped_bit_is_refused(store: Store, place: float) -> None:
    path = part(store)
    data = bytearray(path.read_bytes())
    data[int(len(data) * place)] ^= 1
    path.write_bytes(data)
    with pytest.raises(IsocostError, match=r"damaged.*isocost bank verify") as caught:
        _load(str(store.lake), None, None)
    assert path.name in str(caught.value)


def test_what_nobody_sealed_is_not_read(store: Store) -> None:
    path = part(store)
    shutil.copy(path, path.with_name("part-foreign.parquet"))  # no part's name
    (path.parent / f".{path.name}.tmp").write_bytes(b"half")
    assert len(_load(str(store.lake), None, None)) == 6
    other = path.with_name(path.name.replace(".parquet", "").rsplit("-", 1)[0] + "-00007.parquet")
    shutil.copy(path, other)  # a part's name, but its stamp says another
    try:
        assert len(_load(str(store.lake), None, None)) == 6
    except IsocostError as error:
        assert other.name in str(error)


def test_a_missing_part_and_two_sessions_are_reported(store: Store, tmp_path: Path) -> None:
    second = bank(store, tmp_path / "problems", LAYOUT, *LAYOUT.sessions()[1])
    with pytest.raises(IsocostError, match="several sessions.*" + second):
        _load(str(store.lake), None, None)
    assert {row["session_id"] for row in _load(str(store.lake), second, None)} == {second}
    for path in (store.lake / "raw" / "generations" / f"session={second}").glob("part-*"):
        path.unlink()
    with pytest.raises(IsocostError, match="missing"):
        _load(str(store.lake), second, None)


def test_no_lake_is_reported(tmp_path: Path) -> None:
    with pytest.raises(IsocostError, match="not a lake"):
        _load(str(tmp_path / "nowhere"), None, None)
