"""The tables of cards and of cost-of-pass.

Lives here: core_models, core_devices, core_prices, out_cost_of_pass. Not here: windows of energy
(``energy_windows``), runtime, power and request efficiency (``cost_efficiency``), the formulas
(``isocost.costs``).
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from isocost.axes.model import CostAxis
from isocost.axes.registry import all_axes
from isocost.costs import CardBook, CostOfPass, cost_of_pass_counts, load_book
from isocost.costs.pass_costs import ESTIMATORS, Estimator
from isocost.schema.frames import conform
from isocost.schema.registry import table
from isocost.schema.types import polars_schema
from isocost.tables.costs.total_ratios import draws_of, mean_interval, ratio_interval
from isocost.tables.tallies import NO_ENERGY, PARTIAL_CREDIT, graded

AXES = {axis.column: axis for axis in all_axes().values() if axis.is_cost_of_pass}
"""Columns of core_samples that an answer is priced by, with their axes."""
NO_COMMON_PROBLEMS = "the points of the task have no problem in common"
UNSOLVED = "a problem was not solved by any point and has no human baseline"
COST_UNKNOWN = "the cost of some samples is unknown"


def build_cards(book: CardBook | None = None) -> dict[str, pl.DataFrame]:
    """core_models, core_devices and core_prices from a card book.

    Args:
        book: the cards; the packaged ones when None.
    """
    cards = book or load_book()
    models = [_model_row(card) for card in cards.models.values()]
    devices = []
    for card in cards.devices.values():
        known = (
            card.peak_flops_per_s is not None
            and "bfloat16" in card.peak_flops_per_s
            and card.bandwidth_bytes_per_s is not None
        )
        devices.append(
            {
                "device_card": card.name,
                "card_source": card.source,
                "aliases": list(card.aliases),
                "peak_flops_per_s": None
                if card.peak_flops_per_s is None
                else json.dumps(card.peak_flops_per_s, sort_keys=True),
                "bandwidth_bytes_per_s": card.bandwidth_bytes_per_s,
                "memory_bytes": card.memory_bytes,
                "power_limit_w": card.power_limit_w,
                "intensity_bfloat16": card.intensity("bfloat16") if known else None,
            }
        )
    prices = [
        {
            "price_card": card.name,
            "card_source": card.source,
            "as_of": card.as_of.isoformat(),
            "input_usd_per_million_tokens": card.usd_per_million_input_tokens,
            "cached_input_usd_per_million_tokens": card.usd_per_million_cached_input_tokens,
            "output_usd_per_million_tokens": card.usd_per_million_output_tokens,
            "usd_per_device_hour": card.usd_per_device_hour,
            "device_card": card.device,
            "priced_model": card.model,
            "provider": card.provider,
        }
        for card in cards.prices.values()
    ]
    return {
        name: rows_to_table(rows, name)
        for name, rows in (
            ("core_devices", devices),
            ("core_models", models),
            ("core_prices", prices),
        )
    }


def _model_row(card: Any) -> dict[str, Any]:
    row = card.model_dump()
    row["model_card"], row["card_source"] = row.pop("name"), row.pop("source")
    return row | {
        "parameters_body": card.parameters_body,
        "kv_bytes_per_token": card.kv_bytes_per_token,
    }


def rows_to_table(rows: list[dict[str, Any]], name: str) -> pl.DataFrame:
    """Rows as a frame that conforms to a table; columns a row lacks are NULL."""
    return conform(pl.DataFrame(rows, schema=polars_schema(table(name)), orient="row"), name)


def build_cost_of_pass(
    core_samples: pl.DataFrame, book: CardBook | None = None, *, counts: pl.DataFrame | None = None
) -> pl.DataFrame:
    """out_cost_of_pass: every task, cost axis, estimator and point.

    Args:
        core_samples: rows of that table; valid graded ones count.
        book: human baselines; the packaged ones when None.
        counts: core_counts: points with unknown cost; none if None.

    Returns:
        Rows of out_cost_of_pass. A point with unknown cost on an axis has a row that states this,
        and is not part of the frontier.
    """
    cards = book or load_book()
    rows: list[dict[str, Any]] = []
    ordered = graded(core_samples).sort(
        "task", "point_id", "problem_id", "sample_index", maintain_order=True
    )
    for (task,), samples in ordered.group_by("task", maintain_order=True):
        for axis in AXES:
            rows += _axis_rows(str(task), axis, samples, cards)
    if counts is not None:
        uncosted = counts.unique(("task", "point_id"), keep="first", maintain_order=True).iter_rows(
            named=True
        )
        for row in uncosted:
            for column, axis in AXES.items():
                reason = COST_UNKNOWN if axis.own_reason is None else NO_ENERGY
                rows += [
                    _blank({**row, "cost_axis": column}, estimator, reason)
                    for estimator in ESTIMATORS
                ]
    return rows_to_table(rows, "out_cost_of_pass")


def _axis_rows(
    task: str, axis: str, samples: pl.DataFrame, cards: CardBook
) -> list[dict[str, Any]]:
    points = samples.group_by("point_id", maintain_order=True).agg(
        pl.col("model_variant").first(),
        pl.col(axis).null_count().alias("unknown"),
        pl.col("is_partial").any(),
        *_methods_and_reason(AXES[axis]),
    )
    # An answer of partial credit neither passes nor fails.
    known = points.filter((pl.col("unknown") == 0) & ~pl.col("is_partial"))
    methods = (
        known["methods"].explode(empty_as_null=False).unique().to_list()
        if AXES[axis].needs_method
        else []
    )
    heads = {
        row["point_id"]: {"task": task, "cost_axis": axis, **row}
        for row in points.iter_rows(named=True)
    }
    if len(methods) > 1:  # joules from different methods share no frontier
        known = known.head(0)
    rows = []
    for point_id, head in heads.items():
        if point_id not in set(known["point_id"]):
            reason = head.get("own_reason") or COST_UNKNOWN
            reason = (
                "the task's joules are from different methods"
                if len(methods) > 1 and not head["unknown"]
                else reason
            )
            reason = PARTIAL_CREDIT if head["is_partial"] and not head["unknown"] else reason
            rows += [_blank(head, estimator, reason) for estimator in ESTIMATORS]
    if known.height:
        part = samples.filter(pl.col("point_id").is_in(known["point_id"].to_list()))
        rows += _known_rows(task, axis, part, heads, methods[0] if methods else None, cards)
    return rows


def _methods_and_reason(axis: CostAxis) -> list[pl.Expr]:
    """The methods of a point's joules and why they are unknown; nothing for other axes."""
    methods = [pl.col(axis.method).unique().sort().alias("methods")] if axis.needs_method else []
    own = axis.own_reason
    return methods + (
        [] if own is None else [pl.col(own.name).drop_nulls().first().alias("own_reason")]
    )


def _blank(head: dict[str, Any], estimator: str, reason: str) -> dict[str, Any]:
    keys = ("task", "cost_axis", "point_id", "model_variant")
    return {**{k: head[k] for k in keys}, "estimator": estimator, "unknown_reason": reason}


def _known_rows(
    task: str,
    axis: str,
    samples: pl.DataFrame,
    heads: dict[str, dict[str, Any]],
    method: str | None,
    cards: CardBook,
) -> list[dict[str, Any]]:
    cells = samples.group_by("point_id", "problem_id", maintain_order=True).agg(
        pl.len().alias("n"),
        pl.col("correct").sum().alias("c"),
        pl.col(axis).cast(pl.Float64).mean().alias("cost"),
    )
    points = cells["point_id"].unique(maintain_order=True).to_list()
    common = (
        cells.group_by("problem_id")
        .agg(pl.len().alias("points"))
        .filter(pl.col("points") == len(points))["problem_id"]
        .sort()
    )
    if common.is_empty():
        return [_blank(heads[p], e, NO_COMMON_PROBLEMS) for p in points for e in ESTIMATORS]
    grid = cells.filter(pl.col("problem_id").is_in(common.to_list())).sort("point_id", "problem_id")
    shape = (len(points), len(common))
    points = grid["point_id"].unique(maintain_order=True).to_list()
    cost, c, n = (
        grid[name].to_numpy().reshape(shape).astype(np.float64) for name in ("cost", "c", "n")
    )
    human = (
        cards.baselines[task].usd_per_problem
        if axis == "cost_usd" and task in cards.baselines
        else None
    )
    rows = []
    for estimator in ESTIMATORS:
        result = cost_of_pass_counts(cost, c, n, human, estimator=estimator)
        shared = _shares(result, c)
        weights = draws_of(shape[1])
        shared_ends = (
            {}
            if weights is None
            else _ends("frontier_value", mean_interval(result.frontier, weights))
        )
        for index, point_id in enumerate(points):
            rows.append(
                {k: heads[point_id][k] for k in ("task", "cost_axis", "point_id", "model_variant")}
                | _values(result, index, cost, c, n, shared, estimator)
                | _intervals(result, index, cost * n, c, weights)
                | shared_ends
                | {"human_baseline_usd": human, "energy_method": method}
            )
    return rows


def _shares(result: CostOfPass, correct: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Share of the solved problems on which each point is cheapest.

    Ties shared equally; None where nothing is solved.
    """
    solved = correct.sum(axis=0) > 0
    if not solved.any():
        return None
    costs = np.where(correct > 0, result.per_model, np.inf)[:, solved]
    best = costs == costs.min(axis=0)
    return (best / best.sum(axis=0)).mean(axis=1)


def _values(
    result: CostOfPass,
    index: int,
    cost: NDArray[np.float64],
    c: NDArray[np.float64],
    n: NDArray[np.float64],
    shares: NDArray[np.float64] | None,
    estimator: Estimator,
) -> dict[str, Any]:
    solved = c.sum(axis=0) > 0
    correct = float(c[index].sum())
    human = float(result.baseline[0])
    return {
        "estimator": estimator,
        "n_problems": int(solved.size),
        "problems_solved": int((c[index] > 0).sum()),
        "problems_unsolved_by_all": int((~solved).sum()),
        "attempt_cost": float((cost[index] * n[index]).sum() / n[index].sum()),
        "cost_of_pass": _finite(result.per_model[index].mean()),
        "cost_per_correct": float((cost[index] * n[index]).sum()) / correct if correct else None,
        "frontier_value": _finite(result.value),
        "frontier_value_solved": _finite(result.frontier[solved].mean()) if solved.any() else None,
        "frontier_share_ratio": None if shares is None else float(shares[index]),
        "essentialness_ratio": _finite(result.essentialness[index]),
        "gain_usd": human - result.value
        if np.isfinite(human) and np.isfinite(result.value)
        else None,
        "unknown_reason": None if np.isfinite(result.value) else UNSOLVED,
    }


def _intervals(
    result: CostOfPass,
    index: int,
    spent: NDArray[np.float64],
    correct: NDArray[np.float64],
    weights: NDArray[np.float64] | None,
) -> dict[str, Any]:
    """Percentiles over resampled problems (Erol et al. 2025, version 2)."""
    if weights is None:
        return {}
    found = {
        "cost_of_pass": mean_interval(result.per_model[index], weights),
        "cost_per_correct": ratio_interval(spent[index], correct[index], weights),
    }
    ends = {
        column: value for name, pair in found.items() for column, value in _ends(name, pair).items()
    }
    return ends | {"interval_draws": len(weights)}


def _ends(name: str, pair: tuple[float, float]) -> dict[str, float | None]:
    return {
        f"{name}_{end}": _finite(value) for end, value in zip(("low", "high"), pair, strict=True)
    }


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
