"""Frontier tables: which outcome buys how much accuracy at what cost, and how certain that is.

Lives here: out_frontier_points, out_frontiers, out_frontier_attainment, out_joint_frontier_points,
out_joint_frontiers, out_comparisons, out_task_means. Not here: how they are computed
(``isocost.tables.frontiers.frontiers``, ``isocost.frontier``) and scaling curves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from isocost.schema import columns
from isocost.schema.model import Column, Table

MACRO_TASK = "(macro)"
_MEAN = "(macro: "
_NAMED_TASKS = 3


def is_mean(task: str) -> bool:
    """Whether a value of the column ``task`` names a mean over tasks."""
    return task == MACRO_TASK or task.startswith(_MEAN)


def mean_name(tasks: Sequence[str], largest: Sequence[str]) -> str:
    """The value of the column ``task`` for the mean over some tasks.

    Args:
        tasks: in order of name.
        largest: the tasks of the mean that is called ``(macro)``.
    """
    if tuple(tasks) == tuple(largest):
        return MACRO_TASK
    if len(tasks) <= _NAMED_TASKS:
        return f"{_MEAN}{' + '.join(tasks)})"
    return (
        f"{_MEAN}{len(tasks)} tasks,"
        f" {hashlib.sha256(chr(10).join(tasks).encode()).hexdigest()[:6]})"
    )


_SCOPE = (
    Column(
        "task",
        "string",
        f"Task name; {MACRO_TASK} for the mean over the largest set of tasks that share"
        " configurations, each task weighing the same; (macro: A + B) for a mean over other tasks."
        " See tasks.",
        nullable=False,
    ),
    Column(
        "tasks",
        "list[string]",
        "Tasks that the row is about: one, or those that were averaged.",
        nullable=False,
    ),
    Column(
        "frontier_kind",
        "string",
        "policy: outcomes that can be run as they are; oracle: these and strategies that need to "
        "know the correct answer, as with a perfect verifier: a bound. Draws are the same for "
        "both.",
        nullable=False,
        allowed=("policy", "oracle"),
    ),
    Column(
        "quality_measure",
        "string",
        "What is to be as high as possible.",
        nullable=False,
        allowed=("accuracy",),
    ),
    Column(
        "cost_axis",
        "string",
        "What is to be as low as possible: a column of out_strategy_outcomes.",
        nullable=False,
    ),
)

CONFIGURATION = Column(
    "configuration",
    "string",
    "Shortest name that is unique within the task: model, prompt, and other distinguishing "
    "settings; steps of a chain joined by arrows.",
)
_DRAWS = (
    Column(
        "n_problems",
        "int32",
        "Problems the numbers rest on, over all tasks.",
        unit="problems",
        nullable=False,
    ),
    Column(
        "n_units",
        "int32",
        "Units that were resampled: clusters if problems share a source, otherwise problems.",
        nullable=False,
    ),
    Column(
        "draws",
        "int32",
        "Bootstrap draws of problems, shared by all outcomes of the task and all cost axes.",
        nullable=False,
    ),
    columns.SEED,
    columns.CONFIDENCE,
)

FRONTIER_POINTS = Table(
    name="out_frontier_points",
    grain="one outcome (point, strategy and budget) on one cost axis of one task",
    keys=("task", "frontier_kind", "quality_measure", "cost_axis", "outcome_id"),
    order=("task", "frontier_kind", "quality_measure", "cost_axis", "cost", "outcome_id"),
    warnings=(
        (
            "Filter by frontier_kind: a policy has a row under policy and, if the task has "
            "oracles, another under oracle."
        ),
        (
            "An outcome whose cost on the axis is unknown has no row here; out_frontiers counts it."
            " Unknown is never free."
        ),
        (
            "is_on_frontier is the frontier of the point estimates: among nearly equal outcomes "
            "the lucky one is on it."
        ),
        (
            "frontier_probability is a share of draws, no test: among many nearly tied outcomes a"
            " true member often gets a small one. To rule an outcome out or in, use"
            " is_on_optimistic_frontier and is_on_conservative_frontier"
            " (docs/results/coverage_frontier.csv)."
        ),
        (
            "frontier_margin is the lead over the best of many others and therefore biased "
            "downwards if several are nearly tied."
        ),
        (
            "Intervals, probabilities and the conservative and optimistic frontier are NULL if"
            " n_units is 1: one unit shows no spread."
        ),
        (
            "Intervals speak of new problems of the same kind, not of repeated runs on the same"
            " problems."
        ),
    ),
    columns=(
        *_SCOPE,
        Column(
            "outcome_id",
            "string",
            "Key of out_strategy_outcomes; for a mean over tasks a hash of their outcomes.",
            nullable=False,
        ),
        Column(
            "member_outcome_ids",
            "list[string]",
            "Averaged outcomes, one per task; otherwise the outcome itself.",
            nullable=False,
        ),
        columns.MODEL_VARIANT_OR_NULL,
        columns.PROMPT,
        Column(
            "point_id",
            "string",
            "Measured configuration; NULL for a mean over tasks, which joins several.",
        ),
        CONFIGURATION,
        Column("strategy", "string", "Inference-time strategy."),
        Column(
            "strategy_kind",
            "string",
            "policy or oracle, from out_strategy_outcomes.",
            nullable=False,
        ),
        columns.BUDGET,
        Column("parameters", "json", "Further parameters of the strategy, canonical JSON."),
        columns.COST,
        columns.COST_UNIT,
        Column(
            "cost_low", "float64", "Lower end of its percentile bootstrap interval, in cost_unit."
        ),
        Column(
            "cost_high", "float64", "Upper end of its percentile bootstrap interval, in cost_unit."
        ),
        Column(
            "accuracy",
            "float64",
            "Mean over problems of the expected correctness.",
            unit="ratio",
            nullable=False,
        ),
        columns.ACCURACY_LOW,
        columns.ACCURACY_HIGH,
        Column(
            "accuracy_se",
            "float64",
            "Standard error of the accuracy over problems, from the bootstrap.",
            unit="ratio",
        ),
        Column(
            "interval_method",
            "string",
            "Method of accuracy_low and accuracy_high: score_effective = Wilson at m(1-m)/SE^2"
            " trials (Korn and Graubard 1998); score_stratified = the same for the mean over tasks;"
            " bootstrap_percentile = quantiles of the replicate means (for quantities that are "
            "not shares).",
            allowed=("score_effective", "score_stratified", "bootstrap_percentile"),
        ),
        *_DRAWS,
        Column(
            "is_on_frontier",
            "bool",
            "No other outcome is at most as expensive, at least as accurate and better in one of "
            "the two.",
            nullable=False,
        ),
        Column(
            "frontier_probability",
            "float64",
            "Share of bootstrap draws of problems in which no other outcome dominates this one.",
            unit="ratio",
        ),
        Column(
            "is_on_conservative_frontier",
            "bool",
            "Surely on the frontier: a one-sided 95 % lower bound of frontier_margin is above 0, or"
            " nothing is cheaper.",
        ),
        Column(
            "is_on_optimistic_frontier",
            "bool",
            "Possibly on the frontier: a one-sided 95 % upper bound of frontier_margin, against all"
            " rivals at once, is above 0, and no cheaper outcome gives the same accuracy on every"
            " problem.",
        ),
        Column(
            "is_on_hull",
            "bool",
            "Vertex of the upper concave hull in raw cost: needed when two outcomes are mixed at"
            " random per request.",
            nullable=False,
        ),
        Column(
            "frontier_margin",
            "float64",
            "accuracy minus the best accuracy of the others at no more cost; NULL for the cheapest"
            " outcome, which nothing can dominate.",
            unit="ratio",
        ),
        Column(
            "frontier_margin_low",
            "float64",
            "Lower end of its 95 % percentile interval; NULL if no outcome is cheaper.",
            unit="ratio",
        ),
        Column(
            "frontier_margin_high",
            "float64",
            "Upper end of its 95 % interval: the margin plus the 0.98 quantile of the largest error"
            " over all close rivals; NULL as before.",
            unit="ratio",
        ),
        Column(
            "cost_over_frontier",
            "float64",
            "cost / cheapest frontier cost that reaches the accuracy, at least 1; NULL if that"
            " cost is 0.",
        ),
        Column(
            "accuracy_gap",
            "float64",
            "Best frontier accuracy at no more cost minus accuracy, at least 0.",
            unit="ratio",
            nullable=False,
        ),
        Column(
            "hull_accuracy_gap",
            "float64",
            "Best expected accuracy of two outcomes mixed at random per request, at this mean cost,"
            " minus accuracy, at least 0.",
            unit="ratio",
            nullable=False,
        ),
        Column(
            "frontier_distance",
            "float64",
            "Euclidean distance to the staircase, ln(cost) (cost where one is 0) and accuracy"
            " scaled to 0..1 over the outcomes.",
            nullable=False,
        ),
        Column(
            "dpfr",
            "float64",
            "Distance to the middle of the frontier (DPFR, Rampisela et al. 2025, alpha 0.5), axes"
            " scaled as in frontier_distance.",
            nullable=False,
        ),
        Column(
            "dpfr_interpolated",
            "float64",
            "dpfr with the target at exactly half the frontier's length, not its nearest point.",
            nullable=False,
        ),
        Column(
            "hypervolume_contribution",
            "float64",
            "Hypervolume lost without this outcome and its duplicates, other outcomes standing in;"
            " scale and reference in out_frontiers.",
            nullable=False,
        ),
        Column(
            "is_knee", "bool", "The knee of the frontier (rule in out_frontiers).", nullable=False
        ),
        Column(
            "duplicate_of_outcome_id",
            "string",
            "First outcome with the same cost and accuracy; its own id when it is the first.",
            nullable=False,
        ),
        Column(
            "duplicate_outcome_ids",
            "list[string]",
            "All outcomes with the same cost and accuracy, itself included. Of more than 16 only"
            " the first (duplicate_of_outcome_id) lists them; the list of the others is empty.",
            nullable=False,
        ),
    ),
)

FRONTIERS = Table(
    name="out_frontiers",
    grain="one frontier: a cost axis of a task",
    keys=("task", "frontier_kind", "quality_measure", "cost_axis"),
    warnings=(
        (
            "A hypervolume depends on its scale and reference; compare only rows whose reference"
            " and ideal columns agree."
        ),
        "The excluded are counted by their first reason in the order of the columns.",
    ),
    columns=(
        *_SCOPE,
        columns.COST_UNIT,
        *_DRAWS,
        Column(
            "n_outcomes",
            "int32",
            "Outcomes of the task, excluded ones included.",
            unit="outcomes",
            nullable=False,
        ),
        Column(
            "n_excluded_other_kind",
            "int32",
            "Left out: metrics, which are not a way to answer, and under policy also oracles. Not"
            " counted for a mean over tasks.",
            unit="outcomes",
        ),
        Column(
            "n_included",
            "int32",
            "Outcomes compared on this axis.",
            unit="outcomes",
            nullable=False,
        ),
        Column(
            "n_excluded_unknown_accuracy",
            "int32",
            "Left out: accuracy undefined, e.g. k > n.",
            unit="outcomes",
            nullable=False,
        ),
        Column(
            "n_excluded_other_problems",
            "int32",
            "Left out: graded on different problems than most outcomes of the task, so not "
            "comparable"
            " draw by draw; for a mean over tasks: not measured exactly once in each of them.",
            unit="outcomes",
            nullable=False,
        ),
        Column(
            "n_excluded_unknown_cost",
            "int32",
            "Left out: cost on this axis unknown for a problem.",
            unit="outcomes",
            nullable=False,
        ),
        Column(
            "n_frontier", "int32", "Distinct points on the frontier.", unit="points", nullable=False
        ),
        Column(
            "n_hull",
            "int32",
            "Distinct points on the upper concave hull.",
            unit="points",
            nullable=False,
        ),
        Column("n_possible", "int32", "Outcomes with is_on_optimistic_frontier.", unit="outcomes"),
        Column(
            "dominance_rule",
            "string",
            "Rule of dominance, tolerance and duplicates.",
            nullable=False,
        ),
        Column(
            "hypervolume",
            "float64",
            "Area between the frontier and the reference point, cost in hypervolume_cost_scale,"
            " accuracy as a ratio.",
            nullable=False,
        ),
        Column(
            "hypervolume_ratio",
            "float64",
            "hypervolume / area of the box from reference to ideal.",
            unit="ratio",
            nullable=False,
        ),
        Column(
            "hypervolume_cost_scale",
            "string",
            "log10, or linear if a cost is 0.",
            nullable=False,
            allowed=("log10", "linear"),
        ),
        Column(
            "reference_cost",
            "float64",
            "Cost of the reference point in cost_unit: the first power of ten above all costs.",
            nullable=False,
        ),
        Column(
            "reference_accuracy",
            "float64",
            "Accuracy of the reference point.",
            unit="ratio",
            nullable=False,
        ),
        Column(
            "ideal_cost",
            "float64",
            "Cost of the ideal point in cost_unit: the last power of ten not above any cost, or 0.",
            nullable=False,
        ),
        Column(
            "ideal_accuracy",
            "float64",
            "Accuracy of the ideal point.",
            unit="ratio",
            nullable=False,
        ),
        Column(
            "knee_outcome_id",
            "string",
            "Outcome at the knee; NULL if there is none, see knee_reason.",
        ),
        Column("knee_cost", "float64", "Cost at the knee in cost_unit."),
        Column("knee_accuracy", "float64", "Accuracy at the knee.", unit="ratio"),
        Column(
            "knee_strength",
            "float64",
            "Height above the chord, ln(cost) and accuracy scaled to 0..1 over the frontier.",
        ),
        Column("knee_rule", "string", "Rule, scale of cost and threshold.", nullable=False),
        Column("knee_reason", "string", "Why there is no knee; NULL if there is one."),
    ),
)

FRONTIER_ATTAINMENT = Table(
    name="out_frontier_attainment",
    grain="one budget of one attainment curve",
    keys=("task", "frontier_kind", "quality_measure", "cost_axis", "attained_ratio", "cost"),
    warnings=(
        (
            "Made of the same draws as frontier_probability: spread over problems, the outcomes as"
            " given."
        ),
    ),
    columns=(
        *_SCOPE,
        Column(
            "attained_ratio",
            "float64",
            "Share of bootstrap draws that attain the accuracy: 0.05, 0.5 or 0.95.",
            unit="ratio",
            nullable=False,
        ),
        Column("cost", "float64", "Budget, in cost_unit.", nullable=False),
        Column("cost_unit", "string", "Unit of cost, per problem.", nullable=False),
        Column(
            "accuracy",
            "float64",
            "Best accuracy that at least this share of the draws attains within the budget; NULL "
            "if fewer can afford any outcome.",
            unit="ratio",
        ),
        Column(
            "draws",
            "int32",
            "Bootstrap draws of problems, shared by all outcomes of the task and all cost axes.",
            nullable=False,
        ),
        columns.SEED,
    ),
)

COMPARISONS = Table(
    name="out_comparisons",
    grain="one pair of outcomes of one task in one family of comparisons",
    keys=("task", "comparison_family", "first_outcome_id", "second_outcome_id"),
    warnings=(
        (
            "Each pair occurs once. The other direction has every difference negated, low and"
            " high swapped, and the same p-values; the view comparisons has both. Any other two"
            " outcomes: isocost compare FIRST SECOND."
        ),
        (
            "Adjusted p-values and the simultaneous interval answer for the n_comparisons pairs of"
            " the family and task together."
        ),
        (
            "At most 64 outcomes a family and task are compared: of a frontier those with the"
            " highest frontier_probability, of single samples the most accurate; of duplicates only"
            " the first."
        ),
        (
            "Frontier outcomes were chosen because they did well on these same problems: p-values"
            " are for orientation, new problems decide."
        ),
    ),
    columns=(
        columns.TASK,
        Column(
            "comparison_family",
            "string",
            "frontier: all pairs of policies on a frontier of any cost axis; "
            "frontier_against_single: each of them against the most accurate configuration at one "
            "sample per problem; single_sample: all pairs of configurations at one sample per "
            "problem.",
            nullable=False,
            allowed=("frontier", "frontier_against_single", "single_sample"),
        ),
        Column(
            "first_outcome_id",
            "string",
            "Outcome; the first in order of its id, and the frontier's in frontier_against_single.",
            nullable=False,
        ),
        Column("second_outcome_id", "string", "Outcome it is compared with.", nullable=False),
        Column(
            "accuracy_difference",
            "float64",
            "Mean over problems of first minus second.",
            unit="ratio",
            nullable=False,
        ),
        Column(
            "accuracy_difference_low",
            "float64",
            "Lower end of its t interval, not cut at -1 or 1.",
            unit="ratio",
            nullable=False,
        ),
        Column(
            "accuracy_difference_high",
            "float64",
            "Upper end of its t interval.",
            unit="ratio",
            nullable=False,
        ),
        Column(
            "accuracy_difference_se",
            "float64",
            "Standard error over problems (clusters).",
            unit="ratio",
            nullable=False,
        ),
        Column(
            "accuracy_difference_band_low",
            "float64",
            "Lower end of the simultaneous interval: that of all pairs of the family at once"
            " (multiplier bootstrap of the largest |t|); never above accuracy_difference_low.",
            unit="ratio",
            nullable=False,
        ),
        Column(
            "accuracy_difference_band_high",
            "float64",
            "Upper end of the simultaneous interval.",
            unit="ratio",
            nullable=False,
        ),
        Column(
            "p_value",
            "float64",
            "Two-sided, by test_method; NULL with undefined_reason.",
            unit="ratio",
        ),
        Column(
            "p_value_holm",
            "float64",
            "Holm's adjusted p-value over the family: probability of any false finding.",
            unit="ratio",
        ),
        Column(
            "p_value_bh",
            "float64",
            "Benjamini and Hochberg's adjusted p-value over the family: share of false findings.",
            unit="ratio",
        ),
        Column(
            "p_value_max_t",
            "float64",
            "Adjusted for the family by the bootstrap of the largest |t| (Westfall and Young),"
            " which knows how pairs hang together; not below 1 / (draws + 1).",
            unit="ratio",
        ),
        Column(
            "n_first_only",
            "int32",
            "Problems that only the first solves; NULL unless each is plainly right or wrong.",
            unit="problems",
        ),
        Column(
            "n_second_only",
            "int32",
            "Problems that only the second solves; NULL as before.",
            unit="problems",
        ),
        columns.NO_P_VALUE_REASON,
        Column(
            "verdict",
            "string",
            "By p_value_holm below 0.05 and the sign of the difference; unknown without a p-value.",
            nullable=False,
            allowed=("first_better", "second_better", "no_difference_shown", "unknown"),
        ),
        Column(
            "n_comparisons",
            "int32",
            "Pairs of the family in this task.",
            unit="pairs",
            nullable=False,
        ),
        columns.N_PROBLEMS,
        Column(
            "n_units",
            "int32",
            "Units of the test: clusters if problems share a source, otherwise problems.",
            nullable=False,
        ),
        Column(
            "problems_needed",
            "int64",
            "Problems required to detect this difference with probability 0.8 at level 0.05; NULL "
            "if the"
            " outcomes do not differ or never vary.",
            unit="problems",
        ),
        Column(
            "test_method",
            "string",
            "paired_t over problems; mcnemar_exact if both are simply right or wrong on every "
            "problem, as with one sample each.",
            nullable=False,
            allowed=("paired_t", "paired_t_clustered", "mcnemar_exact"),
        ),
        columns.CONFIDENCE,
        Column("draws", "int32", "Multiplier draws of the simultaneous interval.", nullable=False),
        columns.SEED,
    ),
)

_JOINT = (
    *_SCOPE[:4],
    Column(
        "first_cost_axis",
        "string",
        "The one cost to be as low as possible: a column of out_strategy_outcomes.",
        nullable=False,
    ),
    Column(
        "second_cost_axis", "string", "The other cost to be as low as possible.", nullable=False
    ),
)
_JOINT_KEYS = ("task", "frontier_kind", "quality_measure", "first_cost_axis", "second_cost_axis")

JOINT_FRONTIER_POINTS = Table(
    name="out_joint_frontier_points",
    grain="one outcome on two cost axes of one task",
    keys=(*_JOINT_KEYS, "outcome_id"),
    warnings=(
        (
            "Filter by frontier_kind and by both axes: a policy has a row for each kind and pair of"
            " costs."
        ),
        "An outcome with either cost unknown has no row here; out_joint_frontiers counts it.",
        (
            "With two costs more outcomes stay undominated than with one, many by a hair: read"
            " frontier_probability."
        ),
    ),
    columns=(
        *_JOINT,
        Column(
            "outcome_id",
            "string",
            "Key of out_strategy_outcomes; for a mean over tasks a hash of their outcomes.",
            nullable=False,
        ),
        columns.MODEL_VARIANT_OR_NULL,
        columns.PROMPT,
        Column(
            "point_id",
            "string",
            "Measured configuration; NULL for a mean over tasks, which joins several.",
        ),
        CONFIGURATION,
        Column("strategy", "string", "Inference-time strategy."),
        columns.BUDGET,
        Column("parameters", "json", "Further parameters of the strategy, canonical JSON."),
        Column(
            "accuracy",
            "float64",
            "Mean over problems of the expected correctness.",
            unit="ratio",
            nullable=False,
        ),
        Column(
            "first_cost",
            "float64",
            "Mean over problems of the expected cost, in first_cost_unit.",
            nullable=False,
        ),
        Column("first_cost_unit", "string", "Unit of first_cost, per problem.", nullable=False),
        Column(
            "second_cost",
            "float64",
            "Mean over problems of the expected cost, in second_cost_unit.",
            nullable=False,
        ),
        Column("second_cost_unit", "string", "Unit of second_cost, per problem.", nullable=False),
        Column(
            "is_on_frontier",
            "bool",
            "No other outcome is at most as expensive in both costs, at least as accurate and "
            "better in one of the three; duplicates are all kept.",
            nullable=False,
        ),
        Column(
            "frontier_probability",
            "float64",
            "Share of bootstrap draws of problems in which no other outcome dominates this one;"
            " NULL if n_units is 1.",
            unit="ratio",
        ),
        Column(
            "is_on_first_cost_frontier",
            "bool",
            "On the frontier when the second cost does not count.",
            nullable=False,
        ),
        Column(
            "is_on_second_cost_frontier",
            "bool",
            "On the frontier when the first cost does not count.",
            nullable=False,
        ),
        Column(
            "hypervolume_contribution",
            "float64",
            "Hypervolume lost without this outcome and its duplicates; scales and reference in"
            " out_joint_frontiers.",
            nullable=False,
        ),
        Column(
            "duplicate_of_outcome_id",
            "string",
            "First outcome with the same accuracy and costs.",
            nullable=False,
        ),
        *_DRAWS[:-1],
    ),
)

JOINT_FRONTIERS = Table(
    name="out_joint_frontiers",
    grain="one frontier of accuracy and two costs of a task",
    keys=_JOINT_KEYS,
    warnings=(
        (
            "A hypervolume depends on its scales and reference; compare only rows whose reference"
            " and ideal columns agree."
        ),
    ),
    columns=(
        *_JOINT,
        Column(
            "choice_reason", "string", "Why these two costs are looked at together.", nullable=False
        ),
        Column("first_cost_unit", "string", "Unit of the first cost, per problem.", nullable=False),
        Column(
            "second_cost_unit", "string", "Unit of the second cost, per problem.", nullable=False
        ),
        *_DRAWS[:-1],
        Column(
            "n_outcomes",
            "int32",
            "Outcomes of the task, excluded ones included.",
            unit="outcomes",
            nullable=False,
        ),
        Column("n_included", "int32", "Outcomes compared here.", unit="outcomes", nullable=False),
        Column(
            "n_excluded_unknown_cost",
            "int32",
            "Left out because a cost is unknown for a problem; outcomes left out for other "
            "reasons are counted in out_frontiers.",
            unit="outcomes",
            nullable=False,
        ),
        Column(
            "n_frontier", "int32", "Distinct points on the frontier.", unit="points", nullable=False
        ),
        Column(
            "hypervolume",
            "float64",
            "Volume between the frontier and the reference point, costs in their scales.",
            nullable=False,
        ),
        Column(
            "hypervolume_ratio",
            "float64",
            "hypervolume / volume of the box from reference to ideal.",
            unit="ratio",
            nullable=False,
        ),
        Column(
            "first_cost_scale",
            "string",
            "log10, or linear if a cost is 0.",
            nullable=False,
            allowed=("log10", "linear"),
        ),
        Column(
            "second_cost_scale",
            "string",
            "log10, or linear if a cost is 0.",
            nullable=False,
            allowed=("log10", "linear"),
        ),
        Column(
            "first_reference_cost",
            "float64",
            "First power of ten above all first costs.",
            nullable=False,
        ),
        Column(
            "second_reference_cost",
            "float64",
            "First power of ten above all second costs.",
            nullable=False,
        ),
        Column(
            "first_ideal_cost",
            "float64",
            "Last power of ten not above any first cost, or 0.",
            nullable=False,
        ),
        Column(
            "second_ideal_cost",
            "float64",
            "Last power of ten not above any second cost, or 0.",
            nullable=False,
        ),
        Column(
            "reference_accuracy",
            "float64",
            "Accuracy of the reference point.",
            unit="ratio",
            nullable=False,
        ),
        Column(
            "ideal_accuracy",
            "float64",
            "Accuracy of the ideal point.",
            unit="ratio",
            nullable=False,
        ),
    ),
)

TASK_MEANS = Table(
    name="out_task_means",
    grain="one task and kind of frontier: which means over tasks it is in",
    keys=("frontier_kind", "task"),
    warnings=(
        (
            "An outcome is part of a mean over the tasks that have its model, prompt, settings, "
            "strategy and budget exactly once; other settings of an imported source count if they "
            "distinguish configurations of a task."
        ),
    ),
    columns=(
        Column(
            "frontier_kind",
            "string",
            "policy or oracle, as in out_frontiers.",
            nullable=False,
            allowed=("policy", "oracle"),
        ),
        columns.TASK,
        Column(
            "n_outcomes",
            "int32",
            "Outcomes of the task that can be compared.",
            unit="outcomes",
            nullable=False,
        ),
        Column(
            "n_shared",
            "int32",
            "Of these, outcomes that another task also has.",
            unit="outcomes",
            nullable=False,
        ),
        Column(
            "means",
            "list[string]",
            "Means that the task is in, as the column task of out_frontiers calls them.",
            nullable=False,
        ),
        Column(
            "left_out_reason",
            "string",
            f"Why the task is not in the mean {MACRO_TASK}; NULL if it is.",
        ),
    ),
)

TABLES = (
    FRONTIER_POINTS,
    FRONTIERS,
    FRONTIER_ATTAINMENT,
    JOINT_FRONTIER_POINTS,
    JOINT_FRONTIERS,
    COMPARISONS,
    TASK_MEANS,
)
