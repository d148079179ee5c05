"""A server on loopback that misbehaves as requested, for tests.

Raw sockets: no library keeps it from anything.
"""

from __future__ import annotations

import json
import random
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

KEY = "sk-HIDDEN-0123456789"


def events(
    *, text: str = "42", finish: Any = "stop", usage: Any = None, logprob: Any = -0.5, **choice: Any
) -> list[dict[str, Any]]:
    """A good answer of two tokens, or one with other values in it."""
    item = {
        "token": "4",
        "logprob": logprob,
        "top_logprobs": [{"logprob": logprob}, {"logprob": -3.0}],
    }
    piece = {
        "index": 0,
        "delta": {"content": text},
        "finish_reason": None,
        "logprobs": {"content": [item]},
    } | choice
    usage = {"prompt_tokens": 20, "completion_tokens": 2} if usage is None else usage
    return [
        {"choices": [piece]},
        {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]},
        {"choices": [], "usage": usage},
    ]


def stream(*said: Any) -> bytes:
    """Events as a whole response; bytes are sent as they are."""
    lines = [
        item if isinstance(item, bytes) else b"data: " + json.dumps(item).encode() + b"\n\n"
        for item in said
    ]
    return (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
        + b"".join(lines)
        + b"data: [DONE]\n\n"
    )


def refusal(code: int, body: str = "no", **headers: str) -> bytes:
    """A refusal as a whole response."""
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {code} Word\r\n{lines}Content-Length: {len(body)}\r\n\r\n{body}".encode()


def hostile(draw: random.Random) -> Any:
    """A value that no field of an answer should have."""
    plain = [
        None,
        True,
        0,
        -1,
        2**31,
        2**62,
        10**30,
        2.5,
        -1e308,
        1e308,
        float("nan"),
        float("inf"),
        "",
        "7",
        "\ud83d",
        "a\x00b",
        KEY,
    ]
    return draw.choice(
        [
            *plain,
            [],
            {},
            [1],
            {"a": [1]},
            [None],
            [{}],
            {"content": [{"logprob": "x"}]},
            "stop",
            "x" * 1000,
        ]
    )


def drawn_answer(seed: int) -> bytes:
    """A response that is wrong in one to three places, drawn from a seed."""
    draw = random.Random(seed)
    said: list[Any] = events()
    for _ in range(draw.randint(1, 3)):
        places = [p for p in _places(said) if p]
        _set(said, draw.choice(places), hostile(draw))
    body = stream(*said)
    kind = draw.randrange(8)
    if kind == 0:
        return body[: draw.randrange(len(body))]
    if kind == 1:
        at = draw.randrange(60, len(body))
        return (
            body[:at] + bytes(draw.randrange(256) for _ in range(draw.randint(1, 20))) + body[at:]
        )
    if kind == 2:
        return body.replace(b'{"choices"', b'{"choices": [], "choices"', 1)
    if kind == 3:
        return stream(b"data: " + b"[" * 5000 + b"\n\n", *said)
    return body


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return [path, *(place for key, item in inner for place in _places(item, (*path, key)))]


def _set(value: Any, path: tuple[Any, ...], new: Any) -> None:
    for key in path[:-1]:
        value = value[key]
    value[path[-1]] = new


class Hostile:
    """What the server does.

    `answer` gets the connection, the number of the request and the request as text.
    """

    def __init__(self, answer: Callable[[socket.socket, int, str], bytes | None]) -> None:
        self.answer, self.asked, self.lock = answer, 0, threading.Lock()
        self.listed: list[dict[str, Any]] = [{"id": "tiny"}]
        self.seen: list[str] = []
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}/v1"

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.settimeout(5)
            request = b""
            while b"\r\n\r\n" not in request:
                request += connection.recv(65536)
            head, _, body = request.partition(b"\r\n\r\n")
            length = next(
                (
                    int(line[15:])
                    for line in head.split(b"\r\n")
                    if line.lower().startswith(b"content-length:")
                ),
                0,
            )
            while len(body) < length:
                body += connection.recv(65536)
            if head.startswith(b"GET"):
                listed = json.dumps({"data": self.listed})
                connection.sendall(refusal(200, listed) if b"/models" in head else refusal(404))
                return
            with self.lock:
                self.asked += 1
                number = self.asked
                self.seen.append(head.decode())
            if (said := self.answer(connection, number, body.decode())) is not None:
                connection.sendall(said)


def reset(connection: socket.socket) -> None:
    """Ends a connection as a crash does."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def drip(
    connection: socket.socket, piece: bytes, every_s: float = 0.02, seconds: float = 5.0
) -> None:
    """Sends a piece again and again until nobody listens."""
    end = time.monotonic() + seconds
    with suppress(OSError):
        while time.monotonic() < end:
            connection.sendall(piece)
            time.sleep(every_s)


@contextmanager
def serving(answer: Callable[[socket.socket, int, str], bytes | None]) -> Iterator[Hostile]:
    """A running server."""
    made = Hostile(answer)
    threading.Thread(target=made.serve, daemon=True).start()
    try:
        yield made
    finally:
        made.listener.close()
