"""Validate a server's stream as it arrives.

Lives here: server-sent events into `Answer`, with the type of every field checked, and the sums
that usage has to satisfy. Not here: the exchange (``openai_http``), the form of JSON and of
log-probabilities (``openai_json``) and ranges that apply to every engine
(``isocost.payload.judgement``).

A fault in the essentials of a sample (text, finish reason, choices) makes the answer unusable:
`Unusable`. A fault elsewhere (usage, log-probabilities, stop reason) costs only that value and is
noted.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from isocost.engines.logprobs import TokenLogprobs
from isocost.engines.openai_json import chat_logprobs, completion_logprobs, kind, strict_json
from isocost.engines.sse import DataLines

_FINISHED = {
    "eos": "stop",
    "eos_token": "stop",
    "stop_sequence": "stop",
    "end_turn": "stop",
    "tool_calls": "stop",
    "function_call": "stop",
}
_REFUSAL = "refusal"
KNOWN_FINISHES = frozenset(
    ("stop", "length", "abort", "error", "repetition", "content_filter", _REFUSAL)
)
_LONGEST_WORD = 200


class Unusable(Exception):
    """The stream is not a valid answer; the reason is the message."""

    def __init__(self, reason: str, *, may_pass: bool = False) -> None:
        """`may_pass`: a retry may succeed."""
        super().__init__(reason)
        self.may_pass = may_pass


@dataclass
class Answer:
    """What has arrived of one response.

    Attributes:
        text: pieces of the text.
        refusal: pieces of the text in which the model declines, if it is sent apart.
        reasoning: pieces of reasoning that is sent apart, and is not part of the text.
        sampled: ln p of each generated token.
        top: ln p of the most likely tokens of each.
        usage: the last reported usage.
        finish_reason: the server's own word.
        stop_reason: what stopped it, as reported by the server.
        first_s: when the first piece arrived, monotonic seconds.
        last_s: when everything had
            arrived.
        notes: faults that cost individual values.
    """

    text: list[str] = field(default_factory=list)
    refusal: list[str] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    sampled: list[float] = field(default_factory=list)
    top: list[list[float]] = field(default_factory=list)
    usage: dict[str, Any] = field(default_factory=dict)
    finish_reason: str | None = None
    stop_reason: str | None = None
    first_s: float | None = None
    last_s: float | None = None
    notes: list[str] = field(default_factory=list)

    def take(self, event: Mapping[str, Any], *, chat: bool) -> None:
        """Process one event.

        Args:
            event: as it was sent.
            chat: whether it belongs to the chat API.

        Raises:
            Unusable: it is not an event of this API, or the server reports an error.
        """
        if event.get("error"):
            raise Unusable(f"the server reported: {_message(event['error'])}", may_pass=True)
        if isinstance(usage := event.get("usage"), dict):
            self.usage = usage
        elif usage:
            self._note(f"usage is {kind(usage)}, not an object")
        choices = event.get("choices") or ()
        if not isinstance(choices, list | tuple):
            raise Unusable(f"choices is {kind(choices)}, not a list")
        for choice in choices:
            if not isinstance(choice, dict):
                raise Unusable(f"a choice is {kind(choice)}, not an object")
            if choice.get("index") not in (None, 0):
                raise Unusable("there is more than one choice, although one was requested")
            self._take_choice(choice, chat)
        if len(choices) > 1:
            raise Unusable(f"an event has {len(choices)} choices, although one was requested")

    def _take_choice(self, choice: Mapping[str, Any], chat: bool) -> None:
        delta = choice.get("delta") or {} if chat else {"content": choice.get("text")}
        if not isinstance(delta, dict):
            raise Unusable(f"delta is {kind(delta)}, not an object")
        for name, pieces in (("content", self.text), ("refusal", self.refusal)):
            if (piece := delta.get(name)) is not None:
                if not isinstance(piece, str):
                    raise Unusable(f"the text is {kind(piece)}, not a string")
                pieces.append(piece)
        self._take_reasoning(delta)
        # Reasoning is not part of the text, but its first token is the first token.
        if any((*self.text[-1:], *self.refusal[-1:], *self.reasoning[-1:])):
            self.first_s = self.first_s or time.monotonic()
        try:
            sampled, top = chat_logprobs(choice) if chat else completion_logprobs(choice)
            self.sampled += sampled
            self.top += top
        except (TypeError, ValueError, AttributeError, KeyError) as error:
            self._note(f"log-probabilities have an unexpected form ({str(error)[:80]})")
        if (reason := choice.get("finish_reason")) is not None:
            if not isinstance(reason, str):
                raise Unusable(f"finish_reason is {kind(reason)}, not a string")
            self.finish_reason = reason or self.finish_reason
        if (stop := choice.get("stop_reason")) is not None:
            if isinstance(stop, str) or (isinstance(stop, int) and not isinstance(stop, bool)):
                self.stop_reason = str(stop)
            else:
                self._note(f"stop_reason is {kind(stop)}, not a string or token id")

    def _take_reasoning(self, delta: Mapping[str, Any]) -> None:
        """Servers send it under either name, some under both."""
        piece = delta.get("reasoning_content") or delta.get("reasoning")
        if isinstance(piece, str):
            self.reasoning.append(piece)
        elif piece:
            self._note(f"the reasoning is {kind(piece)}, not a string")

    def _note(self, what: str) -> None:
        if what not in self.notes:
            self.notes.append(what)

    def whole_text(self) -> str:
        """The text, a refusal included."""
        return _joined([*self.text, *self.refusal])

    def whole_reasoning(self) -> str | None:
        """The reasoning that was sent apart; None if none was."""
        return _joined(self.reasoning) if self.reasoning else None

    def finish(self) -> str:
        """Why it ended, in our words; a refusal is no normal end."""
        found = finish_reason(self.finish_reason)
        return _REFUSAL if any(self.refusal) and found not in ("abort", "error") else found

    def ended_by(self, redact: Callable[[str], str]) -> str | None:
        """What stopped the text; the server's own value if it differs from ours.

        Args:
            redact: redacts a text, before it is cut, so that no part of a key remains.
        """
        reason = self.finish_reason
        found = self.stop_reason or (None if reason in KNOWN_FINISHES else reason)
        return None if found is None else redact(found)[:_LONGEST_WORD]

    def counts(self, *, most_output: int | None, context: int | None) -> dict[str, Any]:
        """Token counts under our names, if the usage is consistent; otherwise None, and a note.

        Args:
            most_output: maximum number of requested tokens; None if unknown.
            context: tokens of the
                model's context; None if unknown.
        """
        found, total = self._reported()
        prompt, output, cached, thoughts = found.values()
        # Values of a wrong type or below zero are validated with every other engine's, in the
        # payload.
        if not all(
            item is None or (type(item) is int and item >= 0)
            for item in (prompt, output, total, cached, thoughts)
        ):
            return found
        contradiction = None
        together = None if prompt is None or output is None else prompt + output
        if together is not None and thoughts and total == together + thoughts:
            # This server counts reasoning apart; it was generated, and is charged, like the rest.
            output, together = output + thoughts, total
            found["output_tokens"] = output
        if together is not None and total is not None and total != together:
            contradiction = f"{prompt} + {output} tokens do not equal total_tokens {total}"
        elif (
            output is not None
            and most_output is not None
            and output > most_output + (thoughts or 0)
        ):
            contradiction = f"{output} completion_tokens exceed the requested {most_output}"
        elif together is not None and context is not None and together > context:
            contradiction = f"{prompt} + {output} tokens exceed the model's context of {context}"
        if contradiction is None:
            return found
        self._note(f"usage is impossible: {contradiction}")
        return dict.fromkeys(found)

    def _reported(self) -> tuple[dict[str, Any], Any]:
        """The counts as the server reports them, in the order in which they are read."""
        usage = self.usage
        asked, made = (
            details if isinstance(details := usage.get(name), dict) else {}
            for name in ("prompt_tokens_details", "completion_tokens_details")
        )
        found = {
            "prompt_tokens": usage.get("prompt_tokens"),
            "output_tokens": usage.get("completion_tokens"),
            "cached_tokens": asked.get("cached_tokens", usage.get("prompt_cache_hit_tokens")),
            "reasoning_tokens": made.get("reasoning_tokens", usage.get("reasoning_tokens")),
        }
        if found["reasoning_tokens"] == 0 and any(self.reasoning):
            found["reasoning_tokens"] = None  # zero beside reasoning: the server did not count it
        if found["output_tokens"] is None:
            found["output_tokens"] = len(self.sampled) or None
        return found, usage.get("total_tokens")

    def logprobs(self, k: int, tokens: Any) -> TokenLogprobs | None:
        """The log-probabilities as arrays; None unless there is one for each token.

        Args:
            k: top log-probabilities requested.
            tokens: tokens generated; None if unknown.
        """
        if any("log-prob" in note for note in self.notes) or not self.sampled:
            return None
        if type(tokens) is int and 0 <= tokens < len(self.sampled):
            self._note(f"there are {len(self.sampled)} log-probabilities for {tokens} tokens")
            return None
        even = (
            bool(self.top)
            and all(len(row) >= k for row in self.top)
            and len(self.top) == len(self.sampled)
        )
        top = (
            np.array([sorted(row, reverse=True)[:k] for row in self.top])
            if even and k
            else np.zeros((len(self.sampled), 0))
        )
        return TokenLogprobs(
            np.array(self.sampled, dtype=np.float64), top.reshape(len(self.sampled), -1), None
        )


def finish_reason(given: str | None) -> str:
    """Translate a server's finish reason to ours.

    A stream that ended without a reason is an error; an unknown reason is an abort.
    """
    if given is None:
        return "error"
    return _FINISHED.get(given, given if given in KNOWN_FINISHES else "abort")


async def events(pieces: AsyncIterator[bytes]) -> AsyncIterator[dict[str, Any]]:
    """The JSON objects of a stream of server-sent events, up to ``[DONE]`` or the end.

    Args:
        pieces: the bytes of the stream.

    Raises:
        ValueError: an event is not UTF-8 JSON, or has a duplicate key.
        Unusable: it is JSON of another kind.
    """
    lines = DataLines()
    async for piece in pieces:
        for data in lines.feed(piece):
            if data == b"[DONE]":
                return
            yield _event(data)
    for data in lines.end():
        if data != b"[DONE]":
            yield _event(data)


def _event(data: bytes) -> dict[str, Any]:
    event = strict_json(data.decode())
    if not isinstance(event, dict):
        raise Unusable(f"an event is {kind(event)}, not an object")
    return event


def _joined(pieces: list[str]) -> str:
    """The text of pieces; a character that was sent in two halves is joined."""
    text = "".join(pieces)
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def _message(error: Any) -> str:
    text = error.get("message") if isinstance(error, dict) else error
    return " ".join(str(text or error).split())
