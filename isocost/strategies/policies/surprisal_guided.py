"""Surprisal-guided selection among verified samples.

Registered; numerics in brevity.py and order.py.
"""

from __future__ import annotations

import numpy as np

from isocost.strategies.estimators.order import best_of_rows
from isocost.strategies.point_bank import PointBank
from isocost.strategies.registry import Replay, Strategy, mask_undefined, register, undefined_cells
from isocost.strategies.scorers import SCORERS
from isocost.strategies.shapes import Ints


@register
class SurprisalGuided(Strategy):
    """Among the correct of k samples, the one with the lowest mean log-probability.

    Its accuracy is pass@k by construction; its purpose is the expected grade of the chosen sample,
    in expected_score.
    """

    family = "surprisal_guided_at_k"
    summary = "The most surprising of the verified samples among k; needs a perfect verifier."
    kind = "oracle"
    reads_verdicts = True
    needs = ("logprob_mean",)
    tie_rule = "uniform"

    def replay(self, bank: PointBank, ks: Ints) -> Replay:
        """Exact over all subsets.

        A verified sample without log-probabilities ranks last among the verified.
        """
        scores, empty, unscored = SCORERS["mean_logprob"].scores(bank)
        surprise = np.where(np.isfinite(scores), -scores, np.finfo(np.float64).min)
        ranked = np.where(bank.right > 0, surprise, -np.inf)
        accuracy = best_of_rows(ranked, bank.right, ks, bank.present)
        undefined = undefined_cells(bank, ks, verdicts=self.reads_verdicts) | (
            {"no_sample_has_the_score": empty} if empty.any() else {}
        )
        score = None
        if bank.known("score"):
            worth = np.where(bank.right > 0, bank.column("score"), 0.0)
            score = best_of_rows(ranked, worth, ks, bank.present)
        return mask_undefined(
            Replay(ks, accuracy, bank.parallel_costs(ks), undefined, score=score, unscored=unscored)
        )
