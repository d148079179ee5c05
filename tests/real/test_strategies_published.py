"""Numbers other people published, recomputed from their raw results."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

from isocost.strategies import pass_at_k
from isocost.tables.outcomes.outcomes import Bootstrap, build_outcomes


@pytest.fixture(scope="module")
def deepscaler(shared_data):
    folder = shared_data / "passk_deepscaler32k"
    counts = {
        name: [
            json.loads(line)
            for line in (folder / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
        ]
        for name in ("base", "rl")
    }
    return counts, json.loads((folder / "expected.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("model", ["base", "rl"])
def test_deepscaler_at_all_128_budgets(deepscaler, model):
    counts, expected = deepscaler
    rows = counts[model]
    curve = pass_at_k([r["n"] for r in rows], [r["c"] for r in rows], expected["ks"]).mean(axis=0)
    assert len(rows) == expected["prompts"] == 1060
    assert np.allclose(curve, expected[f"{model}_pass_at_k"], rtol=0, atol=1e-12)


def test_deepscaler_curves_cross_between_16_and_32(deepscaler):
    counts, expected = deepscaler
    base, rl = (
        pass_at_k([r["n"] for r in counts[m]], [r["c"] for r in counts[m]], expected["ks"])
        for m in ("base", "rl")
    )
    difference = (rl - base).mean(axis=0)
    crossing = 1 + int(np.argmax(difference < 0))
    assert 16 < crossing < 32
    assert np.allclose(difference, expected["mean"], atol=1e-12)
    assert np.allclose((rl - base).std(axis=0, ddof=1) / np.sqrt(1060), expected["se"], rtol=2e-3)


def test_deepscaler_through_the_outcome_tables(deepscaler):
    """The source holds counts only.

    Coverage is replayed, votes are undefined with their reason, nothing is guessed.
    """
    counts, expected = deepscaler
    samples = pl.concat(
        pl.DataFrame(
            {
                "task": "math",
                "model_variant": model,
                "prompt": "default",
                "point_id": f"pt-{model}",
                "problem_id": [row["id"]] * row["n"],
                "sample_index": range(row["n"]),
                "correct": [True] * row["c"] + [False] * (row["n"] - row["c"]),
                "answer_class": pl.Series([None] * row["n"], dtype=pl.Int32),
            }
        )
        for model, rows in counts.items()
        for row in rows
    )
    outcomes, problems = build_outcomes(
        samples,
        strategies=["pass_at_k", "majority_at_k"],
        budgets=[1, 8, 128],
        bootstrap=Bootstrap(draws=200),
    )
    coverage = outcomes.filter(pl.col("strategy") == "pass_at_k").sort("model_variant", "budget")
    wanted = [expected[f"{m}_pass_at_k"][k - 1] for m in ("base", "rl") for k in (1, 8, 128)]
    assert np.allclose(coverage["accuracy"], wanted, atol=1e-12)
    votes = outcomes.filter(pl.col("strategy") == "majority_at_k")
    # Also where nothing is correct: a mean over the problems that are always wrong would be a
    # majority of 0.
    assert votes["accuracy"].is_null().all()
    assert votes["undefined_reasons"].to_list() == [["answers_not_banked:1060"]] * 6
    assert problems.height == outcomes.height * 1060


@pytest.mark.parametrize(
    ("side", "one", "five"), [("input", 35.95, 44.9911), ("output", 34.2125, 40.2867)]
)
def test_cruxeval(shared_data, side, one, five):
    path = shared_data / "cruxeval" / f"sample_scored_codellama-7b_temp0.2_{side}.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    graded = [data["raw_scored_generations"][key] for key in sorted(data["raw_scored_generations"])]
    found = 100 * pass_at_k([len(g) for g in graded], [sum(g) for g in graded], [1, 5]).mean(axis=0)
    assert len(graded) == 800
    assert found[0] == pytest.approx(data["pass_at_1"], abs=1e-9)
    assert found[1] == pytest.approx(data["pass_at_5"], abs=1e-9)
    assert [round(float(v), 4) for v in found] == [one, five]
