"""One HTTP request of a client and the answer that it got, read after it has passed.

Lives here: `Asked` (what a request asks) and `Exchange` (the answer's bytes with the times at which
they came, and the completions in them). Nothing here changes what passes, or slows it down. Not
here: passing it on (``gateway``).

A request may ask for several choices, or have several prompts. Each choice is a call of its own,
since that is what the model generates. Servers report tokens for the request as a whole: its tokens
are divided over its choices so that their sum is the server's count, by the log-probabilities if
every choice has one per token, otherwise by the pieces or the characters that came. Tokens of the
prompt are those of each choice, as a server computes them; a service may bill them only once.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from isocost.credentials import redacted, without
from isocost.engines.openai_faults import error_message
from isocost.engines.openai_json import plain, strict_json
from isocost.engines.openai_stream import Answer, Unusable
from isocost.engines.protocol import Completion
from isocost.engines.sse import DataLines

CHAT, TEXT = "chat/completions", "completions"
PATHS = (CHAT, TEXT)
MOST_CHOICES = 4096


class BadRequest(Exception):
    """A request that is not passed on; the reason is the message.

    Attributes:
        status: HTTP status of the answer.
    """

    def __init__(self, reason: str, status: int = 400) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True)
class Asked:
    """What a request asks.

    Attributes:
        path: chat/completions or completions.
        body: its JSON.
        received: its bytes.
        sent: what is passed on; the client's own bytes unless usage has to be asked for.
        hides_usage: whether the event with the usage is withheld, because the client did not ask.
        prompts: the text of each prompt; one for a chat.
        choices: answers asked for in all.
    """

    path: str
    body: Mapping[str, Any]
    received: bytes
    sent: bytes
    hides_usage: bool
    prompts: tuple[str, ...]
    choices: int

    @property
    def messages(self) -> tuple[dict[str, str], ...]:
        """Chat messages, with contents as text; a prompt is the message of a user."""
        if self.path == TEXT:
            return tuple({"role": "user", "content": _valid(text)} for text in self.prompts)
        return tuple(
            {"role": _valid(str(m.get("role"))), "content": _valid(text_of(m))}
            for m in self.body["messages"]
        )

    @property
    def request_hash(self) -> str:
        """Hash of everything that was asked: 16 hexadecimal digits."""
        return hashlib.sha256(f"{self.path}\n".encode() + self.received).hexdigest()[:16]

    def most_output(self) -> int | None:
        """Tokens of one choice at most; None if the request does not limit them."""
        given = [self.body.get(name) for name in ("max_tokens", "max_completion_tokens")]
        # Some servers take a negative number for no limit.
        return max((most for most in given if type(most) is int and most >= 0), default=None)


def read_request(path: str, data: bytes, model: str) -> Asked:
    """A client's request.

    Args:
        path: behind ``/v1/``.
        data: the request's bytes.
        model: the only model that may be asked for.

    Raises:
        BadRequest: it is not a request that can be metered.
    """
    try:
        body = strict_json(data)
    except ValueError as error:
        raise BadRequest(f"the body is not JSON: {str(error)[:200]}") from None
    if not isinstance(body, dict):
        raise BadRequest("the body is not a JSON object")
    if (wanted := body.get("model")) != model:
        raise BadRequest(
            f"the model {str(wanted)[:200]!r} is not metered here, only {model!r}", 404
        )
    prompts = (_chat_prompt(body),) if path == CHAT else _prompts(body)
    count = body.get("n")
    count = 1 if count is None else count
    if type(count) is not int or not 1 <= count * len(prompts) <= MOST_CHOICES:
        raise BadRequest(f"n must be from 1 to {MOST_CHOICES} over all prompts, is {count!r}")
    if (stream := body.get("stream")) not in (None, False, True) or type(stream) is int:
        raise BadRequest(f"stream must be true or false, is {str(stream)[:40]}")
    sent, hides = data, False
    if stream is True:
        options = body.get("stream_options")
        options = dict(options) if isinstance(options, dict) else {}
        if options.get("include_usage") is not True:
            options["include_usage"], hides = True, True
            sent = json.dumps(body | {"stream_options": options}).encode()
    return Asked(path, body, data, sent, hides, prompts, count * len(prompts))


def _chat_prompt(body: Mapping[str, Any]) -> str:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise BadRequest("messages is not a list with at least one message")
    if not all(isinstance(message, dict) for message in messages):
        raise BadRequest("a message is not an object")
    return "\n".join(text_of(message) for message in messages)


def _prompts(body: Mapping[str, Any]) -> tuple[str, ...]:
    prompt = body.get("prompt")
    if isinstance(prompt, str):
        return (prompt,)
    if not isinstance(prompt, list) or not prompt:
        raise BadRequest("prompt is neither a text nor a list")
    if all(type(item) is int for item in prompt):  # token ids of one prompt
        return (" ".join(map(str, prompt)),)
    if all(isinstance(item, str | list) for item in prompt):
        return tuple(i if isinstance(i, str) else " ".join(map(str, i)) for i in prompt)
    raise BadRequest("prompt is a list of neither texts nor tokens")


def text_of(message: Mapping[str, Any]) -> str:
    """The text of a chat message, whose content may be a list of parts."""
    content = message.get("content")
    if isinstance(content, list):
        texts = [part.get("text") for part in content if isinstance(part, dict)]
        return "\n".join(text for text in texts if isinstance(text, str))
    return content if isinstance(content, str) else ""


def _valid(text: str) -> str:
    """Halves of surrogate pairs, which cannot be hashed, as question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")


@dataclass
class Exchange:
    """A request on its way, and what has come of its answer.

    Times are monotonic seconds except `arrival_unix_s`.

    Attributes:
        asked: the request.
        queued_s: when it had arrived.
        arrival_unix_s: the same on the wall clock.
        sent_s: when it was passed on; None before.
        ended_s: when its answer had passed, or it failed; None before.
        status: HTTP status of the answer; None before.
        pieces: bytes of the answer with their times.
        fault: why there is no complete answer; None if there is.
        is_broken_off: whether the client did not wait for the answer.
    """

    asked: Asked
    queued_s: float = field(default_factory=time.monotonic)
    arrival_unix_s: float = field(default_factory=time.time)
    sent_s: float | None = None
    ended_s: float | None = None
    status: int | None = None
    pieces: list[tuple[float, bytes]] = field(default_factory=list)
    fault: str | None = None
    is_broken_off: bool = False

    def take(self, piece: bytes) -> None:
        """Bytes of the answer have come."""
        self.pieces.append((time.monotonic(), piece))

    def end(self, fault: str | None = None, *, is_broken_off: bool = False) -> None:
        """It is over; the first end counts."""
        if self.ended_s is None:
            self.ended_s = time.monotonic()
            self.fault, self.is_broken_off = fault, is_broken_off


class Completions:
    """The completions in the answer of one exchange, one for each choice.

    Attributes:
        found: the completions, with call numbers as request ids from "0" on; a failed exchange is
            one completion.
        has_failed: whether there is no complete answer.
        output_tokens: the server's own count; None if it reports none.
    """

    def __init__(
        self, exchange: Exchange, *, logprobs_k: int, context: int | None, key: str = ""
    ) -> None:
        """Read an answer that has passed.

        Args:
            exchange: it has ended.
            logprobs_k: most likely tokens per position that are kept.
            context: tokens of the model's context; None if unknown.
            key: the server's, redacted from what it says.
        """
        self._exchange, self._k, self._context = exchange, logprobs_k, context
        self._key = key
        self._answers: dict[int, Answer] = {}
        self._tools: dict[int, dict[int, dict[str, str]]] = {}
        self._pieces: dict[int, int] = {}
        self._usage = Answer()
        self.output_tokens: int | None = None
        fault = exchange.fault
        if fault is None:
            try:
                self._read()
            except Unusable as error:
                fault = str(error)
            except ValueError as error:
                fault = f"the answer is not JSON: {error}"
        self.has_failed = fault is not None
        self.found = [self._failed(fault)] if fault is not None else self._completions()

    def _read(self) -> None:
        exchange = self._exchange
        body = b"".join(piece for _, piece in exchange.pieces)
        if exchange.status is None or exchange.status >= 300:
            said = error_message(body[:20_000].decode("utf-8", "replace"), self._key)
            raise Unusable(f"HTTP {exchange.status}: {said}")
        if not body.strip():
            raise Unusable("the answer is empty")
        # A server that cannot stream may answer in one piece.
        if exchange.asked.body.get("stream") is True and not body.lstrip().startswith(b"{"):
            for moment, event in _events(exchange.pieces):
                self._take(event, moment)
        else:
            whole = strict_json(body)
            if not isinstance(whole, dict):
                raise Unusable("the answer is not a JSON object")
            self._take(_as_event(whole), exchange.pieces[-1][0])
        if not self._answers:
            raise Unusable("the answer has no choice")
        if any(answer.finish_reason is None for answer in self._answers.values()):
            raise Unusable("the answer ended without a finish reason")

    def _take(self, event: Mapping[str, Any], moment: float) -> None:
        chat = self._exchange.asked.path == CHAT
        choices = event.get("choices") or ()
        self._usage.take({**event, "choices": ()}, chat=chat)
        if not isinstance(choices, list | tuple):
            raise Unusable("choices is not a list")
        for choice in choices:
            if not isinstance(choice, dict):
                raise Unusable("a choice is not an object")
            index = choice.get("index", 0)
            if type(index) is not int or not 0 <= index < self._exchange.asked.choices:
                raise Unusable(f"there is a choice with the index {str(index)[:40]}")
            self._take_choice(index, choice, chat, moment)

    def _take_choice(
        self, index: int, choice: Mapping[str, Any], chat: bool, moment: float
    ) -> None:
        answer = self._answers.setdefault(index, Answer())
        was_silent = answer.first_s is None
        answer.take({"choices": [{**choice, "index": 0}]}, chat=chat)
        called = (choice.get("delta") or {}).get("tool_calls") if chat else choice.get("text")
        if chat and called:
            self._take_tools(index, called)
        if called and answer.first_s is None:
            answer.first_s = moment
        if was_silent and answer.first_s is not None:
            answer.first_s = moment
        answer.last_s = moment
        self._pieces[index] = self._pieces.get(index, 0) + 1

    def _take_tools(self, index: int, called: Any) -> None:
        """Tool calls, whose arguments may come in pieces."""
        if not isinstance(called, list) or not all(isinstance(call, dict) for call in called):
            raise Unusable("tool_calls is not a list of objects")
        known = self._tools.setdefault(index, {})
        for place, call in enumerate(called):
            number = call.get("index")
            number = number if type(number) is int else place
            function = call.get("function")
            function = function if isinstance(function, dict) else {}
            kept = known.setdefault(number, {"name": "", "arguments": ""})
            for name in kept:
                if isinstance(piece := function.get(name), str):
                    kept[name] += piece

    def _text(self, index: int) -> str:
        """What was generated: the text, then each tool call as a line of JSON."""
        tools = [json.dumps(call) for _, call in sorted(self._tools.get(index, {}).items())]
        text = "\n".join([*filter(None, [self._answers[index].whole_text()]), *tools])
        return without(text, [self._key])

    def _completions(self) -> list[Completion]:
        asked = self._exchange.asked
        most = asked.most_output()
        single = len(self._answers) == 1
        if single:  # a server without usage may still send one log-probability per token
            self._usage.sampled = next(iter(self._answers.values())).sampled
        counts = self._usage.counts(
            most_output=None if most is None else most * max(asked.choices, len(self._answers)),
            context=self._context if asked.choices == 1 else None,
        )
        self.output_tokens = counts["output_tokens"]
        order = sorted(self._answers)
        output = self._shares(counts["output_tokens"], order)
        each = asked.choices // len(asked.prompts)
        lengths = [len(prompt) for prompt in asked.prompts]
        prompt = apportioned(counts["prompt_tokens"], lengths)
        cached = apportioned(counts["cached_tokens"], lengths)
        thoughts = apportioned(
            counts["reasoning_tokens"],
            [sum(map(len, self._answers[index].reasoning)) for index in order],
        )
        found: list[Completion] = []
        for number, index in enumerate(order):
            place = min(index // each, len(lengths) - 1)
            found.append(
                self._completion(
                    index,
                    number,
                    {
                        "prompt_tokens": prompt[place],
                        "cached_tokens": cached[place],
                        "output_tokens": output[number],
                        "reasoning_tokens": thoughts[number],
                    },
                )
            )
        return found

    def _shares(self, total: int | None, order: Sequence[int]) -> list[int | None]:
        """Tokens of each choice, whose sum is the server's count."""
        sampled = [len(self._answers[index].sampled) for index in order]
        if all(sampled) and total in (None, sum(sampled)):
            return list(sampled)
        if self._exchange.asked.body.get("stream") is True:
            return apportioned(total, [self._pieces[index] for index in order])
        return apportioned(total, [len(self._text(index)) for index in order])

    def _completion(self, index: int, number: int, counts: Mapping[str, int | None]) -> Completion:
        answer, exchange = self._answers[index], self._exchange
        finish, reasoning = answer.finish(), answer.whole_reasoning()
        notes = [
            *(["the server ended it with an error"] if finish == "error" else []),
            *answer.notes,
            *self._usage.notes,
        ]
        logprobs = answer.logprobs(self._k, counts["output_tokens"])
        return Completion(
            request_id=str(number),
            text=self._text(index),
            reasoning_text=reasoning and without(reasoning, [self._key]),
            token_ids=None,
            finish_reason=finish,
            stop_reason=answer.ended_by(lambda text: without(text, [self._key])),
            error=self._redacted("; ".join(dict.fromkeys(notes))) or None,
            logprobs=logprobs if len(answer.sampled) == counts["output_tokens"] else None,
            arrival_unix_s=exchange.arrival_unix_s,
            queued_s=exchange.queued_s,
            scheduled_s=exchange.sent_s,
            first_token_s=answer.first_s or answer.last_s,
            last_token_s=answer.last_s,
            num_retries=0,
            prompt_tokens=counts["prompt_tokens"],
            cached_tokens=counts["cached_tokens"],
            output_tokens=counts["output_tokens"],
            reasoning_tokens=counts["reasoning_tokens"],
        )

    def _redacted(self, text: str) -> str:
        """Redacted before it is cut, so that no part of the key remains."""
        return redacted(text, [self._key])[:500]

    def _failed(self, fault: str) -> Completion:
        exchange = self._exchange
        self.output_tokens = None
        return Completion(
            request_id="0",
            text=None,
            token_ids=None,
            finish_reason="abort" if exchange.is_broken_off else "error",
            error=self._redacted(fault),
            arrival_unix_s=exchange.arrival_unix_s,
            queued_s=exchange.queued_s,
            scheduled_s=exchange.sent_s,
            num_retries=0,
        )


def _as_event(whole: Mapping[str, Any]) -> dict[str, Any]:
    """An answer in one piece, in the form of an event of a stream."""
    choices = whole.get("choices")
    if not isinstance(choices, list):
        return dict(whole)
    indices = [choice.get("index", 0) for choice in choices if isinstance(choice, dict)]
    if len(set(map(str, indices))) < len(indices):
        raise Unusable("several choices have the same index")
    return {
        **whole,
        "choices": [
            {**c, "delta": c["message"]} if isinstance(c, dict) and "message" in c else c
            for c in choices
        ],
    }


def _events(pieces: Sequence[tuple[float, bytes]]) -> Iterator[tuple[float, dict[str, Any]]]:
    """The JSON objects of a stream with the times at which they were complete."""
    for moment, payload in _data(pieces):
        if payload == b"[DONE]":
            return
        event = strict_json(payload)
        if not isinstance(event, dict):
            raise Unusable("an event is not an object")
        yield moment, event


def _data(pieces: Sequence[tuple[float, bytes]]) -> Iterator[tuple[float, bytes]]:
    lines, moment = DataLines(), 0.0
    for moment, piece in pieces:
        for payload in lines.feed(piece):
            yield moment, payload
    for payload in lines.end():
        yield moment, payload


def apportioned(total: Any, weights: Sequence[int]) -> list[Any]:
    """A whole number divided by weights into whole numbers with the same sum.

    By largest remainders; the first ones get what is left over among equals. Unknown stays unknown,
    and what is not a count is left for the payload, which says so (``judgement``).

    Examples:
        >>> apportioned(10, [1, 1, 1])
        [4, 3, 3]
        >>> apportioned(7, [0, 0])
        [4, 3]
        >>> apportioned("7", [1, 2])
        ['7', '7']
    """
    if isinstance(total, float) and total.is_integer():
        total = int(total)
    if type(total) is not int or total < 0:
        return [total] * len(weights)
    scale = sum(weights)
    shares = weights if scale else [1] * len(weights)
    scale = scale or len(weights)
    whole = [total * weight // scale for weight in shares]
    left = total - sum(whole)
    by_rest = sorted(range(len(whole)), key=lambda i: -(total * shares[i] % scale))
    return [number + (i in by_rest[:left]) for i, number in enumerate(whole)]


def error_body(reason: str, kind: str, code: str) -> dict[str, Any]:
    """An error in the form of OpenAI's API."""
    return {"error": {"message": plain(reason, str), "type": kind, "code": code, "param": None}}
