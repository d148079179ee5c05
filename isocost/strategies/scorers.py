"""The scores by which strategies rank or weigh samples, from the columns of a bank.

Lives here: name, bank columns and formula of each scorer; higher is always better. Not here: the
use of a score.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from isocost.strategies.point_bank import PointBank
from isocost.strategies.shapes import Bools, Floats


@dataclass(frozen=True)
class Scorer:
    """A per-sample score.

    Attributes:
        name: used in strategy names.
        needs: the bank column it is made of.
        meaning: one sentence.
        compute: column -> score.
        is_weight: whether it is at least 0 and can be summed as a vote.
    """

    name: str
    needs: str
    meaning: str
    compute: Callable[[Floats], Floats]
    is_weight: bool = False

    def scores(self, bank: PointBank) -> tuple[Floats, Bools, int]:
        """Scores with minus infinity for samples without one.

        Also the problems that have none at all, and how many samples lack it.
        """
        raw = self.compute(bank.column(self.needs))
        missing = np.isnan(raw) & bank.present
        empty = (bank.sizes > 0) & (missing.sum(axis=1) == bank.sizes)
        return np.where(bank.present & ~missing, raw, -np.inf), empty, int(missing.sum())


def _same(x: Floats) -> Floats:
    return x


SCORERS = {
    scorer.name: scorer
    for scorer in (
        Scorer("mean_logprob", "logprob_mean", "Mean token log-probability.", _same),
        Scorer(
            "sum_logprob",
            "logprob_sum",
            "Sum of token log-probabilities; favours short answers.",
            _same,
        ),
        Scorer(
            "probability",
            "logprob_mean",
            "exp(mean token log-probability) = 1 / perplexity.",
            np.exp,
            is_weight=True,
        ),
        Scorer(
            "self_certainty",
            "self_certainty_low",
            "Lower bound of self-certainty (Kang et al. 2025) from the top K.",
            _same,
            is_weight=True,
        ),
        Scorer(
            "negative_entropy",
            "entropy_mean_high",
            "Minus the upper bound of the mean token entropy from the top K.",
            np.negative,
        ),
        Scorer(
            "confidence",
            "confidence_mean",
            "Mean token confidence (Fu et al. 2025).",
            _same,
            is_weight=True,
        ),
        Scorer(
            "tail_confidence",
            "confidence_tail",
            "Token confidence of the last window (Fu et al. 2025).",
            _same,
            is_weight=True,
        ),
        Scorer(
            "lowest_group",
            "confidence_lowest_group",
            "Lowest window confidence (Fu et al. 2025).",
            _same,
            is_weight=True,
        ),
        Scorer("shortest", "output_tokens", "Minus the generated tokens.", np.negative),
        Scorer("longest", "output_tokens", "Generated tokens.", _same),
        Scorer("external", "external_score", "An imported verifier or reward score.", _same),
    )
}
