"""Shortest majority vote. Registered; numerics in subsets.py."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from isocost.strategies.kernels.votes import SHORTEST
from isocost.strategies.point_bank import PointBank
from isocost.strategies.policies.votes import DRAWS, MOST_SUBSETS, replay_votes
from isocost.strategies.registry import Replay, Strategy, mask_undefined, register
from isocost.strategies.shapes import Ints


@register
class ShortestMajority(Strategy):
    """The answer with the largest count / ln(1 + mean length) among k samples (after Zeng et al.

    2025).
    """

    family = "shortest_majority_at_k"
    summary = "Majority vote in which short answers weigh more."
    is_selector = True
    needs = ("output_tokens",)
    exactness = "exact where there are few subsets, else random subsets with a bound"
    tie_rule = "uniform"
    reads_answers = True

    @property
    def parameters(self) -> Mapping[str, object]:
        """How subsets are visited."""
        return {"draws": DRAWS, "most_subsets": MOST_SUBSETS}

    def replay(self, bank: PointBank, ks: Ints) -> Replay:
        """Exact for few subsets, else sampled.

        Problems with a sample of unknown length are undefined.
        """
        length = bank.column("output_tokens")
        unknown = bank.lacking(length)
        replay = replay_votes(
            bank, ks, np.where(bank.present, np.nan_to_num(length), 0.0), SHORTEST
        )
        if unknown.any():
            replay.undefined["missing_scores"] = unknown
        return mask_undefined(replay)
