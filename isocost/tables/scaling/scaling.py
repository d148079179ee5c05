"""Scaling tables: every strategy's curve fitted, evaluated and inverted.

Lives here: ``build_scaling``, which turns outcomes into out_scaling_points, out_scaling_fits,
out_compute_targets and out_anytime. Not here: the numerics (``isocost.curves``), the collection of
points (``isocost.tables.scaling.curves``), compute-optimal allocation.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from isocost.axes.registry import find
from isocost.curves import BatchFit, Family, families, family, fit_many, saturation_budget
from isocost.curves.base import Array
from isocost.curves.extrapolation import decide, held_out_rmse, usable_criteria
from isocost.curves.fitting import STATUSES
from isocost.curves.intervals import percentile_bounds
from isocost.schema.frames import conform, empty
from isocost.tables.frontiers.blocks import cost_axes
from isocost.tables.outcomes.problem_rows import ProblemRows
from isocost.tables.scaling.anytime import anytime_rows
from isocost.tables.scaling.curves import (
    ROUNDS_AXIS,
    Curve,
    Padded,
    collect_curves,
    curve_blocks,
    curve_unit,
    number,
    pad,
    same_shapes,
)

CONFIDENCE = 0.95
INTERVAL_METHOD = "problem_bootstrap_expanded_percentile"
TARGETS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
# One sample more for one percentage point of accuracy: below it a further sample rarely pays on any
# axis.
SATURATION_EPSILON = 0.01
SAMPLES_AXIS = find("samples").per_problem
# Strategies with the probability that at least one of k samples is right as their accuracy: the
# beta-binomial families only model these.
COVERAGE_STRATEGIES = ("pass_at_k", "coverage")
TABLE_NAMES = ("out_scaling_points", "out_scaling_fits", "out_compute_targets", "out_anytime")
_GRID, _REACH, _BATCH_ROWS = 24, 8.0, 120_000
# A draw is one of hundreds in a percentile: residuals to one part in ten million are far below its
# noise.
_DRAW_TOLERANCE, _DRAW_ITERATIONS = 1e-7, 60


@dataclass(frozen=True)
class _Judged:
    """One family on the curves that it applies to.

    Central fits, fits under the draws, held-out errors.
    """

    model: Family
    rows: np.ndarray
    fits: BatchFit
    draws: list[BatchFit]
    score: Array
    criteria: Array
    last_error: Array


def build_scaling(
    outcomes: pl.DataFrame,
    problems: pl.DataFrame | ProblemRows,
    *,
    draws: int = 200,
    seed: int = 0,
    clusters: pl.DataFrame | None = None,
    targets: Sequence[float] = TARGETS,
) -> dict[str, pl.DataFrame]:
    """Fit every family to every curve, with intervals from a shared bootstrap of problems.

    Args:
        outcomes: out_strategy_outcomes.
        problems: out_strategy_problems: outcome_id, problem_id, accuracy (expected correctness) and
            the cost columns.
        draws: bootstrap draws; every family is refitted to every curve under each.
        seed: base seed; every task derives its own from it and its name, as the frontier does.
        clusters: optional problem_id and cluster_id, e.g. core_problems; clusters are resampled
            whole.
        targets: accuracies for out_compute_targets.

    Returns:
        Conforming frames by table name; without rows if no strategy has two budgets.

    Raises:
        IsocostError: a key repeats in ``problems`` or a column is missing.
    """
    axes = cost_axes(outcomes, problems)
    blocks = curve_blocks(outcomes, problems, axes, draws=draws, seed=seed, clusters=clusters)
    curves = [curve for block in blocks for curve in collect_curves(block)]
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLE_NAMES}
    size = max(1, _BATCH_ROWS // max(draws, 1))
    for begin in range(0, len(curves), size):
        for name, rows in _fitted_rows(curves[begin : begin + size], targets).items():
            found[name] += rows
    found["out_anytime"] = anytime_rows(curves, CONFIDENCE)
    return {name: conform(_frame(rows, name), name) for name, rows in found.items()}


def _frame(rows: list[dict[str, Any]], name: str) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=empty(name).schema) if rows else empty(name)


def applicable(curve: Curve) -> list[str]:
    """Families that can describe a curve.

    Those for any axis always; those with x counting samples only on the samples axis, and not for a
    policy that stops early, because no run draws its mean number of samples; those with x counting
    rounds if x is the budget of a sequential strategy.
    """
    strategy, budgets = curve.key["strategy"], np.array(curve.budgets, dtype=np.float64)
    unit = {SAMPLES_AXIS: "samples", ROUNDS_AXIS: "rounds"}.get(curve.key["cost_axis"])
    is_count = unit is not None and np.allclose(curve.cost, budgets, rtol=1e-9)
    names = []
    for name in families():
        wants_coverage = name in ("beta_binomial", "zero_inflated_beta_binomial")
        counts = is_count and family(name).axis == unit
        if family(name).axis == "any" or (
            counts and (not wants_coverage or strategy in COVERAGE_STRATEGIES)
        ):
            names.append(name)
    return names


def _fitted_rows(curves: list[Curve], targets: Sequence[float]) -> dict[str, list[dict[str, Any]]]:
    """Rows of three tables for one batch of curves."""
    padded = pad(curves)
    judged = _judge(curves, padded)
    rows: dict[str, list[dict[str, Any]]] = {
        "out_scaling_points": [],
        "out_scaling_fits": [],
        "out_compute_targets": [],
    }
    for index, curve in enumerate(curves):
        mine = [
            (one, int(np.flatnonzero(one.rows == index)[0])) for one in judged if index in one.rows
        ]
        models = [one.model for one, _ in mine]
        scores, bic = (
            np.array([one.score[at] for one, at in mine]),
            np.array([one.criteria[2, at] for one, at in mine]),
        )
        picked, method = decide(models, scores, bic)
        chosen = None if picked is None else models[picked].name
        shared = _shared(curve)
        trend = _trend(curve)
        rows["out_scaling_points"] += _measured_points(curve)
        for position, (one, at) in enumerate(mine):
            choice = {
                "chosen_family": chosen,
                "is_chosen": position == picked,
                "choice_method": method,
            }
            rows["out_scaling_fits"].append(
                {**shared, **_fit_row(one, at, curve), **choice, **trend}
            )
        if picked is not None:
            one, at = mine[picked]
            rows["out_scaling_points"] += _fitted_points(one, at, curve)
            rows["out_compute_targets"] += [
                {**shared, **row} for row in _target_rows(one, at, curve, targets)
            ]
    return rows


def _judge(curves: list[Curve], padded: Padded) -> list[_Judged]:
    """Fit every family to its curves and score it on held-out budgets.

    Centrally and under all draws in one call each.
    """
    representative, _ = same_shapes(padded, curves)
    judged, fitting = [], [applicable(curve) for curve in curves]
    for name in families():
        rows = np.array([i for i, names in enumerate(fitting) if name in names], dtype=int)
        if not len(rows):
            continue
        model = family(name)
        first = representative[rows] if model.axis == "any" else rows
        fitted, place = np.unique(first, return_inverse=True)
        fits, drawn, score, last = _fit_all(model, padded, fitted)
        n_draws = padded.y_draws.shape[1]
        spread = (place[:, None] * n_draws + np.arange(n_draws)).ravel()
        fits, drawn = fits.rows(place), drawn.rows(spread)
        if model.axis == "any":
            fits = fits.rescaled(padded.x[rows, 0] / padded.x[first, 0])
            drawn = drawn.rescaled(
                (padded.x_draws[rows, :, 0] / padded.x_draws[first, :, 0]).ravel()
            )
        parts = [drawn.rows(slice(i * n_draws, (i + 1) * n_draws)) for i in range(len(rows))]
        judged.append(
            _Judged(
                model, rows, fits, parts, score[place], np.array(usable_criteria(fits)), last[place]
            )
        )
    return judged


def _fit_all(
    model: Family, padded: Padded, rows: np.ndarray
) -> tuple[BatchFit, BatchFit, Array, Array]:
    """Central fits, fits under all draws, held-out RMSE and the errors at the last cut.

    Draws are row-major by curve.
    """
    x, y, weight = padded.x[rows], padded.y[rows], padded.weight[rows]
    n_draws = padded.y_draws.shape[1]
    fits = fit_many(model, x, y, weight)
    drawn = fit_many(
        model,
        padded.x_draws[rows].reshape(-1, x.shape[1]),
        padded.y_draws[rows].reshape(-1, x.shape[1]),
        np.repeat(weight, n_draws, axis=0),
        initial=np.repeat(fits.theta, n_draws, axis=0),
        tolerance=_DRAW_TOLERANCE,
        max_iterations=_DRAW_ITERATIONS,
    )
    return fits, drawn, *held_out_rmse(model, x, y, weight)


def _shared(curve: Curve) -> dict[str, Any]:
    return {
        **curve.key,
        "cost_unit": curve_unit(curve.key["cost_axis"]),
        "n_problems": curve.n_problems,
        "draws": len(curve.accuracy_draws) if curve.has_uncertainty else 0,
        "seed": curve.seed,
        "confidence": CONFIDENCE,
    }


def _all_bounds(values: Array, curve: Curve) -> list[tuple[float | None, float | None]]:
    """Percentile ends of every row of draws (R, D), None where unknown or without a spread."""
    if not curve.has_uncertainty:
        return [(None, None)] * len(values)
    return [
        (number(low), number(high))
        for low, high in zip(*percentile_bounds(values, CONFIDENCE, curve.n_units), strict=True)
    ]


def _trend(curve: Curve) -> dict[str, Any]:
    gain = curve.accuracy[-1] - curve.accuracy[0]
    low, high = _all_bounds(
        (curve.accuracy_draws[:, -1] - curve.accuracy_draws[:, 0])[None], curve
    )[0]
    trend = "unknown"
    if low is not None and high is not None:
        trend = "rising" if low > 0 else "falling" if high < 0 else "flat"
    return {"gain": number(gain), "gain_low": low, "gain_high": high, "trend": trend}


def _fit_row(one: _Judged, at: int, curve: Curve) -> dict[str, Any]:
    """The columns of out_scaling_fits that belong to one family."""
    fits, drawn = one.fits, one.draws[at]
    *ends, asymptote = _all_bounds(np.vstack([drawn.parameters.T, drawn.asymptote]), curve)
    low, high = asymptote if one.model.asymptote_kind == "fitted" else (None, None)
    names = one.model.parameter_names
    aic, aicc, bic = one.criteria[:, at]
    error = one.last_error[at]
    known = np.isfinite(error)
    held = known.any() and known.sum() == fits.n[at] - int(np.ceil(2 * fits.n[at] / 3))
    seen = curve.accuracy[known[: len(curve.accuracy)]] if held else np.zeros(0)
    guess = seen + error[known] if held else seen
    has_ratio = held and (seen > 0).all() and (guess > 0).all()
    parameters = dict(zip(names, (number(v) for v in fits.parameters[at]), strict=True))
    return {
        "family": one.model.name,
        "status": STATUSES[fits.status[at]],
        "parameters": json.dumps(parameters),
        "parameters_low": json.dumps(dict(zip(names, (e[0] for e in ends), strict=True)))
        if curve.has_uncertainty
        else None,
        "parameters_high": json.dumps(dict(zip(names, (e[1] for e in ends), strict=True)))
        if curve.has_uncertainty
        else None,
        "asymptote": number(fits.asymptote[at]),
        "asymptote_low": low,
        "asymptote_high": high,
        "asymptote_kind": one.model.asymptote_kind,
        "rss": number(fits.rss[at]),
        "aic": number(aic),
        "aicc": number(aicc),
        "bic": number(bic),
        "n_points": int(fits.n[at]),
        "n_excluded": curve.n_excluded,
        "cost_min": number(curve.cost[0]),
        "cost_max": number(curve.cost[-1]),
        "held_out_rmse": number(one.score[at]),
        "held_out_error": number(error[known].mean()) if held else None,
        "held_out_log_ratio": number(np.log(guess / seen).mean()) if has_ratio else None,
        "held_out_factor": number(curve.cost[-1] / curve.cost[len(curve.cost) - len(seen) - 1])
        if held
        else None,
        **_saturation(one, at, parameters),
        "interval_method": INTERVAL_METHOD if curve.has_uncertainty else None,
        "draws_fitted": int((~np.isnan(drawn.rss)).sum()) if curve.has_uncertainty else 0,
    }


def _saturation(one: _Judged, at: int, parameters: dict[str, float | None]) -> dict[str, Any]:
    if not one.model.name.startswith("ttspm_"):
        return {"saturation_budget": None, "saturation_epsilon": None}
    known = [value for value in parameters.values() if value is not None]
    is_flat = not np.isnan(one.fits.level[at])
    # A flat curve has all its accuracy with the first sample or none: p is not identified, and
    # nothing is left to buy.
    budget = (
        0
        if is_flat
        else None
        if len(known) < len(parameters)
        else saturation_budget(known[0], known[1], SATURATION_EPSILON).n_star
    )
    return {"saturation_budget": budget, "saturation_epsilon": SATURATION_EPSILON}


def _measured_points(curve: Curve) -> list[dict[str, Any]]:
    unit = curve_unit(curve.key["cost_axis"])
    ends = _all_bounds(curve.accuracy_draws.T, curve)
    rows = []
    for i, outcome in enumerate(curve.outcome_ids):
        low, high = ends[i]
        rows.append(
            {
                **curve.key,
                "point_kind": "measured",
                "point_index": i,
                "outcome_id": outcome,
                "budget": curve.budgets[i],
                "cost": number(curve.cost[i]),
                "cost_unit": unit,
                "accuracy": number(curve.accuracy[i]),
                "accuracy_low": low,
                "accuracy_high": high,
                "family": None,
                "is_extrapolated": False,
            }
        )
    return rows


def _fitted_points(one: _Judged, at: int, curve: Curve) -> list[dict[str, Any]]:
    """The fitted curve with its band on a grid of costs, left off where the formula leaves 0..1."""
    grid = np.unique(
        np.append(np.geomspace(curve.cost[0], curve.cost[-1] * _REACH, _GRID), curve.cost[-1])
    )
    value = one.fits.rows(slice(at, at + 1)).predict(grid)[0]
    band = one.draws[at].predict(grid)
    ends = _all_bounds(np.clip(band, 0.0, 1.0).T, curve)
    rows = []
    for i in np.flatnonzero((value >= -1e-9) & (value <= 1 + 1e-9)):
        low, high = ends[i]
        rows.append(
            {
                **curve.key,
                "point_kind": "fitted",
                "point_index": int(i),
                "outcome_id": None,
                "budget": None,
                "cost": number(float(grid[i])),
                "cost_unit": curve_unit(curve.key["cost_axis"]),
                "accuracy": number(np.clip(value[i], 0.0, 1.0)),
                "accuracy_low": low,
                "accuracy_high": high,
                "family": one.model.name,
                "is_extrapolated": bool(grid[i] > curve.cost[-1] * (1 + 1e-12)),
            }
        )
    return rows


def _target_rows(
    one: _Judged, at: int, curve: Curve, targets: Sequence[float]
) -> list[dict[str, Any]]:
    """Rows of out_compute_targets: the chosen family inverted, centrally and under every draw."""
    goals = np.asarray(targets, dtype=np.float64)
    centre, draws = one.fits.rows(np.full(len(goals), at)).compute_to_target(goals), one.draws[at]
    every = draws.rows(np.tile(np.arange(len(draws)), len(goals))).compute_to_target(
        np.repeat(goals, len(draws))
    )
    drawn = every.reshape(len(goals), len(draws))
    ends = _all_bounds(drawn, curve)
    rows = []
    for i in np.flatnonzero(~np.isnan(centre)):
        known = drawn[i][~np.isnan(drawn[i])]
        if not np.isfinite(centre[i]):
            status = "unreachable"
        elif centre[i] < curve.cost[0]:
            status = "below_range"
        else:
            status = "observed" if centre[i] <= curve.cost[-1] * (1 + 1e-12) else "extrapolated"
        rows.append(
            {
                "family": one.model.name,
                "target_accuracy": float(goals[i]),
                "cost": number(float(centre[i])),
                "cost_low": ends[i][0],
                "cost_high": ends[i][1],
                "reached_ratio": number(np.isfinite(known).mean())
                if len(known) and curve.has_uncertainty
                else None,
                "target_status": status,
            }
        )
    return rows
