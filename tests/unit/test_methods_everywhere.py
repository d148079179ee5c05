"""A bank of several methods through everything that is published."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import duckdb
import pytest

sys.path.insert(0, str(Path(__file__).parent / "payload"))
from scripted import ScriptedEngine

from isocost.build import refresh
from isocost.capabilities import ENGINES
from isocost.intake.plan import plan_sweep
from isocost.payload.loop import Stop
from isocost.payload.progress import Reporter
from isocost.payload.session import generate
from isocost.store import Store
from isocost.sweep import read_session

pytestmark = pytest.mark.slow

SWEEP = """
sweep: several
models: {name: scripted, path: scripted, card: smollm2-135m-instruct}
engine: {engine: openai, max_num_seqs: 8, options: {base_url: "http://localhost:1/v1"}}
tasks:
  - name: sums
    source: inline
    dataset: sums
    n_problems: 6
    verifier: numeric
    config: {problems: [PROBLEMS]}
prompts: {name: direct, template: "Solve: {question}"}
grid:
  temperature: 0.5
  max_tokens: 20
  method:
    - sample
    - {name: sequential_revision, rounds: 2}
    - {name: sequential_revision, rounds: 3}
    - {name: forced_answers, budgets: [2, 4]}
    - generate_then_verify
    - {name: adaptive_consistency}
    - sleep_time
samples_per_problem: 3
bank: {warmup_requests: 0, telemetry: none, part_rows: 50}
"""


def reply(request):
    """Right in half of the first answers and in every later one."""
    found = re.search(r"(\d) \+ 1", request.messages[0]["content"])
    if found is None:
        return "all of these sums add one"
    n = int(found[1])
    is_right = (n + request.sample_index) % 2 or len(request.messages) > 1
    if "yes" in request.messages[-1]["content"].lower():
        return "Yes" if is_right else "No"
    return f"well the sum of these is {n + 1 if is_right else n + 5}"


def test_every_method_reaches_every_published_table(tmp_path, monkeypatch):
    monkeypatch.setattr(ENGINES, "_items", ENGINES.all() | {"openai": ScriptedEngine})
    monkeypatch.setattr(ScriptedEngine, "asked", [])
    monkeypatch.setattr(ScriptedEngine, "reply", staticmethod(reply))
    problems = ", ".join(
        f'{{question: "{n} + 1", reference: "{n + 1}", context: "Sums {n % 2}."}}' for n in range(6)
    )
    (tmp_path / "several.yaml").write_text(SWEEP.replace("PROBLEMS", problems))
    store = Store(tmp_path / "data")
    [session_id] = plan_sweep(store, tmp_path / "several.yaml")
    session = read_session(store.session_file(session_id))
    with Reporter() as reporter:
        assert generate(session, str(store.lake), reporter=reporter, stop=Stop()).missing == 0
    done = list(refresh.everything(store))
    assert done[-1].name == "report" or {"warehouse", "exports"} <= {d.name for d in done}
    with duckdb.connect(str(store.root / "warehouse.duckdb"), read_only=True) as warehouse:

        def rows(query):
            return warehouse.execute(query).fetchall()

        assert rows("SELECT rule, detail FROM core_checks WHERE NOT is_passed") == []
        points = rows("SELECT method, samples_missing, samples_valid FROM core_points ORDER BY ALL")
        assert len(points) == 7 and {row[1] for row in points} == {0}
        assert {row[2] for row in points} == {18}
        at = rows(
            "SELECT method, budget, budget_unit, accuracy FROM out_strategy_outcomes JOIN "
            "core_points USING (point_id) WHERE strategy = 'answer_at_budget' ORDER BY ALL"
        )
        assert [(row[0], row[1]) for row in at] == [
            ("forced_answers", 2.0),
            ("forced_answers", 4.0),
            ("forced_answers", 20.0),
            ("sequential_revision", 1.0),
            ("sequential_revision", 1.0),
            ("sequential_revision", 2.0),
            ("sequential_revision", 2.0),
            ("sequential_revision", 3.0),
        ]
        accuracy = {row[1]: row[3] for row in at if row[0] == "sequential_revision"}
        assert accuracy == pytest.approx({1.0: 0.5, 2.0: 1.0, 3.0: 1.0})
        assert all(row[3] is not None for row in at)
        on = rows(
            "SELECT count(*) FROM out_frontier_points JOIN out_strategy_outcomes USING (outcome_id)"
            " WHERE out_strategy_outcomes.strategy = 'answer_at_budget'"
        )
        assert on[0][0] > 0
        verified = rows(
            "SELECT count(*) FROM out_strategy_outcomes JOIN core_points USING (point_id) WHERE "
            "strategy_family = 'generate_then_verify' AND method = 'generate_then_verify'"
        )
        assert verified[0][0] > 0
        crossovers = rows(
            "SELECT methods.method, votes.method, count(*) FROM out_method_crossovers AS found JOIN"
            " core_points AS methods USING (point_id) JOIN core_points AS votes ON"
            " votes.point_id = found.majority_point_id WHERE cost_axis IN"
            " ('output_tokens_per_problem', 'flops_per_problem') GROUP BY ALL ORDER BY ALL"
        )
        verifies = "generate_then_verify"
        assert crossovers == [(verifies, verifies, 2), (verifies, "sample", 2)]
        shared = rows(
            "SELECT role, n_role_calls, round(calls_per_problem, 6) FROM out_method_calls "
            "WHERE method = 'sleep_time' ORDER BY ALL"
        )
        assert shared == [("sleep", 6, round(2 / 6, 6)), ("solve", 18, 1.0)]
        names = rows("SELECT DISTINCT configuration FROM out_frontier_points")
        assert {"rounds 2", "rounds 3"} <= {
            part for (name,) in names if name for part in name.split(" · ")
        }
