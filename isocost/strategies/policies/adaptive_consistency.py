"""Adaptive-Consistency. Registered; numerics in isocost.strategies.estimators.adaptive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from isocost.stopping import THRESHOLD, beta_leads
from isocost.strategies.estimators.adaptive import run_policy
from isocost.strategies.point_bank import PointBank
from isocost.strategies.policies.adaptive import MOST_STATES, ORDERS, replay_adaptive, votable
from isocost.strategies.registry import Replay, Strategy, register
from isocost.strategies.shapes import Ints


@register
@dataclass(frozen=True)
class AdaptiveConsistency(Strategy):
    """Draw samples one by one until the Beta criterion holds, or the cap is reached.

    Aggarwal et al. 2023.
    """

    family = "adaptive_consistency"
    summary = "Majority vote that stops as soon as the leader is safe; the budget is the cap."
    exactness = "exact where the state space is small, else random orders with a bound"
    tie_rule = "uniform"
    reads_answers = True
    threshold: float = THRESHOLD

    @property
    def parameters(self) -> Mapping[str, object]:
        """Threshold, and how orders are visited."""
        return {"most_states": MOST_STATES, "orders": ORDERS, "threshold": self.threshold}

    def replay(self, bank: PointBank, ks: Ints) -> Replay:
        """Every cap from one pass over the states or orders."""
        rows = votable(bank)
        result = run_policy(
            bank.counts[rows], bank.class_values[rows], beta_leads(self.threshold, int(ks.max())),
            ks,
            abstained=bank.abstained[rows], most_states=MOST_STATES, orders=ORDERS, seed=0,
            keys=bank.keys[rows],
        )  # fmt: skip
        return replay_adaptive(bank, ks, result, rows)
