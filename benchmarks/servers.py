"""Processor time of the engine ``openai`` with 256 requests in flight, as a share of one core.

A scripted server in another process streams tokens to each request at a fixed pace, every token
with five log-probabilities, as a server does that is asked for them. The engine runs in a process
of its own: its processor time, divided by the wall time, is what is left of a core for everything
else. ``--before REVISION`` measures the engine of that revision of this repository in the same run,
in palindromic rounds (``paired``).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.paired import Way, play, ratio

IN_FLIGHT, TOKENS, REQUESTS, PACE, TOP = 256, 100, 512, 20.0, 5
MOST_SHARE = 0.5
HERE = Path(__file__).parent
NOW = "now"


def main() -> int:
    """Print the shares; 1 if this version's is above what is wanted."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.servers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pace", type=float, default=PACE, help="tokens per second and request")
    parser.add_argument("--before", metavar="REVISION", help="also measure this revision")
    parser.add_argument("--full", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        asyncio.run(serve(arguments.pace))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        trees = {NOW: HERE.parent}
        if arguments.before:
            trees = {arguments.before: unpacked(arguments.before, Path(folder)), **trees}
        found = measure(trees, arguments.pace, arguments.rounds)
    print(
        f"{REQUESTS} requests of {TOKENS} tokens, {IN_FLIGHT} in flight, {arguments.pace:g} tokens "
        f"per second to each, {arguments.rounds} rounds"
    )
    for name, way in found.items():
        print(
            f"{name:8} {share(way):.3f} of a core, {way.speed() / TOKENS:.1f} requests/s,"
            f" {1e3 * np.median(np.divide(way.cpu_s, way.tokens)) * TOKENS:.2f} ms of processor"
            f" time per request"
        )
    if arguments.before:
        print(
            f"tokens per processor second, now over {arguments.before}:"
            f" {ratio(found[NOW], found[arguments.before], cpu=True).verdict(1.0)}"
        )
    kept = share(found[NOW]) < MOST_SHARE
    print(f"now below {MOST_SHARE:g} of a core: {'kept' if kept else 'MISSED'}")
    return 0 if kept else 1


def share(way: Way) -> float:
    """Median processor seconds per wall second."""
    return float(np.median(np.divide(way.cpu_s, way.wall_s)))


def unpacked(revision: str, folder: Path) -> Path:
    """The package as it was at a revision."""
    archive = subprocess.run(
        ["git", "archive", revision, "isocost"], cwd=HERE.parent, capture_output=True, check=True
    )
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)
    return folder


def measure(trees: dict[str, Path], pace: float, rounds: int) -> dict[str, Way]:
    """What each version takes; all ask one server."""
    with serving(pace) as url:
        ways = {name: partial(run, tree, url) for name, tree in trees.items()}
        return play(ways, rounds=rounds)


def run(tree: Path, url: str) -> tuple[int, float, float]:
    """Tokens, wall and processor seconds of the engine in one tree."""
    size = {"in_flight": IN_FLIGHT, "tokens": TOKENS, "requests": REQUESTS, "top": TOP}
    words = [sys.executable, "-c", (HERE / "servers_client.py").read_text(), url, json.dumps(size)]
    said = subprocess.run(words, cwd=tree, capture_output=True, text=True, check=True).stdout
    tokens, wall, cpu = json.loads(said)
    return tokens, wall, cpu


@contextmanager
def serving(pace: float) -> Iterator[str]:
    """The base URL of a server in another process."""
    words = [sys.executable, "-m", "benchmarks.servers", "--serve", "--pace", str(pace)]
    with subprocess.Popen(words, cwd=HERE.parent, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
        finally:
            process.kill()


async def serve(pace: float) -> None:
    """Answer until the process is ended; the port is the first line of the output."""
    made = partial(Paced, 1.0 / pace)
    server = await asyncio.get_running_loop().create_server(made, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def _chunk(*events: object) -> bytes:
    said = [event if isinstance(event, str) else json.dumps(event) for event in events]
    body = "".join(f"data: {one}\n\n" for one in said).encode()
    return b"%x\r\n%s\r\n" % (len(body), body)


_TOP = [{"token": f" t{i}", "logprob": -0.5 - i, "bytes": [32, 116]} for i in range(TOP)]
_ITEM = {"token": " word", "logprob": -0.5, "bytes": [32, 119], "top_logprobs": _TOP}


class Paced(asyncio.Protocol):
    """One connection, with no more work per token than a write: it shares the machine."""

    listed = json.dumps({"data": [{"id": "paced"}]}).encode()
    head = (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    token = _chunk(
        {
            "id": "chatcmpl-" + "0" * 32,
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "paced",
            "choices": [
                {
                    "index": 0,
                    "delta": {"content": " word"},
                    "logprobs": {"content": [_ITEM]},
                    "finish_reason": None,
                }
            ],
        }
    )
    last = _chunk(
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "length"}]},
        {"choices": [], "usage": {"prompt_tokens": 20, "completion_tokens": TOKENS}},
        "[DONE]",
    )

    def __init__(self, token_s: float) -> None:
        self._token_s = token_s
        self._asked = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """One request; its body has arrived when the next one is not there yet."""
        self._asked += data
        head, _, body = self._asked.partition(b"\r\n\r\n")
        lines = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")]
        length = int(lines[0].partition(b":")[2]) if lines else 0
        if b"\r\n\r\n" not in self._asked or len(body) < length:
            return
        self._asked = body[length:]
        if head.startswith(b"GET"):
            size = b"Content-Length: %d" % len(self.listed)
            self._transport.write(b"HTTP/1.1 200 OK\r\n%s\r\n\r\n%s" % (size, self.listed))
            return
        self._transport.write(self.head)
        loop = asyncio.get_running_loop()
        # Requests that begin together do not get their tokens together.
        self._due, self._left = loop.time() + self._token_s * random.random(), TOKENS
        loop.call_at(self._due, self._send)

    def _send(self) -> None:
        if self._transport.is_closing():
            return
        if not self._left:
            self._transport.write(self.last + b"0\r\n\r\n")
            return
        self._transport.write(self.token)
        self._left -= 1
        self._due += self._token_s
        asyncio.get_running_loop().call_at(self._due, self._send)


if __name__ == "__main__":
    raise SystemExit(main())
