"""Verdicts that a second person worked out by hand before looking at the graders; each row also
says its kind.

The expectation "not_right" is for texts that give no usable answer: whether that is a wrong answer
or none is not laid down.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

import pytest

from isocost.tasks import grade_text
from isocost.tasks.isolation import SWITCH, missing

ROWS = Path(__file__).with_name("verdicts_by_hand.jsonl")


@lru_cache
def rows_of(verifier: str) -> list[dict[str, str]]:
    rows = [json.loads(line) for line in ROWS.open(encoding="utf-8")]
    return [row for row in rows if row["verifier"] == verifier]


def differing(verifier: str) -> list[tuple[str, dict[str, str]]]:
    found = []
    for row in rows_of(verifier):
        grade = grade_text(verifier, row["reference"], row["text"], row["finish_reason"])
        listed = (
            "undefined"
            if grade.correct is None
            else "no_answer"
            if grade.parse_status == "no_answer"
            else ("wrong", "right")[grade.correct]
        )
        if listed != row["expected"] and not (
            row["expected"] == "not_right" and listed in ("wrong", "no_answer")
        ):
            found.append((listed, row))
    return found


@pytest.mark.parametrize(
    "verifier",
    ["numeric", "multiple_choice", "exact", pytest.param("symbolic", marks=pytest.mark.slow)],
)
def test_verdicts_by_hand_come_out(verifier):
    assert rows_of(verifier)
    assert differing(verifier) == []


@pytest.mark.slow
def test_verdicts_by_hand_on_programs_come_out(monkeypatch):
    if lacking := missing():
        pytest.skip(
            "this machine cannot build closed rooms for code: "
            + "; ".join(item.what for item in lacking)
        )
    monkeypatch.setenv(SWITCH, "1")
    assert rows_of("code")
    assert differing("code") == []


@pytest.mark.parametrize("verifier", ["numeric", "multiple_choice", "exact"])
def test_an_answer_after_thoughts_that_say_something_else_keeps_its_verdict(verifier):
    """Rows without marks of their own, put behind finished thoughts, and inside thoughts that
    never end.
    """
    for row in rows_of(verifier):
        text = row["text"]
        if (
            row["expected"] != "right"
            or any(mark in text for mark in ("<", "[", "◁", "Here ", "analysis", "think"))
            or not text.strip()
        ):
            continue
        behind = grade_text(
            verifier,
            row["reference"],
            f"<think>No: \\boxed{{Z}}, the answer is 999.</think>\n\n{text}",
            row["finish_reason"],
        )
        assert behind.correct is True, row
        inside = grade_text(verifier, row["reference"], f"<think>Hm. {text}", row["finish_reason"])
        assert (inside.parse_status, inside.correct) == ("no_answer", False), row
