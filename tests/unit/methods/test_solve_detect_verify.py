"""Only flagged solutions are checked, and only those found wrong are refined."""

from __future__ import annotations

import pytest
from play import made, play


def run(solution, said, thorough="Yes", **parameters):
    """Plays a solution, the texts of its checks, a thorough check and a refinement."""
    short = iter(said)

    def model(call):
        if call.role == "check":
            return thorough if call.max_tokens is None else next(short)
        return "refined" if call.role == "refine" else solution

    return play(made("solve_detect_verify", **parameters), model)


def roles(found):
    return [[call.role for call in wave] for wave in found.waves]


@pytest.mark.parametrize(
    ("solution", "flagged"),
    [
        ("It is 42", False),
        ("It is 42. Wait, no: 41", True),
        ("HMM", True),
        ("The waiter brought 42", False),
        ("I am not sure", True),
        ("", False),
    ],
)
def test_words_of_hesitation_are_whole_words_in_any_case(solution, flagged):
    found = run(solution, ["Yes"] * 3)
    assert (len(found.waves) > 1) is flagged
    assert found.answers[-1].text == solution


@pytest.mark.parametrize(
    ("total", "flagged"), [(-0.9, False), (-1.0, False), (-1.1, True), (None, True)]
)
def test_unlikely_or_unknown_tokens_are_flagged(total, flagged):
    solution = {"text": "a b", "logprob_sum": total}
    found = run(solution, ["Yes"], detector="log_probability", least_logprob=-0.5, checks=1)
    assert (len(found.waves) > 1) is flagged


@pytest.mark.parametrize(
    ("checks", "thorough", "agreement", "expected"),
    [
        (["Yes", "Yes", "Yes"], None, 1.0, [["solve"], ["check"] * 3]),
        (["No", "No", "No"], None, 1.0, [["solve"], ["check"] * 3, ["refine"]]),
        (["No", "No", "Yes"], "Yes", 1.0, [["solve"], ["check"] * 3, ["check"]]),
        (["No", "Yes", "Yes"], "No", 1.0, [["solve"], ["check"] * 3, ["check"], ["refine"]]),
        (["No", "No", "Yes"], None, 0.6, [["solve"], ["check"] * 3, ["refine"]]),
        (["No", "hard to say", ""], None, 1.0, [["solve"], ["check"] * 3, ["refine"]]),
        (["", "", ""], "", 1.0, [["solve"], ["check"] * 3, ["check"]]),
    ],
)
def test_checks_that_disagree_are_settled_by_a_thorough_one(checks, thorough, agreement, expected):
    found = run("42", checks, thorough, detector="always", agreement=agreement, check_tokens=9)
    assert roles(found) == expected
    is_refined = ["refine"] in expected
    assert found.answers[-1].text == ("refined" if is_refined else "42")
    assert [a.budget for a in found.answers] == [1, 2]
    assert {call.max_tokens for call in found.waves[1]} == {9}


def test_the_refinement_sees_the_solution_and_the_review_that_rejected_it():
    found = run("42", ["Line 2 is wrong. No"], detector="always", checks=1, refine="Fix:")
    last = found.calls[-1]
    assert [m["content"] for m in last.messages][1:] == ["42", "Fix:\n\nLine 2 is wrong. No"]
    assert last.parent == 1
