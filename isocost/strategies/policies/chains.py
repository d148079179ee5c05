"""Common code of strategies over several points.

Not a strategy; the registered ones are in this folder.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from isocost.strategies.point_bank import PointBank
from isocost.strategies.registry import Replay, mask_undefined
from isocost.strategies.shapes import Bools, Floats
from isocost.strategies.spending import spent_on_axes


def chain_result(
    banks: Sequence[PointBank],
    accuracy: Floats,
    reach: Floats,
    undefined: dict[str, Bools],
    *,
    paid: Floats | None = None,
    unscored: int = 0,
) -> Replay:
    """One operating point: mean costs of one sample per model, weighted by its probability.

    Args:
        banks: one per model, the same problems row by row.
        accuracy: (problems,).
        reach: (problems, models).
        undefined: reason -> problems.
        paid: probability that each model is paid for, if that is not ``reach``.
        unscored: samples without the score the strategy ranks by.
    """
    share = reach if paid is None else paid

    def spent(name: str) -> Floats:
        """A column's sum over the models; one that is never asked costs nothing, known or not."""
        total = np.zeros(len(accuracy))
        for asked, bank in zip(share.T, banks, strict=True):
            total += np.where(asked > 0, asked * bank.mean(name), 0.0)
        return total

    asked = np.zeros(len(accuracy))
    for one in share.T[: len(banks)]:
        asked += one
    costs = spent_on_axes(samples=asked, total=spent, once=spent)
    budget = np.array([len(banks)], dtype=np.int64)
    return mask_undefined(
        Replay(
            budget,
            accuracy[:, None],
            {a: c[:, None] for a, c in costs.items()},
            undefined,
            unscored=unscored,
        )
    )


def unusable(banks: Sequence[PointBank], *, verdicts: bool = False) -> dict[str, Bools]:
    """Problems that some model has no samples of, or ungraded ones.

    Where verdicts are needed those with partial credit, too.
    """
    reasons = {"budget_exceeds_samples": np.any([bank.sizes < 1 for bank in banks], axis=0)}
    ungraded = np.any([bank.ungraded for bank in banks], axis=0)
    partial = (
        np.any([bank.partial for bank in banks], axis=0) if verdicts else np.zeros_like(ungraded)
    )
    reasons |= {"ungraded_samples": ungraded} if ungraded.any() else {}
    return reasons | ({"partial_credit": np.ones_like(partial)} if partial.any() else {})


def usable_rows(undefined: dict[str, Bools]) -> Bools:
    """Problems that no reason excludes."""
    return ~np.any(list(undefined.values()), axis=0)


def chances(banks: Sequence[PointBank]) -> Floats:
    """Mean value of a sample, (problems, models); 0 where a model has no samples."""
    return np.stack([bank.mean_worth for bank in banks], axis=1)


def ladder_costs(banks: Sequence[PointBank]) -> Floats:
    """Mean cost of one sample, (problems, models), on the first axis that all banks know.

    FLOPs, money, latency, tokens, rank.
    """
    for name in ("flops", "cost_usd", "latency_s", "output_tokens"):
        costs = np.stack([bank.mean(name) for bank in banks], axis=1)
        if not np.isnan(costs[np.all([bank.sizes > 0 for bank in banks], axis=0)]).any():
            return costs
    return np.tile(np.arange(1, len(banks) + 1, dtype=np.float64), (len(banks[0].sizes), 1))
