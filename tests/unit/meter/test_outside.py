"""Samples of clients: what is banked when all goes well, and what when it does not."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import polars as pl
import pytest

from benchmarks.scripted_server import serving
from isocost.errors import IsocostError
from isocost.meter.clients import Question, environment
from isocost.payload import outside
from isocost.payload.loop import Stop
from isocost.sweep import session_json

pytestmark = pytest.mark.slow  # every sample is a process

REFINE = """
first = ask()[0]
turns = [{"role": "assistant", "content": first}, {"role": "user", "content": "Again."}]
ask(n=2)
print(ask([*messages, *turns])[0])
"""
FUNCTION = '''
"""A client as a function."""
import openai
made = []
def answer(problem, base_url, model, votes=1):
    made.append(problem["sample_index"])
    print("not an answer", len(made))
    with openai.OpenAI(api_key="none") as client:  # the address is in the environment
        assert str(client.base_url).rstrip("/") == base_url
        said = client.chat.completions.create(model=model, messages=problem["messages"], n=votes)
    return f"{said.choices[-1].message.content} seen {len(made)}"
'''


def alive(pattern: str) -> list[int]:
    """Processes whose command line has a text, zombies left out."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if pattern in line:
            found.append(int(folder.name))
    return found


def test_a_command_is_a_method(lab):
    found = lab.run(command=lab.client(REFINE), samples=3, problems=2)
    assert (found.generated, found.missing, found.errors) == (6, 0, 0)
    calls, answers = lab.calls(), lab.answers()
    assert (
        calls.height == 24 and answers.height == 6 and calls["method"].unique().item() == "external"
    )
    one = calls.filter(pl.col("sample_id") == calls["sample_id"][0])
    assert one["wave"].to_list() == [0, 1, 1, 2]
    assert one["role"].to_list() == ["solve", "solve", "solve", "follow_up"]
    parent = one["parent_call_id"][3]
    assert (
        parent is not None
        and one.filter(pl.col("call_id") == parent)["output_text"].item() == (one["output_text"][0])
    )
    assert one["request_hash"][1] == one["request_hash"][2] != one["request_hash"][0]
    assert calls["output_tokens"].sum() == lab.server.counts["output"]
    texts = answers.join(calls, on="sample_id").filter(pl.col("call_index") == 3)
    assert texts["answer_text"].to_list() == texts["output_text"].to_list()
    assert set(answers["answer_call_index"]) == {3} and set(answers["finish_reason"]) == {"stop"}
    again = lab.run(command=lab.client(REFINE), samples=3, problems=2)
    assert again.status == "complete" and lab.server.asked == 18
    more = lab.run(command=lab.client(REFINE), samples=4, problems=2)
    assert more.generated == 2 and lab.server.asked == 24


def test_a_function_is_imported_once_and_called_for_every_sample(lab, monkeypatch):
    (lab.folder / "voting.py").write_text(FUNCTION)
    monkeypatch.setenv("PYTHONPATH", str(lab.folder))
    found = lab.run(
        function="voting:answer", arguments={"votes": 3}, samples=4, options={"clients": 1}
    )
    assert found.missing == 0
    assert sorted(text[-6:] for text in lab.answers()["answer_text"]) == [
        f"seen {n}" for n in (1, 2, 3, 4)
    ]
    assert lab.calls().height == 12 and set(lab.answers()["answer_call_index"]) == {None}
    assert alive("voting:answer") == []


def test_a_client_gets_the_question_and_neither_the_reference_nor_the_key(lab, monkeypatch):
    monkeypatch.setenv("SERVER_KEY", "very-secret")
    text = """
ask()
assert "1" == asked["problem"]["question"].split("+ ")[1][:1] and "reference" not in str(asked)
assert "very-secret" not in str(asked) + str(dict(os.environ))
assert asked["problem"]["temperature"] == 0.7 and asked["problem"]["max_tokens"] == 50
assert os.environ["OPENAI_BASE_URL"] == asked["base_url"] == sys.argv[2]
assert os.environ["ISOCOST_MODEL"] == asked["model"] == sys.argv[3] == "scripted"
print(sys.argv[1])
"""
    command = lab.client(text) + " 'Q: {question}' {base_url} {model}"
    lab.run(command=command, options={"api_key_variable": "SERVER_KEY"})
    assert lab.answers()["answer_text"].item() == "Q: What is 0 + 1?"
    assert set(lab.server.keys) == {"Bearer very-secret"}


def test_no_proxy_is_asked_for_the_gateway(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "example.org")
    found = environment(Question({}, "http://127.0.0.1:1/v1", "m", {}), ["PATH_TO_KEY"])
    assert found["NO_PROXY"] == found["no_proxy"] == "example.org,127.0.0.1,localhost,::1"


LOOP = """
while True:
    try:
        ask()
    except Exception as error:
        {then}
"""
FAILURES = {
    "raises": ("ask()\nraise ValueError('oh no')", "exit code 1: ValueError: oh no"),
    "exits": ("ask()\nprint('4')\nsys.exit(7)", "exit code 7"),
    "is killed": ("ask()\nos.kill(os.getpid(), 9)", "ended by a signal (Killed)"),
    "says nothing": ("ask()\nprint(' ')", "printed no answer"),
    "never asks": ("print('3')", "without a complete call through the address"),
    "asks another model": (
        "asked['model'] = 'gpt-9'\nask()",
        "refused: the model 'gpt-9' is not metered here",
    ),
    "asks with a guessed token": (
        "ask(base_url=asked['base_url'].replace('/samples/', '/samples/x'))",
        "HTTP Error 404",
    ),
    "hangs before it asks": ("time.sleep(60)", "did not end within 6 s"),
    "prints without end": ("ask()\nwhile True: print('x' * 99999)", "printed more than"),
}


def test_a_client_that_fails_loses_its_own_sample_and_says_why(lab):
    texts = list(FAILURES.values())
    good = "print(ask()[0])\n"
    cases = "".join(
        f"if number == {number}:\n{textwrap.indent(text, '    ')}\n    sys.exit(0)\n"
        for number, (text, _) in enumerate(texts)
    )
    client = lab.client(f"number = asked['problem']['sample_index']\n{cases}{good}")
    given = {"command": client, "samples": len(texts) + 3, "time_limit_s": 6}
    found = lab.run(**given, options={"clients": 4})
    assert (found.generated, found.errors, found.missing) == (3, len(texts), len(texts))
    bad = lab.answers().filter(pl.col("finish_reason") == "error").sort("sample_index")
    assert bad["sample_index"].to_list() == list(range(len(texts)))
    for error, (_, what) in zip(bad["error"], texts, strict=True):
        assert what in error.splitlines()[0]
        assert any(what in line for line in lab.said)
    assert alive(str(lab.folder)) == []
    # What is banked stays, and the samples that failed are made by the next run.
    before = lab.calls()
    lab.client(good)
    again = lab.run(**given, options={"clients": 4})
    assert (again.generated, again.missing) == (len(texts), 0)
    assert lab.calls().filter(pl.col("attempt") == 1).equals(before)


LIMITS = {
    "calls": (LOOP.format(then="pass"), {"call_limit": 4}, "call_limit", 4, None),
    "calls, answered": (
        LOOP.format(then="print('I give up'); break"),
        {"call_limit": 4},
        "call_limit",
        4,
        "I give up",
    ),
    "tokens": (LOOP.format(then="sys.exit(3)"), {"token_limit": 20}, "token_limit", 4, None),
    "time": ("ask()\ntime.sleep(60)", {"time_limit_s": 1.5}, "time_limit", 1, None),
}


@pytest.mark.parametrize("name", LIMITS)
def test_a_limit_ends_a_sample_with_its_own_finish_reason(lab, monkeypatch, name):
    monkeypatch.setattr(outside, "GRACE_S", 0.5)
    text, given, reason, calls, answer = LIMITS[name]
    found = lab.run(command=lab.client(text), **given)
    assert (found.generated, found.errors, found.missing) == (1, 0, 0)
    row = lab.answers().row(0, named=True)
    assert (row["finish_reason"], row["answer_text"]) == (reason, answer)
    assert lab.calls().height == calls and row["used_calls"] == list(range(calls))
    assert alive(str(lab.folder)) == []


@pytest.mark.parametrize("fault", [500, 429, "half"])
def test_a_client_that_tries_again_makes_its_sample(lab, fault):
    lab.server.faults = {1: fault}
    text = "try:\n    ask()\nexcept Exception:\n    pass\nprint(ask()[0])"
    assert lab.run(command=lab.client(text)).missing == 0
    assert lab.calls()["finish_reason"].to_list() == ["error", "stop"]
    row = lab.answers().row(0, named=True)
    assert (row["call_attempts"], row["used_calls"]) == ([None, 1], [1])
    assert row["error"].startswith("call 0: ")
    assert lab.run(command=lab.client(text)).status == "complete"


@pytest.mark.parametrize(
    ("fault", "said"), [(500, "HTTP 500: scripted 500"), ("stall", "the server")]
)
def test_a_server_that_fails_is_not_the_models_mistake(lab, fault, said):
    lab.server.faults = {0: fault}
    client = lab.client(LOOP.format(then="time.sleep(0.3)") if fault == 500 else "ask()")
    found = lab.run(command=client, time_limit_s=2)
    assert found.missing == 1 and said in found.first_error
    assert lab.answers()["finish_reason"].to_list() == ["error"]


def test_a_server_that_goes_away_ends_the_run(lab):
    text = "time.sleep(asked['problem']['sample_index'] / 4)\nprint(ask()[0])"
    with serving() as gone:
        lab.server = gone
        timer = threading.Timer(3.0, gone.end)
        timer.start()
        found = lab.run(
            command=lab.client(text), samples=60, options={"patience_s": 1.5, "clients": 2}
        )
    assert found.status == "stopped" and found.away is not None
    assert 0 < found.generated < 60 and found.errors <= 4, "no sample begins while it is away"
    assert found.missing == 60 - found.generated


def test_nothing_that_a_client_started_outlives_its_sample(lab):
    text = """
import subprocess
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(99) #" + sys.argv[0]])
print(ask()[0])
"""
    begun = time.monotonic()
    assert lab.run(command=lab.client(text), samples=2).missing == 0
    assert time.monotonic() - begun < 60
    assert alive(str(lab.folder)) == []


def test_a_stop_ends_the_clients_and_their_samples_start_again(lab):
    text = "time.sleep(0 if asked['problem']['sample_index'] == 0 else 1e6)\nprint(ask()[0])"
    stop = Stop()
    timer = threading.Timer(2.5, lambda: setattr(stop, "signal_number", 15))
    timer.start()
    found = lab.run(stop=stop, command=lab.client(text), samples=3)
    assert (found.status, found.generated, found.missing) == ("stopped", 1, 2)
    assert alive(str(lab.folder)) == []
    assert lab.calls().height == 1, "nothing of a sample that was under way is banked"
    assert any("2 samples were under way; they will start again" in line for line in lab.said)
    assert lab.run(command=lab.client("print(ask()[0])"), samples=3).missing == 0
    assert lab.calls()["sample_id"].is_unique().all()


GENERATE = """
import sys
from isocost.generate import main
raise SystemExit(main(["--session", sys.argv[1], "--lake", sys.argv[2]]))
"""


def test_killed_in_the_middle_nothing_is_lost_and_nothing_is_there_twice(lab):
    lab.server.token_s = 0.01
    session = lab.session(
        command=lab.client(REFINE), samples=10, part_rows=1, options={"clients": 3}
    )
    file = lab.folder / "session.json"
    file.write_bytes(session_json(session))
    words = [sys.executable, "-c", GENERATE, str(file), str(lab.lake)]
    for pause in (0.0, 0.1):
        before = len(list(lab.lake.rglob("part-*")))
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
        while len(list(lab.lake.rglob("part-*"))) == before and process.poll() is None:
            time.sleep(0.01)
        time.sleep(pause)
        process.send_signal(signal.SIGKILL)
        process.wait()
        until = time.monotonic() + 20  # a guard looks now and then
        while alive(str(lab.folder / "client.py")) and time.monotonic() < until:
            time.sleep(0.05)
        assert alive(str(lab.folder / "client.py")) == [], "the guards have seen it"
    assert subprocess.run(words, stdout=subprocess.DEVNULL, timeout=120).returncode == 0
    calls, answers = lab.calls(), lab.answers()
    assert answers.height == 10 and answers["sample_id"].is_unique().all()
    # Calls whose answer was not sealed any more belong to no sample: it was made again.
    used = calls.join(answers, on=["sample_id", "attempt"], how="semi")
    assert used.height == 40 and used["call_id"].is_unique().all()
    assert answers["attempt"].n_unique() > 1, "it was killed on its way"


def test_a_method_from_outside_needs_a_server(lab):
    import sessions

    from isocost.payload.preflight import check_methods
    from isocost.payload.work import Work

    session = lab.session(command="client")
    method = session.points[0].point.method
    with pytest.raises(IsocostError, match="needs an engine that is a server with OpenAI's API"):
        check_methods(Work(sessions.session("vllm", method=method)))


def test_another_command_or_version_is_another_point(lab):
    ids = {
        lab.session(**given).points[0].point.point_id
        for given in (
            {"command": "client"},
            {"command": "client --votes 3"},
            {"command": "client", "version": "2"},
            {"command": "client", "time_limit_s": 5},
            {"function": "client:answer"},
            {"function": "client:answer", "arguments": {"votes": 3}},
        )
    }
    assert len(ids) == 6
