"""What a method sees of a sample's problem."""

from __future__ import annotations

import pytest
import sessions

from isocost.payload.work import Work, asked_of_method
from isocost.tasks import grade


@pytest.mark.parametrize("ended", [None, "stop", "length", "error"])
@pytest.mark.parametrize("text", ["3 and 4 is 7. So 12 and", "The answer is 7.", "7", ""])
def test_a_method_reads_the_answer_that_grading_reads(text, ended):
    work = Work(sessions.session("openai"))
    sample = next(work.samples(work.plan))
    read = asked_of_method(sample).answer_of(text, ended)
    assert read == (grade(sample.asked.problem, text, ended).answer or None)


def test_a_truncated_text_has_fewer_answers():
    work = Work(sessions.session("openai"))
    answer_of = asked_of_method(next(work.samples(work.plan))).answer_of
    assert answer_of("3 and 4 is 7. So 12 and") == "12"
    assert answer_of("3 and 4 is 7. So 12 and", "length") is None
