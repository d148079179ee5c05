"""out_strategy_problems: what each replayed strategy achieves and spends on each problem.

Lives here: the rows of replays, and the definition of a replay here. Not here: which strategies are
replayed,
and the means over problems (outcomes.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from isocost.axes.registry import all_axes
from isocost.schema.frames import empty
from isocost.strategies import ChainStrategy, PointBank, Replay, Strategy
from isocost.tables.outcomes.banks import METHODS, BankFacts

PROBLEMS = "out_strategy_problems"
UNDEFINED_HERE = "the outcome is undefined for the problem"


@dataclass(frozen=True)
class Played:
    """One strategy replayed on one bank or chain."""

    strategy: Strategy | ChainStrategy
    banks: tuple[PointBank, ...]
    facts: tuple[BankFacts, ...]
    replay: Replay


def cells(where: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A reason's problems, or problems and budgets, as problems and budgets."""
    return np.broadcast_to(where if where.ndim == 2 else where[:, None], shape)


def problem_rows(
    played: Sequence[Played], outcome_rows: Sequence[dict[str, Any]], problem_ids: Sequence[str]
) -> pl.DataFrame:
    """One row for each outcome and problem, outcomes in the given order.

    Removes the costs from ``played`` to keep them in memory only once.
    """
    place = {problem: i for i, problem in enumerate(problem_ids)}
    names = sorted({name for one in played for name in one.replay.undefined})
    outcome_at, problem_at, reason_at, first = [], [], [], 0
    for one in played:
        problems, budgets = one.replay.accuracy.shape
        outcome_at.append(np.repeat(np.arange(first, first + budgets, dtype=np.int32), problems))
        problem_at.append(
            np.tile(np.array([place[p] for p in one.banks[0].problem_ids], dtype=np.int32), budgets)
        )
        reason_at.append(_reason_numbers(one.replay, names).T.ravel())
        first += budgets
    outcome_of = np.concatenate(outcome_at)
    columns = {
        "outcome_id": pl.Series(
            [row["outcome_id"] for row in outcome_rows], dtype=pl.String
        ).gather(outcome_of),
        "problem_id": pl.Series(problem_ids, dtype=pl.String).gather(np.concatenate(problem_at)),
        "undefined_reason": pl.Series([*names, None], dtype=pl.String).gather(
            np.concatenate(reason_at)
        ),
        "accuracy": pl.Series(
            np.concatenate([one.replay.accuracy.T.ravel() for one in played]), nan_to_null=True
        ),
    }
    for axis in all_axes().values():
        columns[axis.per_problem] = pl.Series(
            np.concatenate([_taken(one, axis.name) for one in played]), nan_to_null=True
        )
        if axis.own_reason is not None:
            own = axis.own_reason.name
            unknown = columns[axis.per_problem].is_null().to_numpy()
            reasons = pl.Series(
                [*(row[own] or UNDEFINED_HERE for row in outcome_rows), None], dtype=pl.String
            )
            columns[own] = reasons.gather(np.where(unknown, outcome_of, len(outcome_rows)))
    return pl.DataFrame(columns).select(empty(PROBLEMS).columns)


def _taken(one: Played, axis: str) -> np.ndarray:
    """One axis of a replay, budget by budget, removed from it.

    NaN where unknown or from different methods.
    """
    unlike = axis in METHODS and len({facts.methods[axis] for facts in one.facts}) > 1
    costs = one.replay.costs.pop(axis, None)
    return np.full(one.replay.accuracy.size, np.nan) if costs is None or unlike else costs.T.ravel()


def _reason_numbers(replay: Replay, names: list[str]) -> np.ndarray:
    """For each cell the number of its first reason in ``names``.

    The number of names where it is defined.
    """
    numbers = np.full(replay.accuracy.shape, len(names), dtype=np.int32)
    missing = np.isnan(replay.accuracy)
    for name, where in reversed(list(replay.undefined.items())):
        numbers[cells(where, numbers.shape) & missing] = names.index(name)
    return numbers
