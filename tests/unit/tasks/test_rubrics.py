"""What a judge is asked, how its reply is read, and the verdict of several."""

from __future__ import annotations

import time
from itertools import product
from typing import Any

import pytest

from isocost.errors import IsocostError
from isocost.intake.preflight import preflight
from isocost.tasks import Problem, TaskMistake, check_options, grade, make_problem
from isocost.tasks.rubrics import (
    ANSWER_FIRST,
    DEFAULT_RUBRIC,
    REFERENCE_FIRST,
    ByScore,
    ByWord,
    JudgeSettings,
    Reading,
    filled,
    majority,
    reading,
    requests_of,
)
from isocost.verifier_settings import stated

ONE = {"model": "j", "base_url": "http://localhost:1/v1"}


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("VERDICT: CORRECT", True),
        ("They agree.\n\n**Verdict: Incorrect.**\n", False),
        ("correct", True),
        ("Final verdict = INCORRECT", False),
        ("VERDICT: INCORRECT\nNo, wait.\nVERDICT: CORRECT", True),
        ("The answer is not correct.", None),  # a sentence is not a verdict
        ("It is correct or incorrect.", None),
        ("VERDICT: NOT CORRECT", None),
        ("**Verdict**: CORRECT", True),
        ("- *Verdict:* `incorrect`", False),
        ("判定：CORRECT", True),
        ("Приговор: INCORRECT", False),
        ("", None),
        ("42", None),
        ("<think>VERDICT: CORRECT</think>I cannot tell.", None),
        ("<think>VERDICT: CORRECT</think>VERDICT: INCORRECT", False),
    ],
)
def test_a_verdict_by_word_is_a_line(text: str, verdict: bool | None) -> None:
    settings = JudgeSettings.model_validate(ONE)
    (request,) = requests_of(settings, make_problem("t", "q", "r", "judge"), "a")
    found = reading(settings, request, text)
    assert found.correct is verdict
    assert (found.reason is None) is (verdict is not None)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Score: 7", (True, 0.7)),
        ("score: 6.5/10", (False, 0.65)),
        ("**10**", (True, 1.0)),
        ("**Score**: 8", (True, 0.8)),
        ("- Score: 8 / 10.0", (True, 0.8)),
        ("8 out of 10", (True, 0.8)),
        ("Score: 3/5", (None, None)),  # another scale: 3 of 10 is not what it says
        ("Score: 8%", (None, None)),
        ("Grade: 11", (None, None)),  # outside the scale: nonsense, not the best grade
        ("Score: -1", (None, None)),
        ("I give 7 points", (None, None)),
        ("Step 1\nScore: 3\nthanks", (False, 0.3)),
    ],
)
def test_a_verdict_by_score(text: str, found: tuple[bool | None, float | None]) -> None:
    assert ByScore(score=(0, 10), passes=7).read(text) == found


def test_a_percent_sign_is_of_a_scale_to_100() -> None:
    assert ByScore(score=(0, 100), passes=70).read("Score: 80%") == (True, 0.8)


def test_the_last_line_of_a_truncated_reply_is_not_a_verdict() -> None:
    """ "Score: 1" may be the beginning of "Score: 10"."""
    options = {**ONE, "verdict": {"score": [0, 10], "passes": 7}}
    settings = JudgeSettings.model_validate(options)
    (request,) = requests_of(settings, make_problem("t", "q", "r", "judge"), "a")
    for text, expected in (("Score: 1", None), ("Score: 8\nScore: 1", True), ("Score: 8\n", True)):
        assert reading(settings, request, text, is_truncated=True).correct is expected
    assert reading(settings, request, "Score: 1").correct is False


@pytest.mark.parametrize("letter", ["!", "*", " ", "a", "1", "=", "a:", "\n"])
def test_endless_nonsense_is_read_in_no_time(letter: str) -> None:
    text = "VERDICT: CORRECT\n" + 200_000 * letter + "x"
    begun = time.process_time()
    assert ByWord().read(text) == (True, 1.0)
    assert ByScore(score=(0, 10), passes=7).read("Score: 9\n" + text) == (True, 0.9)
    assert time.process_time() - begun < 5


def test_own_words_are_read_literally() -> None:
    rule = ByWord(correct="A (yes)", incorrect="B.*")
    assert rule.read("A (yes)") == (True, 1.0)
    assert rule.read("Bxx") == (None, None) and rule.read("B.*") == (False, 0.0)


def problem() -> Problem:
    return make_problem("t", "1 + {answer}?", "two {pair}", "judge", fields={"context": "sums"})


def test_a_rubric_is_filled_once_and_swapped_without_changing_its_labels() -> None:
    first = filled(DEFAULT_RUBRIC, REFERENCE_FIRST, problem(), "my {reference}")
    second = filled(DEFAULT_RUBRIC, ANSWER_FIRST, problem(), "my {reference}")
    # Braces in question, reference and answer are theirs.
    for text in (first, second):
        assert "1 + {answer}?" in text
        assert "Reference answer:\ntwo {pair}" in text
        assert "Submitted answer:\nmy {reference}" in text
    assert first.index("Reference answer:") < first.index("Submitted answer:")
    assert second.index("Reference answer:") > second.index("Submitted answer:")
    assert sorted(first.split("\n\n")) == sorted(second.split("\n\n"))
    tex = r"Put {question}{answer} in \boxed{answer}, x_{answer} or a^{answer}."
    shown = filled(tex, "as_written", make_problem("t", "Q", "R", "judge"), "A")
    assert shown == r"Put QA in \boxed{answer}, x_{answer} or a^{answer}."
    assert (
        filled('{context}: {answer} {"a": 1}', "as_written", problem(), "x") == 'sums: x {"a": 1}'
    )


def test_requests_of_equal_content_have_equal_keys_and_nothing_of_the_access() -> None:
    def keys(**change: Any) -> list[str]:
        settings = JudgeSettings.model_validate({**ONE, "swap": True, **change})
        return [one.key for one in requests_of(settings, problem(), "a")]

    assert len(set(keys())) == 2
    same = {"base_url": "http://other/v2", "api_key_variable": "K", "in_flight": 1, "price": "p"}
    assert keys() == keys(**same)
    for change in ({"model": "k"}, {"temperature": 1.0}, {"seed": 1}, {"extra_body": {"top_p": 1}}):
        assert not set(keys()) & set(keys(**change))


def votes(*said: bool | None, orders: int = 1) -> list[Reading]:
    names = [REFERENCE_FIRST, ANSWER_FIRST][:orders]
    return [
        Reading(
            f"j{index // orders}",
            names[index % orders],
            one,
            None if one is None else float(one),
            "judge_away" if one is None else None,
        )
        for index, one in enumerate(said)
    ]


def judges(n: int, **more: Any) -> JudgeSettings:
    listed = [{**ONE, "name": f"j{i}", "seed": i} for i in range(n)]
    return JudgeSettings.model_validate({"judges": listed, **more})


def test_a_verdict_is_what_missing_votes_cannot_change() -> None:
    """Oracle: whatever the missing judges would say, most judges say the same."""
    for n in (1, 2, 3, 5):
        for said in product([True, False, None], repeat=n):
            outcomes = set()
            for rest in product([True, False], repeat=said.count(None)):
                filler = iter(rest)
                full = [next(filler) if one is None else one for one in said]
                yes = sum(full)
                outcomes.add(None if 2 * yes == n else 2 * yes > n)
            expected = outcomes.pop() if len(outcomes) == 1 else None
            found = majority(judges(n), votes(*said))
            assert found.correct is expected, said
            assert (found.reason is None) is (expected is not None)


def test_a_judge_that_changes_its_mind_with_the_order_has_no_vote() -> None:
    swapped = judges(1, swap=True)
    assert majority(swapped, votes(True, True, orders=2)).correct is True
    assert majority(swapped, votes(True, False, orders=2)).reason == "judge_inconsistent"
    three = judges(3, swap=True)
    assert majority(three, votes(True, True, True, False, True, True, orders=2)).correct is True
    assert majority(three, votes(True, True, True, False, False, False, orders=2)).correct is None
    assert majority(judges(2), votes(True, False)).reason == "judge_no_majority"


@pytest.mark.parametrize(
    ("options", "key", "words"),
    [
        ({}, ("verifier",), "model"),
        ({"model": "j"}, ("verifier",), "base_url"),
        ({**ONE, "rubrik": "x"}, ("verifier", "rubrik"), "Did you mean rubric"),
        ({**ONE, "rubric": "no place"}, ("verifier",), "{answer}"),
        ({**ONE, "swap": True, "rubric": "{answer}"}, ("verifier",), "{pair}"),
        ({**ONE, "swap": True, "rubric": "{pair} {answer}"}, ("verifier",), "order"),
        ({**ONE, "temperature": 3}, ("verifier", "temperature"), "less"),
        ({**ONE, "base_url": "ftp://x"}, ("verifier", "base_url"), "HTTP"),
        ({**ONE, "base_url": "http://h:99999/v1"}, ("verifier", "base_url"), "HTTP"),
        ({**ONE, "base_url": "http://[::1/v1"}, ("verifier", "base_url"), "HTTP"),
        ({**ONE, "base_url": "http://:8000/v1"}, ("verifier", "base_url"), "HTTP"),
        ({**ONE, "verdict": "CORRECT"}, ("verifier", "verdict"), "a mapping with correct"),
        ({**ONE, "verdict": {"correct": True}}, ("verifier", "verdict", "correct"), "Quote it"),
        ({"judges": ["j"]}, ("verifier", "judges", 0), "a mapping of options"),
        ({**ONE, "verdict": {"score": [0, 10], "passes": 11}}, ("verifier", "verdict"), "passes"),
        ({**ONE, "verdict": {"correct": "A", "incorrect": "a"}}, ("verifier", "verdict"), "same"),
        ({**ONE, "verdict": {"correct": "A", "incorrect": " a "}}, ("verifier", "verdict"), "same"),
        ({**ONE, "verdict": {"correct": "A\nB"}}, ("verifier", "verdict"), "not a word"),
        ({**ONE, "verdict": {"correct": "--"}}, ("verifier", "verdict"), "not a word"),
        ({**ONE, "extra_body": {"stream": True}}, ("verifier", "extra_body"), "stream"),
        ({**ONE, "name": "majority"}, ("verifier",), "row of all judges"),
        ({"judges": [ONE, ONE]}, ("verifier",), "called j"),
        ({"judges": [ONE, {**ONE, "name": "k"}]}, ("verifier",), "same model"),
        ({"judges": [ONE], "model": "j"}, ("verifier",), "under judges"),
        ({"judges": []}, ("verifier", "judges"), "at least 1"),
        (
            {"judges": [ONE, {"model": "k", "base_url": "http://u:secret@h/v1"}]},
            ("verifier", "judges", 1, "base_url"),
            "user or password",
        ),
    ],
)
def test_wrong_options_are_named(
    options: dict[str, Any], key: tuple[str | int, ...], words: str
) -> None:
    with pytest.raises(TaskMistake) as caught:
        check_options(stated("judge", options) if options else "judge")
    assert caught.value.key == key and words in str(caught.value)
    assert "secret" not in str(caught.value)


_SWEEP = """\
sweep: s
models: [{name: m, path: m}]
engine: {engine: openai, options: {base_url: "http://localhost:1/v1"}}
tasks:
  - name: t
    source: inline
    dataset: d
    config: {problems: [{question: "1 + 1?", reference: "a pair"}]}
    n_problems: 1
    verifier:
      name: judge
      model: j
      base_url: "http://localhost:1/v1"
      LINE
prompts: [{name: p, template: "{question}"}]
grid: {temperature: 0.0, max_tokens: 8}
samples_per_problem: 1
"""


@pytest.mark.parametrize(
    ("line", "where", "words"),
    [
        ('rubric: "{answer} by {criteria}"', "tasks[0].verifier.rubric", "{criteria}"),
        ("api_key_variable: ISOCOST_NO_SUCH_KEY", "verifier.api_key_variable", "is not set"),
        ("max_token: 5", "verifier.max_token", "no option"),
        ("gold: numeric", "verifier.gold", "is not a number"),
        ("gold: nomeric", "verifier.gold", "unknown verifier"),
        ("gold: {name: judge, model: k, base_url: 'http://h'}", "verifier.gold", "with a judge"),
        ("api_key: sk-1234567890", "verifier.api_key", "is a credential"),
        ("api_key_variable: sk-1234567890", "api_key_variable", "not the name of an environment"),
        ("seed: 1.5", "verifier.seed", "integer"),
        ("verdict: {correct: yes, incorrect: no}", "verifier.verdict.correct", "string"),
        ("verdict: {score: [0, .inf], passes: 1}", "verifier.verdict.score[1]", "finite"),
    ],
)
def test_mistakes_are_found_before_anything_starts(
    tmp_path, line: str, where: str, words: str
) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(_SWEEP.replace("LINE", line))
    number = _SWEEP[: _SWEEP.index("LINE")].count("\n") + 1
    with pytest.raises(IsocostError) as caught:
        preflight(path)
    assert f"s.yaml line {number}" in caught.value.where, caught.value.where
    assert where in caught.value.where and words in caught.value.what
    assert "sk-1234567890" not in str(caught.value)


def test_grading_itself_asks_nothing() -> None:
    judged = make_problem("t", "q", "r", stated("judge", ONE))
    found = grade(judged, " <think>no</think> It is \n so. ", "stop")
    assert (found.parse_status, found.answer) == ("error", "It is\n so.")
    assert found.correct is None and found.reason == "not_judged"
    assert grade(judged, "It is so", "length").reason == "length"
    assert grade(judged, r"It is \boxed{so}", "length").reason == "not_judged"
    assert grade(judged, "", "stop").correct is False
