"""Two outcomes that somebody names: the function, the command and the SQL macro say the same."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy import stats

from isocost import sql
from isocost.cli import main
from isocost.errors import IsocostError
from isocost.publish.comparison import comparison_lines
from isocost.store import Store
from isocost.tables.compare import compare_outcomes

pytestmark = pytest.mark.slow


def frames(problems: int = 40) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Two majorities of one task, one single sample, and an outcome of another task."""
    rng = np.random.default_rng(5)
    easy = rng.random(problems)
    right = {"oc-aa11": easy, "oc-aa22": np.clip(easy + rng.normal(0.15, 0.1, problems), 0, 1), "oc-bb": (easy > 0.5) * 1.0}
    right |= {"oc-cc": (easy > 0.7) * 1.0, "oc-dd": easy}
    outcomes, rows = [], []
    for place, (name, accuracy) in enumerate(right.items()):
        told = {"outcome_id": name, "task": "other" if name == "oc-dd" else "sums", "model_variant": "m", "prompt": "p", "point_id": name}
        outcomes.append(
            {**told, "strategy": "majority_at_k", "budget": float(place + 1), "parameters": "{}", "output_tokens_per_problem": 1.0}
        )
        rows += [
            {"outcome_id": name, "problem_id": f"q{i:02d}", "accuracy": float(accuracy[i]), "output_tokens_per_problem": 10.0 * (place + 1)}
            for i in range(problems)
        ]
    return pl.DataFrame(outcomes), pl.DataFrame(rows)


def values(problems: pl.DataFrame, name: str) -> np.ndarray:
    return problems.filter(pl.col("outcome_id") == name).sort("problem_id")["accuracy"].to_numpy()


def test_paired_over_problems_in_both_directions():
    outcomes, problems = frames()
    found, back = compare_outcomes(outcomes, problems, "oc-aa22", "oc-aa1"), compare_outcomes(outcomes, problems, "oc-aa11", "oc-aa22")
    oracle = stats.ttest_rel(values(problems, "oc-aa22"), values(problems, "oc-aa11"))
    assert found.accuracy.p_value == pytest.approx(oracle.pvalue)
    assert (found.accuracy.low, found.accuracy.high) == pytest.approx(tuple(oracle.confidence_interval(0.95)))
    assert found.verdict == "first_better" and back.verdict == "second_better"
    assert (back.accuracy.difference, back.accuracy.low) == pytest.approx((-found.accuracy.difference, -found.accuracy.high))
    cost = found.costs[0]
    assert (cost.quantity, cost.first, cost.second, cost.unit) == ("output_tokens_per_problem", 20.0, 10.0, "tokens")


def test_single_samples_get_mcnemar_and_clusters_do_not():
    outcomes, problems = frames()
    found = compare_outcomes(outcomes, problems, "oc-bb", "oc-cc")
    only = int((values(problems, "oc-bb") > values(problems, "oc-cc")).sum())
    assert found.accuracy.method == "mcnemar_exact" and found.accuracy.p_value == pytest.approx(2 * 0.5**only)
    clusters = pl.DataFrame({"problem_id": [f"q{i:02d}" for i in range(40)], "cluster_id": [f"c{i // 4}" for i in range(40)]})
    grouped = compare_outcomes(outcomes, problems, "oc-bb", "oc-cc", clusters=clusters)
    assert (grouped.accuracy.method, grouped.n_units) == ("paired_t_clustered", 10)


def test_undefined_problems_are_left_out_and_said():
    outcomes, problems = frames()
    gone = (pl.col("outcome_id") == "oc-aa11") & pl.col("problem_id").is_in(["q00", "q01"])
    holed = problems.with_columns(pl.when(~gone).then(pl.col("accuracy")).alias("accuracy"))
    found = compare_outcomes(outcomes, holed, "oc-aa11", "oc-aa22")
    assert (found.n_problems, found.n_left_out) == (38, 2)
    assert "2 more are not defined" in comparison_lines(found)[0]


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ("oc-aa", "oc-bb", "begins 2 outcomes"),
        ("oc-zz", "oc-bb", "no outcome"),
        ("oc-aa11", "oc-dd", "oc-dd of other"),
        ("", "oc-bb", "no out"),
    ],
)
def test_mistakes_are_told_in_words(first, second, message):
    with pytest.raises(IsocostError, match=message):
        compare_outcomes(*frames(), first, second)


def test_printed_lines_say_difference_interval_and_p():
    text = "\n".join(comparison_lines(compare_outcomes(*frames(), "oc-aa22", "oc-aa11")))
    assert "points (95" in text and "p < 0.0001, paired t test" in text and "2.00 times" in text and "The first is more accurate." in text
    none = "\n".join(comparison_lines(compare_outcomes(*frames(), "oc-aa11", "oc-aa11")))
    assert "No difference in accuracy is shown." in none


def test_the_command_prints_or_says_what_is_wrong(lab, tmp_path, capsys):
    store = Store(tmp_path / "data")
    for name in ("out_strategy_outcomes", "out_strategy_problems"):
        store.write(lab[name], name)
    one, other = lab["out_strategy_outcomes"].filter(pl.col("task") == "adding")["outcome_id"].sort().to_list()[:2]
    assert main(["--data", str(store.root), "compare", one, other]) == 0
    out = capsys.readouterr().out
    assert f"first   {one}" in out and "accuracy" in out and "points (95" in out
    assert main(["--data", str(store.root), "compare", one, "oc-nobody"]) == 2
    assert "there is no outcome 'oc-nobody'" in capsys.readouterr().err
    assert main(["--data", str(tmp_path / "empty"), "compare", one, other]) == 2


def test_the_sql_macro_agrees_up_to_the_normal_approximation():
    import duckdb

    outcomes, problems = frames()
    found = compare_outcomes(outcomes, problems, "oc-aa22", "oc-aa11")
    connection = duckdb.connect()
    connection.register("out_strategy_problems", problems)
    for path in reversed(sql.sql_files("macros")):
        connection.execute(path.read_text(encoding="utf-8"))
    row = connection.sql("SELECT * FROM compare_outcomes('oc-aa22', 'oc-aa11')").pl().row(0, named=True)
    assert (row["n_problems"], row["difference"]) == (40, pytest.approx(found.accuracy.difference))
    assert row["difference_low"] == pytest.approx(found.accuracy.low, abs=0.003)
    half = compare_outcomes(outcomes, problems, "oc-bb", "oc-aa11")
    near = connection.sql("SELECT p_value FROM compare_outcomes('oc-bb', 'oc-aa11')").fetchall()[0][0]
    assert near == pytest.approx(half.accuracy.p_value, abs=0.03)
