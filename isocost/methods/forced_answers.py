"""Forced answers: one long trace, asked for its answer after several numbers of tokens."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, ClassVar

from pydantic import Field, field_validator

from isocost.methods.base import METHODS, Answer, Asked, Call, Method, Steps
from isocost.methods.turns import Turn, tokens_of

PARTS = 4


@METHODS.add
class ForcedAnswers(Method):
    """One trace, and the answer that is forced after each of ``budgets`` tokens of it.

    Qi et al. 2025 (AnytimeReasoner) and Xu et al. 2025 (Elastic Reasoning: a budget for thinking
    and one for the solution). The probes run at the same time; each goes on after the first b
    tokens of the trace and a forcing text, and costs those tokens and its own.

    The last answer is that of the whole trace. Without ``end_of_thinking`` it is the trace itself,
    if that ended. A trace that was cut by the point's budget, or that ended at ``end_of_thinking``,
    has no answer yet: it is probed at its end. Its budget is the first of ``budgets`` that it fits
    into, or the point's, so that all samples have answers at the same budgets.

    The graded text of a probe is the forcing text and what follows, not the trace before it: the
    text of the first b tokens is not known without the model's tokenizer, and an intermediate
    result in it, such as a box, could be mistaken for the answer. The forcing text is part of it
    because the marks in it (``end_of_thinking``, "Final Answer:") tell graders where the answer is.
    """

    name: ClassVar[str] = "forced_answers"
    source: ClassVar[str] = "Qi et al. 2025, arXiv:2505.13438; Xu et al. 2025, arXiv:2505.05315"
    unit: ClassVar[str] = "tokens"
    needs: ClassVar[tuple[str, ...]] = ("continues_tokens",)

    budgets: tuple[Annotated[int, Field(ge=1)], ...] = ()
    """Tokens of the trace after which it is probed, increasing; a quarter, a half and three
    quarters of the point's budget if empty (with the whole, the four that Qi et al. evaluate)."""
    answer_tokens: Annotated[int, Field(ge=1)] | None = None
    """Tokens of a forced answer at most; the point's budget if None."""
    end_of_thinking: str = ""
    """Text that ends thinking, such as </think>; empty if the model does not mark it."""
    forcing: Annotated[str, Field(min_length=1)] = "\n\nFinal Answer:"
    """What asks for the answer after a cut trace (that of Muennighoff et al. 2025)."""

    @field_validator("budgets")
    @classmethod
    def _increase(cls, budgets: tuple[int, ...]) -> tuple[int, ...]:
        if any(one >= next_ for one, next_ in pairwise(budgets)):
            raise ValueError("budgets must increase")
        if len(budgets) > cls.most_calls - 2:
            raise ValueError(f"more than {cls.most_calls - 2} budgets")
        return budgets

    def run(self, asked: Asked) -> Steps:
        """See `Method`."""
        mark = self.end_of_thinking
        [trace] = yield [Call(asked.messages, stop=(mark,) if mark else ())]
        tokens = tokens_of(trace)
        grid = self.budgets or _parts(asked.max_tokens)
        budgets = [b for b in grid if b < len(tokens)]
        fits = next((b for b in grid if b >= len(tokens)), max(asked.max_tokens, len(tokens)))
        forcing = mark + self.forcing
        if budgets:
            probes = yield [self._probe(asked, Turn(tokens[:b]).then(forcing)) for b in budgets]
            for b, reply in zip(budgets, probes, strict=True):
                yield Answer(
                    forcing + reply.text,
                    reply.index,
                    budget=b,
                    calls=[trace.index, reply.index],
                    cuts={trace.index: b},
                )
        is_cut = trace.finish_reason != "stop"
        if not mark and not is_cut:
            return Answer(trace.text, trace.index, budget=fits, calls=[trace.index])
        forcing = mark + (self.forcing if is_cut else "")
        [reply] = yield [self._probe(asked, Turn().after(trace, stop=mark).then(forcing))]
        return Answer(
            forcing + reply.text,
            reply.index,
            budget=fits,
            calls=[trace.index, reply.index],
        )

    def _probe(self, asked: Asked, turn: Turn) -> Call:
        return Call(
            asked.messages,
            role="answer",
            parent=0,
            prefix=turn.prefix,
            continuation=turn.continuation,
            max_tokens=self.answer_tokens,
        )


def _parts(most: int) -> tuple[int, ...]:
    """Equal parts of a budget, without the whole."""
    return tuple(sorted({most * part // PARTS for part in range(1, PARTS)} - {0}))
