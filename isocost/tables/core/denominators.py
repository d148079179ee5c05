"""The denominator of an accuracy: failed and unanswered samples, by the data root's settings.

Lives here: the choice applied to graded samples, generated and imported alike. Not here: the
settings file (``isocost.intake.settings``), grading.
"""

from __future__ import annotations

import polars as pl

FAILURES = ("engine_error", "method_error", "aborted", "failed_in_source")
"""Reasons of invalidity that say: no answer came, and the model is not to blame for all we know."""
FAILED = ("undefined", "wrong")
UNANSWERED = ("wrong", "undefined")
_EMPTY = ("empty", "no_text")


def denominators(
    samples: pl.DataFrame, *, failed: str = "undefined", unanswered: str = "wrong"
) -> pl.DataFrame:
    """Samples with the verdicts that result from the choice of denominator.

    Args:
        samples: with correct, score, parse_status, grade_reason, invalid_reasons and is_valid.
        failed: one of ``FAILED``: ``undefined`` leaves failed samples out of every mean, ``wrong``
            counts them as wrong answers.
        unanswered: one of ``UNANSWERED``: the meaning of an empty completion. A text truncated
            before an answer is wrong either way.

    Returns:
        The samples in their order.
    """
    if failed == "wrong":
        reasons = pl.col("invalid_reasons")
        is_failed = (reasons.list.len() > 0) & (
            reasons.list.set_difference(list(FAILURES)).list.len() == 0
        )
        samples = samples.with_columns(
            pl.when(is_failed).then(pl.lit(False)).otherwise(pl.col("correct")).alias("correct"),
            pl.when(is_failed).then(0.0).otherwise(pl.col("score")).alias("score"),
            pl.when(is_failed)
            .then(pl.lit("no_answer"))
            .otherwise(pl.col("parse_status"))
            .alias("parse_status"),
            pl.when(is_failed)
            .then(pl.lit("failed_counts_as_wrong"))
            .otherwise(pl.col("grade_reason"))
            .alias("grade_reason"),
            pl.when(is_failed)
            .then(pl.lit([], pl.List(pl.String)))
            .otherwise(reasons)
            .alias("invalid_reasons"),
            (pl.col("is_valid") | is_failed).alias("is_valid"),
        )
    if unanswered == "undefined":
        is_empty = (
            pl.col("is_valid")
            & (pl.col("parse_status") == "no_answer")
            & pl.col("grade_reason").is_in(_EMPTY)
        )
        is_empty = is_empty & (pl.col("finish_reason") != "length").fill_null(True)
        samples = samples.with_columns(
            *(pl.when(~is_empty).then(pl.col(name)).alias(name) for name in ("correct", "score")),
            pl.when(is_empty)
            .then(pl.lit("error"))
            .otherwise(pl.col("parse_status"))
            .alias("parse_status"),
            pl.when(is_empty)
            .then(pl.lit("unanswered"))
            .otherwise(pl.col("grade_reason"))
            .alias("grade_reason"),
            pl.when(is_empty)
            .then(pl.lit(["not_judged"]))
            .otherwise(pl.col("invalid_reasons"))
            .alias("invalid_reasons"),
            (pl.col("is_valid") & ~is_empty).alias("is_valid"),
        )
    return samples
