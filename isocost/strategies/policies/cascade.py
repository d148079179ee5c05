"""Cascades of two and three models.

Registered; numerics in isocost.strategies.estimators.cascades.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from isocost.strategies.estimators.cascades import cross_fit_cascade
from isocost.strategies.point_bank import PointBank
from isocost.strategies.policies.chains import chain_result, unusable, usable_rows
from isocost.strategies.registry import ChainStrategy, Replay, register
from isocost.strategies.scorers import SCORERS

FOLDS = 5


@register
@dataclass(frozen=True)
class Cascade(ChainStrategy):
    """Ask the cheapest model first and pass on the samples that it scores lowest.

    Chen, Zaharia and Zou 2023.

    Thresholds are quantiles of the other folds' scores, so that about the given share is passed on
    at each stage.
    """

    family = "cascade"
    summary = "One sample of the cheapest model, passed on to the next when its score is low."
    exactness = "exact given the thresholds, which are found on other problems"
    scorer: str = "mean_logprob"
    escalate: float = 0.5

    @property
    def name(self) -> str:
        """cascade_<scorer>_escalate_<per cent>."""
        return f"{self.family}_{self.scorer}_escalate_{round(100 * self.escalate)}"

    @property
    def needs(self) -> tuple[str, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The scorer's column."""
        return (SCORERS[self.scorer].needs,)

    @property
    def parameters(self) -> Mapping[str, object]:
        """Scorer, share passed on and folds."""
        return {"escalate": self.escalate, "folds": FOLDS, "scorer": self.scorer}

    @classmethod
    def variants(cls) -> tuple[Cascade, ...]:
        """Five shares by mean log-probability, self-certainty, confidence or an external score."""
        shares = (0.1, 0.25, 0.5, 0.75, 0.9)
        return tuple(
            cls(scorer=s, escalate=e)
            for s in ("mean_logprob", "self_certainty", "confidence", "external")
            for e in shares
        )

    def applies(self, banks: Sequence[PointBank]) -> bool:
        """All models but the last must have the score."""
        return all(bank.known(name) for name in self.needs for bank in banks[:-1])

    def replay_chain(self, banks: Sequence[PointBank]) -> Replay:
        """Exact for each held-out problem; a sample without the score is always passed on."""
        undefined = unusable(banks)
        rows = np.flatnonzero(usable_rows(undefined))
        accuracy, reach = (
            np.full(len(banks[0].sizes), np.nan),
            np.zeros((len(banks[0].sizes), len(banks))),
        )
        scored = [SCORERS[self.scorer].scores(bank) for bank in banks[:-1]]
        if len(rows) < 2:
            undefined["too_few_problems_for_folds"] = np.ones(len(accuracy), dtype=np.bool_)
        else:
            fit = cross_fit_cascade(
                [bank.right[rows] for bank in banks],
                [scores[rows] for scores, _, _ in scored],
                [np.zeros(bank.right[rows].shape) for bank in banks],
                escalate=self.escalate,
                folds=min(FOLDS, len(rows)),
                sizes=[bank.sizes[rows] for bank in banks],
            )
            accuracy[rows], reach[rows] = fit.accuracy, fit.reach
        return chain_result(
            banks, accuracy, reach, undefined, unscored=sum(missing for _, _, missing in scored)
        )
