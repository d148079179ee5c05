"""Self-Refine: the model gives feedback on its own answer and refines it."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from isocost.methods.base import METHODS, Answer, Asked, Call, Method, Reply, Steps
from isocost.methods.turns import replied


@METHODS.add
class SelfRefine(Method):
    """Answer, then alternate feedback and refinement until the feedback is content.

    Madaan et al. 2023, algorithm 1: feedback sees the question and the latest answer; a refinement
    sees all answers and feedback before it. It ends after ``rounds`` answers, or when the feedback
    contains ``done``. The answer after every round is kept. A round whose feedback ended the loop
    keeps the answer of the round before, and has the cost of that feedback.
    """

    name: ClassVar[str] = "self_refine"
    source: ClassVar[str] = "Madaan et al. 2023, arXiv:2303.17651, algorithm 1"
    unit: ClassVar[str] = "rounds"

    rounds: Annotated[int, Field(ge=1, le=64)] = 5
    """Answers at most, the first one included: four refinements, as in Madaan et al."""
    done: Annotated[str, Field(min_length=1)] = "it is correct"
    """What ends the loop if the feedback contains it, in any case (their code for arithmetic)."""
    feedback: Annotated[str, Field(min_length=1)] = (
        "Check your answer above step by step and say what is wrong with it and how to improve it. "
        'If nothing is wrong, say "it is correct".'
    )
    """What asks for feedback."""
    instruction: Annotated[str, Field(min_length=1)] = (
        "Use this feedback to give the full, improved solution."
    )
    """What asks for a refinement."""

    def run(self, asked: Asked) -> Steps:
        """See `Method`."""
        [answer] = yield [Call(asked.messages)]
        history = asked.messages
        for number in range(1, self.rounds):
            yield _answer(answer, number)
            question = replied(asked.messages, answer.text, self.feedback)
            [said] = yield [Call(question, role="feedback", parent=answer.index)]
            if self.done.casefold() in said.text.casefold():
                return _answer(answer, number + 1)
            history = replied(history, answer.text, self.feedback)
            history = replied(history, said.text, self.instruction)
            [answer] = yield [Call(history, role="refine", parent=said.index)]
        return _answer(answer, self.rounds)


def _answer(reply: Reply, number: int) -> Answer:
    return Answer(reply.text, reply.index, budget=number)
