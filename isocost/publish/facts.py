"""The displayed facts, gathered once from the tables.

Figures, report and terminal all show these frames.

Lives here: choosing and naming of rows. Not here: any new number, drawing (``figures``), wording
(``sentences``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import polars as pl

from isocost.memory import chosen_budget
from isocost.publish import labels, naming
from isocost.publish.points_shown import counted, representatives
from isocost.publish.shown import read_shown
from isocost.schema.frames import empty
from isocost.store import Store

TABLES = (
    "core_checks",
    "core_points",
    "core_sessions",
    "out_point_summary",
    "out_strategy_outcomes",
    "out_frontier_points",
    "out_frontiers",
    "out_task_means",
    "out_scaling_points",
    "out_scaling_fits",
    "out_comparisons",
    "out_coverage_differences",
)
# From this share of truncated samples on, an accuracy reflects the token budget more than the
# model: at a fifth it can be off by as much as the best strategies gain.
MUCH_TRUNCATED = 0.2


@dataclass(frozen=True, slots=True)
class Facts:
    """The frames behind every page.

    Attributes:
        frontier: out_frontier_points of policies, one row of each group of equal outcomes, with
            ``configuration``, ``label`` and ``n_groups`` (such groups of the task on the axis). For
            a table too large for memory, those on the frontier and their likeliest rivals.
        bound: the frontier with a perfect verifier: rows on the frontier of kind oracle.
        frontiers: out_frontiers of policies.
        means: out_task_means of policies.
        summary: out_point_summary of points with samples, with ``configuration``, in order of both.
        scaling_points: out_scaling_points with ``configuration``.
        scaling_fits: out_scaling_fits with ``configuration``.
        comparisons: out_comparisons of single samples, most certain first, the more accurate one
            first, with the points and their names.
        coverage: out_coverage_differences.
        sessions: core_sessions.
        checks: core_checks.
        kinds: policy, oracle or metric, by strategy.
        planned: planned samples, if known.
        missing: of these, samples that are not banked yet.
        tasks: every task, in order of name, the means over tasks last.
        axes: cost axes that have a frontier, the first one first.
    """

    frontier: pl.DataFrame
    bound: pl.DataFrame
    frontiers: pl.DataFrame
    means: pl.DataFrame
    summary: pl.DataFrame
    scaling_points: pl.DataFrame
    scaling_fits: pl.DataFrame
    comparisons: pl.DataFrame
    coverage: pl.DataFrame
    sessions: pl.DataFrame
    checks: pl.DataFrame
    kinds: dict[str, str]
    planned: int
    missing: int
    tasks: tuple[str, ...]
    axes: tuple[str, ...]

    @property
    def curve_axes(self) -> tuple[str, ...]:
        """Cost axes that have a scaling curve, the first one first."""
        return tuple(labels.ordered_axes(self.scaling_points["cost_axis"].unique().to_list()))

    @property
    def curve_strategies(self) -> tuple[str, ...]:
        """Strategies that have a scaling curve, the best-known first."""
        return tuple(labels.ordered_strategies(self.scaling_points["strategy"].unique().to_list()))

    def curves_of(self, strategy: str, axis: str) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Points and chosen fits of one strategy's curves on one axis."""
        mine = (pl.col("strategy") == strategy) & (pl.col("cost_axis") == axis)
        return self.scaling_points.filter(mine), self.scaling_fits.filter(
            mine & pl.col("is_chosen")
        )

    def overtaking(self, task: str, point_id: str, other_point_id: str) -> pl.DataFrame:
        """Rows of out_coverage_differences of one pair in one direction."""
        pair = (pl.col("point_id") == point_id) & (pl.col("other_point_id") == other_point_id)
        return self.coverage.filter((pl.col("task") == task) & pair)

    @property
    def truncated(self) -> pl.DataFrame:
        """Configurations with many samples ended by the token budget, most first."""
        return self.summary.filter(pl.col("truncated_ratio") >= MUCH_TRUNCATED).sort(
            "truncated_ratio", "task", "configuration", descending=[True, False, False]
        )

    def tasks_of_mean(self, mean: str) -> list[str]:
        """The tasks that a mean covers; none if it has no frontier."""
        rows = self.frontiers.filter(pl.col("task") == mean)
        return rows["tasks"][0].to_list() if rows.height else []

    @property
    def first_axis(self) -> str | None:
        """The cost axis that is shown first; None if nothing has a price yet."""
        return self.axes[0] if self.axes else None

    def frontier_of(self, task: str, axis: str) -> pl.DataFrame:
        """All outcomes of one task on one axis, cheapest first."""
        return self.frontier.filter((pl.col("task") == task) & (pl.col("cost_axis") == axis)).sort(
            "cost", "accuracy", "outcome_id"
        )

    def axis_of(self, task: str) -> str | None:
        """The axis on which a task is shown first: the first one with a frontier for it."""
        known = set(self.frontier.filter(pl.col("task") == task)["cost_axis"])
        return next((axis for axis in self.axes if axis in known), None)

    def bound_of(self, task: str, axis: str) -> pl.DataFrame:
        """The steps of the frontier with a perfect verifier, cheapest first."""
        return self.bound.filter((pl.col("task") == task) & (pl.col("cost_axis") == axis)).sort(
            "cost", "accuracy"
        )


def _axes(points: pl.DataFrame) -> tuple[str, ...]:
    """Every cost axis once, in the usual order.

    First the first one that half of the tasks have, or the most.
    """
    axes = labels.ordered_axes(points["cost_axis"].unique().to_list())
    tasks = dict(points.group_by("cost_axis").agg(pl.col("task").n_unique()).iter_rows())
    enough = min(points["task"].n_unique() / 2, max(tasks.values(), default=0))
    first = next((axis for axis in axes if tasks[axis] >= enough), None)
    return tuple(sorted(axes, key=lambda axis: axis != first))


def gather(
    store: Store,
    frame: Callable[[str], pl.DataFrame | None] = lambda _: None,
    *,
    memory: int | None = None,
) -> Facts:
    """Read the displayed facts from the stored tables; tables that were not built count as empty.

    Args:
        store: the tables.
        frame: gives a table that was already read, otherwise None.
        memory: budget in bytes: of larger tables only what can be shown is read; a third of
            ``$ISOCOST_MEMORY`` or of half of what is free if None.
    """
    most = chosen_budget() // 3 if memory is None else memory
    found = {name: frame(name) for name in TABLES}
    return from_frames(
        {
            name: read_shown(store, name, most) if held is None else held
            for name, held in found.items()
        }
    )


def from_frames(frames: Mapping[str, pl.DataFrame]) -> Facts:
    """The same from frames in memory; missing ones count as empty.

    Args:
        frames: frames by table name, each with the columns of its table.
    """
    tables = {name: frames[name] if name in frames else empty(name) for name in TABLES}
    names = naming.point_names(tables["core_points"], tables["out_frontier_points"])
    distinct = counted(representatives(tables["out_frontier_points"]))
    policy = pl.col("frontier_kind") == "policy"
    points, summary = distinct.filter(policy), tables["out_point_summary"]
    # Curves alone are enough for a figure of curves, so their tasks count too.
    named = (points, summary, tables["out_scaling_points"])
    tasks = labels.ordered_tasks([task for frame in named for task in frame["task"]])
    return Facts(
        frontier=naming.labelled(naming.named(points, names)),
        bound=distinct.filter(~policy & pl.col("is_on_frontier")).select(
            "task", "cost_axis", "cost", "accuracy"
        ),
        frontiers=tables["out_frontiers"].filter(policy),
        means=tables["out_task_means"].filter(policy),
        summary=naming.named(summary.filter(pl.col("samples_total") > 0), names).sort(
            "task", "configuration"
        ),
        scaling_points=naming.named(tables["out_scaling_points"], names),
        scaling_fits=naming.named(tables["out_scaling_fits"], names),
        comparisons=_compared(tables["out_comparisons"], tables["out_strategy_outcomes"], names),
        coverage=tables["out_coverage_differences"],
        sessions=tables["core_sessions"],
        checks=tables["core_checks"],
        planned=int(summary["samples_planned"].sum()),
        missing=int(summary["samples_missing"].sum()),
        kinds=dict(
            tables["out_strategy_outcomes"]
            .select("strategy", "strategy_kind")
            .unique()
            .sort("strategy")
            .iter_rows()
        ),
        tasks=tuple(tasks),
        axes=_axes(points),
    )


def _compared(
    comparisons: pl.DataFrame, outcomes: pl.DataFrame, names: Mapping[str, str]
) -> pl.DataFrame:
    """Comparisons of single samples, by rising p-value, with the points and their names.

    The more accurate one is first.
    """
    points = dict(outcomes.select("outcome_id", "point_id").iter_rows())
    rows = comparisons.filter(pl.col("comparison_family") == "single_sample")
    rows = pl.concat(
        [
            rows.filter(pl.col("accuracy_difference") >= 0),
            _turned(rows.filter(pl.col("accuracy_difference") < 0)),
        ]
    )
    for side in ("first", "second"):
        ids = [points.get(outcome) for outcome in rows[f"{side}_outcome_id"]]
        rows = rows.with_columns(
            pl.Series(f"{side}_point_id", ids, dtype=pl.String),
            pl.Series(
                f"{side}_configuration",
                [names.get(p or "", p or "–") for p in ids],
                dtype=pl.String,
            ),
        )
    return rows.sort("task", "p_value", "first_outcome_id", "second_outcome_id", nulls_last=True)


def _turned(rows: pl.DataFrame) -> pl.DataFrame:
    """The same comparisons in the other direction."""
    ends = [
        (f"accuracy_difference{part}_low", f"accuracy_difference{part}_high")
        for part in ("", "_band")
    ]
    verdicts = {"first_better": "second_better", "second_better": "first_better"}
    return rows.with_columns(
        pl.col("second_outcome_id").alias("first_outcome_id"),
        pl.col("first_outcome_id").alias("second_outcome_id"),
        -pl.col("accuracy_difference"),
        *((-pl.col(high)).alias(low) for low, high in ends),
        *((-pl.col(low)).alias(high) for low, high in ends),
        pl.col("n_second_only").alias("n_first_only"),
        pl.col("n_first_only").alias("n_second_only"),
        pl.col("verdict").replace(verdicts),
    )
