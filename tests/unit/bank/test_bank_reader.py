"""What the reader refuses, with what words, and what it must never let through."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import polars as pl
import pytest
from bank_rows import SESSION, call

from isocost.bank.files import Files
from isocost.bank.reader import read_manifests, read_raw, scan_raw
from isocost.bank.recover import recover
from isocost.bank.verify import repair_bank, verify_bank
from isocost.bank.writer import open_run
from isocost.errors import IsocostError

pytestmark = pytest.mark.slow


def fill(lake: Path, session: str = SESSION, **changes) -> None:
    with open_run(Files(lake), session, part_rows=9) as (writer, _):
        writer.append("raw_generations", [call(i, **changes) for i in range(4)])
        writer.finish("finished")


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"table": "raw_imports"}, "read_imports"),
        ({"columns": ["sample_id", "nope"]}, "no column 'nope'"),
        ({"point_ids": "pt-a"}, "list of point ids"),
        ({"table": "raw_steps", "point_ids": ["pt-a"]}, "belong to no point"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused_instead_of_answered_with_no_rows(
    lake, how, message
):
    fill(lake)
    with pytest.raises(IsocostError, match=message):
        read_raw(lake, **{"table": "raw_generations", **how})


def test_a_lake_that_is_not_there_is_refused(tmp_path):
    (tmp_path / "file").write_text("no folder")
    for name in ("typo", "file"):
        for read in (read_raw, scan_raw):
            with pytest.raises(IsocostError, match="is not a lake"):
                read(tmp_path / name, "raw_generations")


@pytest.mark.parametrize("name", ["runs[1]*", "a b%20c?", "{é}", "x=1"])
def test_a_folder_may_be_called_anything(tmp_path, name):
    fill(tmp_path / name)
    assert read_raw(tmp_path / name, "raw_generations").height == 4
    assert scan_raw(tmp_path / name, "raw_generations").select(pl.len()).collect().item() == 4
    assert verify_bank(tmp_path / name).samples == 4


def test_no_flipped_bit_of_a_part_is_read(lake):
    fill(lake)
    (part,) = (lake / "raw").rglob("part-*.parquet")
    data = part.read_bytes()
    for place in range(0, len(data), len(data) // 60):
        part.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        with pytest.raises(IsocostError, match="--repair"):
            read_raw(lake, "raw_generations", columns=["sample_id"])


@pytest.mark.parametrize("copied", ["from another session", "within the session"])
def test_a_manifest_that_was_copied_is_named_and_counts_nothing_twice(lake, copied):
    fill(lake)
    fill(lake, "other-1111111111", point="pt-b")
    source = next((lake / "raw/manifests" / f"session={SESSION}").glob("*.json"))
    target = (
        lake / "raw/manifests/session=other-1111111111" / source.name
        if copied != "within the session"
        else source.with_name("b.json")
    )
    shutil.copy(source, target)
    with pytest.raises(IsocostError, match="copied or renamed"):
        read_raw(lake, "raw_generations")
    assert [(f.kind, Path(f.path).name) for f in verify_bank(lake).faults] == [
        ("manifest", target.name)
    ]
    repair_bank(lake)
    assert verify_bank(lake).faults == () and read_raw(lake, "raw_generations").height == 8


def test_a_session_whose_folders_were_renamed_is_refused_and_set_aside_whole(lake):
    fill(lake)
    for folder in list((lake / "raw").glob("*/session=*")):
        folder.rename(folder.with_name("session=renamed-0"))
    with pytest.raises(IsocostError, match="copied or renamed"):
        read_raw(lake, "raw_generations")
    repair_bank(lake)
    assert (
        verify_bank(lake).faults == ()
        and len(list((lake / "raw/quarantine").rglob("*part-*.parquet"))) == 1
    )


def test_a_manifest_that_storage_refuses_to_read_is_not_set_aside(lake, monkeypatch):
    fill(lake)
    read = Files.read

    def refuse(self, path):
        if path.endswith(".json"):
            raise IsocostError("could not be read: Input/output error")
        return read(self, path)

    monkeypatch.setattr(Files, "read", refuse)
    with pytest.raises(IsocostError, match="Input/output"):
        recover(Files(lake), SESSION)
    assert "unjudged" in {f.kind for f in verify_bank(lake).faults}
    monkeypatch.undo()
    assert read_manifests(lake)[0].status == "finished" and verify_bank(lake).faults == ()


FORBIDDEN = """
import os, sys
from isocost.bank.reader import read_raw
from isocost.bank.verify import verify_bank
from isocost.errors import IsocostError
import polars, pyarrow.parquet
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
for read in (lambda: read_raw(sys.argv[1], "raw_generations"), lambda: verify_bank(sys.argv[1])):
    try:
        print(read())
    except IsocostError as error:
        print("refused:", error)
"""


def test_a_lake_that_this_user_may_not_read_is_named():
    with (
        tempfile.TemporaryDirectory() as name
    ):  # not tmp_path: its parents are closed to the plain user that the child becomes
        Path(name).chmod(0o755)
        lake = Path(name) / "lake"
        fill(lake)
        folders = [p for p in (lake / "raw").rglob("*") if p.is_dir()]
        for folder in folders:
            folder.chmod(0)
        done = subprocess.run(
            [sys.executable, "-c", FORBIDDEN, str(lake)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        for folder in folders:
            folder.chmod(0o755)
    lines = done.stdout.splitlines()
    assert len(lines) == 2 and done.stderr == "" and done.returncode == 0, done.stderr
    assert all(
        line.startswith("refused:") and "may not read it" in line and str(lake) in line
        for line in lines
    )


WRITING = """
import sys
sys.path.insert(0, sys.argv[2])
from bank_rows import call
from isocost.bank.files import Files
from isocost.bank.resume import missing_samples, planned_samples
from isocost.bank.writer import open_run
with open_run(Files(sys.argv[1]), sys.argv[3], part_rows=2) as (writer, found):
    todo = missing_samples(planned_samples([(sys.argv[4], ["p0"], 4000)]), found.done)["sample_index"].to_list()
    for i in todo:
        writer.append("raw_generations", [call(i, point=sys.argv[4], attempt=writer.manifest.attempt)])
        if writer.pending() == 2:
            writer.seal()
"""


def test_a_reader_beside_two_sessions_that_write_and_are_killed_sees_whole_samples_and_never_fewer(
    lake,
):
    """What was read once is read again, each once, whatever moment of sealing, of death or of
    recovery the reader meets.
    """
    seen: set[str] = set()
    lake.mkdir()
    for kill in range(2):
        command = [sys.executable, "-c", WRITING, str(lake), str(Path(__file__).parent)]
        writers = [subprocess.Popen([*command, f"session-{n}", f"pt-{n}"]) for n in range(2)]
        grown, give_up = 0, time.monotonic() + 30
        while grown < 6 and time.monotonic() < give_up:
            calls = read_raw(lake, "raw_generations", columns=["call_id"])["call_id"].to_list()
            assert len(calls) == len(set(calls)) and seen <= set(calls), f"after {kill} kills"
            assert all(writer.poll() is None for writer in writers)
            grown += len(calls) > len(seen)
            seen = set(calls)
        assert grown == 6
        for writer in writers:
            writer.kill()
            writer.wait()
    assert {call_id.split(":")[0] for call_id in seen} <= {"pt-0", "pt-1"}
    before = read_raw(lake, "raw_generations").height
    repair_bank(lake)
    assert (
        verify_bank(lake).faults == ()
        and read_raw(lake, "raw_generations").height == before == verify_bank(lake).samples
    )
