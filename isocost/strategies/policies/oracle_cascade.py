"""The bound of every cascade. Registered; numerics in isocost.strategies.estimators.cascades."""

from __future__ import annotations

from collections.abc import Sequence

from isocost.strategies.estimators.cascades import oracle_cascade
from isocost.strategies.point_bank import PointBank
from isocost.strategies.policies.chains import chain_result, chances, ladder_costs, unusable
from isocost.strategies.registry import ChainStrategy, Replay, register


@register
class OracleCascade(ChainStrategy):
    """One sample of each model in turn until a perfect verifier accepts.

    No model is asked when none ahead can succeed.
    """

    family = "oracle_cascade"
    summary = "The best any cascade in this order could do; needs a perfect verifier."
    kind = "oracle"
    reads_verdicts = True

    def replay_chain(self, banks: Sequence[PointBank]) -> Replay:
        """Exact."""
        undefined = unusable(banks, verdicts=self.reads_verdicts)
        costs = ladder_costs(banks)
        costs[undefined["budget_exceeds_samples"]] = 0.0
        bound = oracle_cascade(chances(banks), costs)
        return chain_result(banks, bound.accuracy, bound.reach, undefined)
