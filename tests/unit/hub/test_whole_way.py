"""A sweep with data sets of a hub on loopback, from its plan over the payload to the tables."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from fake_openai import serving
from hub_repos import TOKEN, lines, quiz
from ready_rows import SAMPLES

from isocost.build import refresh
from isocost.payload.loop import Stop
from isocost.payload.progress import Reporter
from isocost.payload.session import generate
from isocost.store import Store
from isocost.sweep import read_session

pytestmark = pytest.mark.slow

SWEEP = """sweep: whole-way
models:
  - {{name: adder, path: adder}}
engine:
  engine: openai
  max_num_seqs: 4
  options: {{base_url: "{url}"}}
tasks:
  - name: sums
    source: huggingface
    dataset: org/sums
    config:
      subset: main
      split: test
      revision: main
      columns: {{question: question, reference: answer}}
    n_problems: 6
    verifier: numeric
  - name: quiz
    source: huggingface
    dataset: org/quiz
    config:
      split: test
      shuffle_choices: true
      columns: {{question: ask, reference: right, choices: options, context: passage}}
    n_problems: 3
    verifier: multiple_choice
  - {{name: gsm8k, source: ready, dataset: gsm8k, n_problems: 2, verifier: numeric}}
prompts:
  - {{name: plain, tasks: sums, template: "{{question}}"}}
  - {{name: reading, tasks: quiz, template: "{{context}}\\n{{question}}"}}
  - {{name: conventional, tasks: gsm8k, template: "{{prompt}}"}}
grid: {{temperature: 0.5, max_tokens: 8}}
samples_per_problem: 4
"""

WARMUP = 2


def bank(store: Store, path: Path) -> None:
    (session_id,) = refresh.plan_sweep(store, path)
    session = read_session(store.session_file(session_id))
    with Reporter() as reporter:
        outcome = generate(session, str(store.lake), reporter=reporter, stop=Stop())
    assert outcome.errors == outcome.missing == 0, outcome
    refresh.curate_session(store, session_id)


def test_from_the_hub_to_the_tables(hub, tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    hub.add("dataset", "openai/gsm8k", SAMPLES["gsm8k"].files)
    store, path = Store(tmp_path / "data"), tmp_path / "sweep.yaml"
    with serving() as server:
        path.write_text(SWEEP.format(url=server.url))
        bank(store, path)
        list(refresh.everything(store))
        assert set(store.read("out_strategy_outcomes")["task"]) == {"sums", "quiz", "gsm8k"}
        core = store.read("core_samples").sort("sample_id")
        assert core.height == (6 + 3 + 2) * 4
        assert core["is_valid"].all()
        problems = {row["problem_id"]: row for row in store.read("core_problems").to_dicts()}
        sums = core.filter(pl.col("task") == "sums")
        right = [
            2 * int(problems[problem]["question"].split()[2]) for problem in sums["problem_id"]
        ]
        assert sums["correct"].to_list() == [
            int(answer) == sum_ for answer, sum_ in zip(sums["answer"], right, strict=True)
        ]
        assert 0 < sums["correct"].sum() < sums.height
        shown = [row for row in problems.values() if row["task"] == "quiz"]
        for row in shown:
            order = json.loads(row["metadata"])["choice_order"]
            assert sorted(order) == [0, 1, 2]
            assert row["reference"] == "ABC"[order.index(1)]
            assert row["question"].splitlines()[2 + order.index(1)].startswith(row["reference"])
        points = {row["task"]: row for row in store.read("core_points").to_dicts()}
        first = hub.repos["dataset", "org/sums"].refs["main"]
        config = json.loads(points["sums"]["task_config"])
        assert (config["revision"], config["commit"]) == ("main", first)
        assert json.loads(points["gsm8k"]["task_config"])["convention"] == 1

        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        asked = server.asked
        hub.requests.clear()
        bank(store, path)
        assert (server.asked, hub.requests) == (asked, [])
        assert store.read("core_samples").sort("sample_id").equals(core)

        monkeypatch.delenv("HF_HUB_OFFLINE")
        hub.repos["dataset", "org/quiz"].push({"test.jsonl": lines(quiz()[::-1])})
        bank(store, path)
        tasks = store.read("core_points").group_by("task").len()
        assert dict(tasks.iter_rows()) == {"sums": 1, "quiz": 2, "gsm8k": 1}
        assert server.asked == asked + 3 * 4 + WARMUP
    out, err = capfd.readouterr()
    assert TOKEN not in out + err
    leaked = [p for p in tmp_path.rglob("*") if p.is_file() and TOKEN.encode() in p.read_bytes()]
    assert leaked == []
