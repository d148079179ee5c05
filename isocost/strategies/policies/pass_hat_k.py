"""pass^k: all k samples are correct. Registered; numerics in coverage.py."""

from __future__ import annotations

from isocost.strategies.estimators.coverage import pass_hat_k
from isocost.strategies.point_bank import PointBank
from isocost.strategies.registry import Replay, Strategy, mask_undefined, register, undefined_cells
from isocost.strategies.shapes import Ints


@register
class PassHatK(Strategy):
    """Reliability: how often the model is right k times in a row."""

    family = "pass_hat_k"
    summary = "All k samples are correct (Yao et al. 2024): reliability, not a way to answer."
    kind = "metric"
    reads_verdicts = True

    def replay(self, bank: PointBank, ks: Ints) -> Replay:
        """Exact."""
        accuracy = pass_hat_k(bank.sizes, bank.n_correct, ks)
        return mask_undefined(
            Replay(
                ks,
                accuracy,
                bank.parallel_costs(ks),
                undefined_cells(bank, ks, verdicts=self.reads_verdicts),
            )
        )
