"""docs/extending/cost-axis.md, followed literally: one file makes an axis of every table."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

pytestmark = pytest.mark.slow  # processes of their own, over a copy of the package

COLUMN = "water_l_per_problem"
MAPPING = """
columns:
  problem: problem
  sample_index: k
  answer: answer
  correct: correct
  prompt_tokens: prompt
  output_tokens: output
  latency: {column: seconds, unit: s}
  energy: {column: joules, unit: J}
latency_meaning: client, end to end
energy_method: nvml_counter
"""


def samples() -> list[dict]:
    """Four problems of four samples; the joules of sample k of problem p are 1000 (p + 1) + k."""
    return [
        {
            "problem": f"p{p}",
            "k": k,
            "answer": str((p * k) % 3),
            "correct": (p + k) % 2 == 0,
            "prompt": 20,
            "output": 10 + 3 * p + k,
            "seconds": 1.0 + k,
            "joules": 1000.0 * (p + 1) + k,
        }
        for p in range(4)
        for k in range(4)
    ]


@pytest.fixture(scope="module")
def place(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package with the page's file in it, and a data root made with that copy."""
    folder = tmp_path_factory.mktemp("water")
    for name in ("isocost", "sql"):
        shutil.copytree(repo / name, folder / name)
    page = (repo / "docs" / "extending" / "cost-axis.md").read_text(encoding="utf-8")
    found = re.search(r"Save it as `([^`]+)`:\n\n```python\n(.*?)```", page, re.DOTALL)
    assert found is not None
    path = folder / found[1]
    assert not path.exists()
    path.write_text(found[2], encoding="utf-8")
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, samples())), encoding="utf-8")
    (folder / "mapping.yaml").write_text(MAPPING, encoding="utf-8")
    listed = ("--model", "m", "--task", "sums", "--task-version", "1", "--prompt", "direct")
    run(
        folder, "isocost", "--data", "data", "import", "generic", "rows.jsonl", "--mapping",
        "mapping.yaml", *listed, "--unknown", "sampling", "--condition", "hardware=H100",
    )  # fmt: skip
    run(folder, "isocost", "--data", "data", "refresh")
    return folder


def run(folder: Path, module: str, *words: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(
        [sys.executable, "-m", module, *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def rows(place: Path, layer: str, name: str) -> pl.DataFrame:
    return pl.read_parquet(place / "data" / layer / name / "*.parquet", hive_partitioning=False)


def test_every_sample_has_its_litres(place: Path) -> None:
    found = rows(place, "core", "core_samples")
    assert found.height == 16
    assert (
        found.select((pl.col("energy_j") / 3.6e6 * 1.8 - pl.col("water_l")).abs().max()).item()
        < 1e-15
    )


def test_a_strategy_spends_water_as_it_spends_energy(place: Path) -> None:
    found = rows(place, "out", "out_strategy_outcomes")
    mean = sum(row["joules"] for row in samples()) / 16 / 3.6e6 * 1.8
    for strategy in ("pass_at_k", "majority_at_k"):
        for k in (1.0, 2.0, 4.0):
            one = found.filter(strategy=strategy, budget=k).row(0, named=True)
            assert one[COLUMN] == pytest.approx(k * mean, rel=1e-12)
    known = found.filter(pl.col("energy_j_per_problem").is_not_null())
    assert known[COLUMN].null_count() == 0 and known.height
    cut = found.filter(strategy="truncated_at_tokens").sort("budget").row(0, named=True)
    assert cut[COLUMN] is None
    assert "water_l: energy_not_shared_by_tokens" in cut["costs_unknown_reasons"]
    problems = rows(place, "out", "out_strategy_problems")
    assert problems[COLUMN].null_count() == problems["energy_j_per_problem"].null_count()


def test_there_is_a_frontier_over_it(place: Path) -> None:
    points = rows(place, "out", "out_frontier_points")
    water, energy = (
        points.filter(cost_axis=axis, task="sums").sort("outcome_id", "frontier_kind")
        for axis in (COLUMN, "energy_j_per_problem")
    )
    assert water.height == energy.height > 0
    assert set(water["cost_unit"]) == {"L"}
    assert water["is_on_frontier"].to_list() == energy["is_on_frontier"].to_list()
    assert water["is_on_frontier"].any()
    passed = rows(place, "out", "out_cost_of_pass").filter(cost_axis="water_l")
    assert passed.height and passed["energy_method"].drop_nulls().unique().to_list() == [
        "nvml_counter"
    ]


def test_the_report_and_the_dictionary_name_it(place: Path) -> None:
    page = (place / "data" / "report" / "index.html").read_text(encoding="utf-8")
    assert "Cooling water per problem (L)" in page and COLUMN in page
    run(place, "isocost.schema.dictionary", "dictionary.md")
    listed = (place / "dictionary.md").read_text(encoding="utf-8")
    assert (
        "| `water_l` | DOUBLE | L | yes | Cooling water of the sample, from energy_j. |" in listed
    )
    assert listed.count(f"| `{COLUMN}` | DOUBLE | L |") == 2


def test_the_checks_look_at_it(place: Path) -> None:
    checks = rows(place, "core", "core_checks")
    assert checks.filter(pl.col("rule") == "costs_are_not_negative").height
    script = (
        "from isocost import sql; from pathlib import Path\n"
        "for path in sql.sql_files('checks'):\n"
        "    if 'costs' in path.stem:\n"
        "        assert 'water_l' in sql.text_of(path), path\n"
    )
    (place / "look.py").write_text(script, encoding="utf-8")
    run(place, "look")
