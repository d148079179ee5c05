"""A server with OpenAI's API that says what a script says, at a stated pace, and counts its tokens.

Lives here: the server, used by ``benchmarks.meter`` and by tests of the meter. Not here: a model.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

MODEL = "scripted"
Script = Callable[[str, int, int], list[str]]
"""Tokens of an answer, from the prompt's text, the request's number and the choice's index."""


def added(prompt: str, number: int, choice: int) -> list[str]:
    """The sum of the first two numbers, wrong in about a third of the answers."""
    right = sum(int(n) for n in re.findall(r"-?\d+", prompt.replace("- ", "-"))[:2])
    luck = hashlib.sha256(f"{prompt}{number}{choice}".encode()).digest()[0]
    return ["The", " answer", " is", " ", str(right + (luck % 3 == 0)), "."]


@dataclass
class Scripted:
    """The server's script and its counters.

    Attributes:
        script: what it says.
        token_s: seconds per token.
        first_s: seconds before the first token.
        faults: what goes wrong, by the number of the request from 1: an HTTP status, or stall, half
            or drop; the key 0 applies to every request.
        url: base URL.
        asked: requests for an answer.
        counts: tokens by kind: prompt, cached, output.
        bodies: the bytes of every answer, in the order of their ends.
        requests: every request's JSON.
        keys: authorization of every request.
        has_usage: whether it reports tokens.
        end: stops the server.
    """

    script: Script = added
    token_s: float = 0.0
    first_s: float = 0.0
    faults: dict[int, int | str] = field(default_factory=dict)
    url: str = ""
    asked: int = 0
    counts: dict[str, int] = field(default_factory=lambda: {"prompt": 0, "cached": 0, "output": 0})
    bodies: list[bytes] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    has_usage: bool = True
    end: Callable[[], None] = lambda: None

    async def models(self, _: Request) -> Response:
        """The only model."""
        return JSONResponse({"data": [{"id": MODEL, "max_model_len": 100_000}]})

    async def answer(self, request: Request) -> Response:
        """One answer, whole or as a stream."""
        body = json.loads(await request.body())
        self.asked += 1
        number = self.asked
        self.requests.append(body)
        self.keys.append(request.headers.get("authorization"))
        fault = self.faults.get(number, self.faults.get(0))
        if isinstance(fault, int):
            return JSONResponse({"error": {"message": f"scripted {fault}"}}, fault)
        if fault == "stall":
            await asyncio.sleep(3600)
        made = _Made(self, body, number, is_chat=request.url.path.endswith("chat/completions"))
        if body.get("stream"):
            return StreamingResponse(self._stream(made, fault), media_type="text/event-stream")
        await asyncio.sleep(self.first_s + self.token_s * made.longest())
        data = json.dumps(made.whole()).encode()
        self._count(made, data)
        if fault == "half":
            return Response(data[: len(data) // 2], media_type="application/json")
        return Response(data, media_type="application/json")

    async def _stream(self, made: _Made, fault: object) -> AsyncIterator[bytes]:
        begun = asyncio.get_running_loop().time()
        sent = b""
        for place, events in enumerate(made.events()):
            due = begun + self.first_s + self.token_s * (place + 1) if self.token_s else begun
            await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))
            if fault == "half" and place >= 2:
                raise ConnectionError("scripted")
            piece = b"".join(b"data: " + json.dumps(e).encode() + b"\n\n" for e in events)
            sent += piece
            yield piece
        tail = b"data: [DONE]\n\n"
        self._count(made, sent + tail)
        yield tail

    def _count(self, made: _Made, data: bytes) -> None:
        for kind, number in zip(self.counts, made.tokens(), strict=True):
            self.counts[kind] += number
        self.bodies.append(data)


class _Made:
    """One answer."""

    def __init__(self, server: Scripted, body: dict[str, Any], number: int, *, is_chat: bool):
        self._body, self._is_chat, self._number = body, is_chat, number
        self._has_usage = server.has_usage
        if is_chat:
            prompts = ["\n".join(str(m.get("content")) for m in body["messages"])]
        else:
            prompt = body["prompt"]
            prompts = [prompt] if isinstance(prompt, str) else list(prompt)
        self._prompts = prompts
        self._most = body.get("max_tokens") or body.get("max_completion_tokens") or 10**6
        self.choices = [
            server.script(prompt, number, index)[: self._most]
            for prompt in prompts
            for index in range(body.get("n") or 1)
        ]
        self._tools = [
            {
                "id": f"call_{number}",
                "type": "function",
                "function": {"name": tool["function"]["name"], "arguments": '{"a": 1}'},
            }
            for tool in (body.get("tools") or ())[:1]
        ]

    def longest(self) -> int:
        return max(map(len, self.choices))

    def tokens(self) -> tuple[int, int, int]:
        prompt = sum(len(prompt.split()) + 3 for prompt in self._prompts)
        return prompt, prompt // 2, sum(map(len, self.choices))

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": f"cmpl-{self._number}", "object": kind, "created": 1, "model": MODEL}

    def _usage(self) -> dict[str, Any]:
        prompt, cached, output = self.tokens()
        return {
            "prompt_tokens": prompt,
            "completion_tokens": output,
            "total_tokens": prompt + output,
            "prompt_tokens_details": {"cached_tokens": cached},
        }

    def whole(self) -> dict[str, Any]:
        choices = []
        for index, tokens in enumerate(self.choices):
            text = "".join(tokens)
            said: dict[str, Any] = {"text": text}
            if self._is_chat:
                said = {"message": {"role": "assistant", "content": text}}
            if self._is_chat and self._tools:
                said["message"] |= {"content": None, "tool_calls": self._tools}
            choices.append({"index": index, **said, "finish_reason": self._finish(tokens)})
        usage = {"usage": self._usage()} if self._has_usage else {}
        return {**self._head("completion"), "choices": choices, **usage}

    def events(self) -> Iterator[list[dict[str, Any]]]:
        """What is sent at the same time, one token of every choice."""
        for place in range(self.longest()):
            yield [
                self._event(index, tokens[place])
                for index, tokens in enumerate(self.choices)
                if place < len(tokens)
            ]
        last = [
            self._event(index, None, self._finish(tokens))
            for index, tokens in enumerate(self.choices)
        ]
        usage = []
        if (self._body.get("stream_options") or {}).get("include_usage") and self._has_usage:
            usage = [{**self._head("chunk"), "choices": [], "usage": self._usage()}]
        yield [*last, *usage]

    def _event(self, index: int, token: str | None, finish: str | None = None) -> dict[str, Any]:
        if not self._is_chat:
            said: dict[str, Any] = {"text": token or ""}
        elif self._tools and finish is not None:
            called = [{"index": i, **tool} for i, tool in enumerate(self._tools)]
            said = {"delta": {"tool_calls": called}}
        else:
            said = {"delta": {} if token is None or self._tools else {"content": token}}
        choice = {"index": index, **said, "finish_reason": finish}
        return {**self._head("chunk"), "choices": [choice]}

    def _finish(self, tokens: list[str]) -> str:
        if self._tools:
            return "tool_calls"
        return "length" if len(tokens) == self._most else "stop"


@contextmanager
def serving(**script: Any) -> Iterator[Scripted]:
    """A running server; keywords are `Scripted`'s."""
    server = Scripted(**script)
    routes = [
        Route("/v1/models", server.models, methods=["GET"]),
        Route("/v1/chat/completions", server.answer, methods=["POST"]),
        Route("/v1/completions", server.answer, methods=["POST"]),
    ]
    config = uvicorn.Config(
        Starlette(routes=routes), log_config=None, log_level="critical", lifespan="off"
    )
    runner = uvicorn.Server(config)
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        server.url = f"http://127.0.0.1:{place.getsockname()[1]}/v1"
        thread = threading.Thread(target=runner.run, args=([place],), daemon=True)
        thread.start()
        while not runner.started:
            thread.join(0.005)

        def end() -> None:
            runner.should_exit = runner.force_exit = True
            thread.join(10)
            place.close()

        server.end = end
        try:
            yield server
        finally:
            end()
