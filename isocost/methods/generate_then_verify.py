"""Generate, then verify: a solution and verdicts on it, for best-of-S by V verdicts in replay."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from isocost.methods.base import METHODS, Answer, Asked, Call, Method, Steps
from isocost.methods.turns import user


@METHODS.add
class GenerateThenVerify(Method):
    """One solution and ``verifications`` independent verdicts on it.

    Singhi et al. 2025 with the generative verifier of Zhang et al. 2024. The verdicts do not change
    the answer, and are not part of its cost: the strategy generate_then_verify chooses among S
    samples by the mean of V verdicts, for every S and V up to what is banked.

    With the verdict ``text`` the model reasons and ends with yes or no. With ``first_token`` it
    answers at once, and the verdict is the probability of yes against no: P(yes) / (P(yes) +
    P(no)). That is the same number every time, so only one verification is possible.
    """

    name: ClassVar[str] = "generate_then_verify"
    source: ClassVar[str] = (
        "Singhi et al. 2025, arXiv:2504.01005; Zhang et al. 2024, arXiv:2408.15240"
    )

    verifications: Annotated[int, Field(ge=1, le=512)] = 1
    """Verdicts per solution (no default in the source, which goes up to 128)."""
    verdict: Literal["text", "first_token"] = "text"
    """What the verdict is read from."""
    instruction: str = ""
    """What asks for a verdict, after the question and the solution; its own for each kind if
    empty."""
    choices: tuple[str, str] = ("Yes", "No")
    """Answers of a verdict by its first token: yes, then no."""
    temperature: Annotated[float, Field(ge=0)] | None = None
    """Of verdicts by text; the point's if None."""

    @model_validator(mode="after")
    def _one_first_token(self) -> GenerateThenVerify:
        if self.verdict == "first_token" and self.verifications > 1:
            raise ValueError("the verdict first_token is always the same: ask for 1 verification")
        return self

    def required(self) -> tuple[str, ...]:
        """See `Method`."""
        return ("scores_choices",) if self.verdict == "first_token" else ()

    def run(self, asked: Asked) -> Steps:
        """See `Method`."""
        [solution] = yield [Call(asked.messages)]
        by_token = self.verdict == "first_token"
        question = verification(
            asked, solution.text, self.instruction or _INSTRUCTION[self.verdict]
        )
        verify = Call(
            (user(question),),
            role="verify",
            parent=solution.index,
            temperature=None if by_token else self.temperature,
            choices=self.choices if by_token else (),
        )
        yield [verify] * self.verifications
        return Answer(solution.text, solution.index)


_INSTRUCTION = {
    "text": "Check the solution step by step. Then end with a line that says only Yes if its final "
    "answer is correct, or only No if it is not.",
    "first_token": "Is the final answer of this solution correct? Answer only Yes or No.",
}


def verification(asked: Asked, solution: str, instruction: str) -> str:
    """What a verifier is asked: the question, the solution, the instruction."""
    return f"Problem:\n{asked.question}\n\nSolution:\n{solution}\n\n{instruction}"
