"""Tables of coverage with its bands, and of every interval that an accuracy may be given.

Lives here: out_coverage_bands, out_coverage_differences, out_accuracy_intervals. Not here: how they
are computed (``isocost.tables.coverage.bands``, ``isocost.tables.coverage.accuracy_intervals``) and
the coverage of strategies (out_strategy_outcomes).
"""

from __future__ import annotations

from isocost.schema import columns
from isocost.schema.model import Column, Table

_DRAWS = (
    Column(
        "n_problems",
        "int32",
        "Problems that every number of the curve rests on.",
        unit="problems",
        nullable=False,
    ),
    Column(
        "n_units",
        "int32",
        "Problems, or clusters of them, that carry the uncertainty.",
        nullable=False,
    ),
    Column("draws", "int32", "Gaussian multiplier draws of the simultaneous band.", nullable=False),
    columns.SEED,
    Column(
        "confidence",
        "float64",
        "Level of the intervals and of the whole band.",
        unit="ratio",
        nullable=False,
    ),
)
_BUDGETS = (
    "Budgets are 1 to 64, then about 64 more up to the largest k that every problem has samples"
    " for: one problem with few samples ends the curve for all, and none is left out along it."
)

COVERAGE_BANDS = Table(
    name="out_coverage_bands",
    grain="one budget of the pass@k curve of one configuration",
    keys=("task", "point_id", "k"),
    order=("task", "model_variant", "prompt", "point_id", "k"),
    warnings=(
        (
            "pass@k requires knowledge of the correct answer: a bound on what k samples can "
            "achieve, not a way to answer."
        ),
        (
            "Read a single budget by its pointwise interval, the shape of the curve and 'at some k'"
            " by the band."
        ),
        _BUDGETS,
    ),
    columns=(
        columns.TASK,
        columns.MODEL_VARIANT_OR_NULL,
        columns.PROMPT,
        columns.POINT_ID,
        Column("k", "int32", "Samples per problem.", unit="samples", nullable=False),
        Column(
            "pass_at_k",
            "float64",
            "Mean over problems of 1 - C(n - c, k) / C(n, k): c of n samples are correct (Chen et"
            " al. 2021).",
            unit="ratio",
            nullable=False,
        ),
        Column("pass_at_k_se", "float64", "Standard error over problems (clusters).", unit="ratio"),
        Column(
            "pass_at_k_low",
            "float64",
            "Lower end of the pointwise interval (score, as in out_strategy_outcomes).",
            unit="ratio",
        ),
        Column("pass_at_k_high", "float64", "Upper end of the pointwise interval.", unit="ratio"),
        Column(
            "band_low",
            "float64",
            "Lower edge of the band that contains the whole curve with probability confidence: "
            "mean - band_multiplier standard errors, or pass_at_k_low if that is lower. Not cut "
            "at 0 or 1: a band beyond them means that there are few problems.",
            unit="ratio",
        ),
        Column(
            "band_high",
            "float64",
            "Upper edge of that band, or pass_at_k_high if that is higher.",
            unit="ratio",
        ),
        Column(
            "band_multiplier",
            "float64",
            "Quantile of the largest |error| / standard error over the curve (multiplier"
            " bootstrap).",
        ),
        *_DRAWS,
    ),
)

COVERAGE_DIFFERENCES = Table(
    name="out_coverage_differences",
    grain=(
        "one budget of the difference between the pass@k curves of two configurations of one task"
    ),
    keys=("task", "point_id", "other_point_id", "k"),
    warnings=(
        "Both directions of a pair are here: swapping point_id and other_point_id turns the sign.",
        "The band is simultaneous for all budgets of a pair, not for all pairs of a task.",
        "At most 24 configurations per task are paired: those with the most samples.",
        _BUDGETS,
    ),
    columns=(
        columns.TASK,
        Column("point_id", "string", "Configuration being compared.", nullable=False),
        Column(
            "other_point_id",
            "string",
            "Configuration that it is compared with, on the problems common to both.",
            nullable=False,
        ),
        Column("model_variant", "string", "Model variant of point_id."),
        Column("other_model_variant", "string", "Model variant of other_point_id."),
        Column("k", "int32", "Samples per problem.", unit="samples", nullable=False),
        Column(
            "pass_at_k",
            "float64",
            "pass@k of point_id over the common problems.",
            unit="ratio",
            nullable=False,
        ),
        Column(
            "other_pass_at_k",
            "float64",
            "pass@k of other_point_id over the same problems.",
            unit="ratio",
            nullable=False,
        ),
        Column(
            "pass_at_k_difference",
            "float64",
            "Mean over problems of pass_at_k - other_pass_at_k.",
            unit="ratio",
            nullable=False,
        ),
        Column(
            "pass_at_k_difference_se",
            "float64",
            "Standard error of these paired differences over problems (clusters).",
            unit="ratio",
        ),
        Column(
            "pass_at_k_difference_low",
            "float64",
            "Lower end of the pointwise paired t interval.",
            unit="ratio",
        ),
        Column(
            "pass_at_k_difference_high",
            "float64",
            "Upper end of the pointwise paired t interval.",
            unit="ratio",
        ),
        Column(
            "band_low",
            "float64",
            "Lower edge of the simultaneous band of all differences of the pair, never above"
            " pass_at_k_difference_low; NULL if all problems differ by the same amount.",
            unit="ratio",
        ),
        Column("band_high", "float64", "Upper edge of that band.", unit="ratio"),
        Column("band_multiplier", "float64", "As in out_coverage_bands."),
        Column(
            "verdict",
            "string",
            "better if the band is above 0, worse if it is below, otherwise inconclusive; unknown "
            "without a band.",
            nullable=False,
            allowed=("better", "inconclusive", "worse", "unknown"),
        ),
        *_DRAWS,
    ),
)

ACCURACY_INTERVALS = Table(
    name="out_accuracy_intervals",
    grain="one method of giving the accuracy of a single sample of one configuration an interval",
    keys=("task", "point_id", "interval_method"),
    order=("task", "model_variant", "prompt", "point_id", "interval_method"),
    warnings=(
        (
            "Use the row with is_recommended; the others are for comparison with published "
            "numbers. Their measured coverage is in docs/results/coverage_frontier.csv."
        ),
        (
            "fixed_benchmark is about asking exactly these problems again, all others are about "
            "new problems of the same kind."
        ),
    ),
    columns=(
        columns.TASK,
        columns.MODEL_VARIANT_OR_NULL,
        columns.PROMPT,
        columns.POINT_ID,
        Column(
            "interval_method",
            "string",
            "score: Wilson's at the effective number of trials; student_t over problems, not cut at"
            " 0 or 1; bootstrap_percentile, bootstrap_bca: of problems (clusters); wilson,"
            " jeffreys, clopper_pearson: only for one sample per problem; fixed_benchmark: "
            "normal, sampling noise only.",
            nullable=False,
            allowed=(
                "score",
                "student_t",
                "bootstrap_percentile",
                "bootstrap_bca",
                "wilson",
                "jeffreys",
                "clopper_pearson",
                "fixed_benchmark",
            ),
        ),
        Column("is_recommended", "bool", "The method that the other tables use.", nullable=False),
        columns.ACCURACY,
        Column("accuracy_low", "float64", "Lower end; NULL with undefined_reason.", unit="ratio"),
        Column("accuracy_high", "float64", "Upper end; NULL with undefined_reason.", unit="ratio"),
        Column(
            "accuracy_se",
            "float64",
            "Standard error that the method rests on; NULL for binomial intervals.",
            unit="ratio",
        ),
        Column("undefined_reason", "string", "Why there is no interval; NULL if there is one."),
        Column(
            "between_variance",
            "float64",
            "Variance of the problems' true rates; NULL unless all have the same samples, 2 or"
            " more.",
        ),
        Column(
            "within_variance",
            "float64",
            "Mean variance of samples within a problem; NULL as before.",
        ),
        Column(
            "intraclass_ratio",
            "float64",
            "between / (between + within); NULL as before or where both are 0.",
            unit="ratio",
        ),
        Column(
            "design_effect",
            "float64",
            "1 + (n - 1) intraclass: factor by which pooling samples understates the variance; "
            "NULL as"
            " before.",
        ),
        columns.N_PROBLEMS,
        Column("n_units", "int32", "Problems, or clusters of them.", nullable=False),
        Column("n_samples", "int64", "Valid graded samples.", unit="samples", nullable=False),
        Column("draws", "int32", "Bootstrap draws; NULL if the method has none."),
        Column("confidence", "float64", "Level.", unit="ratio", nullable=False),
    ),
)

TABLES = (COVERAGE_BANDS, COVERAGE_DIFFERENCES, ACCURACY_INTERVALS)
