"""Scaling tables: how accuracy grows with compute, and where more stops paying off.

Lives here: out_scaling_points, out_scaling_fits, out_compute_targets, out_anytime,
out_token_elasticity, out_compute_optimal. Not here: how they are computed (``isocost.tables``,
``isocost.curves``) and frontiers.
"""

from __future__ import annotations

from isocost.schema import columns
from isocost.schema.model import Column, Table

CURVE_KEY = ("curve_id",)
STATUSES = ("ok", "flat", "at_bound", "too_few_points", "not_converged")
TRENDS = ("rising", "flat", "falling", "unknown")
QUADRANTS = tuple(
    f"{quality}_{cost}"
    for quality in ("better", "equal", "worse")
    for cost in ("costlier", "equal", "cheaper")
)

_CURVE = (
    Column(
        "curve_id",
        "string",
        "Hash of everything that names the curve: the columns up to cost_axis.",
        nullable=False,
    ),
    columns.TASK,
    columns.MODEL_VARIANT_OR_NULL,
    Column("point_id", "string", "Measured configuration."),
    columns.PROMPT,
    Column(
        "strategy",
        "string",
        "Inference-time strategy whose budget grows along the curve.",
        nullable=False,
    ),
    Column(
        "strategy_parameters",
        "json",
        "Parameters of the strategy that are the same along the curve, canonical JSON.",
    ),
    Column(
        "cost_axis",
        "string",
        "What x counts: a column of out_strategy_outcomes, or rounds_per_problem: rounds at most,"
        " the budget of a sequential strategy.",
        nullable=False,
    ),
)
_CONFIDENCE = columns.CONFIDENCE
_SEED = columns.SEED
_DRAWS = (
    Column("n_problems", "int32", "Problems the curve rests on.", unit="problems", nullable=False),
    Column(
        "draws",
        "int32",
        "Bootstrap draws of problems, shared by all curves of the task; 0 without a spread.",
        nullable=False,
    ),
    _SEED,
    _CONFIDENCE,
)

SCALING_POINTS = Table(
    name="out_scaling_points",
    grain="one measured point of a curve, or one point of the curve fitted by its chosen family",
    keys=("curve_id", "point_kind", "point_index"),
    warnings=(
        "Filter by point_kind: measured and fitted points are never to be pooled.",
        "Points of one curve share samples and problems: they are strongly correlated.",
    ),
    columns=(
        *_CURVE,
        Column(
            "point_kind",
            "string",
            "measured, or fitted by the chosen family.",
            nullable=False,
            allowed=("measured", "fitted"),
        ),
        Column(
            "point_index", "int32", "Position along the curve, by cost, from 0.", nullable=False
        ),
        Column("outcome_id", "string", "Key of out_strategy_outcomes; NULL for a fitted point."),
        Column(
            "budget",
            "float64",
            "Budget of the strategy, in the strategy's own unit; NULL for a fitted point.",
        ),
        columns.COST,
        columns.COST_UNIT,
        Column(
            "accuracy",
            "float64",
            "Measured: mean expected correctness; fitted: value of the curve.",
            unit="ratio",
            nullable=False,
        ),
        Column(
            "accuracy_low",
            "float64",
            "Lower end of the accuracy's expanded percentile bootstrap interval.",
            unit="ratio",
        ),
        Column(
            "accuracy_high",
            "float64",
            "Upper end of the accuracy's expanded percentile bootstrap interval.",
            unit="ratio",
        ),
        Column("family", "string", "Family that made a fitted point; NULL for a measured one."),
        Column(
            "is_extrapolated",
            "bool",
            "Whether the cost is beyond every measured point of the curve.",
            nullable=False,
        ),
    ),
)

SCALING_FITS = Table(
    name="out_scaling_fits",
    grain="one family fitted to one curve",
    keys=("curve_id", "family"),
    warnings=(
        (
            "A strategy has a curve only if it was measured at two budgets of different cost;"
            " strategies of kind metric have none."
        ),
        (
            "Outcomes with an undefined accuracy, or on other problems than most of their task, are"
            " left out; out_frontiers counts them."
        ),
        (
            "Extrapolation is a guess with a shape: compare the families' asymptotes before"
            " believing one."
        ),
        (
            "Budget points share samples and problems, so AIC and BIC describe, they do not decide;"
            " is_chosen follows held_out_rmse."
        ),
        (
            "asymptote_kind constructed means that the formula fixes the asymptote at 1, whatever"
            " the data: it has no interval."
        ),
        "Read trend first: if accuracy does not rise with cost, a fitted asymptote says little.",
        (
            "Intervals speak of new problems of the same kind; that the family is right is assumed."
            " docs/results/coverage_curves.csv has the measured coverage."
        ),
    ),
    columns=(
        *_CURVE,
        Column("family", "string", "Curve family.", nullable=False),
        Column(
            "status",
            "string",
            "ok; flat: no gain with cost; at_bound: a parameter ended on its bound.",
            nullable=False,
            allowed=STATUSES,
        ),
        Column(
            "parameters",
            "json",
            "Fitted parameters by name, NULL if the data do not identify one.",
            nullable=False,
        ),
        Column(
            "parameters_low", "json", "Lower ends of their expanded percentile bootstrap intervals."
        ),
        Column(
            "parameters_high",
            "json",
            "Upper ends of their expanded percentile bootstrap intervals.",
        ),
        Column(
            "asymptote",
            "float64",
            "Accuracy for unbounded cost; NULL if the family has none. A flat curve's level.",
            unit="ratio",
        ),
        Column(
            "asymptote_low",
            "float64",
            "Lower end of its expanded percentile bootstrap interval; NULL unless fitted.",
            unit="ratio",
        ),
        Column(
            "asymptote_high",
            "float64",
            "Upper end of its expanded percentile bootstrap interval; NULL unless fitted.",
            unit="ratio",
        ),
        Column(
            "asymptote_kind",
            "string",
            "fitted by the data, constructed by the formula, or none.",
            nullable=False,
            allowed=("fitted", "constructed", "none"),
        ),
        Column(
            "rss", "float64", "Sum of squared residuals, each weighted, weights scaled to mean 1."
        ),
        Column(
            "aic", "float64", "n ln(rss / n) + 2 K over n points with K = curve parameters + 1."
        ),
        Column("aicc", "float64", "aic + 2 K (K + 1) / (n - K - 1); NULL for n <= K + 1."),
        Column("bic", "float64", "n ln(rss / n) + K ln n."),
        Column(
            "n_points",
            "int32",
            "Points of the curve that were fitted.",
            unit="points",
            nullable=False,
        ),
        Column(
            "n_excluded",
            "int32",
            "Points left out: cost unknown or not positive on this axis.",
            unit="points",
            nullable=False,
        ),
        Column("cost_min", "float64", "Smallest cost of the points, in cost_unit.", nullable=False),
        Column("cost_max", "float64", "Largest cost of the points, in cost_unit.", nullable=False),
        columns.COST_UNIT,
        Column(
            "held_out_rmse",
            "float64",
            "Root mean squared error at the larger budgets when only the smaller half, or two"
            " thirds, were fitted.",
            unit="ratio",
        ),
        Column(
            "held_out_error",
            "float64",
            "Signed: mean of predicted minus observed accuracy at the budgets above the smaller two"
            " thirds, which were fitted; negative if predictions were too low. The size of the "
            "errors is in held_out_rmse.",
            unit="ratio",
        ),
        Column(
            "held_out_log_ratio",
            "float64",
            "Mean of ln(predicted / observed) there; NULL if either is not positive.",
        ),
        Column(
            "held_out_factor",
            "float64",
            "Largest cost / largest cost fitted there: how far the fit reached.",
        ),
        Column(
            "chosen_family",
            "string",
            "Family chosen for the curve; NULL if none could be fitted and evaluated.",
        ),
        Column("is_chosen", "bool", "Whether this row is the chosen family.", nullable=False),
        Column(
            "choice_method",
            "string",
            "held_out_extrapolation: smallest held_out_rmse; bic: too few points to hold any out;"
            " none.",
            nullable=False,
            allowed=("held_out_extrapolation", "bic", "none"),
        ),
        Column(
            "gain",
            "float64",
            "Measured accuracy at the largest cost minus that at the smallest.",
            unit="ratio",
            nullable=False,
        ),
        Column(
            "gain_low",
            "float64",
            "Lower end of its expanded percentile bootstrap interval.",
            unit="ratio",
        ),
        Column(
            "gain_high",
            "float64",
            "Upper end of its expanded percentile bootstrap interval.",
            unit="ratio",
        ),
        Column(
            "trend",
            "string",
            "Sign of gain, flat if its interval contains 0.",
            nullable=False,
            allowed=TRENDS,
        ),
        Column(
            "saturation_budget",
            "int64",
            "TTSPM only: smallest N after which one more sample gains at most saturation_epsilon; "
            "0 if the first already gains no more.",
            unit="samples",
        ),
        Column(
            "saturation_epsilon",
            "float64",
            "Gain in accuracy per sample that counts as zero.",
            unit="ratio",
        ),
        Column(
            "interval_method",
            "string",
            "Method of the intervals: percentiles of the problem bootstrap, expanded according to "
            "Student's distribution for few units (Hesterberg 2015); NULL without a"
            " spread.",
            allowed=("problem_bootstrap_expanded_percentile",),
        ),
        Column("draws_fitted", "int32", "Bootstrap draws with a fit.", nullable=False),
        *_DRAWS,
    ),
)

COMPUTE_TARGETS = Table(
    name="out_compute_targets",
    grain="one target accuracy on one curve, by its chosen family",
    keys=("curve_id", "target_accuracy"),
    warnings=(
        (
            "A target above the asymptote is unreachable on this curve; if only some draws reach "
            "it, the interval has no upper end."
        ),
        "extrapolated costs rest on the shape of the family.",
    ),
    columns=(
        *_CURVE,
        Column("family", "string", "Chosen family.", nullable=False),
        Column("target_accuracy", "float64", "Accuracy to reach.", unit="ratio", nullable=False),
        Column(
            "cost",
            "float64",
            "Cost at which the curve reaches it, in cost_unit; NULL if it never does.",
        ),
        Column(
            "cost_low",
            "float64",
            "Lower end of its expanded percentile bootstrap interval, in cost_unit; NULL if"
            " unbounded.",
        ),
        Column(
            "cost_high",
            "float64",
            "Upper end of its expanded percentile bootstrap interval, in cost_unit; NULL if"
            " unbounded.",
        ),
        columns.COST_UNIT,
        Column(
            "reached_ratio",
            "float64",
            "Share of bootstrap draws whose curve reaches the target at any cost.",
            unit="ratio",
        ),
        Column(
            "target_status",
            "string",
            "observed: within the measured costs; below_range; extrapolated; unreachable.",
            nullable=False,
            allowed=("observed", "below_range", "extrapolated", "unreachable"),
        ),
        *_DRAWS,
    ),
)

ANYTIME = Table(
    name="out_anytime",
    grain="one curve, measured without a fitted family",
    keys=CURVE_KEY,
    warnings=(
        (
            "Areas are comparable only over equal cost ranges: compare cost_low_end and"
            " cost_high_end first."
        ),
        (
            "budget_scaling averages slopes over all pairs of points, so that short gaps dominate"
            " an uneven grid."
        ),
        "cumulative_regret compares with an oracle that is right from the first unit of cost.",
    ),
    columns=(
        *_CURVE,
        Column(
            "cost_low_end",
            "float64",
            "Smallest measured cost, in cost_unit: start of the area.",
            nullable=False,
        ),
        Column(
            "cost_high_end",
            "float64",
            "Largest measured cost, in cost_unit: end of the area and horizon of the regret.",
            nullable=False,
        ),
        columns.COST_UNIT,
        Column(
            "anytime_accuracy",
            "float64",
            "Mean accuracy over ln(cost) between the ends, trapezoid.",
            unit="ratio",
        ),
        Column(
            "anytime_accuracy_low",
            "float64",
            "Lower end of its expanded percentile bootstrap interval.",
            unit="ratio",
        ),
        Column(
            "anytime_accuracy_high",
            "float64",
            "Upper end of its expanded percentile bootstrap interval.",
            unit="ratio",
        ),
        Column(
            "anytime_accuracy_linear",
            "float64",
            "Mean accuracy over cost between the ends, trapezoid.",
            unit="ratio",
        ),
        Column(
            "anytime_score_uniform",
            "float64",
            "Mean accuracy over the points, equal weights (AnytimeReasoner).",
            unit="ratio",
        ),
        Column(
            "anytime_score_linear",
            "float64",
            "Mean accuracy over the points, weights proportional to cost.",
            unit="ratio",
        ),
        Column(
            "cumulative_regret",
            "float64",
            "1 - mean accuracy over cost from 0 to cost_high_end, from (0, 0) (MRT).",
            unit="ratio",
        ),
        Column(
            "budget_scaling",
            "float64",
            "Mean over pairs a < b of (acc(b) - acc(a)) / (b - a), per cost_unit (s1 Scaling).",
        ),
        Column(
            "budget_performance",
            "float64",
            "Largest accuracy over the points (s1 Performance).",
            unit="ratio",
            nullable=False,
        ),
        Column("n_points", "int32", "Points of the curve.", unit="points", nullable=False),
        *_DRAWS,
    ),
)

TOKEN_ELASTICITY = Table(
    name="out_token_elasticity",
    grain="one outcome against the cheapest outcome of its task and model variant",
    keys=("outcome_id",),
    order=("task", "model_variant", "outcome_id"),
    warnings=(
        (
            "Read token_elasticity only together with quadrant: cheaper and worse has the same sign"
            " as costlier and better."
        ),
        (
            "Outcomes without known tokens, and outcomes graded on different problems than most "
            "of their task, have no row."
        ),
    ),
    columns=(
        columns.OUTCOME_ID,
        Column(
            "baseline_outcome_id",
            "string",
            "Outcome of the same task and model with the fewest tokens; ties by id.",
            nullable=False,
        ),
        columns.TASK,
        columns.MODEL_VARIANT_OR_NULL,
        Column("point_id", "string", "Measured configuration."),
        columns.PROMPT,
        Column("strategy", "string", "Inference-time strategy.", nullable=False),
        columns.BUDGET,
        Column(
            "tokens_per_problem",
            "float64",
            "Prompt tokens, prefix shared, plus output tokens.",
            unit="tokens",
            nullable=False,
        ),
        Column("tokens_ratio", "float64", "tokens_per_problem / that of the baseline."),
        Column(
            "accuracy_gain",
            "float64",
            "accuracy minus that of the baseline.",
            unit="ratio",
            nullable=False,
        ),
        Column(
            "accuracy_gain_low",
            "float64",
            "Lower end of its expanded percentile bootstrap interval.",
            unit="ratio",
        ),
        Column(
            "accuracy_gain_high",
            "float64",
            "Upper end of its expanded percentile bootstrap interval.",
            unit="ratio",
        ),
        Column(
            "token_elasticity",
            "float64",
            "(accuracy_gain / baseline accuracy) / (token gain / baseline tokens); NULL if a"
            " base is 0 or the tokens are equal (TEP).",
        ),
        Column(
            "token_elasticity_low",
            "float64",
            "Lower end of its expanded percentile bootstrap interval, if draws define it.",
        ),
        Column(
            "token_elasticity_high",
            "float64",
            "Upper end of its expanded percentile bootstrap interval, if draws define it.",
        ),
        Column(
            "arc_elasticity",
            "float64",
            "The same with midpoints as bases: symmetric in the two outcomes.",
        ),
        Column(
            "quadrant",
            "string",
            "Better, equal or worse, then costlier, equal or cheaper.",
            nullable=False,
            allowed=QUADRANTS,
        ),
        Column(
            "quadrant_ratio",
            "float64",
            "Share of bootstrap draws in the same quadrant.",
            unit="ratio",
        ),
        *_DRAWS,
    ),
)

EFFORT_FRONTIER = Table(
    name="out_effort_frontier",
    grain=(
        "one measured configuration (an effort: prompt, token budget, sampling) of a model on a "
        "task, one sample per problem"
    ),
    keys=("task", "point_id"),
    order=("task", "model_variant", "point_id"),
    warnings=(
        (
            "sequential_requests_per_s is for requests in sequence, 1 / latency; for"
            " throughput under load see out_request_efficiency."
        ),
        (
            "E^3 counts the tokens of the answer: verifications, which do not change it, are not"
            " in it."
        ),
        (
            "Tokens per second cannot compare efforts with different answer lengths; requests per "
            "second can."
        ),
    ),
    columns=(
        columns.TASK,
        columns.MODEL_VARIANT,
        columns.POINT_ID,
        columns.PROMPT,
        columns.ACCURACY,
        Column(
            "output_tokens_per_request",
            "float64",
            "Mean generated tokens per sample.",
            unit="tokens/request",
        ),
        Column(
            "sequential_requests_per_s",
            "float64",
            "1 / mean latency_s per sample.",
            unit="requests/s",
        ),
        Column(
            "sequential_correct_per_s",
            "float64",
            "sequential_requests_per_s * accuracy.",
            unit="answers/s",
        ),
        Column(
            "is_on_effort_frontier",
            "bool",
            "No effort of the model on the task is as accurate with as few tokens and better in"
            " one.",
        ),
        Column(
            "token_gain_at_accuracy",
            "float64",
            "Tokens for this accuracy on the frontier of the model's other efforts / tokens of this"
            " one, interpolated in ln tokens; NULL outside their range.",
        ),
        Column(
            "length_ratio",
            "float64",
            "Share of samples that ended at the token budget: kept within it by force.",
            unit="ratio",
        ),
        Column(
            "budget_control",
            "float64",
            "Share of samples that ended on their own within the budget (s1 Control).",
            unit="ratio",
        ),
        Column(
            "e3_per_token",
            "float64",
            "E^3 = A^2 / T of Lin et al. 2025 (arXiv:2505.16122): the square of accuracy, as a"
            " share, over output_tokens_per_request. From percentages it would be 10^4 times as"
            " large.",
            unit="1/token",
        ),
        Column(
            "e3_per_token_low",
            "float64",
            "Lower end of its expanded percentile interval over problems, of level 0.95.",
            unit="1/token",
        ),
        Column(
            "e3_per_token_high",
            "float64",
            "Upper end of its interval; NULL with fewer than two problems, or clusters of them.",
            unit="1/token",
        ),
        Column(
            "e3_unknown_reason",
            "string",
            "Why e3_per_token is NULL; NULL if it is known.",
            allowed=("output_tokens_unknown", "no_tokens_generated"),
        ),
        Column(
            "n_problems", "int32", "Problems the row rests on.", unit="problems", nullable=False
        ),
        Column("n_samples", "int64", "Samples the row rests on.", unit="samples", nullable=False),
    ),
)

COMPUTE_OPTIMAL = Table(
    name="out_compute_optimal",
    grain=(
        "one budget of one model variant on one task and strategy: all problems together, or one"
        " difficulty bin"
    ),
    keys=("task", "model_variant", "strategy", "cost_axis", "budget_cost", "difficulty_bin"),
    warnings=(
        (
            "Difficulty comes from half of the samples, accuracy from the other; the choice per bin"
            " is scored on problems it was not made on."
        ),
        "strategy pass_at_k needs a perfect verifier.",
        "With few problems in a bin the cross-fitted choice is noisy: read accuracy_spread.",
    ),
    columns=(
        columns.TASK,
        columns.MODEL_VARIANT,
        Column(
            "strategy",
            "string",
            "How one answer is made of k samples.",
            nullable=False,
            allowed=("majority", "pass_at_k"),
        ),
        Column("cost_axis", "string", "What the budget counts.", nullable=False),
        Column(
            "budget_cost",
            "float64",
            "Largest mean cost per problem, in cost_unit, allowed in every bin.",
            nullable=False,
        ),
        Column(
            "difficulty_bin",
            "int32",
            "0 = hardest quantile; -1 = all problems, each with the choice of its bin.",
            nullable=False,
        ),
        columns.COST_UNIT,
        Column("accuracy", "float64", "Cross-fitted accuracy of the choice per bin.", unit="ratio"),
        Column(
            "accuracy_spread",
            "float64",
            "Standard deviation of accuracy over random splits.",
            unit="ratio",
        ),
        Column("cost", "float64", "Mean cost per problem that it spent, in cost_unit."),
        Column(
            "uniform_accuracy",
            "float64",
            "Cross-fitted accuracy of the best single arm for all problems.",
            unit="ratio",
        ),
        Column(
            "uniform_cost", "float64", "Mean cost per problem that the arm spent, in cost_unit."
        ),
        Column("accuracy_gain", "float64", "accuracy - uniform_accuracy.", unit="ratio"),
        Column(
            "efficiency_ratio",
            "float64",
            "Cost of the uniform baseline / cost of the allocation at this row's accuracy, by"
            " monotone interpolation in ln cost; NULL outside the baseline's range; all problems"
            " only.",
        ),
        Column(
            "larger_model_variant",
            "string",
            "Next model variant of the task with more FLOPs per sample; FLOPs axis and all problems"
            " only.",
        ),
        Column(
            "larger_accuracy",
            "float64",
            "Its best uniform accuracy at the same mean cost, interpolated in ln cost.",
            unit="ratio",
        ),
        Column(
            "chosen_point_id",
            "string",
            "Most frequent choice of the bin over folds and splits: configuration; NULL for all"
            " problems.",
        ),
        Column(
            "chosen_k",
            "int32",
            "Most frequent choice of the bin: samples per problem; NULL for all problems.",
            unit="samples",
        ),
        Column(
            "chosen_ratio",
            "float64",
            "Share of folds and splits that made this choice.",
            unit="ratio",
        ),
        Column(
            "difficulty_success",
            "float64",
            "Mean success rate of the bin in the half that set its difficulty.",
            unit="ratio",
        ),
        Column("n_arms", "int32", "Arms (configuration x k) to choose from.", nullable=False),
        Column("n_bins", "int32", "Difficulty bins.", nullable=False),
        Column("n_problems", "int32", "Problems of the row.", unit="problems", nullable=False),
        Column("n_repetitions", "int32", "Random splits averaged over.", nullable=False),
        _SEED,
    ),
)

TABLES = (
    SCALING_POINTS,
    SCALING_FITS,
    COMPUTE_TARGETS,
    ANYTIME,
    TOKEN_ELASTICITY,
    EFFORT_FRONTIER,
    COMPUTE_OPTIMAL,
)
