"""Anytime measures, token elasticity and the reasoning-effort frontier as tables.

Lives here: the rows of out_anytime, and the builders of out_token_elasticity and
out_effort_frontier. Not here: the formulas (``isocost.curves.anytime``) and fitted curves.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

import numpy as np
import polars as pl

from isocost.axes.registry import find
from isocost.curves import anytime
from isocost.curves.base import Array
from isocost.curves.intervals import percentile_bounds
from isocost.frontier import pareto_mask, resample_counts
from isocost.schema.frames import conform, empty
from isocost.tables.frontiers.blocks import Block, cluster_labels, task_seed
from isocost.tables.outcomes.problem_rows import ProblemRows, strips
from isocost.tables.scaling.curves import Curve, curve_blocks, curve_unit, number
from isocost.tables.tallies import graded, tallies

# Outcomes whose draws are looked at together.
_STRIP = 2048
TOKEN_AXES = tuple(find(name).per_problem for name in ("prompt_tokens", "output_tokens"))
# The words of a quadrant, by the sign of the difference.
_QUALITY = {"better": 1, "worse": -1, "equal": 0}
_SPENDING = {"costlier": 1, "cheaper": -1, "equal": 0}


def anytime_rows(curves: list[Curve], confidence: float) -> list[dict[str, Any]]:
    """Rows of out_anytime, one a curve.

    Intervals keep the costs as measured and draw the accuracies.
    """
    rows = []
    for curve in curves:
        # Outcomes of one cost count as one point, with their mean accuracy.
        cost, place = np.unique(curve.cost, return_inverse=True)
        share = (place == np.arange(len(cost))[:, None]).astype(float)
        share /= share.sum(axis=1, keepdims=True)
        accuracy, draws = share @ curve.accuracy, curve.accuracy_draws @ share.T
        area = anytime.anytime_area(cost, accuracy)
        low = high = None
        if area is not None and curve.has_uncertainty:
            drawn = np.trapezoid(draws, np.log(cost), axis=1) / np.log(cost[-1] / cost[0])
            low, high = (
                number(float(end[0]))
                for end in percentile_bounds(drawn[None], confidence, curve.n_units)
            )
        rows.append(
            {
                **curve.key,
                "cost_low_end": number(cost[0]),
                "cost_high_end": number(cost[-1]),
                "cost_unit": curve_unit(curve.key["cost_axis"]),
                "anytime_accuracy": number(area),
                "anytime_accuracy_low": low,
                "anytime_accuracy_high": high,
                "anytime_accuracy_linear": number(
                    anytime.anytime_area(cost, accuracy, scale="linear")
                ),
                "anytime_score_uniform": number(anytime.anytime_score(cost, accuracy)),
                "anytime_score_linear": number(anytime.anytime_score(cost, accuracy, "linear")),
                "cumulative_regret": number(
                    anytime.cumulative_regret(cost, accuracy, float(cost[-1]))
                ),
                "budget_scaling": number(anytime.budget_scaling(cost, accuracy)),
                "budget_performance": number(anytime.budget_performance(accuracy)),
                "n_points": len(cost),
                "n_problems": curve.n_problems,
                "draws": len(draws) if curve.has_uncertainty else 0,
                "seed": curve.seed,
                "confidence": confidence,
            }
        )
    return rows


def build_token_elasticity(
    outcomes: pl.DataFrame,
    problems: pl.DataFrame | ProblemRows,
    *,
    draws: int = 200,
    seed: int = 0,
    clusters: pl.DataFrame | None = None,
    confidence: float = 0.95,
) -> pl.DataFrame:
    """out_token_elasticity: every outcome against the cheapest of its task and model variant.

    Args:
        outcomes: out_strategy_outcomes.
        problems: out_strategy_problems with the token columns.
        draws: bootstrap draws of problems, the same for both outcomes of a pair.
        seed: base seed, as in ``build_scaling``.
        clusters: optional problem_id and cluster_id.
        confidence: level of the intervals.
    """
    name = "out_token_elasticity"
    if not outcomes.height or any(axis not in problems.columns for axis in TOKEN_AXES):
        return empty(name)
    blocks = curve_blocks(
        outcomes, problems, list(TOKEN_AXES), draws=draws, seed=seed, clusters=clusters
    )
    frames = [frame for block in blocks for frame in _elasticity_frames(block, confidence)]
    return conform(pl.concat(frames) if frames else empty(name), name)


def _elasticity_frames(block: Block, confidence: float) -> list[pl.DataFrame]:
    """One frame per model variant.

    Its outcomes against the cheapest of them, under all draws at once.
    """
    weights = block.counts / block.counts.sum(axis=1, keepdims=True)
    spent, right = (np.empty(block.values.shape[0]) for _ in range(2))
    spent_draws, right_draws = (np.empty((len(weights), len(spent))) for _ in range(2))
    with block.values.open() as values, ExitStack() as stack:
        sides = [stack.enter_context(block.costs[axis].open()) for axis in TOKEN_AXES]
        for rows, some in strips(values, block.values.shape[1]):
            tokens = sum((side[rows] for side in sides), start=np.zeros_like(some))
            spent[rows], right[rows] = tokens @ block.weights, some @ block.weights
            spent_draws[:, rows], right_draws[:, rows] = weights @ tokens.T, weights @ some.T
    has_uncertainty = block.has_uncertainty
    shared = {
        "task": block.task,
        "n_problems": block.values.shape[1],
        "draws": len(block.counts) if has_uncertainty else 0,
        "seed": block.seed,
        "confidence": confidence,
    }
    frames = []
    outcomes = block.outcomes.with_row_index("row").filter(pl.Series(np.isfinite(spent)))
    for _, part in outcomes.partition_by(
        "model_variant", as_dict=True, maintain_order=True
    ).items():
        members = part["row"].to_numpy()
        base = int(members[np.lexsort((members, spent[members]))[0]])
        part, others = part.filter(pl.col("row") != base), members[members != base]
        if not len(others):
            continue
        pairs = [
            anytime.token_elasticity(
                float(right[base]), float(spent[base]), float(right[i]), float(spent[i])
            )
            for i in others
        ]
        columns = {
            "baseline_outcome_id": [block.outcomes["outcome_id"][base]] * len(others),
            "tokens_per_problem": _numbers(spent[others]),
            "tokens_ratio": _numbers(spent[others] / spent[base])
            if spent[base] > 0
            else [None] * len(others),
            "accuracy_gain": _numbers(right[others] - right[base]),
            "token_elasticity": [number(pair.elasticity) for pair in pairs],
            "arc_elasticity": [number(pair.arc) for pair in pairs],
            "quadrant": [pair.quadrant for pair in pairs],
            **_drawn_columns(
                right_draws,
                spent_draws,
                base,
                others,
                pairs,
                confidence,
                block.n_units if has_uncertainty else None,
            ),
        }
        schema = empty("out_token_elasticity").schema
        head = part.select(
            "outcome_id", "model_variant", "point_id", "prompt", "strategy", "budget"
        )
        made = [pl.Series(name, values, dtype=schema[name]) for name, values in columns.items()]
        literals = [pl.lit(value, dtype=schema[name]).alias(name) for name, value in shared.items()]
        frames.append(
            head.with_columns(*made, *literals).select(
                pl.col(name).cast(kind) for name, kind in schema.items()
            )
        )
    return frames


def _drawn_columns(
    right: Array,
    spent: Array,
    base: int,
    others: np.ndarray,
    pairs: list[anytime.TokenElasticity],
    confidence: float,
    units: int | None,
) -> dict[str, list[float | None]]:
    """Interval ends and stability of the quadrant, from the draws.

    Accuracies and tokens are (D, outcomes); None without draws.
    """
    names = (
        "accuracy_gain_low",
        "accuracy_gain_high",
        "token_elasticity_low",
        "token_elasticity_high",
        "quadrant_ratio",
    )
    if units is None:
        return {name: [None] * len(others) for name in names}
    if len(others) > _STRIP:
        parts = [
            _drawn_columns(
                right,
                spent,
                base,
                others[at : at + _STRIP],
                pairs[at : at + _STRIP],
                confidence,
                units,
            )
            for at in range(0, len(others), _STRIP)
        ]
        return {name: [value for part in parts for value in part[name]] for name in names}
    mine, theirs = right[:, others].T, spent[:, others].T
    gain, more = mine - right[:, base], theirs - spent[:, base]
    with np.errstate(divide="ignore", invalid="ignore"):
        elasticity = (mine / right[:, base] - 1.0) / (theirs / spent[:, base] - 1.0)
    # Undefined under a draw where nothing changes or the baseline solves nothing; everywhere where
    # it is undefined for the sample itself.
    elasticity = np.where(np.isfinite(elasticity), elasticity, np.nan)
    elasticity[[pair.elasticity is None for pair in pairs]] = np.nan
    ends = [
        *percentile_bounds(gain, confidence, units),
        *percentile_bounds(elasticity, confidence, units),
    ]
    quadrants = [pair.quadrant.split("_") for pair in pairs]
    same = _side(gain) == np.array([_QUALITY[quality] for quality, _ in quadrants])[:, None]
    same &= _side(more) == np.array([_SPENDING[cost] for _, cost in quadrants])[:, None]
    return {
        name: _numbers(values)
        for name, values in zip(names, [*ends, same.mean(axis=1)], strict=True)
    }


def _side(values: Array) -> np.ndarray:
    """1 above 0, -1 below it, 0 elsewhere."""
    return (values > 0).astype(np.int8) - (values < 0)


def _numbers(values: Array) -> list[float | None]:
    return [number(value) for value in values.tolist()]


def build_effort_frontier(
    samples: pl.DataFrame,
    *,
    counts: pl.DataFrame | None = None,
    clusters: pl.DataFrame | None = None,
    draws: int = 2000,
    seed: int = 0,
    confidence: float = 0.95,
) -> pl.DataFrame:
    """out_effort_frontier: accuracy against tokens and request rate for every effort.

    Args:
        samples: core_samples; invalid and ungraded samples are left out. Accuracy is the mean over
            problems of each problem's mean.
        counts: core_counts, which have no tokens; none if None.
        clusters: optional problem_id and cluster_id; clusters are resampled whole.
        draws: bootstrap draws of problems for the interval of E^3.
        seed: base seed, as in ``build_scaling``.
        confidence: level of the interval.
    """
    name = "out_effort_frontier"
    kept = graded(samples)
    key = ["task", "model_variant", "point_id", "prompt"]
    per_problem = kept.group_by(*key, "problem_id").agg(
        pl.col("worth").mean().alias("correct"),
        pl.col("output_tokens").cast(pl.Float64).mean(),
        pl.col("latency_s").mean(),
        (pl.col("finish_reason") == "length").cast(pl.Float64).mean().alias("length_ratio"),
        (pl.col("finish_reason") == "stop").cast(pl.Float64).mean().alias("budget_control"),
        pl.len().cast(pl.Int64).alias("n_samples"),
        pl.col("output_tokens").null_count().alias("n_without_tokens"),
    )
    if counts is not None:
        counted = tallies(samples.clear(), counts).select(
            *key, "problem_id", (pl.col("c") / pl.col("n")).alias("correct"), n_samples="n"
        )
        per_problem = pl.concat([per_problem, counted], how="diagonal")
    if not per_problem.height:
        return empty(name)
    per_problem = per_problem.sort(*key, "problem_id")
    scores = _e3_columns(per_problem, cluster_labels(clusters), draws, seed, confidence)
    efforts = (
        per_problem.group_by(key, maintain_order=True)
        .agg(
            pl.col("correct").mean().alias("accuracy"),
            pl.col("output_tokens").mean().alias("output_tokens_per_request"),
            (1.0 / pl.col("latency_s").mean()).alias("sequential_requests_per_s"),
            pl.col("length_ratio", "budget_control").mean(),
            pl.len().cast(pl.Int32).alias("n_problems"),
            pl.col("n_samples").sum().cast(pl.Int64),
        )
        .join(scores, on=["task", "point_id"], maintain_order="left")
    )
    rate = pl.when(pl.col("sequential_requests_per_s").is_finite()).then(
        pl.col("sequential_requests_per_s")
    )
    efforts = efforts.with_columns(rate.alias("sequential_requests_per_s")).with_columns(
        (pl.col("sequential_requests_per_s") * pl.col("accuracy")).alias("sequential_correct_per_s")
    )
    parts = [
        _effort_part(part)
        for part in efforts.partition_by(["task", "model_variant"], maintain_order=True)
    ]
    return conform(pl.concat(parts), name)


def _e3_columns(
    per_problem: pl.DataFrame, known: Mapping[str, str], draws: int, seed: int, confidence: float
) -> pl.DataFrame:
    """E^3 of each effort with its interval over problems, or why it is unknown.

    Args:
        per_problem: task, point_id, problem_id, correct, output_tokens, n_without_tokens.
        known: cluster of each problem that has one.
        draws: bootstrap draws.
        seed: base seed.
        confidence: level of the interval.
    """
    rows = []
    for (task, point_id), part in per_problem.group_by("task", "point_id", maintain_order=True):
        row: dict[str, Any] = {"task": task, "point_id": point_id}
        right, tokens = (part[name].to_numpy() for name in ("correct", "output_tokens"))
        if part["n_without_tokens"].sum() or part["output_tokens"].null_count():
            rows.append(row | {"e3_unknown_reason": "output_tokens_unknown"})
            continue
        if not tokens.sum() > 0:
            rows.append(row | {"e3_unknown_reason": "no_tokens_generated"})
            continue
        row["e3_per_token"] = number(float(anytime.e3_score(right.mean(), tokens.mean())))
        labels = [known.get(problem) or f"problem {problem}" for problem in part["problem_id"]]
        units = len(set(labels))
        if units > 1:
            counts = resample_counts(
                part.height, draws, task_seed(seed, str(task)), clusters=np.array(labels)
            )
            weights = counts / counts.sum(axis=1, keepdims=True)
            drawn = anytime.e3_score(weights @ right, weights @ tokens)
            row["e3_per_token_low"], row["e3_per_token_high"] = (
                number(float(end[0])) for end in percentile_bounds(drawn[None], confidence, units)
            )
        rows.append(row)
    schema = empty("out_effort_frontier").schema
    names = ("task", "point_id", *(name for name in schema if name.startswith("e3_")))
    return pl.DataFrame(rows, schema={name: schema[name] for name in names})


def _effort_part(part: pl.DataFrame) -> pl.DataFrame:
    """Add dominance and the token gain at equal accuracy.

    Among the efforts of one model on one task.
    """
    tokens, accuracy = part["output_tokens_per_request"].to_numpy(), part["accuracy"].to_numpy()
    known = np.isfinite(tokens) & (tokens > 0)
    on_frontier: list[bool | None] = [None] * part.height
    gains: list[float | None] = [None] * part.height
    for i, is_best in zip(
        np.flatnonzero(known),
        pareto_mask(tokens[known], accuracy[known]) if known.any() else [],
        strict=True,
    ):
        on_frontier[i] = bool(is_best)
        others = np.flatnonzero(known & (np.arange(part.height) != i))
        if len(others):
            others = others[pareto_mask(tokens[others], accuracy[others])]
            need = anytime.matched_accuracy_gain(
                1 / tokens[others],
                accuracy[others],
                [1 / tokens[i]],
                [accuracy[i]],
                float(accuracy[i]),
            )
            gains[i] = number(need)
    return part.with_columns(
        pl.Series("is_on_effort_frontier", on_frontier, dtype=pl.Boolean),
        pl.Series("token_gain_at_accuracy", gains, dtype=pl.Float64),
    )
