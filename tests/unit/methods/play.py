"""Runs a method alone, against a function that plays the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from isocost.methods import Answer, Asked, Call, Method, Reply, method_of

Model = Callable[[Call], "str | Mapping[str, Any]"]


@dataclass
class Played:
    """What a method did: its waves of calls, the replies, and its answers, the last one final."""

    waves: list[list[Call]] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)

    @property
    def calls(self) -> list[Call]:
        return [call for wave in self.waves for call in wave]


def asked(question: str = "What is 6 * 7?", **changes: Any) -> Asked:
    values: dict[str, Any] = {
        "messages": ({"role": "user", "content": question},),
        "question": question,
        "max_tokens": 100,
        "answer_of": lambda text, finish_reason=None: text.split()[-1] if text.split() else None,
        "same": lambda one, other: one == other,
        "draw": lambda purpose: (hash(purpose) % 1000) / 1000,
        "context": "There are six bags of seven marbles.",
    }
    return Asked(**{**values, **changes})


def play(method: Method, model: Model, question: Asked | None = None) -> Played:
    """Run a method to its end.

    Args:
        method: the method.
        model: the text of a reply, or the fields of `Reply` to set.
        question: what is asked.
    """
    found = Played()
    steps = method.run(question or asked())
    sent: list[Reply] | None = None
    while True:
        try:
            got = next(steps) if sent is None else steps.send(sent)
        except StopIteration as stop:
            if stop.value is not None:
                found.answers.append(stop.value)
            return found
        if isinstance(got, Answer):
            found.answers.append(got)
            sent = []
            continue
        found.waves.append(list(got))
        sent = [_reply(len(found.replies) + i, call, model(call)) for i, call in enumerate(got)]
        found.replies += sent


def _reply(index: int, call: Call, said: str | Mapping[str, Any]) -> Reply:
    fields = {"text": said} if isinstance(said, str) else dict(said)
    text = fields.get("text", "")
    tokens = tuple(sum(map(ord, word)) % 50_000 for word in text.split())
    values: dict[str, Any] = {
        "index": index,
        "text": text,
        "token_ids": tokens,
        "finish_reason": "stop",
        "output_tokens": len(tokens),
        "logprob_sum": -0.1 * len(tokens),
        "choice_logprobs": None,
    }
    return Reply(**{**values, **fields})


def made(name: str, **parameters: Any) -> Method:
    return method_of(name, parameters)
