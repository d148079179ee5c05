"""A session of a method, killed with SIGKILL at random moments: nothing lost, nothing twice.

ISOCOST_KILLS sets how often; ``make test`` does few.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import sessions

from isocost.bank.reader import read_manifests, read_raw
from isocost.bank.verify import verify_bank
from isocost.sweep import session_json
from isocost.sweep.models import MethodSpec

pytestmark = pytest.mark.slow
KILLS = int(os.environ.get("ISOCOST_KILLS", "5"))
SEED = int(os.environ.get("ISOCOST_KILLS_SEED", "7"))
GENERATE = """
import sys, time
sys.path[:0] = [{folder!r}]
import numpy as np
from scripted import ScriptedEngine, completion
from isocost.capabilities import ENGINES
from isocost.engines.logprobs import TokenLogprobs
from isocost.payload import session as payload
from isocost.payload.loop import Stop
from isocost.payload.progress import Reporter
from isocost.payload.session import generate
from isocost.sweep import read_session
from pathlib import Path

made = open({made!r}, "a", buffering=1)

def reply(request, by="own"):
    if not begun:
        begun.append(print("ready", flush=True))
    time.sleep(0.012)
    made.write(f"{{request.request_id}} {{by}}\\n")
    text = f"said {{len(request.messages[-1]['content'])}} {{len(request.messages)}}"
    mean = np.full(3, -0.25 if sum(map(ord, request.request_id)) % 2 else -0.75)
    return completion(request, text, logprobs=TokenLogprobs(mean, np.full((3, 5), -2.0), 1000))

class Large(ScriptedEngine):
    asked, reply = [], staticmethod(lambda request: reply(request, "large"))

session = read_session({session!r})  # its ids are those of the engine that is replaced
ENGINES._items["openai"] = ScriptedEngine
payload.PartnerEngine = lambda alias, name, settings: Large(settings)
ScriptedEngine.reply = staticmethod(reply)
begun = []
with Reporter() as reporter:
    generate(session, {lake!r}, reporter=reporter, stop=Stop())
"""


SPECS = (
    MethodSpec(
        name="sequential_revision", parameters={"rounds": 4, "history": 3, "instruction": "Again."}
    ),
    MethodSpec(name="cascade", parameters={"models": ["large"], "thresholds": [-0.5]}),
    MethodSpec(name="sleep_time", parameters={"sleep_tokens": None, "instruction": "Think."}),
)


@pytest.mark.parametrize("spec", SPECS, ids=["one engine", "two engines", "shared calls"])
def test_killed_at_random_moments_the_bank_is_that_of_an_undisturbed_run(
    tmp_path: Path, spec: MethodSpec
) -> None:
    partner = sessions.partner(sessions.session("openai"))
    session = sessions.session(
        "openai", method=spec, problems=6, samples=8, part_rows=4,
        partners={"large": partner} if spec.name == "cascade" else None,
        contexts=3 if spec.name == "sleep_time" else 0,
    )  # fmt: skip
    file = tmp_path / "session.json"
    file.write_bytes(session_json(session))

    def start(lake: str) -> subprocess.Popen[str]:
        script = GENERATE.format(
            folder=str(Path(__file__).parent), made=str(tmp_path / f"{lake}.made"),
            session=str(file), lake=str(tmp_path / lake),
        )  # fmt: skip
        return subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)

    draws = random.Random(SEED)
    for _ in range(KILLS):
        process = start("killed")
        assert process.stdout is not None
        line = process.stdout.readline()
        while line and line != "ready\n":
            line = process.stdout.readline()
        time.sleep(draws.uniform(0.02, 0.3))
        process.send_signal(signal.SIGKILL)
        process.communicate()
    for lake in ("killed", "plain"):
        process = start(lake)
        process.communicate(timeout=300)
        assert process.returncode == 0
    report = verify_bank(tmp_path / "killed")
    assert report.faults == () and report.samples == 2 * 6 * 8
    assert len(read_manifests(tmp_path / "killed")) > 0.8 * KILLS  # it was killed on its way
    columns = (
        "call_id", "output_text", "request_hash", "wave", "role", "parent_call_id", "partner"
    )  # fmt: skip
    calls, answers = (
        {name: read_raw(tmp_path / name, table) for name in ("killed", "plain")}
        for table in ("raw_generations", "raw_answers")
    )
    assert calls["killed"]["call_id"].is_unique().all()
    killed, plain = (calls[name].select(columns).sort("call_id") for name in ("killed", "plain"))
    assert killed.equals(plain)
    final = {
        name: frame.filter("is_final")
        .select("sample_id", "answer_text", "budget")
        .sort("sample_id")
        for name, frame in answers.items()
    }
    assert final["killed"].equals(final["plain"])
    # A call that was sealed is never made again: what was made twice was lost with its part.
    made = {
        (call_id, None if by == "own" else by)
        for call_id, by in map(str.split, (tmp_path / "killed.made").read_text().splitlines())
    }
    assert made == set(calls["killed"].select("call_id", "partner").iter_rows())
    assert len({partner for _, partner in made}) == len(session.partners) + 1
