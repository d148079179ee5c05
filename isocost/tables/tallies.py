"""Graded samples and imported counts, summed per problem: the input of accuracy tables.

Lives here: the value of a sample, and the sums over the samples of a point at a problem. Not here:
their use.

The value of a sample is 1 or 0 by its verdict. A sample with partial credit has no verdict
(``correct`` is NULL), and its value is its ``score``, an expected correctness: means use it as it
is, and quantities that need a verdict (coverage, cost of a pass) are undefined for its problem.
"""

from __future__ import annotations

import polars as pl

KEY = ("task", "point_id", "problem_id")
COLUMNS = (*KEY, "model_variant", "prompt", "is_valid", "correct", "score")
"""Columns of core_samples that the sums use."""
PARTIAL_CREDIT = "partial_credit"
NO_ENERGY = "not_in_source"  # as all importers state for rows without energy
IS_PARTIAL = pl.col("correct").is_null() & pl.col("score").is_between(
    0, 1, closed="none"
).fill_null(False)
"""Whether a sample has partial credit and so no verdict.

A full score without a verdict is not partial credit: the source did not call it right.
"""
WORTH = pl.when(IS_PARTIAL).then(pl.col("score")).otherwise(pl.col("correct").cast(pl.Float64))
"""Value of a sample, 0 to 1; NULL if ungraded."""


def scored(samples: pl.DataFrame) -> pl.DataFrame:
    """The samples with a column of scores, unknown where they come without."""
    return (
        samples
        if "score" in samples.columns
        else samples.with_columns(pl.lit(None, pl.Float64).alias("score"))
    )


def graded(samples: pl.DataFrame) -> pl.DataFrame:
    """Valid graded samples, with ``worth`` and ``is_partial``, in the given order."""
    judged = scored(samples).filter(pl.col("is_valid") & WORTH.is_not_null())
    return judged.with_columns(WORTH.alias("worth"), IS_PARTIAL.alias("is_partial"))


def tallies(samples: pl.DataFrame, counts: pl.DataFrame | None = None) -> pl.DataFrame:
    """Sums over the valid graded samples of each point and problem, including imported counts.

    Args:
        samples: core_samples, in any order.
        counts: core_counts; none if None.

    Returns:
        task, point_id, problem_id, model_variant, prompt, n (samples), c (correct ones), worth (sum
        over samples; c without partial
        credit) and n_partial (samples with partial credit), sorted by the first three.
    """
    names = ("model_variant", "prompt")
    from_samples = (
        graded(samples)
        .group_by(KEY, maintain_order=True)
        .agg(
            pl.col(names).first(),
            pl.len().cast(pl.Int64).alias("n"),
            pl.col("correct").cast(pl.Int64).sum().alias("c"),
            pl.col("worth").sum(),
            pl.col("is_partial").cast(pl.Int64).sum().alias("n_partial"),
        )
    )
    if counts is None or counts.is_empty():
        return from_samples.sort(KEY)
    from_counts = counts.filter(pl.col("n_samples") > 0).select(
        *KEY,
        *names,
        pl.col("n_samples").alias("n"),
        pl.col("n_correct").alias("c"),
        pl.col("n_correct").cast(pl.Float64).alias("worth"),
        pl.lit(0, pl.Int64).alias("n_partial"),
    )
    both = pl.concat([from_samples, from_counts]).group_by(KEY, maintain_order=True)
    return both.agg(pl.col(names).first(), pl.col("n", "c", "worth", "n_partial").sum()).sort(KEY)
