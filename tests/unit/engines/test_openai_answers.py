"""What each fault and each kind of answer of a server becomes in the bank and in the tables."""

from __future__ import annotations

import email.utils
import json
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isocost.bank.reader import read_manifests, read_raw
from isocost.engines import breaker
from isocost.engines.openai import OpenAiEngine
from isocost.engines.openai_faults import Away
from isocost.engines.openai_http import fetched
from isocost.engines.openai_limits import Limits
from isocost.engines.protocol import Completion, Request
from isocost.engines.sse import DataLines
from isocost.payload.loop import Stop
from isocost.payload.progress import Reporter
from isocost.payload.session import generate
from isocost.payload.work import engine_settings
from isocost.tables.core.samples import build_core
from tests.hostile_openai import drip, events, refusal, serving, stream
from tests.unit.payload.sessions import session

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
GOOD = stream(*events())
FIRST = GOOD[: GOOD.index(b"data:", 100)]
"""As far as the first token's event."""


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(breaker, "FIRST_WAIT_S", 0.02)
    monkeypatch.setattr(breaker, "LONGEST_WAIT_S", 0.1)


def planned(url: str, *, problems: int = 1, samples: int = 1, **options):
    given = {"timeout_s": 5, "retries": 1, "patience_s": 20, "base_url": url} | options
    return session(
        "openai", path="tiny", problems=problems, samples=samples, prompts=("direct",), options=given, logprobs_k=2
    )  # fmt: skip


def banked(what, lake) -> pl.DataFrame:
    with (lake / "log").open("w") as log, Reporter(stream=log) as reporter:
        generate(what, str(lake), reporter=reporter, stop=Stop())
    return read_raw(str(lake), "raw_generations")


def one(server, lake, **options) -> dict:
    (row,) = banked(planned(server.url, **options), lake).iter_rows(named=True)
    return row


def asked(made: OpenAiEngine, count: int) -> dict[str, Completion]:
    made.start()
    for i in range(count):
        messages = ({"role": "user", "content": "?"},)
        made.add(Request(str(i), messages, 0.7, 1.0, 0, 0.0, 8, None, "p", "h", i))
    found: dict[str, Completion] = {}
    try:
        while made.unfinished():
            found |= {c.request_id: c for c in made.step()}
    finally:
        made.close()
    return found


def without_logprobs(**choice) -> bytes:
    return stream(*events(logprobs=None, **choice)[:2])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (refusal(500, "broken on purpose"), "HTTP 500: broken on purpose"),
        (FIRST, "the stream ended without a finish reason"),
        (
            FIRST.replace(b"\r\n\r\n", b"\r\nContent-Length: 5000\r\n\r\n", 1),
            "the answer broke off",
        ),
        (GOOD.replace(b'"42"', b'"4\xff2"'), "cannot be parsed: 'utf-8'"),
        (stream({"choices": []}, {"choices": []}), "the stream ended without a finish reason"),
        (GOOD.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n", 1), "compressed (gzip)"),
        (HEAD, "the stream ended without a finish reason"),
        (GOOD.replace(b'"42"', b"42"), "the text is a number"),
    ],
    ids=["500", "half", "short", "not_utf8", "no_choices", "compressed", "empty", "not_text"],
)
def test_a_fault_is_an_error_row_with_its_reason_or_passes(answer, said, tmp_path):
    """Every time, it is an error; once, the sample is there."""
    for name, answers in (("always", [answer] * 9), ("once", [answer, GOOD])):
        (lake := tmp_path / name).mkdir()
        with serving(lambda _, number, __, said=answers: said[number - 1]) as server:
            row = one(server, lake)
        unfit = "not_text" in said or "the text is" in said
        if name == "always" or unfit:  # an answer of the wrong form is not asked for again
            assert row["finish_reason"] == "error" and said in row["error"], row["error"]
            assert row["output_text"] is row["output_tokens"] is row["prompt_tokens"] is None
            assert row["num_retries"] == (0 if unfit else 1)
        else:
            assert (row["output_text"], row["num_retries"], row["error"]) == ("42", 1, None)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("answer", "tokens", "said"),
    [
        (stream(*events()[:2]), (None, 1), None),
        (without_logprobs(), (None, None), None),
        (stream(*events(logprob=float("nan"))), (20, 2), "log-probability is not finite"),
        (stream(*events(logprob=0.5)), (20, 2), "log-probability is positive"),
        (stream(*events(usage={"prompt_tokens": 0, "completion_tokens": 0})), (None, None), "is 0"),
    ],
    ids=["no_usage", "nothing_counted", "nan", "positive", "zero"],
)
def test_a_number_that_is_missing_or_impossible_is_unknown_and_never_zero(
    answer, tokens, said, tmp_path
):
    with serving(lambda *_: answer) as server:
        row = one(server, tmp_path)
    assert (row["output_text"], row["finish_reason"], row["num_retries"]) == ("42", "stop", 0)
    assert (row["prompt_tokens"], row["output_tokens"]) == tokens
    assert (row["error"] is None) if said is None else (said in row["error"])
    assert (row["logprob_sum"] is None) == (said is not None and "log-prob" in said) or (
        tokens == (None, None)
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sent", "options", "said"),
    [
        (HEAD, {"first_token_s": 0.3, "timeout_s": 60}, "no token arrived within 0.3 s"),
        (
            HEAD + b'data: {"choices": [{"delta": {"role": "assistant"}}]}\n\n',
            {"first_token_s": 0.3, "timeout_s": 0.2},
            "no token arrived within 0.3 s (first_token_s)",
        ),
        (FIRST, {"first_token_s": 60, "timeout_s": 0.3}, "no part of the answer arrived"),
        (FIRST, {"timeout_s": 60, "deadline_s": 0.3}, "not complete after 0.3 s (deadline_s)"),
    ],
    ids=["nothing", "only_a_role", "between_tokens", "in_all"],
)
def test_a_stall_ends_at_the_limit_that_it_exceeds(sent, options, said, tmp_path):
    def stall(connection: socket.socket, *_: object) -> None:
        connection.sendall(sent)
        drip(connection, b": nothing\n\n", seconds=20)

    began = time.monotonic()
    with serving(stall) as server:
        row = one(server, tmp_path, retries=0, **options)
    assert row["finish_reason"] == "error" and said in row["error"] and row["output_text"] is None
    assert time.monotonic() - began < 10


def test_a_slow_first_token_is_waited_for_beyond_the_maximum_silence():
    def slow(connection: socket.socket, *_: object) -> bytes:
        time.sleep(0.6)
        return GOOD

    with serving(slow) as server:
        what = planned(server.url, timeout_s=0.3, first_token_s=20)
        found = asked(OpenAiEngine(engine_settings(what, 0)), 1)["0"]
    assert (found.text, found.num_retries) == ("42", 0)


def test_a_server_that_takes_no_connection_is_given_up_after_connect_s():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        others = [socket.socket() for _ in range(4)]
        for other in others:  # the queue is full: further ones get no answer at all
            other.setblocking(False)
            other.connect_ex(address)
        limits = Limits(60, 60, 10**6, connect_s=0.2)
        with pytest.raises(Away, match=r"no connection within 0\.2 s \(connect_s\)"):
            fetched(f"http://127.0.0.1:{address[1]}/v1", key=None, limits=limits)
        for other in others:
            other.close()


@pytest.mark.slow
@pytest.mark.parametrize("is_date", [False, True])
def test_too_many_requests_wait_as_long_as_the_server_says(is_date, tmp_path):
    times = []

    def answer(_: socket.socket, number: int, __: str) -> bytes:
        times.append(time.time())
        if number > 1:
            return GOOD
        # A date has whole seconds.
        until = email.utils.formatdate(int(times[0]) + 2, usegmt=True) if is_date else "1"
        return refusal(429, "slow down", Retry_After=until)

    with serving(answer) as server:
        row = one(server, tmp_path)
    assert (row["output_text"], row["num_retries"]) == ("42", 1)
    assert times[1] >= (int(times[0]) + 2 if is_date else times[0] + 1) - 0.01


@pytest.mark.slow
def test_a_refusal_and_a_withheld_answer_are_samples_of_their_own_kind(tmp_path):
    """They are not asked again, not answers, and not empty; a withheld text may contain one."""
    declined = [
        {"choices": [{"index": 0, "delta": {"refusal": piece}}]} for piece in ("I can't ", "say 1.")
    ]
    answers = [
        stream(*declined, *events(text="", logprobs=None)[1:]),
        stream(*events(text="", finish="content_filter", logprobs=None)),
        stream(*events(text="The answer is 7.", finish="content_filter")),
        stream(*events(text="So far 7", finish="content_filter")),
    ]

    def answer(_: socket.socket, __: int, body: str) -> bytes:
        question = json.loads(body)["messages"][-1]["content"]
        return answers[int(question.split()[3]) % 4]  # "direct: What is N + …"

    with serving(answer) as server:
        what = planned(server.url, problems=4, samples=2)
        rows = banked(what, tmp_path)
        again = banked(what, tmp_path)
        count = server.asked
    assert count == 8 and rows.equals(again) and rows["num_retries"].sum() == 0
    assert rows["error"].null_count() == 8
    texts = dict(rows.select("output_text", "finish_reason").iter_rows())
    assert texts == {
        "I can't say 1.": "refusal",
        "": "content_filter",
        "The answer is 7.": "content_filter",
        "So far 7": "content_filter",
    }
    samples = build_core(rows, [what], read_manifests(str(tmp_path)))["core_samples"]
    assert samples["is_valid"].all() and not samples["is_truncated"].any()
    samples = samples.join(rows.select("sample_id", "output_text"), on="sample_id")
    columns = ("output_text", "grade_reason", "correct", "answer")
    graded = {text: values for text, *values in samples.select(columns).iter_rows()}
    assert graded["I can't say 1."] == ["refusal", False, None]
    assert graded[""] == graded["So far 7"] == ["content_filter", False, None]
    assert graded["The answer is 7."][2] == "7"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["reasoning_content", "reasoning", "both"])
@pytest.mark.parametrize("apart", [False, True])
def test_reasoning_is_banked_apart_from_the_text_and_counted_once(name, apart, tmp_path):
    """Some servers send it under both names, and some count it apart from the completion."""
    names = ("reasoning_content", "reasoning") if name == "both" else (name,)
    thought = [
        {"choices": [{"index": 0, "delta": dict.fromkeys(names, piece)}]} for piece in ("6 ", "x 7")
    ]
    usage = {
        "prompt_tokens": 20,
        "completion_tokens": 2 if apart else 5,
        "total_tokens": 25,
        "prompt_tokens_details": {"cached_tokens": 16},
        "completion_tokens_details": {"reasoning_tokens": 3},
    }
    with serving(lambda *_: stream(*thought, *events(usage=usage))) as server:
        row = one(server, tmp_path)
    assert (row["output_text"], row["reasoning_text"], row["error"]) == ("42", "6 x 7", None)
    assert (row["output_tokens"], row["reasoning_tokens"]) == (5, 3)
    assert (row["prompt_tokens"], row["cached_tokens"]) == (20, 16)


def test_more_reasoning_than_output_is_unknown(tmp_path):
    usage = {"prompt_tokens": 20, "completion_tokens": 2, "reasoning_tokens": 3}
    with serving(lambda *_: stream(*events(usage=usage))) as server:
        row = one(server, tmp_path)
    assert (row["output_tokens"], row["reasoning_tokens"]) == (2, None)
    assert "reasoning_tokens (3) are more than output_tokens (2)" in row["error"]


class Kept(BaseHTTPRequestHandler):
    """Keeps connections, as servers do."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        """Silence."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.ports.add(self.client_address[1])
        body = GOOD.partition(b"\r\n\r\n")[2]
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(body), body))
        self.wfile.flush()
        time.sleep(0.02)  # the end comes after [DONE]
        self.wfile.write(b"0\r\n\r\n")


def test_connections_are_used_again_and_none_goes_through_a_proxy_on_this_machine(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Kept)
    server.ports = set()
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    what = planned(f"http://127.0.0.1:{server.server_port}/v1")
    found = asked(OpenAiEngine(engine_settings(what, 0)), 12)
    server.shutdown()
    server.server_close()
    assert {c.text for c in found.values()} == {"42"} and len(found) == 12
    assert len(server.ports) <= 4  # as many as are in flight


def test_all_requests_in_flight_share_one_thread():
    gate = threading.Event()
    counts = []

    def answer(*_: object) -> bytes:
        gate.wait(5)
        return GOOD

    with serving(answer) as server:
        what = planned(server.url)
        made = OpenAiEngine(engine_settings(what, 0))
        before = {t.name for t in threading.enumerate()}
        made.start()
        for i in range(4):
            messages = ({"role": "user", "content": "?"},)
            made.add(Request(str(i), messages, 0.7, 1.0, 0, 0.0, 8, None, "p", "h", i))
        while server.asked < 4:
            time.sleep(0.01)
        counts = [t.name for t in threading.enumerate() if t.name not in before]
        gate.set()
        while made.unfinished():
            made.step()
        made.close()
    assert counts.count("openai") == 1
    assert "openai" not in {t.name for t in threading.enumerate()}


def test_closing_an_engine_breaks_off_what_is_in_flight():
    with serving(lambda c, *_: (c.sendall(HEAD), drip(c, b": x\n\n", seconds=20))[0]) as server:
        made = OpenAiEngine(engine_settings(planned(server.url, timeout_s=60), 0))
        made.start()
        messages = ({"role": "user", "content": "?"},)
        for i in range(9):
            made.add(Request(str(i), messages, 0.7, 1.0, 0, 0.0, 8, None, "p", "h", i))
        while not server.asked:
            time.sleep(0.01)
        began = time.monotonic()
        made.close()
        made.close()
    assert time.monotonic() - began < 2


@given(
    st.lists(st.sampled_from([b"data: {}\n", b"data:a\r\n", b": c\n", b"\n", b"event: x\n", b"data: \xff\n", b"data:"])),
    st.lists(st.integers(0, 80)),
)  # fmt: skip
def test_data_are_the_same_however_a_stream_is_cut(lines, cuts):
    whole = b"".join(lines)
    wanted = [
        line.strip()[5:].strip()
        for line in whole.split(b"\n")
        if line.strip().startswith(b"data:") and line.strip()[5:].strip()
    ]
    places = sorted({0, *(min(cut, len(whole)) for cut in cuts), len(whole)})
    made = DataLines()
    pieces = [whole[a:b] for a, b in pairwise(places)]
    found = [data for piece in pieces for data in made.feed(piece)]
    assert [*found, *made.end()] == wanted
