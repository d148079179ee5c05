"""Budget forcing: thinking is cut at a number of tokens, or made to go on when it ends early."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from isocost.methods.base import METHODS, Answer, Asked, Call, Method, Reply, Steps
from isocost.methods.turns import Turn, tokens_of


@METHODS.add
class BudgetForcing(Method):
    """Think up to ``thinking_tokens``; extend early endings; force an answer where it was cut.

    Muennighoff et al. 2025, section 3.1. Thinking ends at the text ``end_of_thinking``, or, without
    one, with the model's turn. If it ends before the budget, ``wait`` takes the place of the
    ending and thinking goes on, ``extensions`` times. At the budget it is cut. The answer follows:

    - Thinking that was cut is continued by ``end_of_thinking`` and ``forcing``.
    - Thinking that ended at ``end_of_thinking`` is continued by it.
    - A turn that ended by itself, without ``end_of_thinking``, contains its answer.

    The answer after e extensions is kept for every e. It costs what a method with ``extensions`` of
    e would have spent, though its call runs beside the next stretch of thinking. The graded text is
    what follows the thinking, with what forced it: an intermediate result of the thinking is not
    the answer. Where the turn contains its answer, the whole turn is graded.

    The turn goes on after the first stretch's own tokens; after a forced text it goes on as text.
    ``end_of_thinking`` must be visible text, not a token that the decoder leaves out.
    """

    name: ClassVar[str] = "budget_forcing"
    source: ClassVar[str] = "Muennighoff et al. 2025, arXiv:2501.19393, section 3.1"
    unit: ClassVar[str] = "extensions"
    needs: ClassVar[tuple[str, ...]] = ("continues_tokens",)

    thinking_tokens: Annotated[int, Field(ge=1)] | None = None
    """Tokens of thinking at most, over all stretches; the point's budget if None."""
    extensions: Annotated[int, Field(ge=0, le=32)] = 1
    """Times that an early ending is extended (1 in their example; 0 only cuts)."""
    answer_tokens: Annotated[int, Field(ge=1)] | None = None
    """Tokens of the answer at most; the point's budget if None."""
    end_of_thinking: str = ""
    """Text that ends thinking, such as </think>; empty if the model does not mark it."""
    wait: Annotated[str, Field(min_length=1)] = "Wait"
    """What extends thinking (theirs)."""
    forcing: Annotated[str, Field(min_length=1)] = "\n\nFinal Answer:"
    """What asks for the answer after cut thinking (theirs)."""

    def run(self, asked: Asked) -> Steps:
        """See `Method`."""
        left = self.thinking_tokens or asked.max_tokens
        turn, before = Turn(), ""
        used: list[int] = []
        [reply] = yield [self._think(asked, turn, left)]
        for number in range(self.extensions + 1):
            used.append(reply.index)
            left -= len(tokens_of(reply))
            turn = turn.after(reply, stop=self.end_of_thinking)
            is_cut = reply.finish_reason != "stop"
            ending = self.end_of_thinking + (self.forcing if is_cut else "")
            wave = [self._answer(asked, turn.then(ending), reply)] if ending else []
            goes_on = not is_cut and left > 0 and number < self.extensions
            turn = turn.then(self.wait)
            further = [self._think(asked, turn, left, parent=reply.index)] if goes_on else []
            if ending:
                replies = yield [*wave, *further]
                text, last = ending + replies[0].text, replies[0].index
                yield Answer(text, last, budget=number, calls=[*used, last])
            else:
                yield Answer(before + reply.text, reply.index, budget=number, calls=list(used))
                replies = (yield further) if goes_on else []
            if not goes_on:
                return
            before += reply.text + self.wait
            reply = replies[-1]

    def _think(self, asked: Asked, turn: Turn, left: int, *, parent: int | None = None) -> Call:
        return Call(
            asked.messages,
            role="think",
            parent=parent,
            prefix=turn.prefix,
            continuation=turn.continuation,
            max_tokens=left,
            stop=(self.end_of_thinking,) if self.end_of_thinking else (),
        )

    def _answer(self, asked: Asked, turn: Turn, reply: Reply) -> Call:
        return Call(
            asked.messages,
            role="answer",
            parent=reply.index,
            prefix=turn.prefix,
            continuation=turn.continuation,
            max_tokens=self.answer_tokens,
        )
