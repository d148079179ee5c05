"""Frontiers: of every task, and of means over tasks.

Not here: how the tables are computed (``isocost.tables.frontiers``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import polars as pl

from isocost.build.rules.base import CLUSTERS, STRATEGIES, Rule, Tables, outcomes_by_piece
from isocost.build.slices import Rows
from isocost.schema.registry import table
from isocost.schema.runs import Runs
from isocost.store import Store

_FRONTIERS = (
    "out_frontier_points",
    "out_frontiers",
    "out_frontier_attainment",
    "out_joint_frontier_points",
    "out_joint_frontiers",
)

# Bootstrap draws of problems: a probability of 0.5 has a standard error of 0.016 from the draws,
# far below that from the problems.
FRONTIER_DRAWS = 1000


def derive_frontiers(rows: Rows | Store) -> Tables:
    """Frontiers with one bootstrap over problems shared by all outcomes of a task."""
    from isocost.tables.frontiers.frontiers import frontier_frames

    points, problems = rows.read("core_points"), rows.read("core_problems", columns=CLUSTERS)
    found = frontier_frames(
        *outcomes_by_piece(rows), draws=FRONTIER_DRAWS, points=points, clusters=problems
    )
    return _in_runs(rows, (*_FRONTIERS, "out_comparisons"), found)


def derive_frontiers_over_tasks(rows: Rows | Store) -> Tables:
    """The same of means over tasks, and which tasks are in which."""
    from isocost.tables.frontiers.frontiers import frontier_frames

    points, problems = rows.read("core_points"), rows.read("core_problems", columns=CLUSTERS)
    found = frontier_frames(
        *outcomes_by_piece(rows),
        draws=FRONTIER_DRAWS,
        points=points,
        clusters=problems,
        only_over_tasks=True,
    )
    return _in_runs(
        rows,
        (*_FRONTIERS, "out_task_means"),
        ((name, _rounded(name, frame)) for name, frame in found),
    )


def _in_runs(
    rows: Rows | Store, names: Sequence[str], found: Iterable[tuple[str, pl.DataFrame]]
) -> Tables:
    """Rows of some tables as they arrive, large tables spilled.

    Those of a table that takes more than a sixteenth of the memory.
    """
    memory = rows.memory if isinstance(rows, Rows) else None
    runs = {
        name: Runs(
            name,
            memory=None if memory is None else memory // 16,
            folder=rows.root / "out" / ".aside",
        )
        for name in names
    }
    for name, frame in found:
        if name in runs:
            runs[name].add(frame)
    return {name: each if each.is_laid_aside else each.whole() for name, each in runs.items()}


def _rounded(name: str, frame: pl.DataFrame) -> pl.DataFrame:
    """Numbers to 12 digits.

    Means over tasks are matrix products, whose last bits hang on the number of threads.
    """
    keys = table(name).keys
    floats = [
        column
        for column, dtype in frame.schema.items()
        if dtype == pl.Float64 and column not in keys
    ]
    return frame.with_columns(pl.col(floats).round_sig_figs(12))


RULES = (
    Rule(
        "frontiers",
        "task",
        (*_FRONTIERS, "out_comparisons"),
        (*STRATEGIES, "core_points", "core_problems"),
        derive_frontiers,
    ),
    Rule(
        "frontiers",
        "all",
        (*_FRONTIERS, "out_task_means"),
        (*STRATEGIES, "core_points", "core_problems"),
        derive_frontiers_over_tasks,
    ),
)
