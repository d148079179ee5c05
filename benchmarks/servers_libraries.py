"""Processor time per request of HTTP libraries that read the streams of ``benchmarks.servers``.

aiohttp, httpx and httpx2 parse each event as JSON; openai makes its objects of it. All run on
uvloop, each in a process of its own, in turn, against one server. This is what the choice in
docs/decisions/0020-http-client.md rests on; ``benchmarks.servers`` measures the engine itself.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import numpy as np
import uvloop

from benchmarks.paired import play, timed
from benchmarks.servers import IN_FLIGHT, PACE, REQUESTS, TOKENS, serving, share
from isocost.engines.sse import DataLines

BODY = {
    "model": "paced",
    "messages": [{"role": "user", "content": "word " * 100}],
    "max_tokens": TOKENS,
    "logprobs": True,
    "top_logprobs": 5,
    "stream": True,
}
Ask = Callable[[], Awaitable[int]]


def main() -> int:
    """Print what each library takes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.servers_libraries")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        name, url = arguments.one
        print(json.dumps(timed(lambda: uvloop.run(READERS[name](url)))))
        return 0
    with serving(PACE) as url:
        found = play(
            {name: lambda n=name: run(n, url) for name in READERS}, rounds=arguments.rounds
        )
    for name, way in found.items():
        per_request = 1e3 * np.median(np.divide(way.cpu_s, way.tokens)) * TOKENS
        print(f"{name:8} {share(way):.3f} of a core, {per_request:.2f} ms per request")
    return 0


def run(name: str, url: str) -> tuple[int, float, float]:
    """Tokens, wall and processor seconds of one library."""
    words = [sys.executable, "-m", "benchmarks.servers_libraries", "--one", name, url]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    tokens, wall, cpu = json.loads(said)
    return tokens, wall, cpu


async def all_of(ask: Ask) -> int:
    """Tokens of all requests."""
    places = asyncio.Semaphore(IN_FLIGHT)

    async def one() -> int:
        async with places:
            return await ask()

    return sum(await asyncio.gather(*(one() for _ in range(REQUESTS))))


async def tokens_in(pieces: AsyncIterator[bytes]) -> int:
    """Tokens in the bytes of a stream."""
    lines, tokens = DataLines(), 0
    async for piece in pieces:
        for data in lines.feed(piece):
            choices = [] if data == b"[DONE]" else json.loads(data)["choices"]
            tokens += bool(choices and choices[0]["delta"])
    return tokens


async def with_aiohttp(url: str) -> int:
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as client:

        async def ask() -> int:
            async with client.post(f"{url}/chat/completions", json=BODY) as answer:
                return await tokens_in(answer.content.iter_any())

        return await all_of(ask)


async def with_httpx(url: str, name: str = "httpx") -> int:
    library: Any = importlib.import_module(name)
    limits = library.Limits(max_connections=None, max_keepalive_connections=IN_FLIGHT)
    async with library.AsyncClient(timeout=None, limits=limits, trust_env=False) as client:

        async def ask() -> int:
            async with client.stream("POST", f"{url}/chat/completions", json=BODY) as answer:
                return await tokens_in(answer.aiter_raw())

        return await all_of(ask)


async def with_httpx2(url: str) -> int:
    return await with_httpx(url, "httpx2")


async def with_openai(url: str) -> int:
    library: Any = importlib.import_module("openai")
    async with library.AsyncOpenAI(base_url=url, api_key="none", max_retries=0) as client:

        async def ask() -> int:
            stream = await client.chat.completions.create(**BODY)
            return sum([1 async for e in stream if e.choices and e.choices[0].delta.content])

        return await all_of(ask)


READERS: dict[str, Callable[[str], Any]] = {
    "aiohttp": with_aiohttp,
    "httpx": with_httpx,
    "httpx2": with_httpx2,
    "openai": with_openai,
}


if __name__ == "__main__":
    raise SystemExit(main())
