"""Torn, corrupt, lost and half-listed parts.

What recovery, resume, verify and the reader make of them.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest
from bank_rows import SESSION, call
from hypothesis import given, settings
from hypothesis import strategies as st

from isocost.bank.files import Files
from isocost.bank.reader import raw_parts, read_manifests, read_raw, scan_raw
from isocost.bank.recover import recover
from isocost.bank.resume import done_elsewhere, missing_samples, planned_samples
from isocost.bank.verify import repair_bank, verify_bank
from isocost.bank.writer import open_run
from isocost.cli import main
from isocost.errors import IsocostError
from isocost.schema.parquet import MIGRATIONS
from isocost.schema.registry import all_tables, table

pytestmark = pytest.mark.slow


def part_files(lake: Path, table: str = "generations") -> list[Path]:
    return sorted((lake / f"raw/{table}/session={SESSION}").glob("part-*.parquet"))


def missing(lake: Path, samples: int = 6) -> list[int]:
    plan = planned_samples([("pt-a", ["p0"], samples)])
    return missing_samples(plan, recover(Files(lake), SESSION).done)["sample_index"].to_list()


def kinds(lake: Path) -> list[str]:
    return [f.kind for f in verify_bank(lake).faults]


def test_a_sound_bank_has_no_fault_and_every_row_is_counted(lake, bank):
    bank(range(4), range(4, 6))
    report = verify_bank(lake)
    assert report.faults == () and report.running == ()
    assert (report.sessions, report.parts, report.rows["raw_generations"], report.samples) == (
        1,
        2,
        6,
        6,
    )
    assert missing(lake) == []


def flip(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 0x40
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("hurt", "kind"),
    [
        (lambda p: flip(p, p.stat().st_size // 2), "checksum"),
        (lambda p: p.write_bytes(p.read_bytes()[:-7]), "size"),
        (lambda p: p.write_bytes(b""), "size"),
        (lambda p: p.unlink(), "missing"),
    ],
)
def test_a_hurt_part_is_named_set_aside_with_a_reason_and_its_samples_are_missing_again(
    lake, bank, hurt, kind
):
    bank(range(4), range(4, 6))
    victim = part_files(lake)[0]
    hurt(victim)
    report = verify_bank(lake)
    assert [(f.kind, f.is_loss) for f in report.faults] == [
        (kind, True)
    ] and victim.name in report.faults[0].path
    assert missing(lake) == [0, 1, 2, 3]
    assert kinds(lake) == [] and not victim.exists()
    (entry,) = read_manifests(lake)[0].quarantined
    assert entry.file == victim.name and entry.reason.startswith(kind)
    reason = json.loads(
        (
            lake / f"raw/quarantine/session={SESSION}/generations-{victim.name}.reason.json"
        ).read_text()
    )
    assert reason["reason"] == entry.reason
    assert (lake / entry.moved_to).exists() if kind != "missing" else entry.moved_to == ""
    assert read_raw(lake, "raw_generations")["sample_index"].to_list() == [4, 5]


def test_the_reader_refuses_a_missing_or_cut_part_and_says_what_to_do(lake, bank):
    bank(range(4))
    victim = part_files(lake)[0]
    whole = victim.read_bytes()
    victim.write_bytes(whole[:-1])
    with pytest.raises(IsocostError, match="--repair"):
        read_raw(lake, "raw_generations")
    victim.unlink()
    with pytest.raises(IsocostError, match="missing"):
        read_raw(lake, "raw_generations")


def test_a_whole_part_that_a_crash_left_unlisted_is_listed(lake, bank):
    run = bank(range(4))
    path = lake / f"raw/manifests/session={SESSION}/{run}.json"
    before = path.read_bytes()
    with open_run(Files(lake), SESSION, run_id="crashed", part_rows=9) as (writer, _):
        writer.start()
        manifest = lake / writer.manifest.path
        early = manifest.read_bytes()
        writer.append("raw_generations", [call(4, attempt=2), call(5, attempt=2)])
        writer.seal()
        manifest.write_bytes(
            early
        )  # as if killed between the rename of the part and that of the manifest
    assert kinds(lake) == ["unlisted"] and verify_bank(lake).samples == 6
    assert read_raw(lake, "raw_generations").height == 6, (
        "sealed rows would be missing without a word"
    )
    assert scan_raw(lake, "raw_generations").select(pl.len()).collect().item() == 6
    assert manifest.read_bytes() == early, "reading writes nothing"
    assert missing(lake) == []
    assert read_raw(lake, "raw_generations")["sample_index"].to_list() == [0, 1, 2, 3, 4, 5]
    crashed = read_manifests(lake)[1]
    assert crashed.status == "died" and [p.is_adopted for p in crashed.parts] == [True]
    assert path.read_bytes() == before and kinds(lake) == []


def test_an_unlisted_part_that_is_torn_is_set_aside(lake, bank):
    bank(range(4))
    source = part_files(lake)[0]
    stray = source.with_name(source.name.replace("00000", "00007"))
    stray.write_bytes(source.read_bytes())  # whole, but its stamp says part 0: somebody copied it
    torn = source.with_name(source.name.replace("00000", "00008"))
    torn.write_bytes(source.read_bytes()[:500])
    assert missing(lake, 4) == []
    reasons = {q.file: q.reason.split(":")[0] for q in read_manifests(lake)[0].quarantined}
    assert (
        reasons == {stray.name: "stamp", torn.name: "unreadable"}
        and not stray.exists()
        and not torn.exists()
    )
    assert kinds(lake) == []


def test_a_damaged_manifest_is_set_aside_and_rebuilt_from_its_parts(lake, bank):
    run = bank(range(4), range(4, 6))
    path = lake / f"raw/manifests/session={SESSION}/{run}.json"
    path.write_text(path.read_text().replace('"attempt": 1', '"attempt": 3'))
    assert "manifest" in kinds(lake)
    with pytest.raises(IsocostError, match="checksum"):
        read_raw(lake, "raw_generations")
    assert repair_bank(lake)
    assert kinds(lake) == [] and missing(lake) == []
    assert read_raw(lake, "raw_generations").height == 6


def test_temporary_files_of_dead_runs_are_no_loss_and_are_removed(lake, bank):
    bank(range(6))
    leftover = part_files(lake)[0].with_name(".part-x-00001.parquet.abc.tmp")
    leftover.write_bytes(b"half")
    assert [(f.kind, f.is_loss) for f in verify_bank(lake).faults] == [("leftover", False)]
    assert missing(lake) == [] and not leftover.exists()


def test_errors_and_warm_up_do_not_count_as_done_and_duplicates_are_faults(lake):
    with open_run(Files(lake), SESSION, part_rows=9) as (writer, _):
        rows = [
            call(0),
            call(1, finish_reason="error", error="boom"),
            call(2, is_warmup=True, sample_index=None, sample_id="w", call_id="w:0"),
        ]
        writer.append("raw_generations", rows)
        writer.finish("finished")
    assert missing(lake, 3) == [1, 2] and verify_bank(lake).samples == 1
    with open_run(Files(lake), SESSION, part_rows=9) as (writer, _):
        writer.append("raw_generations", [call(0, attempt=2), call(1, attempt=2)])
        writer.finish("finished")
    (fault,) = verify_bank(lake).faults
    assert fault.kind == "duplicate" and "pt-a:p0:0:0" in fault.detail


def test_only_files_of_the_point_asked_for_are_opened(lake, bank, monkeypatch):
    bank(range(3), point="pt-a")
    bank(range(3), point="pt-b")
    opened = []
    read = Files.read
    monkeypatch.setattr(
        Files, "read", lambda self, path: (opened.append(path), read(self, path))[1]
    )
    frame = read_raw(lake, "raw_generations", point_ids=["pt-b"], columns=["sample_id"])
    assert frame["sample_id"].to_list() == [f"pt-b:p0:{i}" for i in range(3)] and frame.columns == [
        "sample_id"
    ]
    assert [p for p in opened if p.endswith(".parquet")] == [
        raw_parts(lake, "raw_generations", point_ids=["pt-b"])[0][0]
    ]
    assert (
        scan_raw(lake, "raw_generations", point_ids=["pt-a"]).select(pl.len()).collect().item() == 3
    )


def test_a_point_shared_with_another_session_is_not_generated_twice(lake, bank):
    bank(range(4), session="other-1111111111")
    rows = done_elsewhere(Files(lake), SESSION, ["pt-a"])
    assert missing_samples(planned_samples([("pt-a", ["p0"], 6)]), rows)[
        "sample_index"
    ].to_list() == [4, 5]
    assert done_elsewhere(Files(lake), SESSION, ["pt-z"]).height == 0


def test_the_plan_is_in_order_of_points_problems_and_samples():
    plan = planned_samples([("pt-b", ["q", "p"], 2), ("pt-a", ["p"], 1)])
    assert plan.rows() == [
        ("pt-b", "q", 0),
        ("pt-b", "q", 1),
        ("pt-b", "p", 0),
        ("pt-b", "p", 1),
        ("pt-a", "p", 0),
    ]


def test_a_lake_behind_a_url_is_written_read_and_proven():
    url = f"memory://lake-{os.getpid()}-{time.monotonic_ns()}"
    with open_run(Files(url), SESSION, part_rows=9) as (writer, _):
        writer.append("raw_generations", [call(i) for i in range(5)])
        writer.finish("finished")
    assert read_raw(url, "raw_generations")["sample_index"].to_list() == [0, 1, 2, 3, 4]
    assert verify_bank(url).faults == () and verify_bank(url).samples == 5


def test_the_command_line_names_faults_repairs_and_answers_with_its_exit_code(lake, bank, capsys):
    bank(range(4), range(4, 6))
    assert main(["bank", "verify", str(lake)]) == 0 and "no faults" in capsys.readouterr().out
    flip(part_files(lake)[1], 600)
    assert main(["bank", "verify", str(lake)]) == 1
    out = capsys.readouterr().out
    assert part_files(lake)[1].name in out and "1 faults, 1 of them a loss" in out
    assert (
        main(["bank", "verify", str(lake), "--repair"]) == 0
        and "its samples are missing again" in capsys.readouterr().out
    )
    assert (
        main(["bank", "verify", str(lake), "--session", "nope"]) == 2
        and SESSION in capsys.readouterr().err
    )
    assert (
        main(["bank", "verify", str(lake / "elsewhere")]) == 2
        and "is not a bank" in capsys.readouterr().err
    )


def test_verify_says_when_a_live_run_writes_and_its_unlisted_parts_are_no_faults(lake):
    with open_run(Files(lake), SESSION, part_rows=9) as (writer, _):
        writer.start()
        early = (lake / writer.manifest.path).read_bytes()
        writer.append("raw_generations", [call(0)])
        writer.seal()
        (lake / writer.manifest.path).write_bytes(early)
        report = verify_bank(lake)
        assert report.running == (SESSION,) and report.faults == ()
        with pytest.raises(IsocostError, match="being generated"):
            repair_bank(lake)


WRITER = """
import sys, itertools
sys.path.insert(0, sys.argv[2])
from bank_rows import SESSION, call
from isocost.bank.files import Files
from isocost.bank.resume import missing_samples, planned_samples
from isocost.bank.writer import open_run
with open_run(Files(sys.argv[1]), SESSION, part_rows=2) as (writer, found):
    todo = missing_samples(planned_samples([("pt-a", ["p0"], 4000)]), found.done)["sample_index"].to_list()
    print("ready", len(todo), flush=True)
    for i in todo:
        writer.append("raw_generations", [call(i, attempt=writer.manifest.attempt)])
        if writer.pending() == 2:
            writer.seal()
"""


def test_kill_nine_in_the_middle_of_sealing_loses_nothing_sealed_and_doubles_nothing(lake):
    counts = []
    for parts in (2, 6):
        child = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(lake), str(Path(__file__).parent)],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdout is not None
        counts.append(int(child.stdout.readline().split()[1]))
        give_up = time.monotonic() + 20
        while len(part_files(lake)) < parts and time.monotonic() < give_up:
            time.sleep(0.001)
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
    done = recover(Files(lake), SESSION).done
    report = verify_bank(lake)
    assert report.faults == () and report.samples == done.height == done.n_unique() > 0
    assert counts[0] == 4000 > counts[1] > 4000 - done.height


@settings(max_examples=15, deadline=None)
@given(which=st.integers(0, 1), place=st.integers(0, 9_999))
def test_no_single_byte_can_change_unseen(tmp_path_factory, which, place):
    lake = tmp_path_factory.mktemp("lake")
    with open_run(Files(lake), SESSION, run_id="run", part_rows=9) as (writer, _):
        writer.append("raw_generations", [call(i) for i in range(4)])
        writer.finish("finished")
    victim = sorted(p for p in lake.rglob("*") if p.suffix in {".parquet", ".json"})[which]
    flip(victim, victim.stat().st_size * place // 10_000)
    assert verify_bank(lake).faults
    recover(Files(lake), SESSION)
    assert verify_bank(lake).faults == ()
    assert read_raw(lake, "raw_generations").height in {0, 4}


def test_another_schema_version_is_migrated_or_refused_and_never_set_aside(lake, bank, monkeypatch):
    bank(range(4))
    newer = dataclasses.replace(table("raw_generations"), schema_version=2)
    monkeypatch.setitem(all_tables(), "raw_generations", newer)
    with pytest.raises(IsocostError, match="another meaning"):
        read_raw(lake, "raw_generations")
    with pytest.raises(IsocostError, match="another meaning"):
        recover(Files(lake), SESSION)
    assert kinds(lake) == ["unjudged"] and part_files(lake)
    monkeypatch.setitem(
        MIGRATIONS, ("raw_generations", 1), lambda f: f.with_columns(pl.col("logprob_sum") * 2)
    )
    assert (
        read_raw(lake, "raw_generations", columns=["logprob_sum"])["logprob_sum"].to_list()
        == [-1.0] * 4
    )
    with pytest.raises(IsocostError, match="read_raw"):
        scan_raw(lake, "raw_generations")
    bank(range(4, 6))
    monkeypatch.undo()
    with pytest.raises(IsocostError, match="Upgrade isocost"):
        read_raw(lake, "raw_generations")


def test_a_part_that_storage_refuses_to_read_is_not_set_aside(lake, bank, monkeypatch):
    bank(range(4))
    read = Files.read

    def refuse(self, path):
        if path.endswith(".parquet"):
            raise IsocostError("could not be read: Input/output error")
        return read(self, path)

    monkeypatch.setattr(Files, "read", refuse)
    with pytest.raises(IsocostError, match="Input/output"):
        recover(Files(lake), SESSION)
    assert kinds(lake) == ["unjudged"]
    monkeypatch.undo()
    assert kinds(lake) == [] and part_files(lake)


def test_a_parquet_file_that_is_no_part_is_named_and_left_alone(lake, bank):
    bank(range(4))
    stray = lake / "raw" / "generations" / f"session={SESSION}" / "copy.parquet"
    stray.write_bytes(part_files(lake)[0].read_bytes())
    assert kinds(lake) == ["stray"]
    repair_bank(lake)
    assert stray.exists()
