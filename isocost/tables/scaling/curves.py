"""From outcome frames to curves: points of every strategy on every axis, with draws.

Lives here: which outcomes form a curve, its identity, and the padded arrays in which all curves
are fitted together. Not here: the fits (``isocost.curves``) and the tables
(``isocost.tables.scaling.scaling``).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from isocost.curves.base import Array
from isocost.memory import Floats
from isocost.tables.frontiers.blocks import Block, cost_unit, task_blocks
from isocost.tables.outcomes.problem_rows import Matrix, ProblemRows, Stacked

# Strategies that continue until something stops them: their budget is a maximum number of rounds,
# which no cost column has.
SEQUENTIAL_STRATEGIES = ("retry_until_verified",)
ROUNDS_AXIS = "rounds_per_problem"
CURVE_COLUMNS = (
    "task",
    "model_variant",
    "point_id",
    "prompt",
    "strategy",
    "strategy_parameters",
    "cost_axis",
)


def curve_unit(cost_axis: str) -> str:
    """Unit of what a curve's x counts."""
    return "rounds" if cost_axis == ROUNDS_AXIS else cost_unit(cost_axis)


@dataclass(frozen=True)
class Curve:
    """One strategy of one configuration on one cost axis, its points in order of cost.

    Attributes:
        key: values of ``CURVE_COLUMNS`` and curve_id.
        outcome_ids: outcomes of the points.
        budgets: their budgets, None where unknown.
        cost: (N,) mean cost per problem, positive.
        accuracy: (N,) mean expected correctness.
        cost_draws: (D, N) costs under the bootstrap draws.
        accuracy_draws: (D, N) accuracies under them.
        n_excluded: points left out because their cost is unknown or not positive.
        n_problems: problems the points rest on.
        n_units: problems, or clusters of them, that were resampled.
        has_uncertainty: False where nothing could be resampled.
        seed: seed of the draws.
    """

    key: dict[str, Any]
    outcome_ids: list[str]
    budgets: list[float | None]
    cost: Array
    accuracy: Array
    cost_draws: Array
    accuracy_draws: Array
    n_excluded: int
    n_problems: int
    n_units: int
    has_uncertainty: bool
    seed: int


@dataclass(frozen=True)
class Padded:
    """Curves of different lengths side by side; a point of weight 0 is padding.

    Attributes:
        x: (C, N) cost.
        y: (C, N) accuracy.
        weight: (C, N) weights of the least-squares fits.
        x_draws: (C, D, N) costs under the draws.
        y_draws: (C, D, N) accuracies under the draws.
    """

    x: Array
    y: Array
    weight: Array
    x_draws: Array
    y_draws: Array


def curve_blocks(
    outcomes: pl.DataFrame,
    problems: pl.DataFrame | ProblemRows,
    axes: list[str],
    *,
    draws: int,
    seed: int,
    clusters: pl.DataFrame | None,
) -> list[Block]:
    """One block per task with its policies and oracles, on the frontier's draws.

    Metrics are not a way to answer and have no curve. Outcomes with an undefined accuracy, or on
    other problems than most of their task, are left out as in frontiers, whose table counts them.
    """
    if not outcomes.height:
        return []
    kept = (
        outcomes
        if "strategy_kind" not in outcomes.columns
        else outcomes.filter(pl.col("strategy_kind") != "metric")
    )
    return task_blocks(
        kept.with_columns(strategy_kind=pl.lit("policy")),
        problems,
        axes,
        draws=draws,
        seed=seed,
        clusters=clusters,
    )


def _whole(matrix: Matrix | Stacked) -> Floats:
    assert isinstance(matrix, Matrix), "`curve_blocks` are of single tasks"
    return matrix.whole()


def collect_curves(block: Block) -> list[Curve]:
    """All curves of one task with at least two different costs, ordered by identity.

    A curve is one strategy of one configuration with a growing budget. Outcomes of one strategy
    with the same budget differ in a parameter; then every set of parameters is a separate curve. A
    sequential strategy has one more curve, against its budget itself: maximum rounds, whereas all
    other axes have mean costs.
    """
    weights = block.counts.astype(np.float64)
    weights /= weights.sum(axis=1, keepdims=True)
    values = _whole(block.values)
    accuracy_draws = weights @ values.T
    accuracy = values @ block.weights
    curves, has_uncertainty = [], block.has_uncertainty
    with np.errstate(invalid="ignore"):
        read = ((axis, _whole(matrix)) for axis, matrix in sorted(block.costs.items()))
        priced = {axis: (snap(costs @ block.weights), weights @ costs.T) for axis, costs in read}
    caps = block.outcomes["budget"].to_numpy().astype(np.float64)
    rounds = {ROUNDS_AXIS: (caps, np.broadcast_to(caps, accuracy_draws.shape))}
    for key, rows in _groups(block.outcomes):
        for axis, (means, cost_draws) in (
            priced | (rounds if key["strategy"] in SEQUENTIAL_STRATEGIES else {})
        ).items():
            usable = rows[np.isfinite(means[rows]) & (means[rows] > 0)]
            if len(np.unique(means[usable])) < 2:
                continue
            order = usable[np.lexsort((usable, means[usable]))]
            names = {"task": block.task, **key, "cost_axis": axis}
            curves.append(
                Curve(
                    key={**names, "curve_id": curve_id(names)},
                    outcome_ids=block.outcomes["outcome_id"][order].to_list(),
                    budgets=block.outcomes["budget"][order].to_list(),
                    cost=means[order],
                    accuracy=accuracy[order],
                    cost_draws=cost_draws[:, order],
                    accuracy_draws=accuracy_draws[:, order],
                    n_excluded=len(rows) - len(usable),
                    n_problems=values.shape[1],
                    n_units=block.n_units,
                    has_uncertainty=has_uncertainty,
                    seed=block.seed,
                )
            )
    return curves


def to_12_digits(value: float) -> float:
    """A number without the last bits, in which machines differ."""
    return float(f"{value:.12g}")


def number(value: float | None) -> float | None:
    """A finite number to 12 digits, which hides the last bits in which machines differ.

    Else None.
    """
    return to_12_digits(value) if value is not None and np.isfinite(value) else None


def same_shapes(padded: Padded, curves: list[Curve]) -> tuple[np.ndarray, np.ndarray]:
    """Curves that differ by the unit of cost alone, so that one fit serves them all.

    k samples cost k times the tokens, FLOPs, joules and seconds of one: most axes of a strategy are
    the same curve in other units, under every draw.

    Returns:
        Row of the representative of every curve, and the curves that are representatives, in order.
    """
    seen: dict[tuple[Any, ...], int] = {}
    representative = np.empty(len(curves), dtype=int)
    for row, curve in enumerate(curves):
        size = len(curve.cost)
        relative = np.concatenate([padded.x[row, None, :size], padded.x_draws[row, :, :size]])
        relative = np.round(np.log(relative / relative[:, :1]), 8)
        names = tuple(curve.key[column] for column in CURVE_COLUMNS if column != "cost_axis")
        identity = (
            *names,
            tuple(curve.outcome_ids),
            hashlib.sha256((relative + 0.0).tobytes()).digest(),
        )
        representative[row] = seen.setdefault(identity, row)
    return representative, np.flatnonzero(representative == np.arange(len(curves)))


def snap(values: Array) -> Array:
    """Values to 12 digits, so that costs which differ by rounding error alone are one cost."""
    return np.array([float(f"{value:.12g}") for value in values])


def curve_id(names: dict[str, Any]) -> str:
    """Stable id of a curve from what names it."""
    text = json.dumps([names[column] for column in CURVE_COLUMNS], ensure_ascii=False)
    return "cv-" + hashlib.sha256(text.encode()).hexdigest()[:16]


def pad(curves: list[Curve]) -> Padded:
    """Stacks curves for a common fit.

    A point's weight is 1 / (variance + floor), the variance over the draws and the floor a quarter
    of the curve's median variance: points near 0 or 1 have next to no variance, and would else be
    the only ones that count.
    """
    size, draws = max(len(c.cost) for c in curves), len(curves[0].accuracy_draws)
    shape = (len(curves), size)
    x, y, weight = np.ones(shape), np.zeros(shape), np.zeros(shape)
    x_draws, y_draws = np.ones((len(curves), draws, size)), np.zeros((len(curves), draws, size))
    for row, curve in enumerate(curves):
        n = len(curve.cost)
        x[row, :n], y[row, :n] = curve.cost, curve.accuracy
        x_draws[row, :, :n], y_draws[row, :, :n] = curve.cost_draws, curve.accuracy_draws
        variance = curve.accuracy_draws.var(axis=0)
        floor = 0.25 * float(np.median(variance))
        weight[row, :n] = 1.0 / (variance + floor) if floor > 0 else 1.0
    return Padded(x, y, weight, x_draws, y_draws)


def _groups(outcomes: pl.DataFrame) -> list[tuple[dict[str, Any], np.ndarray]]:
    """Row numbers of the outcomes of each curve, with the curve's names but task and axis."""
    numbered = outcomes.with_row_index("row")
    found = []
    keys = ["model_variant", "point_id", "prompt", "strategy"]
    for values, part in numbered.partition_by(keys, as_dict=True, maintain_order=True).items():
        names = dict(zip(keys, values, strict=True))
        if part["budget"].is_duplicated().any():
            parts = part.partition_by("parameters", as_dict=True, maintain_order=True).items()
            found += [
                ({**names, "strategy_parameters": value[0]}, rows["row"].to_numpy())
                for value, rows in parts
            ]
        else:
            shared = part["parameters"].unique().to_list()
            found.append(
                (
                    {**names, "strategy_parameters": shared[0] if len(shared) == 1 else None},
                    part["row"].to_numpy(),
                )
            )
    return sorted(found, key=lambda item: json.dumps(item[0]))
