"""Conversations that methods build from earlier replies.

Lives here: messages that go on, and the model's own turn that goes on (`Turn`). Not here: any
method.
"""

from __future__ import annotations

from dataclasses import dataclass

from isocost.methods.base import Message, Reply

Messages = tuple[Message, ...]


def user(text: str) -> Message:
    """A message from the user."""
    return {"role": "user", "content": text}


def replied(messages: Messages, answer: str, then: str) -> Messages:
    """The conversation after the model's answer and what the user says next."""
    return (*messages, {"role": "assistant", "content": answer}, user(then))


def extended(messages: Messages, text: str) -> Messages:
    """The same conversation with a paragraph at the end of its last message."""
    *before, last = messages
    return (*before, {**last, "content": f"{last['content']}\n\n{text}"})


@dataclass(frozen=True, slots=True)
class Turn:
    """The model's turn as it was until now, to be continued by a call.

    The first reply is kept as its tokens. After a forced text everything is kept as text, since a
    method does not know that text's tokens; the engine encodes it again.

    Attributes:
        prefix: for `Call.prefix`.
        continuation: for `Call.continuation`.
    """

    prefix: tuple[int, ...] = ()
    continuation: str = ""

    def then(self, text: str) -> Turn:
        """The turn with a text at its end."""
        return Turn(self.prefix, self.continuation + text)

    def after(self, reply: Reply, *, stop: str = "") -> Turn:
        """The turn with the reply that continued it.

        Args:
            reply: the reply.
            stop: text that may have ended it. Its tokens are among the reply's but the turn goes on
                without it, so a reply that it ended is kept as text.

        Raises:
            ValueError: the reply's tokens are needed and unknown.
        """
        if self.continuation or self.prefix or (stop and reply.stop_text == stop):
            return self.then(reply.text)
        return Turn(tokens_of(reply))


def tokens_of(reply: Reply) -> tuple[int, ...]:
    """The tokens of a reply.

    Raises:
        ValueError: the engine did not report them.
    """
    if reply.token_ids is None:
        raise ValueError(
            f"the engine reports no tokens of call {reply.index}, from which the next call goes on"
        )
    return reply.token_ids
