"""Answers as servers should not write them, and clients that read and say what nobody expects."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import json
import re
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isocost.engines.protocol import Address
from isocost.meter import gateway as gateways
from isocost.meter.account import Limits
from isocost.meter.clients import CommandClient, FunctionClient, Question
from isocost.meter.exchange import CHAT, BadRequest, Completions, Exchange, read_request
from isocost.meter.gateway import Gateway
from isocost.payload.judgement import judged

KEY = "sk-very/secret-123"
USAGE = {"prompt_tokens": 5, "completion_tokens": 3}
HI = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 10**12),
    st.floats(),
    st.text(max_size=3),
    st.lists(st.integers(0, 3), max_size=2),
)


def passed(pieces, status=200, **asked):
    """An exchange whose answer has passed."""
    exchange = Exchange(read_request(CHAT, json.dumps(HI | asked).encode(), "m"))
    exchange.sent_s, exchange.status = time.monotonic(), status
    for piece in pieces:
        exchange.take(piece)
    exchange.end()
    return exchange


def choice(text, index=0):
    return {"index": index, "message": {"content": text}, "finish_reason": "stop"}


def read(exchange, key=""):
    return Completions(exchange, logprobs_k=0, context=None, key=key).found


@given(usage=st.dictionaries(st.sampled_from([*USAGE, "total_tokens"]), ODD), n=st.integers(1, 3))
def test_whatever_usage_says_the_texts_are_kept_and_bad_counts_are_unknown(usage, n):
    body = {"choices": [choice(f"text {i}", i) for i in range(n)], "usage": usage}
    rows = [
        judged({"output_text": c.text, "finish_reason": c.finish_reason, "error": c.error}
               | {name: getattr(c, name) for name in ("prompt_tokens", "output_tokens")})
        for c in read(passed([json.dumps(body).encode()], n=n))
    ]  # fmt: skip
    assert [row["output_text"] for row in rows] == [f"text {i}" for i in range(n)]
    output = usage.get("completion_tokens")
    for row in rows:
        assert row["output_tokens"] is None or type(row["output_tokens"]) is int
    if all(row["output_tokens"] is not None for row in rows):
        assert sum(row["output_tokens"] for row in rows) == output
    elif output is not None:
        assert any(row["error"] for row in rows), "unknown, with a reason"


@given(
    end=st.sampled_from([b"\n", b"\r\n"]),
    asides=st.lists(st.sampled_from([b": ping", b"event: message", b"id: 3"]), max_size=2),
    cuts=st.sets(st.integers(1, 400), max_size=12),
)
def test_a_stream_is_passed_on_event_by_event_however_its_lines_end(end, asides, cuts):
    delta = {"choices": [{"index": 0, "delta": {"content": "é"}, "finish_reason": "stop"}]}
    said = [json.dumps(delta), json.dumps({"choices": [], "usage": USAGE}), "[DONE]"]
    events = [end.join([*asides, b"data: " + one.encode(), b"", b""]) for one in said]
    whole = b"".join(events)
    places = [0, *sorted(cut for cut in cuts if cut < len(whole)), len(whole)]
    pieces = [whole[a:b] for a, b in itertools.pairwise(places)]

    async def shown():
        async def raw():
            for piece in pieces:
                yield piece

        return [piece async for piece in gateways._without_usage(raw())]

    found = asyncio.run(shown())
    assert b"".join(found) == events[0] + events[2]
    if len(events[0]) in places:
        assert found[0] == events[0], "an event that is complete does not wait"
    [completion] = read(passed(pieces, stream=True))
    assert (completion.text, completion.output_tokens) == ("é", 3)


@given(
    place=st.sampled_from(["text", "error", "event", "stop_reason"]),
    before=st.integers(0, 700).map("x".__mul__),
)
def test_a_key_that_the_server_repeats_is_not_kept(place, before):
    said = f"{before} {KEY}"
    if place == "text":
        exchange = passed([json.dumps({"choices": [choice(said)], "usage": USAGE}).encode()])
    elif place == "stop_reason":
        stopped = choice("4") | {"stop_reason": said}
        exchange = passed([json.dumps({"choices": [stopped], "usage": USAGE}).encode()])
    elif place == "error":
        exchange = passed([json.dumps({"error": {"message": said}}).encode()], status=401)
    else:
        event = json.dumps({"error": {"message": said}})
        exchange = passed([f"data: {event}\n\n".encode()], stream=True)
    [found] = read(exchange, KEY)
    assert "sk-very" not in f"{found.text} {found.error} {found.stop_reason}"


@pytest.mark.parametrize(
    ("pieces", "asked", "said"),
    [
        ([], {}, "the answer is empty"),
        ([b"data: \n\n"], {"stream": True}, "no choice"),
        (
            [json.dumps({"choices": [choice("a"), choice("b")]}).encode()],
            {"n": 2},
            "several choices have the same index",
        ),
    ],
)
def test_an_answer_that_cannot_be_read_says_why(pieces, asked, said):
    [found] = read(passed(pieces, **asked))
    assert found.finish_reason == "error" and said in found.error


def test_a_stream_may_be_answered_in_one_piece():
    body = json.dumps({"choices": [choice("4")], "usage": USAGE}).encode()
    [found] = read(passed([body], stream=True))
    assert (found.text, found.output_tokens) == ("4", 3)


@pytest.mark.parametrize("stream", [False, True])
def test_reasoning_and_refusals_are_kept_apart_from_answers(stream):
    """Of two choices one thinks, and the other declines."""
    thinks = {"content": "42", "reasoning_content": f"6 x 7, says {KEY}"}
    declines = {"content": None, "refusal": "I can't say."}
    usage = USAGE | {"completion_tokens_details": {"reasoning_tokens": 2}}
    field = "delta" if stream else "message"
    choices = [
        {"index": i, field: said, "finish_reason": "stop"}
        for i, said in enumerate((thinks, declines))
    ]
    whole = json.dumps({"choices": choices, "usage": usage}).encode()
    pieces = [b"data: " + whole + b"\n\n", b"data: [DONE]\n\n"] if stream else [whole]
    one, two = read(passed(pieces, n=2, stream=stream), key=KEY)
    assert (one.text, one.finish_reason, two.text, two.finish_reason) == (
        "42",
        "stop",
        "I can't say.",
        "refusal",
    )
    assert "6 x 7" in one.reasoning_text and KEY not in one.reasoning_text
    assert two.reasoning_text is None and (one.reasoning_tokens, two.reasoning_tokens) == (2, 0)


def test_a_negative_limit_is_none_and_a_stream_is_true_or_false():
    assert read_request(CHAT, json.dumps(HI | {"max_tokens": -1}).encode(), "m").most_output() is (
        None
    )
    for stream in (1, 0, "true", []):
        with pytest.raises(BadRequest, match="stream must be true or false"):
            read_request(CHAT, json.dumps(HI | {"stream": stream}).encode(), "m")


@contextmanager
def answering(body, status=200, **headers):
    """A server that always says the same; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(status)
            for name, value in (headers | {"content-length": str(len(body))}).items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()


WHOLE = json.dumps({"choices": [choice("4")], "usage": USAGE}).encode()


@pytest.mark.parametrize(
    ("server", "status", "shown", "said"),
    [
        ({"body": gzip.compress(WHOLE), "content_encoding": "gzip"}, 200, WHOLE, None),
        ({"body": b"?", "content_encoding": "br"}, 502, b"compressed (br)", "compressed (br)"),
        (
            {"body": f"no key {KEY}".encode(), "status": 401},
            401,
            b"no key [redacted]",
            "HTTP 401: no key [redacted]",
        ),
    ],
)
def test_compressed_answers_and_rejected_keys(server, status, shown, said):
    with answering(**server) as url, Gateway(Address(url, "m", key=KEY)) as gateway:
        account = gateway.accounts.open(Limits(9, 99))
        found = httpx.post(f"{gateway.address(account)}/{CHAT}", json=HI)
        [exchange] = gateway.accounts.close(account)
    assert found.status_code == status and shown in found.content
    [completion] = read(exchange, KEY)
    assert completion.error is None if said is None else said in completion.error
    assert (completion.text == "4") == (said is None)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "answer", "fault"),
    [
        ("import sys\nsys.stderr.write('w' * 300_000)\ndef go(*a): return 'ok'", "ok", None),
        ("import sys\ndef go(*a): return sys.stdin.read() + 'end'", "end", None),
        ("def go(:", None, "cannot be imported: odd:go: SyntaxError"),
        ("raise SystemExit('no licence')", None, "exit code 1: no licence"),
        ("def go(*a): raise ValueError('z' * 10**7)", None, "raised ValueError: zzz"),
    ],
)
def test_a_function_is_given_a_large_question_whatever_it_does(
    tmp_path, monkeypatch, text, answer, fault
):
    (tmp_path / "odd.py").write_text(text)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    client = FunctionClient("odd:go")
    end = time.monotonic() + 30
    for _ in range(2):
        found = client.ask(
            Question({"question": "q" * 300_000}, "http://127.0.0.1:1/v1", "m", {}),
            lambda: "it hangs" if time.monotonic() > end else None,
        )
        assert (found.answer, found.cause) == (answer, None)
        assert fault is None or re.search(re.escape(fault), found.fault)
        assert len(found.fault or "") + len(found.details) < 20_000
    client.close()


@pytest.mark.slow
@pytest.mark.parametrize("question", ["a\0b", "\ud800", "x" * 3_000_000])
def test_a_question_that_no_command_line_can_have_loses_its_own_sample(lab, monkeypatch, question):
    asked = CommandClient.ask
    monkeypatch.setattr(
        CommandClient,
        "ask",
        lambda self, q, w: asked(self, Question({"question": question}, "u", "m", {}), w),
    )
    found = lab.run(command="echo {question}", samples=2)
    assert (found.generated, found.missing) == (0, 2)
    assert found.first_error.startswith("the client cannot be started: ")
