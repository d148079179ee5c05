"""Judgements are asked once, survive a kill, and failures are failures of one judge alone."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from fake_judge import judging

from isocost.errors import IsocostError
from isocost.judges import client
from isocost.judges.asking import Asker
from isocost.judges.bank import Judgement, adding, judge_folder, read_judgements
from isocost.judges.client import Failure
from isocost.seals import Damaged
from isocost.tasks import make_problem
from isocost.tasks.rubrics import JudgeSettings, Request, requests_of

KEY = "sk-a-secret-of-tests"


@pytest.fixture(autouse=True)
def hurried(monkeypatch) -> None:
    monkeypatch.setattr(client, "_FIRST_WAIT_S", 0.0)


def requests(url: str, answers: int = 4, **more: Any) -> list[Request]:
    settings = JudgeSettings.model_validate(
        {"model": "j", "base_url": url, "rubric": "{answer}", "retries": 1, **more}
    )
    problem = make_problem("t", "q", "r", "judge")
    return [one for n in range(answers) for one in requests_of(settings, problem, f"answer {n}")]


def texts(found: dict[str, Any]) -> list[str]:
    return sorted(one.output_text for one in found.values() if isinstance(one, Judgement))


def echo(body: dict[str, Any]) -> str:
    return "about " + body["messages"][-1]["content"]


def test_a_busy_judge_is_asked_again_when_it_wants_to_be(tmp_path: Path, monkeypatch) -> None:
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(client.asyncio, "sleep", sleep)
    for header, seconds in (("2", 2.0), ("9999", client._LONGEST_WAIT_S), ("soon", 0.0)):
        with judging(lambda _: 429) as server:
            server.retry_after = header
            found = Asker(tmp_path).ask(requests(server.url, answers=1))
            assert [one.reason for one in found.values()] == [client.AWAY]
            assert len(server.asked) == 2
        assert waited.pop() == seconds and not waited


def test_what_was_said_is_never_asked_again(tmp_path: Path) -> None:
    with judging(echo) as server:
        asked = requests(server.url)
        first = Asker(tmp_path).ask(asked + asked)
        assert texts(first) == [f"about answer {n}" for n in range(4)]
        assert len(server.asked) == 4
        # Another run, another address, another key: the same judge and the same question.
        moved = requests("http://localhost:9/v1", api_key_variable="ISOCOST_NO_SUCH_KEY")
        assert Asker(tmp_path).ask(moved) == first
        assert len(Asker(tmp_path).ask(requests(server.url, 6))) == 6
        assert len(server.asked) == 6
    folder = judge_folder(tmp_path, "j")
    assert len(list(folder.glob("part-*.parquet"))) == 2
    assert not list(folder.glob("pending-*"))


def test_every_fact_of_a_judgement_is_kept(tmp_path: Path) -> None:
    with judging(echo) as server:
        asked = requests(server.url, 1)
        (found,) = Asker(tmp_path).ask(asked).values()
    (stored,) = read_judgements(judge_folder(tmp_path, "j")).values()
    assert found == stored and isinstance(stored, Judgement)
    assert (stored.role, stored.model, stored.served_model) == ("judge", "j", "served")
    assert (stored.prompt_tokens, stored.output_tokens, stored.cached_tokens) == (100, 10, None)
    assert '"content":"answer 0"' in stored.request and stored.latency_s > 0


def test_a_run_in_an_event_loop_can_ask(tmp_path: Path) -> None:
    async def notebook() -> int:
        return len(Asker(tmp_path).ask(requests(url)))

    with judging(echo) as server:
        url = server.url
        assert asyncio.run(notebook()) == 4


def test_a_busy_server_is_asked_again_and_one_that_refuses_is_not(tmp_path: Path) -> None:
    seen: dict[str, int] = {}

    def says(body: dict[str, Any]) -> str | int:
        text = body["messages"][-1]["content"]
        seen[text] = seen.get(text, 0) + 1
        if text == "answer 0":
            return 400
        return 503 if seen[text] == 1 else "fine"

    with judging(says) as server:
        found = Asker(tmp_path).ask(requests(server.url, in_flight=1))
    assert texts(found) == ["fine"] * 3
    assert seen == {"answer 0": 1, "answer 1": 2, "answer 2": 2, "answer 3": 2}
    (failure,) = [one for one in found.values() if isinstance(one, Failure)]
    assert failure.reason == "judge_refused" and "HTTP 400" in failure.detail
    assert {one.num_retries for one in found.values() if isinstance(one, Judgement)} == {1}


def test_a_server_that_is_away_is_not_asked_for_every_answer(tmp_path: Path) -> None:
    with judging(lambda _: 503) as server:
        found = Asker(tmp_path).ask(requests(server.url, 40, in_flight=1))
        assert len(server.asked) == 2 * 3  # two attempts of three requests
    assert {one.reason for one in found.values()} == {"judge_away"}
    gone = Asker(tmp_path).ask(requests(server.url, 2))
    assert {one.reason for one in gone.values()} == {"judge_away"}
    with judging(echo) as again:
        assert len(texts(Asker(tmp_path).ask(requests(again.url, 40)))) == 40


@pytest.mark.parametrize(
    "reply",
    [b"null", b"[]", b'{"choices": []}', b'{"choices": [{"message": {"content": [1]}}]}', b"{"],
)
def test_a_server_without_that_interface_is_a_failure(tmp_path: Path, reply: bytes) -> None:
    with judging(lambda _: reply) as server:
        found = Asker(tmp_path).ask(requests(server.url, 1))
    assert [one.reason for one in found.values()] == ["judge_refused"]


@pytest.mark.parametrize(
    "usage",
    [b"7", b'{"prompt_tokens": "many"}', b'{"prompt_tokens": -1, "completion_tokens": 2.5}'],
)
def test_impossible_counts_are_unknown_and_the_text_is_kept(tmp_path: Path, usage: bytes) -> None:
    reply = b'{"choices": [{"message": {"content": "x"}}], "usage": ' + usage + b"}"
    with judging(lambda _: reply) as server:
        (found,) = Asker(tmp_path).ask(requests(server.url, 1)).values()
    assert isinstance(found, Judgement) and found.output_text == "x"
    assert found.prompt_tokens is None and found.output_tokens is None


def test_a_key_is_sent_and_written_nowhere(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("ISOCOST_TEST_KEY", KEY)

    def leaks(body: dict[str, Any]) -> str | int:
        return 401 if body["messages"][-1]["content"] == "answer 0" else f"the key is {KEY}"

    with judging(leaks) as server:
        asked = requests(server.url, api_key_variable="ISOCOST_TEST_KEY", in_flight=1)
        found = Asker(tmp_path).ask(asked)
        assert set(server.keys) == {f"Bearer {KEY}"}
    assert texts(found) == ["the key is [redacted]"] * 3
    assert KEY not in str(found)
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert KEY.encode() not in path.read_bytes(), path
    unset = requests(server.url, api_key_variable="ISOCOST_NO_SUCH_KEY", model="k")
    assert {one.reason for one in Asker(tmp_path).ask(unset).values()} == {"judge_key_missing"}


def judgement(key: str, text: str = "é\n") -> Judgement:
    return Judgement(key, "j", "{}", text, None, 1, None, 1, 0.0, 0.1, 0, None)


def test_texts_of_a_server_are_written_without_the_key_and_as_unicode(
    tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setenv("ISOCOST_TEST_KEY", KEY)
    reply = {
        "model": f"echo of {KEY} \ud800",
        "choices": [{"message": {"content": f"{KEY} \udfff"}, "finish_reason": f"{KEY} \ud800"}],
    }
    with judging(lambda _: json.dumps(reply).encode()) as server:
        asked = requests(server.url, 1, api_key_variable="ISOCOST_TEST_KEY")
        (found,) = Asker(tmp_path).ask(asked).values()
    assert isinstance(found, Judgement) and found.served_model == "echo of [redacted] ?"
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or KEY.encode() not in path.read_bytes(), path
    (stored,) = read_judgements(judge_folder(tmp_path, "j")).values()
    assert found == stored


@pytest.mark.parametrize("key", [f"{KEY}\n", f"{KEY} é"])
def test_a_key_that_no_header_can_have_is_a_failure_in_words(
    tmp_path: Path, monkeypatch, key: str
) -> None:
    monkeypatch.setenv("ISOCOST_TEST_KEY", key)
    with judging(echo) as server:
        asked = requests(server.url, 1, api_key_variable="ISOCOST_TEST_KEY")
        (found,) = Asker(tmp_path).ask(asked).values()
        assert not server.asked
    assert isinstance(found, Failure) and found.reason == "judge_key_missing"
    assert "not allowed in a header" in found.detail and KEY not in found.detail


def test_a_wrong_key_is_not_tried_again(tmp_path: Path) -> None:
    with judging(lambda _: 401) as server:
        Asker(tmp_path).ask(requests(server.url, 8, retries=5, in_flight=1))
        assert len(server.asked) == 3


def test_a_server_that_sends_a_byte_now_and_then_is_away(tmp_path: Path) -> None:
    def drip(connection: socket.socket) -> None:
        with suppress(OSError):
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            for _ in range(100):
                connection.sendall(b" ")
                time.sleep(0.05)

    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    drip(listening.accept()[0])

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        begun = time.monotonic()
        (found,) = Asker(tmp_path).ask(requests(url, 1, retries=0, timeout_s=0.3)).values()
        assert time.monotonic() - begun < 3
    assert isinstance(found, Failure) and found.reason == "judge_away"
    assert "no whole reply within 0.3 s" in found.detail


def test_a_torn_line_costs_that_judgement_alone(tmp_path: Path) -> None:
    with adding(tmp_path) as pending:
        pending.add(judgement("a"))
        pending.add(judgement("b"))
        raw = pending.path.read_bytes()
        pending.path.unlink()
    second = raw.index(b"\n") + 1
    (tmp_path / "pending-0.jsonl").touch()
    for cut in range(len(raw) + 1):
        (tmp_path / "pending-0.jsonl").write_bytes(raw[:cut])
        whole = ["a"] * (cut >= second - 1) + ["b"] * (cut >= len(raw) - 1)
        assert list(read_judgements(tmp_path)) == whole, cut
    changed = raw[: second + 40] + bytes([raw[second + 40] ^ 1]) + raw[second + 41 :]
    (tmp_path / "pending-0.jsonl").write_bytes(changed)
    with adding(tmp_path):
        assert not list(tmp_path.glob("pending-*"))  # the next run seals what was left
    assert list(read_judgements(tmp_path)) == ["a"]


def test_a_changed_part_is_named_and_never_paid_for_again_silently(tmp_path: Path) -> None:
    with adding(judge_folder(tmp_path, "j")) as pending:
        pending.add(judgement("a"))
    (part,) = judge_folder(tmp_path, "j").glob("part-*.parquet")
    data = bytearray(part.read_bytes())
    data[len(data) // 2] ^= 1
    part.write_bytes(bytes(data))
    with judging(echo) as server, pytest.raises(Damaged) as caught:
        Asker(tmp_path).ask(requests(server.url))
    assert str(part) in str(caught.value) and not server.asked


def test_two_runs_at_once_ask_once(tmp_path: Path) -> None:
    with judging(echo) as server:
        asked, found = requests(server.url, 20), []
        threads = [
            threading.Thread(target=lambda: found.append(Asker(tmp_path).ask(asked)))
            for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(server.asked) == 20
    assert found[0] == found[1] == found[2] and len(found[0]) == 20


def test_a_folder_that_cannot_be_written_is_named_before_anything_is_asked(tmp_path: Path) -> None:
    (tmp_path / "judgements").write_text("not a folder")
    with judging(echo) as server, pytest.raises(IsocostError, match="judgements"):
        Asker(tmp_path).ask(requests(server.url))
    assert not server.asked


_RUN = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from test_asking import requests
from isocost.judges.asking import Asker
Asker(Path(sys.argv[1])).ask(requests(sys.argv[2], 30, in_flight=2))
"""


@pytest.mark.slow
def test_a_run_that_is_killed_loses_only_what_was_in_flight(tmp_path: Path, repo: Path) -> None:
    def slow(body: dict[str, Any]) -> str:
        time.sleep(0.02)
        return echo(body)

    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(repo), str(repo / "tests")])}
    with judging(slow) as server:
        command = [
            sys.executable,
            "-c",
            _RUN,
            str(tmp_path),
            server.url,
            str(Path(__file__).parent),
        ]
        run = subprocess.Popen(command, env=environment)
        deadline = time.monotonic() + 60
        while len(server.asked) < 8 and time.monotonic() < deadline:
            time.sleep(0.005)
        os.kill(run.pid, signal.SIGKILL)
        run.wait()
        time.sleep(0.1)
        before = len(server.asked)
        kept = read_judgements(judge_folder(tmp_path, "j"))
        assert 8 <= before < 30 and before - 3 <= len(kept) <= before
        found = Asker(tmp_path).ask(requests(server.url, 30))
        assert len(texts(found)) == 30
        assert len(server.asked) == before + 30 - len(kept)
