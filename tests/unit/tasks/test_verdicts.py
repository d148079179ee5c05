"""Verdicts worked out by hand, the shared ones and our own, each by the whole way of grading."""

from __future__ import annotations

import json

import pytest
from verdict_table import NO_ANSWER, RIGHT, TABLE, WRONG

from isocost.tasks import grade_text
from isocost.tasks.model import Grade

DISPUTED: dict[tuple[str, str, str], str] = {}
"""Shared verdicts that we hold to be wrong: (verifier, reference, text) and why. None so far."""


def word_of(found: Grade) -> str:
    assert found.correct is not None, found
    return NO_ANSWER if found.parse_status == "no_answer" else RIGHT if found.correct else WRONG


@pytest.mark.slow
def test_every_shared_verdict_comes_out(shared_cases):
    rows = [json.loads(line) for line in (shared_cases / "verdicts.jsonl").open(encoding="utf-8")]
    wrong = [
        (row, found)
        for row in rows
        if (row["verifier"], row["reference"], row["text"]) not in DISPUTED
        and word_of(
            found := grade_text(
                row["verifier"], row["reference"], row["text"], row["finish_reason"]
            )
        )
        != row["expected"]
    ]
    assert rows and not wrong


def differing(verifier: str) -> list[tuple[str, str, str, Grade]]:
    found = [
        (reference, text, expected, grade_text(verifier, reference, text, "stop"))
        for v, reference, text, expected in TABLE
        if v == verifier
    ]
    assert found
    # A text that names no option is wrong either way.
    return [
        row
        for row in found
        if word_of(row[3]) != row[2] and (row[2], word_of(row[3])) != (WRONG, NO_ANSWER)
    ]


@pytest.mark.parametrize(
    "verifier",
    ["numeric", "multiple_choice", "exact", pytest.param("symbolic", marks=pytest.mark.slow)],
)
def test_our_own_verdicts_come_out(verifier):
    assert differing(verifier) == []


@pytest.mark.parametrize("verifier", ["numeric", "multiple_choice", "exact"])
def test_a_right_text_is_right_after_finished_thoughts_and_before_an_invented_question(verifier):
    """What surrounds an answer does not change its verdict."""
    for v, reference, text, expected in TABLE:
        if (
            v == verifier
            and expected == RIGHT
            and "think" not in text.lower()
            and "<" not in text
            and "analysis" not in text
            and "thought" not in text
        ):
            wrapped = f"<think>The answer is 987654321, or \\boxed{{Q}}. #### 5</think>\n\n{text}"
            assert word_of(grade_text(v, reference, wrapped, "stop")) == RIGHT, wrapped
            assert (
                word_of(
                    grade_text(
                        v,
                        reference,
                        f"{text}<|im_end|>\n<|im_start|>user\nThe answer is \\boxed{{77}}",
                        "length",
                    )
                )
                == RIGHT
            ), text
