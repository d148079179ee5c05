"""One sample, taken as it is.

What a model does without any strategy. Registered; for points whose answers cannot be voted on.
"""

from __future__ import annotations

import numpy as np

from isocost.strategies.estimators.coverage import pass_at_k
from isocost.strategies.point_bank import PointBank
from isocost.strategies.registry import Replay, Strategy, mask_undefined, register, undefined_cells
from isocost.strategies.shapes import Ints


@register
class OneSample(Strategy):
    """The mean value of a sample: pass@1 without an oracle, or the mean score.

    The mean score applies to samples with partial credit.

    If answers are banked, every vote at a budget of 1 equals this. If only verdicts or counts are
    banked (imports without extracted answers), votes are undefined, and this is the only policy
    that is known.
    """

    family = "one_sample"
    summary = "One sample, taken as it is; for points with verdicts but without answers to vote on."

    def applies(self, bank: PointBank) -> bool:
        """Whether a correct sample has no answer class, so that no vote says it."""
        return bool(bank.unclassed.any())

    def budgets(self, bank: PointBank, ks: Ints) -> Ints:
        """One sample, whatever budgets are requested."""
        return np.ones(1, dtype=np.int64)

    def replay(self, bank: PointBank, ks: Ints) -> Replay:
        """Exact."""
        accuracy = np.where(
            bank.partial[:, None],
            bank.mean_worth[:, None],
            pass_at_k(bank.sizes, bank.n_correct, ks),
        )
        return mask_undefined(
            Replay(ks, accuracy, bank.parallel_costs(ks), undefined_cells(bank, ks))
        )
