"""A small server with OpenAI's chat interface on loopback that judges by a script, for tests.

What it says is a function of the request, so a test can plant error rates, a bias for a position,
nonsense and failures.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Silence."""

    def end_headers(self) -> None:
        if self.server.retry_after is not None:
            self.send_header("Retry-After", self.server.retry_after)
        super().end_headers()

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.asked.append(body)
            self.server.keys.append(self.headers.get("Authorization"))
            said = self.server.says(body)
        if isinstance(said, int):
            return self.send_error(said, f"with the key {self.headers.get('Authorization')}")
        text = None if isinstance(said, bytes) else said
        answer = {
            "model": "served",
            "choices": [{"message": {"content": text}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 100, "completion_tokens": 10},
        }
        data = said if isinstance(said, bytes) else json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        return None


@contextmanager
def judging(says: Callable[[dict[str, Any]], str | int | bytes]) -> Iterator[ThreadingHTTPServer]:
    """A running judge.

    Args:
        says: the reply to the body of a request; a number is an HTTP status, bytes are the
            whole response. One call at a time.

    Yields:
        The server: ``url`` is its interface, ``asked`` has the bodies, ``keys`` the headers with
        the key; ``retry_after`` is a header of its replies, if set.
    """
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.says, server.asked, server.keys, server.lock = says, [], [], threading.Lock()
    server.retry_after = None
    server.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
    )
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)


def pair_of(body: dict[str, Any]) -> tuple[str, str, bool]:
    """Reference, answer, and whether the answer comes first, from the default rubric's request."""
    text = body["messages"][-1]["content"]
    answer = text.split("Submitted answer:\n")[1].split("\n\n")[0]
    reference = text.split("Reference answer:\n")[1].split("\n\n")[0]
    return reference, answer, text.index("Submitted answer:") < text.index("Reference answer:")


def says_equal(body: dict[str, Any]) -> str:
    """A judge without error: correct if the answer is the reference."""
    reference, answer, _ = pair_of(body)
    return "Compared.\n**VERDICT: " + ("CORRECT**" if reference == answer else "INCORRECT**")
