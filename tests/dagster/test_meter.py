"""A client of its own goes through the whole job, from a sweep file to the report."""

from __future__ import annotations

from pathlib import Path

import duckdb
import polars as pl
from test_engines import SWEEP, Lab, lab, unheld, why  # noqa: F401 - a fixture

from benchmarks.scripted_server import MODEL, serving
from isocost.build import refresh

CLIENT = """
import json, sys, urllib.request
asked = json.load(sys.stdin)
def ask(messages):
    body = json.dumps({"model": asked["model"], "messages": messages}).encode()
    made = urllib.request.Request(
        asked["base_url"] + "/chat/completions", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(made) as answer:
        return json.load(answer)["choices"][0]["message"]["content"]
first = ask(asked["problem"]["messages"])
again = [{"role": "assistant", "content": first}, {"role": "user", "content": "Again."}]
print(ask([*asked["problem"]["messages"], *again]))
"""


def test_a_client_is_measured_from_its_sweep_file_to_the_report(
    lab: Lab,  # noqa: F811 - the fixture
    tmp_path: Path,
) -> None:
    (tmp_path / "client.py").write_text(CLIENT)
    text = SWEEP.format(
        sweep="metered", engine="openai", options='base_url: "{url}"', samples=2
    ).replace("adder", MODEL)
    method = f'[sample, {{name: external, command: "python {tmp_path / "client.py"}"}}]'
    text = text.replace("max_tokens: 16", f"max_tokens: 16, method: {method}")
    with serving() as server:
        (tmp_path / "metered.yaml").write_text(text.replace("{url}", server.url))
        (session_id,) = refresh.plan_sweep(lab.store, tmp_path / "metered.yaml")
        lab.instance.add_dynamic_partitions("session", [session_id])
        done = lab.run(session_id)
        assert done.success, why(done)
        assert unheld(done) == []
        assert server.asked == 2 * 4 * 2 * (1 + 2) + 1  # sample, client's two, one to warm up
    samples = lab.store.read("core_samples")
    points = lab.store.read("core_points")
    external = points.filter(pl.col("method") == "external")
    assert external.height == 2
    made = samples.join(external.select("point_id"), on="point_id")
    assert made.height == 2 * 4 * 2 and set(made["n_calls"]) == {2}
    assert made["is_valid"].all() and made["correct"].sum() > 0
    # The cost of a sample is the sum of its calls, as the server counted them.
    assert set(made["output_tokens"]) == {12} and made["latency_s"].null_count() == 0
    with duckdb.connect(str(lab.store.warehouse), read_only=True) as warehouse:
        roles = warehouse.execute(
            "SELECT DISTINCT role, calls_per_problem FROM out_method_calls"
            " WHERE method = 'external' ORDER BY role"
        ).fetchall()
        assert [role for role, _ in roles] == ["follow_up", "solve"]
        methods = warehouse.execute(
            "SELECT DISTINCT p.method FROM out_strategy_outcomes o JOIN core_points p USING"
            " (point_id) WHERE o.strategy LIKE 'majority%'"
        ).fetchall()
        assert ("external",) in methods
    assert "external" in lab.store.report.read_text(encoding="utf-8")
