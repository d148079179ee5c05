"""Which outcomes really differ: paired comparisons within a task.

Lives here: the families of pairs in out_comparisons, and their rows. Not here: the tests
themselves (``isocost.frontier``), the comparison of two given outcomes
(``isocost.tables.frontiers.compare``).
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import polars as pl

from isocost.frontier import (
    benjamini_hochberg,
    holm,
    mcnemar,
    paired_comparison,
    problems_needed,
    simultaneous_band,
    strip_rows,
)
from isocost.schema.frames import empty
from isocost.tables.frontiers.blocks import Block
from isocost.tables.outcomes.problem_rows import OpenMatrix, strips
from isocost.tables.scaling.curves import snap

MOST_COMPARED = 64
# Multiplier draws: adjusted p-values are then known to about 0.003 where it matters, at 0.05.
DRAWS = 4096
# With one sample per problem every strategy gives the same: the strategy that represents the
# configuration, the simplest first.
SINGLE_SAMPLE = ("one_sample", "pass_at_k", "majority_at_k")
CONSTANT = "the two differ by the same amount on every problem"
Pairs = list[tuple[int, int]]


def on_frontier(points: pl.DataFrame) -> pl.DataFrame:
    """The rows of out_frontier_points to compare.

    Those on a frontier, one of each group of equal outcomes.
    """
    standing = points.filter(
        pl.col("is_on_frontier") & (pl.col("duplicate_of_outcome_id") == pl.col("outcome_id"))
    )
    return standing.select("outcome_id", "frontier_probability")


def compare_frontier_outcomes(
    block: Block, points: pl.DataFrame, confidence: float
) -> pl.DataFrame:
    """Compare the policies on a frontier of the block's task.

    With each other, and with the best policy of a single sample.

    Args:
        block: values of the task's outcomes.
        points: what `on_frontier` gives of the task's rows of out_frontier_points, all cost axes.
        confidence: level of the intervals.

    Returns:
        Rows of out_comparisons, not yet conformed; none if there is nothing to compare.
    """
    standing = (
        points.group_by("outcome_id")
        .agg(pl.col("frontier_probability").max())
        .sort(["frontier_probability", "outcome_id"], descending=[True, False])
        .head(MOST_COMPARED)
    )
    row_of = {outcome: row for row, outcome in enumerate(block.outcomes["outcome_id"].to_list())}
    rows = sorted(row_of[outcome] for outcome in standing["outcome_id"])
    found = [pair_rows(block, list(combinations(rows, 2)), "frontier", confidence)]
    singles = single_sample_rows(block)
    if singles:
        with block.values.open() as values:
            best = singles[int(np.argmax(_means(values, singles, block.weights)))]
            # A different name for the same answers is not a rival.
            rivals = [
                (row, best)
                for row in rows
                if not np.array_equal(values[np.array([row])], values[np.array([best])])
            ]
        found.append(pair_rows(block, rivals, "frontier_against_single", confidence))
    return pl.concat(found)


def compare_single_samples(block: Block, confidence: float) -> pl.DataFrame:
    """Compare all pairs of configurations of the block's task at one sample per problem.

    Arguments as for `compare_frontier_outcomes`.
    """
    rows = single_sample_rows(block)
    if len(rows) > MOST_COMPARED:
        with block.values.open() as values:
            accuracy = _means(values, rows, block.weights)
        rows = sorted(np.array(rows)[np.argsort(-accuracy, kind="stable")[:MOST_COMPARED]].tolist())
    return pair_rows(block, list(combinations(rows, 2)), "single_sample", confidence)


def _means(values: OpenMatrix, rows: list[int], weights: np.ndarray) -> np.ndarray:
    """Mean of some outcomes, strip by strip."""
    step = strip_rows(len(weights))
    return np.concatenate(
        [values[np.array(rows[at : at + step])] @ weights for at in range(0, len(rows), step)]
    )


def single_sample_rows(block: Block) -> list[int]:
    """One outcome for each configuration.

    That of a single sample per problem, by outcome_id.
    """
    samples = block.costs.get("samples_per_problem")
    takes_one = np.zeros(block.values.shape[0], dtype=bool)
    if samples is not None:
        with samples.open() as spent:
            for rows, some in strips(spent, samples.shape[1]):
                takes_one[rows] = (some == 1).all(axis=1)
    chosen: dict[str, tuple[tuple[int, str], int]] = {}
    for row, (point, strategy, budget) in enumerate(
        block.outcomes.select("point_id", "strategy", "budget").iter_rows()
    ):
        if point is None or budget != 1 or not (strategy in SINGLE_SAMPLE or takes_one[row]):
            continue
        rank = (
            SINGLE_SAMPLE.index(strategy) if strategy in SINGLE_SAMPLE else len(SINGLE_SAMPLE),
            strategy,
        )
        if point not in chosen or rank < chosen[point][0]:
            chosen[point] = (rank, row)
    return sorted(row for _, row in chosen.values())


def pair_rows(block: Block, pairs: Pairs, family: str, confidence: float) -> pl.DataFrame:
    """Rows of one family of pairs, which the adjusted p-values answer for together."""
    schema = empty("out_comparisons").schema
    if not pairs:
        return pl.DataFrame(schema=schema)
    involved = sorted({row for pair in pairs for row in pair})
    place = {row: number for number, row in enumerate(involved)}
    with block.values.open() as values:
        few = values[np.array(involved)]
    left, right = (few[[place[pair[side]] for pair in pairs]] for side in (0, 1))
    found = paired_comparison(left, right, confidence=confidence, clusters=block.clusters)
    band = simultaneous_band(
        left, right, confidence=confidence, draws=DRAWS, seed=block.seed, clusters=block.clusters
    )
    only_first, only_second, exact = None, None, np.zeros(len(pairs), dtype=bool)
    p_value, p_max_t = found.p_value.copy(), band.p_value.copy()
    if block.clusters is None:
        only_first, only_second = discordant(left, right)
        exact = only_first >= 0
        for i in np.flatnonzero(exact):
            p_value[i] = mcnemar(int(only_first[i]), int(only_second[i])).exact
    ids = block.outcomes["outcome_id"].to_list()
    columns = {
        "accuracy_difference": found.difference,
        "accuracy_difference_low": found.low,
        "accuracy_difference_high": found.high,
        "accuracy_difference_se": found.se,
        # Of few problems the multipliers know less than Student's distribution does.
        "accuracy_difference_band_low": np.minimum(band.low, found.low),
        "accuracy_difference_band_high": np.maximum(band.high, found.high),
        "p_value": p_value,
        "p_value_holm": holm(p_value),
        "p_value_bh": benjamini_hochberg(p_value),
        "p_value_max_t": p_max_t,
    }
    size = block.values.shape[1]
    plain = "paired_t" if block.clusters is None else "paired_t_clustered"
    return pl.DataFrame(
        {
            "task": [block.task] * len(pairs),
            "comparison_family": [family] * len(pairs),
            "first_outcome_id": [ids[a] for a, _ in pairs],
            "second_outcome_id": [ids[b] for _, b in pairs],
            # To 12 digits, which hides the last bits in which machines differ.
            **{name: pl.Series(snap(values)).fill_nan(None) for name, values in columns.items()},
            "n_first_only": _counts(only_first, exact),
            "n_second_only": _counts(only_second, exact),
            "undefined_reason": [CONSTANT if gone else None for gone in np.isnan(p_value)],
            "verdict": [
                _verdict(p) if p is not None else "unknown"
                for p in _signed(found.difference, holm(p_value))
            ],
            "n_comparisons": [len(pairs)] * len(pairs),
            "n_problems": [size] * len(pairs),
            "n_units": [found.units] * len(pairs),
            "problems_needed": [
                _needed(d, se, size) for d, se in zip(found.difference, found.se, strict=True)
            ],
            "test_method": ["mcnemar_exact" if one else plain for one in exact],
            "confidence": [confidence] * len(pairs),
            "draws": [band.draws] * len(pairs),
            "seed": [band.seed] * len(pairs),
        },
        schema=schema,
    )


def discordant(left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Problems that only the first, and only the second of each pair solves.

    -1 if a value is not simply right or wrong.
    """
    is_plain = (((left == 0) | (left == 1)) & ((right == 0) | (right == 1))).all(axis=1)
    first, second = ((a > b).sum(axis=1) for a, b in ((left, right), (right, left)))
    return np.where(is_plain, first, -1), np.where(is_plain, second, -1)


def _counts(values: np.ndarray | None, known: np.ndarray) -> list[int | None]:
    return (
        [None] * len(known)
        if values is None
        else [int(v) if ok else None for v, ok in zip(values, known, strict=True)]
    )


def _signed(difference: np.ndarray, p_value: np.ndarray) -> list[tuple[float, float] | None]:
    return [
        None if np.isnan(p) else (float(d), float(p))
        for d, p in zip(difference, p_value, strict=True)
    ]


def _verdict(judged: tuple[float, float]) -> str:
    difference, p_value = judged
    if p_value >= 0.05:
        return "no_difference_shown"
    return "first_better" if difference > 0 else "second_better"


def _needed(difference: float, se: float, problems: int) -> int | None:
    return (
        problems_needed(float(se) ** 2 * problems, float(difference))
        if abs(difference) > 1e-12 and se > 0
        else None
    )
