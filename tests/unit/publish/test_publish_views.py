"""What people read with SQL.

Rows that are distinguished by their names, one row a configuration, samples counted once.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import duckdb
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isocost import sql
from isocost.build.rules.summary import derive_summary
from isocost.publish.warehouse import build_warehouse
from isocost.schema.frames import conform, empty
from isocost.schema.registry import all_tables
from isocost.schema.types import duckdb_ddl
from isocost.store import Store
from isocost.sweep import plan_sessions, sweep_from_text
from isocost.tables.core.context import points_frame
from isocost.tables.frontiers.frontiers import build_frontiers

pytestmark = pytest.mark.slow

REPO = Path(__file__).resolve().parents[3]
AXIS = "output_tokens_per_problem"
# Columns of each view that people read as a row's name; ids are no names.
LABELS = {
    "frontier": ("task", "cost_axis", "configuration", "strategy", "budget", "parameters"),
    "points": ("task", "configuration"),
    "problems": ("problem_id",),
    "comparisons": (
        "task",
        "comparison_family",
        *(
            f"{side}_{name}"
            for side in ("first", "second")
            for name in ("configuration", "strategy", "budget", "parameters")
        ),
    ),
}
SETTINGS = st.fixed_dictionaries(
    {
        "model_variant": st.sampled_from(["m", "n"]),
        "prompt": st.sampled_from(["p", None]),
        "temperature": st.sampled_from([None, 0.0, 0.7, 0.7000001]),
        "max_tokens": st.sampled_from([64, 128]),
        "seed": st.sampled_from([0, 1]),
        "quantization": st.sampled_from([None, "fp8"]),
        "task_config": st.sampled_from(
            [
                None,
                '{"condition":{"hardware":"A"}}',
                '{"condition":{"hardware":"B","shots":5}}',
                "{}",
            ]
        ),
    }
)
BANKS = st.dictionaries(
    st.sampled_from(["sums", "words"]), st.lists(SETTINGS, min_size=1, max_size=5), min_size=1
)


def database(frames: dict[str, pl.DataFrame]) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(":memory:", config={"threads": 1})
    for name, definition in all_tables().items():
        if definition.layer != "raw":
            connection.execute(duckdb_ddl(definition))
            if name in frames:
                connection.register("held", frames[name])
                connection.execute(f'INSERT INTO "{name}" BY NAME SELECT * FROM held')
    for path in sql.macro_files():
        connection.execute(path.read_text(encoding="utf-8"))
    return connection


def filled(name: str, rows: list[dict]) -> pl.DataFrame:
    """Rows of a table, with NULL in every column that they do not say."""
    return pl.DataFrame(rows, schema=empty(name).schema) if rows else empty(name)


class Frames(dict):
    """Tables in memory where a derived table's function expects a store."""

    def read(self, name: str, *, columns: Sequence[str] | None = None) -> pl.DataFrame:
        frame = self.get(name, empty(name))
        return frame if columns is None else frame.select(columns)


def tables(banks) -> Frames:
    points, outcomes, problems = [], [], []
    for task, configurations in banks.items():
        for place, configuration in enumerate(configurations):
            point = {
                "point_id": f"pt-{task}-{place}",
                "session_id": "s",
                "source": "generated",
                "method": "sample",
                "task": task,
            } | configuration
            points.append(point | {"samples_banked": 0, "samples_valid": 0})
            for strategy, budget, ties in (
                ("majority_at_k", 1, "a"),
                ("best_of_k_x", 1, "a"),
                ("majority_at_k", 4, "a"),
                ("majority_at_k", 4, "b"),
            ):
                key = f"{point['point_id']}-{strategy}-{budget}-{ties}"
                accuracy = [0.2 + 0.1 * budget + 0.001 * place + (0.01 if ties == "b" else 0.0)] * 3
                cost = 10.0 * budget + place + (1 if ties == "b" else 0)
                named = {
                    "outcome_id": key,
                    "task": task,
                    "point_id": point["point_id"],
                    "point_ids": [point["point_id"]],
                }
                named |= {
                    "strategy": strategy,
                    "strategy_family": strategy,
                    "strategy_kind": "policy",
                    "budget": float(budget),
                }
                named |= {
                    "parameters": f'{{"ties":"{ties}"}}',
                    "model_variant": configuration["model_variant"],
                    "prompt": configuration["prompt"],
                    AXIS: cost,
                }
                outcomes.append(named | {"accuracy": sum(accuracy) / 3})
                problems += [
                    {
                        "outcome_id": key,
                        "problem_id": f"{task}-{i}",
                        "accuracy": value + 0.05 * i,
                        AXIS: cost,
                    }
                    for i, value in enumerate(accuracy)
                ]
    found = Frames(core_points=filled("core_points", points))
    wanted = [
        "outcome_id",
        "task",
        "model_variant",
        "prompt",
        "point_id",
        "point_ids",
        "strategy",
        "strategy_kind",
        "budget",
        "parameters",
        AXIS,
    ]
    known = pl.DataFrame(outcomes).select(wanted)
    found |= build_frontiers(known, pl.DataFrame(problems), draws=20, points=found["core_points"])
    found["out_strategy_outcomes"] = filled(
        "out_strategy_outcomes",
        [
            o
            | {
                "budget_unit": "samples",
                "n_problems": 3,
                "n_problems_undefined": 0,
                "undefined_reasons": [],
            }
            for o in outcomes
        ],
    )
    found["out_point_summary"] = conform(
        derive_summary(found)["out_point_summary"], "out_point_summary"
    )
    return found


@given(BANKS)
@settings(max_examples=20, deadline=None)
def test_rows_of_every_view_are_distinguished_by_their_names(banks):
    frames = tables(banks)
    nullable = {name: frame for name, frame in frames.items() if name != "out_strategy_outcomes"}
    connection = database(nullable)
    connection.execute("DROP TABLE out_strategy_outcomes")
    connection.register("out_strategy_outcomes", frames["out_strategy_outcomes"])
    for path in sql.sql_files("views"):
        rows = sql.run_file(connection, path)
        names = list(LABELS[path.stem])
        assert not rows.select(pl.struct(names).is_duplicated().any()).item() or rows.is_empty(), (
            path.stem
        )
    assert sql.run_file(connection, sql.sql_root() / "views" / "points.sql").height == sum(
        map(len, banks.values())
    )
    assert sql.run_file(connection, sql.sql_root() / "views" / "frontier.sql").height > 0
    named = connection.sql(
        "SELECT configuration, configuration_of([point_id]) FROM out_point_summary"
    ).fetchall()
    assert all(one == other for one, other in named)
    # Report, terminal and SQL name a step of the mean over tasks as the tables do: by what tells it
    # apart.
    for (name,) in connection.sql(
        "SELECT DISTINCT configuration FROM out_frontier_points"
    ).fetchall():
        assert name


def test_every_view_has_its_labels():
    assert {path.stem for path in sql.sql_files("views")} == set(LABELS)


SWEEP = """
sweep: NAME
models: {name: m, path: "cache:none", dtype: float32}
engine: {max_model_len: 256, kv_cache_bytes: 64 MiB}
tasks:
  - {name: sums, source: inline, dataset: two sums, verifier: numeric, n_problems: 2,
     config: {problems: [{question: "1+1?", reference: 2}, {question: "2+2?", reference: 4}]}}
prompts:
  - {name: direct, template: "{question}"}
  - {name: steps, template: "{question} Think."}
grid: {temperature: 0.7, max_tokens: 32}
samples_per_problem: COUNT
"""


def planned(name: str, count: int):
    return plan_sessions(sweep_from_text(SWEEP.replace("NAME", name).replace("COUNT", str(count))))[
        0
    ]


def samples(session, held: dict[int, list[int]]) -> pl.DataFrame:
    """Rows of core_samples: of each of a session's points so many of each problem."""
    rows = [
        {
            "sample_id": f"{session.points[point].point.point_id}:q{problem}:{index}",
            "point_id": session.points[point].point.point_id,
            "problem_id": f"q{problem}",
            "sample_index": index,
            "session_id": session.session_id,
            "task": "sums",
            "model_variant": "m",
            "prompt": session.points[point].point.prompt.name,
            "source": "generated",
            "is_valid": True,
            "invalid_reasons": [],
            "parse_status": "parsed",
        }
        for point, counts in held.items()
        for problem, count in enumerate(counts)
        for index in range(count)
    ]
    return filled("core_samples", rows)


def summary(sessions, banked: pl.DataFrame) -> pl.DataFrame:
    frames = Frames(
        core_points=points_frame(banked, sessions),
        core_samples=banked.unique("sample_id", maintain_order=True),
    )
    return derive_summary(frames)["out_point_summary"]


def test_the_same_points_in_a_second_sweep_are_not_missing():
    first, again = planned("first", 4), planned("again", 4)
    assert [p.point.point_id for p in first.points] == [
        p.point.point_id for p in again.points
    ] and first.session_id != again.session_id
    banked = samples(first, {0: [4, 4], 1: [4, 4]})
    frames = points_frame(banked, [first, again])
    assert frames["samples_missing"].sum() == 16  # what each session lacks for itself
    reported = summary([first, again], banked)
    assert reported["samples_planned"].to_list() == [8, 8] and reported[
        "samples_missing"
    ].to_list() == [
        0,
        0,
    ]
    assert (
        reported["n_sessions"].to_list() == [2, 2]
        and reported["sweeps"].to_list() == [["again", "first"]] * 2
    )
    assert sorted(reported["configuration"]) == ["direct · m", "steps · m"]


COUNTS = st.dictionaries(
    st.sampled_from([0, 1]), st.lists(st.integers(0, 6), min_size=2, max_size=2), max_size=2
)


@given(wanted=st.tuples(st.integers(1, 5), st.integers(1, 5)), held=st.tuples(COUNTS, COUNTS))
@settings(max_examples=25, deadline=None)
def test_missing_samples_are_those_that_no_session_banked(wanted, held):
    sessions = [planned(name, count) for name, count in zip(("one", "two"), wanted, strict=True)]
    banked = pl.concat(
        [samples(session, counts) for session, counts in zip(sessions, held, strict=True)]
    )
    stated = {row["prompt"]: row for row in summary(sessions, banked).iter_rows(named=True)}
    assert len(stated) == 2
    for place, prompt in enumerate(("direct", "steps")):
        have = [max(counts.get(place, [0, 0])[problem] for counts in held) for problem in (0, 1)]
        row = stated[prompt]
        assert row["samples_planned"] == 2 * max(wanted) and row["samples_total"] == sum(have)
        assert row["samples_missing"] == sum(max(max(wanted) - n, 0) for n in have)


def test_joins_over_the_view_points_count_every_sample_once(lab, lab_store: Store):
    again = lab["core_points"].with_columns(
        session_id=pl.lit("z-again"), samples_missing=pl.lit(48, pl.Int64)
    )
    lab_store.write(again, "core_points", "z-again")
    build_warehouse(lab_store)
    with duckdb.connect(str(lab_store.warehouse), read_only=True) as connection:
        (n,) = connection.execute(
            "SELECT count(*) FROM core_samples JOIN points USING (point_id)"
        ).fetchone()
        assert n == lab["core_samples"].height
        assert connection.execute(
            "SELECT count(*), count(DISTINCT point_id) FROM points"
        ).fetchone() == (4, 4)


def test_what_the_readme_prints_has_all_its_columns(lab_store: Store, capsys, monkeypatch):
    build_warehouse(lab_store)
    (block,) = re.findall(
        r"^```python\n(.*?)^```$",
        (REPO / "README.md").read_text(encoding="utf-8"),
        flags=re.DOTALL | re.MULTILINE,
    )
    monkeypatch.chdir(lab_store.root.parent)
    names: dict[str, object] = {}
    exec(
        compile(
            block.replace("data/warehouse.duckdb", str(lab_store.warehouse)), "README.md", "exec"
        ),
        names,
    )
    printed = capsys.readouterr().out
    names["warehouse"].close()
    for column in ("task", "configuration", "strategy", "budget", "cost", "accuracy"):
        assert re.search(rf"│\s+{column}\s+│", printed), column
    assert "│ … │" not in printed and "adding" in printed
