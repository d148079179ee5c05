"""Frontiers and bands against numbers that other people published."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
import yaml

from isocost.cli import main
from isocost.frontier import pareto_mask, rate_faults, simultaneous_band
from isocost.store import Store
from isocost.strategies.estimators.coverage import pass_at_k
from isocost.tables.coverage.bands import build_coverage_bands
from isocost.tables.frontiers.frontiers import build_frontiers

AIDER_FRONTIER = [
    ("gpt-4o-mini-2024-07-18", 0.3236, 3.6),
    ("DeepSeek Chat V3 (prev)", 0.3369, 48.4),
    ("Grok 3 Mini Beta (high)", 0.7346, 49.3),
    ("DeepSeek-V3.2-Exp (Chat)", 0.8756, 70.2),
    ("DeepSeek-V3.2-Exp (Reasoner)", 1.3045, 74.2),
    ("gpt-5 (low)", 10.3713, 81.3),
    ("gpt-5 (medium)", 17.693, 86.7),
    ("gpt-5 (high)", 29.0829, 88.0),
]


@pytest.fixture(scope="module")
def aider(shared_data) -> list[dict]:
    return yaml.safe_load((shared_data / "aider" / "polyglot_leaderboard.yml").read_text())


def test_aider_frontier_is_the_published_one(aider):
    known = [row for row in aider if row.get("total_cost", 0) > 0]
    assert (len(aider), len(known)) == (69, 51)
    mask = pareto_mask([row["total_cost"] for row in known], [row["pass_rate_2"] for row in known])
    kept = sorted(
        (row for row, on in zip(known, mask, strict=True) if on), key=lambda row: row["total_cost"]
    )
    assert [(row["model"], row["total_cost"], row["pass_rate_2"]) for row in kept] == AIDER_FRONTIER


def test_aider_frontier_through_the_tables(aider):
    """Only totals are published, so the benchmark is one problem.

    A frontier, unknown costs counted, and no claim of uncertainty.
    """
    rows = [
        {
            "outcome_id": f"oc-{place:02d}",
            "task": "polyglot",
            "model_variant": row["model"],
            "prompt": row["edit_format"],
            "point_id": f"pt-{place:02d}",
            "strategy": "one_sample",
            "budget": 1.0,
            "parameters": "{}",
            "accuracy": row["pass_rate_2"] / 100,
            "cost_usd_per_problem": row["total_cost"] if row.get("total_cost", 0) > 0 else None,
        }
        for place, row in enumerate(aider)
    ]
    outcomes = pl.DataFrame(rows)
    problems = outcomes.select(
        "outcome_id", "accuracy", "cost_usd_per_problem", problem_id=pl.lit("all")
    )
    built = build_frontiers(outcomes, problems, draws=10)
    points = built["out_frontier_points"].filter("is_on_frontier").sort("cost")
    found = [
        (model, round(cost, 4), round(100 * share, 1))
        for model, cost, share in points.select("model_variant", "cost", "accuracy").rows()
    ]
    assert found == AIDER_FRONTIER
    whole = built["out_frontiers"].row(0, named=True)
    assert (
        whole["n_outcomes"],
        whole["n_included"],
        whole["n_excluded_unknown_cost"],
        whole["n_frontier"],
    ) == (69, 51, 18, 8)
    assert points["frontier_probability"].null_count() == points["accuracy_low"].null_count() == 8


def test_an_unknown_cost_taken_for_free_would_empty_the_frontier(aider):
    cost = [row.get("total_cost", 0.0) for row in aider]
    mask = pareto_mask(cost, [row["pass_rate_2"] for row in aider])
    wrong = {row["model"] for row, on in zip(aider, mask, strict=True) if on}
    assert wrong != {model for model, _, _ in AIDER_FRONTIER}
    with pytest.raises(ValueError, match="nan"):
        pareto_mask([c or np.nan for c in cost], [row["pass_rate_2"] for row in aider])


def test_aider_rows_that_do_not_add_up(aider):
    faults = rate_faults(
        [row["pass_num_2"] for row in aider],
        [row["test_cases"] for row in aider],
        np.array([row["pass_rate_2"] for row in aider]) / 100,
        decimals=3,
        other_trials=[row["total_tests"] for row in aider],
    )
    found = {row["model"]: fault for row, fault in zip(aider, faults, strict=True) if fault}
    wrong_rate = {
        "o1-2024-12-17 (high)",
        "o3-mini (high)",
        "chatgpt-4o-latest (2025-02-15)",
        "gpt-4.5-preview",
        "o3 (high) + gpt-4.1",
    }
    assert len(found) == 6
    assert {model for model, fault in found.items() if "rate_differs" in fault} == wrong_rate
    # The sixth states two numbers of cases, and its rate follows from the smaller one.
    assert found["DeepSeek R1 (0528)"] == ("trials_disagree",)


def test_published_crossing_of_base_and_reinforced_model(shared_data):
    folder = shared_data / "passk_deepscaler32k"
    expected = json.loads((folder / "expected.json").read_text())
    rows = {
        name: [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]
        for name in ("base", "rl")
    }
    assert [row["id"] for row in rows["base"]] == [row["id"] for row in rows["rl"]]
    ks = np.array(expected["ks"])
    curves = {
        name: pass_at_k([row["n"] for row in part], [row["c"] for row in part], ks).T
        for name, part in rows.items()
    }
    for name, curve in curves.items():
        assert curve.mean(axis=1) == pytest.approx(expected[f"{name}_pass_at_k"], abs=1e-9)
    band = simultaneous_band(curves["rl"], curves["base"], draws=4000, seed=0)
    assert band.mean == pytest.approx(expected["mean"], abs=1e-9)
    assert band.se == pytest.approx(expected["se"], rel=0.02)
    assert [int(k) for k in ks[band.sign == 1]] == list(range(1, 11))
    assert (
        [int(k) for k in ks[band.sign == 0]]
        == list(range(11, 61))
        == expected["inconclusive_budgets"]
    )
    assert [int(k) for k in ks[band.sign == -1]] == list(range(61, 129))


def test_published_crossing_through_the_command_line_and_the_table(shared_data, tmp_path):
    """File, bank, core, table.

    The same reading with the draws that the tables use, from `isocost import` on.
    """
    folder = shared_data / "passk_deepscaler32k"
    expected = json.loads((folder / "expected.json").read_text())
    store = Store(tmp_path / "data")
    listed = [
        "--task",
        "math",
        "--task-version",
        "1",
        "--prompt",
        "direct",
        "--sampling",
        json.dumps({"temperature": 0.6, "top_p": 0.95}),
    ]
    for name in ("base", "rl"):
        assert (
            main(
                [
                    "--data",
                    str(store.root),
                    "import",
                    "counts",
                    str(folder / f"{name}.jsonl"),
                    "--model",
                    name,
                    *listed,
                ]
            )
            == 0
        )
    built = build_coverage_bands(
        store.read("core_samples"),
        counts=store.read("core_counts"),
        clusters=store.read("core_problems"),
    )
    rows = built["out_coverage_differences"].filter(pl.col("model_variant") == "rl").sort("k")
    assert rows["k"].to_list() == expected["ks"] and rows["n_problems"].unique().to_list() == [1060]
    assert rows["pass_at_k_difference"].to_numpy() == pytest.approx(expected["mean"], abs=1e-9)
    assert rows["pass_at_k_difference_se"].to_numpy() == pytest.approx(expected["se"], rel=0.02)
    assert rows["band_multiplier"][0] == pytest.approx(expected["critical_value"], abs=0.02)
    reading = {
        name: part["k"].to_list() for (name,), part in rows.group_by("verdict", maintain_order=True)
    }
    assert reading == {
        "better": list(range(1, 11)),
        "inconclusive": expected["inconclusive_budgets"],
        "worse": list(range(61, 129)),
    }
    base = built["out_coverage_bands"].filter(pl.col("model_variant") == "base").sort("k")
    assert base["pass_at_k"].to_numpy() == pytest.approx(expected["base_pass_at_k"], abs=1e-9)
