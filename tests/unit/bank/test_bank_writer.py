"""Append and seal: what is on disk after each call, and what a refusing disk leaves."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest
from bank_rows import SESSION, call

from isocost.bank.files import Files
from isocost.bank.layout import new_run_id, parse_part
from isocost.bank.reader import read_manifests, read_raw
from isocost.bank.verify import verify_bank
from isocost.bank.writer import open_run
from isocost.errors import IsocostError

pytestmark = pytest.mark.slow


def parts_of(lake: Path) -> list[Path]:
    return sorted((lake / f"raw/generations/session={SESSION}").glob("*"))


def test_nothing_is_visible_before_seal_and_all_after(lake):
    with open_run(Files(lake), SESSION, part_rows=3) as (writer, _):
        writer.append("raw_generations", [call(0), call(1)])
        assert not writer.due() and parts_of(lake) == []
        writer.append("raw_generations", [call(2)])
        assert writer.due()
        (entry,) = writer.seal()
        assert [p.name for p in parts_of(lake)] == [entry.file] and entry.rows == 3
        assert not writer.due() and writer.seal() == []


def test_the_manifest_carries_rows_checksum_and_points_of_each_part(lake, bank):
    run = bank(range(4), range(4, 6))
    (manifest,) = read_manifests(lake, SESSION)
    assert (
        manifest.run_id,
        manifest.attempt,
        manifest.status,
        manifest.rows("raw_generations"),
    ) == (run, 1, "finished", 6)
    for path, entry in zip(parts_of(lake), manifest.parts, strict=True):
        assert (entry.file, entry.bytes) == (path.name, path.stat().st_size)
        assert entry.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        assert entry.points == {"pt-a": entry.rows}
    assert [p.rows for p in manifest.parts] == [4, 2]


def test_a_part_is_stamped_with_table_version_and_its_own_name(lake, bank):
    run = bank(range(2))
    metadata = pq.read_schema(parts_of(lake)[0]).metadata
    assert metadata[b"isocost.table"] == b"raw_generations"
    stamp = {"session_id": SESSION, "run_id": run, "number": 0, "rows": 2, "attempt": 1, "info": {}}
    assert json.loads(metadata[b"isocost.part"]) == stamp


def test_more_samples_are_added_by_a_second_run_without_touching_the_first(lake, bank):
    bank(range(3))
    before = {p: p.read_bytes() for p in parts_of(lake)}
    bank(range(3, 5))
    assert all(p.read_bytes() == data for p, data in before.items())
    assert read_raw(lake, "raw_generations")["sample_index"].to_list() == [0, 1, 2, 3, 4]
    assert [m.attempt for m in read_manifests(lake)] == [1, 2]


def test_due_after_seconds_only_with_something_to_seal(lake):
    with open_run(Files(lake), SESSION, part_rows=1000, part_seconds=0.0) as (writer, _):
        assert not writer.due()
        writer.append("raw_generations", [call(0)])
        assert writer.due()


def test_parts_grow_where_sealing_would_take_too_much_of_the_time(lake, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("isocost.bank.writer.time.monotonic", lambda: now[0])
    slow = Files.write

    def write(self, path, data):
        now[0] += 0.5  # a disk that needs half a second a file: part and manifest take a second
        slow(self, path, data)

    with open_run(Files(lake), SESSION, part_rows=2) as (writer, _):
        writer.start()
        monkeypatch.setattr(Files, "write", write)
        writer.append("raw_generations", [call(0), call(1)])
        assert writer.due()
        writer.seal()
        writer.append("raw_generations", [call(2), call(3), call(4)])
        now[0] += 49
        assert not writer.due()
        now[0] += 1
        assert writer.due()


def test_a_row_that_breaks_the_table_is_refused_and_what_was_sealed_stays(lake):
    with open_run(Files(lake), SESSION, part_rows=10) as (writer, _):
        writer.append("raw_generations", [call(0)])
        writer.seal()
        writer.append("raw_generations", [call(1, logprob_sum=float("nan"))])
        with pytest.raises(IsocostError, match="logprob_sum"):
            writer.seal()
    assert read_raw(lake, "raw_generations").height == 1


def test_two_runs_of_one_session_or_of_one_point_are_refused_with_the_holder_named(lake):
    files = Files(lake)
    with open_run(files, SESSION, point_ids=["pt-a"], part_rows=10) as (first, _):
        first.start()
        with (
            pytest.raises(IsocostError, match=f"process {os.getpid()}"),
            open_run(files, SESSION, part_rows=10),
        ):
            pass
        with (
            pytest.raises(IsocostError, match="pt-a"),
            open_run(files, "other-0000000000", point_ids=["pt-a"], part_rows=10),
        ):
            pass
        with open_run(files, "other-0000000000", point_ids=["pt-b"], part_rows=10) as (other, _):
            other.append("raw_generations", [call(0, point="pt-b")])
            other.finish("finished")
    with open_run(files, SESSION, point_ids=["pt-a"], part_rows=10) as (writer, _):
        assert writer.manifest.attempt == 2


def test_a_run_id_used_before_gets_a_counter(lake, bank):
    for expected in ("dagster-run", "dagster-run.2", "dagster-run.3"):
        with open_run(Files(lake), SESSION, run_id="dagster-run", part_rows=10) as (writer, _):
            writer.append("raw_generations", [call(0)])
            writer.finish("finished")
            assert writer.manifest.run_id == expected
    assert all(parse_part(p.name) for p in parts_of(lake))


@pytest.mark.parametrize("bad", ["../x", "", "a/b", "a b"])
def test_an_id_that_could_leave_the_folder_is_refused(lake, bad):
    with pytest.raises(IsocostError, match="session id"), open_run(Files(lake), bad, part_rows=1):
        pass


def test_run_ids_sort_by_time_and_are_version_7():
    earlier, later = new_run_id(1_000.0), new_run_id(1_000.002)
    assert earlier < later and earlier[14] == "7" and earlier[19] in "89ab"


REFUSING = """
import os, resource, sys
sys.path.insert(0, sys.argv[2])
from bank_rows import SESSION, call
from isocost.bank.files import Files
from isocost.bank.writer import open_run
from isocost.errors import IsocostError
import polars as pl
if sys.argv[3] == "plain user" and os.geteuid() == 0:  # root may write anywhere
    os.setgid(65534)
    os.setuid(65534)
try:
    with open_run(Files(sys.argv[1]), SESSION, part_rows=10) as (writer, _):
        writer.append("raw_generations", [call(i) for i in range(10)])
        writer.seal()
        if sys.argv[3] == "limit":
            resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        import random
        noise = random.Random(0)
        for start in range(10, 1000, 10):
            text = "".join(chr(noise.randrange(33, 120)) for _ in range(20_000))
            writer.append("raw_generations", [call(i, output_text=text) for i in range(start, start + 10)])
            writer.seal()
except IsocostError as error:
    print("refused:", error)
    raise SystemExit(7)
"""


def run_refusing(lake: Path, how: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", REFUSING, str(lake), str(Path(__file__).parent), how]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_a_file_size_limit_stops_with_a_clear_error_and_keeps_what_was_sealed(lake):
    done = run_refusing(lake, "limit")
    assert done.returncode == 7, done.stderr
    assert "file-size limit" in done.stdout and "everything sealed before is intact" in done.stdout
    report = verify_bank(lake)
    assert report.faults == () and report.samples == 10
    assert not [p for p in lake.rglob("*.tmp")]


def test_a_full_disk_stops_with_a_clear_error_and_keeps_what_was_sealed(tmp_path):
    mount = tmp_path / "small"
    mount.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(mount)],
        capture_output=True,
        check=False,
    ).returncode:
        pytest.skip("no right to mount a small tmpfs here")
    try:
        done = run_refusing(mount / "lake", "none")
        assert done.returncode == 7, done.stderr
        assert "The disk is full" in done.stdout
        report = verify_bank(mount / "lake")
        assert not any(f.is_loss for f in report.faults) and report.samples >= 10
        with (
            pytest.raises(IsocostError, match="disk is full"),
            open_run(Files(mount / "lake"), SESSION, part_rows=10) as (writer, _),
        ):
            writer.append(
                "raw_generations",
                [call(i, output_text=os.urandom(20_000).hex()) for i in range(500, 510)],
            )
            writer.seal()
    finally:
        subprocess.run(["umount", str(mount)], check=True)


def test_a_read_only_folder_is_named_before_anything_is_generated():
    with (
        tempfile.TemporaryDirectory() as name
    ):  # not tmp_path: its parents are closed to the plain user that the child becomes
        Path(name).chmod(0o755)
        lake = Path(name) / "lake"
        with open_run(Files(lake), SESSION, part_rows=10) as (writer, _):
            writer.append("raw_generations", [call(0), call(1)])
            writer.finish("finished")
        folders = [lake, *[p for p in lake.rglob("*") if p.is_dir()]]
        for folder in folders:
            folder.chmod(0o555)
        done = run_refusing(lake, "plain user")
        assert done.returncode == 7, done.stderr
        assert "Make the folder writable for this user" in done.stdout
        report = verify_bank(lake)
        assert report.samples == 2 and report.faults == ()
        for folder in folders:
            folder.chmod(0o755)


def test_the_same_rows_make_the_same_frame_whatever_the_order_of_appends(lake):
    with open_run(Files(lake), SESSION, part_rows=10) as (writer, _):
        writer.append("raw_generations", [call(3), call(1)])
        writer.append("raw_generations", [call(2), call(0)])
        writer.finish("finished")
    frame = read_raw(lake, "raw_generations")
    assert frame["sample_index"].to_list() == [0, 1, 2, 3]
    assert frame.schema["output_token_ids"] == pl.List(pl.Int32)
