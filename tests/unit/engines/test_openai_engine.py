"""The HTTP engine against a small server in this process.

Streams, log-probabilities, retries, refusals.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isocost.engines.openai import OpenAiEngine, error_message, finish_reason
from isocost.engines.protocol import Completion, EngineSettings, Request
from isocost.errors import IsocostError
from isocost.schema.registry import table


class Handler(BaseHTTPRequestHandler):
    """Streams one token per event; what goes wrong is set on the server."""

    def log_message(self, *_):
        """Silence."""

    def do_GET(self):
        self._send(
            json.dumps({"data": [{"id": "tiny", "max_model_len": 256}]}).encode(),
            "application/json",
        )

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.bodies.append((self.path, body, self.headers.get("Authorization")))
        if self.server.failures:
            self.send_response(self.server.failures.pop())
            self.end_headers()
            self.wfile.write(b"busy")
            return
        chat = self.path.endswith("chat/completions")
        events = []
        for word, p in (("The ", 0.5), ("answer", 0.25)):
            top = [0.6, 0.3]
            if chat:
                item = {
                    "token": word,
                    "logprob": float(np.log(p)),
                    "top_logprobs": [{"logprob": float(np.log(t))} for t in top],
                }
                events.append(
                    {
                        "choices": [
                            {
                                "delta": {"content": word},
                                "logprobs": {"content": [item]},
                                "finish_reason": None,
                            }
                        ]
                    }
                )
            else:
                top_map = {f"t{i}": float(np.log(t)) for i, t in enumerate(top)}
                logprobs = {"token_logprobs": [float(np.log(p))], "top_logprobs": [top_map]}
                events.append(
                    {"choices": [{"text": word, "logprobs": logprobs, "finish_reason": None}]}
                )
        events.append({"choices": [{"delta": {}, "text": "", "finish_reason": "stop"}]})
        usage = {
            "prompt_tokens": 9,
            "completion_tokens": 2,
            "prompt_tokens_details": {"cached_tokens": 4},
        }
        events.append({"choices": [], "usage": usage})
        if self.server.broken:
            events = [{"error": {"message": "out of memory"}}]
        stream = "".join(f"data: {json.dumps(e)}\n\n" for e in events) + "data: [DONE]\n\n"
        self._send(stream.encode(), "text/event-stream")

    def _send(self, data: bytes, kind: str):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.bodies, made.failures, made.broken = [], [], False
    threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


def engine(server, *, model="tiny", **options) -> OpenAiEngine:
    return OpenAiEngine(
        EngineSettings(
            model_path=model,
            model_name="m",
            dtype="auto",
            quantization=None,
            revision=None,
            seed=0,
            max_model_len=256,
            kv_cache_bytes=1,
            max_num_seqs=3,
            max_num_batched_tokens=512,
            block_size=None,
            enable_prefix_caching=True,
            enforce_eager=False,
            logprobs_k=2,
            options={"base_url": f"http://127.0.0.1:{server.server_port}/v1", **options},
        )
    )


def ask(made: OpenAiEngine, count: int = 1, **changes) -> dict[str, Completion]:
    values = {
        "temperature": 0.7,
        "top_p": 0.9,
        "top_k": 0,
        "min_p": 0.0,
        "max_tokens": 8,
        "seed": None,
    } | changes
    messages = ({"role": "system", "content": "Be brief."}, {"role": "user", "content": "1 + 1?"})
    made.check()
    made.start()
    for i in range(count):
        made.add(
            Request(
                request_id=str(i),
                messages=messages,
                problem_id="p",
                prompt_hash="h",
                sample_index=i,
                **values,
            )
        )
    found: dict[str, Completion] = {}
    while made.unfinished():
        found |= {c.request_id: c for c in made.step()}
    made.close()
    return found


@pytest.mark.parametrize("api", ["chat", "completions"])
def test_text_tokens_times_and_log_probabilities_arrive(server, api):
    found = ask(engine(server, api=api), 5)
    assert sorted(found) == ["0", "1", "2", "3", "4"]
    one = found["3"]
    assert (one.text, one.finish_reason, one.error) == ("The answer", "stop", None)
    assert (one.prompt_tokens, one.output_tokens, one.cached_tokens, one.token_ids) == (
        9,
        2,
        4,
        None,
    )
    assert one.logprobs is not None and one.logprobs.vocabulary is None
    assert np.allclose(np.exp(one.logprobs.sampled), [0.5, 0.25]) and np.allclose(
        np.exp(one.logprobs.top), [[0.6, 0.3]] * 2
    )
    assert one.queued_s <= one.scheduled_s <= one.first_token_s <= one.last_token_s
    path, body, _ = server.bodies[0]
    assert path == ("/v1/chat/completions" if api == "chat" else "/v1/completions")
    assert (body["model"], body["max_tokens"], body["temperature"], body["stream"]) == (
        "tiny",
        8,
        0.7,
        True,
    )
    assert "seed" not in body and "top_k" not in body and "min_p" not in body
    if api == "completions":
        assert body["prompt"] == "Be brief.\n\n1 + 1?"


def test_what_is_asked_for_is_sent_and_the_key_comes_from_the_environment(server, monkeypatch):
    monkeypatch.setenv("SOME_KEY", "secret")
    ask(
        engine(server, api_key_variable="SOME_KEY", extra_body={"reasoning_effort": "low"}),
        top_k=5,
        min_p=0.1,
        seed=3,
    )
    _, body, authorization = server.bodies[0]
    assert (body["top_k"], body["min_p"], body["seed"], body["reasoning_effort"]) == (
        5,
        0.1,
        3,
        "low",
    )
    assert authorization == "Bearer secret"
    monkeypatch.delenv("SOME_KEY")
    with pytest.raises(IsocostError, match="SOME_KEY is not set"):
        engine(server, api_key_variable="SOME_KEY").check()


@pytest.mark.slow
def test_a_busy_server_is_asked_again_and_a_refusal_is_not(server):
    server.failures[:] = [503, 429]
    assert ask(engine(server))["0"].finish_reason == "stop" and len(server.bodies) == 3
    server.failures[:] = [400]
    refused = ask(engine(server))["0"]
    assert (
        refused.finish_reason == "error"
        and "HTTP 400: busy" in (refused.error or "")
        and len(server.bodies) == 4
    )


def test_an_error_inside_the_stream_is_the_requests_error(server):
    server.broken = True
    assert "out of memory" in (ask(engine(server, retries=0))["0"].error or "")


def test_a_server_that_is_not_there_or_serves_another_model_is_reported_before_anything_is_asked(
    server,
):
    with pytest.raises(IsocostError, match="It serves tiny"):
        engine(server, model="large").check()
    with pytest.raises(IsocostError, match="does not answer"):
        engine(server, base_url="http://127.0.0.1:9/v1").check()


@pytest.mark.parametrize(
    ("stated", "ours"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("eos_token", "stop"),
        ("tool_calls", "stop"),
        ("content_filter", "content_filter"),
        ("refusal", "refusal"),
        ("network_error", "abort"),
        (None, "error"),
    ],
)
def test_a_servers_word_for_the_end_is_one_of_ours(stated, ours):
    assert finish_reason(stated) == ours


@given(st.none() | st.text(max_size=20))
def test_no_word_of_a_server_leaves_our_vocabulary(stated):
    (column,) = (c for c in table("raw_generations").columns if c.name == "finish_reason")
    assert finish_reason(stated) in column.meaning.removeprefix("Why generation ended: ").rstrip(
        "."
    ).split(", ")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('{"error": {"message": "too long", "type": "x"}}', "too long"),
        ('{"object": "error", "message": "too long"}', "too long"),
        ('{"detail": "Not Found"}', "Not Found"),
        ("<html><style>p {}</style><h1>Bad\nGateway</h1></html>", "Bad Gateway"),
        ("busy", "busy"),
        ("", ""),
    ],
)
def test_a_refusal_is_reported_in_one_line(body, said):
    assert error_message(body) == said


@given(st.text())
def test_a_refusal_is_one_short_line_whatever_the_server_sends(body):
    said = error_message(body)
    assert len(said) <= 300 and "\n" not in said


def test_what_the_server_says_of_itself_is_recorded_and_no_package_here_is_its_version(server):
    made = engine(server)
    made.check()
    reported = made.describe()
    assert (
        reported["resolved"] == {"model": {"model": "tiny", "max_model_len": 256}}
        and reported["device"] == "remote"
    )


@pytest.mark.parametrize(
    "options", [{"base_url": "localhost:8000"}, {"api": "responses"}, {"retry": 3}]
)
def test_wrong_options_are_refused(server, options):
    with pytest.raises(IsocostError, match=r"engine\.options"):
        engine(server, **options)


def test_arguments_of_the_chat_template_are_sent_once(server):
    from dataclasses import replace

    told = {"enable_thinking": False}
    made = engine(server, extra_body={"x": 1})
    ask(OpenAiEngine(replace(made._settings, chat_template_kwargs=told)))
    body = server.bodies[0][1]
    assert (body["chat_template_kwargs"], body["x"]) == (told, 1)
    for options, said in (
        ({"extra_body": {"chat_template_kwargs": {}}}, "stated twice"),
        ({"api": "completions"}, "has no chat template"),
    ):
        with pytest.raises(IsocostError, match=said):
            OpenAiEngine(replace(engine(server, **options)._settings, chat_template_kwargs=told))
