"""kill -9 at fifty random moments of sessions that replay a recorded bank at its pace.

Nothing is lost, nothing comes twice.
"""

from __future__ import annotations

import random
import signal
import sys
from pathlib import Path

import polars as pl
import pytest
from payloads import Payloads

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "payload"))
import sessions

from isocost.bank.reader import read_manifests, read_raw
from isocost.bank.verify import verify_bank

KILLS = 50
SAMPLES = 80  # of each of 4 problems under 2 prompts


@pytest.mark.pipeline
def test_fifty_kills_lose_nothing_that_was_sealed_and_double_nothing(tmp_path):
    recorded, lake, file = tmp_path / "recorded", tmp_path / "lake", tmp_path / "session.json"
    sessions.record(
        sessions.session(session_id="recorded-0123456789", samples=SAMPLES), recorded, seconds=0.05
    )
    session = sessions.session(
        samples=SAMPLES, options={"bank": str(recorded)}, part_rows=4, max_num_seqs=4
    )
    file.write_text(session.model_dump_json())
    dice, sealed, killed = random.Random(7), set(), 0
    payloads = Payloads(file, lake, tmp_path / "stderr")
    for kill in range(KILLS):
        killed += payloads.run(kill_after_s=dice.uniform(0.05, 0.4)) == -signal.SIGKILL
        if (lake / "raw/manifests").exists():
            if kill % 5 == 0:
                faults = verify_bank(lake).faults
                assert not [f for f in faults if f.is_loss or f.kind == "duplicate"], faults
            now = {s for m in read_manifests(lake) for s in (p.file for p in m.parts)}
            assert sealed <= now, "a sealed part is gone"
            sealed = now
    assert killed == KILLS, "the session ended before the last kill: make it longer"
    assert payloads.run() == 0
    payloads.close()
    rows = read_raw(lake, "raw_generations")
    wanted = 2 * 4 * SAMPLES
    assert (
        rows.height == wanted
        and rows.select("point_id", "problem_id", "sample_index").n_unique() == wanted
    )
    assert rows["sample_index"].max() == SAMPLES - 1
    report = verify_bank(lake)
    assert report.faults == () and report.samples == wanted
    statuses = [m.status for m in read_manifests(lake)]
    assert statuses[-1] == "finished" and set(statuses[:-1]) == {"died"}
    # Every row came from the recorded bank, its statistics included.
    assert rows.filter(pl.col("logprob_sum") != -0.5 - pl.col("sample_index")).height == 0
