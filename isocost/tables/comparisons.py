"""Which frontier outcomes really differ: paired comparisons within a task.

Lives here: choice of pairs, out_comparisons. Not here: the tests themselves (``isocost.frontier``).
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import polars as pl

from isocost.frontier import benjamini_hochberg, holm, paired_comparison, problems_needed
from isocost.schema.frames import empty
from isocost.tables.frontier_blocks import Block

MOST_COMPARED = 64


def compare_frontier_outcomes(block: Block, points: pl.DataFrame, confidence: float) -> pl.DataFrame:
    """Compares every two outcomes that stand on a frontier of the block's task.

    Args:
        block: values of the task's outcomes.
        points: rows of out_frontier_points of the task, all cost axes.
        confidence: level of the intervals.

    Returns:
        Rows of out_comparisons, not yet conformed; none for a single frontier outcome.
    """
    standing = (
        points.filter(pl.col("is_on_frontier") & (pl.col("duplicate_of_outcome_id") == pl.col("outcome_id")))
        .group_by("outcome_id")
        .agg(pl.col("frontier_probability").max())
        .sort(["frontier_probability", "outcome_id"], descending=[True, False])
        .head(MOST_COMPARED)
    )
    ids = block.outcomes["outcome_id"].to_list()
    row_of = {outcome: row for row, outcome in enumerate(ids)}
    pairs = list(combinations(sorted(standing["outcome_id"].to_list()), 2))
    if not pairs:
        return pl.DataFrame(schema=_schema())
    left, right = (np.array([row_of[pair[side]] for pair in pairs]) for side in (0, 1))
    found = paired_comparison(block.values[left], block.values[right], confidence=confidence, clusters=block.clusters)
    columns = {
        "accuracy_difference": found.difference,
        "accuracy_difference_low": found.low,
        "accuracy_difference_high": found.high,
        "accuracy_difference_se": found.se,
        "p_value": found.p_value,
        "p_value_holm": holm(found.p_value),
        "p_value_bh": benjamini_hochberg(found.p_value),
    }
    undefined = np.isnan(found.p_value)
    return pl.DataFrame(
        {
            "task": [block.task] * len(pairs),
            "first_outcome_id": [pair[0] for pair in pairs],
            "second_outcome_id": [pair[1] for pair in pairs],
            **{name: pl.Series(values).fill_nan(None) for name, values in columns.items()},
            "undefined_reason": ["the two differ by the same amount on every problem" if gone else None for gone in undefined],
            "n_comparisons": [len(pairs)] * len(pairs),
            "n_problems": [block.values.shape[1]] * len(pairs),
            "n_units": [found.units] * len(pairs),
            "problems_needed": [_needed(d, se, block.values.shape[1]) for d, se in zip(found.difference, found.se, strict=True)],
            "test_method": ["paired_t" if block.clusters is None else "paired_t_clustered"] * len(pairs),
            "confidence": [confidence] * len(pairs),
        },
        schema=_schema(),
    )


def _needed(difference: float, se: float, problems: int) -> int | None:
    return problems_needed(float(se) ** 2 * problems, float(difference)) if abs(difference) > 1e-12 and se > 0 else None


def _schema() -> pl.Schema:
    return empty("out_comparisons").schema
