"""Answers are found where small chat models put them, judged as a person would, and classed alike
whatever the order.
"""

from __future__ import annotations

import itertools
import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isocost.tasks import answer_classes, grade, grade_text, make_problem, reference_fault
from isocost.tasks.formulas import sameness
from isocost.tasks.judging import JudgeFailed, call
from isocost.tasks.model import Grade, TaskMistake, Verdict
from isocost.tasks.registry import verifier_of
from isocost.tasks.verifiers import symbolic

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("42", "42"),
        ("The answer is 42.", "42"),
        ("**Answer:** 42", "42"),
        ("Answer:\n42", "42"),
        ("Final answer = 42", "42"),
        ("The answer is: 40 + 2 = 42 apples", "42"),
        ("Answer: 42 because 3 of 45 are gone", "42"),
        ("So \\boxed{42}. Check: 7", "42"),
        ("\\boxed{\\frac{84}{2}}", "42"),
        ("<answer> 42 </answer> 7", "42"),
        ("We get <<6*7=42>>42\n#### 42\n", "42"),
        ("6 * 7 = 42\nA: 42", "42"),
        ("First 5, then 42", "42"),
        ("The result is forty... no. The answer is seven.", "7"),
        ("The answer is 41. No: the answer is 42.", "42"),
        ("<think>The answer is 1</think> 42", "42"),
        ("1,042", "1042"),
    ],
)
def test_a_number_is_found_where_models_put_it(text, answer):
    assert grade_text("numeric", answer, text) == Grade("parsed", answer, True, 1.0, None)


@pytest.mark.parametrize(
    ("text", "finish", "expected"),
    [
        ("", "stop", Grade("no_answer", None, False, 0.0, "empty")),
        ("  \n", "stop", Grade("no_answer", None, False, 0.0, "empty")),
        ("I cannot say", "stop", Grade("no_answer", None, False, 0.0, "no_match")),
        ("First 40, then 2", "length", Grade("no_answer", None, False, 0.0, "length")),
        ("The answer is 42, since", "length", Grade("parsed", "42", True, 1.0, None)),
        ("42", "error", Grade("no_answer", None, None, None, "error")),
        ("42", "abort", Grade("no_answer", None, None, None, "abort")),
        (None, "stop", Grade("no_answer", None, False, 0.0, "empty")),
        (None, None, Grade("no_answer", None, False, 0.0, "empty")),
        ("", "length", Grade("no_answer", None, False, 0.0, "length")),
        ("", "error", Grade("no_answer", None, None, None, "error")),
        (None, "abort", Grade("no_answer", None, None, None, "abort")),
        ("<think>It is 42", "stop", Grade("no_answer", None, False, 0.0, "thought_unfinished")),
        ("<think>It is 42", "length", Grade("no_answer", None, False, 0.0, "length")),
        ("42", None, Grade("parsed", "42", True, 1.0, None)),
    ],
)
def test_how_it_ended_is_no_verdict(text, finish, expected):
    assert grade_text("numeric", "42", text, finish) == expected


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("B", "B"),
        ("b) Paris", "B"),
        ("(B)", "B"),
        ("B.", "B"),
        ("The answer is (B) Paris, not A.", "B"),
        ("The correct answer is B", "B"),
        ("Answer: **B**", "B"),
        ("\\boxed{\\text{B}}", "B"),
        ("I would choose B.", "B"),
        ("A is wrong, so (B)", "B"),
        ("The answer is a mystery", None),
        ("A big one.", None),
    ],
)
def test_a_letter_is_found_and_an_article_is_none(text, choice):
    found = grade_text("multiple_choice", "(B)", text)
    assert (found.answer, found.correct) == (choice, choice == "B")


@pytest.mark.parametrize(
    ("reference", "text", "correct"),
    [
        ("Paris", "It is in France.\nAnswer: paris.", True),
        ("Paris", '"Paris"', True),
        ("Paris", "Paris or Rome", False),
        ("a  b", "A b", True),
    ],
)
def test_exact_forgives_case_spaces_and_quotes_only(reference, text, correct):
    assert grade_text("exact", reference, text).correct is correct


@pytest.mark.parametrize(
    ("reference", "text", "correct"),
    [
        (r"\frac{x}{2}", r"so $\boxed{x/2}$", True),
        ("x^2+2x+1", "Answer: $(x+1)^2$", True),
        ("x^2+2x+1", "Answer: $(x+1)^3$", False),
        (r"\frac{1}{2}", "The answer is 0.5", True),
        ("(1,2)", r"\boxed{(1, 2)}", True),
        ("(1,2)", r"\boxed{(2, 1)}", False),
    ],
)
def test_formulas_are_compared_by_meaning(reference, text, correct):
    assert grade_text("symbolic", reference, text).correct is correct


def test_work_without_end_is_ended_and_stops_nobody():
    start = time.perf_counter()
    tree = ["call", "factorial", [["pow", ["num", "9/1"], ["pow", ["num", "9/1"], ["num", "9/1"]]]]]
    with pytest.raises(JudgeFailed, match=r"timeout|memory|judge_error"):
        call(
            "tree_values",
            {"tree": ["call", "binom", [tree, tree]], "digits": 10**6, "cpu_limit_s": 0.3},
            wall_limit_s=1.5,
        )
    assert time.perf_counter() - start < 15
    assert call("alive", {})
    with pytest.raises(JudgeFailed, match="judge_error"):
        call("gym_score", {"description": {}, "answer": ""})


@pytest.mark.parametrize(
    "tower",
    ["9^{9^{9^{9}}}", "9999999!", r"2^{10^{12}}", r"e^{e^{e^{e^{e^{5}}}}}", r"\binom{10^9}{10^8}"],
)
def test_what_nobody_can_compute_is_wrong_and_not_undefined(tower):
    start = time.perf_counter()
    found = grade_text("symbolic", "3", rf"\boxed{{{tower}}}", "stop")
    assert (found.parse_status, found.correct, found.score) == ("parsed", False, 0.0)
    assert found.reason in ("not_comparable", "judge_timeout")
    assert time.perf_counter() - start < 20


def test_a_judge_that_fails_on_the_text_is_not_one_that_fails_on_the_reference(monkeypatch):
    """The same failure is the model's fault in its text, and ours in the reference or where the
    judge answers nothing at all.
    """

    def failing(work, arguments, **limits):
        if work == "alive":
            return True
        if "call" in str(arguments):
            raise JudgeFailed("timeout")
        return call(work, arguments, **limits)

    monkeypatch.setattr("isocost.tasks.formulas.sameness.call", failing)
    monkeypatch.setattr("isocost.tasks.judging.call", failing)
    sameness._values.cache_clear()
    symbolic._same.cache_clear()
    assert grade_text("symbolic", r"\pi", r"\boxed{\sin 7}") == Grade(
        "parsed", r"\sin 7", False, 0.0, "judge_timeout"
    )
    assert grade_text("symbolic", r"\sin 7", r"\boxed{\pi}") == Grade(
        "error", r"\pi", None, None, "reference_timeout"
    )
    monkeypatch.setattr("isocost.tasks.judging.is_working", lambda: False)
    symbolic._same.cache_clear()
    assert grade_text("symbolic", r"\pi", r"\boxed{\sin 7}") == Grade(
        "error", r"\sin 7", None, None, "judge_unavailable"
    )


@pytest.mark.parametrize(
    ("verifier", "reference"),
    [
        ("numeric", "many"),
        ("multiple_choice", "Paris"),
        ("symbolic", "9^{9^{9^9}}"),
        ("code", "def ("),
        ("exact", "..."),
    ],
)
def test_a_reference_nobody_can_use_gives_no_verdict_and_is_reported(
    monkeypatch, verifier, reference
):
    monkeypatch.setenv("ISOCOST_RUN_CODE", "1")
    assert reference_fault(verifier, reference)
    assert (
        grade_text(verifier, reference, "```python\nx = 1\n```\nThe answer is B", "stop").correct
        is None
        or verifier == "numeric"
    )
    assert all(reference_fault(verifier, empty) == "it is empty" for empty in (None, "", "  "))


def test_a_class_merges_what_is_equivalent_and_is_right_or_wrong_as_a_whole():
    problem = make_problem("t", "q", "x+1", "symbolic")
    answers = ["x+1", "1+x", "x", "(x^2-1)/(x-1)", None, "2"]
    assert answer_classes(problem, answers) == [0, 0, 2, 0, None, 1]


def test_classes_do_not_depend_on_the_order_nor_on_transitivity(monkeypatch):
    """Near numbers are called equal here.

    1~2~3 but not 1~3. A class holds no two that differ, nor two verdicts.
    """
    verifier = verifier_of("symbolic")
    monkeypatch.setattr(type(verifier), "equivalent", lambda self, a, b: abs(int(a) - int(b)) <= 1)
    monkeypatch.setattr(type(verifier), "bucket", lambda self, answer: None)
    monkeypatch.setattr(
        type(verifier), "judge", lambda self, problem, answer: Verdict(answer == "3", 0.0)
    )
    problem = make_problem("t", "q", "3", "symbolic")
    answers = ["1", "2", "3", "5", "6", "7", "2"]
    want = dict(zip(answers, answer_classes(problem, answers), strict=True))
    assert want["1"] == want["2"] != want["3"] and want["5"] == want["6"] != want["7"]
    for order in itertools.islice(itertools.permutations(answers), 0, 720, 37):
        assert answer_classes(problem, order) == [want[a] for a in order]


@given(
    st.lists(st.one_of(st.none(), st.integers(-3, 3).map(str)), max_size=20),
    st.randoms(use_true_random=False),
)
@settings(max_examples=40, deadline=None)
def test_numeric_classes_are_dense_and_match_equality(answers, rng):
    problem = make_problem("t", "q", "1", "numeric")
    classes = answer_classes(problem, answers)
    present = {c for c in classes if c is not None}
    assert present == set(range(len(present)))
    assert all((c is None) == (a is None) for a, c in zip(answers, classes, strict=True))
    assert len({(a, c) for a, c in zip(answers, classes, strict=True) if a is not None}) == len(
        present
    )
    order = list(range(len(answers)))
    rng.shuffle(order)
    assert answer_classes(problem, [answers[i] for i in order]) == [classes[i] for i in order]


@given(
    st.text(max_size=200),
    st.sampled_from(["numeric", "exact", "multiple_choice"]),
    st.sampled_from(["stop", "length", None]),
)
@settings(max_examples=60, deadline=None)
def test_any_text_gets_a_consistent_grade(text, verifier, finish):
    problem = make_problem(
        "t", "q", {"numeric": "7", "exact": "seven", "multiple_choice": "C"}[verifier], verifier
    )
    found = grade(problem, text, finish)
    assert found == grade(problem, text, finish)
    assert (found.parse_status == "parsed") == (found.answer is not None)
    assert found.correct is not None and found.score == float(found.correct)
    assert not (found.correct and found.answer is None)


def test_an_answer_of_a_thousand_digits_or_a_megabyte_is_quick():
    start = time.perf_counter()
    assert grade_text("numeric", "7", "9" * 100_000).correct is False
    assert grade_text("numeric", "7", "The answer is " * 100_000).correct is False
    assert grade_text("numeric", "7", "\\boxed{" * 20_000).correct is False
    assert grade_text("exact", "7", "{" * 1_000_000).correct is False
    assert time.perf_counter() - start < 5
    first, second = (grade_text("numeric", "7", digit * 5000).answer for digit in "89")
    assert first != second and len(first) < 200


def test_an_unknown_verifier_is_reported_with_the_nearest():
    with pytest.raises(TaskMistake, match="Did you mean numeric"):
        grade_text("numerc", "1", "1")


def test_verdicts_do_not_depend_on_what_was_judged_before():
    problem = make_problem("t", "q", "7", "numeric")
    texts = ["7", "8", "Answer: 7.0", "none"]
    alone = {text: grade(problem, text, "stop") for text in texts}
    for seed in range(5):
        for text in random.Random(seed).sample(texts, len(texts)):
            assert grade(problem, text, "stop") == alone[text]
