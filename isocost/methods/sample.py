"""The default method: a sample is one call."""

from __future__ import annotations

from typing import ClassVar

from isocost.methods.base import METHODS, Answer, Asked, Call, Method, Steps


@METHODS.add
class Sample(Method):
    """One call with the rendered prompt; its text is the answer."""

    name: ClassVar[str] = "sample"
    source: ClassVar[str] = "plain sampling"
    most_calls: ClassVar[int] = 1

    def run(self, asked: Asked) -> Steps:
        """See `Method`."""
        [reply] = yield [Call(asked.messages)]
        return Answer(reply.text, reply.index)
