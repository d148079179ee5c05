"""From which cost on verification pays off: generate-then-verify against majority voting.

Lives here: out_method_crossovers, from outcomes of strategies and their problems. Not here: where
two curves cross (``isocost.curves.crossovers``), the strategies (``isocost.strategies``).

The votes are over the same point's own solutions, which are plain samples, and over every point of
plain samples with equal settings. Both curves are taken over the problems that they have in common,
and every draw resamples these problems once for both.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from isocost.axes.model import CostAxis, Total
from isocost.axes.registry import all_axes
from isocost.curves.crossovers import overtaking_cost
from isocost.curves.intervals import percentile_bounds
from isocost.frontier import resample_counts
from isocost.schema.frames import conform, empty
from isocost.tables.configurations import point_settings
from isocost.tables.frontiers.blocks import cluster_labels, task_seed
from isocost.tables.outcomes.problem_rows import Matrix, ProblemRows
from isocost.tables.scaling.curves import number

NAME = "out_method_crossovers"
VERIFIED, VOTE = "generate_then_verify", "majority_at_k"
PLAIN = ("sample", "generate_then_verify")
"""Methods whose samples, without their verifications, are plain samples."""
DRAWS, CONFIDENCE = 2000, 0.95
_OTHER_SETTINGS = ("method", "seed", "engine_seed")
"""Settings in which a point of plain samples may differ from the one that is verified."""


def compared_axes() -> tuple[CostAxis, ...]:
    """The axes that add up over solutions and verifications and are known for both."""
    return tuple(
        axis
        for axis in all_axes().values()
        if axis.verification is not None and isinstance(axis.adds, Total)
    )


@dataclass(frozen=True)
class _Curve:
    """One strategy of one point, its budgets in order.

    Attributes:
        names: columns of out_strategy_outcomes that its budgets share.
        problems: those of the point, sorted; none if no budget has a known accuracy.
        accuracy: (budgets, problems).
        costs: by axis, of the same shape; NaN where unknown.
    """

    names: Mapping[str, Any]
    problems: tuple[str, ...]
    accuracy: np.ndarray
    costs: Mapping[str, np.ndarray]

    def kept(self, problems: list[str]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Accuracy and costs on some of its problems."""
        place = {problem: i for i, problem in enumerate(self.problems)}
        rows = np.array([place[problem] for problem in problems], dtype=np.int64)
        return self.accuracy[:, rows], {axis: of[:, rows] for axis, of in self.costs.items()}


def build_method_crossovers(
    outcomes: pl.DataFrame,
    problems: pl.DataFrame | ProblemRows,
    points: pl.DataFrame,
    *,
    clusters: pl.DataFrame | None = None,
    draws: int = DRAWS,
    seed: int = 0,
    confidence: float = CONFIDENCE,
) -> pl.DataFrame:
    """The cost from which on verification is above majority voting, with its interval.

    Args:
        outcomes: out_strategy_outcomes.
        problems: out_strategy_problems.
        points: core_points, which say whose samples are plain and which settings are equal.
        clusters: optional problem_id and cluster_id, e.g. core_problems; resampled whole.
        draws: bootstrap draws of problems, the same for both curves.
        seed: base seed; every task derives its own from it and its name.
        confidence: level of the intervals.

    Returns:
        Rows of out_method_crossovers; none without verified samples.
    """
    verified = outcomes.filter(pl.col("strategy_family") == VERIFIED)
    if verified.is_empty():
        return empty(NAME)
    votes = _plain_votes(outcomes)
    source, known = ProblemRows.of(problems), cluster_labels(clusters)
    rivals = _rivals(points)
    rows: list[dict[str, Any]] = []
    for (task,), mine in verified.partition_by("task", as_dict=True, maintain_order=True).items():
        needed = votes.filter(pl.col("task") == task)
        places = source.places(pl.concat([mine["outcome_id"], needed["outcome_id"]]))
        own = list(_curves(mine, places, source))
        theirs = {str(curve.names["point_id"]): curve for curve in _curves(needed, places, source)}
        options = {"draws": draws, "seed": task_seed(seed, str(task)), "confidence": confidence}
        for curve in own:
            for rival in sorted(rivals.get(str(curve.names["point_id"]), ())):
                if rival in theirs:
                    rows += _rows(curve, theirs[rival], known, options)
    found = pl.DataFrame(rows, schema=empty(NAME).schema)
    return conform(found.sort("task", "point_id", "strategy", "majority_point_id"), NAME)


def _plain_votes(outcomes: pl.DataFrame) -> pl.DataFrame:
    """The majority vote of each point in which samples without an answer have no vote.

    Of several tie rules that can be run, the first by name: the plain one where it is replayed.
    """
    kept = outcomes.filter(
        (pl.col("strategy_family") == VOTE) & (pl.col("strategy_kind") == "policy")
    )
    ignored = [json.loads(text).get("abstentions") == "ignored" for text in kept["parameters"]]
    kept = kept.filter(pl.Series(ignored, dtype=pl.Boolean))
    first = pl.col("strategy").sort_by(pl.col("strategy").str.len_chars(), "strategy").first()
    return kept.filter(pl.col("strategy") == first.over("task", "point_id"))


def _rivals(points: pl.DataFrame) -> dict[str, set[str]]:
    """For each point those whose votes are compared with its verified samples."""
    tasks = dict(points.select("point_id", "task").iter_rows())
    methods = dict(points.select("point_id", "method").iter_rows())
    alike: dict[str, set[str]] = {}
    keys = {}
    for point, settings in point_settings(points).items():
        kept = {
            name: value
            for name, value in settings.items()
            if name.split(".")[0] not in _OTHER_SETTINGS
        }
        keys[point] = json.dumps([tasks[point], kept], sort_keys=True, default=str)
        if methods[point] == "sample":
            alike.setdefault(keys[point], set()).add(point)
    return {
        point: alike.get(key, set()) | ({point} if methods[point] in PLAIN else set())
        for point, key in keys.items()
    }


def _curves(outcomes: pl.DataFrame, places: pl.DataFrame, source: ProblemRows) -> Iterator[_Curve]:
    """The curves of some outcomes, each from the budgets at which its accuracy is known."""
    axes = [axis for axis in compared_axes() if axis.per_problem in source.columns]
    keys = ["point_id", "strategy"]
    for _, part in outcomes.sort(*keys, "budget").partition_by(keys, as_dict=True).items():
        names = part.row(0, named=True)
        held = part.select("outcome_id").join(
            places.filter(~pl.col("is_unknown")), on="outcome_id", maintain_order="left"
        )
        held = held.filter(pl.col("problem_set") == pl.col("problem_set").first())
        if held.is_empty():
            yield _Curve(names, (), np.empty((0, 0)), {})
            continue
        piece, start, size = held.select("piece", "start", "size").row(0)
        yield _Curve(
            names,
            tuple(source.problems(piece, start, size)),
            Matrix(source, "accuracy", held, size).whole(),
            {axis.name: Matrix(source, axis.per_problem, held, size).whole() for axis in axes},
        )


def _rows(
    curve: _Curve, rival: _Curve, known: Mapping[str, str], options: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """One row for each axis."""
    common = sorted(set(curve.problems) & set(rival.problems))
    (mine, my_costs), (theirs, their_costs) = curve.kept(common), rival.kept(common)
    labels = [known.get(problem) or f"problem {problem}" for problem in common]
    units = len(set(labels))
    weights = np.full((1, len(common)), 1 / max(len(common), 1))
    if units > 1:
        counts = resample_counts(
            len(common), options["draws"], options["seed"], clusters=np.array(labels)
        ).astype(np.float64)
        weights = np.concatenate([weights, counts / counts.sum(axis=1, keepdims=True)])
    shared = {
        **{name: curve.names[name] for name in ("task", "model_variant", "prompt", "point_id")},
        "strategy": curve.names["strategy"],
        "majority_point_id": rival.names["point_id"],
        "majority_strategy": rival.names["strategy"],
        "n_budgets": len(mine),
        "n_majority_budgets": len(theirs),
        "n_problems": len(common),
        "n_problems_left_out": len(set(curve.problems) ^ set(rival.problems)),
        "n_units": units,
        **options,
        "draws": options["draws"] if units > 1 else 0,
    }
    undefined = not curve.problems or not rival.problems
    for axis in compared_axes():
        names = {"cost_axis": axis.per_problem, "cost_unit": axis.unit}
        if undefined or not common:
            reason = "accuracy_undefined" if undefined else "no_common_problems"
            found = {"crossover_unknown_reason": reason}
        else:
            sides = [
                (weights @ of.T, weights @ right.T)
                for of, right in ((my_costs[axis.name], mine), (their_costs[axis.name], theirs))
            ]
            found = _crossover(sides[0], sides[1], units, options["confidence"])
        yield shared | names | found


def _crossover(
    mine: tuple[np.ndarray, np.ndarray],
    theirs: tuple[np.ndarray, np.ndarray],
    units: int,
    confidence: float,
) -> dict[str, Any]:
    """The crossover of two curves, their means first and then those of every draw.

    Args:
        mine: costs and accuracies of verification, (1 + draws, budgets) each.
        theirs: the same of majority voting.
        units: problems or clusters that were resampled.
        confidence: level of the interval.
    """
    costs = mine[0][0], theirs[0][0]
    if not all(_is_priced(cost) for cost in costs):
        return {"crossover_unknown_reason": "cost_unknown"}
    every = overtaking_cost(*mine, *theirs)
    at, drawn = float(every[0]), every[1:]
    low, high = max(cost[0] for cost in costs), min(cost[-1] for cost in costs)
    if low > high:
        return {"crossover_unknown_reason": "no_common_costs"}
    found: dict[str, Any] = {
        "crossover_cost": number(at),
        "common_cost_low": number(low),
        "common_cost_high": number(high),
    }
    if not np.isfinite(at):
        reason = "not_above_at_the_end" if at > 0 else "above_from_the_start"
        found["crossover_unknown_reason"] = reason
    usable = drawn[~np.isnan(drawn)]
    if usable.size:
        ends = percentile_bounds(drawn[None], confidence, units)
        found["crossover_cost_low"], found["crossover_cost_high"] = (
            number(float(end[0])) for end in ends
        )
        found["crossover_ratio"] = number(float((usable < np.inf).mean()))
    return found


def _is_priced(cost: np.ndarray) -> bool:
    """Whether all costs are known and positive, and more is never cheaper."""
    return bool(np.isfinite(cost).all() and (cost > 0).all() and (np.diff(cost) > 0).all())
