"""Two outcomes that somebody names: the function, the command and the SQL macro say the same."""

from __future__ import annotations

from functools import cache

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from isocost import sql
from isocost.cli import main
from isocost.errors import IsocostError
from isocost.frontier import mcnemar
from isocost.publish.comparison import comparison_lines
from isocost.schema.frames import empty
from isocost.store import Store
from isocost.tables.frontiers.compare import compare_outcomes

pytestmark = pytest.mark.slow


def frames(problems: int = 40) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Two majorities of one task, one single sample, and an outcome of another task."""
    rng = np.random.default_rng(5)
    easy = rng.random(problems)
    right = {
        "oc-aa11": easy,
        "oc-aa22": np.clip(easy + rng.normal(0.15, 0.1, problems), 0, 1),
        "oc-bb": (easy > 0.5) * 1.0,
    }
    right |= {"oc-cc": (easy > 0.7) * 1.0, "oc-dd": easy}
    outcomes, rows = [], []
    for place, (name, accuracy) in enumerate(right.items()):
        stated = {
            "outcome_id": name,
            "task": "other" if name == "oc-dd" else "sums",
            "model_variant": "m",
            "prompt": "p",
            "point_id": name,
        }
        outcomes.append(
            {
                **stated,
                "strategy": "majority_at_k",
                "budget": float(place + 1),
                "parameters": "{}",
                "accuracy": float(accuracy.mean()),
                "output_tokens_per_problem": 1.0,
            }
        )
        rows += [
            {
                "outcome_id": name,
                "problem_id": f"q{i:02d}",
                "accuracy": float(accuracy[i]),
                "output_tokens_per_problem": 10.0 * (place + 1),
            }
            for i in range(problems)
        ]
    return pl.DataFrame(outcomes), pl.DataFrame(rows)


def values(problems: pl.DataFrame, name: str) -> np.ndarray:
    return problems.filter(pl.col("outcome_id") == name).sort("problem_id")["accuracy"].to_numpy()


def test_paired_over_problems_in_both_directions():
    outcomes, problems = frames()
    found, back = (
        compare_outcomes(outcomes, problems, "oc-aa22", "oc-aa1"),
        compare_outcomes(outcomes, problems, "oc-aa11", "oc-aa22"),
    )
    oracle = stats.ttest_rel(values(problems, "oc-aa22"), values(problems, "oc-aa11"))
    assert found.accuracy.p_value == pytest.approx(oracle.pvalue)
    assert (found.accuracy.low, found.accuracy.high) == pytest.approx(
        tuple(oracle.confidence_interval(0.95))
    )
    assert found.verdict == "first_better" and back.verdict == "second_better"
    assert (back.accuracy.difference, back.accuracy.low) == pytest.approx(
        (-found.accuracy.difference, -found.accuracy.high)
    )
    cost = found.costs[0]
    assert (cost.quantity, cost.first, cost.second, cost.unit) == (
        "output_tokens_per_problem",
        20.0,
        10.0,
        "tokens",
    )


def test_single_samples_get_mcnemar_and_clusters_do_not():
    outcomes, problems = frames()
    found = compare_outcomes(outcomes, problems, "oc-bb", "oc-cc")
    only = int((values(problems, "oc-bb") > values(problems, "oc-cc")).sum())
    assert found.accuracy.method == "mcnemar_exact" and found.accuracy.p_value == pytest.approx(
        2 * 0.5**only
    )
    clusters = pl.DataFrame(
        {
            "problem_id": [f"q{i:02d}" for i in range(40)],
            "cluster_id": [f"c{i // 4}" for i in range(40)],
        }
    )
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
def test_mistakes_are_reported_in_words(first, second, message):
    with pytest.raises(IsocostError, match=message):
        compare_outcomes(*frames(), first, second)


def test_printed_lines_say_difference_interval_and_p():
    text = "\n".join(comparison_lines(compare_outcomes(*frames(), "oc-aa22", "oc-aa11")))
    assert (
        "points (95" in text
        and "p < 0.0001, paired t test" in text
        and "2.00 times" in text
        and "The first is more accurate." in text
    )
    none = "\n".join(comparison_lines(compare_outcomes(*frames(), "oc-aa11", "oc-aa11")))
    assert "The data show no difference in accuracy." in none


def test_the_command_prints_or_says_what_is_wrong(lab, tmp_path, capsys):
    store = Store(tmp_path / "data")
    for name in ("out_strategy_outcomes", "out_strategy_problems"):
        store.write(lab[name], name)
    one, other = (
        lab["out_strategy_outcomes"]
        .filter(pl.col("task") == "adding")["outcome_id"]
        .sort()
        .to_list()[:2]
    )
    assert main(["--data", str(store.root), "compare", one, other]) == 0
    out = capsys.readouterr().out
    assert f"first   {one}" in out and "accuracy" in out and "points (95" in out
    assert main(["--data", str(store.root), "compare", one, "oc-nobody"]) == 2
    assert "there is no outcome 'oc-nobody'" in capsys.readouterr().err
    assert main(["--data", str(tmp_path / "empty"), "compare", one, other]) == 2


def database(
    outcomes: pl.DataFrame,
    problems: pl.DataFrame,
    clusters: pl.DataFrame | None,
    comparisons: pl.DataFrame,
):
    connection = _macros()
    kinds = (
        outcomes
        if "strategy_kind" in outcomes.columns
        else outcomes.with_columns(strategy_kind=pl.lit("policy"))
    )
    connection.register("out_strategy_outcomes", kinds)
    connection.register("out_strategy_problems", problems)
    known = (
        problems.select("problem_id").unique().with_columns(cluster_id=pl.lit(None, pl.String))
        if clusters is None
        else clusters
    )
    connection.register("core_problems", known)
    connection.register("out_comparisons", comparisons)
    return connection


@cache
def _macros():
    import duckdb

    connection = duckdb.connect(config={"threads": 1})
    for name in (
        "out_strategy_outcomes",
        "out_strategy_problems",
        "core_problems",
        "out_comparisons",
    ):
        connection.register(name, empty(name))
    for path in sql.macro_files():
        connection.execute(path.read_text(encoding="utf-8"))
    return connection


NUMBERS = {
    "n_problems": lambda f: f.n_problems,
    "n_units": lambda f: f.n_units,
    "first_accuracy": lambda f: f.accuracy.first,
    "second_accuracy": lambda f: f.accuracy.second,
    "difference": lambda f: f.accuracy.difference,
    "difference_low": lambda f: f.accuracy.low,
    "difference_high": lambda f: f.accuracy.high,
    "p_value": lambda f: f.accuracy.p_value,
    "n_comparisons": lambda f: f.others.n_comparisons,
    "p_value_holm": lambda f: f.others.p_value_holm,
    "p_value_max_t": lambda f: f.others.p_value_max_t,
    "n_task_pairs": lambda f: f.others.n_task_pairs,
    "p_value_bonferroni": lambda f: f.others.p_value_bonferroni,
}


@st.composite
def banks(draw):
    """Two outcomes of one task over a few problems.

    Shares or plain verdicts, some undefined, clustered or not.
    """
    size = draw(st.integers(2, 60))
    value = draw(
        st.sampled_from(
            [
                st.sampled_from([0.0, 1.0]),
                st.sampled_from([0.25, 0.5, 0.75]),
                st.floats(0, 1, width=32),
                st.just(0.5),
            ]
        )
    )
    hole = st.sampled_from([False] * 9 + [True])
    sides = [draw(st.lists(value, min_size=size, max_size=size)) for _ in range(2)]
    holes = [draw(st.lists(hole, min_size=size, max_size=size)) for _ in range(2)]
    labels = draw(
        st.none() | st.lists(st.sampled_from(["a", "b", "c", None]), min_size=size, max_size=size)
    )
    return sides, holes, labels


@given(banks(), st.sampled_from(["policy", "oracle", "metric"]))
@settings(max_examples=30, deadline=None)
def test_sql_gives_the_numbers_of_the_command(drawn, kind):
    sides, holes, labels = drawn
    stated = {
        "task": "sums",
        "model_variant": "m",
        "prompt": "p",
        "strategy": "majority_at_k",
        "parameters": "{}",
        "accuracy": 0.5,
    }
    names = ["oc-a", "oc-b", "oc-c"]
    kinds = [kind, "policy", "policy"]
    outcomes = pl.DataFrame(
        [
            stated | {"outcome_id": n, "point_id": n, "budget": 2.0, "strategy_kind": k}
            for n, k in zip(names, kinds, strict=True)
        ]
    )
    problems = pl.DataFrame(
        [
            {
                "outcome_id": name,
                "problem_id": f"q{i:02d}",
                "accuracy": None if gone else float(value),
            }
            for name, values_, gaps in zip(names, sides, holes, strict=False)
            for i, (value, gone) in enumerate(zip(values_, gaps, strict=True))
        ],
        schema={"outcome_id": pl.String, "problem_id": pl.String, "accuracy": pl.Float64},
    )
    clusters = None
    if labels is not None:
        clusters = pl.DataFrame(
            {"problem_id": [f"q{i:02d}" for i in range(len(labels))], "cluster_id": labels},
            schema_overrides={"cluster_id": pl.String},
        )
    pair = {
        "task": "sums",
        "first_outcome_id": "oc-a",
        "second_outcome_id": "oc-b",
        "p_value_holm": 0.25,
        "p_value_max_t": 0.2,
    }
    families = [
        pair | {"comparison_family": f, "n_comparisons": n}
        for f, n in (("frontier", 3), ("single_sample", 6))
    ]
    comparisons = pl.DataFrame(families)
    connection = database(outcomes, problems, clusters, comparisons)
    try:
        found = compare_outcomes(
            outcomes, problems, "oc-b", "oc-a", clusters=clusters, comparisons=comparisons
        )
    except IsocostError:
        with pytest.raises(Exception, match="fewer than two problems"):
            connection.execute("FROM compare_outcomes('oc-b', 'oc-a')").fetchall()
        return
    row = connection.sql("FROM compare_outcomes('oc-b', 'oc-a')").pl().row(0, named=True)
    assert (row["second_kind"], row["test_method"], row["comparison_family"]) == (
        kind,
        found.accuracy.method,
        found.others.family,
    )
    for name, read in NUMBERS.items():
        wanted = read(found)
        assert row[name] == (None if wanted is None else pytest.approx(wanted, abs=1e-9)), name


def test_sql_names_what_cannot_be_compared():
    outcomes, problems = frames()
    connection = database(
        outcomes, problems, None, pl.DataFrame(schema=empty("out_comparisons").schema)
    )
    for second, message in (
        ("oc-zz", "there is no outcome oc-zz"),
        ("oc-dd", "outcomes of different tasks are not paired: sums, other"),
    ):
        with pytest.raises(Exception, match=message):
            connection.execute(f"FROM compare_outcomes('oc-aa11', '{second}')").fetchall()


def test_students_distribution_in_sql_is_that_of_scipy():
    connection = database(*frames(), None, pl.DataFrame(schema=empty("out_comparisons").schema))
    for df in (1, 2, 3, 7, 29, 59, 60, 61, 500, 100_000):
        for t in (0.0, 0.01, 0.7, 1.9, 2.5, 8.0, 40.0):
            got = connection.execute(f"SELECT student_p_value({t}::DOUBLE, {df})").fetchone()[0]
            assert got == pytest.approx(2 * stats.t.sf(t, df), abs=1e-12, rel=1e-8)
        quantile = connection.execute(f"SELECT student_quantile(0.05, {df})").fetchone()[0]
        assert quantile == pytest.approx(stats.t.ppf(0.975, df), rel=1e-11)
    for only in ((0, 0), (1, 9), (30, 31), (4000, 4300)):
        got = connection.execute(f"SELECT mcnemar_p_value({only[0]}, {only[1]})").fetchone()[0]
        assert got == pytest.approx(mcnemar(*only).exact, rel=1e-10)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("oracle", "needs a perfect verifier"),
        ("metric", "describes samples and is not a way to answer"),
        ("policy", None),
    ],
)
def test_what_cannot_be_run_is_said_beside_the_verdict(kind, words):
    outcomes, problems = frames()
    outcomes = outcomes.with_columns(
        strategy_kind=pl.when(pl.col("outcome_id") == "oc-aa22")
        .then(pl.lit(kind))
        .otherwise(pl.lit("policy"))
    )
    text = "\n".join(comparison_lines(compare_outcomes(outcomes, problems, "oc-aa22", "oc-aa11")))
    assert "The first is more accurate." in text
    if words:
        assert (
            f"The first {words}" in text and f"[{kind}]" in text and "The second needs" not in text
        )
    else:
        assert "perfect verifier" not in text and "way to answer" not in text


def test_other_pairs_are_counted_and_the_p_value_adjusted_for_them():
    outcomes, problems = frames()
    found = compare_outcomes(
        outcomes.with_columns(accuracy=pl.lit(0.5)), problems, "oc-bb", "oc-aa11"
    )
    assert found.others.n_task_pairs == 6 and found.others.family is None
    assert found.others.p_value_bonferroni == pytest.approx(min(1, 6 * found.accuracy.p_value))
    text = "\n".join(comparison_lines(found))
    assert (
        "If the pair was picked after looking at all 6 pairs of the task's outcomes" in text
        and "family" not in text
    )
    row = {
        "comparison_family": "frontier",
        "first_outcome_id": "oc-aa11",
        "second_outcome_id": "oc-bb",
        "n_comparisons": 3,
    }
    held = pl.DataFrame([row | {"p_value_holm": 0.0312, "p_value_max_t": 0.0271}])
    text = "\n".join(
        comparison_lines(compare_outcomes(outcomes, problems, "oc-bb", "oc-aa11", comparisons=held))
    )
    assert (
        "one of 3 pairs of the family frontier" in text
        and "p = 0.0312 (Holm), = 0.0271 (largest |t|)" in text
    )


def test_two_configurations_that_differ_in_temperature_alone_have_two_names():
    outcomes, problems = frames()
    points = pl.DataFrame(
        [
            {"point_id": n, "task": "sums", "model_variant": "m", "prompt": "p", "temperature": t}
            for n, t in (("oc-bb", 0.2), ("oc-cc", 1.0))
        ]
    )
    lines = comparison_lines(compare_outcomes(outcomes, problems, "oc-bb", "oc-cc", points=points))
    assert lines[1].endswith("p · m · T 0.2") and lines[2].endswith("p · m · T 1")
