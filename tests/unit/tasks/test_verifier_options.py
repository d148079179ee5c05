"""Options of verifiers: tolerance, percent, units, sets, intervals, and what they do to ids."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isocost.sweep.expand import expand
from isocost.sweep.loader import sweep_from_text
from isocost.tasks import (
    TaskMistake,
    answer_classes,
    check_options,
    grade,
    load_problems,
    make_problem,
    reference_fault,
)
from isocost.verifier_settings import given_text, identity_of, stated

RIGHT, WRONG = True, False


def verdict(verifier: str, options: dict[str, Any], reference: str, text: str) -> bool | None:
    return grade(make_problem("t", "?", reference, stated(verifier, options)), text, "stop").correct


NUMERIC = [
    ({"relative_tolerance": 0.01}, "3.14", "The answer is 3.1416", RIGHT),
    ({"relative_tolerance": 0.01}, "3.14", "The answer is 3.2", WRONG),
    ({"relative_tolerance": 0.01}, "100", "99", RIGHT),  # the edge belongs to it, exactly
    ({"relative_tolerance": 0.01}, "100", "98.999999999", WRONG),
    ({"relative_tolerance": 0.01}, "-100", "-99", RIGHT),
    ({"relative_tolerance": 0.5}, "0", "0.001", WRONG),
    ({"absolute_tolerance": 0.1}, "0", "0.1", RIGHT),
    ({"absolute_tolerance": 0.1}, "0", "0.1000001", WRONG),
    ({"relative_tolerance": 0.01}, "5", "no number", WRONG),
    ({"percent": "fraction"}, "0.25", "The answer is 25%", RIGHT),
    ({"percent": "fraction"}, "25%", "The answer is 0.25", RIGHT),
    ({"percent": "fraction"}, "25%", "The answer is 25", WRONG),
    ({"percent": "fraction"}, "0.25", "So we get 25 percent.", RIGHT),
    ({"percent": "either"}, "25%", "The answer is 25", RIGHT),
    ({"percent": "either"}, "25%", "The answer is 0.25", RIGHT),
    ({"percent": "either"}, "25%", "The answer is 2.5", WRONG),
    ({"percent": "fraction", "absolute_tolerance": 0.01}, "0.25", "The answer is 25.5%", RIGHT),
    ({}, "25", "The answer is 25%", RIGHT),
    ({}, "0.25", "The answer is 25%", WRONG),
    ({"units": True}, "5 km", "The answer is 5000 meters", RIGHT),
    ({"units": True}, "5 km", "It is 5000 m.", RIGHT),
    ({"units": True}, "5 km", "The answer is 5 meters", WRONG),
    ({"units": True}, "5 km", "The answer is 5", RIGHT),
    ({"units": True}, "5 km", "The answer is 5 kg", WRONG),
    ({"units": True}, "5", "The answer is 5 km", RIGHT),
    ({"units": True, "relative_tolerance": 0.01}, "1 h", "The answer is 59.5 minutes", RIGHT),
    ({}, "5 km", "The answer is 5 meters", RIGHT),
    ({"sets": True}, "1, 2, 3", "The answer is 3, 1, 2", RIGHT),
    ({"sets": True}, "1, 2, 3", r"\boxed{\{3, 2, 1\}}", RIGHT),
    ({"sets": True}, "1, 2, 3", "The answer is 1, 2", WRONG),
    ({"sets": True}, "1, 2", "The answer is 1, 1", WRONG),
    ({"sets": True}, "1, 1, 2", "The answer is 1, 2, 2", RIGHT),
    ({"sets": True}, "7", "The answer is 7", RIGHT),
    # 1.05 is near both, 1.1 near the second alone: an assignment exists, a greedy one fails.
    ({"sets": True, "absolute_tolerance": 0.06}, "1, 1.1", r"\boxed{1.05, 1}", RIGHT),
    ({"sets": True, "absolute_tolerance": 0.06}, "1.1, 1", r"\boxed{1.05, 1.15}", RIGHT),
    ({"in_interval": True}, "[1, 2)", "The answer is 1", RIGHT),
    ({"in_interval": True}, "[1, 2)", "The answer is 2", WRONG),
    ({"in_interval": True}, "[1, 2)", "The answer is 1.999", RIGHT),
    ({"in_interval": True}, "(1, 2)", "The answer is 1", WRONG),
]


@pytest.mark.parametrize(("options", "reference", "text", "right"), NUMERIC)
def test_numeric(options: dict[str, Any], reference: str, text: str, right: bool) -> None:
    assert verdict("numeric", options, reference, text) is right


SYMBOLIC = [
    ({"relative_tolerance": 0.01}, r"\pi", "The answer is 3.14", RIGHT),
    ({"relative_tolerance": 0.01}, r"\pi", "The answer is 3.2", WRONG),
    ({"relative_tolerance": 0.01}, "x = 2", "The answer is $x = 2.01$", RIGHT),
    ({"relative_tolerance": 0.01}, "x = 2", "The answer is $y = 2.01$", WRONG),
    ({"relative_tolerance": 0.01}, "(1, 2)", r"\boxed{(1.001, 2)}", RIGHT),
    ({"relative_tolerance": 0.01}, "(1, 2)", r"\boxed{[1.001, 2)}", WRONG),
    ({"relative_tolerance": 0.01}, "1, 2", r"\boxed{2.001, 1}", RIGHT),
    ({"relative_tolerance": 0.01}, "5 km", r"\boxed{5010 \text{ meters}}", RIGHT),
    ({"relative_tolerance": 0.01}, "x + 1", r"\boxed{x + 1.001}", WRONG),
    ({"percent": "fraction"}, r"50\%", r"\boxed{0.5}", RIGHT),
    ({"percent": "fraction"}, r"50\%", r"\boxed{50}", WRONG),
    ({}, r"50\%", r"\boxed{50}", RIGHT),
    ({"units": "required"}, r"5 \text{ km}", r"\boxed{5}", WRONG),
    ({"units": "required"}, r"5 \text{ km}", r"\boxed{5000 \text{ meters}}", RIGHT),
    ({}, r"5 \text{ km}", r"\boxed{5}", RIGHT),
    ({"in_interval": True}, "[3, 4]", r"\boxed{\pi}", RIGHT),
    ({"in_interval": True}, "[3, 3.1]", r"\boxed{\pi}", WRONG),
    ({"in_interval": True}, "[3, 4]", r"\boxed{x}", WRONG),
]


@pytest.mark.parametrize(("options", "reference", "text", "right"), SYMBOLIC)
def test_symbolic(options: dict[str, Any], reference: str, text: str, right: bool) -> None:
    assert verdict("symbolic", options, reference, text) is right


@given(
    st.fractions(-1000, 1000, max_denominator=10**6),
    st.fractions(-1000, 1000, max_denominator=10**6),
    st.sampled_from([0.001, 0.01, 0.5]),
)
def test_a_tolerance_is_exactly_its_rule(answer: Fraction, reference: Fraction, by: float) -> None:
    spelled = [f"{x.numerator}/{x.denominator}" for x in (answer, reference)]
    found = verdict("numeric", {"relative_tolerance": by}, spelled[1], rf"\boxed{{{spelled[0]}}}")
    assert found is (abs(answer - reference) <= Fraction(str(by)) * abs(reference))


def test_answers_within_the_tolerance_of_each_other_stay_different_classes() -> None:
    near = make_problem("t", "?", "10", stated("symbolic", {"relative_tolerance": 0.5}))
    assert len(set(answer_classes(near, ["10", "11", "12", "9.0"]))) == 4
    # All of these are wrong, so that only the meaning of percent keeps them apart.
    share = make_problem("t", "?", "7", stated("symbolic", {"percent": "fraction"}))
    bare, percent, half = answer_classes(share, ["50", "50%", "0.5"])
    assert percent == half != bare
    usual = make_problem("t", "?", "7", "symbolic")
    assert len(set(answer_classes(usual, ["50", "50%"]))) == 1


@pytest.mark.parametrize(
    ("verifier", "options", "reference"),
    [
        ("numeric", {"in_interval": True}, "3"),
        ("symbolic", {"in_interval": True}, "3"),
        ("numeric", {"units": True}, "many"),
        ("numeric", {"units": True}, "1, 2"),
    ],
)
def test_a_reference_must_suit_the_options(verifier: str, options: Any, reference: str) -> None:
    assert reference_fault(stated(verifier, options), reference)


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        ('numeric {"tolerance":1}', ("verifier", "tolerance"), "relative_tolerance"),
        ('numeric {"relative_tolerance":-1}', ("verifier", "relative_tolerance"), "greater"),
        ('numeric {"percent":"maybe"}', ("verifier", "percent"), "either"),
        ('exact {"percent":"either"}', ("verifier", "percent"), "no options"),
        ("numeric [1]", ("verifier",), "not a mapping"),
        ("numeric {", ("verifier",), "cannot be read"),
        ("nomeric", ("verifier",), "Did you mean numeric"),
    ],
)
def test_wrong_options_are_named(text: str, key: tuple[str, ...], words: str) -> None:
    with pytest.raises(TaskMistake) as caught:
        check_options(text)
    assert caught.value.key == key and words in str(caught.value)


_SWEEP = """\
sweep: s
models: [{name: m, path: /m, dtype: float32}]
engine: {max_model_len: 512, kv_cache_bytes: 1 GiB}
tasks:
  - name: t
    source: inline
    dataset: d
    config: {problems: [{question: "1 + 1?", reference: "2"}]}
    n_problems: 1
    verifier: VERIFIER
prompts: [{name: p, template: "{question}"}]
grid: {temperature: 0.0, max_tokens: 8}
samples_per_problem: 1
"""
_PLAIN_POINT, _PLAIN_PROBLEM = "pt-229b338850076c0a", "t-e3a90d1ca0ab"
"""Ids of before verifiers had options."""


def ids_of(verifier: str) -> tuple[str, str]:
    (planned,) = expand(sweep_from_text(_SWEEP.replace("VERIFIER", verifier)))
    return planned.point.point_id, load_problems(planned.point.task)[0].problem_id


def test_options_are_identity_and_old_ids_stay() -> None:
    assert ids_of("numeric") == ids_of("{name: numeric}") == (_PLAIN_POINT, _PLAIN_PROBLEM)
    other = ids_of("{name: numeric, relative_tolerance: 0.01}")
    assert other[0] != _PLAIN_POINT and other[1] != _PLAIN_PROBLEM
    assert other == ids_of('{relative_tolerance: 0.01, name: "numeric"}')


def test_how_a_judge_is_reached_is_not_identity() -> None:
    there = "{name: judge, model: j, base_url: 'http://a/v1', rubric: 'is {answer} right?'}"
    moved = there.replace("//a/", "//b/").replace("model: j", "model: j, api_key_variable: KEY")
    assert ids_of(there) == ids_of(moved)
    assert ids_of(there) == ids_of(there.replace("model: j", "model: j, gold: numeric"))
    for change in (("right", "wrong"), ("model: j", "model: k"), ("name:", "max_tokens: 9, name:")):
        assert ids_of(there)[0] != ids_of(there.replace(*change))[0]
        assert ids_of(there)[1] != ids_of(there.replace(*change))[1]
    assert identity_of('judge {"extra_body":{"price":1}}') == 'judge {"extra_body":{"price":1}}'


def test_a_command_line_takes_a_name_its_text_or_yaml() -> None:
    text = stated("numeric", {"units": True})
    assert given_text("numeric") == "numeric"
    assert given_text(text) == given_text("{name: numeric, units: true}") == text
    assert given_text("name: numeric\nunits: true\n") == text
    for wrong in ("{units: true}", "a: [", "[1]"):
        with pytest.raises(ValueError, match=r"."):
            given_text(wrong)
