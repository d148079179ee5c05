"""Reproducibility and regressions as tables."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
from scipy import stats

from isocost.errors import IsocostError
from isocost.tables.items.reruns import build_regressions, build_reproducibility

TOKENS = {"A": [[5, 7, 7, 2, 9], [1, 2]], "B": [[5, 7, 7, 3, 9], [1, 2]], "C": [[5, 7, 8], [1, 2]]}


def point(name, session, **changes):
    row = {
        "point_id": name,
        "session_id": session,
        "task": "sums",
        "model_variant": "tiny",
        "model_path": "cache:tiny",
        "model_revision": None,
        "prompt": "plain",
        "temperature": 0.0,
        "top_p": 1.0,
        "top_k": 0,
        "min_p": 0.0,
        "max_tokens": 64,
        "quantization": None,
        "engine": "vllm",
        "dtype": "bfloat16",
        "max_num_seqs": 8,
        "max_num_batched_tokens": 512,
        "max_model_len": 1024,
    }
    return row | changes


POINT_TYPES = {"model_revision": pl.String, "quantization": pl.String}


def session(name, *, began=0.0, version="0.32.0", device="cpu"):
    return {
        "session_id": name,
        "run_id": f"run-{name}",
        "attempt": 1,
        "started_unix_s": began,
        "engine_version": version,
        "device": device,
        "isocost_version": "0.1.0",
    }


def sample(
    point_id,
    session_id,
    problem,
    *,
    index=0,
    correct=True,
    tokens=10,
    energy=None,
    method=None,
    digest="h",
):
    return {
        "sample_id": f"{point_id}:{problem}:{index}",
        "point_id": point_id,
        "session_id": session_id,
        "problem_id": problem,
        "sample_index": index,
        "task": "sums",
        "model_variant": "tiny",
        "prompt": "plain",
        "is_valid": True,
        "correct": correct,
        "output_tokens": tokens,
        "latency_s": tokens / 10,
        "energy_j": energy,
        "energy_method": method,
        "completion_hash": digest,
    }


def frames(points, sessions, samples):
    types = {
        "energy_j": pl.Float64,
        "energy_method": pl.String,
        "correct": pl.Boolean,
        "completion_hash": pl.String,
    }
    return (
        pl.DataFrame(samples, schema_overrides=types),
        pl.DataFrame(points, schema_overrides=POINT_TYPES),
        pl.DataFrame(sessions),
    )


def three_batches():
    points = [
        point(f"pt-{name}", f"s-{name}", max_num_seqs=size)
        for name, size in zip("ABC", (1, 8, 32), strict=True)
    ]
    samples, tokens = [], []
    for name, right in zip("ABC", ([True, True], [True, False], [True, True]), strict=True):
        for number, (ids, correct) in enumerate(zip(TOKENS[name], right, strict=True)):
            row = sample(
                f"pt-{name}",
                f"s-{name}",
                f"p{number}",
                correct=correct,
                tokens=len(ids),
                digest=str(ids),
            )
            samples.append(row)
            tokens.append({"sample_id": row["sample_id"], "output_token_ids": ids})
    return (
        *frames(points, [session(f"s-{name}") for name in "ABC"], samples),
        pl.DataFrame(tokens),
    )


def test_batches_are_compared_and_the_worked_divergence_comes_through():
    found = build_reproducibility(*three_batches())
    assert found["varied"].to_list() == ["any", "batch"]
    row = found.filter(pl.col("varied") == "batch").row(0, named=True)
    assert row["varied_values"] == ["1/512", "32/512", "8/512"] and (
        row["n_runs"],
        row["n_problems"],
    ) == (3, 2)
    assert (row["n_diverging"], row["diverging_ratio"], row["divergence_index_min"]) == (1, 0.5, 2)
    assert row["divergence_method"] == "token_ids" and row["accuracy_std"] == pytest.approx(
        np.std([1, 0.5, 1], ddof=1)
    )
    assert row["output_tokens_std"] == pytest.approx(np.std([5, 5, 3], ddof=1) / 2)
    assert json.loads(row["fixed"])["dtype"] == "bfloat16" and "max_num_seqs" not in json.loads(
        row["fixed"]
    )


def test_spread_of_the_top_probability_before_divergence():
    """The worked positions (.9, .9, .9), (.8, .81, .79) and, from divergence on, what must not
    count; the other problem never diverges.
    """
    samples, points, sessions, tokens = three_batches()
    chances = {
        "pt-A:p0:0": [0.9, 0.80, 0.70, 0.5, 0.5],
        "pt-B:p0:0": [0.9, 0.81, 0.68, 0.5, 0.5],
        "pt-C:p0:0": [0.9, 0.79, 0.1],
        **{
            f"pt-{name}:p1:0": [0.6, chance]
            for name, chance in zip("ABC", (0.70, 0.68, 0.72), strict=True)
        },
    }
    banked = tokens.with_columns(
        token_logprobs=pl.Series(
            [np.log(chances[key]).tolist() for key in tokens["sample_id"]],
            dtype=pl.List(pl.Float32),
        )
    )
    row = (
        build_reproducibility(samples, points, sessions, banked)
        .filter(pl.col("varied") == "batch")
        .row(0, named=True)
    )
    assert row["top1_probability_std"] == pytest.approx(
        ((0 + 0.01) / 2 + (0 + 0.02) / 2) / 2, abs=1e-6
    )
    assert (
        build_reproducibility(samples, points, sessions, tokens)[
            "top1_probability_std"
        ].null_count()
        == 2
    )
    partly = banked.with_columns(
        pl.when(pl.col("sample_id") != "pt-A:p1:0")
        .then(pl.col("token_logprobs"))
        .alias("token_logprobs")
    )
    assert (
        build_reproducibility(samples, points, sessions, partly)[
            "top1_probability_std"
        ].null_count()
        == 2
    )


def test_without_token_ids_hashes_decide_and_without_hashes_nothing_does():
    samples, points, sessions, _ = three_batches()
    row = build_reproducibility(samples, points, sessions).row(1, named=True)
    assert (row["divergence_method"], row["n_diverging"], row["divergence_index_min"]) == (
        "completion_hash",
        1,
        None,
    )
    blank = samples.with_columns(
        pl.lit(None, pl.String).alias("completion_hash"), pl.lit(None, pl.Boolean).alias("correct")
    )
    row = build_reproducibility(blank, points, sessions).row(1, named=True)
    assert (row["divergence_method"], row["n_diverging"], row["accuracy_std"]) == (None, None, None)


def test_each_respect_is_compared_with_the_others_fixed():
    settings = [("bfloat16", "0.32.0"), ("float32", "0.32.0"), ("float32", "0.33.0")]
    points = [point(f"pt-{n}", f"s-{n}", dtype=dtype) for n, (dtype, _) in enumerate(settings)]
    sessions = [session(f"s-{n}", version=version) for n, (_, version) in enumerate(settings)]
    samples = [
        sample(f"pt-{n}", f"s-{n}", "p0", index=i, digest=f"h{n if i else 0}")
        for n in range(3)
        for i in range(2)
    ]
    found = build_reproducibility(*frames(points, sessions, samples))
    rows = {row["varied"]: row for row in found.iter_rows(named=True) if row["varied"] != "repeat"}
    assert (
        rows["dtype"]["varied_values"] == ["bfloat16", "float32"]
        and rows["dtype"]["n_diverging"] == 0
    )
    assert rows["engine_version"]["varied_values"] == ["0.32.0", "0.33.0"]
    assert rows["any"]["n_runs"] == 6
    repeats = found.filter(pl.col("varied") == "repeat")
    assert repeats["n_runs"].to_list() == [2, 2, 2] and sorted(repeats["n_diverging"]) == [0, 1, 1]


def test_sampled_points_and_single_runs_do_not_take_part():
    samples, points, sessions, tokens = three_batches()
    assert build_reproducibility(
        samples, points.with_columns(temperature=pl.lit(0.7)), sessions, tokens
    ).is_empty()
    assert build_reproducibility(samples, points.head(1), sessions, tokens).is_empty()


def two_measurements(shift=0.0, later=None, problems=40, seed=0):
    rng = np.random.default_rng(seed)
    points = [
        point("pt-old", "s-old", temperature=0.7),
        point("pt-new", "s-new", temperature=0.7, max_num_seqs=32),
    ]
    sessions = [session("s-old", began=5.0), session("s-new", began=9.0, version=later or "0.33.0")]
    samples = []
    for number in range(problems):
        base = int(rng.integers(50, 150))
        samples.append(
            sample(
                "pt-old",
                "s-old",
                f"p{number:02d}",
                tokens=base,
                correct=True,
                energy=1.0,
                method="rapl",
            )
        )
        samples.append(
            sample(
                "pt-new",
                "s-new",
                f"p{number:02d}",
                tokens=base + int(rng.normal(shift, 4)),
                correct=number % 4 > 0,
                energy=2.0,
                method="model",
            )
        )
    return frames(points, sessions, samples)


def test_a_regression_is_found_and_what_changed_is_reported():
    samples, points, sessions = two_measurements(shift=20)
    found = {
        row["metric"]: row
        for row in build_regressions(samples, points, sessions).iter_rows(named=True)
    }
    assert {name: row["verdict"] for name, row in found.items()} == {
        "accuracy": "worse",
        "output_tokens": "worse",
        "latency_s": "worse",
        "energy_j": "unknown",
    }
    assert (
        found["accuracy"]["difference"] == pytest.approx(-0.25)
        and found["accuracy"]["baseline_session_id"] == "s-old"
    )
    assert json.loads(found["accuracy"]["changed"]) == {
        "engine_version": ["0.32.0", "0.33.0"],
        "max_num_seqs": [8, 32],
    }
    assert "different methods" in found["energy_j"]["undefined_reason"]
    means = samples.sort("problem_id").partition_by("point_id", as_dict=True)
    oracle = stats.ttest_rel(means["pt-new",]["output_tokens"], means["pt-old",]["output_tokens"])
    assert found["output_tokens"]["p_value"] == pytest.approx(oracle.pvalue)
    assert found["output_tokens"]["p_value_bh"] >= found["output_tokens"]["p_value"]


def test_noise_is_no_regression_and_an_equal_shift_is_unknown():
    samples, points, sessions = two_measurements(shift=0)
    assert (
        build_regressions(samples, points, sessions).filter(pl.col("metric") == "output_tokens")[
            "verdict"
        ][0]
        == "no_difference_shown"
    )
    flat = samples.with_columns(
        pl.when(pl.col("point_id") == "pt-new").then(11.0).otherwise(10.0).alias("latency_s")
    )
    row = (
        build_regressions(flat, points, sessions)
        .filter(pl.col("metric") == "latency_s")
        .row(0, named=True)
    )
    assert (
        row["verdict"] == "unknown"
        and "same amount" in row["undefined_reason"]
        and row["difference"] == 1
    )


def test_other_sampling_is_another_configuration_and_doubled_points_are_refused():
    samples, points, sessions = two_measurements()
    other = points.with_columns(
        pl.when(pl.col("point_id") == "pt-new").then(1.0).otherwise(0.7).alias("temperature")
    )
    assert build_regressions(samples, other, sessions).is_empty()
    with pytest.raises(IsocostError, match="is duplicated"):
        build_regressions(samples, pl.concat([points, points.head(1)]), sessions)


def test_problems_measured_once_are_left_out_and_counted():
    samples, points, sessions = two_measurements(problems=10)
    part = samples.filter(~((pl.col("point_id") == "pt-new") & (pl.col("problem_id") < "p08")))
    found = build_regressions(part, points, sessions)
    assert found["n_problems"].to_list() == [2, 2, 2, 2]
    alone = samples.filter(~((pl.col("point_id") == "pt-new") & (pl.col("problem_id") < "p09")))
    assert set(build_regressions(alone, points, sessions)["verdict"]) == {"unknown"}
