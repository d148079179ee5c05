"""An engine that answers by a function of the request, and methods that go wrong, for tests."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import ClassVar

import numpy as np

from isocost.capabilities import Capabilities
from isocost.engines.logprobs import TokenLogprobs
from isocost.engines.protocol import Completion, Request


def words(text: str) -> tuple[int, ...]:
    """One token per word, the same for the same word."""
    return tuple(sum(map(ord, word)) % 50_000 for word in text.split())


class ScriptedEngine:
    """Replies with `reply(request)`, a text or a completion, last request first in each step."""

    name = "openai"
    capabilities: ClassVar[Capabilities] = Capabilities(
        loads_model=False,
        computes_here=False,
        has_steps=False,
        counts_cached_tokens=False,
        reports_prompt_lengths=False,
        reports_configuration=False,
        reports_version=False,
        continues_tokens=True,
        scores_choices=True,
    )
    reply: ClassVar[Callable[[Request], str | Completion]] = staticmethod(lambda request: "")
    context: ClassVar[int | None] = None
    asked: ClassVar[list[Request]] = []
    at_once: ClassVar[int] = 3
    most_in_flight: ClassVar[int] = 0

    def __init__(self, settings):
        self._waiting: deque[Request] = deque()

    def check(self):
        pass

    def prompt_lengths(self, prompts):
        return None

    def room(self, request):
        if self.context is None:
            return None
        texts = " ".join(m["content"] for m in request.messages) + " " + request.continuation
        return self.context - len(words(texts)) - len(request.prefix)

    def start(self):
        pass

    def describe(self):
        return {"engine": self.name}

    def add(self, request):
        type(self).asked.append(request)
        self._waiting.append(request)
        type(self).most_in_flight = max(self.most_in_flight, len(self._waiting))

    def step(self):
        done = []
        while self._waiting and len(done) < self.at_once:
            request = self._waiting.pop()
            made = type(self).reply(request)
            done.append(made if isinstance(made, Completion) else completion(request, made))
        return done

    def unfinished(self):
        return len(self._waiting)

    def settle(self):
        pass

    def drain_steps(self):
        return []

    def close(self):
        pass


def completion(request: Request, text: str, **changes) -> Completion:
    """A completion of a text, with log-probabilities and times."""
    tokens = words(text)[: request.max_tokens]
    now = time.monotonic()
    values = {
        "request_id": request.request_id,
        "text": text,
        "token_ids": list(tokens),
        "finish_reason": "stop",
        "prompt_tokens": 5 + len(request.prefix),
        "output_tokens": len(tokens),
        "logprobs": TokenLogprobs(
            np.full(len(tokens), -0.25), np.full((len(tokens), 5), -2.0), 1000
        ),
        "arrival_unix_s": time.time(),
        "queued_s": now,
        "scheduled_s": now,
        "first_token_s": now + 1e-4,
        "last_token_s": now + 2e-4,
    }
    return Completion(**{**values, **changes})
