"""pass@k.

At least one of k samples is correct, known only to an oracle. Registered; numerics in coverage.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from isocost.strategies.estimators.coverage import marginal_value, pass_at_k
from isocost.strategies.estimators.recorded import coverage_recorded, recorded_costs
from isocost.strategies.options import ReplayOptions
from isocost.strategies.point_bank import PointBank
from isocost.strategies.registry import Replay, Strategy, mask_undefined, register, undefined_cells
from isocost.strategies.shapes import Ints


@register
@dataclass(frozen=True)
class PassAtK(Strategy):
    """Coverage.

    What a perfect verifier over k samples would reach; over all subsets, or of the first k in
    recorded order.
    """

    family = "pass_at_k"
    summary = "At least one of k samples is correct (Chen et al. 2021); needs a perfect verifier."
    kind = "oracle"
    reads_verdicts = True

    order: str = "exchangeable"

    @property
    def name(self) -> str:
        """pass_at_k, with a suffix if the order is the recorded one."""
        return self.family if self.order == "exchangeable" else f"{self.family}_{self.order}"

    @property
    def parameters(self) -> Mapping[str, object]:
        """The order, where it is the recorded one."""
        return {} if self.order == "exchangeable" else {"order": self.order}

    @classmethod
    def asked(cls, options: ReplayOptions) -> tuple[PassAtK, ...]:
        """One for each order."""
        return tuple(cls(order=order) for order in options.orders)

    def applies(self, bank: PointBank) -> bool:
        """Counts have no order."""
        return self.order == "exchangeable" or bank.tallies is None

    def replay(self, bank: PointBank, ks: Ints) -> Replay:
        """Exact, with the marginal value of one sample more."""
        if self.order == "as_recorded":
            used = np.where(ks[None, :] <= bank.sizes[:, None], ks[None, :], 0)
            found = coverage_recorded(bank.right, bank.sizes, ks)
            return mask_undefined(
                Replay(
                    ks, found, recorded_costs(bank, used), undefined_cells(bank, ks, verdicts=True)
                )
            )
        accuracy = pass_at_k(bank.sizes, bank.n_correct, ks)
        marginal = marginal_value(bank.sizes, bank.n_correct, ks)
        undefined = undefined_cells(bank, ks, verdicts=self.reads_verdicts)
        return mask_undefined(
            Replay(ks, accuracy, bank.parallel_costs(ks), undefined, marginal=marginal)
        )
