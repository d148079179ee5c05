"""One sample, cut at a token budget.

Registered; numerics in isocost.strategies.estimators.truncation.
"""

from __future__ import annotations

import numpy as np

from isocost.axes.model import Kept, PerToken
from isocost.axes.registry import all_axes
from isocost.strategies.cuts import CutLaw, cut_law, reasons_of
from isocost.strategies.estimators.truncation import completion_curve
from isocost.strategies.point_bank import PointBank
from isocost.strategies.registry import Replay, Strategy, mask_undefined, register
from isocost.strategies.shapes import Floats, Ints

SMALLEST = 16


@register
class Truncation(Strategy):
    """Cuts one sample at b tokens; an answer counts only when it was complete by then.

    The cost of a sample up to the cut is defined in cuts.py; an axis is unknown if a sample is cut
    and its cost cannot be determined.
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
        unknown = bank.lacking(length)
        accuracy, spent = completion_curve(bank.right, np.nan_to_num(length), ks, bank.present)
        costs, laws = {}, {}
        for name, axis in all_axes().items():
            if isinstance(axis.cut, Kept):
                continue
            laws[name] = cut_law(bank, axis)
            if isinstance(axis.cut, PerToken):
                costs[name] = np.where(unknown[:, None], np.nan, spent)
            elif bank.known(axis.column):
                costs[name] = _cut_means(bank, bank.column(axis.column), laws[name], ks)
        # With a single sample, the cost before its first token is the same as for a whole one.
        whole = bank.parallel_costs(np.ones(1, dtype=np.int64))
        costs |= {
            name: np.broadcast_to(whole[name], accuracy.shape).copy()
            for name, axis in all_axes().items()
            if isinstance(axis.cut, Kept)
        }
        undefined = {"budget_exceeds_samples": bank.sizes == 0}
        undefined |= {"ungraded_samples": bank.ungraded} if bank.ungraded.any() else {}
        undefined |= {"missing_scores": unknown} if unknown.any() else {}
        return mask_undefined(
            Replay(ks, accuracy, costs, undefined, unknown_costs=reasons_of(laws))
        )


def _cut_means(bank: PointBank, whole: Floats, law: CutLaw | str, ks: Ints) -> Floats:
    """Mean cost of a sample cut at each budget, (problems, budgets).

    NaN if the cost or length of a sample, whole or cut, is unknown.
    """
    length = np.where(bank.present, bank.column("output_tokens"), 0.0)
    whole = np.where(bank.present, np.where(np.isnan(length), np.nan, whole), 0.0)
    sizes = np.where(bank.sizes > 0, bank.sizes, np.nan)
    means = np.full((len(length), len(ks)), np.nan)
    for i, b in enumerate(ks):
        cost = whole
        if np.any(is_cut := length > b):
            cost = np.where(is_cut, np.nan if isinstance(law, str) else law.at(float(b)), whole)
        means[:, i] = cost.sum(axis=1) / sizes
    return means
