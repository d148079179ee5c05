"""What a process reward model says of a step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from isocost.methods.base import Alias, Asked, Call, Reply
from isocost.methods.scorers.base import SCORERS, Scorer, Scores
from isocost.methods.turns import user


@SCORERS.add
class ProcessReward(Scorer):
    """The score of the last step by a process reward model, which is a partner.

    Lightman et al. 2023; the chance that the step is right, as such models are served (Zhang et al.
    2025). One call per step sees the question and the whole solution until then, and generates
    nothing.
    """

    name: ClassVar[str] = "process_reward"
    source: ClassVar[str] = (
        "Lightman et al. 2023, arXiv:2305.20050; Zhang et al. 2025, arXiv:2501.07301"
    )
    calls: ClassVar[int] = 1

    model: Alias = "reward"
    """Alias of the partner with the process reward model."""

    def partners(self) -> Mapping[str, tuple[str, ...]]:
        """See `Scorer`."""
        return {self.model: ("scores_steps",)}

    def scores(
        self, asked: Asked, solutions: Sequence[tuple[str, ...]], replies: Sequence[Reply]
    ) -> Scores:
        """See `Scorer`."""
        judged = yield [
            Call(
                (user(asked.question),),
                role="score",
                parent=reply.index,
                steps=tuple(step.strip() for step in steps),
                partner=self.model,
            )
            for steps, reply in zip(solutions, replies, strict=True)
        ]
        return [_last(reply) for reply in judged]


def _last(reply: Reply) -> float:
    if not reply.step_scores:
        raise ValueError(f"the step scores of call {reply.index} are unknown")
    return reply.step_scores[-1]
