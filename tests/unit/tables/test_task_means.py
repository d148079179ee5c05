"""Means over tasks.

One more task never takes a mean away, each says over which tasks it is, and none is missing without
a reason.
"""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isocost.schema.tables.frontiers import MACRO_TASK, is_mean
from isocost.tables.frontiers.frontiers import build_frontiers

AXIS = "output_tokens_per_problem"


def bank(held: dict[str, list[tuple[str, float, int]]], problems: int = 4):
    """Outcomes, their problems and the points of tasks that hold some (prompt, temperature,
    budget).
    """
    outcomes, rows, points = [], [], []
    for task, keys in held.items():
        for prompt, temperature, budget in keys:
            point, outcome = (
                f"pt-{task}-{prompt}-{temperature:g}",
                f"{task}-{prompt}-{temperature:g}-{budget}",
            )
            points.append(
                {
                    "point_id": point,
                    "task": task,
                    "model_variant": "m",
                    "prompt": prompt,
                    "temperature": temperature,
                }
            )
            stated = {
                "outcome_id": outcome,
                "task": task,
                "model_variant": "m",
                "prompt": prompt,
                "point_id": point,
            }
            outcomes.append(
                {
                    **stated,
                    "strategy": "majority_at_k",
                    "budget": float(budget),
                    "parameters": "{}",
                    AXIS: float(budget),
                }
            )
            rows += [
                {
                    "outcome_id": outcome,
                    "problem_id": f"{task}-{i}",
                    "accuracy": ((i * 7 + budget * 3) % 10) / 10,
                    AXIS: float(budget),
                }
                for i in range(problems)
            ]
    return (
        pl.DataFrame(outcomes),
        pl.DataFrame(rows),
        pl.DataFrame(points).unique("point_id", maintain_order=True),
    )


def built(held, **more):
    outcomes, rows, points = bank(held)
    return build_frontiers(outcomes, rows, points=points, draws=20, only_over_tasks=True, **more)


TWO = {
    "adding": [("a", 0.0, 1), ("a", 0.0, 4), ("b", 0.0, 1)],
    "sorting": [("a", 0.0, 1), ("a", 0.0, 4), ("b", 0.0, 1)],
}


@pytest.mark.parametrize(
    "third", [[("c", 0.0, 1)], [("a", 1.0, 1)], [("b", 0.0, 1)], [("a", 0.0, 1), ("z", 0.0, 2)]]
)
def test_a_third_task_takes_no_mean_away(third):
    before = built(TWO)["out_frontier_points"]
    frames = built({**TWO, "words": third})
    points = frames["out_frontier_points"]
    same = points.filter(pl.col("tasks") == pl.lit(["adding", "sorting"]))
    numbers = [
        "outcome_id",
        "cost",
        "accuracy",
        "accuracy_low",
        "accuracy_high",
        "frontier_probability",
    ]
    assert before.height == 3 and same.select(numbers).equals(before.select(numbers))
    (row,) = frames["out_task_means"].filter(task="words").iter_rows(named=True)
    is_shared = ("b", 0.0, 1) in third or ("a", 0.0, 1) in third
    assert (row["n_shared"] > 0) is is_shared and (row["left_out_reason"] is None) is is_shared
    if is_shared:
        whole = points.filter(task=MACRO_TASK)
        assert whole["tasks"].to_list() == [["adding", "sorting", "words"]] and same[
            "task"
        ].unique().to_list() == ["(macro: adding + sorting)"]
    else:
        assert same["task"].unique().to_list() == [MACRO_TASK]
        assert row["means"] == []


def test_the_reason_says_what_the_nearest_configuration_differs_in():
    frames = built({**TWO, "words": [("a", 1.0, 1)]})
    reason = frames["out_task_means"].filter(task="words")["left_out_reason"][0]
    assert (
        reason
        == "none of its configurations was measured in another task; the nearest, in adding, differs in temperature"
    )
    alone = built({"adding": TWO["adding"]})
    assert alone["out_task_means"]["left_out_reason"].to_list() == ["it is the only task"]
    other = built({"adding": [("a", 0.0, 1)], "sorting": [("a", 0.0, 2)]})["out_task_means"]
    assert (
        other["left_out_reason"].str.contains("no strategy was replayed at the same budget").all()
    )
    assert built({"adding": [("a", 0.0, 1)], "sorting": [("a", 0.0, 2)]})[
        "out_frontier_points"
    ].is_empty()


KEYS = st.tuples(st.sampled_from("abc"), st.sampled_from([0.0, 0.7]), st.sampled_from([1, 4]))
HELD = st.dictionaries(
    st.sampled_from(["t1", "t2", "t3", "t4"]),
    st.lists(KEYS, min_size=1, max_size=6, unique=True),
    min_size=1,
)


@given(held=HELD)
@settings(max_examples=40, deadline=None)
@pytest.mark.slow
def test_every_mean_is_that_of_its_tasks_and_no_task_lacks_a_reason(held):
    frames = built(held)
    points, notes = frames["out_frontier_points"], frames["out_task_means"]
    outcomes, _, _ = bank(held)
    accuracy = {
        k: np.mean([((i * 7 + b * 3) % 10) / 10 for i in range(4)])
        for k, b in outcomes.select("outcome_id", "budget").iter_rows()
    }
    task_of = dict(outcomes.select("outcome_id", "task").iter_rows())
    holders: dict[tuple, set[str]] = {}
    for task, keys in held.items():
        for key in keys:
            holders.setdefault(key, set()).add(task)
    best = max((len(tasks) for tasks in holders.values()), default=0)
    for row in points.iter_rows(named=True):
        assert is_mean(row["task"]) and [task_of[m] for m in row["member_outcome_ids"]] == row[
            "tasks"
        ] == sorted(row["tasks"])
        assert row["accuracy"] == pytest.approx(
            np.mean([accuracy[m] for m in row["member_outcome_ids"]])
        )
        assert len(row["tasks"]) <= best and (
            row["task"] != MACRO_TASK or len(row["tasks"]) == best
        )
    assert points.height == 0 if best < 2 else points.filter(task=MACRO_TASK).height > 0
    # Names tell the rows of every mean apart.
    assert (
        not points.select(
            pl.struct("task", "configuration", "strategy", "budget").is_duplicated().any()
        ).item()
        or points.is_empty()
    )
    assert set(notes["task"]) == set(held)
    for row in notes.iter_rows(named=True):
        inside = set(points.filter(pl.col("tasks").list.contains(row["task"]))["task"])
        assert set(row["means"]) == inside
        assert (row["left_out_reason"] is None) is (MACRO_TASK in inside)
