"""What is shown, gathered once from the tables: figures, report and terminal all show these frames.

Lives here: choosing and naming of rows. Not here: any new number, drawing (``figures``), wording (``sentences``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import polars as pl

from isocost.publish import labels
from isocost.schema.frames import empty
from isocost.store import Store

TABLES = (
    "core_points",
    "core_sessions",
    "out_point_summary",
    "out_strategy_outcomes",
    "out_frontier_points",
    "out_frontiers",
    "out_scaling_points",
    "out_scaling_fits",
    "out_comparisons",
    "out_coverage_differences",
)
MOST_POINTS = 200
# What tells two measured configurations apart, in the order in which a reader would name it.
_TELLING = ("prompt", "model_variant", "max_tokens", "temperature", "quantization", "dtype", "top_p", "top_k", "min_p", "engine", "seed")
_UNITS = {
    "max_tokens": "{} tokens",
    "temperature": "T {}",
    "top_p": "top-p {}",
    "top_k": "top-k {}",
    "min_p": "min-p {}",
    "seed": "seed {}",
}


@dataclass(frozen=True, slots=True)
class Facts:
    """The frames behind every page.

    Attributes:
        frontier: out_frontier_points of policies, one row of each group of equal outcomes, with ``configuration``.
        bound: the frontier with a perfect verifier: rows on the frontier of kind oracle.
        frontiers: out_frontiers of policies.
        summary: out_point_summary with ``configuration``.
        scaling_points: out_scaling_points with ``configuration``.
        scaling_fits: out_scaling_fits with ``configuration``.
        comparisons: out_comparisons of single samples, surest first, the more accurate one first, with the points and their names.
        coverage: out_coverage_differences.
        sessions: core_sessions.
        kinds: policy, oracle or metric, by strategy.
        planned: samples that were planned, where known.
        missing: of these, samples that are not banked yet.
        tasks: every task, in order of name, the mean over tasks last.
        axes: cost axes that have a frontier, the first one first.
    """

    frontier: pl.DataFrame
    bound: pl.DataFrame
    frontiers: pl.DataFrame
    summary: pl.DataFrame
    scaling_points: pl.DataFrame
    scaling_fits: pl.DataFrame
    comparisons: pl.DataFrame
    coverage: pl.DataFrame
    sessions: pl.DataFrame
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
        """Strategies that have a scaling curve, those that most people know first."""
        return tuple(labels.ordered_strategies(self.scaling_points["strategy"].unique().to_list()))

    def curves_of(self, strategy: str, axis: str) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Points and chosen fits of one strategy's curves on one axis."""
        mine = (pl.col("strategy") == strategy) & (pl.col("cost_axis") == axis)
        return self.scaling_points.filter(mine), self.scaling_fits.filter(mine & pl.col("is_chosen"))

    def overtaking(self, task: str, point_id: str, other_point_id: str) -> pl.DataFrame:
        """Rows of out_coverage_differences of one pair in one direction."""
        pair = (pl.col("point_id") == point_id) & (pl.col("other_point_id") == other_point_id)
        return self.coverage.filter((pl.col("task") == task) & pair)

    @property
    def first_axis(self) -> str | None:
        """The cost axis that is shown first; None where nothing was priced yet."""
        return self.axes[0] if self.axes else None

    def frontier_of(self, task: str, axis: str) -> pl.DataFrame:
        """All outcomes of one task on one axis, cheapest first."""
        return self.frontier.filter((pl.col("task") == task) & (pl.col("cost_axis") == axis)).sort("cost", "accuracy", "outcome_id")

    def axis_of(self, task: str) -> str | None:
        """The axis on which a task is shown first: the first one that has a frontier of it."""
        known = set(self.frontier.filter(pl.col("task") == task)["cost_axis"])
        return next((axis for axis in self.axes if axis in known), None)

    def bound_of(self, task: str, axis: str) -> pl.DataFrame:
        """The steps of what a perfect verifier could reach at most, cheapest first."""
        return self.bound.filter((pl.col("task") == task) & (pl.col("cost_axis") == axis)).sort("cost", "accuracy")


def _axes(points: pl.DataFrame) -> tuple[str, ...]:
    """Every cost axis once, in the usual order; first of all the first one that half of the tasks have, or the most."""
    axes = labels.ordered_axes(points["cost_axis"].unique().to_list())
    tasks = dict(points.group_by("cost_axis").agg(pl.col("task").n_unique()).iter_rows())
    enough = min(points["task"].n_unique() / 2, max(tasks.values(), default=0))
    first = next((axis for axis in axes if tasks[axis] >= enough), None)
    return tuple(sorted(axes, key=lambda axis: axis != first))


def representatives(points: pl.DataFrame) -> pl.DataFrame:
    """One row of each group of equal outcomes: the strategy that most people know, so that k = 1 is not called after an exotic one."""
    group = ["task", "frontier_kind", "quality_measure", "cost_axis", "duplicate_of_outcome_id"]
    rank = {name: place for place, name in enumerate(labels.ordered_strategies(points["strategy"].drop_nulls().to_list()))}
    ranked = points.with_columns(
        rank=pl.col("strategy").replace_strict(rank, default=len(rank), return_dtype=pl.Int32),
        # The knee is marked on one of the group.
        is_knee=pl.col("is_knee").any().over(group),
    )
    return ranked.sort(*group, "rank", "outcome_id").unique(group, keep="first", maintain_order=True).drop("rank")


def thinned(points: pl.DataFrame, most: int = MOST_POINTS) -> pl.DataFrame:
    """At most so many rows a task: the frontier and its likeliest rivals first, then the most accurate."""
    ranked = points.sort("is_on_frontier", "frontier_probability", "accuracy", "outcome_id", descending=[True, True, True, False])
    return ranked.group_by("task", maintain_order=True).head(most)


def gather(store: Store, frame: Callable[[str], pl.DataFrame | None] = lambda _: None) -> Facts:
    """Reads what is shown from the stored tables; tables that were not built yet count as empty.

    Args:
        store: the tables.
        frame: gives a table that was read already; None of one that was not.
    """
    found = {name: frame(name) for name in TABLES}
    return from_frames({name: store.read(name) if held is None else held for name, held in found.items()})


def from_frames(frames: Mapping[str, pl.DataFrame]) -> Facts:
    """The same from frames in memory; missing ones count as empty.

    Args:
        frames: frames by table name, each with the columns of its table.
    """
    tables = {name: frames[name] if name in frames else empty(name) for name in TABLES}
    names = configuration_names(tables["core_points"], tables["out_frontier_points"])
    distinct = representatives(tables["out_frontier_points"])
    policy = pl.col("frontier_kind") == "policy"
    points = distinct.filter(policy)
    # Curves alone are enough for a figure of curves: their tasks count, too.
    named = (points, tables["out_point_summary"], tables["out_scaling_points"])
    tasks = labels.ordered_tasks([task for frame in named for task in frame["task"]])
    return Facts(
        frontier=_named(points, names),
        bound=distinct.filter(~policy & pl.col("is_on_frontier")).select("task", "cost_axis", "cost", "accuracy"),
        frontiers=tables["out_frontiers"].filter(policy),
        summary=_named(tables["out_point_summary"], names),
        scaling_points=_named(tables["out_scaling_points"], names),
        scaling_fits=_named(tables["out_scaling_fits"], names),
        comparisons=_compared(tables["out_comparisons"], tables["out_strategy_outcomes"], names),
        coverage=tables["out_coverage_differences"],
        sessions=tables["core_sessions"],
        planned=int(tables["core_points"]["samples_planned"].sum()),
        missing=int(tables["core_points"]["samples_missing"].sum()),
        kinds=dict(tables["out_strategy_outcomes"].select("strategy", "strategy_kind").unique().sort("strategy").iter_rows()),
        tasks=tuple(tasks),
        axes=_axes(points),
    )


def _compared(comparisons: pl.DataFrame, outcomes: pl.DataFrame, names: Mapping[str, str]) -> pl.DataFrame:
    """Comparisons of single samples, by rising p-value, the more accurate first, with the points and their names."""
    points = dict(outcomes.select("outcome_id", "point_id").iter_rows())
    rows = comparisons.filter(pl.col("comparison_family") == "single_sample")
    rows = pl.concat([rows.filter(pl.col("accuracy_difference") >= 0), _turned(rows.filter(pl.col("accuracy_difference") < 0))])
    for side in ("first", "second"):
        ids = [points.get(outcome) for outcome in rows[f"{side}_outcome_id"]]
        rows = rows.with_columns(
            pl.Series(f"{side}_point_id", ids, dtype=pl.String),
            pl.Series(f"{side}_configuration", [names.get(p or "", p or "–") for p in ids], dtype=pl.String),
        )
    return rows.sort("task", "p_value", "first_outcome_id", "second_outcome_id", nulls_last=True)


def _turned(rows: pl.DataFrame) -> pl.DataFrame:
    """The same comparisons in the other direction."""
    ends = [(f"accuracy_difference{part}_low", f"accuracy_difference{part}_high") for part in ("", "_band")]
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


def configuration_names(core_points: pl.DataFrame, frontier_points: pl.DataFrame) -> dict[str, str]:
    """The shortest name by which a reader can tell measured configurations of one task apart, by point_id.

    The prompt always; the model where there are several in all; other settings only where two configurations of the task would else
    share a name, so that what is measured or imported beside them for another task lengthens none.
    """
    known = core_points.unique("point_id", keep="first", maintain_order=True)
    if known.is_empty():
        known = frontier_points.filter(pl.col("point_id").is_not_null()).unique("point_id", keep="first", maintain_order=True)
    several_models = "model_variant" in known.columns and known["model_variant"].n_unique() > 1
    names: dict[str, str] = {}
    for _, mine in known.group_by("task", maintain_order=True):
        chosen = _telling_apart(mine, several_models=several_models)
        names |= {row["point_id"]: _spelt(row, chosen) for row in mine.iter_rows(named=True)}
    spelt = [(row["task"], names[row["point_id"]]) for row in known.select("task", "point_id").iter_rows(named=True)]
    for row, key in zip(known.iter_rows(named=True), spelt, strict=True):
        if spelt.count(key) > 1:
            names[row["point_id"]] += f" · {row['point_id'][-6:]}"
    return names


def _telling_apart(points: pl.DataFrame, *, several_models: bool) -> list[str]:
    """The columns that a task's configurations are named by."""
    columns = [c for c in _TELLING if c in points.columns]
    chosen = [c for c in columns if c == "prompt" or (c == "model_variant" and several_models)]
    for column in columns:
        if column not in chosen and points.select(chosen).is_duplicated().any() and points[column].n_unique() > 1:
            chosen.append(column)
    return chosen


def _spelt(row: Mapping[str, object], chosen: list[str]) -> str:
    words = [_UNITS.get(c, "{}").format(_plain(row[c])) for c in chosen if row[c] is not None]
    return " · ".join(words) or str(row["model_variant"])


def _plain(value: object) -> object:
    return f"{value:g}" if isinstance(value, float) else value


def _named(frame: pl.DataFrame, names: Mapping[str, str]) -> pl.DataFrame:
    """The frame with ``configuration``; a row that joins several points is named by what they share."""
    if "point_id" not in frame.columns:
        return frame
    table = pl.DataFrame(
        {"point_id": list(names), "configuration": list(names.values())}, schema={"point_id": pl.String, "configuration": pl.String}
    )
    told = ("prompt", "model_variant") if frame["model_variant"].n_unique() > 1 else ("prompt",)
    shared = [pl.col(c) for c in told if c in frame.columns]
    fallback = pl.concat_str(shared, separator=" · ", ignore_nulls=True) if shared else pl.lit("")
    return frame.join(table, on="point_id", how="left", maintain_order="left").with_columns(
        configuration=pl.coalesce("configuration", fallback)
    )
