"""docs/extending/methods.md, followed to the letter, up to the published tables."""

from __future__ import annotations

import duckdb
import pytest
from scripted import ScriptedEngine

from isocost.bank.reader import read_raw
from isocost.bank.verify import verify_bank
from isocost.build import refresh
from isocost.capabilities import ENGINES
from isocost.errors import IsocostError
from isocost.methods import METHODS
from isocost.payload.loop import Stop
from isocost.payload.progress import Reporter
from isocost.payload.session import generate
from isocost.store import Store
from isocost.sweep import plan_sessions, sweep_from_text

PAGE = "methods.md"
SWEEP = """
sweep: s
models: {name: scripted, path: scripted, card: smollm2-135m-instruct}
engine: {engine: openai, max_num_seqs: 2, options: {base_url: "http://localhost:1/v1"}}
tasks:
  - name: sums
    source: inline
    dataset: sums
    n_problems: 2
    verifier: numeric
    config: {problems: [{question: "1 + 2", reference: "3"}, {question: "2 + 2", reference: "5"}]}
prompts: {name: direct, template: "Solve: {question}"}
samples_per_problem: 2
bank: {warmup_requests: 0, telemetry: none}
"""


def test_a_sweep_may_name_it_from_then_on(add, blocks):
    (line,) = blocks(PAGE, "yaml")
    with pytest.raises(IsocostError, match="no method is called 'step_back'"):
        sweep_from_text(SWEEP + line)
    add(PAGE, METHODS)
    [session] = plan_sessions(sweep_from_text(SWEEP + line))
    assert len({planned.point.point_id for planned in session.points}) == 3
    with pytest.raises(IsocostError, match="method step_back has no parameter 'questions'"):
        sweep_from_text(SWEEP + line.replace("question:", "questions:"))


@pytest.mark.slow
def test_its_samples_are_in_the_published_tables(add, blocks, tmp_path, monkeypatch):
    add(PAGE, METHODS)
    monkeypatch.setattr(ENGINES, "_items", ENGINES.all() | {"openai": ScriptedEngine})
    monkeypatch.setattr(
        ScriptedEngine, "reply", lambda r: "add them" if len(r.messages) == 1 else "It is 3"
    )
    [session] = plan_sessions(sweep_from_text(SWEEP + blocks(PAGE, "yaml")[0]))
    store = Store(tmp_path / "data")
    with Reporter() as reporter:
        generate(session, str(store.lake), reporter=reporter, stop=Stop())
    refresh.curate_session(store, session.session_id)
    for step in ("strategies", "costs"):
        refresh.derive(store, step)
    refresh.publish_warehouse(store)
    with duckdb.connect(str(store.root / "warehouse.duckdb"), read_only=True) as warehouse:
        points = "SELECT method, count(*) FROM core_points GROUP BY ALL ORDER BY ALL"
        assert warehouse.execute(points).fetchall() == [("sample", 1), ("step_back", 2)]
        accuracy = (
            "SELECT DISTINCT accuracy, n_samples FROM out_strategy_outcomes JOIN core_points USING "
            "(point_id) WHERE method = 'step_back' AND strategy = 'pass_at_k' AND budget = 1"
        )
        assert warehouse.execute(accuracy).fetchall() == [(0.5, 4)]
        calls = (
            "SELECT DISTINCT role, calls_per_problem, n_role_calls FROM out_method_calls "
            "WHERE method = 'step_back' ORDER BY ALL"
        )
        assert len(warehouse.execute(calls).fetchall()) == 2


@pytest.mark.slow
def test_its_calls_and_answers_are_banked(add, blocks, tmp_path, monkeypatch):
    add(PAGE, METHODS)
    monkeypatch.setattr(ENGINES, "_items", ENGINES.all() | {"openai": ScriptedEngine})
    monkeypatch.setattr(ScriptedEngine, "asked", [])
    monkeypatch.setattr(
        ScriptedEngine, "reply", lambda r: "add them" if len(r.messages) == 1 else "It is 3"
    )
    [session] = plan_sessions(sweep_from_text(SWEEP + blocks(PAGE, "yaml")[0]))
    with Reporter() as reporter:
        outcome = generate(session, str(tmp_path / "lake"), reporter=reporter, stop=Stop())
    assert (outcome.generated, outcome.missing, outcome.errors) == (12, 0, 0)
    assert verify_bank(tmp_path / "lake").faults == ()
    raw_generations = read_raw(tmp_path / "lake", "raw_generations")
    with duckdb.connect() as connection:
        connection.register("raw_generations", raw_generations)
        found = connection.execute(blocks(PAGE, "sql")[0])
        names = [column[0] for column in found.description]
        rows = [[str(value).lower() for value in row] for row in found.fetchall()]
    expected = [line.split(" | ") for line in blocks(PAGE, "text")[0].splitlines()]
    assert [names, *rows] == expected
    answers = read_raw(tmp_path / "lake", "raw_answers")
    assert answers.height == 8 and answers["is_final"].all()
    assert answers["answer_text"].unique().to_list() == ["It is 3"]
    assert answers["used_calls"].to_list() == [[0, 1]] * 8
    last = next(request for request in ScriptedEngine.asked if len(request.messages) == 3)
    assert [message["content"] for message in last.messages][1:] in (
        ["add them", "Solve: 1 + 2"],
        ["add them", "Solve: 2 + 2"],
    )
