"""What core_samples keeps of token confidences, and of calls that verify an answer."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from test_core import frame, manifest, only, row, session  # noqa: F401

from isocost.tables.core import build_core
from isocost.tables.core_traces import read_verdict


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
    banked = row(session, output_tokens=6, token_confidences=[2.0, 4.0, 6.0, 1.0, 1.0, 7.0], confidence_window=3)
    short = row(session, sample=1, token_confidences=[2.0, 4.0], confidence_window=3)
    none = row(session, sample=2)
    odd = row(session, sample=3, token_confidences=[2.0, float("nan"), 1.0, 1.0], confidence_window=3)
    samples = build_core(frame([banked, short, none, odd]), [session], [manifest(session)])["core_samples"]
    assert samples["confidence_record_tokens"].to_list() == [[3, 4, 5], [], None, None]
    assert np.round(samples["confidence_record_values"].to_list()[0], 6).tolist() == [4.0, 3.666667, 2.666667]


def verify_call(session, index, text, **changes):  # noqa: F811
    solved = row(session)
    own = {"call_id": f"{solved['sample_id']}:{index}", "call_index": index, "parent_call_id": solved["call_id"], "role": "verify"}
    return row(session, **(own | {"output_text": text, "output_tokens": 30, "prompt_tokens": 100} | changes))


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
    alone = build_core(frame(calls[:1]), [session], [manifest(session)])["core_samples"].row(0, named=True)
    apart = {name for name in sample if name.startswith(("verdict", "verification"))}
    assert {k: v for k, v in sample.items() if k not in apart} == {k: v for k, v in alone.items() if k not in apart}
    assert sample["verdicts"] == [1.0, 0.0, None, None]
    assert (sample["verification_tokens"], sample["verification_prompt_tokens"]) == (120, 400)
    assert sample["verification_latency_s"] == pytest.approx(4 * 2.5)
    assert alone["verdicts"] is None
    assert built["core_calls"]["is_used"].all()
    assert built["core_calls"]["role"].to_list() == ["solve"] + ["verify"] * 4


def test_a_failed_verification_does_not_fail_the_attempt(session):  # noqa: F811
    first = [row(session), verify_call(session, 1, None, finish_reason="error", error="gone")]
    second = [row(session, run_id="run-2", attempt=2, output_text="The answer is 9.")]
    manifests = [manifest(session), manifest(session, run_id="run-2", attempt=2)]
    built = build_core(frame([*first, *second]), [session], manifests)
    assert only(built["core_samples"])["answer"] == "2"
    assert only(built["core_samples"])["is_valid"]
    assert built["core_calls"].filter(pl.col("run_id") == "run-2")["is_used"].to_list() == [False]
