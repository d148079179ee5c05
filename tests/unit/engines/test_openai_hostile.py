"""The engine of servers against a hostile one.

Drawn answers, limits, outages, keys. Nothing is lost, nothing hangs, nothing leaks.
"""

from __future__ import annotations

import socket
import time

import polars as pl
import pytest

from isocost.bank.reader import read_raw
from isocost.engines import breaker
from isocost.engines.openai import OpenAiEngine
from isocost.engines.protocol import Completion, EngineAway, Request
from isocost.errors import IsocostError
from isocost.payload.loop import Stop
from isocost.payload.progress import Reporter
from isocost.payload.session import generate
from isocost.payload.work import engine_settings
from isocost.schema.frames import faults
from tests.hostile_openai import KEY, drawn_answer, drip, events, refusal, reset, serving, stream
from tests.unit.payload.sessions import session

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
FAST = {"timeout_s": 2, "retries": 1, "patience_s": 20, "api_key_variable": "HOSTILE_KEY"}


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(breaker, "FIRST_WAIT_S", 0.02)
    monkeypatch.setattr(breaker, "LONGEST_WAIT_S", 0.1)
    monkeypatch.setenv("HOSTILE_KEY", KEY)


def plan(server, *, problems=4, samples=3, **options):
    given = FAST | {"base_url": server.url} | options
    return session(
        "openai",
        path="tiny",
        problems=problems,
        samples=samples,
        prompts=("direct",),
        options=given,
        logprobs_k=2,
    )


def engine(server, **options) -> OpenAiEngine:
    return OpenAiEngine(engine_settings(plan(server, **options), 0))


def ask(made: OpenAiEngine, count: int = 1) -> dict[str, Completion]:
    made.check()
    made.start()
    values = {
        "temperature": 0.7,
        "top_p": 1.0,
        "top_k": 0,
        "min_p": 0.0,
        "max_tokens": 8,
        "seed": None,
        "problem_id": "p",
    }
    for i in range(count):
        made.add(
            Request(
                request_id=str(i),
                messages=({"role": "user", "content": "?"},),
                prompt_hash="h",
                sample_index=i,
                **values,
            )
        )
    found: dict[str, Completion] = {}
    try:
        while made.unfinished():
            found |= {c.request_id: c for c in made.step()}
    finally:
        made.close()
    return found


def run(what, lake, tmp_path):
    with (tmp_path / "log").open("w") as log, Reporter(stream=log) as reporter:
        return generate(what, str(lake), reporter=reporter, stop=Stop())


@pytest.mark.slow
def test_whatever_a_server_answers_every_request_has_its_row_and_no_key_is_in_any(tmp_path):
    """240 answers drawn from seeds 0 to 239; the number of the request is the seed."""
    with serving(lambda _, number, __: drawn_answer(number - 1)) as server:
        server.listed = [
            {
                "id": "tiny",
                "you": f"Bearer {KEY}",
                "n": float("nan"),
                "half": "\ud83d",
                "deep": [[[[[[[[1]]]]]]]],
            }
        ]
        outcome = run(plan(server, problems=12, samples=20, retries=0), tmp_path, tmp_path)
    rows = read_raw(str(tmp_path), "raw_generations")
    assert (
        outcome.generated + outcome.errors == rows.height == 240
        and outcome.errors > 20
        and outcome.generated > 20
    )
    assert faults(rows, "raw_generations") == []
    good = rows.filter(pl.col("finish_reason") != "error")
    assert good["output_text"].null_count() == 0
    assert rows.filter(pl.col("finish_reason") == "error")["error"].null_count() == 0
    assert (
        good.filter(
            pl.col("output_tokens").is_not_null() & ~pl.col("output_tokens").is_between(0, 8)
        ).height
        == 0
    )
    assert good.filter(pl.col("logprob_sum") > 0.01).height == 0
    reported = "".join(str(row) for row in rows.rows())
    assert KEY not in reported and "redacted" in reported
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert written and not any(KEY.encode() in data for data in written)


@pytest.mark.slow
def test_an_outage_in_mid_run_burns_no_sample(tmp_path):
    began = time.monotonic()

    def answer(connection: socket.socket, number: int, _: str) -> bytes | None:
        time.sleep(0.01)
        if 0.3 < time.monotonic() - began < 2.3:
            kind = number % 4
            if kind == 0:
                return reset(connection)
            if kind == 1:
                return stream(events()[0])[:-16]  # cut
            return refusal((502, 503)[kind - 2])
        return stream(*events())

    with serving(answer) as server:
        outcome = run(plan(server, problems=10, samples=20, retries=3), tmp_path, tmp_path)
    rows = read_raw(str(tmp_path), "raw_generations")
    assert (outcome.errors, outcome.missing, rows.height) == (0, 0, 200)
    assert set(rows["output_text"]) == {"42"} and rows["num_retries"].sum() > 0
    log = (tmp_path / "log").read_text()
    assert "the server is unreachable" in log and "the server is back" in log


@pytest.mark.slow
def test_when_patience_runs_out_the_run_stops_with_nothing_burnt_and_goes_on_later(tmp_path):
    """The server ends for good after ten answers.

    Another run, with the server there again, asks for the rest alone.
    """
    is_up = [True]

    def answer(connection: socket.socket, number: int, _: str) -> bytes | None:
        return stream(*events()) if number <= 10 or is_up[0] is None else reset(connection)

    with serving(answer) as server:
        what = plan(server, problems=5, samples=5, patience_s=0.5)
        first = run(what, tmp_path, tmp_path)
        assert (first.status, first.generated, first.errors, first.missing) == (
            "stopped",
            10,
            0,
            15,
        )
        assert "has not answered for" in str(first.away) and "Run again" in str(first.away)
        is_up[0] = None
        second = run(what, tmp_path, tmp_path)
    assert (second.status, second.generated, second.missing) == ("finished", 15, 0)
    assert read_raw(str(tmp_path), "raw_generations")["finish_reason"].to_list() == ["stop"] * 25


@pytest.mark.slow
@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda c, *_: (c.sendall(HEAD), drip(c, b": keep-alive\n\n"))[0], "timeout_s"),
        (lambda c, *_: (c.sendall(HEAD), drip(c, b'data: {"choices": []}\n\n'))[0], "deadline_s"),
        (lambda c, *_: (c.sendall(b"HTTP/1.1 200 OK\r\n"), drip(c, b"X"))[0], "deadline_s"),
        (lambda c, *_: drip(c, b"HTTP/1.1 100 Continue\r\n\r\n"), "deadline_s"),
        (
            lambda c, *_: (c.sendall(HEAD + b"data: "), drip(c, b"x" * 100_000, every_s=0.0))[0],
            "bytes",
        ),
        (
            lambda c, *_: (
                c.sendall(b"HTTP/1.1 200 OK\r\n"),
                drip(c, b"X: y\r\n" * 50, every_s=0.0),
            )[0],
            "HTTP",
        ),
    ],
    ids=["comments", "pieces", "half_header", "continue", "endless_line", "endless_headers"],
)
def test_no_server_holds_a_request_longer_than_the_limits_say(answer, said):
    with serving(answer) as server:
        began = time.monotonic()
        limits = (
            {"timeout_s": 0.5, "deadline_s": 60}
            if said == "timeout_s"
            else {"timeout_s": 60, "deadline_s": 0.8}
        )
        (found,) = ask(engine(server, **limits | {"retries": 0})).values()
        assert (
            found.finish_reason == "error" and said in found.error and time.monotonic() - began < 4
        )


@pytest.mark.slow
def test_a_server_that_asks_for_a_pause_gets_it():
    times = []

    def answer(_: socket.socket, number: int, __: str) -> bytes:
        times.append(time.monotonic())
        return refusal(429, Retry_After="1") if number == 1 else stream(*events())

    with serving(answer) as server:
        (found,) = ask(engine(server)).values()
    assert found.finish_reason == "stop" and found.num_retries == 1 and times[1] - times[0] >= 1


def test_a_request_that_breaks_the_server_is_reported_while_the_others_are_answered():
    with serving(
        lambda c, _, body: reset(c) if '"seed": 1' in body else stream(*events())
    ) as server:
        made = engine(server, retries=2)
        made.check()
        made.start()
        values = {
            "temperature": 0.7,
            "top_p": 1.0,
            "top_k": 0,
            "min_p": 0.0,
            "max_tokens": 8,
            "problem_id": "p",
        }
        for i in range(200):
            seed = 1 if i == 0 else 2
            made.add(
                Request(
                    request_id=str(i),
                    messages=({"role": "user", "content": "?"},),
                    prompt_hash="h",
                    sample_index=i,
                    seed=seed,
                    **values,
                )
            )
        found = {}
        while made.unfinished():
            found |= {c.request_id: c for c in made.step()}
        made.close()
    assert [i for i, c in found.items() if c.finish_reason == "error"] == ["0"] and len(
        found
    ) == 200


def test_a_text_that_broke_off_is_asked_for_again_whole():
    answers = [stream(*events(text="half"))[:200], stream(*events(text="whole"))]
    with serving(lambda _, number, __: answers[min(number, 2) - 1]) as server:
        (found,) = ask(engine(server)).values()
    assert (found.text, found.num_retries, found.finish_reason) == ("whole", 1, "stop")


def test_a_character_in_two_halves_is_one_and_half_of_one_is_reported():
    pieces = [events(text="\ud83d")[0], *events(text="\ude00")]
    with serving(lambda *_: stream(*pieces)) as server:
        assert ask(engine(server))["0"].text == "😀"


@pytest.mark.parametrize(
    ("usage", "kept"),
    [
        ({"prompt_tokens": 20, "completion_tokens": 2, "total_tokens": 22}, (20, 2)),
        ({"prompt_tokens": 20, "completion_tokens": 2, "total_tokens": 99}, (None, None)),
        ({"prompt_tokens": 20, "completion_tokens": 500_000}, (None, None)),
        (
            {
                "prompt_tokens": 20,
                "completion_tokens": 30,
                "completion_tokens_details": {"reasoning_tokens": 25},
            },
            (20, 30),
        ),
        ({"prompt_tokens": 20}, (20, 1)),
        ("none", (None, 1)),
    ],
)
def test_usage_that_contradicts_itself_or_the_request_is_unknown(usage, kept):
    with serving(lambda *_: stream(*events(usage=usage))) as server:
        found = ask(engine(server))["0"]
    assert (
        (found.prompt_tokens, found.output_tokens) == kept
        and found.text == "42"
        and found.finish_reason == "stop"
    )
    assert (found.error is None) == (kept[0] is not None)


def test_a_key_that_is_refused_stops_the_run_and_is_not_shown():
    with (
        serving(lambda *_: refusal(401, f"bad key {KEY}")) as server,
        pytest.raises(EngineAway) as stopped,
    ):
        ask(engine(server), 20)
    assert (
        "accepts no further requests" in str(stopped.value)
        and KEY not in str(stopped.value)
        and server.asked <= 4
    )


@pytest.mark.parametrize("code", [301, 302, 307, 308])
def test_a_redirect_is_not_followed_and_the_key_goes_nowhere(code):
    with serving(lambda *_: stream(*events())) as other:
        target = f"{other.url}/chat/completions?token={KEY}"
        with serving(lambda *_: refusal(code, Location=target)) as server:
            found = ask(engine(server))["0"]
    assert "redirects to" in found.error and KEY not in found.error and other.asked == 0


@pytest.mark.parametrize(
    "echo",
    [
        "{key}",
        "Authorization: Bearer {key}",
        '{{"error": {{"message": "no {key}"}}}}',
        "x" * 290 + "{key}",
    ],
)
def test_a_key_that_a_refusal_echoes_is_struck_out(echo):
    with serving(lambda *_: refusal(400, echo.format(key=KEY))) as server:
        error = ask(engine(server))["0"].error
    assert "HTTP 400" in error and "HIDDEN" not in error and "sk-" not in error


@pytest.mark.parametrize(
    ("variable", "said"),
    [
        ("sk-1\nX-Evil: 1", "not allowed in a header"),
        ("kéy", "not allowed in a header"),
        ("", "is not set"),
    ],
)
def test_a_key_that_no_header_can_carry_is_reported_without_showing_it(monkeypatch, variable, said):
    monkeypatch.setenv("HOSTILE_KEY", variable)
    with serving(lambda *_: b"") as server, pytest.raises(IsocostError, match=said) as refused:
        engine(server).check()
    assert not variable or variable not in str(refused.value)


@pytest.mark.parametrize(
    "options",
    [
        {"base_url": "http://me:HIDDEN@h/v1"},
        {"base_url": "http://h/v1?api_key=HIDDEN"},
        {"base_url": "http://[::1/v1"},
        {"base_url": "http://h:999999/v1"},
        {"base_url": "http://h/v1\r\nX: y"},
        {"extra_body": {"api_key": "HIDDEN"}},
        {"timeout_s": 0},
        {"deadline_s": float("nan")},
        {"patience_s": -1},
        {"retries": -1},
    ],
)
def test_addresses_and_limits_that_cannot_be_are_refused(options):
    with (
        serving(lambda *_: b"") as server,
        pytest.raises(IsocostError, match=r"engine\.options") as refused,
    ):
        engine(server, **options)
    assert "HIDDEN" not in str(refused.value)
