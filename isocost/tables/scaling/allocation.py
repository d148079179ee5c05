"""Compute-optimal allocation as a table: configuration and samples per difficulty.

Lives here: ``build_compute_optimal``, which replays majority voting and coverage on half of a bank,
sets difficulty by the other half and cross-fits the choice. Not here: the choice itself
(``isocost.curves.allocation``) and the estimators (``isocost.strategies``).
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from isocost.aggregates import smallest
from isocost.axes.registry import find
from isocost.curves import allocation
from isocost.curves.allocation import CrossFit
from isocost.curves.base import Array
from isocost.schema.frames import conform, empty
from isocost.strategies.estimators.coverage import pass_at_k
from isocost.strategies.estimators.majority_sampled import estimate_majority
from isocost.tables.frontiers.blocks import cost_unit, task_seed
from isocost.tables.scaling.curves import number, to_12_digits
from isocost.tables.tallies import graded

NAME = "out_compute_optimal"
STRATEGIES = ("majority", "pass_at_k")
AXES = {find(name).per_problem: name for name in ("samples", "output_tokens", "flops")}
ALL_PROBLEMS = -1
# A bin is split into two folds; with fewer than four problems a fold's choice rests on one.
_SMALLEST_BIN = 4


@dataclass(frozen=True)
class _Bank:
    """One model variant on one task: arms (configuration x k) scored on half of the samples.

    Attributes:
        model_variant: name.
        arms: (point_id, k) of every arm.
        accuracy: per strategy (S, M) expected correctness; no majority where answers were not
            banked.
        cost: per axis (S, M) expected cost, only axes that are known throughout.
        success: (M,) success rate in the other half.
    """

    model_variant: str
    arms: list[tuple[str, int]]
    accuracy: dict[str, Array]
    cost: dict[str, Array]
    success: Array


def build_compute_optimal(
    core_samples: pl.DataFrame,
    *,
    counts: pl.DataFrame | None = None,
    n_bins: int = 5,
    n_budgets: int = 8,
    repetitions: int = 20,
    seed: int = 0,
) -> pl.DataFrame:
    """Choose configuration and number of samples per difficulty bin at several budgets.

    Snell et al. 2024, without leaks.

    Of every problem's samples, in order of their index, the even ones set its difficulty and the
    odd ones score the arms. Bins are quantiles; the arm of a bin is chosen on one half of its
    problems and scored on the other, over ``repetitions`` random splits.

    Args:
        core_samples: core_samples; invalid and ungraded samples are left out, and problems that not
            every configuration of the model has sampled at least twice. A configuration that shares
            fewer than half of the problems is left out itself. Votes of many samples are estimated
            (``estimate_majority``); where a sample has partial credit, coverage is left out.
        counts: core_counts; which of the samples fall into which half is drawn, seeded by point and
            problem.
        n_bins: difficulty bins; fewer where a bin would hold fewer than four problems.
        n_budgets: budgets, spaced evenly in ln cost from the cheapest arm to the most expensive; a
            single one where all cost the same.
        repetitions: random splits.
        seed: base seed; every task derives its own.

    Returns:
        out_compute_optimal; no rows for a model variant with fewer than two arms or four problems.
    """
    kept = graded(core_samples)
    counted = empty("core_counts") if counts is None else counts
    rows: list[dict[str, Any]] = []
    for task in pl.concat([kept["task"], counted["task"]]).unique().sort():
        mine, theirs = (frame.filter(pl.col("task") == task) for frame in (kept, counted))
        models = pl.concat([mine["model_variant"], theirs["model_variant"]]).unique().sort()
        banks = [
            _bank(
                model, *(frame.filter(pl.col("model_variant") == model) for frame in (mine, theirs))
            )
            for model in models
        ]
        known = [bank for bank in banks if bank is not None]
        own_seed = task_seed(seed, task)
        folds = {bank.model_variant: _folds(bank, n_bins, repetitions, own_seed) for bank in known}
        for strategy in STRATEGIES:
            rows += _task_rows(task, known, strategy, folds, n_budgets, own_seed)
    return conform(pl.DataFrame(rows, schema=empty(NAME).schema) if rows else empty(NAME), NAME)


def _bank(model: str, samples: pl.DataFrame, counts: pl.DataFrame) -> _Bank | None:
    """Split a model's samples and replay both strategies on the scoring half.

    None if there is nothing to choose.
    """
    ordered = samples.sort(
        "point_id", "problem_id", "sample_index", maintain_order=True
    ).with_columns(
        pl.int_range(pl.len()).over("point_id", "problem_id").alias("rank"),
        pl.lit(1.0).alias("samples"),
    )
    halves = _halves(counts)
    held = ordered.group_by("point_id", "problem_id").agg(pl.len().cast(pl.Int64).alias("n"))
    points, problems = _shared_problems(
        pl.concat([held, halves.select("point_id", "problem_id", "n")])
    )
    if len(problems) < _SMALLEST_BIN:
        return None
    is_used = pl.col("point_id").is_in(points) & pl.col("problem_id").is_in(problems)
    ordered, halves = ordered.filter(is_used), halves.filter(is_used)
    scored = ordered.filter(pl.col("rank") % 2 == 1)
    rates = (
        ordered.filter(pl.col("rank") % 2 == 0)
        .group_by("point_id", "problem_id")
        .agg(pl.col("worth").mean().alias("rate"))
    )
    rates = pl.concat([rates, halves.select("point_id", "problem_id", "rate")]).sort(
        "point_id", "problem_id"
    )
    success = (
        rates.group_by("problem_id", maintain_order=True)
        .agg(pl.col("rate").mean())
        .sort("problem_id")["rate"]
        .to_numpy()
    )
    arms: list[tuple[str, int]] = []
    # A correct sample without an answer class: only counts or verdicts, which cannot be voted on.
    is_votable = (
        halves.is_empty()
        and ordered.filter((pl.col("worth") > 0) & pl.col("answer_class").is_null()).is_empty()
    )
    left_out = {"majority": not is_votable, "pass_at_k": bool(ordered["is_partial"].any())}
    accuracy: dict[str, list[Array]] = {name: [] for name in STRATEGIES if not left_out[name]}
    cost: dict[str, list[Array]] = {axis: [] for axis in AXES}
    parts = scored.partition_by("point_id", as_dict=True, maintain_order=True)
    for point in points:
        if (point,) in parts:
            part = parts[(point,)]
            ks = _powers(int(smallest(part["problem_id"].unique_counts())))
            replayed = _replay(part, problems, ks)
            means = (
                part.group_by("problem_id")
                .agg(*(_mean(column) for column in AXES.values()))
                .sort("problem_id")
            )
            each = {
                axis: means[column].cast(pl.Float64).to_numpy() for axis, column in AXES.items()
            }
        else:
            part = halves.filter(pl.col("point_id") == point).sort("problem_id")
            ks = _powers(int(smallest(part["n_scored"])))
            replayed = {
                "pass_at_k": np.asarray(
                    pass_at_k(part["n_scored"].to_numpy(), part["c_scored"].to_numpy(), ks)
                ).T
            }
            each = {
                axis: np.full(part.height, 1.0 if column == "samples" else np.nan)
                for axis, column in AXES.items()
            }
        arms += [(point, int(k)) for k in ks]
        for name, values in accuracy.items():
            values.append(replayed[name])
        for axis, values in each.items():
            cost[axis].append(ks[:, None] * values[None, :])
    if len(arms) < 2:
        return None
    costs = {axis: np.concatenate(values) for axis, values in cost.items()}
    return _Bank(
        model_variant=model,
        arms=arms,
        accuracy={name: np.concatenate(values) for name, values in accuracy.items()},
        cost={
            axis: values
            for axis, values in costs.items()
            if np.isfinite(values).all() and (values.mean(axis=1) > 0).all()
        },
        success=success,
    )


def _halves(counts: pl.DataFrame) -> pl.DataFrame:
    """Counts of each point and problem split at random.

    n, rate in the first half, n_scored and c_scored of the second.
    """
    summed = (
        counts.group_by("point_id", "problem_id")
        .agg(pl.col("n_samples", "n_correct").sum())
        .sort("point_id", "problem_id")
    )
    drawn = [
        np.random.default_rng(zlib.crc32(f"{point}:{problem}".encode())).hypergeometric(
            c, n - c, (n + 1) // 2
        )
        if n
        else 0
        for point, problem, n, c in summed.iter_rows()
    ]
    first, n = pl.Series("first", drawn, pl.Int64), pl.col("n_samples")
    return summed.with_columns(first).select(
        "point_id",
        "problem_id",
        n.alias("n"),
        (pl.col("first") / ((n + 1) // 2)).alias("rate"),
        (n // 2).alias("n_scored"),
        (pl.col("n_correct") - pl.col("first")).alias("c_scored"),
    )


def _shared_problems(held: pl.DataFrame) -> tuple[list[str], list[str]]:
    """Comparable configurations, and the problems that each of them sampled at least twice.

    The one with the most problems comes first; another is left out if it would halve the shared
    problems.
    """
    enough = held.filter(pl.col("n") >= 2)
    of = {str(point): set(part["problem_id"]) for (point,), part in enough.group_by("point_id")}
    order = sorted(of, key=lambda point: (-len(of[point]), point))
    kept, shared = order[:1], of[order[0]] if order else set()
    for point in order[1:]:
        common = shared & of[point]
        if len(common) >= max(_SMALLEST_BIN, len(shared) / 2):
            kept, shared = [*kept, point], common
    return sorted(kept), sorted(shared)


def _mean(column: str) -> pl.Expr:
    """Mean of a cost, NULL where any sample's is unknown.

    A mean over the known ones would be of other samples.
    """
    return pl.when(pl.col(column).null_count() == 0).then(pl.col(column).mean()).alias(column)


def _powers(most: int) -> np.ndarray:
    """1, 2, 4 ... up to ``most``."""
    return 2 ** np.arange(int(np.log2(most)) + 1)


def _replay(part: pl.DataFrame, problems: list[str], ks: np.ndarray) -> dict[str, Array]:
    """Expected correctness (k x problems) of majority voting and of coverage.

    Over all k-subsets of the scoring half.
    """
    place = {problem: i for i, problem in enumerate(problems)}
    rows = np.array([place[problem] for problem in part["problem_id"]])
    worth = part["worth"].to_numpy()
    n, c = (
        np.bincount(rows, minlength=len(problems)),
        np.bincount(rows, worth == 1, minlength=len(problems)).astype(int),
    )
    answers = part["answer_class"].fill_null(-1).to_numpy()
    voted = answers >= 0
    votes = np.zeros((len(problems), int(answers.max(initial=0)) + 1), dtype=np.int64)
    np.add.at(votes, (rows[voted], answers[voted]), 1)
    value = np.zeros(votes.shape)
    np.add.at(value, (rows[voted], answers[voted]), worth[voted])
    # The value of a class is the mean of its members: 0 or 1 if equal answers have equal verdicts
    # and nothing has partial credit.
    value = np.divide(value, votes, out=np.zeros_like(value), where=votes > 0)
    abstained = np.bincount(rows[~voted], minlength=len(problems))
    keys = np.array([zlib.crc32(problem.encode()) for problem in problems], dtype=np.int64)
    majority = estimate_majority(votes, value, abstained, ks, keys=keys).accuracy
    return {"majority": majority.T, "pass_at_k": np.asarray(pass_at_k(n, c, ks)).T}


def _folds(
    bank: _Bank, n_bins: int, repetitions: int, seed: int
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Difficulty bin of every problem, and the random splits.

    All strategies, axes and budgets of a model share them.
    """
    bins = allocation.difficulty_bins(
        bank.success, max(1, min(n_bins, len(bank.success) // _SMALLEST_BIN))
    )
    generator = np.random.default_rng(seed)
    return bins, [allocation.stratified_folds(bins, 2, generator) for _ in range(repetitions)]


def _task_rows(
    task: str,
    banks: list[_Bank],
    strategy: str,
    folds: dict[str, tuple[np.ndarray, list[np.ndarray]]],
    n_budgets: int,
    seed: int,
) -> list[dict[str, Any]]:
    """Rows of one task and strategy, all models and axes."""
    rows = []
    for axis, column in AXES.items():
        priced = [bank for bank in banks if axis in bank.cost and strategy in bank.accuracy]
        priced.sort(
            key=lambda bank: (
                float(bank.cost[axis][[k == 1 for _, k in bank.arms]].mean()),
                bank.model_variant,
            )
        )
        solved = [
            _solve(bank, strategy, axis, *folds[bank.model_variant], n_budgets) for bank in priced
        ]
        for i, (bank, (budgets, best, uniform)) in enumerate(zip(priced, solved, strict=True)):
            bins, splits = folds[bank.model_variant]
            larger = None
            if column == "flops" and i + 1 < len(priced):
                larger = (
                    priced[i + 1].model_variant,
                    [(fit.cost, fit.accuracy) for fit in solved[i + 1][2]],
                )
            shared = {
                "task": task,
                "model_variant": bank.model_variant,
                "strategy": strategy,
                "cost_axis": axis,
                "cost_unit": cost_unit(axis),
                "n_arms": len(bank.arms),
                "n_bins": int(bins.max()) + 1,
                "n_repetitions": len(splits),
                "seed": seed,
            }
            base = [(fit.cost, fit.accuracy) for fit in uniform]
            for budget, one, other in zip(budgets, best, uniform, strict=True):
                common = {**shared, "budget_cost": number(budget)}
                rows.append(
                    {
                        **common,
                        **_overall(one, other, base, larger),
                        "difficulty_success": number(bank.success.mean()),
                    }
                )
                rows += [
                    {**common, **_in_bin(bank, one, other, bins == label, label)}
                    for label in range(int(bins.max()) + 1)
                ]
    return rows


def _solve(
    bank: _Bank,
    strategy: str,
    axis: str,
    bins: np.ndarray,
    splits: list[np.ndarray],
    n_budgets: int,
) -> tuple[Array, list[CrossFit], list[CrossFit]]:
    """Budgets, the cross-fitted allocation at every budget, and the uniform baseline.

    On the same splits of problems.
    """
    accuracy, cost = bank.accuracy[strategy], bank.cost[axis]
    means = cost.mean(axis=1)
    budgets = np.geomspace(means.min(), means.max(), n_budgets)
    # Configurations with one scoring sample per problem cost one sample each, whatever the budget.
    budgets = budgets[np.unique([to_12_digits(budget) for budget in budgets], return_index=True)[1]]
    none = np.zeros_like(bins)
    best = allocation.cross_fit_budgets(accuracy, cost, bins, budgets, folds=splits)
    uniform = allocation.cross_fit_budgets(accuracy, cost, none, budgets, folds=splits)
    return budgets, best, uniform


def _overall(
    one: CrossFit,
    other: CrossFit,
    base: list[tuple[float, float]],
    larger: tuple[str, list[tuple[float, float]]] | None,
) -> dict[str, Any]:
    known = np.array([pair for pair in base if np.isfinite(pair).all()]).reshape(-1, 2)
    need = (
        allocation.compute_at_accuracy(known[:, 0], known[:, 1], one.accuracy)
        if one.is_complete and len(known)
        else None
    )
    above = None
    if larger is not None and one.is_complete:
        curve = np.array([pair for pair in larger[1] if np.isfinite(pair).all()]).reshape(-1, 2)
        curve = curve[np.argsort(curve[:, 0], kind="stable")]
        if len(curve) and curve[0, 0] <= one.cost <= curve[-1, 0]:
            above = float(np.interp(np.log(one.cost), np.log(curve[:, 0]), curve[:, 1]))
    return {
        "difficulty_bin": ALL_PROBLEMS,
        "accuracy": number(one.accuracy),
        "accuracy_spread": number(one.spread),
        "cost": number(one.cost),
        "uniform_accuracy": number(other.accuracy),
        "uniform_cost": number(other.cost),
        "accuracy_gain": number(one.accuracy - other.accuracy),
        "efficiency_ratio": number(need / one.cost) if need is not None else None,
        "larger_model_variant": larger[0] if larger is not None else None,
        "larger_accuracy": number(above),
        "n_problems": len(one.problem_accuracy),
    }


def _in_bin(
    bank: _Bank, one: CrossFit, other: CrossFit, members: np.ndarray, label: int
) -> dict[str, Any]:
    made = one.choices[:, :, label].ravel()
    tally = np.bincount(made[made >= 0], minlength=1)
    picked = int(tally.argmax()) if tally.any() else None
    accuracy, uniform = one.problem_accuracy[members].mean(), other.problem_accuracy[members].mean()
    return {
        "difficulty_bin": label,
        "accuracy": number(accuracy),
        "cost": number(one.problem_cost[members].mean()),
        "uniform_accuracy": number(uniform),
        "uniform_cost": number(other.problem_cost[members].mean()),
        "accuracy_gain": number(accuracy - uniform),
        "chosen_point_id": None if picked is None else bank.arms[picked][0],
        "chosen_k": None if picked is None else bank.arms[picked][1],
        "chosen_ratio": None if picked is None else number(tally[picked] / len(made)),
        "difficulty_success": number(bank.success[members].mean()),
        "n_problems": int(members.sum()),
    }
