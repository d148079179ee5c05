"""Outcome tables: what every replayed strategy achieves and spends.

Lives here: out_strategy_outcomes, out_strategy_problems. Not here: how they are computed
(``isocost.tables.outcomes.outcomes``, ``isocost.strategies``) and the frontiers drawn from them.
"""

from __future__ import annotations

from isocost.axes.registry import all_axes
from isocost.schema import columns
from isocost.schema.axis_columns import method_columns, own_reason_columns
from isocost.schema.model import Column, Table

REASONS = (
    "budget_exceeds_samples (k > n: undefined, not 1), budget_below_samples, ungraded_samples "
    "(one is ungraded), answers_not_banked (correct samples without an answer class),"
    " no_sample_has_the_score, no_answer_at_budget, missing_scores, too_few_verifications,"
    " too_few_problems_for_folds"
)

_PER_PROBLEM = tuple(
    Column(axis.per_problem, "float64", axis.meaning, unit=axis.unit)
    for axis in all_axes().values()
)

OUTCOMES = Table(
    name="out_strategy_outcomes",
    grain="one strategy at one budget on one point, or on a chain of points",
    keys=("outcome_id",),
    order=("task", "point_id", "strategy", "budget", "outcome_id"),
    warnings=(
        (
            "strategy_kind oracle needs to know the correct answer, metric is not a way to "
            "answer: compare policies with policies."
        ),
        (
            "Where n_problems_undefined is above 0 the mean is over fewer problems than in other"
            " rows of the point; do not compare them."
        ),
        "A strategy has no rows for a point without the inputs that it needs.",
        (
            "Cascades and routers are tried on every pair and triple of models under one prompt"
            " while there are at most 64 of them; else each model is tried with the point that has"
            " the most samples, and of more than 7 models those that none beats in both cost and"
            " accuracy of one sample."
        ),
        (
            "Intervals are about new problems of the same kind; error_bound is only about the "
            "random draws of sampled estimators."
        ),
        (
            "A cost is NULL if it is unknown for any problem of the row: unknown is never free "
            "and never skipped in a mean."
        ),
    ),
    columns=(
        Column(
            "outcome_id",
            "string",
            "Hash of point, strategy, parameters and budget.",
            nullable=False,
        ),
        columns.TASK,
        Column(
            "model_variant",
            "string",
            "Model variant; for a chain of points their variants joined by ' + ', from cheap to "
            "expensive.",
        ),
        columns.PROMPT_OF_SOURCE,
        Column(
            "point_id",
            "string",
            "Measured configuration; for a chain of points their ids joined by '+'.",
            nullable=False,
        ),
        Column(
            "point_ids",
            "list[string]",
            "The replayed points, in the order in which they are used.",
            nullable=False,
        ),
        Column("strategy", "string", "Registered strategy and variant.", nullable=False),
        Column("strategy_family", "string", "Registered strategy.", nullable=False),
        Column(
            "strategy_kind",
            "string",
            "policy: can be run as it is; oracle: needs to know the correct answer; metric: "
            "describes samples.",
            nullable=False,
            allowed=("policy", "oracle", "metric"),
        ),
        Column(
            "parameters",
            "json",
            "Further parameters of the strategy, canonical JSON.",
            nullable=False,
        ),
        Column("budget", "float64", "Budget of the strategy, in budget_unit.", nullable=False),
        Column(
            "budget_unit",
            "string",
            "What the budget counts: samples (the cap for policies that stop early), tokens,"
            " models, or the unit of a method whose samples have several answers, such as rounds.",
            nullable=False,
        ),
        Column(
            "n_problems",
            "int32",
            "Problems that the row's means are taken over.",
            unit="problems",
            nullable=False,
        ),
        Column(
            "n_problems_undefined",
            "int32",
            "Problems left out because their value is undefined.",
            unit="problems",
            nullable=False,
        ),
        Column(
            "undefined_reasons",
            "list[string]",
            f"reason:problems for those, sorted; reasons are {REASONS}.",
            nullable=False,
        ),
        Column(
            "accuracy",
            "float64",
            "Mean over problems of the expected correctness; NULL if undefined for all.",
            unit="ratio",
        ),
        columns.ACCURACY_LOW,
        columns.ACCURACY_HIGH,
        Column(
            "interval_method",
            "string",
            "Method of the interval: score (Wilson's, at the effective number of trials over"
            " problems) or percentile (bootstrap of problems); -clustered if whole clusters are "
            "the units.",
        ),
        Column(
            "interval_draws",
            "int32",
            "Bootstrap draws of problems, shared by all outcomes of a task; NULL for the score"
            " interval.",
            unit="draws",
        ),
        Column("interval_confidence", "float64", "Level of the interval.", unit="ratio"),
        Column(
            "marginal_accuracy",
            "float64",
            "What one sample more would add: pass@(k+1) - pass@k; NULL for other strategies.",
            unit="ratio",
        ),
        Column(
            "selection_efficiency",
            "float64",
            "(accuracy - pass@1) / (pass@k - pass@1) over the same problems; NULL if nothing can"
            " be gained or nothing is selected.",
            unit="ratio",
        ),
        Column(
            "expected_score",
            "float64",
            "Mean over problems of the expected grade, 0 to 1, of the chosen sample; NULL if no"
            " single sample is chosen.",
            unit="ratio",
        ),
        *_PER_PROBLEM,
        *method_columns(),
        Column(
            "costs_unknown_reasons",
            "list[string]",
            "axis: reason for every cost of the row that is NULL, sorted.",
            nullable=False,
        ),
        Column(
            "estimator",
            "string",
            "exact: all subsets or orders of the bank; sampled: random ones for at least one"
            " problem.",
            nullable=False,
            allowed=("exact", "sampled"),
        ),
        Column(
            "sampling_draws",
            "int32",
            "Random subsets or orders per problem if sampled; NULL if exact.",
            unit="draws",
        ),
        Column(
            "error_bound",
            "float64",
            "Hoeffding bound of the sampling error of accuracy, exceeded with a probability of at "
            "most 0.05; 0 if exact.",
            unit="ratio",
        ),
        Column(
            "tie_rule",
            "string",
            "How equal scores or votes are broken; NULL if there are none to break.",
        ),
        Column("n_samples", "int64", "Valid samples replayed.", unit="samples", nullable=False),
        Column(
            "n_samples_invalid",
            "int64",
            "Samples left out because they are not valid.",
            unit="samples",
            nullable=False,
        ),
        Column(
            "n_samples_no_answer",
            "int64",
            "Valid samples without an answer class.",
            unit="samples",
            nullable=False,
        ),
        Column(
            "n_samples_truncated",
            "int64",
            "Valid samples that the token budget ended; NULL if unknown.",
            unit="samples",
        ),
        Column(
            "n_samples_unscored",
            "int64",
            "Valid samples without the score the strategy ranks by; they rank last.",
            unit="samples",
        ),
        Column(
            "n_problems_no_answer",
            "int32",
            "Problems with samples, none of which has an answer.",
            unit="problems",
            nullable=False,
        ),
        Column(
            "n_problems_all_truncated",
            "int32",
            "Problems whose samples were all truncated; NULL if unknown.",
            unit="problems",
        ),
        Column(
            "n_problems_one_class",
            "int32",
            "Problems whose samples all have one same answer.",
            unit="problems",
            nullable=False,
        ),
    ),
)

PROBLEMS = Table(
    name="out_strategy_problems",
    grain="one outcome at one problem",
    keys=("outcome_id", "problem_id"),
    warnings=("A NULL accuracy is undefined for the reason given; it is neither 0 nor left out.",),
    columns=(
        columns.OUTCOME_ID,
        columns.PROBLEM_ID,
        Column(
            "accuracy", "float64", "Expected correctness of the strategy's answer.", unit="ratio"
        ),
        Column("undefined_reason", "string", "Why accuracy is NULL; NULL if it is known."),
        *_PER_PROBLEM,
        *own_reason_columns(),
    ),
)

TABLES = (OUTCOMES, PROBLEMS)
