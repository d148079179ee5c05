"""Frontiers of accuracy and two costs at once.

Lives here: which two costs are looked at together and why, out_joint_frontier_points and
out_joint_frontiers of one block. Not here: frontiers of one cost
(``isocost.tables.frontiers.frontiers``), numerics (``isocost.frontier``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from isocost.frontier import (
    Replicates,
    duplicate_groups,
    exclusive_contributions,
    hypervolume,
    joint_membership,
    pareto_mask,
    snap,
)
from isocost.schema.frames import empty
from isocost.tables.frontiers.blocks import Block, cost_unit, known_replicates

TABLE_NAMES = ("out_joint_frontier_points", "out_joint_frontiers")
# Means of the same numbers in a different order differ by up to this; anything closer is equal.
ROUNDING = 1e-12
_LATENCY = "latency_parallel_s_per_problem"
# Pairs of costs that pull apart: with parallel samples one buys accuracy with money, energy or
# work, and hardly with waiting. Costs that rise together (sequential time with tokens, say) have
# one frontier, and it is in out_frontiers.
COST_PAIRS = (
    (
        "output_tokens_per_problem",
        _LATENCY,
        "Generated tokens versus latency: known whenever time is.",
    ),
    (
        "energy_j_per_problem",
        _LATENCY,
        "Energy versus latency: parallel samples cost energy, not time.",
    ),
    (
        "cost_usd_per_problem",
        _LATENCY,
        "Price versus latency: a cheap model may be slow, a fast one expensive.",
    ),
    (
        "flops_per_problem",
        _LATENCY,
        (
            "Arithmetic against the wait: free of the machine's load, where energy and price are"
            " unknown."
        ),
    ),
    (
        "energy_j_per_problem",
        "cost_usd_per_problem",
        "The provider's energy versus the customer's price.",
    ),
)


@dataclass(frozen=True)
class _View:
    """One block on two costs; arrays over the included outcomes."""

    axes: tuple[str, str]
    reason: str
    included: np.ndarray
    spent: tuple[Replicates, Replicates]
    accuracy: np.ndarray
    costs: np.ndarray
    scales: tuple[str, str]

    def scaled(self, costs: np.ndarray) -> np.ndarray:
        """Costs as the hypervolume measures them, shape (n, 2)."""
        return np.column_stack(
            [
                np.log10(c) if scale == "log10" else c
                for c, scale in zip(costs.T, self.scales, strict=True)
            ]
        )


def joint_frames(block: Block, quality: Replicates) -> Iterator[tuple[str, pl.DataFrame]]:
    """Rows of out_joint_frontier_points and out_joint_frontiers for every pair of costs.

    With the table's name.

    Args:
        block: one task (or the mean over tasks) and kind.
        quality: means of its values in its draws.
    """
    for (
        first,
        second,
        reason,
    ) in COST_PAIRS:  # one at a time: a view holds the means of both costs in every draw
        if first in block.costs and second in block.costs:
            with known_replicates(block, first) as one, known_replicates(block, second) as other:
                view = _view(block, (first, second), reason, quality, (one, other))
                if view is not None:
                    yield "out_joint_frontier_points", _points(block, view, quality)
                    yield "out_joint_frontiers", _summary(block, view)


_Known = tuple[np.ndarray, Replicates]


def _view(
    block: Block,
    axes: tuple[str, str],
    reason: str,
    quality: Replicates,
    known: tuple[_Known, _Known],
) -> _View | None:
    (first_known, first), (second_known, second) = known
    included = np.intersect1d(first_known, second_known, assume_unique=True)
    if included.size == 0:
        return None
    spent = (
        first.take(np.searchsorted(first_known, included)),
        second.take(np.searchsorted(second_known, included)),
    )
    costs = np.column_stack(
        [snap(each.center(block.weights)[each.copy_of], ROUNDING) for each in spent]
    )
    scales = tuple("log10" if (column > 0).all() else "linear" for column in costs.T)
    accuracy = snap(quality.center(block.weights)[quality.copy_of[included]], ROUNDING)
    return _View(axes, reason, included, spent, accuracy, costs, (scales[0], scales[1]))


def _points(block: Block, view: _View, quality: Replicates) -> pl.DataFrame:
    on = pareto_mask(view.costs, view.accuracy)
    groups = duplicate_groups(view.costs, view.accuracy)
    _, first = np.unique(groups, return_index=True)
    gain = exclusive_contributions(
        view.scaled(view.costs[first]), view.accuracy[first], _reference(view)
    )
    outcomes = block.outcomes[view.included]
    ids = outcomes["outcome_id"].to_list()
    probability: list[None] | np.ndarray = [None] * len(on)
    if block.has_uncertainty:
        probability = joint_membership(quality.take(view.included), *view.spent)
    head = {int(group): ids[int(row)] for group, row in zip(np.unique(groups), first, strict=True)}
    drawn = {
        "accuracy": view.accuracy,
        "first_cost": view.costs[:, 0],
        "second_cost": view.costs[:, 1],
        "is_on_frontier": on,
        "is_on_first_cost_frontier": pareto_mask(view.costs[:, 0], view.accuracy),
        "is_on_second_cost_frontier": pareto_mask(view.costs[:, 1], view.accuracy),
        "hypervolume_contribution": gain[groups],
        "duplicate_of_outcome_id": [head[int(group)] for group in groups],
        "frontier_probability": probability,
    }
    frame = outcomes.select(
        "outcome_id",
        "model_variant",
        "prompt",
        "point_id",
        "configuration",
        "strategy",
        "budget",
        "parameters",
    )
    series = [
        pl.Series(name, values, dtype=pl.Float64 if name == "frontier_probability" else None)
        for name, values in drawn.items()
    ]
    return _headed(frame.with_columns(series), block, view, "out_joint_frontier_points")


def _summary(block: Block, view: _View) -> pl.DataFrame:
    reference = _reference(view)
    positive = [scale == "log10" for scale in view.scales]
    low = [
        10.0 ** np.floor(np.log10(column.min())) if ok else 0.0
        for column, ok in zip(view.costs.T, positive, strict=True)
    ]
    ideal = [*view.scaled(np.array([low]))[0].tolist(), 1.0]
    volume = hypervolume(view.scaled(view.costs), view.accuracy, reference)
    box = float(np.prod([reference[0] - ideal[0], reference[1] - ideal[1], 1.0]))
    row = {
        "choice_reason": view.reason,
        "n_outcomes": block.n_outcomes,
        "n_included": len(view.included),
        "n_excluded_unknown_cost": block.outcomes.height - len(view.included),
        "n_frontier": int(pareto_mask(view.costs, view.accuracy, duplicates="first").sum()),
        "hypervolume": volume,
        "hypervolume_ratio": volume / box,
        "first_cost_scale": view.scales[0],
        "second_cost_scale": view.scales[1],
        "first_reference_cost": _power_above(view.costs[:, 0].max()),
        "second_reference_cost": _power_above(view.costs[:, 1].max()),
        "first_ideal_cost": float(low[0]),
        "second_ideal_cost": float(low[1]),
        "reference_accuracy": 0.0,
        "ideal_accuracy": 1.0,
    }
    return _headed(pl.DataFrame([row]), block, view, "out_joint_frontiers")


def _power_above(cost: float) -> float:
    """The first power of ten above a cost: a reference that stays put while outcomes are added."""
    return float(10.0 ** (np.floor(np.log10(cost)) + 1)) if cost > 0 else 1.0


def _reference(view: _View) -> list[float]:
    corner = np.array([[_power_above(column.max()) for column in view.costs.T]])
    return [*view.scaled(corner)[0].tolist(), 0.0]


def _headed(frame: pl.DataFrame, block: Block, view: _View, name: str) -> pl.DataFrame:
    head = {
        "task": block.task,
        "frontier_kind": block.kind,
        "quality_measure": "accuracy",
        "first_cost_axis": view.axes[0],
        "second_cost_axis": view.axes[1],
        "first_cost_unit": cost_unit(view.axes[0]),
        "second_cost_unit": cost_unit(view.axes[1]),
        "n_problems": len(block.weights),
        "n_units": block.n_units,
        "draws": len(block.counts),
        "seed": block.seed,
    }
    schema = empty(name).schema
    tasks = pl.concat_list([pl.lit(task) for task in block.tasks]).alias("tasks")
    return frame.with_columns(
        tasks, *(pl.lit(value).alias(column) for column, value in head.items())
    ).select(pl.col(c).cast(schema[c]) for c in schema)
