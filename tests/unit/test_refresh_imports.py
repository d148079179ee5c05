"""Bringing in under two keys: one measurement is one source."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

import isocost
from isocost.build import refresh
from isocost.errors import IsocostError
from isocost.importers import ImportReport, sealed_imports
from isocost.store import Store

pytestmark = pytest.mark.slow

KNOWN = {"model": "m", "task": "sums", "task_version": "1", "prompt": "p", "sampling": "{}"}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "data")


def counts(path: Path, correct: int) -> Path:
    path.write_text(json.dumps({"id": "a", "c": correct, "n": 4}) + "\n", encoding="utf-8")
    return path


def bring(store: Store, key: str, path: Path, **more) -> ImportReport:
    return refresh.bring_in(store, key, format="counts", path=path, provenance={**KNOWN, **more})


def correct(store: Store, key: str) -> list[int]:
    return refresh.raw_rows(store, "raw_imports", key)["counts_correct"].to_list()


def test_the_same_content_under_a_second_key_is_reported_where_it_lies(store, tmp_path):
    bring(store, "import-one", counts(tmp_path / "a.jsonl", 1))
    copy = counts(tmp_path / "copy.jsonl", 1)
    with pytest.raises(
        IsocostError,
        match=r"copy\.jsonl as import-two: the same content .* as source import-one; .*\. Use import-one, .* with --name one$",
    ):
        bring(store, "import-two", copy)
    assert refresh.known_sources(store) == ["import-one"] and len(sealed_imports(store.lake)) == 1
    with pytest.raises(IsocostError, match="never imported here"):
        refresh.curate_session(store, "import-two")
    refresh.curate_session(store, "import-one")
    assert store.read("core_counts")["n_samples"].to_list() == [4]
    assert store.read("core_sessions")["isocost_version"].to_list() == [isocost.__version__]


def test_the_same_key_again_changes_nothing(store, tmp_path):
    bring(store, "import-one", counts(tmp_path / "a.jsonl", 1))
    assert bring(store, "import-one", counts(tmp_path / "moved.jsonl", 1)).status == "already"
    assert refresh.known_sources(store) == ["import-one"]


def test_an_import_that_died_before_its_source_was_noted_is_taken_up(store, tmp_path):
    bring(store, "import-one", counts(tmp_path / "a.jsonl", 1))
    store.session_file("import-one").with_suffix(".source").unlink()
    assert bring(store, "import-one", tmp_path / "a.jsonl").status == "already"
    assert correct(store, "import-one") == [1]


def test_other_provenance_is_another_measurement(store, tmp_path):
    path = counts(tmp_path / "a.jsonl", 1)
    bring(store, "import-one", path)
    assert bring(store, "import-two", path, model="another").status == "imported"
    assert refresh.known_sources(store) == ["import-one", "import-two"]


def test_a_correction_to_what_another_source_holds_is_reported_and_keeps_what_lay_there(
    store, tmp_path
):
    bring(store, "import-one", counts(tmp_path / "a.jsonl", 1))
    bring(store, "import-two", counts(tmp_path / "b.jsonl", 2))
    with pytest.raises(IsocostError, match="as source import-one"):
        bring(store, "import-two", counts(tmp_path / "b.jsonl", 1))
    assert correct(store, "import-two") == [2]


def test_content_that_another_source_has_left_behind_is_free(store, tmp_path):
    path = counts(tmp_path / "a.jsonl", 1)
    bring(store, "import-one", path)
    bring(store, "import-one", counts(path, 2))
    assert bring(store, "import-two", counts(tmp_path / "b.jsonl", 1)).status == "imported"
    assert correct(store, "import-one") == [2] and correct(store, "import-two") == [1]


def test_two_runs_that_say_the_same_of_themselves_are_samples_of_one_configuration(store, tmp_path):
    for key, correct_of_4, more in (
        ("import-one", 0, {}),
        ("import-other", 4, {"prompt": "q"}),
        ("import-two", 3, {}),
    ):
        bring(store, key, counts(tmp_path / f"{key}.jsonl", correct_of_4), **more)
        refresh.curate_session(store, key)
        assert refresh.clashes(store, key) == []
    held = store.read("core_counts").group_by("prompt")
    pooled = held.agg(pl.col("n_samples", "n_correct").sum(), pl.col("point_id").n_unique()).sort(
        "prompt"
    )
    assert pooled.rows() == [("p", 8, 3, 1), ("q", 4, 4, 1)]
