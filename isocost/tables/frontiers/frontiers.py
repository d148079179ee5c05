"""Frontier tables from outcomes and their problems.

Lives here: out_frontier_points, out_frontiers, out_frontier_attainment; frames in, frames out. Not
here: numerics (``isocost.frontier``), the reading of frames into matrices (``frontier_blocks``),
two costs at once (``joint_frontiers``), out_comparisons' pairs (``comparisons``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from isocost.errors import IsocostError
from isocost.frontier import (
    Replicates,
    attainment_levels,
    dpfr,
    duplicate_groups,
    exclusive_contributions,
    frontier_draws,
    frontier_margin,
    gaps,
    hull_quality,
    hypervolume,
    knee,
    pareto_mask,
    score_interval,
    snap,
    stratified_score_interval,
    strip_replicates,
    tiles,
    upper_hull,
)
from isocost.memory import DrawsAside, Floats
from isocost.schema.frames import conform, empty
from isocost.schema.tables.frontiers import is_mean
from isocost.tables.frontiers.blocks import (
    IDENTITY,
    Block,
    cost_axes,
    cost_unit,
    known_replicates,
    task_blocks,
    with_configuration,
)
from isocost.tables.frontiers.comparisons import (
    compare_frontier_outcomes,
    compare_single_samples,
    on_frontier,
)
from isocost.tables.frontiers.joint import TABLE_NAMES as JOINT
from isocost.tables.frontiers.joint import joint_frames
from isocost.tables.frontiers.task_means import task_means
from isocost.tables.outcomes.problem_rows import ProblemRows, strips

TABLE_NAMES = (
    "out_frontier_points",
    "out_frontiers",
    "out_frontier_attainment",
    *JOINT,
    "out_comparisons",
    "out_task_means",
)
CONFIDENCE = 0.95
# Means of the same numbers in a different order differ by up to this; anything closer is equal.
ROUNDING = 1e-12
RULE = (
    "dominated if another outcome is at most as expensive, at least as accurate and better in one "
    "of the two; equal within 1e-12 relative; duplicates all kept"
)
LEVELS = (0.05, 0.5, 0.95)
MOST_COPIES = 16
GRID = 40
# Two-sided 95 % for the interval of the margin, one-sided 95 % for the two flags.
TAILS = (0.025, 0.05)
# NULL if a task has a single problem or cluster: one unit shows no spread.
UNCERTAIN = (
    "cost_low",
    "cost_high",
    "accuracy_low",
    "accuracy_high",
    "accuracy_se",
    "interval_method",
    "frontier_probability",
    "is_on_conservative_frontier",
    "is_on_optimistic_frontier",
    "frontier_margin_low",
    "frontier_margin_high",
)


def build_frontiers(
    outcomes: pl.DataFrame,
    problems: pl.DataFrame | ProblemRows,
    *,
    draws: int = 2000,
    seed: int = 0,
    points: pl.DataFrame | None = None,
    clusters: pl.DataFrame | None = None,
    only_over_tasks: bool = False,
) -> dict[str, pl.DataFrame]:
    """Like `frontier_frames`, with all rows of each table in one frame.

    Returns:
        Conforming frames by table name; without rows where there is nothing to compare.
    """
    found: dict[str, list[pl.DataFrame]] = {name: [] for name in TABLE_NAMES}
    for name, frame in frontier_frames(
        outcomes,
        problems,
        draws=draws,
        seed=seed,
        points=points,
        clusters=clusters,
        only_over_tasks=only_over_tasks,
    ):
        found[name].append(frame)
    return {
        name: conform(pl.concat(frames, how="vertical_relaxed"), name) if frames else empty(name)
        for name, frames in found.items()
    }


def frontier_frames(
    outcomes: pl.DataFrame,
    problems: pl.DataFrame | ProblemRows,
    *,
    draws: int = 2000,
    seed: int = 0,
    points: pl.DataFrame | None = None,
    clusters: pl.DataFrame | None = None,
    only_over_tasks: bool = False,
) -> Iterator[tuple[str, pl.DataFrame]]:
    """Compute the frontier of every task, and of the means over tasks, on every cost axis.

    There is a frontier of policies and, where a task has strategies that need to know what is
    correct, one that includes them. Metrics are on none. All outcomes of a task share one bootstrap
    of problems on all registered axes whose column both frames have. Left out and counted in
    out_frontiers: outcomes with an undefined accuracy, outcomes judged on other problems than most
    of their task, and, per axis, outcomes with an unknown cost.

    Args:
        outcomes: out_strategy_outcomes; needs outcome_id, task, strategy and the cost columns.
        problems: out_strategy_problems: outcome_id, problem_id, accuracy (expected correctness) and
            the cost columns. Given piece by piece only one of its columns is held at a time, and
            what does not fit into its workspace is laid aside.
        draws: bootstrap draws.
        seed: base seed; every task derives its own from it and its name.
        points: optional core_points; its settings then tell configurations apart, by name and for
            the means over tasks.
        clusters: optional problem_id and cluster_id, e.g. core_problems; clusters are resampled
            whole.
        only_over_tasks: leave the frontiers of single tasks out; their outcomes and problems are
            needed all the same.

    Yields:
        A table's name and some of its rows, not yet conformed: those of one task, kind and axis
        (two axes) where a table has these.

    Raises:
        IsocostError: a key repeats, a column is missing, an outcome has no problem rows, or a task
            has a single problem.
    """
    problems = ProblemRows.of(problems)
    places = _checked_places(outcomes, problems)
    outcomes = with_configuration(outcomes, points)
    if "strategy_kind" not in outcomes.columns:
        outcomes = outcomes.with_columns(pl.lit("policy").alias("strategy_kind"))
    axes = cost_axes(outcomes, problems)
    blocks = task_blocks(
        outcomes, problems, axes, draws=draws, seed=seed, clusters=clusters, places=places
    )
    means, told = task_means(blocks, axes)
    yield "out_task_means", told
    blocks = [] if only_over_tasks else blocks
    for block in (*blocks, *means):
        yield from _block_frames(block, axes)
    # If a task has oracles, that block also has configurations without banked answers: pass@1 is a
    # single sample, too.
    for block in {block.task: block for block in blocks if block.has_uncertainty}.values():
        yield "out_comparisons", compare_single_samples(block, CONFIDENCE)


def _block_frames(block: Block, axes: list[str]) -> Iterator[tuple[str, pl.DataFrame]]:
    """All rows of one block."""
    with block.workspace.means((block.values.shape[0], len(block.counts))) as room:
        quality, standing = _Quality(block, room), []
        for axis in axes:  # one at a time: a view holds the costs of every outcome in every draw
            for name, frame in _axis_frames(block, axis, quality):
                if name == "out_frontier_points":
                    standing.append(on_frontier(frame))
                yield name, frame
        yield from joint_frames(block, quality.drawn)
    if block.has_uncertainty and standing and block.kind == "policy" and not is_mean(block.task):
        yield "out_comparisons", compare_frontier_outcomes(block, pl.concat(standing), CONFIDENCE)


def _axis_frames(block: Block, axis: str, quality: _Quality) -> Iterator[tuple[str, pl.DataFrame]]:
    """All rows of one block on one axis; none where no outcome has a cost there."""
    with known_replicates(block, axis, CONFIDENCE) as (included, prices):
        picture = _picture(block, axis, quality, included, prices) if included.size else None
    if picture is None:
        return
    yield "out_frontier_points", _points_frame(block, picture)
    yield "out_frontiers", _frontier_row(block, picture)
    if picture.attained is not None:
        yield "out_frontier_attainment", _attainment_frame(block, picture, *picture.attained)


def _checked_places(outcomes: pl.DataFrame, problems: ProblemRows) -> pl.DataFrame:
    """The row positions of the outcomes."""
    for name, frame, needed in (
        (
            "out_strategy_outcomes",
            outcomes,
            ("outcome_id", "task", "strategy", "budget", "model_variant"),
        ),
        ("out_strategy_problems", problems, ("outcome_id", "problem_id", "accuracy")),
    ):
        missing = [column for column in needed if column not in frame.columns]
        if missing:
            raise IsocostError(
                f"column {missing[0]} is missing",
                where=name,
                remedy="See docs/data-dictionary.md for the table's columns",
            )
    doubled = outcomes.filter(pl.col("outcome_id").is_duplicated())
    if doubled.height:
        raise IsocostError(
            "the outcome comes more than once",
            where=f"out_strategy_outcomes {doubled['outcome_id'][0]}",
        )
    places = problems.places(outcomes["outcome_id"])
    orphans = outcomes.join(places, on="outcome_id", how="anti")
    if orphans.height:
        raise IsocostError(
            f"{orphans.height} outcomes have no problem rows",
            where=f"out_strategy_outcomes {orphans['outcome_id'].sort()[0]}",
            remedy="Rebuild out_strategy_problems together with out_strategy_outcomes.",
        )
    return places


@dataclass(frozen=True)
class _Picture:
    """Everything that is known of one block on one cost axis.

    Arrays over the included outcomes, ``attained`` over a grid of budgets.
    """

    axis: str
    included: np.ndarray
    cost: np.ndarray
    accuracy: np.ndarray
    cost_low: np.ndarray
    cost_high: np.ndarray
    judged: tuple[np.ndarray, np.ndarray, np.ndarray, str]
    bounds: tuple[np.ndarray, np.ndarray]
    possible: np.ndarray
    member: np.ndarray
    on: np.ndarray
    hull: np.ndarray
    scale: str
    reference: tuple[float, float]
    ideal: tuple[float, float]
    attained: tuple[np.ndarray, np.ndarray] | None = None

    def scaled(self, cost: np.ndarray | float) -> np.ndarray:
        return np.log10(cost) if self.scale == "log10" else np.asarray(cost, dtype=np.float64)


class _Quality:
    """What all axes of a block share.

    Means of the values in every draw, and the intervals of accuracy.
    """

    def __init__(self, block: Block, room: Floats | DrawsAside) -> None:
        self.block = block
        outcomes, problems = block.values.shape
        self._is_share = np.empty(outcomes, dtype=bool)
        self._score = np.empty((2, outcomes))
        with block.values.open() as values:
            self.drawn = strip_replicates(
                self._looked_at(strips(values, problems)),
                outcomes,
                block.counts,
                block.weights,
                room=room,
                confidence=CONFIDENCE,
            )
        assert self.drawn.spread is not None
        self._percentile, self.se = self.drawn.spread[:2], self.drawn.spread[2]

    def _looked_at(self, found: Iterator[tuple[slice, np.ndarray]]) -> Iterator[np.ndarray]:
        """Strips of the values, with the score intervals taken on the way."""
        for rows, values in found:
            shares = ((values >= 0) & (values <= 1)).all(axis=1)
            self._is_share[rows] = shares
            if self.block.has_uncertainty and shares.any():
                self._score[:, rows.start + np.flatnonzero(shares)] = self._scores(values[shares])
            yield values

    def _scores(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        block = self.block
        if not block.strata:
            return score_interval(values, CONFIDENCE, clusters=block.clusters)
        parts = [values[:, columns] for columns, _, _ in block.strata]
        shares = [float(block.weights[columns].sum()) for columns, _, _ in block.strata]
        return stratified_score_interval(
            parts, shares, CONFIDENCE, clusters=[clusters for _, clusters, _ in block.strata]
        )

    def intervals(self, included: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, str]:
        """Low end, high end and standard error of accuracies, and the interval's name.

        Of some outcomes.
        """
        copy_of = self.drawn.copy_of[included]
        if self.block.has_uncertainty and self._is_share[included].all():
            low, high = self._score[:, included]
            return (
                low,
                high,
                self.se[copy_of],
                "score_stratified" if self.block.strata else "score_effective",
            )
        low, high = (each[copy_of] for each in self._percentile)
        return low, high, self.se[copy_of], "bootstrap_percentile"


def _picture(
    block: Block, axis: str, quality: _Quality, included: np.ndarray, prices: Replicates
) -> _Picture:
    drawn = quality.drawn.take(included)
    # The means of both and the margins of every outcome in the draws of a tile are needed at the
    # same time, and a tenth of all margins.
    width = next(tiles(included.size, len(block.counts))).stop
    size = (
        (len(drawn.means) + len(prices.means) + 2 * included.size) * width
        + included.size * len(block.counts) // 10
    ) * 8
    block.workspace.refuse_beyond(
        size,
        f"{included.size:,} outcomes and {len(block.counts):,} draws of task {block.task} on"
        f" {axis}",
    )
    cost, accuracy = (
        snap(side.center(block.weights)[side.copy_of], ROUNDING) for side in (prices, drawn)
    )
    if (cost < 0).any():
        raise IsocostError(
            f"a cost on {axis} is negative",
            where=f"out_strategy_problems, task {block.task}",
            remedy="Costs are 0 or more.",
        )
    assert prices.spread is not None
    low, high = prices.spread[:2, prices.copy_of]
    place = frontier_draws(drawn, prices, tails=TAILS, weights=block.weights)
    hull = np.zeros(len(cost), dtype=bool)
    hull[upper_hull(cost, accuracy)] = True
    groups = duplicate_groups(cost, accuracy)
    positive = bool((cost > 0).all())
    picture = _Picture(
        axis=axis,
        included=included,
        cost=cost,
        accuracy=accuracy,
        cost_low=np.minimum(low, cost),
        cost_high=np.maximum(high, cost),
        judged=quality.intervals(included),
        bounds=(place.low, place.high),
        possible=(place.high[1] > 0) & ~_matched_cheaper(drawn.copy_of, cost),
        member=place.membership,
        on=pareto_mask(cost, accuracy),
        hull=np.isin(groups, groups[hull]),
        scale="log10" if positive else "linear",
        reference=(_power_above(float(cost.max())), 0.0),
        ideal=(10.0 ** np.floor(np.log10(cost.min())) if positive else 0.0, 1.0),
    )
    return (
        replace(picture, attained=_attainment(picture, drawn, prices))
        if block.has_uncertainty
        else picture
    )


def _matched_cheaper(copy_of: np.ndarray, cost: np.ndarray) -> np.ndarray:
    """Outcomes that a cheaper one equals on every problem.

    They are dominated in all draws.
    """
    cheapest = np.full(int(copy_of.max()) + 1, np.inf)
    np.minimum.at(cheapest, copy_of, cost)
    return cheapest[copy_of] < cost


def _power_above(cost: float) -> float:
    """The first power of ten above a cost: a reference that stays put while outcomes are added."""
    return float(10.0 ** (np.floor(np.log10(cost)) + 1)) if cost > 0 else 1.0


def _points_frame(block: Block, picture: _Picture) -> pl.DataFrame:
    cost, accuracy = picture.cost, picture.accuracy
    low, high, se, method = picture.judged
    low, high = np.minimum(low, accuracy), np.maximum(high, accuracy)
    lower, upper = picture.bounds
    far = gaps(cost, accuracy)
    both = np.column_stack([_unit(accuracy), 1 - _unit(picture.scaled(cost))])
    groups = duplicate_groups(cost, accuracy)
    _, first = np.unique(groups, return_index=True)
    gain = exclusive_contributions(
        picture.scaled(cost[first]), accuracy[first], _corner(picture, picture.reference)
    )
    bend = knee(cost, accuracy, log_cost=picture.scale == "log10")
    outcomes = block.outcomes[picture.included]
    # Groups are numbered densely, so that a group's number is its place after sorting.
    grouped = (
        outcomes.select("outcome_id", group=pl.Series(groups))
        .group_by("group", maintain_order=True)
        .agg("outcome_id")
        .sort("group")
    )
    firsts = grouped["outcome_id"].list.first().gather(groups)
    # Every member of a small group lists all of it; in a large one only the first does, because n
    # members would store n x n names.
    told = outcomes["outcome_id"] == firsts
    told |= grouped["outcome_id"].list.len().gather(groups) <= MOST_COPIES
    held = outcomes.select(group=pl.Series(groups), told=told).with_columns(
        pl.when("told").then("group").otherwise(grouped.height).alias("place")
    )
    none = pl.Series([[]], dtype=pl.List(pl.String))
    copies = pl.concat([grouped["outcome_id"], none]).gather(held["place"])
    drawn = {
        "cost": cost,
        "cost_low": picture.cost_low,
        "cost_high": picture.cost_high,
        "accuracy": accuracy,
        "accuracy_low": low,
        "accuracy_high": high,
        "accuracy_se": se,
        "is_on_frontier": picture.on,
        "frontier_probability": picture.member,
        "is_on_conservative_frontier": lower[1] > 0,
        "is_on_optimistic_frontier": picture.possible,
        "is_on_hull": picture.hull,
        "frontier_margin": frontier_margin(cost, accuracy),
        "frontier_margin_low": lower[0],
        "frontier_margin_high": upper[0],
        "cost_over_frontier": far.cost_ratio,
        "accuracy_gap": far.quality_gap,
        "hull_accuracy_gap": np.maximum(hull_quality(cost, accuracy, cost) - accuracy, 0.0),
        "frontier_distance": far.distance,
        "dpfr": dpfr(both),
        "dpfr_interpolated": dpfr(both, interpolated=True),
        "hypervolume_contribution": gain[groups],
        "is_knee": groups == (-1 if bend.index is None else groups[bend.index]),
        "duplicate_of_outcome_id": firsts,
        "duplicate_outcome_ids": copies,
    }
    # Undefined numbers become NULL; where and why is in each column's meaning.
    nullable = (
        "frontier_margin",
        "frontier_margin_low",
        "frontier_margin_high",
        "cost_over_frontier",
    )
    columns = outcomes.select(*IDENTITY, "member_outcome_ids")
    blank = () if block.has_uncertainty else UNCERTAIN
    return _headed(
        columns.with_columns(
            **{name: pl.Series(values, strict=False) for name, values in drawn.items()}
        )
        .with_columns(
            pl.when(pl.col(name).is_finite()).then(pl.col(name)).alias(name) for name in nullable
        )
        .with_columns(pl.lit(method).alias("interval_method"))
        .with_columns(pl.when(False).then(pl.col(name)).alias(name) for name in blank),
        block,
        picture.axis,
    ).with_columns(*_draw_columns(block))


def _unit(values: np.ndarray) -> np.ndarray:
    return (values - values.min()) / (np.ptp(values) or 1.0)


def _corner(picture: _Picture, corner: tuple[float, float]) -> list[float]:
    return [float(picture.scaled(corner[0])), corner[1]]


def _headed(frame: pl.DataFrame, block: Block, axis: str) -> pl.DataFrame:
    return frame.with_columns(
        pl.lit(block.task).alias("task"),
        pl.concat_list([pl.lit(task) for task in block.tasks]).alias("tasks"),
        pl.lit(block.kind).alias("frontier_kind"),
        pl.lit("accuracy").alias("quality_measure"),
        pl.lit(axis).alias("cost_axis"),
        pl.lit(cost_unit(axis)).alias("cost_unit"),
    )


def _draw_columns(block: Block) -> list[pl.Expr]:
    numbers = {
        "n_problems": len(block.weights),
        "n_units": block.n_units,
        "draws": len(block.counts),
        "seed": block.seed,
    }
    return [
        *(pl.lit(value).alias(name) for name, value in numbers.items()),
        pl.lit(CONFIDENCE).alias("confidence"),
    ]


def _frontier_row(block: Block, picture: _Picture) -> pl.DataFrame:
    cost, accuracy = picture.cost, picture.accuracy
    reference, ideal = _corner(picture, picture.reference), _corner(picture, picture.ideal)
    volume = hypervolume(picture.scaled(cost), accuracy, reference)
    bend = knee(cost, accuracy, log_cost=picture.scale == "log10")
    ids = block.outcomes["outcome_id"]
    row = {
        "n_outcomes": block.n_outcomes,
        "n_excluded_other_kind": block.n_other_kind,
        "n_included": len(cost),
        "n_excluded_unknown_accuracy": block.n_unknown_accuracy,
        "n_excluded_other_problems": block.n_other_problems,
        "n_excluded_unknown_cost": len(ids) - len(cost),
        "n_frontier": int(pareto_mask(cost, accuracy, duplicates="first").sum()),
        "n_hull": len(upper_hull(cost, accuracy)),
        "n_possible": int(picture.possible.sum()) if block.has_uncertainty else None,
        "dominance_rule": RULE,
        "hypervolume": volume,
        "hypervolume_ratio": volume / ((reference[0] - ideal[0]) * (ideal[1] - reference[1])),
        "hypervolume_cost_scale": picture.scale,
        "reference_cost": picture.reference[0],
        "reference_accuracy": picture.reference[1],
        "ideal_cost": float(picture.ideal[0]),
        "ideal_accuracy": picture.ideal[1],
        "knee_outcome_id": None if bend.index is None else ids[int(picture.included[bend.index])],
        "knee_cost": bend.cost,
        "knee_accuracy": bend.quality,
        "knee_strength": bend.strength,
        "knee_rule": bend.rule,
        "knee_reason": bend.reason or None,
    }
    kinds = {
        "knee_outcome_id": pl.String,
        "knee_reason": pl.String,
        "n_possible": pl.Int32,
        "n_excluded_other_kind": pl.Int32,
    }
    kinds |= dict.fromkeys(("knee_cost", "knee_accuracy", "knee_strength"), pl.Float64)
    frame = pl.DataFrame([row], schema_overrides=kinds)
    return _headed(frame, block, picture.axis).with_columns(*_draw_columns(block))


def _attainment(
    picture: _Picture, quality: Replicates, prices: Replicates
) -> tuple[np.ndarray, np.ndarray]:
    """Budgets from the cheapest on the frontier to the most expensive that may be on it.

    And what they attain at every level.
    """
    # Outcomes that are on no draw's frontier cannot change the attainment of a draw.
    alive = np.flatnonzero(picture.member > 0)
    on = np.unique(picture.cost[picture.on])
    low, high = on[0], max(on[-1], float(picture.cost_high[alive].max()))
    between = np.geomspace(low, high, GRID) if low > 0 else np.linspace(low, high, GRID)
    grid = np.unique(np.concatenate([on, between[1:-1], [high]]))
    return grid, attainment_levels(quality.take(alive), prices.take(alive), grid, levels=LEVELS)


def _attainment_frame(
    block: Block, picture: _Picture, grid: np.ndarray, curves: np.ndarray
) -> pl.DataFrame:
    frame = pl.DataFrame(
        {
            "attained_ratio": np.repeat(LEVELS, len(grid)),
            "cost": np.tile(grid, len(LEVELS)),
            "accuracy": pl.Series(curves.ravel()).fill_nan(None),
        }
    )
    drawn = [
        expression
        for expression in _draw_columns(block)
        if expression.meta.output_name() in ("draws", "seed")
    ]
    return _headed(frame, block, picture.axis).with_columns(*drawn)
