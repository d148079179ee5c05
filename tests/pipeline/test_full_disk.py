"""A disk that fills in the middle of a session: one clear line, everything sealed intact, and the rest once there is room."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "payload"))
import sessions

from isocost.bank.reader import read_raw
from isocost.bank.verify import verify_bank


@pytest.fixture
def small_disk(tmp_path):
    mount = tmp_path / "small"
    mount.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(mount)], capture_output=True, check=False).returncode:
        pytest.skip("no right to mount a small tmpfs here")
    yield mount
    subprocess.run(["umount", str(mount)], check=True)


@pytest.mark.pipeline
def test_a_disk_that_fills_stops_the_run_and_the_next_run_does_the_rest(tmp_path, small_disk, monkeypatch):
    recorded, lake, file = tmp_path / "recorded", small_disk / "lake", tmp_path / "session.json"
    noise = random.Random(0)
    long = sessions.Completion

    def wordy(**values):
        return long(**values | {"text": "".join(chr(noise.randrange(33, 126)) for _ in range(5_000))})

    monkeypatch.setattr(sessions, "Completion", wordy)
    sessions.record(sessions.session(session_id="recorded-0123456789", samples=20), recorded, seconds=0.2)
    file.write_text(sessions.session(samples=20, options={"bank": str(recorded), "speed": 10}, part_rows=4).model_dump_json())
    command = [sys.executable, "-m", "isocost.generate", "--session", str(file), "--lake", str(lake)]
    (small_disk / "ballast").write_bytes(bytes(100_000))

    full = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert full.returncode == 1, full.stdout + full.stderr
    assert "The disk is full: free space and run again; everything sealed before is intact" in full.stderr
    assert len(full.stderr.strip().splitlines()) == 1 and "Traceback" not in full.stderr
    assert not list(lake.rglob("*.tmp"))
    report = verify_bank(lake)
    assert not [f for f in report.faults if f.is_loss or f.kind == "duplicate"] and 0 < report.samples < 160
    sealed = read_raw(lake, "raw_generations")

    subprocess.run(["mount", "-o", "remount,size=4m", str(small_disk)], check=True)
    rest = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert rest.returncode == 0, rest.stdout + rest.stderr
    rows = read_raw(lake, "raw_generations")
    assert rows.height == 160 == rows.select("point_id", "problem_id", "sample_index").n_unique()
    assert rows.join(sealed, on=["call_id", "attempt"], how="semi").height == sealed.height
    assert verify_bank(lake).faults == ()
    assert rows.filter(pl.col("output_text").str.len_chars() != 5_000).height == 0
