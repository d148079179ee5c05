"""Perplexity consistency.

Votes weighted by probability, equal completions counted once. Registered; numerics in subsets.py.
"""

from __future__ import annotations

from collections.abc import Mapping

from isocost.strategies.kernels.votes import WEIGHTED
from isocost.strategies.point_bank import PointBank
from isocost.strategies.policies.votes import (
    DRAWS,
    MOST_SUBSETS,
    distinct_completions,
    replay_votes,
    weights_of,
)
from isocost.strategies.registry import Replay, Strategy, register
from isocost.strategies.scorers import SCORERS
from isocost.strategies.shapes import Ints


@register
class PerplexityConsistency(Strategy):
    """Sum of exp(mean log-probability) over the distinct completions of an answer (Zhou et al.

    2025).
    """

    family = "perplexity_consistency_at_k"
    summary = "The answer whose distinct completions have the largest total probability."
    is_selector = True
    needs = ("logprob_mean",)
    exactness = "exact where there are few subsets, else random subsets with a bound"
    tie_rule = "uniform"
    reads_answers = True

    @property
    def parameters(self) -> Mapping[str, object]:
        """How subsets are visited."""
        return {"draws": DRAWS, "most_subsets": MOST_SUBSETS}

    def applies(self, bank: PointBank) -> bool:
        """Log-probabilities and completion texts must be banked."""
        return super().applies(bank) and bank.completions is not None

    def replay(self, bank: PointBank, ks: Ints) -> Replay:
        """Exact for few subsets, else sampled."""
        scores, empty, unscored = SCORERS["probability"].scores(bank)
        return replay_votes(
            bank,
            ks,
            weights_of(scores),
            WEIGHTED,
            missing=empty,
            unscored=unscored,
            distinct=distinct_completions(bank),
        )
