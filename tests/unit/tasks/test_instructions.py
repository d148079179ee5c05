"""The rules of IFEval's instructions, against replies that lm-evaluation-harness has judged.

The file holds drawn replies with the verdicts of its task ``ifeval`` (version 4): up to ten that
follow each instruction, and ten that do not.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from isocost.tasks import grade_text, reference_fault
from isocost.tasks.instructions import CHECKS, followed, reference_of

REPLIES = Path(__file__).with_name("ifeval_replies.jsonl")


def test_every_rule_judges_as_lm_evaluation_harness():
    rows = [json.loads(line) for line in REPLIES.read_text("utf-8").splitlines()]
    seen = Counter((row["instruction"], row["followed"]) for row in rows)
    assert set(seen) == {(name, verdict) for name in CHECKS for verdict in (True, False)}
    for row in rows:
        reference = reference_of([row["instruction"]], [row["parameters"]])
        assert followed(reference, row["reply"]) == [row["followed"]], row


def test_the_score_is_the_share_of_instructions_followed():
    reference = reference_of(
        ["punctuation:no_comma", "startend:quotation"], [{"num_words": None}, {}]
    )
    half = grade_text("instructions", reference, "no comma", "length")
    assert (half.correct, half.score, half.answer) == (False, 0.5, "no comma")
    assert grade_text("instructions", reference, ' "no comma" ', "stop").correct
    assert grade_text("instructions", reference, " \n", "stop").score == 0


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ("yes", "it is not JSON"),
        ("[]", "not a list of instructions"),
        ("{}", "not a list of instructions"),
        ("[[]]", "does not name its instruction"),
        ('[{"instruction": "language:response_language"}]', "cannot be checked"),
        ('[{"instruction": "startend:end_checker"}]', "needs a text end_phrase"),
        ('[{"instruction": "startend:end_checker", "end_phrase": 3}]', "needs a text end_phrase"),
        ('[{"instruction": "detectable_format:number_bullet_lists", "num_bullets": true}]',
         "needs a number num_bullets"),
        ('[{"instruction": "length_constraints:number_words", "num_words": 3, "relation": "over"}]',
         "neither 'less than' nor 'at least'"),
        ('[{"instruction": "keywords:existence", "keywords": ["("]}]', "is not a pattern"),
    ],
)  # fmt: skip
def test_a_reference_that_cannot_be_checked_is_named(reference, says):
    assert says in str(reference_fault("instructions", reference))
    assert grade_text("instructions", reference, "text", "stop").reason == "bad_reference"
