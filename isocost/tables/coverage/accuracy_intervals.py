"""out_accuracy_intervals: single-sample accuracy with every common interval.

And the components of its variance.

Lives here: which methods apply to which data, and the rows. Not here: the numerics
(``isocost.frontier``), intervals of strategies.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import polars as pl
from scipy.special import ndtri

from isocost.frontier import (
    bootstrap_intervals,
    clopper_pearson,
    clustered_se,
    fixed_benchmark_se,
    jeffreys,
    mean_interval,
    resample_counts,
    score_interval,
    variance_split,
    wilson,
)
from isocost.schema.frames import conform, empty
from isocost.tables.frontiers.blocks import cluster_labels, task_seed
from isocost.tables.tallies import PARTIAL_CREDIT, tallies

NAME = "out_accuracy_intervals"
CONFIDENCE = 0.95
RECOMMENDED = "score"
_VARIANCES: tuple[str, ...] = (
    "between_variance",
    "within_variance",
    "intraclass_ratio",
    "design_effect",
)
_BINOMIAL = {"wilson": wilson, "jeffreys": jeffreys, "clopper_pearson": clopper_pearson}


@dataclass(frozen=True)
class _Found:
    """One interval, or why there is none."""

    low: float | None = None
    high: float | None = None
    se: float | None = None
    reason: str | None = None
    draws: int | None = None


def build_accuracy_intervals(
    samples: pl.DataFrame,
    *,
    counts: pl.DataFrame | None = None,
    clusters: pl.DataFrame | None = None,
    draws: int = 2000,
    seed: int = 0,
    confidence: float = CONFIDENCE,
) -> pl.DataFrame:
    """Compute every applicable interval for the accuracy of every configuration.

    Args:
        samples: core_samples; valid graded rows are used. Tasks do not depend on each other.
        counts: core_counts, used with them; none if None.
        clusters: optional problem_id and cluster_id, e.g. core_problems.
        draws: bootstrap draws of problems, shared by the configurations of a task that answered the
            same problems.
        seed: base seed; every task derives its own from it and its name.
        confidence: level.

    Returns:
        out_accuracy_intervals.
    """
    sums = tallies(samples, counts)
    known = cluster_labels(clusters)
    rows: list[dict[str, Any]] = []
    for (task, point), part in sums.group_by("task", "point_id", maintain_order=True):
        names = [known.get(problem) or f"problem {problem}" for problem in part["problem_id"]]
        labels = np.array(names) if len(set(names)) < len(names) else None
        rows += _point_rows(
            str(task), str(point), part, labels, draws, task_seed(seed, str(task)), confidence
        )
    return conform(pl.DataFrame(rows, schema=empty(NAME).schema), NAME)


def _point_rows(
    task: str,
    point: str,
    part: pl.DataFrame,
    labels: np.ndarray | None,
    draws: int,
    seed: int,
    confidence: float,
) -> list[dict[str, Any]]:
    n, c = part["n"].to_numpy().astype(np.int64), part["c"].to_numpy()
    values = part["worth"].to_numpy() / n
    is_partial = bool(part["n_partial"].sum())
    units = len(values) if labels is None else len(set(labels.tolist()))
    found = _intervals(values, n, c, labels, units, draws, seed, confidence)
    if is_partial:
        found |= {
            method: _Found(reason=PARTIAL_CREDIT)
            for method in (*_BINOMIAL, "score", "fixed_benchmark")
        }
    recommended = (
        "bootstrap_percentile" if is_partial else RECOMMENDED
    )  # as in out_strategy_outcomes
    first = part.row(0, named=True)
    shared = {
        "task": task,
        "model_variant": first["model_variant"],
        "prompt": first["prompt"],
        "point_id": point,
        "accuracy": float(values.mean()),
        "n_problems": len(values),
        "n_units": units,
        "n_samples": int(n.sum()),
        "confidence": confidence,
        **(_variances(n, c) if not is_partial else dict.fromkeys(_VARIANCES)),
    }
    return [
        {
            **shared,
            "interval_method": method,
            "is_recommended": method == recommended,
            "accuracy_low": one.low,
            "accuracy_high": one.high,
            "accuracy_se": one.se,
            "undefined_reason": one.reason,
            "draws": one.draws,
        }
        for method, one in found.items()
    ]


def _intervals(
    values: np.ndarray,
    n: np.ndarray,
    c: np.ndarray,
    labels: np.ndarray | None,
    units: int,
    draws: int,
    seed: int,
    confidence: float,
) -> dict[str, _Found]:
    found: dict[str, _Found] = {}
    if units < 2:
        alone = _Found(reason="a single problem (cluster) shows no spread between problems")
        for method in ("score", "student_t", "bootstrap_percentile", "bootstrap_bca"):
            found[method] = alone
    else:
        se = clustered_se(values, np.arange(len(values)) if labels is None else labels)
        ends = score_interval(values, confidence, clusters=labels)
        found["score"] = _Found(float(ends[0]), float(ends[1]), se)
        if labels is None:
            low, high = mean_interval(values, confidence)
            found["student_t"] = _Found(float(low), float(high), se)
        else:
            found["student_t"] = _Found(reason="problems share clusters")
        counts = _counts(
            len(values), draws, seed, None if labels is None else tuple(labels.tolist())
        )
        for method in ("percentile", "bca"):
            low, high, spread = bootstrap_intervals(
                values[None], counts, confidence, method, labels
            )
            found[f"bootstrap_{method}"] = _Found(
                float(low[0]), float(high[0]), float(spread[0]), draws=draws
            )
    for method, rule in _BINOMIAL.items():
        reason = (
            "more than one sample per problem"
            if (n > 1).any()
            else "problems share clusters"
            if labels is not None
            else None
        )
        low, high = rule(int(c.sum()), int(n.sum()), confidence)
        found[method] = _Found(reason=reason) if reason else _Found(float(low), float(high))
    fixed = fixed_benchmark_se(c, n)
    half = float(ndtri((1 + confidence) / 2)) * fixed
    center = float(values.mean())
    found["fixed_benchmark"] = (
        _Found(reason="a problem has a single sample")
        if np.isnan(fixed)
        else _Found(max(center - half, 0.0), min(center + half, 1.0), fixed)
    )
    return found


@lru_cache(maxsize=1)
def _counts(problems: int, draws: int, seed: int, labels: tuple[str, ...] | None) -> np.ndarray:
    """The draws of problems, shared by all configurations of a task with the same problems."""
    counts = resample_counts(
        problems, draws, seed, clusters=None if labels is None else np.array(labels)
    )
    counts.setflags(write=False)
    return counts


def _variances(n: np.ndarray, c: np.ndarray) -> dict[str, float | None]:
    if len(n) < 2 or n[0] < 2 or (n != n[0]).any():
        return dict.fromkeys(_VARIANCES)
    # The split depends on how many are right, not on which: a matrix with these counts is
    # sufficient.
    split = variance_split((np.arange(n[0])[None] < c[:, None]).astype(np.float64))
    values = (split.between, split.within, split.intraclass, split.design_effect)
    return {
        name: None if np.isnan(value) else float(value)
        for name, value in zip(_VARIANCES, values, strict=True)
    }
