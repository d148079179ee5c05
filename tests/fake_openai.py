"""A small server with OpenAI's chat interface on loopback, for tests.

It adds two numbers, sometimes wrongly, with log-probabilities.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Silence."""

    def do_GET(self) -> None:
        if self.path == "/v1/models":
            return self._send(
                {"data": [{"id": "adder", "owned_by": "tests", "max_model_len": 128}]}
            )
        if self.path == "/version" and self.server.version:
            return self._send({"version": self.server.version})
        self.send_error(404)
        return None

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            self.server.asked += 1
            number = self.server.asked
        if number in self.server.refused:
            return self.send_error(400, "refused on purpose")
        said = _answer(body["messages"][-1]["content"], number)
        events = [
            {
                "choices": [
                    {
                        "delta": {"content": piece},
                        "logprobs": {"content": [_logprob(piece)]},
                        "finish_reason": None,
                    }
                ]
            }
            for piece in said
        ]
        events.append({"choices": [{"delta": {}, "finish_reason": "stop"}]})
        events.append(
            {"choices": [], "usage": {"prompt_tokens": 11, "completion_tokens": len(said)}}
        )
        text = "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"
        return self._write(text.encode(), "text/event-stream")

    def _send(self, value: object) -> None:
        self._write(json.dumps(value).encode(), "application/json")

    def _write(self, data: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _answer(question: str, number: int) -> list[str]:
    """The sum in the question, wrong in about a third of the requests."""
    right = sum(int(n) for n in re.findall(r"-?\d+", question.replace("- ", "-"))[:2])
    luck = hashlib.sha256(f"{question}{number}".encode()).digest()[0]
    return ["Answer", ": ", str(right + (luck % 3 == 0)), "."]


def _logprob(piece: str) -> dict[str, object]:
    return {
        "token": piece,
        "logprob": -0.5,
        "top_logprobs": [{"logprob": -0.5}, {"logprob": -1.5}, {"logprob": -3.0}],
    }


@contextmanager
def serving(*, version: str | None = None) -> Iterator[ThreadingHTTPServer]:
    """A running server.

    ``url`` is its interface, ``asked`` counts requests, those whose number is in ``refused`` get
    HTTP 400.
    """
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.version, server.asked, server.refused, server.lock = version, 0, set(), threading.Lock()
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
