"""What must hold of samples and sessions, rule by rule with the reason.

Rules about columns' types, NULLs and vocabularies are in the tables' definitions (``schema`` check); here are statements about the
measurement. Thresholds come from ``thresholds``.
"""

from __future__ import annotations

import polars as pl

from isocost.capabilities import capabilities_of, engine_names
from pipelines.checks import thresholds as t
from pipelines.checks.gx import Rule, rule

SAMPLE_KEYS = ("sample_id",)
SESSION_KEYS = ("session_id", "run_id", "attempt")

_ENERGY: tuple[Rule, ...] = (
    rule(
        "ExpectColumnValuesToNotBeNull",
        "a joule without its method must not be pooled",
        column="energy_method",
        row_condition="energy_j.notnull()",
    ),
    rule(
        "ExpectColumnValuesToNotBeNull",
        "an unknown joule says why it is unknown",
        column="energy_unknown_reason",
        row_condition="energy_j.isnull()",
    ),
)

CORE_SAMPLES: tuple[Rule, ...] = (
    rule(
        "ExpectCompoundColumnsToBeUnique",
        "a sample counted twice makes every interval too narrow",
        column_list=["point_id", "problem_id", "sample_index"],
    ),
    rule("ExpectColumnValuesToBeBetween", "sample indices count from 0", column="sample_index", min_value=0),
    rule("ExpectColumnValuesToBeBetween", "a request has at least one prompt token", column="prompt_tokens", min_value=1),
    rule("ExpectColumnValuesToBeBetween", "tokens are counted, never negative", column="output_tokens", min_value=0),
    rule("ExpectColumnValuesToBeBetween", "a probability is at most 1", column="logprob_mean", min_value=t.MIN_LOGPROB_MEAN, max_value=0),
    rule("ExpectColumnValuesToBeBetween", "a grade is a share", column="score", min_value=0, max_value=1),
    rule("ExpectColumnValuesToBeBetween", "time runs forward", column="queue_s", min_value=-t.LATENCY_SLACK_S),
    rule("ExpectColumnValuesToBeBetween", "time runs forward", column="prefill_s", min_value=-t.LATENCY_SLACK_S),
    rule("ExpectColumnValuesToBeBetween", "time runs forward", column="decode_s", min_value=-t.LATENCY_SLACK_S),
    rule("ExpectColumnValuesToBeBetween", "FLOPs are counted, never negative", column="flops", min_value=0),
    rule("ExpectColumnValuesToBeBetween", "a sample spends energy, it does not make any", column="energy_j", min_value=0),
    *_ENERGY,
    rule("ExpectColumnValuesToNotBeNull", "a parsed answer has a class", column="answer_class", row_condition='parse_status=="parsed"'),
    rule("ExpectColumnValuesToBeNull", "no answer has no class", column="answer_class", row_condition='parse_status!="parsed"'),
    rule(
        "ExpectColumnPairValuesAToBeGreaterThanB",
        "the lower entropy bound is the lower one",
        column_A="entropy_mean_high",
        column_B="entropy_mean_low",
        or_equal=True,
        ignore_row_if="either_value_is_missing",
    ),
    rule(
        "ExpectColumnMeanToBeBetween", "most samples must be what was asked for", column="is_invalid_ratio", max_value=t.MAX_INVALID_RATIO
    ),
    rule(
        "ExpectColumnMeanToBeBetween",
        "most answers end before the token budget",
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


_GENERATED = 'source=="generated"'


def sessions_frame(sessions: pl.DataFrame) -> pl.DataFrame:
    """The runs with what each owes: an engine owes what it declares that it can tell, once it has generated anything."""
    declared = {name: capabilities_of(name) for name in sessions["engine"].drop_nulls().unique() if name in engine_names()}
    generated = (pl.col("source") == "generated") & (pl.col("samples_total") > 0)
    return sessions.with_columns(
        (generated & pl.col("engine").is_in([name for name, told in declared.items() if told.tells_version])).alias("owes_version"),
        (generated & pl.col("engine").is_in([name for name, told in declared.items() if told.tells_configuration])).alias(
            "owes_configuration"
        ),
    )


CORE_SESSIONS: tuple[Rule, ...] = (
    rule("ExpectCompoundColumnsToBeUnique", "a run counted twice doubles its throughput", column_list=["session_id", "run_id", "attempt"]),
    rule("ExpectColumnValuesToBeBetween", "attempts count from 1", column="attempt", min_value=1),
    rule(
        "ExpectColumnPairValuesAToBeGreaterThanB",
        "a run ends after it began; a wall clock that jumped back cannot place power samples",
        column_A="ended_unix_s",
        column_B="started_unix_s",
        or_equal=True,
        ignore_row_if="either_value_is_missing",
    ),
    rule("ExpectColumnValuesToBeBetween", "a window of no length has no throughput", column="window_s", min_value=0, strict_min=True),
    rule("ExpectColumnValuesToBeBetween", "tokens come out, never in", column="output_tokens_per_s", min_value=0),
    rule(
        "ExpectColumnPairValuesAToBeGreaterThanB",
        "valid samples are some of all samples",
        column_A="samples_total",
        column_B="samples_valid",
        or_equal=True,
    ),
    rule(
        "ExpectColumnPairValuesAToBeGreaterThanB",
        "warm-up rows are some of all rows",
        column_A="rows_total",
        column_B="rows_warmup",
        or_equal=True,
    ),
    rule(
        "ExpectColumnValuesToNotBeNull",
        "numbers of an engine of unknown version compare with nothing",
        column="engine_version",
        row_condition="owes_version==True",
    ),
    rule(
        "ExpectColumnValuesToNotBeNull",
        "what was asked for is not what ran: the resolved configuration is the record",
        column="resolved_engine",
        row_condition="owes_configuration==True",
    ),
    rule("ExpectColumnValuesToNotBeNull", "a result belongs to a code version", column="isocost_version", row_condition=_GENERATED),
    *_ENERGY,
    rule(
        "ExpectColumnValuesToNotBeInSet",
        "a run that failed keeps its rows, but somebody should know",
        severity="warning",
        column="status",
        value_set=["failed"],
    ),
)
