"""Retry until a perfect verifier accepts.

Registered; numerics in isocost.strategies.estimators.retry.
"""

from __future__ import annotations

import numpy as np

from isocost.strategies.estimators.retry import retry_until_verified
from isocost.strategies.point_bank import PointBank
from isocost.strategies.registry import Replay, Strategy, mask_undefined, register, undefined_cells
from isocost.strategies.shapes import Floats, Ints
from isocost.strategies.spending import spent_on_axes


@register
class Retry(Strategy):
    """Samples one by one until correct or the cap is reached."""

    family = "retry_until_verified"
    summary = "Samples one by one until a perfect verifier accepts; the budget is the cap."
    kind = "oracle"
    reads_verdicts = True

    def replay(self, bank: PointBank, ks: Ints) -> Replay:
        """Exact.

        The drawn samples are one correct one where it succeeds, and random wrong ones before it.
        """
        success, attempts = retry_until_verified(bank.sizes, bank.n_correct, ks)
        costs = spent_on_axes(
            samples=attempts,
            total=lambda name: _spent(bank, name, success, attempts),
            once=lambda name: np.where(np.isnan(attempts), np.nan, bank.mean(name)[:, None]),
        )
        return mask_undefined(
            Replay(ks, success, costs, undefined_cells(bank, ks, verdicts=self.reads_verdicts))
        )


def _spent(bank: PointBank, name: str, success: Floats, attempts: Floats) -> Floats:
    """Expected sum of a column.

    Successes at the mean of correct samples, failures at the mean of wrong ones.
    """
    if not bank.known(name):
        return np.full(success.shape, np.nan)
    values = np.where(bank.present, bank.column(name), 0.0)
    right = bank.right
    wrong = bank.present - right
    mean_right = (values * right).sum(axis=1) / np.maximum(right.sum(axis=1), 1)
    mean_wrong = (values * wrong).sum(axis=1) / np.maximum(wrong.sum(axis=1), 1)
    total = success * mean_right[:, None] + (attempts - success) * mean_wrong[:, None]
    # Which samples are correct determines what is drawn: without that the cost is unknown, too.
    return np.where((bank.ungraded | bank.partial)[:, None], np.nan, total)
