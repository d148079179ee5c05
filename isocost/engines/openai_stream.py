"""Validate a server's stream as it arrives.

Lives here: server-sent events into `Answer`, with the type of every field checked, and the sums
that usage has to satisfy. Not here: the exchange (``openai_http``) and ranges that apply to every
engine (``isocost.payload.judgement``).

A fault in the essentials of a sample (text, finish reason, choices) makes the answer unusable:
`Unusable`. A fault elsewhere (usage, log-probabilities, stop reason) costs only that value and is
noted.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from isocost.engines.logprobs import TokenLogprobs

_FINISHED = {
    "eos": "stop",
    "eos_token": "stop",
    "stop_sequence": "stop",
    "end_turn": "stop",
    "tool_calls": "stop",
    "function_call": "stop",
}
KNOWN_FINISHES = frozenset(("stop", "length", "abort", "error", "repetition"))
_NEVER = -9999.0
"""OpenAI's placeholder for a log-probability that is not reported, or of probability zero."""
_LARGEST = 10**9
_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")
_REASONING = ("reasoning_content", "reasoning")
_LONGEST_WORD = 200
_MOST_ENTRIES = 200


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
        reasoning: pieces of reasoning that the server sends separately.
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
            self._note(f"usage is {_kind(usage)}, not an object")
        choices = event.get("choices") or ()
        if not isinstance(choices, list | tuple):
            raise Unusable(f"choices is {_kind(choices)}, not a list")
        for choice in choices:
            if not isinstance(choice, dict):
                raise Unusable(f"a choice is {_kind(choice)}, not an object")
            if choice.get("index") not in (None, 0):
                raise Unusable("there is more than one choice, although one was requested")
            self._take_choice(choice, chat)
        if len(choices) > 1:
            raise Unusable(f"an event has {len(choices)} choices, although one was requested")

    def _take_choice(self, choice: Mapping[str, Any], chat: bool) -> None:
        delta = choice.get("delta") or {} if chat else {"content": choice.get("text")}
        if not isinstance(delta, dict):
            raise Unusable(f"delta is {_kind(delta)}, not an object")
        # Reasoning that a server sends separately is not part of the text, but its first token is
        # the first token.
        if any(delta.get(name) for name in ("content", *_REASONING)):
            self.first_s = self.first_s or time.monotonic()
        # Some servers send the same piece under both names.
        piece = next((delta[name] for name in _REASONING if delta.get(name)), None)
        if isinstance(piece, str):
            self.reasoning.append(piece)
        elif piece is not None:
            self._note(f"the reasoning is {_kind(piece)}, not a string")
        if (content := delta.get("content")) is not None:
            if not isinstance(content, str):
                raise Unusable(f"the text is {_kind(content)}, not a string")
            self.text.append(content)
        try:
            sampled, top = chat_logprobs(choice) if chat else completion_logprobs(choice)
            self.sampled += sampled
            self.top += top
        except (TypeError, ValueError, AttributeError, KeyError) as error:
            self._note(f"log-probabilities have an unexpected form ({str(error)[:80]})")
        if (reason := choice.get("finish_reason")) is not None:
            if not isinstance(reason, str):
                raise Unusable(f"finish_reason is {_kind(reason)}, not a string")
            self.finish_reason = reason or self.finish_reason
        if (stop := choice.get("stop_reason")) is not None:
            if isinstance(stop, str) or (isinstance(stop, int) and not isinstance(stop, bool)):
                self.stop_reason = str(stop)
            else:
                self._note(f"stop_reason is {_kind(stop)}, not a string or token id")

    def _note(self, what: str) -> None:
        if what not in self.notes:
            self.notes.append(what)

    def whole_text(self) -> str:
        """The text; a character that was sent in two halves is joined."""
        return _joined(self.text)

    def whole_reasoning(self) -> str | None:
        """The reasoning that was sent separately; None if there was none."""
        return _joined(self.reasoning) or None

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
        usage = self.usage
        details, thought = (
            usage.get(name) or {} for name in ("prompt_tokens_details", "completion_tokens_details")
        )
        cached = details.get("cached_tokens") if isinstance(details, dict) else None
        thoughts = thought.get("reasoning_tokens") if isinstance(thought, dict) else None
        prompt, output, total = (usage.get(name) for name in _COUNTS)
        found = {"prompt_tokens": prompt, "output_tokens": output, "cached_tokens": cached}
        # Zero beside a reasoning text means that the server did not count it.
        found["reasoning_tokens"] = None if thoughts == 0 and self.reasoning else thoughts
        if output is None:
            found["output_tokens"] = len(self.sampled) or None
        # Values of a wrong type or below zero are validated with every other engine's, in the
        # payload.
        if not all(
            item is None or (type(item) is int and item >= 0)
            for item in (prompt, output, total, cached, thoughts)
        ):
            return found
        contradiction = None
        together = None if prompt is None or output is None else prompt + output
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


def _joined(pieces: list[str]) -> str:
    text = "".join(pieces)
    return (
        text
        if text.isascii()
        else text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    )


def finish_reason(given: str | None) -> str:
    """Translate a server's finish reason to ours.

    A stream that ended without a reason is an error; an unknown reason is an abort.
    """
    if given is None:
        return "error"
    return _FINISHED.get(given, given if given in KNOWN_FINISHES else "abort")


def events(read_line: Callable[[int], bytes], longest: int) -> Iterator[dict[str, Any]]:
    """The JSON objects of a stream of server-sent events, up to ``[DONE]`` or the end.

    Args:
        read_line: reads a line of at most the given number of bytes.
        longest: maximum line length
            in bytes.

    Raises:
        ValueError: an event is not UTF-8 JSON, or has a duplicate key.
        Unusable: it is JSON of
            another kind.
    """
    while raw := read_line(longest):
        line = raw.decode().strip()
        if not line.startswith("data:"):
            continue
        payload = line.removeprefix("data:").strip()
        if payload == "[DONE]":
            return
        event = strict_json(payload)
        if not isinstance(event, dict):
            raise Unusable(f"an event is {_kind(event)}, not an object")
        yield event


def strict_json(text: str | bytes) -> Any:
    """Parse JSON without duplicate keys.

    Raises:
        ValueError: it is invalid, has a duplicate key, or is nested too deeply.
    """
    try:
        return json.loads(text, object_pairs_hook=_once)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(
            f"the key {next(n for n in names if names.count(n) > 1)[:40]!r} is duplicated"
        )
    return found


def plain(value: Any, redact: Callable[[str], str], depth: int = 6) -> Any:
    """A JSON value in a form that can be recorded anywhere.

    Texts redacted, numbers finite, nothing deep or long.

    Args:
        value: what a server reports about itself.
        redact: redacts a text.
        depth: levels that are
            kept.
    """
    if isinstance(value, dict) and depth:
        return {
            redact(str(name)): plain(item, redact, depth - 1)
            for name, item in list(value.items())[:_MOST_ENTRIES]
        }
    if isinstance(value, list) and depth:
        return [plain(item, redact, depth - 1) for item in value[:_MOST_ENTRIES]]
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, bool) or value is None:
        return value
    return value if isinstance(value, int | float) and abs(value) < 2**63 else None


def chat_logprobs(choice: Mapping[str, Any]) -> tuple[list[float], list[list[float]]]:
    """Log-probabilities of a chat chunk: of the generated tokens, and each one's top list.

    Raises:
        TypeError, ValueError, AttributeError, KeyError: they have an unexpected form.
    """
    content = (choice.get("logprobs") or {}).get("content") or []
    top = [[_top(t["logprob"]) for t in item.get("top_logprobs") or ()] for item in content]
    return [_number(item["logprob"]) for item in content], top


def completion_logprobs(choice: Mapping[str, Any]) -> tuple[list[float], list[list[float]]]:
    """The same for a chunk of the older API; same errors."""
    found = choice.get("logprobs") or {}
    sampled = [_number(item) for item in found.get("token_logprobs") or ()]
    return sampled, [
        [_top(item) for item in (row or {}).values()]
        for row in found.get("top_logprobs") or [{}] * len(sampled)
    ]


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{_kind(value)} where a number is needed")
    if value == _NEVER:
        raise ValueError("-9999 means unknown")
    if isinstance(value, int) and abs(value) > _LARGEST:
        raise ValueError("a number that cannot be a log-probability")
    return float(value)


def _top(value: Any) -> float:
    return -math.inf if value == _NEVER else _number(value)


def _kind(value: Any) -> str:
    names = {
        dict: "an object",
        list: "a list",
        str: "a string",
        bool: "true or false",
        type(None): "null",
    }
    return names.get(type(value), "a number")


def _message(error: Any) -> str:
    text = error.get("message") if isinstance(error, dict) else error
    return " ".join(str(text or error).split())
