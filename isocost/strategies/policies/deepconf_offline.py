"""DeepConf offline.

Filter by confidence, then vote by confidence. Registered; numerics in subsets.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from isocost.strategies.kernels.votes import FILTERED
from isocost.strategies.point_bank import PointBank
from isocost.strategies.policies.votes import DRAWS, MOST_SUBSETS, replay_votes, weights_of
from isocost.strategies.registry import Replay, Strategy, register
from isocost.strategies.scorers import SCORERS
from isocost.strategies.shapes import Ints


@register
@dataclass(frozen=True)
class DeepConfOffline(Strategy):
    """Keep the most confident share of k finished samples and vote among them by confidence.

    Fu et al. 2025.
    """

    family = "deepconf_offline_at_k"
    summary = (
        "The answer with the largest sum of confidences among the most confident of k samples."
    )
    is_selector = True
    exactness = "exact where there are few subsets, else random subsets with a bound"
    tie_rule = "uniform"
    reads_answers = True
    scorer: str = "lowest_group"
    keep: float = 0.1

    @property
    def name(self) -> str:
        """deepconf_offline_at_k_<scorer>_keep_<per cent>."""
        return f"{self.family}_{self.scorer}_keep_{round(100 * self.keep)}"

    @property
    def needs(self) -> tuple[str, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The confidence's column."""
        return (SCORERS[self.scorer].needs,)

    @property
    def parameters(self) -> Mapping[str, object]:
        """Confidence, share kept and how subsets are visited."""
        return {
            "draws": DRAWS,
            "keep": self.keep,
            "most_subsets": MOST_SUBSETS,
            "scorer": self.scorer,
        }

    @classmethod
    def variants(cls) -> tuple[DeepConfOffline, ...]:
        """The paper's two shares by lowest group and by tail."""
        return tuple(
            cls(scorer=scorer, keep=keep)
            for scorer in ("lowest_group", "tail_confidence")
            for keep in (0.1, 0.9)
        )

    def replay(self, bank: PointBank, ks: Ints) -> Replay:
        """Exact for few subsets, else sampled."""
        scores, empty, unscored = SCORERS[self.scorer].scores(bank)
        return replay_votes(
            bank,
            ks,
            weights_of(scores),
            FILTERED,
            power=self.keep,
            missing=empty,
            unscored=unscored,
        )
