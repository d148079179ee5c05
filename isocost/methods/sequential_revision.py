"""Sequential revision: each round sees the answers of the rounds before it."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from isocost.methods.base import METHODS, Answer, Asked, Call, Method, Steps


@METHODS.add
class SequentialRevision(Method):
    """Answer, then revise ``rounds - 1`` times in the same conversation.

    Parallel sampling's counterpart in Snell et al. 2024, section 6: a chain of revisions, each
    conditioned on the attempts before it, here by prompting. The answer after every round is kept,
    so a bank of T rounds has the curve for all t up to T.
    """

    name: ClassVar[str] = "sequential_revision"
    source: ClassVar[str] = "Snell et al. 2024, arXiv:2408.03314, section 6"
    unit: ClassVar[str] = "rounds"

    rounds: Annotated[int, Field(ge=1, le=64)] = 4
    """Answers in the chain, the first one included."""
    history: Annotated[int, Field(ge=1, le=64)] = 4
    """Earlier answers that a round sees, the most recent ones (Snell et al. use up to 4)."""
    instruction: Annotated[str, Field(min_length=1)] = (
        "Check your answer above for mistakes. Then give the full, corrected solution."
    )
    """What asks for a revision."""

    def run(self, asked: Asked) -> Steps:
        """See `Method`."""
        [reply] = yield [Call(asked.messages)]
        answers = [reply]
        for _ in range(self.rounds - 1):
            yield Answer(reply.text, reply.index, budget=len(answers))
            turns = [
                turn
                for answer in answers[-self.history :]
                for turn in (
                    {"role": "assistant", "content": answer.text},
                    {"role": "user", "content": self.instruction},
                )
            ]
            [reply] = yield [
                Call((*asked.messages, *turns), role="revise", parent=answers[-1].index)
            ]
            answers.append(reply)
        return Answer(reply.text, reply.index, budget=len(answers))
