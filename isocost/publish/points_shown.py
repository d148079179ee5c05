"""Which rows of out_frontier_points are shown.

One of each group of equal outcomes, and of many the likeliest.

Lives here: choosing of rows. Not here: reading (``shown``), naming (``naming``), drawing
(``frontier_figure``).
"""

from __future__ import annotations

import polars as pl

from isocost.publish import labels, naming

MOST_POINTS = 200
# A rival that is on the frontier in at least this share of draws is counted in the description of
# the frontier.
RIVAL = 0.25
_GROUPS = "n_groups"


def representatives(points: pl.DataFrame) -> pl.DataFrame:
    """One row of each group of equal outcomes: the best-known strategy.

    So k = 1 is not named after an exotic one.
    """
    group = ["task", "frontier_kind", "quality_measure", "cost_axis", "duplicate_of_outcome_id"]
    known = [
        labels.ONE_SAMPLE,
        *labels.ordered_strategies(points["strategy"].drop_nulls().to_list()),
    ]
    rank = {name: place for place, name in enumerate(dict.fromkeys(known))}
    ranked = points.with_columns(strategy=naming.plain_strategy()).with_columns(
        rank=pl.col("strategy").replace_strict(rank, default=len(rank), return_dtype=pl.Int32),
        # The knee is marked on one of the group.
        is_knee=pl.col("is_knee").any().over(group),
    )
    return (
        ranked.sort(*group, "rank", "outcome_id")
        .unique(group, keep="first", maintain_order=True)
        .drop("rank")
    )


def thinned(points: pl.DataFrame, most: int = MOST_POINTS) -> pl.DataFrame:
    """At most the given number of rows per task.

    The frontier and its likeliest rivals first, then the most accurate.
    """
    ranked = points.sort(
        "is_on_frontier",
        "frontier_probability",
        "accuracy",
        "outcome_id",
        descending=[True, True, True, False],
    )
    return ranked.group_by("task", maintain_order=True).head(most)


def counted(points: pl.DataFrame) -> pl.DataFrame:
    """Add ``n_groups``, the number of rows of each task, kind and axis.

    Unless it was computed before rows were left out.
    """
    if _GROUPS in points.columns:
        return points
    return points.with_columns(pl.len().over("task", "frontier_kind", "cost_axis").alias(_GROUPS))


def likeliest(points: pl.DataFrame) -> pl.DataFrame:
    """The rows of one task, kind and axis that can be shown.

    All that are on the frontier or often are, and the most accurate.
    """
    distinct = counted(representatives(points))
    often = distinct.select(
        (pl.col("is_on_frontier") | (pl.col("frontier_probability").fill_null(0) >= RIVAL)).sum()
    ).item()
    return thinned(distinct, MOST_POINTS + int(often))
