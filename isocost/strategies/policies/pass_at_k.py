"""pass@k: at least one of k samples is correct, known only to an oracle. Registered; numerics in coverage.py."""

from __future__ import annotations

from isocost.strategies.coverage import marginal_value, pass_at_k
from isocost.strategies.point_bank import PointBank
from isocost.strategies.registry import Replay, Strategy, mask_undefined, register, undefined_cells
from isocost.strategies.shapes import Ints


@register
class PassAtK(Strategy):
    """Coverage: what a perfect verifier over k samples would reach."""

    family = "pass_at_k"
    summary = "At least one of k samples is correct (Chen et al. 2021); needs a perfect verifier."
    kind = "oracle"
    reads_verdicts = True

    def replay(self, bank: PointBank, ks: Ints) -> Replay:
        """Exact, with the marginal value of one sample more."""
        accuracy = pass_at_k(bank.sizes, bank.n_correct, ks)
        marginal = marginal_value(bank.sizes, bank.n_correct, ks)
        undefined = undefined_cells(bank, ks, verdicts=self.reads_verdicts)
        return mask_undefined(Replay(ks, accuracy, bank.parallel_costs(ks), undefined, marginal=marginal))
