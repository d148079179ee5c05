"""Checks of what a vLLM session has banked after its first run was killed."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from isocost.bank.reader import read_manifests, read_raw
from isocost.bank.verify import verify_bank
from isocost.schema.frames import faults


def check_bank(lake: Path, *, samples: int, max_tokens: int, warmup: int) -> None:
    """Every sample once, every column and both manifests."""
    rows = read_raw(lake, "raw_generations")
    measured = rows.filter(~pl.col("is_warmup"))
    assert measured.height == samples
    report = verify_bank(lake)
    assert report.faults == () and report.samples == samples
    assert faults(rows, "raw_generations") == []
    check_columns(measured, max_tokens)
    check_manifests(lake, warmup)
    steps = read_raw(lake, "raw_steps")
    assert faults(steps, "raw_steps") == []
    assert steps.filter("is_warmup").height > 0 and steps.filter("is_drain").height > 0
    # A later attempt must draw other numbers: with one seed it would repeat the samples of the
    # first.
    hashes = measured.group_by("problem_id", "prompt_hash").agg(
        pl.col("completion_hash").n_unique().alias("different"), pl.len()
    )
    assert hashes.filter(pl.col("different") < pl.col("len")).height == 0


def check_columns(rows: pl.DataFrame, max_tokens: int) -> None:
    """Every column of measured calls that vLLM fills, against the others."""
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
        pl.col("finish_reason").is_in(["length", "stop"]).all().alias("reasons"),
        # A reply may also end by itself with the last token that it may have.
        pl.when(pl.col("finish_reason") == "length")
        .then(pl.col("output_tokens") == max_tokens)
        .otherwise(pl.col("output_tokens") <= max_tokens)
        .all()
        .alias("length"),
    ).row(0, named=True)
    assert all(right.values()), right


def check_manifests(lake: Path, warmup: int) -> None:
    """A run that died, and the one that finished its work."""
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
        and info["warmup"]["samples"] == warmup
    )
    assert info["clock_end"]["monotonic_s"] > info["clock_start"]["monotonic_s"]
    assert (
        len({m.info["engine_seed"] for m in manifests}) == 2
        and manifests[0].info["engine_seed"] == 0
    )
    assert info["longest_prompt_tokens"] > 0 and info["telemetry"]["unknown_reason"]
