"""Parallel-Distill-Refine: rounds of parallel drafts, joined by a bounded workspace."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from isocost.methods.base import METHODS, Answer, Asked, Call, Method, Reply, Steps
from isocost.methods.turns import extended


@METHODS.add
class ParallelDistillRefine(Method):
    """Drafts in parallel, distilled into a workspace, from which the next round starts.

    Madaan et al. 2025, with a global summary as the workspace: it has at most ``workspace_tokens``
    tokens, is written again in each round and is all that the next round sees besides the question.
    The last round is a single answer. With one draft it is their sequential refinement.

    The answer after round t is its first draft, which cost the rounds before it and that draft
    alone: exactly what a method with ``rounds`` of t would have asked. So a bank of T rounds has
    the curve for all t up to T.
    """

    name: ClassVar[str] = "parallel_distill_refine"
    source: ClassVar[str] = "Madaan et al. 2025, arXiv:2510.01123"
    unit: ClassVar[str] = "rounds"

    rounds: Annotated[int, Field(ge=1, le=16)] = 3
    """Rounds, the last one with its single answer included (no default in the source)."""
    drafts: Annotated[int, Field(ge=1, le=32)] = 4
    """Drafts of each round before the last (no default in the source)."""
    workspace_tokens: Annotated[int, Field(ge=1)] = 512
    """Tokens of the workspace at most (no default in the source)."""
    distill: Annotated[str, Field(min_length=1)] = (
        "Above are a problem and drafts of its solution. Write a short summary for someone who will"
        " solve the problem without seeing the drafts: what they agree on, where they contradict "
        "each other, which intermediate results are certain, and what is still open."
    )
    """What asks for the workspace, after the question and the drafts."""
    refine: Annotated[str, Field(min_length=1)] = (
        "Notes from earlier attempts at this problem, which may contain mistakes:"
    )
    """What introduces the workspace after the question."""

    def run(self, asked: Asked) -> Steps:
        """See `Method`."""
        messages, parent = asked.messages, None
        used: list[int] = []
        for number in range(1, self.rounds):
            draft = Call(messages, role="draft", parent=parent)
            drafts = yield [draft] * self.drafts
            first = drafts[0]
            yield Answer(first.text, first.index, budget=number, calls=[*used, first.index])
            [workspace] = yield [
                Call(
                    extended(asked.messages, self._drafts(drafts)),
                    role="distill",
                    parent=first.index,
                    max_tokens=self.workspace_tokens,
                )
            ]
            used += [*(reply.index for reply in drafts), workspace.index]
            messages = extended(asked.messages, f"{self.refine}\n\n{workspace.text}")
            parent = workspace.index
        [reply] = yield [Call(messages, role="draft", parent=parent)]
        return Answer(reply.text, reply.index, budget=self.rounds)

    def _drafts(self, drafts: list[Reply]) -> str:
        parts = [f"Draft {n}:\n{reply.text}" for n, reply in enumerate(drafts, 1)]
        return "\n\n".join([*parts, self.distill])
