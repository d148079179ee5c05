"""Any HTTP server with OpenAI's completions API: vLLM, SGLang, llama.cpp, hosted services.

Lives here: `OpenAiEngine` and its options. Not here: the server's address (``openai_server``), the
thread with the event loop that all requests share (``openai_loop``), a request and its answer
(``openai_calls``), whether the server is reachable (``breaker``), starting one.

Options: ``base_url`` (up to and including ``/v1``), ``api`` (``chat``, the default, or
``completions``), ``api_key_variable`` (name of the environment variable with the key),
``connect_s`` (maximum time to connect, 30), ``first_token_s`` (maximum time to the first token;
unless given, ``timeout_s`` is the limit), ``timeout_s`` (maximum silence, 600), ``deadline_s``
(maximum time of a request, six times that), ``patience_s`` (how long to wait for an unreachable
server, 900), ``retries`` (of one request whose answer broke off or that the server fails at, 3),
``extra_body`` (a mapping added to every request).
"""

from __future__ import annotations

import queue
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from isocost.capabilities import Capabilities, Exempt, Role
from isocost.credentials import refuse_credentials
from isocost.engines.breaker import Breaker
from isocost.engines.openai_faults import error_message
from isocost.engines.openai_limits import CONNECT_S, RequestLimits
from isocost.engines.openai_server import Server
from isocost.engines.openai_stream import finish_reason
from isocost.engines.protocol import (
    TEMPLATE,
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

if TYPE_CHECKING:
    from isocost.engines.openai_loop import Loop

_OPTIONS = {
    "base_url": str,
    "api": str,
    "api_key_variable": str,
    "connect_s": (int, float),
    "first_token_s": (int, float),
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
    "options.connect_s": _REACHED,
    "options.first_token_s": _REACHED,
    "options.timeout_s": _REACHED,
    "options.deadline_s": _REACHED,
    "options.patience_s": _REACHED,
    "options.retries": _REACHED,
    "options.in_flight": _ORDER,
    "options.clients": _ORDER,
    "options.isolate_points": _ORDER,
}
_LONGEST_WAIT_S = 0.2
_LONGEST_LIMIT_S = 10**7
_LIMITS = ("connect_s", "first_token_s", "timeout_s", "deadline_s", "patience_s")
_SERVED = ("root", "max_model_len", "owned_by")


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
        model_settings=frozenset({TEMPLATE}),
        exempt=_EXEMPT,
    )

    def __init__(self, settings: EngineSettings) -> None:
        """See `Engine`."""
        options = checked_options(settings, _OPTIONS, self.name)
        timeout_s = float(options.get("timeout_s", 600))
        self._server = Server(
            str(options.get("base_url", "")), options.get("api_key_variable"), timeout_s=timeout_s
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
        for name in _LIMITS:
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
        self._limits = RequestLimits(
            connect_s=float(options.get("connect_s", CONNECT_S)),
            first_token_s=options.get("first_token_s"),
            timeout_s=timeout_s,
            deadline_s=float(options.get("deadline_s", 6 * timeout_s)),
            retries=int(options.get("retries", 3)),
        )
        self._extra = self._extra_body(options)
        self._breaker = Breaker(float(options.get("patience_s", 900)))
        self._done: queue.SimpleQueue[Completion] = queue.SimpleQueue()
        self._loop: Loop | None = None
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
        if TEMPLATE in extra or not self._chat:
            raise IsocostError(
                "is stated twice: also in engine.options.extra_body"
                if TEMPLATE in extra
                else "has no effect: the API completions has no chat template",
                where=f"model.{TEMPLATE}",
                remedy="Remove one of them." if TEMPLATE in extra else "Remove it, or use chat.",
            )
        return {**extra, TEMPLATE: dict(arguments)}

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
        """See `Engine`: one thread with the event loop of all requests."""
        from isocost.engines.openai_calls import Calls
        from isocost.engines.openai_loop import Loop

        calls = Calls(
            self._server,
            self._settings,
            self._limits,
            self._breaker,
            chat=self._chat,
            extra=self._extra,
            context=self._context(),
        )
        self._loop = Loop(calls, self._settings.max_num_seqs, self._done)

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
            timeout_s=self._limits.timeout_s,
            patience_s=self._breaker.patience_s,
            context=self._context(),
        )

    def _context(self) -> int | None:
        served = next((m for m in self._models if m.get("id") == self._settings.model_path), {})
        context = served.get("max_model_len")
        return context if type(context) is int and context > 0 else None

    def add(self, request: Request) -> None:
        """See `Engine`."""
        assert self._loop is not None, "the engine has not been started"
        self._flying += 1
        self._loop.add(request, time.time(), time.monotonic())

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
        """See `Engine`; waiting requests are given up, and those in flight broken off."""
        self._breaker.give_up("the engine was closed")
        if self._loop is not None:
            self._loop.close()
            self._loop = None
