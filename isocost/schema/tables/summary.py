"""What was planned and banked, point by point: counts, validity and means, before any strategy.

Lives here: out_point_summary. How it is computed: ``sql/out/out_point_summary.sql``.
"""

from __future__ import annotations

from isocost.schema import columns
from isocost.schema.model import Column, Table

POINT_SUMMARY = Table(
    name="out_point_summary",
    grain="one configuration, regardless of how many sessions requested it, measured or not yet",
    keys=("point_id",),
    order=("task", "model_variant", "prompt", "point_id"),
    warnings=(
        "Configurations that are planned but not banked have samples_total 0 and no means.",
        ("The view points of the warehouse has these counts with all settings of a configuration."),
        (
            "Means are over valid samples and weigh every sample alike; accuracy weighs every"
            " problem alike and carries no interval here: see out_strategy_outcomes."
        ),
        "A ratio whose denominator is zero is NULL.",
    ),
    columns=(
        columns.POINT_ID,
        columns.TASK,
        columns.MODEL_VARIANT,
        columns.PROMPT_OF_SOURCE,
        Column(
            "configuration", "string", "Shortest name that no other configuration of the task has."
        ),
        Column(
            "sweeps",
            "list[string]",
            "Sweeps that requested it, sorted; empty for imports.",
            nullable=False,
        ),
        Column(
            "n_sessions",
            "int32",
            "Engine sessions and imported sources that contain it.",
            unit="sessions",
            nullable=False,
        ),
        Column(
            "samples_planned",
            "int64",
            "Largest number of samples that any session requests; NULL for imports.",
            unit="samples",
        ),
        Column(
            "samples_missing",
            "int64",
            "Of these, not banked by any session, counted problem by problem; NULL for imports.",
            unit="samples",
        ),
        Column(
            "n_problems", "int32", "Problems with a banked sample.", unit="problems", nullable=False
        ),
        Column("samples_total", "int64", "Banked samples.", unit="samples", nullable=False),
        columns.SAMPLES_VALID,
        columns.SAMPLES_INVALID,
        Column(
            "samples_graded",
            "int64",
            "Valid samples with a verdict or partial credit.",
            unit="samples",
            nullable=False,
        ),
        Column("samples_correct", "int64", "Of these, correct.", unit="samples", nullable=False),
        Column(
            "samples_partial",
            "int64",
            "Of the graded, with partial credit: a score between 0 and 1, no verdict.",
            unit="samples",
        ),
        Column(
            "samples_truncated",
            "int64",
            "Valid samples that the token budget ended; NULL if an imported source does not state "
            "it.",
            unit="samples",
        ),
        Column(
            "samples_without_answer",
            "int64",
            "Valid samples from which no answer could be read; NULL if an imported source has"
            " verdicts and no answers.",
            unit="samples",
        ),
        columns.INVALID_COUNTS,
        Column(
            "samples_per_problem_min",
            "int32",
            "Minimum number of valid samples per problem.",
            unit="samples",
        ),
        Column(
            "samples_per_problem_max",
            "int32",
            "Maximum number of valid samples per problem.",
            unit="samples",
        ),
        Column(
            "accuracy",
            "float64",
            "Mean over problems of the share of correct among graded valid samples; partial credit"
            " counts as its score.",
            unit="ratio",
        ),
        Column(
            "samples_failed",
            "int64",
            "Samples that failed in the engine, on the server or in the source, without a verdict;"
            " invalid unless the settings say wrong.",
            unit="samples",
            nullable=False,
        ),
        Column(
            "accuracy_failed_wrong",
            "float64",
            "As accuracy, with every sample that failed counted as wrong: the two are the range"
            " that the choice of the denominator spans.",
            unit="ratio",
        ),
        Column("valid_ratio", "float64", "samples_valid / samples_total.", unit="ratio"),
        Column("truncated_ratio", "float64", "samples_truncated / samples_valid.", unit="ratio"),
        Column(
            "unanswered_ratio", "float64", "samples_without_answer / samples_valid.", unit="ratio"
        ),
        Column(
            "prompt_tokens_per_sample",
            "float64",
            "Mean prompt tokens of a valid sample.",
            unit="tokens/sample",
        ),
        Column(
            "output_tokens_per_sample",
            "float64",
            "Mean generated tokens of a valid sample.",
            unit="tokens/sample",
        ),
        Column(
            "output_tokens_per_sample_p95",
            "float64",
            "95th percentile of generated tokens of a valid sample.",
            unit="tokens/sample",
        ),
        Column(
            "output_tokens_sum", "int64", "Generated tokens of all banked samples.", unit="tokens"
        ),
        Column(
            "latency_s_per_sample",
            "float64",
            "Mean engine time of a valid sample, prefill and decode, in its batch.",
            unit="s/sample",
        ),
        Column(
            "decode_tokens_per_s",
            "float64",
            "Sum of output_tokens - 1 over sum of decode_s of valid samples: the speed at which one"
            " sequence of the batch grows.",
            unit="tokens/s",
        ),
        Column(
            "flops_per_sample",
            "float64",
            "Mean floating point operations of a valid sample, by the model card.",
            unit="FLOP/sample",
        ),
        Column(
            "samples_with_energy",
            "int64",
            "Valid samples whose energy is known.",
            unit="samples",
            nullable=False,
        ),
        Column(
            "energy_j_per_sample",
            "float64",
            "Mean energy of valid samples with known energy; NULL if methods differ.",
            unit="J/sample",
        ),
        Column(
            "energy_method",
            "string",
            "How that energy was obtained; NULL if methods differ or none is known.",
        ),
        Column(
            "energy_unknown_reason",
            "string",
            "The commonest reason for unknown energy; NULL if all is known.",
        ),
    ),
)

TABLES = (POINT_SUMMARY,)
