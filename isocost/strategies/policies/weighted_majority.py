"""Majority weighted by a score. Registered; numerics in subsets.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from isocost.strategies.kernels.votes import WEIGHTED
from isocost.strategies.point_bank import PointBank
from isocost.strategies.policies.votes import DRAWS, MOST_SUBSETS, replay_votes, weights_of
from isocost.strategies.registry import Replay, Strategy, register
from isocost.strategies.scorers import SCORERS
from isocost.strategies.shapes import Ints


@register
@dataclass(frozen=True)
class WeightedMajority(Strategy):
    """The answer with the largest sum of scores among k samples.

    A sample without the score weighs nothing.
    """

    family = "weighted_majority_at_k"
    summary = "The answer with the largest sum of scores among k samples."
    is_selector = True
    exactness = "exact where there are few subsets, else random subsets with a bound"
    tie_rule = "uniform"
    reads_answers = True
    scorer: str = "probability"

    @property
    def name(self) -> str:
        """weighted_majority_at_k_<scorer>."""
        return f"{self.family}_{self.scorer}"

    @property
    def needs(self) -> tuple[str, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The scorer's column."""
        return (SCORERS[self.scorer].needs,)

    @property
    def parameters(self) -> Mapping[str, object]:
        """The scorer and how subsets are visited."""
        return {"draws": DRAWS, "most_subsets": MOST_SUBSETS, "scorer": self.scorer}

    @classmethod
    def variants(cls) -> tuple[WeightedMajority, ...]:
        """One for each scorer that can be summed, and the external score."""
        return tuple(
            cls(scorer=name)
            for name, scorer in SCORERS.items()
            if scorer.is_weight or name == "external"
        )

    def replay(self, bank: PointBank, ks: Ints) -> Replay:
        """Exact for few subsets, else sampled."""
        scores, empty, unscored = SCORERS[self.scorer].scores(bank)
        return replay_votes(
            bank, ks, weights_of(scores), WEIGHTED, missing=empty, unscored=unscored
        )
