"""What the model says of its own step."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, ClassVar

from pydantic import Field

from isocost.methods.base import Asked, Call, Reply
from isocost.methods.scorers.base import SCORERS, Scorer, Scores
from isocost.methods.turns import user
from isocost.methods.verdicts import choice_verdict

_MARKER = re.compile(r"\{(question|solution|step)\}")


@SCORERS.add
class SelfEvaluation(Scorer):
    """P(yes) / (P(yes) + P(no)) of the model asked whether the last step is right.

    The self-evaluation of a step in Xie et al. 2023, without their examples, with one call of one
    token per step. If neither answer is among the model's most likely tokens, the score is 0.
    """

    name: ClassVar[str] = "self_evaluation"
    source: ClassVar[str] = "Xie et al. 2023, arXiv:2305.00633 (correctness)"
    calls: ClassVar[int] = 1
    needs: ClassVar[tuple[str, ...]] = ("scores_choices",)

    instruction: Annotated[str, Field(min_length=1)] = (
        "Here is a problem and the beginning of a solution.\n\nProblem:\n{question}\n\n"
        "Solution so far:\n{solution}\n\n"
        "Is the last step of the solution correct? Answer with yes or no only."
    )
    """What asks for the verdict. {question}, {solution} and {step} are filled in."""
    yes: Annotated[str, Field(min_length=1)] = "yes"
    """The answer that says that the step is right."""
    no: Annotated[str, Field(min_length=1)] = "no"
    """The answer that says that it is wrong."""

    def scores(
        self, asked: Asked, solutions: Sequence[tuple[str, ...]], replies: Sequence[Reply]
    ) -> Scores:
        """See `Scorer`."""
        verdicts = yield [
            Call(
                (user(self._filled(asked.question, "".join(steps), reply.text)),),
                role="score",
                parent=reply.index,
                choices=(self.yes, self.no),
            )
            for steps, reply in zip(solutions, replies, strict=True)
        ]
        return [_score(verdict) for verdict in verdicts]

    def _filled(self, question: str, solution: str, step: str) -> str:
        values = {"question": question, "solution": solution.strip(), "step": step.strip()}
        return _MARKER.sub(lambda found: values[found[1]], self.instruction)


def _score(reply: Reply) -> float:
    if reply.choice_logprobs is None:
        raise ValueError(f"the probabilities of the choices of call {reply.index} are unknown")
    return choice_verdict(reply.choice_logprobs) or 0.0
