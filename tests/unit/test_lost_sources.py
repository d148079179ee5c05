"""A lost session or source file.

What was measured stays, is named, and comes back; nothing empty is published over something.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import polars as pl
import pytest

from benchmarks.refresh import Layout
from benchmarks.refresh import bank as bank_session
from isocost import gates
from isocost.build import refresh
from isocost.cli import main
from isocost.store import Store

pytestmark = pytest.mark.slow
KNOWN = [
    "--model",
    "m",
    "--task",
    "t",
    "--task-version",
    "1",
    "--prompt",
    "p",
    "--sampling",
    "default",
]


def bring(store: Store, name: str, correct: int) -> int:
    path = store.root.parent / f"{name}.jsonl"
    path.write_text(json.dumps({"id": name, "c": correct, "n": 4}) + "\n", encoding="utf-8")
    return main(["--data", str(store.root), "import", "counts", str(path), *KNOWN, "--name", name])


def refreshed(store: Store) -> int:
    return main(["--data", str(store.root), "refresh"])


def exported(store: Store) -> dict[str, bytes]:
    """Every published table but the one that says which tables are of before."""
    tables = store.exports.glob("*.parquet")
    return {path.stem: path.read_bytes() for path in tables if path.stem != "core_checks"}


def note(store: Store, session_id: str) -> Path:
    return store.session_file(session_id).with_suffix(".source")


def test_a_lost_file_is_named_and_takes_nothing_away(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    store, problems = Store(tmp_path / "data"), tmp_path / "problems"
    problems.mkdir()
    layout = Layout("tasks", 1, 2, False, 3, 2)
    session_id = bank_session(store, problems, layout, *layout.sessions()[0])
    assert bring(store, "one", 1) == 0
    assert refreshed(store) == 0
    before = store.read("core_samples").height
    published = exported(store)
    away = tmp_path / "away"
    shutil.move(store.session_file(session_id), away)
    note(store, "import-one").unlink()
    capsys.readouterr()

    assert refreshed(store) == 3
    errors = capsys.readouterr().err
    assert (
        "2 of 2 sources could not be read" in errors
        and session_id in errors
        and "isocost plan" in errors
        and "--name one`" in errors
    )
    assert store.read("core_samples").height == before and exported(store) == published
    kept = store.read("core_checks").filter(pl.col("rule") == gates.KEPT)
    assert set(kept["source_key"]) == {session_id, "import-one"} and not kept["is_passed"].any()

    shutil.move(away, store.session_file(session_id))
    assert bring(store, "one", 1) == 0
    assert refreshed(store) == 0 and refresh.lost_sources(store) == {}
    store.session_file(session_id).unlink()
    for folder in (store.lake / "raw").glob(f"*/session={session_id}"):
        shutil.rmtree(folder)
    published = store.warehouse.read_bytes()
    assert refreshed(store) == 1 and f"{session_id}: 0 of 6 rows" in capsys.readouterr().err
    assert store.warehouse.read_bytes() == published and session_id in set(
        store.read("core_samples")["session_id"]
    )
    assert main(["--data", str(store.root), "forget", session_id]) == 0
    assert refreshed(store) == 0 and session_id not in set(store.read("core_samples")["session_id"])


def test_where_nothing_can_be_read_what_is_published_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    store = Store(tmp_path / "data")
    assert bring(store, "one", 1) == 0 and refreshed(store) == 0
    published = store.warehouse.read_bytes()
    note(store, "import-one").unlink()
    refresh.leave_out(store, "import-one")
    assert refreshed(store) == 2
    assert "the previous publication is unchanged" in capsys.readouterr().err
    assert store.warehouse.read_bytes() == published


def test_what_a_known_source_left_behind_is_not_lost(tmp_path: Path) -> None:
    store = Store(tmp_path / "data")
    assert bring(store, "one", 1) == 0 and bring(store, "one", 2) == 0
    assert refresh.lost_sources(store) == {}
    (store.lake / "raw" / "generations" / "session=empty").mkdir(parents=True)
    assert refresh.lost_sources(store) == {}
    note(store, "import-one").unlink()
    assert list(refresh.lost_sources(store)) == ["import-one"]
    for manifest in store.lake.rglob("import=*/manifest.json"):
        manifest.write_bytes(b"{")
    assert list(refresh.lost_sources(store, ["import-one"])) == ["import-one"]
