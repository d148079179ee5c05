"""Any HTTP server with OpenAI's completions interface: vLLM serve, SGLang, llama.cpp, hosted services.

Lives here: `OpenAiEngine`, on the standard library's HTTP client, one thread per request in flight. Times are the client's: a
request is "scheduled" when it is sent, its first token is there when the first piece of text arrives. Not here: starting a server.

Options: ``base_url`` (up to and with ``/v1``), ``api`` (``chat``, the default, or ``completions``), ``api_key_variable`` (name of
the environment variable that holds the key), ``timeout_s``, ``retries`` (for 429, 5xx and broken connections), ``extra_body``
(a mapping added to every request).
"""

from __future__ import annotations

import json
import os
import queue
import re
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from isocost.capabilities import Capabilities, Exempt, Role
from isocost.engines.logprobs import TokenLogprobs
from isocost.engines.protocol import Completion, EngineSettings, Messages, Request, checked_options, register
from isocost.errors import IsocostError

_OPTIONS = {
    "base_url": str,
    "api": str,
    "api_key_variable": str,
    "timeout_s": (int, float),
    "retries": int,
    "extra_body": dict,
}
_THE_SERVERS = Exempt(Role.NEITHER, "It is the server's own and not ours to set.")
_REACHED = Exempt(Role.NEITHER, "How the server is reached changes no answer.")
_ORDER = Exempt(Role.CONDITION, "The order in which requests are handed over changes no answer.")
_EXEMPT = {
    "seed": Exempt(Role.NEITHER, "A server has one of its own; requests are seeded by the point's seed, or not at all."),
    "max_model_len": _THE_SERVERS,
    "kv_cache_bytes": _THE_SERVERS,
    "max_num_batched_tokens": _THE_SERVERS,
    "block_size": _THE_SERVERS,
    "enable_prefix_caching": _THE_SERVERS,
    "enforce_eager": _THE_SERVERS,
    "model.card": Exempt(Role.NEITHER, "It prices what was generated, at any later time."),
    "options.base_url": _REACHED,
    "options.api_key_variable": _REACHED,
    "options.timeout_s": _REACHED,
    "options.retries": _REACHED,
    "options.in_flight": _ORDER,
    "options.isolate_points": _ORDER,
}
_LONGEST_WAIT_S = 0.2
_FINISHED = {"eos": "stop", "eos_token": "stop", "stop_sequence": "stop", "end_turn": "stop", "tool_calls": "stop", "function_call": "stop"}
_KNOWN_FINISHES = frozenset(("stop", "length", "abort", "error", "repetition"))
_SERVED = ("root", "max_model_len", "owned_by")
_AGAIN = frozenset((408, 409, 425, 429, 500, 502, 503, 504))


@dataclass
class _Stream:
    """What has arrived of one response."""

    text: list[str] = field(default_factory=list)
    sampled: list[float] = field(default_factory=list)
    top: list[list[float]] = field(default_factory=list)
    usage: dict[str, Any] = field(default_factory=dict)
    finish_reason: str | None = None
    stop_reason: Any = None
    first_s: float | None = None


@register
class OpenAiEngine:
    """A server somewhere; see the module's docstring."""

    name: ClassVar[str] = "openai"
    capabilities: ClassVar[Capabilities] = Capabilities(loads_model=False, tells_configuration=False, tells_version=False, exempt=_EXEMPT)

    def __init__(self, settings: EngineSettings) -> None:
        """See `Engine`."""
        options = checked_options(settings, _OPTIONS, self.name)
        if not str(options.get("base_url", "")).startswith(("http://", "https://")):
            raise IsocostError("an HTTP address is needed", where="engine.options.base_url", remedy="E.g. http://localhost:8000/v1.")
        if options.get("api", "chat") not in ("chat", "completions"):
            raise IsocostError(f"{options['api']!r} is no interface", where="engine.options.api", remedy="Use chat or completions.")
        self._settings = settings
        self._url = options["base_url"].rstrip("/")
        self._chat = options.get("api", "chat") == "chat"
        self._timeout, self._retries = float(options.get("timeout_s", 600)), int(options.get("retries", 3))
        self._extra = options.get("extra_body", {})
        self._key_variable = options.get("api_key_variable")
        self._requests: queue.SimpleQueue[tuple[Request, float, float] | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[Completion] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._flying = 0
        self._models: list[dict[str, Any]] = []

    def check(self) -> None:
        """See `Engine`: the key is there, the server answers and serves the model."""
        if self._key_variable and not os.environ.get(self._key_variable):
            raise IsocostError(
                f"the environment variable {self._key_variable} is not set", where="engine.options.api_key_variable", remedy="Set it."
            )
        self._models = self._served_models()
        names = sorted(str(model.get("id")) for model in self._models)
        if names and self._settings.model_path not in names:
            raise IsocostError(
                f"the server does not serve {self._settings.model_path!r}",
                where=f"{self._url}/models",
                remedy=f"It serves {', '.join(names)}.",
            )

    def _served_models(self) -> list[dict[str, Any]]:
        """What the server lists; nothing of a server that has no such list."""
        where = f"{self._url}/models"
        try:
            with self._open(self._url + "/models", None, timeout_s=min(self._timeout, 30)) as response:
                found = json.load(response)
            return [model for model in found.get("data") or () if isinstance(model, dict)]
        except urllib.error.HTTPError as error:
            if error.code in (404, 405):
                return []
            remedy = "Check engine.options.base_url."
            if error.code in (401, 403):
                remedy = "Name the environment variable that holds the key in engine.options.api_key_variable, or correct the key."
            raise IsocostError(f"the server refuses: HTTP {error.code} {error.reason}", where=where, remedy=remedy) from None
        except OSError as error:
            why = getattr(error, "reason", error)
            why = getattr(why, "strerror", None) or why
            remedy = "Start it, or correct engine.options.base_url in the sweep file."
            raise IsocostError(f"the server does not answer: {why}", where=where, remedy=remedy) from None
        except (ValueError, AttributeError, TypeError):
            raise IsocostError(
                "what answers is no server with OpenAI's interface: its list of models is no JSON of that form",
                where=where,
                remedy="Correct engine.options.base_url; it usually ends in /v1.",
            ) from None

    def prompt_lengths(self, prompts: Sequence[Messages]) -> list[int] | None:
        """See `Engine`; only the server can tell."""
        return None

    def start(self) -> None:
        """See `Engine`: one thread for every request that may be in flight."""
        for number in range(self._settings.max_num_seqs):
            thread = threading.Thread(target=self._work, name=f"openai-{number}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def describe(self) -> dict[str, Any]:
        """See `Engine`: what the server says of itself; the rest of its configuration is not ours to know."""
        served = next((m for m in self._models if m.get("id") == self._settings.model_path), {})
        told = {name: served[name] for name in _SERVED if served.get(name) is not None}
        return {
            "engine": self.name,
            "base_url": self._url,
            "api": "chat" if self._chat else "completions",
            "served": served,
            "version": self._version(),
            "resolved": {"model": {"model": self._settings.model_path, **told}},
            "device": "remote",
        }

    def _version(self) -> str | None:
        """The server's version where it tells it the way vLLM and SGLang do, beside the interface; None elsewhere."""
        root = self._url.removesuffix("/v1")
        for path, key in (("/version", "version"), ("/get_server_info", "version")):
            try:
                with self._open(root + path, None, timeout_s=min(self._timeout, 5)) as response:
                    told = json.load(response).get(key)
            except (OSError, ValueError, AttributeError):
                continue
            if isinstance(told, str) and told:
                return told
        return None

    def add(self, request: Request) -> None:
        """See `Engine`."""
        self._flying += 1
        self._requests.put((request, time.time(), time.monotonic()))

    def step(self) -> list[Completion]:
        """See `Engine`."""
        done: list[Completion] = []
        try:
            done.append(self._done.get(timeout=_LONGEST_WAIT_S))
            while True:
                done.append(self._done.get_nowait())
        except queue.Empty:
            self._flying -= len(done)
            return done

    def unfinished(self) -> int:
        """See `Engine`."""
        return self._flying

    def settle(self) -> None:
        """See `Engine`; a server's cache is its own."""

    def drain_steps(self) -> list[dict[str, Any]]:
        """See `Engine`; a server does not tell its steps."""
        return []

    def close(self) -> None:
        """See `Engine`; threads are daemons, what they wait for is given up."""
        for _ in self._threads:
            self._requests.put(None)
        self._threads.clear()

    def _work(self) -> None:
        while (item := self._requests.get()) is not None:
            request, arrival, queued = item
            try:
                self._done.put(self._ask(request, arrival, queued))
            except Exception as error:
                said = (str(error) if isinstance(error, IsocostError) else f"{type(error).__name__}: {error}")[:500]
                failed = Completion(
                    request_id=request.request_id, text=None, token_ids=None, finish_reason="error", error=said, arrival_unix_s=arrival
                )
                self._done.put(failed)

    def _ask(self, request: Request, arrival: float, queued: float) -> Completion:
        for attempt in range(self._retries + 1):
            sent = time.monotonic()
            try:
                stream = self._receive(request)
                break
            except urllib.error.HTTPError as error:
                said = told_by(error.read(20_000).decode("utf-8", "replace"))
                if error.code not in _AGAIN or attempt == self._retries:
                    raise IsocostError(f"HTTP {error.code}: {said or error.reason}") from None
            except (OSError, ValueError):
                if attempt == self._retries:
                    raise
            time.sleep(min(2.0**attempt * 0.2, 30.0))
        tokens = stream.usage.get("completion_tokens") or len(stream.sampled) or None
        details = stream.usage.get("prompt_tokens_details") or {}
        return Completion(
            request_id=request.request_id,
            text="".join(stream.text),
            token_ids=None,
            finish_reason=finish_reason(stream.finish_reason),
            stop_reason=_stop_reason(stream),
            error=None if stream.finish_reason else "the stream ended without a finish reason",
            prompt_tokens=stream.usage.get("prompt_tokens"),
            output_tokens=tokens,
            cached_tokens=details.get("cached_tokens"),
            logprobs=self._logprobs(stream, tokens),
            arrival_unix_s=arrival,
            queued_s=queued,
            scheduled_s=sent,
            first_token_s=stream.first_s,
            last_token_s=time.monotonic(),
        )

    def _receive(self, request: Request) -> _Stream:
        stream = _Stream()
        path = "/chat/completions" if self._chat else "/completions"
        with self._open(self._url + path, self._body(request), timeout_s=self._timeout) as response:
            for event in events(response):
                if event.get("usage"):
                    stream.usage = event["usage"]
                for choice in event.get("choices", ()):
                    self._piece(stream, choice)
        return stream

    def _piece(self, stream: _Stream, choice: dict[str, Any]) -> None:
        delta = (choice.get("delta") or {}) if self._chat else {"content": choice.get("text")}
        # Thoughts that a server sends apart are no part of the text, but their first token is the first token.
        if any(delta.get(name) for name in ("content", "reasoning_content", "reasoning")):
            stream.first_s = stream.first_s or time.monotonic()
        if delta.get("content"):
            stream.text.append(delta["content"])
        sampled, top = chat_logprobs(choice) if self._chat else completion_logprobs(choice)
        stream.sampled += sampled
        stream.top += top
        stream.finish_reason = choice.get("finish_reason") or stream.finish_reason
        stream.stop_reason = choice.get("stop_reason", stream.stop_reason)

    def _logprobs(self, stream: _Stream, tokens: int | None) -> TokenLogprobs | None:
        if not stream.sampled or (tokens is not None and len(stream.sampled) > tokens):
            return None
        k = self._settings.logprobs_k
        even = bool(stream.top) and all(len(row) >= k for row in stream.top) and len(stream.top) == len(stream.sampled)
        top = np.array([sorted(row, reverse=True)[:k] for row in stream.top]) if even and k else np.zeros((len(stream.sampled), 0))
        return TokenLogprobs(np.array(stream.sampled, dtype=np.float64), top.reshape(len(stream.sampled), -1), None)

    def _body(self, request: Request) -> dict[str, Any]:
        k = self._settings.logprobs_k
        body: dict[str, Any] = {
            "model": self._settings.model_path,
            "max_tokens": request.max_tokens,
            "temperature": request.temperature,
            "top_p": request.top_p,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        # Not in OpenAI's own interface: sent only where they say something.
        body |= {"top_k": request.top_k} if request.top_k else {}
        body |= {"min_p": request.min_p} if request.min_p else {}
        body |= {"seed": request.seed} if request.seed is not None else {}
        if self._chat:
            body |= {"messages": [dict(m) for m in request.messages], "logprobs": True, "top_logprobs": k}
        else:
            body |= {"prompt": "\n\n".join(m["content"] for m in request.messages), "logprobs": k}
        return body | dict(self._extra)

    def _open(self, url: str, body: dict[str, Any] | None, *, timeout_s: float) -> Any:
        headers = {"Content-Type": "application/json"}
        if self._key_variable:
            headers["Authorization"] = f"Bearer {os.environ.get(self._key_variable, '')}"
        data = None if body is None else json.dumps(body).encode()
        return urllib.request.urlopen(urllib.request.Request(url, data=data, headers=headers), timeout=timeout_s)


def told_by(body: str) -> str:
    """What a refusal says, in one line: the message of OpenAI's error object where it is one, else its text without markup."""
    try:
        told = json.loads(body)
        told = told.get("error", told) if isinstance(told, dict) else told
        body = str(told.get("message") or told.get("detail") or told) if isinstance(told, dict) else str(told)
    except ValueError:
        body = re.sub(r"<(style|script).*?</\1>|<[^>]*>", " ", body, flags=re.DOTALL | re.IGNORECASE)
    return " ".join(body.split())[:300]


def finish_reason(told: str | None) -> str:
    """A server's word for why a text ended as one of ours; a stream that ended without a word is an error, an unknown word an abort."""
    if told is None:
        return "error"
    return _FINISHED.get(told, told if told in _KNOWN_FINISHES else "abort")


def _stop_reason(stream: _Stream) -> str | None:
    """What stopped the text; the server's own word where ours is another."""
    if stream.stop_reason is not None:
        return str(stream.stop_reason)
    told = stream.finish_reason
    return told if told is not None and told not in _KNOWN_FINISHES else None


def events(lines: Any) -> Iterator[dict[str, Any]]:
    """The JSON objects of a stream of server-sent events, up to ``[DONE]``.

    Raises:
        IsocostError: the server sent an error instead of an event.
    """
    for raw in lines:
        line = raw.decode("utf-8", "replace").strip()
        if not line.startswith("data:"):
            continue
        payload = line.removeprefix("data:").strip()
        if payload == "[DONE]":
            return
        event = json.loads(payload)
        if event.get("error"):
            raise IsocostError(f"the server reported: {event['error']}")
        yield event


def chat_logprobs(choice: dict[str, Any]) -> tuple[list[float], list[list[float]]]:
    """Log-probabilities of a chat piece: of the generated tokens, and each one's top list."""
    content = (choice.get("logprobs") or {}).get("content") or []
    return [item["logprob"] for item in content], [[t["logprob"] for t in item.get("top_logprobs") or ()] for item in content]


def completion_logprobs(choice: dict[str, Any]) -> tuple[list[float], list[list[float]]]:
    """The same of a piece of the older interface."""
    found = choice.get("logprobs") or {}
    sampled = list(found.get("token_logprobs") or ())
    return sampled, [list((row or {}).values()) for row in found.get("top_logprobs") or [{}] * len(sampled)]
