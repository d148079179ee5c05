"""The bound of every router. Registered; numerics in isocost.strategies.estimators.routing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from isocost.strategies.estimators.routing import oracle_router
from isocost.strategies.point_bank import PointBank
from isocost.strategies.policies.chains import chain_result, chances, ladder_costs, unusable
from isocost.strategies.registry import ChainStrategy, Replay, register


@register
class OracleRouter(ChainStrategy):
    """For each problem the cheapest of the models most likely to be right.

    Chances are c/n, so noise is still selected on a little.
    """

    family = "oracle_router"
    summary = "The best any router could do; knows each model's chance on each problem."
    kind = "oracle"
    reads_verdicts = True

    def replay_chain(self, banks: Sequence[PointBank]) -> Replay:
        """Exact for the banked chances; only the chosen model is paid."""
        undefined = unusable(banks, verdicts=self.reads_verdicts)
        costs = ladder_costs(banks)
        costs[undefined["budget_exceeds_samples"]] = 0.0
        routed = oracle_router(chances(banks), costs)
        return chain_result(banks, routed.accuracy, np.eye(len(banks))[routed.choice], undefined)
