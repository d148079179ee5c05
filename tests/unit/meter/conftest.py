"""A scripted server, sessions of clients in front of it, and what they bank."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "payload"))
import sessions

from benchmarks.scripted_server import MODEL, Scripted, serving
from isocost.bank.reader import read_raw
from isocost.bank.verify import verify_bank
from isocost.engines.protocol import Address
from isocost.meter.gateway import Gateway
from isocost.methods import method_of
from isocost.payload.loop import Stop
from isocost.payload.progress import Reporter
from isocost.payload.session import Outcome, generate
from isocost.sweep import Session
from isocost.sweep.models import MethodSpec


@pytest.fixture
def server() -> Iterator[Scripted]:
    with serving() as server:
        yield server


@pytest.fixture
def gateway(server: Scripted) -> Iterator[Gateway]:
    with Gateway(Address(server.url, MODEL, key="secret", timeout_s=2.0)) as gateway:
        yield gateway


@dataclass
class Lab:
    """A folder for clients and a lake."""

    folder: Path
    server: Scripted
    said: list[str]

    @property
    def lake(self) -> Path:
        return self.folder / "lake"

    def client(self, text: str, name: str = "client.py") -> str:
        """A client as a command; ``asked`` and ``ask`` are there."""
        (self.folder / name).write_text(CLIENT + text)
        return f"python {self.folder / name}"

    def session(self, samples: int = 1, problems: int = 1, **given: Any) -> Session:
        options = {"base_url": self.server.url, "timeout_s": 20} | given.pop("options", {})
        part_rows = given.pop("part_rows", 5)
        method = method_of("external", given).model_dump(mode="json")
        return sessions.session(
            "openai",
            path=MODEL,
            prompts=("direct",),
            kv_cache_bytes=None,
            max_model_len=None,
            max_tokens=50,
            problems=problems,
            samples=samples,
            part_rows=part_rows,
            options=options,
            method=MethodSpec(name="external", parameters=method),
        )

    def run(self, stop: Stop | None = None, **given: Any) -> Outcome:
        with Reporter(stream=_Lines(self.said)) as reporter:
            found = generate(
                self.session(**given),
                str(self.lake),
                reporter=reporter,
                stop=Stop() if stop is None else stop,
            )
        assert verify_bank(self.lake).faults == ()
        return found

    def calls(self) -> pl.DataFrame:
        return read_raw(self.lake, "raw_generations").sort("sample_id", "attempt", "call_index")

    def answers(self) -> pl.DataFrame:
        return read_raw(self.lake, "raw_answers").sort("sample_id", "attempt")


class _Lines:
    def __init__(self, said: list[str]) -> None:
        self._said = said

    def write(self, text: str) -> None:
        self._said.append(text)

    def flush(self) -> None:
        """Nothing is kept back."""


CLIENT = """
import json, os, sys, time, urllib.request
asked = json.load(sys.stdin)
question, messages = asked["problem"]["question"], asked["problem"]["messages"]
def ask(messages=messages, base_url=asked["base_url"], **more):
    body = json.dumps({"model": asked["model"], "messages": messages, **more}).encode()
    made = urllib.request.Request(
        base_url + "/chat/completions", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(made) as answer:
        return [c["message"]["content"] for c in json.load(answer)["choices"]]
"""


@pytest.fixture
def lab(tmp_path: Path, server: Scripted) -> Callable[..., Outcome]:
    return Lab(tmp_path, server, [])
