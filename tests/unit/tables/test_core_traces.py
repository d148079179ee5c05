"""What core_samples keeps of token confidences, and of calls that verify an answer."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from test_core import frame, manifest, only, row, session  # noqa: F401

from isocost.methods.verdicts import read_verdict
from isocost.tables.core.samples import build_core
from isocost.tables.outcomes.outcomes import build_outcomes


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("Let me see. Yes.", 1.0),
        ("Is it correct? No", 0.0),
        ("At first yes, but in the end: NO", 0.0),
        ("The answer is not correct", 0.0),
        ("The answer is incorrect.", 0.0),
        ("Verdict: true", 1.0),
        ("yesterday I noticed", None),
        ("", None),
        (None, None),
    ],
)
def test_the_last_word_of_judgement_counts(text, verdict):
    assert read_verdict(text) == verdict


def test_records_of_a_trace_reach_its_sample(session):  # noqa: F811
    banked = row(
        session,
        output_tokens=6,
        token_confidences=[2.0, 4.0, 6.0, 1.0, 1.0, 7.0],
        confidence_window=3,
    )
    short = row(session, sample=1, token_confidences=[2.0, 4.0], confidence_window=3)
    none = row(session, sample=2)
    odd = row(
        session, sample=3, token_confidences=[2.0, float("nan"), 1.0, 1.0], confidence_window=3
    )
    samples = build_core(frame([banked, short, none, odd]), [session], [manifest(session)])[
        "core_samples"
    ]
    assert samples["confidence_record_tokens"].to_list() == [[3, 4, 5], [], None, None]
    assert np.round(samples["confidence_record_values"].to_list()[0], 6).tolist() == [
        4.0,
        3.666667,
        2.666667,
    ]


def verify_call(session, index, text, **changes):  # noqa: F811
    solved = row(session)
    own = {
        "call_id": f"{solved['sample_id']}:{index}",
        "call_index": index,
        "parent_call_id": solved["call_id"],
        "role": "verify",
    }
    return row(
        session,
        **(own | {"output_text": text, "output_tokens": 30, "prompt_tokens": 100} | changes),
    )


def test_verifications_are_no_part_of_the_answer_nor_of_its_cost(session):  # noqa: F811
    calls = [
        row(session),
        verify_call(session, 1, "So: yes"),
        verify_call(session, 2, "No."),
        verify_call(session, 3, "Hard to tell"),
        verify_call(session, 4, None, finish_reason="error", error="gone"),
    ]
    built = build_core(frame(calls), [session], [manifest(session)])
    sample = built["core_samples"].row(0, named=True)
    alone = build_core(frame(calls[:1]), [session], [manifest(session)])["core_samples"].row(
        0, named=True
    )
    apart = {name for name in sample if name.startswith(("verdict", "verification"))}
    assert {k: v for k, v in sample.items() if k not in apart} == {
        k: v for k, v in alone.items() if k not in apart
    }
    assert sample["verdicts"] == [1.0, 0.0, None, None]
    assert (sample["verification_tokens"], sample["verification_prompt_tokens"]) == (120, 400)
    assert sample["verification_latency_s"] == pytest.approx(4 * 2.5)
    assert alone["verdicts"] is None
    assert built["core_calls"]["is_used"].all()
    assert built["core_calls"]["role"].to_list() == ["solve"] + ["verify"] * 4


def test_a_verification_that_had_to_choose_counts_by_its_probabilities(session):  # noqa: F811
    calls = [
        row(session),
        verify_call(session, 1, "No", choice_logprobs=[np.log(0.6), np.log(0.2)]),
        verify_call(session, 2, "Yes", choice_logprobs=[None, np.log(0.2)]),
        verify_call(session, 3, "Yes", choice_logprobs=[None, None]),
        verify_call(session, 4, "Yes"),
        verify_call(session, 5, None, finish_reason="error", choice_logprobs=[-1.0, -1.0]),
    ]
    built = build_core(frame(calls), [session], [manifest(session)])
    verdicts = built["core_samples"]["verdicts"].to_list()[0]
    assert verdicts == [pytest.approx(0.75), 0.0, None, 1.0, None]


def test_a_failed_verification_does_not_fail_the_attempt(session):  # noqa: F811
    first = [row(session), verify_call(session, 1, None, finish_reason="error", error="gone")]
    second = [row(session, run_id="run-2", attempt=2, output_text="The answer is 9.")]
    manifests = [manifest(session), manifest(session, run_id="run-2", attempt=2)]
    built = build_core(frame([*first, *second]), [session], manifests)
    assert only(built["core_samples"])["answer"] == "2"
    assert only(built["core_samples"])["is_valid"]
    assert built["core_calls"].filter(pl.col("run_id") == "run-2")["is_used"].to_list() == [False]


@pytest.mark.slow
def test_from_raw_calls_to_what_stopping_and_verifying_cost(session):  # noqa: F811
    """The whole way: token confidences and verification calls as banked, core tables, outcomes."""
    rng = np.random.default_rng(0)
    calls = []
    for sample in range(20):
        confidence = rng.uniform(1, 2, int(rng.integers(6, 30))).round(3)
        own = {
            "output_tokens": len(confidence),
            "last_token_s": 101.0 + 0.1 * (len(confidence) - 1),
        }
        lowest = np.convolve(confidence, np.full(4, 0.25), "valid").min()
        text = f"The answer is {2 if sample % 3 else 9}."
        calls.append(
            row(
                session,
                sample=sample,
                output_text=text,
                token_confidences=list(confidence),
                confidence_window=4,
                **own,
            )
            | {"confidence_lowest_group": lowest}
        )
        for index in (1, 2):
            said = "yes" if sample % 3 and index == 1 else "no"
            solved = calls[-1] if index == 1 else calls[-2]
            call = {
                "call_id": f"{solved['sample_id']}:{index}",
                "call_index": index,
                "role": "verify",
                "output_tokens": 7,
            }
            calls.append(row(session, sample=sample, output_text=said, **call))
    samples = build_core(frame(calls), [session], [manifest(session)])["core_samples"]
    assert samples["verdicts"].list.len().to_list() == [2] * 20
    outcomes, _ = build_outcomes(
        samples, strategies=["deepconf_online_at_k", "generate_then_verify", "majority_at_k"]
    )
    rows = {(r["strategy"], r["budget"]): r for r in outcomes.iter_rows(named=True)}
    tokens = samples["output_tokens"].sum()
    assert rows["majority_at_k", 20.0]["output_tokens_per_problem"] == tokens
    gentle, strict = (rows[f"deepconf_online_at_k_keep_{keep}", 20.0] for keep in (90, 10))
    warm = 16 * tokens / 20
    assert warm < strict["output_tokens_per_problem"] < gentle["output_tokens_per_problem"] < tokens
    for name in ("latency_sequential_s", "latency_parallel_s"):
        assert 0 < strict[f"{name}_per_problem"] < gentle[f"{name}_per_problem"]
    verified = rows["generate_then_verify_2", 20.0]
    assert (verified["accuracy"], verified["estimator"]) == (1.0, "exact")
    assert verified["output_tokens_per_problem"] == tokens + 20 * 2 * 7
    assert rows["generate_then_verify_1", 4.0]["output_tokens_per_problem"] == pytest.approx(
        4 * (tokens / 20 + 7)
    )
    assert (
        verified["latency_sequential_s_per_problem"]
        > rows["majority_at_k", 20.0]["latency_sequential_s_per_problem"]
    )
