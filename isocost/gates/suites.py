"""Rules about samples and runs in the vocabulary of Great Expectations.

Each with its code and reason.

Rules about columns' types, NULLs, keys and vocabularies are in the tables' definitions
(``isocost.schema``), relations between tables and sums are in ``sql/checks``; no rule is
duplicated. A rule about what an engine may leave open depends on what the engine declares
(``isocost.capabilities``), never its name. Thresholds come from ``thresholds``.
"""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from isocost.capabilities import capabilities_of, engine_names
from isocost.gates import thresholds as t
from isocost.gates.model import Rule, Where, rule

SAMPLE_KEYS = ("sample_id",)
SESSION_KEYS = ("session_id", "run_id", "attempt")

CORE_SAMPLES: tuple[Rule, ...] = (
    rule(
        "sample_is_counted_once",
        "ExpectCompoundColumnsToBeUnique",
        "a sample counted twice makes every interval too narrow",
        column_list=["session_id", "point_id", "problem_id", "sample_index"],
    ),
    rule(
        "index_counts_from_0",
        "ExpectColumnValuesToBeBetween",
        "samples are numbered from 0",
        column="sample_index",
        min_value=0,
    ),
    rule(
        "prompt_has_a_token",
        "ExpectColumnValuesToBeBetween",
        "a request has at least one token",
        column="prompt_tokens",
        min_value=1,
    ),
    rule(
        "logprob_is_of_a_probability",
        "ExpectColumnValuesToBeBetween",
        "a probability is at most 1, and no model samples tokens as unlikely as that",
        column="logprob_mean",
        min_value=t.MIN_LOGPROB_MEAN,
        max_value=0,
    ),
    rule(
        "score_is_a_share",
        "ExpectColumnValuesToBeBetween",
        "a grade is between 0 and 1",
        column="score",
        min_value=0,
        max_value=1,
    ),
    rule(
        "parsed_answer_has_a_class",
        "ExpectColumnValuesToNotBeNull",
        "an answer that was read is equal to itself",
        column="answer_class",
        where=Where("parse_status", "is", "parsed"),
    ),
    rule(
        "no_answer_has_no_class",
        "ExpectColumnValuesToBeNull",
        "there is no vote without an answer",
        column="answer_class",
        where=Where("parse_status", "is_not", "parsed"),
    ),
    rule(
        "entropy_bounds_are_in_order",
        "ExpectColumnPairValuesAToBeGreaterThanB",
        "the lower bound of the entropy is the lower one",
        column_A="entropy_mean_high",
        column_B="entropy_mean_low",
        or_equal=True,
        ignore_row_if="either_value_is_missing",
    ),
    rule(
        "most_samples_are_valid",
        "ExpectColumnMeanToBeBetween",
        "most samples should be as requested; others are not used in derived tables",
        severity="warning",
        column="is_invalid_ratio",
        max_value=t.MAX_INVALID_RATIO,
    ),
    rule(
        "most_answers_end_by_themselves",
        "ExpectColumnMeanToBeBetween",
        "most answers should end before the token budget",
        severity="warning",
        column="is_truncated_ratio",
        max_value=t.MAX_TRUNCATED_RATIO,
    ),
)


def samples_frame(samples: pl.DataFrame) -> pl.DataFrame:
    """The samples with the two flags as numbers, which a mean can be taken of."""
    return samples.with_columns(
        (~pl.col("is_valid")).cast(pl.Float64).alias("is_invalid_ratio"),
        pl.col("is_truncated").cast(pl.Float64).alias("is_truncated_ratio"),
    )


def sessions_frame(sessions: pl.DataFrame) -> pl.DataFrame:
    """The runs with what each owes.

    An engine owes what it declares that it can tell, once it has generated anything.
    """
    declared = {
        name: capabilities_of(name)
        for name in sessions["engine"].drop_nulls().unique()
        if name in engine_names()
    }
    generated = (pl.col("source") == "generated") & (pl.col("samples_total") > 0)
    return sessions.with_columns(
        (
            generated
            & pl.col("engine").is_in(
                [name for name, capabilities in declared.items() if capabilities.reports_version]
            )
        ).alias("owes_version"),
        (
            generated
            & pl.col("engine").is_in(
                [
                    name
                    for name, capabilities in declared.items()
                    if capabilities.reports_configuration
                ]
            )
        ).alias("owes_configuration"),
        generated.alias("owes_code_version"),
    )


CORE_SESSIONS: tuple[Rule, ...] = (
    rule(
        "attempts_count_from_1",
        "ExpectColumnValuesToBeBetween",
        "runs are numbered from 1",
        column="attempt",
        min_value=1,
    ),
    rule(
        "window_has_a_length",
        "ExpectColumnValuesToBeBetween",
        "a window of no length has no throughput",
        column="window_s",
        min_value=0,
        strict_min=True,
    ),
    rule(
        "throughput_is_not_negative",
        "ExpectColumnValuesToBeBetween",
        "tokens come out, never in",
        column="output_tokens_per_s",
        min_value=0,
    ),
    rule(
        "valid_samples_are_some_of_all",
        "ExpectColumnPairValuesAToBeGreaterThanB",
        "valid samples are some of all samples",
        column_A="samples_total",
        column_B="samples_valid",
        or_equal=True,
        ignore_row_if="either_value_is_missing",
    ),
    rule(
        "warmup_rows_are_some_of_all",
        "ExpectColumnPairValuesAToBeGreaterThanB",
        "warm-up rows are some of all rows",
        column_A="rows_total",
        column_B="rows_warmup",
        or_equal=True,
        ignore_row_if="either_value_is_missing",
    ),
    rule(
        "engine_version_is_known",
        "ExpectColumnValuesToNotBeNull",
        "numbers of an engine of unknown version compare with nothing",
        column="engine_version",
        where=Where("owes_version", "is", True),
    ),
    rule(
        "resolved_configuration_is_known",
        "ExpectColumnValuesToNotBeNull",
        "the request is not what ran: the resolved configuration is the record",
        column="resolved_engine",
        where=Where("owes_configuration", "is", True),
    ),
    rule(
        "code_version_is_known",
        "ExpectColumnValuesToNotBeNull",
        "a result belongs to a version of the code",
        column="isocost_version",
        where=Where("owes_code_version", "is", True),
    ),
    rule(
        "energy_has_its_method",
        "ExpectColumnValuesToNotBeNull",
        "a joule without its method must not be pooled",
        column="energy_method",
        where=Where("energy_j", "known"),
    ),
    rule(
        "unknown_energy_has_its_reason",
        "ExpectColumnValuesToNotBeNull",
        "an unknown joule says why it is unknown",
        column="energy_unknown_reason",
        where=Where("energy_j", "unknown"),
    ),
    rule(
        "run_did_not_fail",
        "ExpectColumnValuesToNotBeInSet",
        "a failed run keeps its rows, but should be reported",
        severity="warning",
        column="status",
        value_set=["failed"],
    ),
)

# Table -> rules, key, and what adds the columns that only the rules read.
SUITES: dict[
    str, tuple[tuple[Rule, ...], tuple[str, ...], Callable[[pl.DataFrame], pl.DataFrame]]
] = {
    "core_samples": (CORE_SAMPLES, SAMPLE_KEYS, samples_frame),
    "core_sessions": (CORE_SESSIONS, SESSION_KEYS, sessions_frame),
}
