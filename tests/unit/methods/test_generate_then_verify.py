"""A solution, and verdicts that leave it alone."""

from __future__ import annotations

import pytest
from play import asked, made, play

from isocost.errors import IsocostError


def test_one_solution_and_so_many_verdicts_at_the_same_time():
    method = made("generate_then_verify", verifications=3, instruction="Right?", temperature=0.2)
    found = play(method, lambda call: "No" if call.role == "verify" else "42")
    assert [[call.role for call in wave] for wave in found.waves] == [["solve"], ["verify"] * 3]
    assert {call.parent for call in found.waves[1]} == {0}
    assert {call.temperature for call in found.waves[1]} == {0.2}
    [message] = found.calls[1].messages
    assert message["content"] == f"Problem:\n{asked().question}\n\nSolution:\n42\n\nRight?"
    [answer] = found.answers
    assert (answer.text, answer.call, answer.budget, answer.calls) == ("42", 0, None, None)
    assert method.required() == ()


def test_a_first_token_verdict_chooses_between_yes_and_no_once():
    method = made("generate_then_verify", verdict="first_token")
    found = play(method, lambda call: "42")
    assert found.calls[1].choices == ("Yes", "No") and found.calls[0].choices == ()
    assert method.required() == ("scores_choices",)
    with pytest.raises(IsocostError, match="always the same"):
        made("generate_then_verify", verdict="first_token", verifications=2)
