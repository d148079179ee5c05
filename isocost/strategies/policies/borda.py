"""Borda voting by self-certainty or another score. Registered; numerics in subsets.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from isocost.strategies.kernels.votes import BORDA
from isocost.strategies.point_bank import PointBank
from isocost.strategies.policies.votes import DRAWS, MOST_SUBSETS, replay_votes
from isocost.strategies.registry import Replay, Strategy, register
from isocost.strategies.scorers import SCORERS
from isocost.strategies.shapes import Ints


@register
@dataclass(frozen=True)
class Borda(Strategy):
    """Votes weighted by (k - rank + 1)^power (Kang et al. 2025).

    Samples without an answer have a rank and cast no vote.
    """

    family = "borda_at_k"
    summary = "The answer with the largest sum of rank weights among k samples."
    is_selector = True
    exactness = "exact where there are few subsets, else random subsets with a bound"
    tie_rule = "uniform"
    reads_answers = True
    scorer: str = "self_certainty"
    power: float = 0.5

    @property
    def name(self) -> str:
        """borda_at_k_<scorer>."""
        return f"{self.family}_{self.scorer}"

    @property
    def needs(self) -> tuple[str, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The scorer's column."""
        return (SCORERS[self.scorer].needs,)

    @property
    def parameters(self) -> Mapping[str, object]:
        """Scorer, power and how subsets are visited."""
        return {
            "draws": DRAWS,
            "most_subsets": MOST_SUBSETS,
            "power": self.power,
            "scorer": self.scorer,
        }

    @classmethod
    def variants(cls) -> tuple[Borda, ...]:
        """By self-certainty, by mean log-probability and by an external score."""
        return (cls(), cls(scorer="mean_logprob"), cls(scorer="external"))

    def replay(self, bank: PointBank, ks: Ints) -> Replay:
        """Exact for few subsets, else sampled; samples without an answer or a score rank last."""
        scores, empty, unscored = SCORERS[self.scorer].scores(bank)
        ranked = np.where(
            np.isfinite(scores) & (bank.classes >= 0), scores, np.finfo(np.float64).min
        )
        return replay_votes(
            bank, ks, ranked, BORDA, power=self.power, missing=empty, unscored=unscored
        )
