"""One sample, cut at a token budget. Registered; numerics in isocost.strategies.truncation."""

from __future__ import annotations

import numpy as np

from isocost.strategies.point_bank import PointBank
from isocost.strategies.registry import Replay, Strategy, mask_undefined, register
from isocost.strategies.shapes import Ints
from isocost.strategies.truncation import completion_curve

SMALLEST = 16


@register
class Truncation(Strategy):
    """Cuts one sample at b tokens; an answer counts only when it was complete by then.

    Tokens are exact. Time, energy, FLOPs and money of a cut sample were not measured: unknown wherever a sample is cut.
    """

    family = "truncated_at_tokens"
    summary = "One sample, cut at a token budget; a lower bound for protocols that force an answer."
    needs = ("output_tokens",)
    budget_unit = "tokens"

    def budgets(self, bank: PointBank, ks: Ints) -> Ints:
        """Powers of two up to the longest sample, and its length."""
        longest = int(np.nanmax(np.where(bank.present, bank.column("output_tokens"), np.nan)))
        powers = [SMALLEST * 2**i for i in range(64) if SMALLEST * 2**i < longest]
        return np.array([*powers, max(longest, 1)], dtype=np.int64)

    def replay(self, bank: PointBank, ks: Ints) -> Replay:
        """Exact."""
        length = bank.column("output_tokens")
        unknown = (np.isnan(length) & bank.present).any(axis=1)
        accuracy, spent = completion_curve(bank.right, np.nan_to_num(length), ks, bank.present)
        whole = (np.where(bank.present, length, 0.0).max(axis=1)[:, None] <= ks[None, :]) & ~unknown[:, None]
        single = bank.parallel_costs(np.ones(1, dtype=np.int64))
        costs = {axis: np.where(whole, cost, np.nan) for axis, cost in single.items()}
        costs |= {
            axis: np.broadcast_to(single[axis], accuracy.shape).copy() for axis in ("samples", "prompt_tokens", "prompt_tokens_unshared")
        }
        costs["output_tokens"] = np.where(unknown[:, None], np.nan, spent)
        undefined = {"budget_exceeds_samples": bank.sizes == 0}
        undefined |= {"ungraded_samples": bank.ungraded} if bank.ungraded.any() else {}
        undefined |= {"missing_scores": unknown} if unknown.any() else {}
        return mask_undefined(Replay(ks, accuracy, costs, undefined))
