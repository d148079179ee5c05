"""Core tables from synthetic raw rows.

Counts add up, nothing is dropped, the order of rows is no matter.
"""

from __future__ import annotations

import json
import math
import random

import polars as pl
import pytest

from isocost.costs import CardBook, forward_flops, load_book
from isocost.errors import IsocostError
from isocost.schema.frames import empty
from isocost.sweep import plan_sessions, sample_id_of, sweep_from_text
from isocost.tables.core.samples import build_core
from isocost.tasks import load_problems

SWEEP = """
sweep: tiny
models: {name: m, path: "cache:none", dtype: float32, card: CARD}
engine: {max_model_len: 256, kv_cache_bytes: 64 MiB}
tasks:
  - name: sums
    source: inline
    dataset: three sums
    verifier: numeric
    n_problems: 3
    config:
      problems:
        - {question: "1+1?", reference: 2}
        - {question: "2+2?", reference: 4}
        - {question: "3+3?", reference: 6}
prompts:
  - {name: direct, template: "{question}"}
  - {name: steps, template: "{question} Think."}
grid: {temperature: 0.7, max_tokens: 32}
samples_per_problem: 4
"""


@pytest.fixture
def session():
    return plan_sessions(sweep_from_text(SWEEP.replace("CARD", "null")))[0]


def row(session, point=0, problem=0, sample=0, **changes):
    planned = session.points[point].point
    asked = load_problems(planned.task)[problem]
    sample_id = sample_id_of(planned.point_id, asked.problem_id, sample)
    values = dict.fromkeys(empty("raw_generations").columns)
    values |= {
        "call_id": f"{sample_id}:0",
        "sample_id": sample_id,
        "point_id": planned.point_id,
        "problem_id": asked.problem_id,
        "session_id": session.session_id,
        "run_id": "run-1",
        "attempt": 1,
        "sample_index": sample,
        "call_index": 0,
        "role": "solve",
        "task": "sums",
        "model_variant": "m",
        "prompt_name": planned.prompt.name,
        "prompt_hash": "0" * 16,
        "output_text": f"The answer is {asked.reference}.",
        "finish_reason": "stop",
        "prompt_tokens": 10,
        "output_tokens": 5,
        "cached_tokens": 0,
        "logprob_sum": -2.0,
        "entropy_low_sum": 1.0,
        "entropy_high_sum": 2.0,
        "queued_s": 100.0,
        "scheduled_s": 100.5,
        "first_token_s": 101.0,
        "last_token_s": 103.0 + sample,
        "is_warmup": False,
    }
    return values | changes


def frame(rows):
    return pl.DataFrame(rows, schema=empty("raw_generations").schema, orient="row")


def manifest(session, **changes):
    return {
        "session_id": session.session_id,
        "run_id": "run-1",
        "attempt": 1,
        "status": "finished",
        "info": {},
    } | changes


def only(table: pl.DataFrame, **equal):
    found = table.filter(*(pl.col(name) == value for name, value in equal.items()))
    assert found.height == 1
    return found.row(0, named=True)


def test_a_sample_carries_its_grade_means_and_times(session):
    built = build_core(frame([row(session)]), [session], [manifest(session)])
    sample = built["core_samples"].row(0, named=True)
    assert (
        sample["correct"],
        sample["score"],
        sample["answer"],
        sample["answer_class"],
        sample["parse_status"],
    ) == (
        True,
        1.0,
        "2",
        0,
        "parsed",
    )
    assert sample["is_valid"] and sample["invalid_reasons"] == []
    assert sample["logprob_mean"] == pytest.approx(-0.4)
    assert (sample["entropy_mean_low"], sample["entropy_mean_high"]) == pytest.approx((0.2, 0.4))
    assert (sample["queue_s"], sample["prefill_s"], sample["decode_s"], sample["latency_s"]) == (
        0.5,
        0.5,
        2.0,
        2.5,
    )
    # As a load generator would have seen them: queue and prefill up to the first token, then the
    # rest of the tokens evenly.
    assert sample["ttft_s"] == 1.0 and sample["inter_token_s"] == pytest.approx(
        2.0 / (sample["output_tokens"] - 1)
    )
    assert sample["is_truncated"] is False
    assert (
        sample["self_certainty_low"] is None
        and sample["flops"] is None
        and sample["cost_usd"] is None
    )
    assert (sample["energy_j"], sample["energy_method"], sample["energy_unknown_reason"]) == (
        None,
        None,
        "no_power_source",
    )


@pytest.mark.slow
def test_the_order_of_raw_rows_changes_nothing(session):
    rng = random.Random(3)
    rows = [
        row(
            session,
            p,
            q,
            s,
            output_text=rng.choice(["2", "4", "Answer: 6", "none", "2.0"]),
            finish_reason=rng.choice(["stop", "length", "error"]),
        )
        for p in range(2)
        for q in range(3)
        for s in range(4)
    ]
    rows += [row(session, 0, 0, 0, attempt=2, run_id="run-2", output_text="9")]
    built = build_core(frame(rows), [session], [manifest(session)])
    for seed in range(3):
        shuffled = random.Random(seed).sample(rows, len(rows))
        again = build_core(frame(shuffled), [session], [manifest(session)])
        for name, table in built.items():
            assert table.equals(again[name]), name


def test_every_raw_row_is_a_call_and_every_planned_or_banked_sample_is_counted(session):
    rows = [
        row(session, sample=0),
        row(session, sample=1, finish_reason="error", output_text=None, error="out of memory"),
        row(session, sample=1, attempt=2, run_id="run-2"),
        row(session, sample=2, finish_reason="abort"),
        row(session, call_id="warm:0", sample_id="warm", sample_index=None, is_warmup=True),
    ]
    built = build_core(
        frame(rows),
        [session],
        [manifest(session), manifest(session, run_id="run-2", attempt=2, status="died")],
    )
    calls, samples, runs = built["core_calls"], built["core_samples"], built["core_sessions"]
    assert calls.height == len(rows)
    assert calls.filter("is_used").height == samples.height == 3
    assert sorted(calls.filter(~pl.col("is_used"))["not_used_reason"]) == ["superseded", "warmup"]
    assert only(samples, sample_index=1)["attempt"] == 2
    aborted = only(samples, sample_index=2)
    assert (aborted["is_valid"], aborted["invalid_reasons"], aborted["correct"]) == (
        False,
        ["aborted"],
        None,
    )
    first, second = only(runs, run_id="run-1"), only(runs, run_id="run-2")
    assert (first["rows_total"], first["rows_warmup"], first["rows_superseded"]) == (4, 1, 1)
    assert (first["samples_total"], first["samples_valid"], first["samples_invalid"]) == (2, 1, 1)
    assert json.loads(first["invalid_counts"]) == {"aborted": 1}
    assert (second["samples_total"], second["invalid_reasons"]) == (1, ["run_died"])
    point = only(built["core_points"], prompt="direct")
    assert (
        point["samples_planned"],
        point["samples_banked"],
        point["samples_valid"],
        point["samples_missing"],
    ) == (12, 3, 2, 9)
    assert only(built["core_points"], prompt="steps")["samples_banked"] == 0


def test_a_good_attempt_is_kept_and_a_later_one_never_replaces_it(session):
    rows = [row(session, output_text="2"), row(session, attempt=2, run_id="run-2", output_text="5")]
    sample = build_core(frame(rows), [session], [])["core_samples"].row(0, named=True)
    assert (sample["attempt"], sample["correct"]) == (1, True)


def test_not_a_number_becomes_null_with_a_reason(session):
    rows = [
        row(session, sample=0, logprob_sum=math.nan),
        row(session, sample=1, entropy_low_sum=-math.inf),
    ]
    samples = build_core(frame(rows), [session], [])["core_samples"]
    assert only(samples, sample_index=0)["invalid_reasons"] == ["not_finite_logprob_sum"]
    assert only(samples, sample_index=0)["logprob_mean"] is None
    assert only(samples, sample_index=1)["invalid_reasons"] == ["not_finite_entropy_low_sum"]
    assert not samples["is_valid"].any()


def test_times_out_of_order_are_unknown_but_a_rounding_is_zero(session):
    rows = [row(session, sample=0, first_token_s=90.0), row(session, sample=1, scheduled_s=99.9999)]
    samples = build_core(frame(rows), [session], [])["core_samples"]
    broken, rounded = only(samples, sample_index=0), only(samples, sample_index=1)
    assert (
        broken["invalid_reasons"] == ["time_disorder"]
        and broken["latency_s"] is None
        and broken["prefill_s"] is None
    )
    assert rounded["is_valid"] and rounded["queue_s"] == 0.0


def test_truncation_is_distinguished_from_being_wrong(session):
    rows = [
        row(session, sample=0, output_text="first 1 then 2", finish_reason="length"),
        row(session, sample=1, output_text="The answer is 2 because", finish_reason="length"),
        row(session, sample=2, output_text="first 1 then 3"),
    ]
    samples = build_core(frame(rows), [session], [])["core_samples"]
    cut, answered, wrong = (only(samples, sample_index=i) for i in range(3))
    assert (
        cut["is_truncated"],
        cut["parse_status"],
        cut["grade_reason"],
        cut["correct"],
        cut["answer_class"],
    ) == (
        True,
        "no_answer",
        "length",
        False,
        None,
    )
    assert (answered["is_truncated"], answered["parse_status"], answered["correct"]) == (
        True,
        "parsed",
        True,
    )
    assert (wrong["is_truncated"], wrong["parse_status"], wrong["correct"]) == (
        False,
        "parsed",
        False,
    )
    assert all(row["is_valid"] for row in (cut, answered, wrong))


def test_answer_classes_reach_over_points_of_one_problem(session):
    rows = [
        row(session, p, 0, s, output_text=text)
        for p, s, text in [(0, 0, "7"), (0, 1, "2"), (1, 0, "2.0"), (1, 1, "none"), (1, 2, "7.")]
    ]
    samples = build_core(frame(rows), [session], [])["core_samples"]
    classes = {
        (r["prompt"], r["sample_index"]): r["answer_class"] for r in samples.iter_rows(named=True)
    }
    assert classes[("direct", 1)] == classes[("steps", 0)] == 0
    assert classes[("direct", 0)] == classes[("steps", 2)] == 1
    assert classes[("steps", 1)] is None
    problem = build_core(frame(rows), [session], [])["core_problems"].row(0, named=True)
    assert (
        problem["n_samples"],
        problem["n_valid"],
        problem["n_correct"],
        problem["n_answer_classes"],
    ) == (5, 5, 2, 2)


def test_strangers_are_kept_and_marked(session):
    rows = [
        row(
            session,
            point_id="pt-gone",
            sample_id="pt-gone:x:0",
            call_id="pt-gone:x:0:0",
            problem_id="sums-gone",
        )
    ]
    built = build_core(frame(rows), [session], [])
    sample = built["core_samples"].row(0, named=True)
    assert sample["invalid_reasons"] == ["not_judged", "unknown_point", "unknown_problem"]
    assert only(built["core_points"], point_id="pt-gone")["samples_banked"] == 1
    assert only(built["core_problems"], problem_id="sums-gone")["question"] is None


def test_more_tokens_than_the_budget_are_a_defect(session):
    sample = build_core(frame([row(session, output_tokens=33)]), [session], [])["core_samples"].row(
        0, named=True
    )
    assert sample["invalid_reasons"] == ["over_budget"]


def test_a_sample_of_two_calls_is_one_row_with_sums_and_the_last_answer(session):
    first = row(session, output_text="The answer is 9.", output_tokens=5)
    second = row(
        session,
        call_index=1,
        output_text="The answer is 2.",
        output_tokens=7,
        logprob_sum=-1.0,
        prompt_tokens=20,
        parent_call_id=first["call_id"],
    )
    second["call_id"] = second["sample_id"] + ":1"
    built = build_core(frame([second, first]), [session], [])
    sample = built["core_samples"].row(0, named=True)
    assert (
        sample["n_calls"],
        sample["output_tokens"],
        sample["prompt_tokens"],
        sample["correct"],
    ) == (2, 12, 30, True)
    assert (
        sample["ttft_s"] is None
        and "ttft_s: the sample consists of several calls" in sample["costs_unknown_reasons"]
    )
    assert sample["inter_token_s"] == pytest.approx(sample["decode_s"] / 10)
    assert sample["logprob_mean"] == pytest.approx(-3.0 / 12)
    assert built["core_calls"].height == 2


def test_an_unknown_part_makes_the_sum_unknown(session):
    first = row(session)
    second = row(session, call_index=1, prompt_tokens=None)
    second["call_id"] = second["sample_id"] + ":1"
    sample = build_core(frame([first, second]), [session], [])["core_samples"].row(0, named=True)
    assert sample["prompt_tokens"] is None and sample["output_tokens"] == 10


def test_energy_of_the_window_is_shared_by_tokens_and_adds_up(session):
    rows = [row(session, sample=s, output_tokens=tokens) for s, tokens in enumerate([1, 2, 5])]
    rows += [row(session, sample_id="warm", call_id="warm:0", sample_index=None, is_warmup=True)]
    energy = pl.DataFrame(
        {
            "session_id": [session.session_id],
            "run_id": ["run-1"],
            "energy_j": [80.0],
            "energy_method": ["nvml_counter"],
            "energy_unknown_reason": pl.Series([None], dtype=pl.String),
        }
    )
    built = build_core(frame(rows), [session], [manifest(session)], energy=energy)
    samples = built["core_samples"].sort("sample_index")
    assert samples["energy_j"].to_list() == [10.0, 20.0, 50.0]
    assert set(samples["energy_method"]) == {"nvml_counter/output_token_share"}
    assert samples["energy_unknown_reason"].null_count() == 3
    assert built["core_sessions"]["energy_j"].to_list() == [80.0]


def test_flops_are_asked_for_by_card_and_stay_unknown_without_tokens():
    session = plan_sessions(sweep_from_text(SWEEP.replace("CARD", "some-card")))[0]
    rows = [
        row(session, sample=0),
        row(session, sample=1, output_tokens=None),
        row(session, sample=2, cached_tokens=4),
    ]
    card = load_book().model("smollm2-135m-instruct")
    samples = build_core(frame(rows), [session], [], book=CardBook(models={"some-card": card}))[
        "core_samples"
    ].sort("sample_index")
    assert samples["flops"].to_list() == [
        forward_flops(card, 10, 5),
        None,
        forward_flops(card, 10, 5, cached_tokens=4),
    ]
    assert "flops: the tokens are not known" in samples["costs_unknown_reasons"][1]
    assert not any(reason.startswith("flops") for reason in samples["costs_unknown_reasons"][0])


def test_a_card_nobody_has_is_reported(session):
    session = plan_sessions(sweep_from_text(SWEEP.replace("CARD", "some-card")))[0]
    with pytest.raises(IsocostError, match="some-card"):
        build_core(frame([row(session)]), [session], [])


def test_the_window_and_throughput_leave_warm_up_out(session):
    rows = [row(session, sample=0), row(session, sample=1)]
    rows += [
        row(
            session,
            sample_id="warm",
            call_id="warm:0",
            sample_index=None,
            is_warmup=True,
            queued_s=1.0,
            last_token_s=2.0,
        )
    ]
    stated = {
        "versions": {"vllm": "1.0"},
        "engine": {"device": "cpu"},
        "clock_start": {"unix_s": 5.0},
        "clock_end": {"unix_s": 9.0},
    }
    run = build_core(frame(rows), [session], [manifest(session, info=stated)])["core_sessions"].row(
        0, named=True
    )
    assert run["window_s"] == pytest.approx(4.0)
    assert run["output_tokens_per_s"] == pytest.approx(10 / 4.0)
    assert (run["engine_version"], run["device"]) == ("1.0", "cpu")
    assert (run["started_unix_s"], run["ended_unix_s"]) == (5.0, 9.0)


def test_an_accelerator_goes_by_the_name_its_power_source_gives(session):
    stated = {
        "engine": {"device": "cuda"},
        "telemetry": {"description": {"devices": [{"name": "NVIDIA H200"}]}},
    }
    run = build_core(frame([row(session)]), [session], [manifest(session, info=stated)])[
        "core_sessions"
    ].row(0, named=True)
    assert run["device"] == "NVIDIA H200"


def test_a_run_without_a_manifest_is_reported(session):
    run = build_core(frame([row(session)]), [session], [])["core_sessions"].row(0, named=True)
    assert "no_manifest" in run["invalid_reasons"]


def test_an_empty_bank_gives_empty_tables_and_planned_points(session):
    built = build_core(empty("raw_generations"), [session], [])
    assert (
        built["core_samples"].height
        == built["core_calls"].height
        == built["core_problems"].height
        == built["core_sessions"].height
        == 0
    )
    assert built["core_points"]["samples_missing"].to_list() == [12, 12]


def test_a_missing_raw_column_is_named(session):
    with pytest.raises(IsocostError, match="finish_reason"):
        build_core(frame([row(session)]).drop("finish_reason"), [session], [])
    built = build_core(frame([row(session)]).drop("logprob_top1_mean"), [session], [])
    assert built["core_samples"].height == 1


def test_calls_that_cannot_be_are_left_null_with_a_reason(session):
    rows = [
        row(session, sample=0, cached_tokens=10**6),
        row(session, sample=1, logprob_sum=0.5),
        row(session, sample=2),
    ]
    samples = build_core(frame(rows), [session], [manifest(session)])["core_samples"].sort(
        "sample_index"
    )
    assert samples["cached_tokens"].is_null().to_list() == [True, False, False]
    assert samples["logprob_sum"].is_null().to_list() == [False, True, False]
    assert "cached_tokens: more_cached_than_prompt" in samples["costs_unknown_reasons"][0]
    assert "logprob_sum: probability_above_one" in samples["costs_unknown_reasons"][1]
