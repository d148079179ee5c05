"""``isocost meter``: what a user sees who measures a client of his own, and a whole sweep."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time

import polars as pl
import pytest

from isocost import cli
from isocost.bank.reader import read_raw

pytestmark = pytest.mark.slow
CLIENT = """
import os, sys, openai
with openai.OpenAI() as client:
    for n in (1, 3):
        said = client.chat.completions.create(
            model=os.environ["ISOCOST_MODEL"], n=n, messages=[{"role": "user", "content": "1 + 2"}]
        )
    try:
        client.chat.completions.create(model="other", messages=[{"role": "user", "content": "?"}])
    except openai.NotFoundError:
        pass
print("its own output", flush=True)
sys.exit(int(sys.argv[1]))
"""
SWEEP = """
sweep: metered
models: {name: scripted, path: scripted}
engine: {engine: openai, max_num_seqs: 2, options: {base_url: "URL"}}
tasks:
  - name: sums
    source: inline
    dataset: sums
    n_problems: 2
    verifier: numeric
    config: {problems: [{question: "1 + 2", reference: "3"}, {question: "2 + 2", reference: "4"}]}
prompts: {name: direct, template: "{question}"}
grid: {temperature: 0.7, max_tokens: 16, method: {name: external, command: COMMAND}}
samples_per_problem: 2
bank: {telemetry: none, warmup_requests: 0}
"""


def test_a_client_of_ones_own_is_run_and_summed_up(server, tmp_path, capfd):
    (tmp_path / "client.py").write_text(CLIENT)
    words = ["meter", "--base-url", server.url, "--calls", str(tmp_path / "new" / "calls.parquet")]
    code = cli.main([*words, "--", sys.executable, str(tmp_path / "client.py"), "3"])
    shown = capfd.readouterr().out
    assert code == 3, "the client's own exit code"
    assert "metering scripted at http://127.0.0.1:" in shown and "its own output" in shown
    assert "2 requests, 4 calls" in shown and f"{server.counts['output']}\n" in shown
    assert "refused: the model 'other' is not metered here, only 'scripted'" in shown
    calls = pl.read_parquet(tmp_path / "new" / "calls.parquet")
    assert calls["output_tokens"].sum() == server.counts["output"]
    assert calls["wave"].to_list() == [0, 1, 1, 1] and calls["output_text"].null_count() == 0


def test_the_sessions_of_a_sweep_are_generated(server, tmp_path, capfd):
    client = tmp_path / "client.py"
    client.write_text(
        "import json, sys, openai\n"
        "asked = json.load(sys.stdin)\n"
        "said = openai.OpenAI().chat.completions.create(\n"
        "    model=asked['model'], messages=asked['problem']['messages'])\n"
        "print(said.choices[0].message.content)\n"
    )
    text = SWEEP.replace("URL", server.url).replace("COMMAND", f'"python {client}"')
    (tmp_path / "metered.yaml").write_text(text)
    data = str(tmp_path / "data")
    assert cli.main(["--data", data, "meter", str(tmp_path / "metered.yaml")]) == 0
    assert "everything is banked in" in capfd.readouterr().out
    assert read_raw(tmp_path / "data" / "lake", "raw_answers").height == 4


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("meter", "one sweep file is needed, or a server with --base-url"),
        ("meter a.yaml b.yaml", "one sweep file is needed"),
        ("meter --model m a.yaml", "--model is for a server that is given with --base-url"),
        ("meter --base-url ftp://x -- true", "an HTTP address is needed"),
        ("meter --base-url http://127.0.0.1:9/v1 -- true", "the server does not answer"),
        ("meter --base-url URL -- /no/such/client", "cannot be started"),
        ("meter --base-url URL --host 192.0.2.1 -- true", "the gateway cannot listen there"),
        ("meter --base-url URL --port 99999 -- true", "the gateway cannot listen there"),
        ("meter --base-url URL --key-variable NO_KEY -- true", "NO_KEY is not set"),
        ("meter missing.yaml", "missing.yaml"),
    ],
)
def test_bad_input_is_said_in_a_line(server, tmp_path, capsys, words, said):
    code = cli.main(["--data", str(tmp_path), *shlex.split(words.replace("URL", server.url))])
    shown = capsys.readouterr().err
    assert code == 2 and said in shown and len(shown.splitlines()) <= 2, shown


# A shell starts what runs in the background with SIGINT ignored, and so is what that starts.
AT_A_TERMINAL = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from isocost.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("presses", [1, 2])
def test_ctrl_c_ends_a_client_and_what_it_has_called_is_summed_up(server, tmp_path, presses):
    (tmp_path / "client.py").write_text(
        "import openai, os, signal, time\n"
        "openai.OpenAI().chat.completions.create(\n"
        "    model=os.environ['ISOCOST_MODEL'], messages=[{'role': 'user', 'content': '1 + 2'}])\n"
        f"if {presses} > 1: signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "try:\n"
        "    print('called', flush=True)\n"
        # A signal that arrives just before a sleep interrupts nothing: many short ones.
        "    for _ in range(600): time.sleep(0.1)\n"
        "except KeyboardInterrupt: time.sleep(0.6)\n"  # longer than a shell's patience
        "print('cleaned up', flush=True)\n"
    )
    calls = tmp_path / "calls.parquet"
    words = ["meter", "--base-url", server.url, "--calls", str(calls)]
    with subprocess.Popen(
        [sys.executable, "-c", AT_A_TERMINAL, *words, "--", sys.executable, tmp_path / "client.py"],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        while "called" not in process.stdout.readline():
            assert process.poll() is None
        for _ in range(presses):
            os.killpg(process.pid, signal.SIGINT)
            time.sleep(0.4)
        shown = process.communicate(timeout=30)[0]
    assert process.returncode == 130
    assert ("cleaned up" in shown) == (presses == 1) and "1 requests, 1 calls" in shown
    assert pl.read_parquet(calls)["output_text"].to_list() == ["The answer is 3."]
