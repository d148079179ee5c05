"""core_counts as banks: points with only the number of correct samples per problem.

Lives here: reading one point's counts into a `PointBank` without a sample in it. Not here: banks of
samples (outcome_banks.py).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from isocost.axes.registry import all_axes
from isocost.strategies import PointBank
from isocost.tables.outcomes.banks import METHODS, BankFacts
from isocost.tables.tallies import NO_ENERGY

UNKNOWN_COST = "the source only counts samples and states no costs"


def count_banks(counts: pl.DataFrame) -> Iterator[tuple[PointBank, BankFacts]]:
    """One bank per point of one task's core_counts, by point_id."""
    for (point_id,), part in sorted(
        counts.partition_by("point_id", as_dict=True, maintain_order=True).items()
    ):
        yield _count_bank(str(point_id), part)


def _count_bank(point_id: str, rows: pl.DataFrame) -> tuple[PointBank, BankFacts]:
    """Read one point; counts of one problem from several sources are added up."""
    summed = (
        rows.group_by("problem_id").agg(pl.col("n_samples", "n_correct").sum()).sort("problem_id")
    )
    sizes, correct = (
        summed[name].to_numpy().astype(np.int64) for name in ("n_samples", "n_correct")
    )
    nothing = np.zeros((len(sizes), 0))
    labels = {name: rows[name][0] for name in ("task", "model_variant", "prompt")} | {
        "energy_method": None
    }
    bank = PointBank(
        point_id,
        tuple(summed["problem_id"]),
        sizes,
        nothing,
        nothing.astype(np.int64),
        {},
        labels=labels,
        tallies=correct,
    )
    once = rows.filter(pl.col("cluster_id").is_not_null()).unique(
        subset="problem_id", keep="first", maintain_order=True
    )
    counts: dict[str, int | None] = {
        "n_samples": int(sizes.sum()),
        "n_samples_invalid": 0,
        "n_samples_no_answer": int(sizes.sum()),
        "n_samples_truncated": None,
        "n_problems_no_answer": int((sizes > 0).sum()),
        "n_problems_all_truncated": None,
        "n_problems_one_class": 0,
    }
    reasons = {
        axis.name: UNKNOWN_COST if axis.own_reason is None else NO_ENERGY
        for axis in all_axes().values()
        if axis.fields
    }
    return bank, BankFacts(
        dict.fromkeys(METHODS),
        dict(once.select("problem_id", "cluster_id").iter_rows()),
        counts,
        reasons,
    )
