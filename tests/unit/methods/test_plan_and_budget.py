"""Sub-questions, their points, their budgets, and one solution."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from play import asked, made, play

from isocost.methods.plan_and_budget import SCHEDULES, budgets, points, sub_questions

PLAN = "1. How many are there?\n2. How many are left?\n3. What is the sum?"


def run(plan=PLAN, rate="1: 50\n2: 30\n3: 20", **parameters):
    said = {"plan": plan, "rate": rate, "solve": "42"}
    method = made("plan_and_budget", **parameters)
    return play(method, lambda call: said[call.role], asked(max_tokens=1000))


def test_the_solution_sees_each_sub_question_with_its_budget():
    found = run(
        schedule="polynomial", solve="Follow:", budgeted="({tokens})", plan="Plan!\n" + PLAN
    )
    assert [call.role for call in found.calls] == ["plan", "rate", "solve"]
    assert found.calls[-1].messages[-1]["content"] == (
        f"{asked().question}\n\nFollow:\n1. How many are there? (763)\n"
        "2. How many are left? (204)\n3. What is the sum? (33)"
    )
    assert [m["content"] for m in found.calls[1].messages][1] == PLAN
    assert [call.max_tokens for call in found.calls] == [512, 512, None]
    [answer] = found.answers
    assert (answer.text, answer.call, answer.budget, answer.calls) == ("42", 2, None, None)


def test_without_a_plan_there_is_one_sub_question_and_nothing_to_divide():
    for plan in ("", "I would just add them.", "1."):
        found = run(plan=plan, solve="Follow:", budgeted="({tokens})", tokens=70)
        assert [call.role for call in found.calls] == ["plan", "solve"]
        question = asked().question
        assert found.calls[-1].messages[-1]["content"] == (
            f"{question}\n\nFollow:\n1. {question} (70)"
        )


def test_no_more_sub_questions_than_allowed():
    found = run(plan="\n".join(f"{n}. q{n}" for n in range(1, 9)), most_questions=2)
    assert "2. q2" in found.calls[-1].messages[-1]["content"]
    assert "q3" not in found.calls[-1].messages[-1]["content"]


@pytest.mark.parametrize(
    ("plan", "found"),
    [
        (PLAN, ["How many are there?", "How many are left?", "What is the sum?"]),
        ("**1.** Add.\n  2) Double it. \n- 3: Say so", ["Add.", "Double it.", "Say so"]),
        ("1.5 apples cost 3.\n12 pears cost 4", []),
        ("", []),
    ],
)
def test_sub_questions_are_numbered_lines(plan, found):
    assert sub_questions(plan) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("1: 50\n2: 30\n3: 20", [50, 30, 20]),
        ("**1.** 50 points\n3 - 20", [50, 35, 20]),  # the mean of the others
        ("1: 0\n2: 30\n3: 10", [20, 30, 10]),
        ("All are alike.", [1, 1, 1]),
        ("4: 10", [1, 1, 1]),
    ],
)
def test_points_are_read_from_lines(text, found):
    assert points(text, 3) == found


def test_schedules_have_the_constants_of_the_source():
    weights = {name: [round(weigh(i, 3), 4) for i in range(3)] for name, weigh in SCHEDULES.items()}
    assert weights == {
        "constant": [1, 1, 1],
        "linear": [3, 2, 1],
        "polynomial": [9, 4, 1],
        "exponential": [1, 0.9, 0.81],
        "cosine": [1.1, 0.6, 0.1],
    }
    assert SCHEDULES["cosine"](0, 1) == 1


@given(
    shares=st.lists(st.floats(0.01, 100), min_size=1, max_size=8),
    whole=st.integers(1, 10_000),
    schedule=st.sampled_from(sorted(SCHEDULES)),
)
def test_budgets_add_up_to_the_whole_and_follow_the_shares(shares, whole, schedule):
    found = budgets(shares, whole, schedule)
    assert sum(found) == whole
    weights = [s * SCHEDULES[schedule](i, len(shares)) for i, s in enumerate(shares)]
    for budget, weight in zip(found, weights, strict=True):
        assert abs(budget - whole * weight / sum(weights)) < 1.0001
    assert budgets([7.0] * 4, 40, "constant") == [10] * 4
