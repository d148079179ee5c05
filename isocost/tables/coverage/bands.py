"""pass@k over all budgets, with a band for the whole curve, and the difference of every two curves.

Lives here: out_coverage_bands and out_coverage_differences from graded samples. Not here: the
numerics (``isocost.frontier.bands``, ``isocost.strategies``), coverage as one strategy among others
(out_strategy_outcomes).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import combinations
from typing import Any, TypedDict

import numpy as np
import polars as pl
from scipy import stats

from isocost.frontier import Band, score_interval, simultaneous_band
from isocost.schema.frames import conform, empty
from isocost.strategies import pass_at_k
from isocost.tables.frontiers.blocks import cluster_labels, task_seed
from isocost.tables.scaling.curves import number
from isocost.tables.tallies import tallies

TABLE_NAMES = ("out_coverage_bands", "out_coverage_differences")
CONFIDENCE = 0.95
# The band's multiplier is then known to about 0.004, so that the reading of a curve hardly hangs on
# the seed.
DRAWS = 1 << 15
# Every budget up to here, then as many again on a geometric grid: enough to see a crossing, few
# enough to store.
DENSE = 64
MOST_PAIRED = 24
# With more curves or pairs than this per task, each gets fewer draws: an irrelevant third digit
# would cost minutes.
MANY, DRAWS_OF_MANY = 20, 1 << 12


Row = dict[str, Any]


class _Options(TypedDict):
    """How a band is drawn; columns of both tables."""

    draws: int
    seed: int
    confidence: float


@dataclass(frozen=True)
class _Curve:
    """Counts of one configuration, problems in order of their id."""

    point_id: str
    model_variant: str | None
    prompt: str | None
    problems: tuple[str, ...]
    samples: np.ndarray
    correct: np.ndarray

    @cached_property
    def budgets(self) -> np.ndarray:
        """The grid on which it is drawn."""
        return budget_grid(int(self.samples.min()))

    @cached_property
    def values(self) -> np.ndarray:
        """pass@k of every problem (budgets, problems)."""
        return pass_at_k(self.samples, self.correct, self.budgets).T

    def at(self, budgets: np.ndarray) -> np.ndarray:
        """The same at other budgets.

        Most pairs of a task share one grid, so each of their curves is computed once.
        """
        return (
            self.values
            if np.array_equal(budgets, self.budgets)
            else pass_at_k(self.samples, self.correct, budgets).T
        )

    def kept(self, problems: set[str]) -> _Curve:
        """The same on some of its own problems."""
        if len(problems) == len(self.problems):
            return self
        rows = np.array([problem in problems for problem in self.problems])
        ids = tuple(problem for problem in self.problems if problem in problems)
        return _Curve(
            self.point_id,
            self.model_variant,
            self.prompt,
            ids,
            self.samples[rows],
            self.correct[rows],
        )


def build_coverage_bands(
    samples: pl.DataFrame,
    *,
    counts: pl.DataFrame | None = None,
    clusters: pl.DataFrame | None = None,
    draws: int = DRAWS,
    seed: int = 0,
    confidence: float = CONFIDENCE,
) -> dict[str, pl.DataFrame]:
    """Compute the pass@k curve of every configuration and all pairwise differences of a task.

    Args:
        samples: core_samples; valid graded rows are used. Tasks do not depend on each other: one
            task's samples give its rows. A configuration with partial credit has no coverage and no
            row.
        counts: core_counts, used with them; none if None.
        clusters: optional problem_id and cluster_id, e.g. core_problems; problems of a cluster
            share a multiplier.
        draws: multiplier draws of each band, rounded up to a power of two; fewer if a task has many
            curves or pairs.
        seed: base seed; every task derives its own from it and its name.
        confidence: level of the intervals and bands.

    Returns:
        Conforming frames by table name.
    """
    found: dict[str, list[Row]] = {name: [] for name in TABLE_NAMES}
    known = cluster_labels(clusters)
    for task, curves in _curves(samples, counts):
        options = _Options(draws=draws, seed=task_seed(seed, task), confidence=confidence)
        few: _Options = {
            **options,
            "draws": draws if len(curves) <= MANY else min(draws, DRAWS_OF_MANY),
        }
        for curve in curves:
            found["out_coverage_bands"] += [
                {"task": task, **row} for row in _curve_rows(curve, known, few)
            ]
        most = sorted(curves, key=lambda one: (-int(one.samples.sum()), one.point_id))[:MOST_PAIRED]
        pairs = list(combinations(sorted(most, key=lambda one: one.point_id), 2))
        fewer: _Options = {
            **options,
            "draws": draws if len(pairs) <= MANY else min(draws, DRAWS_OF_MANY),
        }
        for pair in pairs:
            found["out_coverage_differences"] += [
                {"task": task, **row} for row in _pair_rows(*pair, known, fewer)
            ]
    return {
        name: conform(pl.DataFrame(_plain(rows), schema=empty(name).schema), name)
        for name, rows in found.items()
    }


def _plain(rows: list[Row]) -> list[Row]:
    """Numbers to 12 digits, which hides the last bits in which machines differ."""
    return [
        {name: number(value) if isinstance(value, float) else value for name, value in row.items()}
        for row in rows
    ]


def _curves(
    samples: pl.DataFrame, counts: pl.DataFrame | None
) -> Iterator[tuple[str, list[_Curve]]]:
    """Counts of correct samples by problem for every configuration of a task.

    Tasks and configurations by name.
    """
    for task, part in tallies(samples, counts).group_by("task", maintain_order=True):
        curves = []
        for point, rows in part.group_by("point_id", maintain_order=True):
            if rows["n_partial"].sum():
                continue
            first = rows.row(0, named=True)
            n, c = (rows[name].to_numpy().astype(np.int64) for name in ("n", "c"))
            curves.append(
                _Curve(
                    str(point[0]),
                    first["model_variant"],
                    first["prompt"],
                    tuple(rows["problem_id"].to_list()),
                    n,
                    c,
                )
            )
        yield str(task[0]), curves


def budget_grid(most: int) -> np.ndarray:
    """Budgets 1..most.

    All of them up to ``2 * DENSE``, beyond that the first ``DENSE`` and as many on a geometric
    grid.
    """
    if most <= 2 * DENSE:
        return np.arange(1, most + 1)
    return np.unique(
        np.concatenate(
            [
                np.arange(1, DENSE + 1),
                np.rint(np.geomspace(DENSE, most, DENSE + 1)).astype(np.int64),
            ]
        )
    )


def _labels(problems: tuple[str, ...], known: Mapping[str, str]) -> tuple[np.ndarray | None, int]:
    """Cluster of each problem, None if independent, and the number of units."""
    labels = [known.get(problem) or f"problem {problem}" for problem in problems]
    units = len(set(labels))
    return (np.array(labels), units) if units < len(labels) else (None, units)


def _shared(curve: _Curve, units: int, options: _Options) -> Row:
    return {"n_problems": len(curve.problems), "n_units": units, **options}


def _curve_rows(curve: _Curve, known: Mapping[str, str], options: _Options) -> list[Row]:
    ks, values = curve.budgets, curve.values
    labels, units = _labels(curve.problems, known)
    low = high = np.full(len(ks), np.nan)
    band = None
    if units > 1:
        low, high = score_interval(values, options["confidence"], clusters=labels)
        band = simultaneous_band(values, clusters=labels, **options)
        options = {**options, "draws": band.draws}
        low, high = np.minimum(low, values.mean(axis=1)), np.maximum(high, values.mean(axis=1))
    name = {
        "model_variant": curve.model_variant,
        "prompt": curve.prompt,
        "point_id": curve.point_id,
        **_shared(curve, units, options),
    }
    return [
        {
            **name,
            "k": int(k),
            "pass_at_k": float(values[i].mean()),
            "pass_at_k_se": None if band is None else float(band.se[i]),
            "pass_at_k_low": None if band is None else float(low[i]),
            "pass_at_k_high": None if band is None else float(high[i]),
            **(_NO_EDGES if band is None else _edges(band, i, float(low[i]), float(high[i]))),
        }
        for i, k in enumerate(ks)
    ]


_NO_EDGES = {"band_low": None, "band_high": None, "band_multiplier": None}


def _edges(band: Band, i: int, low: float, high: float) -> dict[str, float]:
    """Edges of the band, nowhere narrower than the pointwise interval.

    Few problems and none that differ would make it so.
    """
    return {
        "band_low": min(float(band.low[i]), low),
        "band_high": max(float(band.high[i]), high),
        "band_multiplier": band.critical,
    }


def _pair_rows(
    first: _Curve, second: _Curve, known: Mapping[str, str], options: _Options
) -> list[Row]:
    """Both directions of one pair, on their common problems.

    Nothing without a common problem.
    """
    common = set(first.problems) & set(second.problems)
    if not common:
        return []
    first, second = first.kept(common), second.kept(common)
    ks = budget_grid(int(min(first.samples.min(), second.samples.min())))
    values = [curve.at(ks) for curve in (first, second)]
    labels, units = _labels(first.problems, known)
    band = simultaneous_band(*values, clusters=labels, **options) if units > 1 else None
    if band is not None:
        options = {**options, "draws": band.draws}
    means = [curve.mean(axis=1) for curve in values]
    rows: list[Row] = []
    for one, other, mine, theirs, sign in (
        (first, second, *means, 1),
        (second, first, *means[::-1], -1),
    ):
        names = {"point_id": one.point_id, "other_point_id": other.point_id}
        names |= {
            "model_variant": one.model_variant,
            "other_model_variant": other.model_variant,
            **_shared(one, units, options),
        }
        for i, k in enumerate(ks):
            judged = _judged(band, i, sign, units, options["confidence"])
            judged["pass_at_k_difference"] = (
                float(mine[i] - theirs[i]) if band is None else sign * float(band.mean[i])
            )
            rows.append(
                {
                    **names,
                    "k": int(k),
                    "pass_at_k": float(mine[i]),
                    "other_pass_at_k": float(theirs[i]),
                    **judged,
                }
            )
    return rows


@lru_cache(maxsize=256)
def _student(confidence: float, units: int) -> float:
    """Half width of a t interval of so many units, in standard errors."""
    return float(stats.t.ppf((1 + confidence) / 2, units - 1))


def _judged(band: Band | None, i: int, sign: int, units: int, confidence: float) -> Row:
    """Interval, band and verdict of one difference.

    A difference that is the same on every problem has no spread.
    """
    unknown = {"pass_at_k_difference_low": None, "pass_at_k_difference_high": None, **_NO_EDGES}
    if band is None:
        return {**unknown, "pass_at_k_difference_se": None, "verdict": "unknown"}
    difference, se = float(band.mean[i]), float(band.se[i])
    if se == 0 and abs(difference) > 1e-14:
        return {**unknown, "pass_at_k_difference_se": se, "verdict": "unknown"}
    half = _student(confidence, units) * se
    edges = _edges(band, i, difference - half, difference + half)
    low, high = (
        (edges["band_low"], edges["band_high"])
        if sign > 0
        else (-edges["band_high"], -edges["band_low"])
    )
    return {
        "pass_at_k_difference_se": se,
        "pass_at_k_difference_low": sign * difference - half,
        "pass_at_k_difference_high": sign * difference + half,
        **edges,
        "band_low": low,
        "band_high": high,
        "verdict": "better" if low > 0 else "worse" if high < 0 else "inconclusive",
    }
