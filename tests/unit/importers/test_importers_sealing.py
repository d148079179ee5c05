"""Sealing: all or nothing, once, superseding with both kept; provenance asked for by name."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import importer_samples as files
import pytest

from isocost.errors import IsocostError
from isocost.importers import import_path, read_imports, sealed_imports, sealing, verify_imports


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_same_file_twice_changes_nothing_also_under_another_name(tmp_path: Path) -> None:
    lake, path = tmp_path / "lake", files.counts(tmp_path)
    first = files.import_sample("counts", path, lake)
    before = tree(lake)
    again = files.import_sample("counts", path, lake)
    copy = files.import_sample("counts", Path(shutil.copy(path, tmp_path / "copy.jsonl")), lake)
    assert (first.status, again.status, copy.status) == ("imported", "already", "already")
    assert (
        first.import_id == again.import_id == copy.import_id and first.records == again.records == 2
    )
    assert tree(lake) == before


def test_a_corrected_file_supersedes_and_both_stay(tmp_path: Path) -> None:
    lake, path = tmp_path / "lake", files.counts(tmp_path)
    wrong = path.read_text()
    first = files.import_sample("counts", path, lake)
    path.write_text('{"id": "a", "c": 2, "n": 4}\n')
    second = files.import_sample("counts", path, lake)
    assert second.supersedes == first.import_id and second.source_slug == first.source_slug
    assert read_imports(lake).collect()["counts_correct"].to_list() == [2]
    assert read_imports(lake, include_superseded=True).collect().height == 3
    status = {
        item.import_id: item.superseded_by for item in sealed_imports(lake, include_superseded=True)
    }
    assert status == {first.import_id: second.import_id, second.import_id: None}
    path.write_text(wrong)
    third = files.import_sample("counts", path, lake)
    assert (
        third.status == "reactivated"
        and third.import_id == first.import_id
        and third.supersedes == second.import_id
    )
    assert read_imports(lake).collect().height == 2
    assert verify_imports(lake) == []


def test_other_provenance_is_another_import_of_the_same_source(tmp_path: Path) -> None:
    lake, path = tmp_path / "lake", files.counts(tmp_path)
    first = import_path(
        "counts", path, lake, provenance={"model": "m1"}, unknown=files.ALL_UNKNOWN - {"model"}
    )
    second = import_path(
        "counts", path, lake, provenance={"model": "m2"}, unknown=files.ALL_UNKNOWN - {"model"}
    )
    assert second.supersedes == first.import_id
    assert set(read_imports(lake).collect()["model_variant"]) == {"m2"}


def test_missing_provenance_is_asked_for_by_name(tmp_path: Path) -> None:
    path = files.counts(tmp_path)
    with pytest.raises(IsocostError) as caught:
        import_path("counts", path, tmp_path / "lake", provenance={"task": "t"}, unknown={"prompt"})
    text = str(caught.value)
    assert (
        "does not say model, task_version, sampling" in text
        and "--unknown model --unknown task_version --unknown sampling" in text
    )
    assert not list((tmp_path / "lake").rglob("*.parquet"))


@pytest.mark.parametrize(
    ("provenance", "unknown", "message"),
    [
        ({"modle": "m"}, set(), "'modle' is not a kind of provenance"),
        ({}, {"colour"}, "'colour' is not a kind of provenance"),
        ({"model": "m"}, {"model"}, "both given and unknown"),
        ({"model": ""}, set(), "is empty"),
        ({"sampling": '{"temperature": }'}, set(), "provenance sampling is not valid JSON"),
    ],
)
def test_provenance_that_is_none(tmp_path: Path, provenance, unknown, message: str) -> None:
    with pytest.raises(IsocostError, match=message):
        import_path(
            "counts",
            files.counts(tmp_path),
            tmp_path / "lake",
            provenance=provenance,
            unknown=unknown,
        )


def test_provenance_that_contradicts_the_source(tmp_path: Path) -> None:
    with pytest.raises(IsocostError, match="the source states 'm', you gave 'other'"):
        files.import_sample(
            "inspect_ai",
            files.inspect_ai(tmp_path),
            tmp_path / "lake",
            provenance={"model": "other"},
            unknown=set(),
        )
    with pytest.raises(IsocostError, match="the source states 'm', you gave 'other'"):
        import_path(
            "generic",
            files.generic(tmp_path),
            tmp_path / "lake",
            mapping=files.GENERIC_MAPPING,
            provenance={"model": "other"},
            unknown=files.ALL_UNKNOWN - {"model"},
        )


def test_sampling_may_be_a_mapping_json_text_or_words(tmp_path: Path) -> None:
    path = files.counts(tmp_path)
    seen = []
    for index, sampling in enumerate([{"b": 1, "a": 0.5}, '{"a": 0.5, "b": 1}', "greedy"]):
        lake = tmp_path / f"lake{index}"
        import_path(
            "counts",
            path,
            lake,
            provenance={"sampling": sampling},
            unknown=files.ALL_UNKNOWN - {"sampling"},
        )
        seen.append(read_imports(lake).collect()["sampling"][0])
    assert seen == ['{"a":0.5,"b":1}', '{"a":0.5,"b":1}', '{"description":"greedy"}']


def test_an_unknown_format_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(IsocostError, match="Did you mean lm_eval"):
        import_path("lmeval", tmp_path, tmp_path / "lake")


def test_a_mapping_where_none_is_taken(tmp_path: Path) -> None:
    with pytest.raises(IsocostError, match="takes no mapping"):
        import_path("counts", files.counts(tmp_path), tmp_path / "lake", mapping={"columns": {}})


def test_a_failed_import_leaves_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text('{"id":"a","c":1,"n":2}\n{"c":1}\n')
    with pytest.raises(IsocostError):
        files.import_sample("counts", path, tmp_path / "lake")
    assert tree(tmp_path / "lake") == {}


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path, monkeypatch) -> None:
    path, lake = files.counts(tmp_path), tmp_path / "lake"
    original = sealing.PartWriter.close

    def close_and_meddle(self) -> None:
        original(self)
        with path.open("a") as handle:
            handle.write('{"id":"z","c":0,"n":1}\n')

    monkeypatch.setattr(sealing.PartWriter, "close", close_and_meddle)
    with pytest.raises(IsocostError, match="changed while it was read"):
        files.import_sample("counts", path, lake)
    assert not list(lake.rglob("*.parquet"))


def test_what_a_killed_import_left_is_swept_and_a_living_one_is_not(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    dead = lake / "raw" / "importing" / "im-dead-1-aa"
    dead.mkdir(parents=True)
    (dead / "lock").touch()
    (dead / "part-00000.parquet").write_bytes(b"half")
    with sealing.staging(lake, "im-living") as living:
        files.import_sample("counts", files.counts(tmp_path), lake)
        assert living.exists() and not dead.exists()


def test_a_crash_between_seal_and_index_is_fixed_by_the_next_import(
    tmp_path: Path, monkeypatch
) -> None:
    lake, path = tmp_path / "lake", files.counts(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(sealing, "_activate", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            files.import_sample("counts", path, lake)
    assert (
        read_imports(lake).collect().is_empty()
    )  # sealed, but not counted: no half import is read
    again = files.import_sample("counts", path, lake)
    assert again.records == 2 and read_imports(lake).collect().height == 2


def test_a_changed_or_missing_part_is_named(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    files.import_sample("counts", files.counts(tmp_path), lake)
    part = next(lake.rglob("part-*.parquet"))
    part.write_bytes(part.read_bytes()[:-1])
    assert [text for text in verify_imports(lake) if "was changed" in str(text)]
    part.unlink()
    assert [text for text in verify_imports(lake) if "is missing" in str(text)]


def test_a_lake_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "lake").write_text("a file where the lake should be")
    with pytest.raises(IsocostError, match="could not be read or written"):
        files.import_sample("counts", files.counts(tmp_path), tmp_path / "lake")


def test_a_full_disk_leaves_what_was_sealed(tmp_path: Path, monkeypatch) -> None:
    lake = tmp_path / "lake"
    files.import_sample("counts", files.counts(tmp_path), lake)
    before = tree(lake)

    def full(_fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(IsocostError, match="No space left on device"):
        files.import_sample("gsm8k_solutions", files.gsm8k_solutions(tmp_path), lake)
    assert {name for name in tree(lake) if name.endswith(".parquet")} == {
        name for name in before if name.endswith(".parquet")
    }
    assert read_imports(lake).collect().height == 2


def test_many_rows_make_several_parts_in_order(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(sealing, "BATCH_ROWS", 7)
    monkeypatch.setattr(sealing, "PART_ROWS", 14)
    path = tmp_path / "c.jsonl"
    path.write_text("".join(json.dumps({"id": f"p{i}", "c": 0, "n": 1}) + "\n" for i in range(50)))
    report = files.import_sample("counts", path, tmp_path / "lake")
    item = sealed_imports(tmp_path / "lake")[0]
    assert [part["rows"] for part in item.manifest["parts"]] == [
        14,
        14,
        14,
        8,
    ] and report.records == 50
    assert read_imports(tmp_path / "lake").collect()["record_index"].to_list() == list(range(50))
