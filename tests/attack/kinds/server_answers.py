"""A server that answers with hostile values, refuses, cuts, drips or lies about itself, while a session of the engine for servers runs."""

from __future__ import annotations

import json
import os
import random
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from tests.attack import values
from tests.attack.ground import SETTLED, Ground, command, run
from tests.attack.outcomes import LOST, SAME, TOUCHED, WRONG, Broken, judged
from tests.hostile_openai import (
    KEY,
    drawn_answer,
    drip,
    events,
    hostile,
    refusal,
    reset,
    serving,
    stream,
)

WHAT = "hostile values in any field of an answer, refusals, cut, dripping or endless streams, lies about the model; then `refresh` after some"
TARGETS = ("field", "fields", "refusal", "connection", "list of models", "value")
SHARE, SAMPLE, LIMIT_S = 260, 6, 60
PROBLEMS, SAMPLES = 3, 2
ASKED = PROBLEMS * SAMPLES


def attempt(ground: Ground, target: str, dice: random.Random, place: Path) -> tuple[str, str]:
    import sessions  # of the version under attack

    from isocost import generate
    from isocost.bank.reader import read_raw

    os.environ["ATTACK_KEY"] = KEY
    is_light = dice.randrange(24) != 0
    root = place / "data" if is_light else ground.copy(SETTLED, place)
    answer, attacked = _answers(target, dice)
    with serving(answer) as server:
        if target == "list of models":
            server.listed = [
                dict(
                    zip(
                        ("id", "max_model_len", "object"),
                        (hostile(dice) for _ in range(3)),
                        strict=True,
                    )
                )
                for _ in range(2)
            ]
        options = {
            "base_url": server.url,
            "timeout_s": 2,
            "retries": 1,
            "api_key_variable": "ATTACK_KEY",
        } | _newer()
        asked = sessions.session(
            "openai", path="tiny", problems=PROBLEMS, samples=SAMPLES, prompts=("direct",), options=options, logprobs_k=2,
            session_id="attacked-0123456789",
        )  # fmt: skip
        (root / "lake" / "sessions").mkdir(parents=True, exist_ok=True)
        file = root / "lake" / "sessions" / f"{asked.session_id}.json"
        file.write_text(asked.model_dump_json())
        said = run(generate.main, ["--session", str(file), "--lake", str(root / "lake")])
    result = judged(said, undisturbed_s=4)
    rows = read_raw(root / "lake", "raw_generations", asked.session_id)
    what = f"{target}; exit code {said.code}: {said.tail(300)}"
    if said.code in (0, 3) and rows.height != ASKED:
        raise Broken(LOST, f"{rows.height} rows for {ASKED} requests; {what}")
    _within_range(rows, what)
    good = rows.filter(
        (pl.col("output_text") == "42")
        & (pl.col("output_tokens") == 2)
        & (pl.col("finish_reason") == "stop")
    )
    if said.code in (0, 3) and good.height < ASKED - attacked:
        raise Broken(LOST, f"{good.height} good answers of {ASKED - attacked}; {what}")
    _no_key(root, what)
    if not is_light:
        after = command(root, "refresh")
        result = max(
            result, judged(after, undisturbed_s=ground.refresh_s), key=lambda one: one != SAME
        )
        before = pl.read_parquet(ground.home / SETTLED / "exports" / "core_samples.parquet")
        now = pl.read_parquet(root / "exports" / "core_samples.parquet")
        keys = ["sample_id", "correct", "output_tokens", "answer", "latency_s"]
        if before.join(now, on=keys, how="anti", nulls_equal=True).height:
            raise Broken(WRONG, f"samples of other sources changed; {what}; {after.tail(300)}")
    return result, what


def _newer() -> dict[str, Any]:
    """Options that earlier versions do not know."""
    from isocost.engines import openai

    known = getattr(openai, "_OPTIONS", {})
    return {
        name: value for name, value in {"patience_s": 4, "deadline_s": 6}.items() if name in known
    }


def _answers(target: str, dice: random.Random) -> tuple[Callable, int]:
    """What the server says, and how many requests get no good answer at most."""
    victims = set(dice.sample(range(1, ASKED + 1), dice.choice([1, 2])))
    seed = dice.randrange(10**9)
    good = stream(*events())

    def answer(connection: socket.socket, number: int, _: str) -> bytes | None:
        if number not in victims:
            return good
        if target in ("field", "fields"):
            return drawn_answer(seed + number)
        if target == "value":
            return _valued(random.Random(seed + number))
        if target == "refusal":
            return _refused(random.Random(seed + number))
        return (
            _connection(connection, random.Random(seed + number))
            if target == "connection"
            else good
        )

    return answer, len(victims) if target != "list of models" else 0


def _valued(dice: random.Random) -> bytes:
    """A good answer but for one value, which need be no JSON that a library writes."""
    said: list[Any] = events()
    n = dice.randrange(len(said))
    spot = dice.choice(list(values.places(said[n])))
    line = values.spliced(said[n], spot, dice.choice(values.HOSTILE))
    lines = [json.dumps(one) if k != n else line for k, one in enumerate(said)]
    return stream(*(b"data: " + one.encode("utf-8", "surrogatepass") + b"\n\n" for one in lines))


def _refused(dice: random.Random) -> bytes:
    code = dice.choice(
        [
            100,
            204,
            301,
            302,
            307,
            400,
            401,
            403,
            404,
            408,
            413,
            418,
            422,
            429,
            500,
            502,
            503,
            504,
            599,
            999,
        ]
    )
    body = dice.choice(
        [
            "no",
            "",
            f"Bearer {KEY}",
            '{"error": {"message": "\\ud800"}}',
            '{"error": ' + "[" * 5000,
            "x" * 100_000,
            "\x00\x1b[31m",
        ]
    )
    after = dice.choice(
        ["0", "1", "-1", "1e308", "nan", "x", "Fri, 31 Dec 9999 23:59:59 GMT", "9" * 5000]
    )
    return refusal(
        code,
        body,
        Retry_After=after,
        Location=dice.choice(["http://127.0.0.1:1/", "file:///etc/passwd", "/", "x" * 70_000]),
    )


def _connection(connection: socket.socket, dice: random.Random) -> bytes | None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
    good = stream(*events())
    how = dice.randrange(8)
    if how == 0:
        return reset(connection)
    if how == 1:
        return good[: dice.randrange(len(good))]
    if how == 2:
        return drip(connection, head + b": still here\n\n", seconds=20, every_s=0.1)
    if how == 3:
        return drip(connection, b"HTTP/1.1 100 Continue\r\n\r\n", seconds=20, every_s=0.1)
    if how == 4:
        return drip(connection, head + b"data: " + b"x" * 100_000, every_s=0.0, seconds=3)
    if how == 5:
        return bytes(dice.randrange(256) for _ in range(dice.randrange(2000)))
    if how == 6:
        time.sleep(4)  # longer than a read may take
        return good
    return good.replace(
        b"\r\n\r\n",
        b"\r\nContent-Length: " + str(dice.randrange(2 * len(good))).encode() + b"\r\n\r\n",
        1,
    )


def _within_range(rows: pl.DataFrame, what: str) -> None:
    """Fails where a banked number cannot be one of a request of eight tokens."""
    good = rows.filter(pl.col("finish_reason") != "error")
    most = {"output_tokens": 8, "prompt_tokens": 10**6, "cached_tokens": 10**6}
    for name, limit in most.items():
        if good.filter(pl.col(name).is_not_null() & ~pl.col(name).is_between(0, limit)).height:
            raise Broken(WRONG, f"{name} is {good[name].to_list()}; {what}")
    if good.filter(
        (pl.col("logprob_sum") > 0.01)
        | pl.col("logprob_sum").is_nan()
        | pl.col("logprob_sum").is_infinite()
    ).height:
        raise Broken(WRONG, f"logprob_sum is {good['logprob_sum'].to_list()}; {what}")


def _no_key(root: Path, what: str) -> None:
    for path in root.rglob("*"):
        if path.is_file() and KEY.encode() in path.read_bytes():
            raise Broken(TOUCHED, f"the key is in {path.relative_to(root)}; {what}")
