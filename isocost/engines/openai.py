"""Any HTTP server with OpenAI's completions API: vLLM, SGLang, llama.cpp, hosted services.

Lives here: `OpenAiEngine`, one thread per request in flight. Times are the client's: a request is
"scheduled" when it is sent for the last time, and its first token is the first piece of text to
arrive. Not here: the server's address (``openai_server``), the exchange and its limits
(``openai_http``), the stream (``openai_stream``), when a request is sent again (``openai_tries``),
whether the server is reachable (``breaker``), starting one.

Options: ``base_url`` (up to and including ``/v1``), ``api`` (``chat``, the default, or
``completions``), ``api_key_variable`` (name of the environment variable with the key),
``timeout_s`` (maximum silence, 600), ``deadline_s`` (maximum time of a request, six times that),
``patience_s`` (how long to wait for an unreachable server, 900), ``retries`` (of one request whose
answer broke off or that the server fails at, 3), ``extra_body`` (a mapping added to every request).
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from isocost.capabilities import Capabilities, Exempt, Role
from isocost.credentials import refuse_credentials, without
from isocost.engines.breaker import Breaker, GivenUp, Turn
from isocost.engines.openai_http import (
    Away,
    Broken,
    ExchangeFailed,
    Limits,
    Refused,
    Shut,
    error_message,
)
from isocost.engines.openai_server import Server
from isocost.engines.openai_stream import Answer, Unusable, events, finish_reason
from isocost.engines.openai_tries import Tries
from isocost.engines.protocol import (
    Address,
    Completion,
    EngineAway,
    EngineSettings,
    Messages,
    Request,
    checked_options,
    register,
)
from isocost.errors import IsocostError

__all__ = ["OpenAiEngine", "error_message", "finish_reason"]

_OPTIONS = {
    "base_url": str,
    "api": str,
    "api_key_variable": str,
    "timeout_s": (int, float),
    "deadline_s": (int, float),
    "patience_s": (int, float),
    "retries": int,
    "extra_body": dict,
}
_THE_SERVERS = Exempt(Role.NEITHER, "Determined by the server; it cannot be set here.")
_REACHED = Exempt(Role.NEITHER, "How the server is reached changes no answer.")
_ORDER = Exempt(Role.CONDITION, "The order in which requests are submitted changes no answer.")
_EXEMPT = {
    "seed": Exempt(
        Role.NEITHER,
        "A server has its own seed; requests are seeded by the point's seed, or not at all.",
    ),
    "max_model_len": _THE_SERVERS,
    "kv_cache_bytes": _THE_SERVERS,
    "max_num_batched_tokens": _THE_SERVERS,
    "block_size": _THE_SERVERS,
    "enable_prefix_caching": _THE_SERVERS,
    "enforce_eager": _THE_SERVERS,
    "model.card": Exempt(
        Role.NEITHER, "It prices the output, and can be applied at any later time."
    ),
    "options.base_url": _REACHED,
    "options.api_key_variable": _REACHED,
    "options.timeout_s": _REACHED,
    "options.deadline_s": _REACHED,
    "options.patience_s": _REACHED,
    "options.retries": _REACHED,
    "options.in_flight": _ORDER,
    "options.clients": _ORDER,
    "options.isolate_points": _ORDER,
}
_TEMPLATE = "chat_template_kwargs"
_LONGEST_WAIT_S = 0.2
_LONGEST_LIMIT_S = 10**7
_SERVED = ("root", "max_model_len", "owned_by")
_MOST_ANSWER_BYTES = 4 * 2**20
_TOKEN_BYTES, _TOP_BYTES = 2048, 512
"""Maximum bytes per token in a stream, including its event, and per alternative."""


@register
class OpenAiEngine:
    """A server somewhere; see the module's docstring."""

    name: ClassVar[str] = "openai"
    capabilities: ClassVar[Capabilities] = Capabilities(
        loads_model=False,
        computes_here=False,
        has_steps=False,
        counts_cached_tokens=False,  # many servers leave it out
        reports_prompt_lengths=False,
        reports_configuration=False,
        reports_version=False,
        serves_http=True,
        model_settings=frozenset({_TEMPLATE}),
        exempt=_EXEMPT,
    )

    def __init__(self, settings: EngineSettings) -> None:
        """See `Engine`."""
        options = checked_options(settings, _OPTIONS, self.name)
        self._timeout, self._retries = (
            float(options.get("timeout_s", 600)),
            int(options.get("retries", 3)),
        )
        self._server = Server(
            str(options.get("base_url", "")),
            options.get("api_key_variable"),
            timeout_s=self._timeout,
        )
        for key, error in refuse_credentials(
            options,
            remedy="Name the key's environment variable in engine.options.api_key_variable.",
        ):
            raise IsocostError(
                error.what, where=f"engine.options.{'.'.join(map(str, key))}", remedy=error.remedy
            )
        if options.get("api", "chat") not in ("chat", "completions"):
            raise IsocostError(
                f"{options['api']!r} is not an API",
                where="engine.options.api",
                remedy="Use chat or completions.",
            )
        for name in ("timeout_s", "deadline_s", "patience_s"):
            if not 0 < options.get(name, 1) <= _LONGEST_LIMIT_S:
                where = f"engine.options.{name}"
                raise IsocostError(
                    f"must be above 0 and at most {_LONGEST_LIMIT_S} seconds",
                    where=where,
                    remedy="Correct the value.",
                )
        if not 0 <= options.get("retries", 0) <= 1000:
            raise IsocostError(
                "must be from 0 to 1000",
                where="engine.options.retries",
                remedy="Correct the value.",
            )
        self._settings = settings
        self._chat = options.get("api", "chat") == "chat"
        self._deadline = float(options.get("deadline_s", 6 * self._timeout))
        self._extra = self._extra_body(options)
        self._breaker = Breaker(float(options.get("patience_s", 900)))
        self._requests: queue.SimpleQueue[tuple[Request, float, float] | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[Completion] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._flying = 0
        self._models: list[dict[str, Any]] = []

    def _extra_body(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """What is added to every request, with the arguments of the model's chat template.

        Raises:
            IsocostError: both have them, or the API has no chat.
        """
        extra, arguments = dict(options.get("extra_body", {})), self._settings.chat_template_kwargs
        if not arguments:
            return extra
        if _TEMPLATE in extra or not self._chat:
            raise IsocostError(
                "is stated twice: also in engine.options.extra_body"
                if _TEMPLATE in extra
                else "has no effect: the API completions has no chat template",
                where=f"model.{_TEMPLATE}",
                remedy="Remove one of them." if _TEMPLATE in extra else "Remove it, or use chat.",
            )
        return {**extra, _TEMPLATE: dict(arguments)}

    def check(self) -> None:
        """See `Engine`: the key is set, and the server answers and serves the model."""
        self._server.check_key()
        self._models = self._server.models()
        names = sorted(str(model.get("id")) for model in self._models)
        if names and self._settings.model_path not in names:
            raise IsocostError(
                f"the server does not serve {self._settings.model_path!r}",
                where=f"{self._server.url}/models",
                remedy=f"It serves {', '.join(names)[:1000]}.",
            )

    def prompt_lengths(self, prompts: Sequence[Messages]) -> list[int] | None:
        """See `Engine`; only the server can tell."""
        return None

    def room(self, request: Request) -> int | None:
        """See `Engine`; only the server can tell."""
        return None

    def start(self) -> None:
        """See `Engine`: one thread for every request that may be in flight."""
        for number in range(self._settings.max_num_seqs):
            thread = threading.Thread(target=self._work, name=f"openai-{number}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def describe(self) -> dict[str, Any]:
        """See `Engine`.

        What the server reports about itself; the rest of its configuration is unknown.
        """
        served = next((m for m in self._models if m.get("id") == self._settings.model_path), {})
        stated = {name: served[name] for name in _SERVED if served.get(name) is not None}
        return {
            "engine": self.name,
            "base_url": self._server.url,
            "api": "chat" if self._chat else "completions",
            "served": served,
            "version": self._server.version(),
            "resolved": {"model": {"model": self._settings.model_path, **stated}},
            "device": "remote",
        }

    def address(self) -> Address:
        """See `ServesHttp`."""
        return Address(
            url=self._server.url,
            model=self._settings.model_path,
            key=self._server.key(),
            key_variable=self._server.key_variable,
            timeout_s=self._timeout,
            patience_s=self._breaker.patience_s,
            context=self._context(),
        )

    def _context(self) -> int | None:
        served = next((m for m in self._models if m.get("id") == self._settings.model_path), {})
        context = served.get("max_model_len")
        return context if type(context) is int and context > 0 else None

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
        if not done and self._flying and (reason := self._breaker.given_up()):
            remedy = (
                "Run again when the server is reachable: sealed samples are not requested again."
            )
            raise EngineAway(reason, where=self._server.url, remedy=remedy)
        return done

    def drain_notes(self) -> list[str]:
        """See `ReportsNotes`: outages and recoveries of the server."""
        return self._breaker.drain_notes()

    def unfinished(self) -> int:
        """See `Engine`."""
        return self._flying

    def settle(self) -> None:
        """See `Engine`; a server manages its own cache."""

    def drain_steps(self) -> list[dict[str, Any]]:
        """See `Engine`; a server does not report its steps."""
        return []

    def close(self) -> None:
        """See `Engine`; threads are daemons, and waiting requests are given up."""
        self._breaker.give_up("the engine was closed")
        for _ in self._threads:
            self._requests.put(None)
        self._threads.clear()

    def _work(self) -> None:
        while (item := self._requests.get()) is not None:
            request, arrival, queued = item
            tries = Tries(self._retries, self._breaker)
            try:
                self._done.put(self._ask(request, arrival, queued, tries))
            except GivenUp:
                return  # never answered, so there is nothing to record
            except Exception as error:
                said = (
                    str(error)
                    if isinstance(error, ExchangeFailed | Unusable | IsocostError)
                    else f"{type(error).__name__}: {error}"
                )
                failed = Completion(
                    request_id=request.request_id,
                    text=None,
                    token_ids=None,
                    finish_reason="error",
                    error=self._server.redacted(said),
                    arrival_unix_s=arrival,
                    num_retries=tries.number,
                )
                self._done.put(failed)

    def _ask(self, request: Request, arrival: float, queued: float, tries: Tries) -> Completion:
        """Send a request until it is answered or fails for good.

        A text that broke off is discarded and requested again from the start.

        Raises:
            GivenUp: it was not answered and will not be.
            ExchangeFailed, Unusable: it ends in an error.
        """
        body = self._body(request)
        while True:
            with self._breaker.admit() as turn:
                try:
                    answer = self._receive(body, turn)
                    break
                except Away as error:
                    wait = tries.away(error)
                    if error.is_busy:
                        turn.busy(self._server.redacted(str(error)))
                    else:
                        turn.away(self._server.redacted(str(error)), error.wait_s)
                except Shut as error:
                    self._breaker.give_up(
                        self._server.redacted(
                            f"the server accepts no further requests with this key: {error}"
                        )
                    )
                    raise GivenUp from None
                except (Broken, ValueError, Unusable) as error:
                    is_outage = self._breaker.is_open()
                    wait = tries.failed(error, is_outage=is_outage)
                    if is_outage:
                        turn.away(self._server.redacted(str(error)))
                except Refused:
                    turn.answered(is_whole=True)
                    raise
            self._breaker.pause(wait)
        return self._completion(request, body, answer, (arrival, queued, turn.sent_s), tries.number)

    def _receive(self, body: dict[str, Any], turn: Turn) -> Answer:
        """One exchange.

        Raises:
            ExchangeFailed: there is no complete answer.
            Unusable: the answer is invalid.
            ValueError: it is not JSON.
        """
        answer, most = Answer(), _most_output(body) or 0
        size = _MOST_ANSWER_BYTES + most * (_TOKEN_BYTES + _TOP_BYTES * self._settings.logprobs_k)
        limits = Limits(self._timeout, self._deadline, size)
        path = "/chat/completions" if self._chat else "/completions"
        with self._server.client.exchange(
            self._server.url + path, body, key=self._server.key(), limits=limits
        ) as response:
            turn.answered()
            for event in events(response.readline, size):
                limits.piece()
                answer.take(event, chat=self._chat)
        if answer.finish_reason is None:
            raise Broken("the stream ended without a finish reason")
        answer.last_s = time.monotonic()
        turn.answered(is_whole=True)
        return answer

    def _completion(
        self,
        request: Request,
        body: dict[str, Any],
        answer: Answer,
        times: tuple[float, float, float],
        retries: int,
    ) -> Completion:
        arrival, queued, sent = times
        reasoning = answer.whole_reasoning()
        counts = answer.counts(most_output=_most_output(body), context=self._context())
        logprobs = answer.logprobs(self._settings.logprobs_k, counts["output_tokens"])
        finish = finish_reason(answer.finish_reason)
        notes = [
            *(["the server ended it with an error"] if finish == "error" else []),
            *answer.notes,
        ]
        return Completion(
            request_id=request.request_id,
            text=without(answer.whole_text(), [self._server.key()]),
            reasoning_text=None if reasoning is None else without(reasoning, [self._server.key()]),
            token_ids=None,
            finish_reason=finish,
            stop_reason=answer.ended_by(self._server.redacted),
            error=self._server.redacted("; ".join(notes)) if notes else None,
            **counts,
            logprobs=logprobs,
            arrival_unix_s=arrival,
            queued_s=queued,
            scheduled_s=sent,
            first_token_s=answer.first_s,
            last_token_s=answer.last_s,
            num_retries=retries,
        )

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
        # Not in OpenAI's own API: sent only if set.
        body |= {"top_k": request.top_k} if request.top_k else {}
        body |= {"min_p": request.min_p} if request.min_p else {}
        body |= {"seed": request.seed} if request.seed is not None else {}
        body |= {"stop": list(request.stop)} if request.stop else {}
        if self._chat:
            body |= {
                "messages": [dict(m) for m in request.messages],
                "logprobs": True,
                "top_logprobs": k,
            }
        else:
            body |= {"prompt": "\n\n".join(m["content"] for m in request.messages), "logprobs": k}
        return body | dict(self._extra)


def _most_output(body: dict[str, Any]) -> int | None:
    """Maximum number of tokens that a request asks for.

    The sweep's ``extra_body`` may name it differently.
    """
    given = [body.get(name) for name in ("max_tokens", "max_completion_tokens")]
    return max((most for most in given if type(most) is int), default=None)
