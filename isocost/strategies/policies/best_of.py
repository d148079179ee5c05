"""Best-of-k under every scorer that a bank may have.

Registered; numerics in order.py, scores in scorers.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from isocost.strategies.estimators.order import best_of_rows
from isocost.strategies.point_bank import PointBank
from isocost.strategies.registry import Replay, Strategy, mask_undefined, register, undefined_cells
from isocost.strategies.scorers import SCORERS
from isocost.strategies.shapes import Ints


@register
@dataclass(frozen=True)
class BestOf(Strategy):
    """Takes the top-scored of k samples; a sample without the score ranks last."""

    family = "best_of_k"
    summary = "The sample with the highest score among k."
    is_selector = True
    tie_rule = "uniform"
    scorer: str = "mean_logprob"

    @property
    def name(self) -> str:
        """best_of_k_<scorer>."""
        return f"{self.family}_{self.scorer}"

    @property
    def needs(self) -> tuple[str, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The scorer's column."""
        return (SCORERS[self.scorer].needs,)

    @property
    def parameters(self) -> Mapping[str, object]:
        """The scorer."""
        return {"scorer": self.scorer}

    @classmethod
    def variants(cls) -> tuple[BestOf, ...]:
        """One variant per scorer.

        Exp(mean log-probability) ranks like mean log-probability, and shortest is a separate
        strategy.
        """
        return tuple(
            cls(scorer=name) for name in SCORERS if name not in ("probability", "shortest")
        )

    def replay(self, bank: PointBank, ks: Ints) -> Replay:
        """Exact over all subsets, ties included."""
        scores, empty, unscored = SCORERS[self.scorer].scores(bank)
        accuracy = best_of_rows(scores, bank.right, ks, bank.present)
        undefined = undefined_cells(bank, ks) | (
            {"no_sample_has_the_score": empty} if empty.any() else {}
        )
        score = (
            best_of_rows(
                scores, np.where(bank.present, bank.column("score"), 0.0), ks, bank.present
            )
            if bank.known("score")
            else None
        )
        return mask_undefined(
            Replay(ks, accuracy, bank.parallel_costs(ks), undefined, score=score, unscored=unscored)
        )
