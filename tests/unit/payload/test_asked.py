"""What a method sees of a sample's problem."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sessions

from isocost.engines.protocol import Completion
from isocost.methods import Call
from isocost.payload.rows import generation_row
from isocost.payload.work import Work, asked_of_method, method_request, numbered, request_of
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


def sample_with(stop: tuple[str, ...]):
    work = Work(sessions.session("openai"))
    sample = next(work.samples(work.plan))
    prompt = sample.point.prompt.model_copy(update={"stop": stop})
    return replace(sample, point=sample.point.model_copy(update={"prompt": prompt}))


def test_stop_texts_of_the_prompt_end_every_answer_unless_a_method_has_its_own():
    sample = sample_with(("Q:",))
    assert request_of(sample, per_request_seed=False).stop == ("Q:",)
    asked = sample.asked.messages
    for call, stop, is_turn in (
        (Call(asked), ("Q:",), True),
        (Call(asked, stop=("\n\n",)), ("\n\n",), False),
        (Call(asked, prefix=(1,)), ("Q:",), False),
        (Call(asked, continuation="so"), ("Q:",), False),
        (Call(asked, choices=("yes", "no")), ("Q:",), False),
    ):
        made = method_request(sample, numbered(0, 0, call), per_request_seed=False)
        assert (made.stop, made.is_turn) == (stop, is_turn)


def test_reasoning_is_banked_beside_the_answer_and_never_exceeds_the_output():
    sample = sample_with(())
    request = request_of(sample, per_request_seed=False)

    def row(thought: int) -> dict:
        done = Completion(
            request.request_id, "7", None, "stop", output_tokens=9, reasoning_text="3 and 4",
            reasoning_tokens=thought,
        )  # fmt: skip
        return generation_row(
            sample, request, done, attempt=1, logprobs_k=0, window=8, is_warmup=False
        )

    found = row(8)
    assert (found["output_text"], found["reasoning_text"], found["reasoning_tokens"]) == (
        "7", "3 and 4", 8,
    )  # fmt: skip
    assert found["error"] is None
    found = row(10)
    assert found["reasoning_tokens"] is None and found["finish_reason"] == "stop"
    assert "reasoning_tokens (10) are more than output_tokens (9)" in found["error"]
