"""A source of data is one thing: what is asked of an engine session and of an import, by its key.

Which of the two a key names is said by its own file, and by the form of the key only where there is
none.
"""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

from isocost.build.estimate import needed
from isocost.build.ledger import Record
from isocost.build.losses import Less, refuse_less
from isocost.build.proof import verify_store
from isocost.errors import IsocostError
from isocost.intake import (
    EngineSession,
    ImportedSource,
    bring_in,
    known_sources,
    lost_sources,
    remember_forgotten,
    source_key,
    source_of,
    sources,
)
from isocost.intake.imported import PREFIX
from isocost.seals import Damaged
from isocost.store import Store

KNOWN = {"model": "m", "task": "t", "task_version": "1", "prompt": "p", "sampling": "greedy"}


def counted(path: Path, correct: int = 1, rows: int = 3) -> Path:
    lines = (json.dumps({"id": f"p{i}", "c": correct, "n": 4}) for i in range(rows))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def session_file(store: Store, key: str) -> Path:
    path = store.session_file(key)
    path.parent.mkdir(parents=True, exist_ok=True)
    task = {"name": "sums", "n_problems": 5, "dataset": "inline"}
    points = [
        {"point": {"point_id": f"pt-{n}", "task": task}, "samples_per_problem": n} for n in (2, 3)
    ]
    path.write_text(json.dumps({"points": points}), encoding="utf-8")
    return path


@pytest.fixture
def imported(tmp_path: Path) -> ImportedSource:
    store = Store(tmp_path / "data")
    bring_in(
        store, "import-a", format="counts", path=counted(tmp_path / "a.jsonl"), provenance=KNOWN
    )
    source = source_of(store, "import-a")
    assert isinstance(source, ImportedSource)
    return source


def test_its_own_file_says_what_a_source_is_and_its_key_only_without_one(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert isinstance(source_of(store, "import-a"), ImportedSource)
    assert isinstance(source_of(store, "a"), EngineSession)
    # A sweep may be called "import": its sessions are none the less sessions.
    session_file(store, "import-a-model-engine-0123456789")
    source = source_of(store, "import-a-model-engine-0123456789")
    assert isinstance(source, EngineSession) and source.is_known
    with pytest.raises(IsocostError, match="that no session has"):
        bring_in(store, source.key, format="counts", path=tmp_path / "x.jsonl", provenance=KNOWN)


def test_every_kind_is_found_and_what_is_forgotten_is_not(imported: ImportedSource) -> None:
    store = imported.store
    session_file(store, "b")
    assert [(source.key, type(source)) for source in sources(store)] == [
        ("b", EngineSession),
        ("import-a", ImportedSource),
    ]
    remember_forgotten(store, "b", 0)
    assert known_sources(store) == ["import-a"]


def test_what_only_looks_like_a_source_stops_no_other(imported: ImportedSource) -> None:
    store = imported.store
    (store.lake / "sessions" / "two words.json").write_text("{}")
    odd = store.lake / "raw" / "manifests" / "session=two words"
    odd.mkdir(parents=True)
    (odd / "run.json").write_text("{}")
    assert known_sources(store) == ["import-a", "two words"]  # for somebody has to say so
    assert [source.key for source in sources(store)] == ["import-a"]
    assert lost_sources(store) == {}
    assert not source_of(store, "two words").is_known
    (fault,) = verify_store(store).faults
    assert fault.path == "lake/sessions/two words.json" and "no source can have" in fault.detail
    assert needed(store).counts


def test_what_a_source_brings_is_known_before_a_row_is_read(imported: ImportedSource) -> None:
    session_file(imported.store, "b")
    shares = list(source_of(imported.store, "b").shares())
    assert [(s.task, s.point, s.problems, s.samples, s.per_problem) for s in shares] == [
        ("sums", "pt-2", 5, 10, 2),
        ("sums", "pt-3", 5, 15, 3),
    ]
    (share,) = imported.shares()
    assert (share.task, share.samples, share.per_problem) == ("of import-a", 3, None)


def test_an_import_gives_its_own_rows_and_no_other_table(imported: ImportedSource) -> None:
    assert imported.raw("raw_imports")["import_id"].unique().to_list() == [imported.import_id]
    assert imported.raw("raw_imports").height == 3 and imported.raw("raw_generations").is_empty()
    assert imported.banked() == {"raw_imports": {f"{imported.import_id}/part-00000.parquet": 3}}
    assert source_of(imported.store, "b").raw("raw_imports").is_empty()
    listed = [name for name, *_ in imported.lying().listed]
    assert [Path(str(name)).name for name in listed] == ["manifest.json", "part-00000.parquet"]


def test_rows_that_went_without_a_word_are_refused(imported: ImportedSource) -> None:
    record = Record("", {}, {}, {"banked": imported.banked()})
    refuse_less(imported, record)
    part = next(imported.store.lake.rglob("part-*.parquet"))
    data = part.read_bytes()
    part.unlink()
    with pytest.raises(Less, match="import-a has 0 of its 3 known rows"):
        refuse_less(imported, record)
    part.write_bytes(data[:-1] + b"x")
    with pytest.raises(Damaged):
        imported.prove()
    (note,) = imported.set_aside_damaged()
    assert "set aside" in note and imported.is_in_quarantine() and imported.was_set_aside()
    refuse_less(imported, record)  # quarantine accounts for them


def test_an_import_of_other_content_under_the_name_takes_no_rows_away(
    imported: ImportedSource, tmp_path: Path
) -> None:
    record = Record("", {}, {}, {"banked": imported.banked()})
    path = counted(tmp_path / "b.jsonl", 2, rows=1)
    bring_in(imported.store, "import-a", format="counts", path=path, provenance=KNOWN)
    now = source_of(imported.store, "import-a")
    assert now.banked() != imported.banked()
    refuse_less(now, record)


def test_a_lost_file_is_named_with_the_way_back(imported: ImportedSource) -> None:
    imported.file.unlink()
    lost = lost_sources(imported.store)
    assert list(lost) == ["import-a"] and "--name a" in lost["import-a"].remedy
    with pytest.raises(IsocostError, match="was never imported here"):
        source_of(imported.store, "import-a").check()
    with pytest.raises(IsocostError, match="was never planned here"):
        source_of(imported.store, "b").inputs()


def test_no_two_names_have_one_key() -> None:
    names = ["a", "A", "a ", "a_b", "a b", "ä", ""]
    assert len({source_key(name) for name in names}) == len(names)
    assert all(source_key(name).startswith(PREFIX) for name in names)


@pytest.mark.slow
def test_only_the_intake_distinguishes_sources_by_their_key(repo: Path) -> None:
    wrong = []
    for package in ("isocost", "assets", "pipelines"):
        for path in sorted((repo / package).rglob("*.py")):
            if path.relative_to(repo).parts[:2] == ("isocost", "intake"):
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and node.value in (PREFIX, "im-"):
                    wrong.append(f"{path.relative_to(repo)}:{node.lineno}")
    assert [place for place in wrong if not place.startswith("isocost/importers/run.py")] == []
