"""Sequential probability ratio stopping.

Registered; numerics in isocost.strategies.estimators.adaptive.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from isocost.stopping import ALPHA, BETA, SHARE, sprt_leads
from isocost.strategies.estimators.adaptive import run_policy
from isocost.strategies.point_bank import PointBank
from isocost.strategies.policies.adaptive import MOST_STATES, ORDERS, replay_adaptive, votable
from isocost.strategies.registry import Replay, Strategy, register
from isocost.strategies.shapes import Ints


@register
@dataclass(frozen=True)
class SequentialRatio(Strategy):
    """Samples until Wald's test prefers the leading answer to the runner-up, or the cap."""

    family = "sequential_ratio_test"
    summary = (
        "Majority vote that stops when a sequential probability ratio test is decided; the budget"
        " is the cap."
    )
    exactness = "exact where the state space is small, else random orders with a bound"
    tie_rule = "uniform"
    reads_answers = True
    share: float = SHARE
    alpha: float = ALPHA
    beta: float = BETA

    @property
    def parameters(self) -> Mapping[str, object]:
        """Share of the leader among the top two, error rates, and how orders are visited."""
        return {
            "alpha": self.alpha,
            "beta": self.beta,
            "most_states": MOST_STATES,
            "orders": ORDERS,
            "share": self.share,
        }

    def replay(self, bank: PointBank, ks: Ints) -> Replay:
        """Every cap from one pass over the states or orders."""
        rows = votable(bank)
        leads = sprt_leads(self.share, self.alpha, self.beta, int(ks.max()))
        result = run_policy(
            bank.counts[rows], bank.class_values[rows], leads, ks,
            abstained=bank.abstained[rows], most_states=MOST_STATES, orders=ORDERS, seed=0,
            keys=bank.keys[rows],
        )  # fmt: skip
        return replay_adaptive(bank, ks, result, rows)
