"""Outcomes of methods at smaller budgets: the answers that a sample could have given on its way.

Lives here: from core_answers to one bank per budget, and its mean over samples. Not here: the rows
made of it (``isocost.tables.outcomes.outcomes``), the answers themselves (``isocost.tables.core``).

A bank of T rounds has the outcome of every t up to T: at budget b a sample gives its last answer
that had cost at most b. A problem with a sample that had no answer by then is undefined.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import polars as pl

from isocost.strategies import PointBank, Replay, Strategy, pass_at_k
from isocost.strategies.registry import mask_undefined
from isocost.strategies.shapes import Ints
from isocost.tables.outcomes.banks import needed, task_banks
from isocost.tables.outcomes.problems import Played

NO_ANSWER = "no_answer_at_budget"


class AnswerAtBudget(Strategy):
    """The mean value of a sample of a method that is stopped at a budget."""

    family = "answer_at_budget"
    summary = "One sample of a method with several answers, stopped at a budget of the method."

    def __init__(self, unit: str) -> None:
        """A budget in a unit, such as rounds."""
        # Of the one instance: its unit is the method's.
        self.budget_unit = unit  # pyright: ignore[reportAttributeAccessIssue]

    def replay(self, bank: PointBank, ks: Ints) -> Replay:
        """Exact; `ks` is the one budget that the bank was made for."""
        one = np.ones(1, dtype=np.int64)
        accuracy = np.where(
            bank.partial[:, None],
            bank.mean_worth[:, None],
            pass_at_k(bank.sizes, bank.n_correct, one),
        )
        undefined = {NO_ANSWER: bank.sizes == 0}
        undefined |= {"ungraded_samples": bank.ungraded} if bank.ungraded.any() else {}
        found = mask_undefined(Replay(ks, accuracy, bank.parallel_costs(one), undefined))
        empty = (bank.sizes == 0)[:, None]
        found.costs = {axis: np.where(empty, np.nan, cost) for axis, cost in found.costs.items()}
        return found


def played_answers(answers: pl.DataFrame) -> Iterator[Played]:
    """The outcome of every budget of every point of one task whose samples have several answers.

    Args:
        answers: rows of core_answers.
    """
    rows = answers.filter(pl.col("budget").is_not_null())
    several = rows.filter(~pl.col("is_final"))["point_id"].unique()
    for (point_id,), point in sorted(rows.partition_by("point_id", as_dict=True).items()):
        if point_id not in several:
            continue
        everything = point.select("problem_id").unique()["problem_id"].sort()
        strategy = AnswerAtBudget(str(point["budget_unit"][0]))
        for budget in point["budget"].unique().sort():
            at = needed(_at(point, budget).drop("budget", "budget_unit"), lists=())
            if at.is_empty():
                continue
            [(bank, facts)] = task_banks(at)
            if len(everything) > len(bank.problem_ids):
                bank = bank.aligned(tuple(everything))
            replay = strategy.replay(bank, np.array([budget]))
            yield Played(strategy, (bank,), (facts,), replay)


def _at(point: pl.DataFrame, budget: float) -> pl.DataFrame:
    """The last answer of every sample at a budget, of problems whose samples all have one."""
    last = (
        point.filter(pl.col("budget") <= budget)
        .sort("answer_index")
        .unique("sample_id", keep="last", maintain_order=True)
    )
    counted = point.group_by("problem_id").agg(pl.col("sample_id").n_unique().alias("all"))
    reached = last.group_by("problem_id").agg(pl.len().alias("reached"))
    whole = counted.join(reached, on="problem_id").filter(pl.col("all") == pl.col("reached"))
    return last.join(whole.select("problem_id"), on="problem_id", how="semi").sort(
        "problem_id", "sample_index"
    )
