"""Manifests that were deleted, damaged or not yet written.

No sealed row is missing without a word.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest
from bank_rows import SESSION, call

from isocost.bank import manifest as manifests
from isocost.bank.files import Files
from isocost.bank.listing import load_complete
from isocost.bank.reader import raw_parts, read_manifests, read_raw, scan_raw
from isocost.bank.resume import done_elsewhere, missing_samples, planned_samples
from isocost.bank.verify import repair_bank, verify_bank
from isocost.bank.writer import open_run
from isocost.errors import IsocostError
from isocost.hashing import canonical_json

pytestmark = pytest.mark.slow
INFO = {
    "engine_seed": 7,
    "versions": {"isocost": "1"},
    "clock_start": {"unix_s": 1.5, "monotonic_s": 0.5},
}


def manifest_files(lake: Path) -> list[Path]:
    return sorted((lake / f"raw/manifests/session={SESSION}").glob("*.json"))


def fill(lake: Path, run_id: str, *parts: range, **info) -> None:
    with open_run(Files(lake), SESSION, run_id=run_id, part_rows=100, info=INFO) as (writer, _):
        writer.update(**info)
        for part in parts:
            writer.append(
                "raw_generations", [call(i, attempt=writer.manifest.attempt) for i in part]
            )
            writer.seal()
        writer.finish("finished", window={"end_s": 3.0})


@pytest.fixture
def two_runs(lake):
    fill(lake, "first", range(4), range(4, 6), engine="early")
    fill(lake, "second", range(6, 9))
    return lake


@pytest.mark.parametrize("lost", [["first"], ["second"], ["first", "second"]])
def test_rows_whose_manifest_was_deleted_are_read_named_and_listed_again(two_runs, lost):
    lake, whole = two_runs, read_manifests(two_runs)
    for run_id in lost:
        (lake / f"raw/manifests/session={SESSION}/{run_id}.json").unlink()
    assert read_raw(lake, "raw_generations")["sample_index"].to_list() == list(range(9))
    assert scan_raw(lake, "raw_generations", point_ids=["pt-a"]).collect().height == 9
    assert [p for p, _ in raw_parts(lake, "raw_generations", SESSION, point_ids=["pt-z"])] == []
    reported = read_manifests(lake)
    assert [(m.run_id, m.attempt) for m in reported] == [("first", 1), ("second", 2)]

    report = verify_bank(lake)
    named = {(f.kind, Path(f.path).stem) for f in report.faults if f.kind == "manifest"}
    assert named == {("manifest", run_id) for run_id in lost} and report.samples == 9
    assert len(manifest_files(lake)) == 2 - len(lost), "reading and verifying write nothing"

    notes = repair_bank(lake)
    assert sum("was lost; rebuilt from its parts" in note for note in notes) == len(lost)
    assert verify_bank(lake).faults == () and read_raw(lake, "raw_generations").height == 9
    for before, after in zip(whole, read_manifests(lake), strict=True):
        assert [(p.file, p.rows, p.sha256, p.points) for p in after.parts] == [
            (p.file, p.rows, p.sha256, p.points) for p in before.parts
        ]
        assert (after.run_id, after.attempt) == (before.run_id, before.attempt)
        if after.run_id in lost:
            assert after.status == "died" and "manifest was lost" in after.info["error"]
            assert {k: after.info[k] for k in INFO} == INFO
            assert after.info.get("engine") == before.info.get("engine"), (
                "what the run knew when it sealed its last part"
            )


def test_a_session_without_its_folder_of_manifests_is_still_found(two_runs):
    shutil.rmtree(two_runs / "raw/manifests")
    assert read_raw(two_runs, "raw_generations").height == 9
    assert read_raw(two_runs, "raw_generations", SESSION, point_ids=["pt-a"]).height == 9
    assert verify_bank(two_runs).samples == 9


def test_the_next_run_generates_nothing_again_and_counts_its_attempt_on(two_runs):
    shutil.rmtree(two_runs / "raw/manifests")
    with open_run(Files(two_runs), SESSION, part_rows=9) as (writer, found):
        assert missing_samples(planned_samples([("pt-a", ["p0"], 9)]), found.done).is_empty()
        assert writer.manifest.attempt == 3


def test_another_session_does_not_generate_what_lies_under_a_lost_or_damaged_manifest(two_runs):
    plan = planned_samples([("pt-a", ["p0"], 10)])

    def missing() -> list[int]:
        return missing_samples(plan, done_elsewhere(Files(two_runs), "other-0", ["pt-a"]))[
            "sample_index"
        ].to_list()

    assert missing() == [9]
    first, second = manifest_files(two_runs)
    second.unlink()
    first.write_bytes(first.read_bytes()[:-40])
    assert missing() == [9]
    part = next((two_runs / f"raw/generations/session={SESSION}").glob("part-second-*"))
    part.write_bytes(part.read_bytes()[:-9])
    assert missing() == [6, 7, 8, 9], (
        "a torn part is left to its own session and takes nothing else along"
    )


def test_a_torn_part_that_no_manifest_lists_stops_the_reader_with_the_remedy(two_runs):
    part = next((two_runs / f"raw/generations/session={SESSION}").glob("part-second-*"))
    manifest_files(two_runs)[1].unlink()
    part.write_bytes(part.read_bytes()[:-9])
    with pytest.raises(
        IsocostError, match=r"part-second-00000.*no manifest lists is damaged.*--repair"
    ):
        read_raw(two_runs, "raw_generations")
    report = verify_bank(two_runs)
    assert {(f.kind, f.is_loss) for f in report.faults} == {
        ("unreadable", True),
        ("manifest", True),
    }
    repair_bank(two_runs)
    assert verify_bank(two_runs).faults == () and read_raw(two_runs, "raw_generations").height == 6


def test_a_part_sealed_while_a_reader_looks_is_no_error_and_is_read_once(lake, monkeypatch):
    with open_run(Files(lake), SESSION, run_id="live", part_rows=9) as (writer, _):
        writer.append("raw_generations", [call(0)])
        writer.seal()
        load = manifests.load

        def and_meanwhile(files, session_id, **options):
            writer.append("raw_generations", [call(1)])
            writer.seal()
            return load(files, session_id, **options)

        monkeypatch.setattr(manifests, "load", and_meanwhile)
        assert read_raw(lake, "raw_generations")["sample_index"].to_list() == [0, 1], (
            "listed after the look at the folder"
        )
        monkeypatch.undo()
        early = (lake / writer.manifest.path).read_bytes()
        writer.append("raw_generations", [call(2)])
        writer.seal()
        (lake / writer.manifest.path).write_bytes(
            early
        )  # the moment between the rename of the part and that of the manifest
        assert read_raw(lake, "raw_generations")["sample_index"].to_list() == [0, 1, 2]
        assert verify_bank(lake).faults == ()


def test_a_part_set_aside_while_a_reader_looks_is_no_error(two_runs, monkeypatch):
    part = next((two_runs / f"raw/generations/session={SESSION}").glob("part-second-*"))
    load = manifests.load

    def and_meanwhile(files, session_id, **options):
        part.unlink()
        manifest_files(two_runs)[1].unlink()
        return load(files, session_id, **options)

    monkeypatch.setattr(manifests, "load", and_meanwhile)
    assert [len(m.parts) for m in load_complete(Files(two_runs), SESSION)] == [2]


def test_a_manifest_of_the_first_schema_is_read_and_proven(two_runs):
    path = manifest_files(two_runs)[0]
    body = json.loads(path.read_bytes())
    body = {**body, "manifest_schema": 1, "info": {**body["info"], "error": "Café"}}
    del body["sha256"]
    old = {**body, "sha256": hashlib.sha256(canonical_json(body).encode()).hexdigest()}
    path.write_text(json.dumps(old, indent=1, ensure_ascii=False))
    assert (
        read_manifests(two_runs)[0].info["error"] == "Café" and verify_bank(two_runs).faults == ()
    )
    path.write_text(json.dumps({**old, "attempt": 5}, indent=1, ensure_ascii=False))
    with pytest.raises(IsocostError, match="checksum"):
        read_manifests(two_runs)


def test_an_error_text_that_is_no_unicode_is_written_down(lake):
    with open_run(Files(lake), SESSION, part_rows=9) as (writer, _):
        writer.append("raw_generations", [call(0)])
        writer.finish("failed", error="a lone \udc80 byte")
    assert read_manifests(lake)[0].info["error"] == "a lone \udc80 byte"
