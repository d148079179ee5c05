"""Compare two given outcomes: accuracy and every cost, paired over common problems.

Lives here: ``compare_outcomes`` and its result, which `isocost compare` prints and a notebook can
use: one question and its answer, also adjusted for all pairs that could have been picked. Not here:
    the families of pairs of out_comparisons
(``isocost.tables.frontiers.comparisons``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from isocost.errors import IsocostError
from isocost.frontier import mcnemar, paired_comparison, problems_needed
from isocost.tables.frontiers.blocks import cluster_labels, cost_axes, cost_unit, with_configuration
from isocost.tables.frontiers.comparisons import discordant

NAMES = (
    "outcome_id",
    "task",
    "model_variant",
    "prompt",
    "strategy",
    "strategy_kind",
    "budget",
    "parameters",
    "point_id",
)


@dataclass(frozen=True)
class Difference:
    """One quantity of two outcomes.

    Attributes:
        quantity: accuracy, or a cost column of out_strategy_outcomes.
        unit: its unit.
        first: mean over the common problems.
        second: the same of the other outcome.
        difference: first - second.
        low: lower end of its t interval over problems; None without two problems.
        high: upper end.
        p_value: two-sided; None if undefined.
        method: paired_t, paired_t_clustered, or mcnemar_exact for accuracies of a single sample per
            problem.
    """

    quantity: str
    unit: str
    first: float
    second: float
    difference: float
    low: float | None
    high: float | None
    p_value: float | None
    method: str


@dataclass(frozen=True)
class Others:
    r"""The other pairs that could have been picked, and the p-value adjusted for them.

    Attributes:
        family: the largest family of out_comparisons that contains the pair; None if there is none.
        n_comparisons: pairs of that family.
        p_value_holm: Holm's adjusted p-value over it.
        p_value_max_t: adjusted by the bootstrap of the largest \|t\| over it.
        n_task_pairs: pairs of outcomes of the task, of policies and of the kinds of these two.
        p_value_bonferroni: p-value times these pairs, at most 1: for a pair that was picked after
            looking at all of them.
    """

    family: str | None
    n_comparisons: int | None
    p_value_holm: float | None
    p_value_max_t: float | None
    n_task_pairs: int
    p_value_bonferroni: float | None


@dataclass(frozen=True)
class Comparison:
    """The comparison of two outcomes.

    Attributes:
        first: identification of the first outcome: columns of out_strategy_outcomes, and
            ``configuration``.
        second: the same of the second.
        accuracy: difference in accuracy.
        costs: differences on every cost axis that is known for both.
        n_problems: common problems.
        n_left_out: problems of only one of them, or whose accuracy is undefined for one.
        n_units: problems, or clusters of them, of the tests.
        problems_needed: problems required to detect this difference in accuracy with probability
            0.8 at level 0.05; None without one.
        others: the other pairs.
        confidence: level of the intervals.
    """

    first: dict[str, object]
    second: dict[str, object]
    accuracy: Difference
    costs: tuple[Difference, ...]
    n_problems: int
    n_left_out: int
    n_units: int
    problems_needed: int | None
    others: Others
    confidence: float

    @property
    def verdict(self) -> str:
        """first_better, second_better or no_difference_shown, from the p-value.

        Of the accuracies, at 1 - confidence.
        """
        p_value = self.accuracy.p_value
        if p_value is None or p_value >= 1 - self.confidence:
            return "no_difference_shown"
        return "first_better" if self.accuracy.difference > 0 else "second_better"


def compare_outcomes(
    outcomes: pl.DataFrame,
    problems: pl.DataFrame,
    first: str,
    second: str,
    *,
    clusters: pl.DataFrame | None = None,
    comparisons: pl.DataFrame | None = None,
    points: pl.DataFrame | None = None,
    confidence: float = 0.95,
) -> Comparison:
    """Compare any two outcomes of one task, problem by problem.

    Args:
        outcomes: out_strategy_outcomes.
        problems: out_strategy_problems.
        first: outcome_id, or a unique prefix of one.
        second: the same of the other outcome; swapping the two turns every sign.
        clusters: optional problem_id and cluster_id, e.g. core_problems; standard errors are then
            clustered.
        points: optional core_points, for names that distinguish configurations of the task.
        comparisons: optional out_comparisons, for p-values adjusted for a whole family of pairs.
        confidence: level of the intervals.

    Raises:
        IsocostError: an id is unknown or ambiguous, the tasks differ, or fewer than two problems
            are common.
    """
    left, right = (_named(outcomes, given) for given in (first, second))
    if left["task"] != right["task"]:
        raise IsocostError(
            f"{left['outcome_id']} is of task {left['task']}, {right['outcome_id']} of"
            f" {right['task']}",
            remedy="Compare outcomes of one task: they are paired problem by problem.",
        )
    mine = points.filter(pl.col("task") == left["task"]) if points is not None else None
    left, right = (_configured(one, outcomes, mine) for one in (left, right))
    axes = cost_axes(outcomes, problems)
    sides = [
        problems.filter(pl.col("outcome_id") == one["outcome_id"]).select(
            "problem_id", "accuracy", *axes
        )
        for one in (left, right)
    ]
    either = pl.concat([side.select("problem_id") for side in sides])["problem_id"].n_unique()
    pairs = sides[0].join(sides[1], on="problem_id", suffix="_second").sort("problem_id")
    pairs = pairs.filter(pl.col("accuracy").is_not_null() & pl.col("accuracy_second").is_not_null())
    labels = _labels(pairs["problem_id"].to_list(), clusters)
    n_units = pairs.height if labels is None else len(set(labels))
    if n_units < 2:
        raise IsocostError(
            f"{pairs.height} problems are defined for both",
            where=f"{first}, {second}",
            remedy="A comparison needs at least two.",
        )
    known = [
        axis
        for axis in axes
        if not pairs[axis].null_count() and not pairs[f"{axis}_second"].null_count()
    ]
    found = [
        _difference(
            name, pairs[name].to_numpy(), pairs[f"{name}_second"].to_numpy(), labels, confidence
        )
        for name in ("accuracy", *known)
    ]
    spread = float(np.var((pairs["accuracy"] - pairs["accuracy_second"]).to_numpy(), ddof=1))
    gap = found[0].difference
    return Comparison(
        first=left,
        second=right,
        accuracy=found[0],
        costs=tuple(found[1:]),
        n_problems=pairs.height,
        n_left_out=either - pairs.height,
        n_units=n_units,
        problems_needed=problems_needed(spread, gap) if abs(gap) > 1e-12 and spread > 0 else None,
        others=_others(outcomes, comparisons, left, right, found[0].p_value),
        confidence=confidence,
    )


def _named(outcomes: pl.DataFrame, given: str) -> dict[str, object]:
    hits = (
        outcomes.filter(pl.col("outcome_id").str.starts_with(given)) if given else outcomes.clear()
    )
    exact = hits.filter(pl.col("outcome_id") == given)
    hits = exact if exact.height else hits
    if hits.height == 1:
        return hits.select(name for name in NAMES if name in hits.columns).row(0, named=True)
    if hits.height:
        some = ", ".join(hits["outcome_id"].sort().head(3).to_list())
        raise IsocostError(
            f"{given!r} begins {hits.height} outcomes: {some} ...",
            where="outcome_id",
            remedy="Give more of the id.",
        )
    remedy = "Look in out_strategy_outcomes or the view frontier for outcome_id"
    if given.startswith("mo-"):
        remedy = (
            "A mean over tasks has no problems of its own: compare its member_outcome_ids, task by"
            " task"
        )
    raise IsocostError(
        f"there is no outcome {given!r}", where="out_strategy_outcomes", remedy=remedy
    )


def _configured(
    row: dict[str, object], outcomes: pl.DataFrame, points: pl.DataFrame | None
) -> dict[str, object]:
    own = with_configuration(outcomes.filter(pl.col("outcome_id") == row["outcome_id"]), points)
    return row | {"configuration": own["configuration"][0]}


def _others(
    outcomes: pl.DataFrame,
    comparisons: pl.DataFrame | None,
    left: dict[str, object],
    right: dict[str, object],
    p_value: float | None,
) -> Others:
    ids = {left["outcome_id"], right["outcome_id"]}
    rows = outcomes.filter((pl.col("task") == left["task"]) & pl.col("accuracy").is_not_null())
    if "strategy_kind" in outcomes.columns:
        rows = rows.filter(
            pl.col("strategy_kind").is_in(["policy", left["strategy_kind"], right["strategy_kind"]])
        )
    pairs = rows.height * (rows.height - 1) // 2
    row: dict[str, Any] = {}
    if comparisons is not None and len(ids) == 2:
        both = pl.col("first_outcome_id").is_in(list(ids)) & pl.col("second_outcome_id").is_in(
            list(ids)
        )
        held = comparisons.filter(both).sort(
            "n_comparisons", "comparison_family", descending=[True, False]
        )
        row = held.row(0, named=True) if held.height else {}
    return Others(
        family=row.get("comparison_family"),
        n_comparisons=row.get("n_comparisons"),
        p_value_holm=row.get("p_value_holm"),
        p_value_max_t=row.get("p_value_max_t"),
        n_task_pairs=pairs,
        p_value_bonferroni=None if p_value is None else min(1.0, p_value * pairs),
    )


def _labels(problem_ids: Sequence[str], clusters: pl.DataFrame | None) -> np.ndarray | None:
    if clusters is None:
        return None
    known = cluster_labels(clusters)
    labels = [known.get(problem) or f"problem {problem}" for problem in problem_ids]
    return np.array(labels) if len(set(labels)) < len(labels) else None


def _difference(
    name: str, first: np.ndarray, second: np.ndarray, labels: np.ndarray | None, confidence: float
) -> Difference:
    found = paired_comparison(first, second, confidence=confidence, clusters=labels)
    p_value, method = (
        float(found.p_value[0]),
        "paired_t" if labels is None else "paired_t_clustered",
    )
    if name == "accuracy" and labels is None:
        only = [int(count[0]) for count in discordant(first[None], second[None])]
        if only[0] >= 0:
            p_value, method = mcnemar(*only).exact, "mcnemar_exact"
    return Difference(
        quantity=name,
        unit="ratio" if name == "accuracy" else cost_unit(name),
        first=float(first.mean()),
        second=float(second.mean()),
        difference=float(found.difference[0]),
        low=float(found.low[0]),
        high=float(found.high[0]),
        p_value=None if np.isnan(p_value) else p_value,
        method=method,
    )
