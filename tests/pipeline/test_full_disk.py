"""A disk that fills, at any moment of a session.

One clear line, everything sealed intact, and the rest once there is room.
"""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import polars as pl
import pytest
from payloads import Payloads

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "payload"))
import sessions

from isocost.bank.reader import read_manifests, read_raw
from isocost.bank.verify import verify_bank

MOMENTS = 50
SAMPLES = 80  # of each of 4 problems under 2 prompts
FULL = "The disk is full: free space and run again; everything sealed before is intact"


@contextmanager
def mounted(folder: Path, size: str) -> Iterator[Path]:
    folder.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    ).returncode:
        pytest.skip("no right to mount a small tmpfs here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def small_disk(tmp_path):
    with mounted(tmp_path / "small", "512k") as disk:
        yield disk


@pytest.mark.pipeline
def test_a_disk_that_fills_stops_the_run_and_the_next_run_does_the_rest(
    tmp_path, small_disk, monkeypatch
):
    recorded, lake, file = tmp_path / "recorded", small_disk / "lake", tmp_path / "session.json"
    noise = random.Random(0)
    long = sessions.Completion

    def wordy(**values):
        return long(
            **values | {"text": "".join(chr(noise.randrange(33, 126)) for _ in range(5_000))}
        )

    monkeypatch.setattr(sessions, "Completion", wordy)
    sessions.record(
        sessions.session(session_id="recorded-0123456789", samples=20), recorded, seconds=0.2
    )
    file.write_text(
        sessions.session(
            samples=20, options={"bank": str(recorded), "speed": 10}, part_rows=4
        ).model_dump_json()
    )
    command = [
        sys.executable,
        "-m",
        "isocost.generate",
        "--session",
        str(file),
        "--lake",
        str(lake),
    ]
    (small_disk / "ballast").write_bytes(bytes(100_000))

    full = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert full.returncode == 1, full.stdout + full.stderr
    assert (
        "The disk is full: free space and run again; everything sealed before is intact"
        in full.stderr
    )
    assert len(full.stderr.strip().splitlines()) == 1 and "Traceback" not in full.stderr
    assert not list(lake.rglob("*.tmp"))
    report = verify_bank(lake)
    assert (
        not [f for f in report.faults if f.is_loss or f.kind == "duplicate"]
        and 0 < report.samples < 160
    )
    sealed = read_raw(lake, "raw_generations")

    subprocess.run(["mount", "-o", "remount,size=4m", str(small_disk)], check=True)
    rest = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert rest.returncode == 0, rest.stdout + rest.stderr
    rows = read_raw(lake, "raw_generations")
    assert rows.height == 160 == rows.select("point_id", "problem_id", "sample_index").n_unique()
    assert rows.join(sealed, on=["call_id", "attempt"], how="semi").height == sealed.height
    assert verify_bank(lake).faults == ()
    assert rows.filter(pl.col("output_text").str.len_chars() != 5_000).height == 0


class Ballast:
    """A file that takes the room on a disk, all but a little."""

    def __init__(self, disk: Path) -> None:
        self._path = disk / "ballast"

    def fill(self, room: int) -> None:
        """Leaves at most about ``room`` bytes free."""
        with self._path.open("wb") as handle:
            with suppress(OSError):
                while True:
                    os.write(handle.fileno(), bytes(65_536))
            size = handle.seek(0, os.SEEK_END)
            handle.truncate(max(0, size - room))

    def drop(self) -> None:
        """Frees the disk."""
        self._path.unlink(missing_ok=True)


@pytest.mark.pipeline
def test_at_fifty_moments_the_disk_fills_and_nothing_is_lost_or_doubled(tmp_path):
    """At a random moment of each run the disk fills up, but for a random rest.

    Every third run is killed with -9 on top of it.
    """
    with mounted(tmp_path / "disk", "24m") as disk:
        recorded, lake, file = tmp_path / "recorded", disk / "lake", tmp_path / "session.json"
        sessions.record(
            sessions.session(session_id="recorded-0123456789", samples=SAMPLES),
            recorded,
            seconds=0.05,
        )
        file.write_text(
            sessions.session(
                samples=SAMPLES, options={"bank": str(recorded)}, part_rows=4, max_num_seqs=4
            ).model_dump_json()
        )
        dice, ballast = random.Random(11), Ballast(disk)
        payloads = Payloads(file, lake, tmp_path / "stderr", sealing_share=1.0)
        sealed: set[str] = set()
        refused = killed = 0

        def fill() -> None:
            time.sleep(dice.uniform(0.0, 0.25))
            ballast.fill(dice.randrange(0, 30_000))

        for moment in range(MOMENTS):
            if moment % 7 == 3:
                ballast.fill(dice.randrange(0, 20_000))  # full before it starts
            code = payloads.run(
                kill_after_s=dice.uniform(0.0, 0.1) if moment % 3 == 2 else None, meanwhile=fill
            )
            if code == -signal.SIGKILL:
                killed += 1
            else:
                refused += 1
                assert code in (1, 2), (moment, code, payloads.complaint)
                assert FULL in payloads.complaint and str(disk) in payloads.complaint, (
                    payloads.complaint
                )
                assert (
                    len(payloads.complaint.strip().splitlines()) == 1
                    and "Traceback" not in payloads.complaint
                )
                assert not list(lake.rglob("*.tmp")), "a run that could clean up has"
            if (lake / "raw").exists():
                now = set(read_raw(lake, "raw_generations", columns=["call_id"])["call_id"])
                assert sealed <= now, "what was sealed is not read, or gone"
                sealed = now
                if moment % 5 == 0:
                    faults = verify_bank(lake).faults
                    assert not [f for f in faults if f.is_loss or f.kind == "duplicate"], faults
            ballast.drop()

        assert refused > MOMENTS // 2 and killed > MOMENTS // 10, (refused, killed)
        assert payloads.run() == 0, payloads.complaint
        payloads.close()
        rows, wanted = read_raw(lake, "raw_generations"), 2 * 4 * SAMPLES
        assert (
            rows.height
            == wanted
            == rows.select("point_id", "problem_id", "sample_index").n_unique()
        )
        report = verify_bank(lake)
        assert report.faults == () and report.samples == wanted
        statuses = [m.status for m in read_manifests(lake)]
        assert statuses[-1] == "finished" and set(statuses[:-1]) == {"died", "failed"}
        assert rows.filter(pl.col("logprob_sum") != -0.5 - pl.col("sample_index")).height == 0


@pytest.mark.pipeline
def test_a_lake_that_turns_read_only_is_named_and_can_be_read_and_proven(tmp_path):
    with mounted(tmp_path / "disk", "8m") as disk:
        recorded, lake, file = tmp_path / "recorded", disk / "lake", tmp_path / "session.json"
        sessions.record(sessions.session(session_id="recorded-0123456789", samples=3), recorded)
        file.write_text(
            sessions.session(
                samples=3, options={"bank": str(recorded), "speed": 0}
            ).model_dump_json()
        )
        command = [
            sys.executable,
            "-m",
            "isocost.generate",
            "--session",
            str(file),
            "--lake",
            str(lake),
        ]
        first = subprocess.run(
            [*command, "--max-samples", "10"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert first.returncode == 0, first.stderr
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        second = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert second.returncode == 2 and len(second.stderr.strip().splitlines()) == 1, (
            second.stderr
        )
        assert (
            f"{lake}/raw/locks" in second.stderr
            and "mounted read-only: choose another folder" in second.stderr
        )
        assert os.strerror(errno.EROFS) in second.stderr
        assert verify_bank(lake).samples == 10 == read_raw(lake, "raw_generations").height
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
        third = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert (
            third.returncode == 0
            and verify_bank(lake).samples == 24
            and verify_bank(lake).faults == ()
        ), third.stderr
