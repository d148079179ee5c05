"""docs/extending/engine.md, followed to the letter, up to the published tables."""

from __future__ import annotations

import duckdb
import pytest

from isocost.build import refresh
from isocost.capabilities import ENGINES
from isocost.errors import IsocostError
from isocost.payload.loop import Stop
from isocost.payload.progress import Reporter
from isocost.payload.session import generate
from isocost.store import Store
from isocost.sweep import plan_sessions, sweep_from_text

PAGE = "engine.md"
SWEEP = """
sweep: s
models: {name: adder, path: adder, card: smollm2-135m-instruct}
tasks:
  - name: sums
    source: inline
    dataset: sums
    n_problems: 2
    verifier: numeric
    config: {problems: [{question: "1 + 2", reference: "3"}, {question: "2 + 2", reference: "5"}]}
prompts: {name: direct, template: "{question}"}
grid: {temperature: 0.5, max_tokens: 16}
samples_per_problem: 2
bank: {warmup_requests: 0, telemetry: none}
"""
ANSWER = """
import json, sys
asked = json.load(sys.stdin)
assert asked["temperature"] == 0.5 and asked["max_tokens"] == 16
question = asked["messages"][-1]["content"]
print(json.dumps({"text": str(eval(question)), "prompt_tokens": 3, "output_tokens": 1}))
"""


def test_a_sweep_may_name_it_from_then_on(add, blocks):
    (line,) = blocks(PAGE, "yaml")
    with pytest.raises(IsocostError, match="no engine is called 'program'"):
        sweep_from_text(SWEEP + line)
    add(PAGE, ENGINES)
    assert sweep_from_text(SWEEP + line).engine.engine == "program"


def generated(session, store):
    with Reporter() as reporter:
        return generate(session, str(store.lake), reporter=reporter, stop=Stop())


@pytest.mark.slow
def test_its_answers_are_in_the_published_tables(add, blocks, tmp_path, monkeypatch):
    add(PAGE, ENGINES)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "answer.py").write_text(ANSWER)
    (session,) = plan_sessions(sweep_from_text(SWEEP + blocks(PAGE, "yaml")[0]))
    store = Store(tmp_path / "data")
    assert generated(session, store).generated == 4
    refresh.curate_session(store, session.session_id)
    refresh.derive(store, "strategies")
    refresh.publish_warehouse(store)
    with duckdb.connect(str(store.root / "warehouse.duckdb"), read_only=True) as warehouse:
        reported = (
            "SELECT engine, samples_valid, resolved_engine LIKE '%answer.py%' FROM core_sessions"
        )
        assert warehouse.execute(reported).fetchall() == [("program", 4, True)]
        accuracy = (
            "SELECT accuracy FROM out_strategy_outcomes WHERE strategy = 'pass_at_k' AND budget = 1"
        )
        assert warehouse.execute(accuracy).fetchall() == [(0.5,)]


@pytest.mark.slow
def test_a_program_that_fails_or_is_not_there_is_reported(add, blocks, tmp_path, monkeypatch):
    add(PAGE, ENGINES)
    monkeypatch.chdir(tmp_path)
    line = blocks(PAGE, "yaml")[0]
    (session,) = plan_sessions(sweep_from_text(SWEEP + line))
    outcome = generated(session, Store(tmp_path / "data"))  # there is no answer.py
    assert outcome.errors == 4 and "answer.py" in outcome.first_error
    (session,) = plan_sessions(sweep_from_text(SWEEP + line.replace("python3", "no-such-program")))
    with pytest.raises(IsocostError, match=r"engine\.options\.command: there is no such program"):
        generated(session, Store(tmp_path / "other"))
