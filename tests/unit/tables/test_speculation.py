"""Speculative decoding from engine steps to its table.

Worked vectors, and NULL with the reason where steps do not tell.
"""

from __future__ import annotations

from types import SimpleNamespace

import polars as pl
import pytest

from isocost.costs import tokens_per_step
from isocost.engines.vllm import _drafts
from isocost.schema.frames import conform, empty, faults
from isocost.tables.core.speculation import (
    NO_PLAIN_STEP,
    NOTHING_DRAFTED,
    UNEVEN,
    build_speculation,
)

STEP = {
    "session_id": "s", "run_id": "r", "attempt": 1, "step_s": 0.024, "end_s": 0.0, "running_requests": 1, "prompt_tokens": 0,
    "is_warmup": False, "is_drain": False,
}  # fmt: skip


def steps(rows):
    full = [STEP | {"step_index": i} | row for i, row in enumerate(rows)]
    return conform(pl.DataFrame(full, schema=empty("raw_steps").schema, orient="row"), "raw_steps")


def draft(accepted, drafted=4, drafts=1, **more):
    """One step of one sequence; as vLLM counts it."""
    whole = int(accepted == drafted)
    return {
        "drafts": drafts, "draft_tokens": drafted, "accepted_draft_tokens": accepted, "fully_accepted_drafts": whole,
        "output_tokens": accepted + 1,
    } | more  # fmt: skip


PLAIN = {
    "drafts": 0,
    "draft_tokens": 0,
    "accepted_draft_tokens": 0,
    "fully_accepted_drafts": 0,
    "output_tokens": 1,
    "step_s": 0.020,
}


def test_the_worked_vector():
    accepted = [0, 1, 4, 4, 2, 4, 3, 0, 4, 4]
    built = build_speculation(
        steps([*(draft(x) for x in accepted), PLAIN, draft(4, is_warmup=True)])
    )
    assert faults(built, "core_speculation") == []
    row = built.row(0, named=True)
    assert row["acceptance_ratio"] == pytest.approx(0.838710, abs=1e-6) and row[
        "tokens_per_step"
    ] == pytest.approx(3.6)
    assert row["tokens_per_step_modelled"] == pytest.approx(float(tokens_per_step(26 / 31, 4)))
    assert (row["steps"], row["drafts"], row["draft_tokens_per_draft"], row["accepted_ratio"]) == (
        11,
        10,
        4.0,
        0.65,
    )
    assert row["goodput_tokens_per_s"] == pytest.approx(36 / 0.24)
    assert row["target_efficiency_ratio"] == pytest.approx(
        0.833333, abs=1e-6
    )  # 20 ms plain, 24 ms verifying
    assert row["speedup_ratio"] == pytest.approx(3.0) and row["unknown_reason"] is None


def test_steps_are_compared_at_equal_batch():
    mixed = [
        draft(4),
        draft(4, running_requests=8, step_s=0.1),
        {**PLAIN, "running_requests": 8, "step_s": 0.05},
    ]
    assert build_speculation(steps(mixed))["target_efficiency_ratio"].to_list() == [0.5]
    prefill = {**PLAIN, "prompt_tokens": 30}
    row = build_speculation(steps([draft(4), prefill])).row(0, named=True)
    assert row["target_efficiency_ratio"] is None and row["unknown_reason"] == NO_PLAIN_STEP


def test_what_steps_do_not_say_is_null():
    even = [draft(1), draft(4), draft(1, drafted=2)]
    row = build_speculation(steps([*even, draft(2, fully_accepted_drafts=None)])).row(0, named=True)
    assert (
        row["even_drafts"] == 3
        and row["acceptance_ratio"] == pytest.approx(6 / 8)
        and row["drafts"] == 4
    )
    a = tokens_per_step(6 / 8, [4, 4, 2])
    assert row["tokens_per_step_modelled"] == pytest.approx(a.mean())
    uneven = build_speculation(steps([draft(2, fully_accepted_drafts=None), PLAIN])).row(
        0, named=True
    )
    assert (
        uneven["acceptance_ratio"] is None
        and uneven["tokens_per_step"] == 3
        and uneven["unknown_reason"] == UNEVEN
    )
    assert build_speculation(steps([PLAIN]))["unknown_reason"].to_list() == [NOTHING_DRAFTED]
    quiet = PLAIN | dict.fromkeys(
        ("drafts", "draft_tokens", "accepted_draft_tokens", "fully_accepted_drafts")
    )
    beside = build_speculation(steps([draft(4), quiet])).row(
        0, named=True
    )  # as vLLM tells a step without drafts
    assert beside["steps"] == 2 and beside["target_efficiency_ratio"] == pytest.approx(20 / 24)
    silent = {
        "drafts": None,
        "draft_tokens": None,
        "accepted_draft_tokens": None,
        "fully_accepted_drafts": None,
        "output_tokens": 1,
    }
    assert (
        build_speculation(steps([silent])).height
        == build_speculation(empty("raw_steps")).height
        == 0
    )


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        (None, (None, None, None, None)),
        ((3, 0, 0, 0, [0, 0, 0], [0, 0, 0]), (0, 0, 0, 0)),
        ((3, 2, 6, 4, [2, 1, 1], [2, 2, 2]), (2, 6, 4, 1)),
        ((3, 2, 4, 3, [2, 1, 0], [2, 2, 0]), (2, 4, 3, 1)),
        ((3, 2, 5, 4, [2, 1, 1], [2, 2, 1]), (2, 5, 4, None)),
    ],
)
def test_vllm_counts_of_a_step(stated, expected):
    counted = ("num_spec_tokens", "num_drafts", "num_draft_tokens", "num_accepted_tokens")
    names = (*counted, "num_accepted_tokens_per_pos", "num_draft_tokens_per_pos")
    stats = None if stated is None else SimpleNamespace(**dict(zip(names, stated, strict=True)))
    assert tuple(_drafts(SimpleNamespace(spec_decoding_stats=stats)).values()) == expected
