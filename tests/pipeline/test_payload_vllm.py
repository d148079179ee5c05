"""The payload with a real vLLM engine on a small random Llama.

What it banks, and kill -9 in the middle of generation.
"""

from __future__ import annotations

import importlib.util
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "payload"))
import sessions

from isocost.bank.reader import read_manifests, read_raw
from isocost.bank.verify import verify_bank
from isocost.schema.frames import faults

pytestmark = [
    pytest.mark.pipeline,
    pytest.mark.skipif(importlib.util.find_spec("vllm") is None, reason="vLLM is not installed"),
]


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    from isocost.engines.prepare import make_tiny_llama

    return make_tiny_llama(tmp_path_factory.mktemp("models") / "tiny-random-llama")


def payload(session: Path, lake: Path, *more: str) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-m",
        "isocost.generate",
        "--session",
        str(session),
        "--lake",
        str(lake),
        *more,
    ]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def measured_samples(lake: Path) -> int:
    """Sealed samples outside warm-up: a run's first part may hold nothing but warm-up."""
    parts = sorted(lake.glob("raw/generations/*/part-*.parquet"))
    return sum(
        int(
            (
                ~pl.read_parquet(part, columns=["is_warmup"], hive_partitioning=False)["is_warmup"]
            ).sum()
        )
        for part in parts
    )


def wait_for_samples(
    lake: Path, count: int, process: subprocess.Popen[str], seconds: float = 240
) -> None:
    give_up = time.monotonic() + seconds
    while measured_samples(lake) < count:
        assert process.poll() is None, process.stdout.read() if process.stdout else ""
        assert time.monotonic() < give_up, "no sample was sealed in time"
        time.sleep(0.02)


def test_killed_in_the_middle_and_started_again_every_sample_is_there_exactly_once(tmp_path, model):
    lake, file = tmp_path / "lake", tmp_path / "session.json"
    session = sessions.session(
        "vllm",
        path=str(model),
        problems=4,
        samples=32,
        max_tokens=24,
        warmup_requests=2,
        part_rows=4,
        logprobs_k=5,
        max_num_seqs=8,
    )
    file.write_text(session.model_dump_json())
    first = payload(file, lake)
    wait_for_samples(lake, 1, first)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    assert first.returncode == -signal.SIGKILL
    assert not [f for f in verify_bank(lake).faults if f.is_loss]
    before = read_raw(lake, "raw_generations")
    assert 0 < before.filter(~pl.col("is_warmup")).height < 256
    second = payload(file, lake)
    output, _ = second.communicate(timeout=400)
    assert second.returncode == 0, output
    assert "samples" in output and "tokens/s" in output and "Traceback" not in output

    rows = read_raw(lake, "raw_generations")
    kept = before.join(rows, on=["call_id", "attempt"], how="semi")
    assert kept.height == before.height, "a sealed sample was lost or made anew"
    measured = rows.filter(~pl.col("is_warmup"))
    assert (
        measured.height
        == 256
        == measured.select("point_id", "problem_id", "sample_index").n_unique()
    )
    report = verify_bank(lake)
    assert report.faults == () and report.samples == 256
    assert faults(rows, "raw_generations") == []
    check_columns(measured)
    check_manifests(lake)
    steps = read_raw(lake, "raw_steps")
    assert (
        faults(steps, "raw_steps") == []
        and steps.filter("is_warmup").height > 0
        and steps.filter("is_drain").height > 0
    )
    # A later attempt must draw other numbers: with one seed it would repeat the samples of the
    # first.
    hashes = measured.group_by("problem_id", "prompt_hash").agg(
        pl.col("completion_hash").n_unique().alias("different"), pl.len()
    )
    assert hashes.filter(pl.col("different") < pl.col("len")).height == 0

    third = payload(file, lake)
    output, _ = third.communicate(timeout=120)
    assert (
        third.returncode == 0
        and "nothing to generate" in output
        and read_raw(lake, "raw_generations").height == rows.height
    )


def check_columns(rows: pl.DataFrame) -> None:
    complete = (
        "output_text",
        "output_token_ids",
        "logprob_sum",
        "entropy_low_sum",
        "entropy_high_sum",
        "self_certainty_low_sum",
    )
    complete += (
        "confidence_sum",
        "confidence_lowest_group",
        "prompt_tokens",
        "output_tokens",
        "arrival_unix_s",
        "queued_s",
        "scheduled_s",
    )
    complete += (
        "first_token_s",
        "last_token_s",
        "num_preemptions",
        "completion_hash",
        "cached_tokens",
        "token_logprobs",
    )
    assert rows.select(pl.col(complete).is_null().any()).row(0) == (False,) * len(complete)
    right = rows.select(
        (pl.col("output_token_ids").list.len() == pl.col("output_tokens")).all().alias("tokens"),
        (pl.col("token_logprobs").list.len() == pl.col("output_tokens")).all().alias("logprobs"),
        ((pl.col("token_logprobs").list.sum() - pl.col("logprob_sum")).abs() < 1e-3)
        .all()
        .alias("sum"),
        (pl.col("entropy_low_sum") <= pl.col("entropy_high_sum")).all().alias("bounds"),
        (pl.col("entropy_high_sum") <= pl.col("output_tokens") * pl.lit(512.0).log() + 1e-6)
        .all()
        .alias("at most ln V"),
        pl.all_horizontal(
            pl.col("queued_s") <= pl.col("scheduled_s"),
            pl.col("scheduled_s") < pl.col("first_token_s"),
            pl.col("first_token_s") <= pl.col("last_token_s"),
        )
        .all()
        .alias("times"),
        ((pl.col("finish_reason") == "length") == (pl.col("output_tokens") == 24))
        .all()
        .alias("length"),
    ).row(0, named=True)
    assert all(right.values()), right


def check_manifests(lake: Path) -> None:
    manifests = read_manifests(lake)
    assert [m.status for m in manifests] == ["died", "finished"] and [
        m.attempt for m in manifests
    ] == [1, 2]
    info = manifests[-1].info
    assert (
        info["engine"]["resolved"]["cache"]["block_size"] == 128
        and info["engine"]["resolved"]["model"]["dtype"] == "torch.float32"
    )
    assert (
        info["engine"]["vocabulary"] == 512
        and info["versions"]["torch"]
        and info["warmup"]["samples"] == 2
    )
    assert info["clock_end"]["monotonic_s"] > info["clock_start"]["monotonic_s"]
    assert (
        len({m.info["engine_seed"] for m in manifests}) == 2
        and manifests[0].info["engine_seed"] == 0
    )
    assert info["longest_prompt_tokens"] > 0 and info["telemetry"]["unknown_reason"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"path": "/nowhere/tiny"}, "the folder /nowhere/tiny does not exist"),
        ({"kv_cache_bytes": 1000}, "fits 1 tokens"),
        ({"max_tokens": 250}, "exceeds max_model_len 256"),
    ],
)
def test_a_mistake_is_one_line_before_any_engine_starts(tmp_path, model, changes, said):
    lake, file = tmp_path / "lake", tmp_path / "session.json"
    file.write_text(sessions.session("vllm", **({"path": str(model)} | changes)).model_dump_json())
    made = payload(file, lake)
    output, _ = made.communicate(timeout=120)
    assert made.returncode == 2 and said in output
    assert "Traceback" not in output and "engine vllm is up" not in output
    assert not (lake / "raw" / "manifests").exists()
