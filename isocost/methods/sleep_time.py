"""Sleep-time compute: think about a context before its questions come, once for all of them."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from isocost.methods.base import METHODS, Answer, Asked, Call, Method, Steps
from isocost.methods.turns import user


@METHODS.add
class SleepTime(Method):
    """Write notes on the problem's context, then answer each question with the notes.

    Lin et al. 2025. The notes take the place of the context: they are made without knowledge of the
    question, once for all questions of the task about the context, and each question bears its part
    of their cost. Their time is not part of an answer's latency, because they are made before the
    question comes. Samples of one number share notes: the samples of a problem each have their own.

    The answer sees the notes and the point's prompt. A prompt with {context} shows the context
    itself beside them.
    """

    name: ClassVar[str] = "sleep_time"
    source: ClassVar[str] = "Lin et al. 2025, arXiv:2504.13171"
    most_calls: ClassVar[int] = 2
    needs_context: ClassVar[bool] = True

    sleep_tokens: Annotated[int, Field(ge=1)] | None = None
    """Tokens of the notes at most; the point's budget if None."""
    instruction: Annotated[str, Field(min_length=1)] = (
        "Questions about this text will follow. Write down what may help to answer them: draw "
        "conclusions, work out quantities that follow from the text, and keep every fact that may "
        "be needed, because the text will not be shown again."
    )
    """What asks for the notes (wording ours: the source asks for inferences about the context)."""

    def run(self, asked: Asked) -> Steps:
        """See `Method`."""
        think = user(f"{asked.context}\n\n{self.instruction}")
        [notes] = yield [Call((think,), role="sleep", max_tokens=self.sleep_tokens, shared=True)]
        *before, last = asked.messages
        told = {**last, "content": f"{notes.text}\n\n{last['content']}"}
        [reply] = yield [Call((*before, told), parent=notes.index)]
        return Answer(reply.text, reply.index)
