"""A router by prompt length. Registered; numerics in isocost.strategies.estimators.routing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from isocost.strategies.estimators.routing import cross_fit_route
from isocost.strategies.point_bank import PointBank
from isocost.strategies.policies.chains import chain_result, chances, unusable, usable_rows
from isocost.strategies.registry import ChainStrategy, Replay, register

FOLDS = 5


@register
@dataclass(frozen=True)
class Router(ChainStrategy):
    """Send long prompts to more expensive models.

    Prompt length is the one score that every bank knows before generation.

    `isocost.strategies.cross_fit_route` routes by any other score.
    """

    family = "router"
    summary = "One sample of one model, chosen by the prompt's length before anything is generated."
    needs = ("prompt_tokens",)
    exactness = "exact given the thresholds, which are found on other problems"
    upper: float = 0.5

    @property
    def name(self) -> str:
        """router_prompt_tokens_upper_<per cent>."""
        return f"{self.family}_prompt_tokens_upper_{round(100 * self.upper)}"

    @property
    def parameters(self) -> Mapping[str, object]:
        """Score, share of problems not sent to the cheapest model, folds."""
        return {"folds": FOLDS, "score": "prompt_tokens", "upper": self.upper}

    @classmethod
    def variants(cls) -> tuple[Router, ...]:
        """Three shares."""
        return tuple(cls(upper=share) for share in (0.25, 0.5, 0.75))

    def replay_chain(self, banks: Sequence[PointBank]) -> Replay:
        """Exact for each held-out problem."""
        undefined = unusable(banks)
        length = banks[0].mean("prompt_tokens")
        if np.isnan(length[banks[0].sizes > 0]).any():
            undefined["missing_scores"] = np.isnan(length)
        rows = np.flatnonzero(usable_rows(undefined))
        accuracy, reach = np.full(len(length), np.nan), np.zeros((len(length), len(banks)))
        if len(rows) < 2:
            undefined["too_few_problems_for_folds"] = np.ones(len(accuracy), dtype=np.bool_)
        else:
            shares = [1 - self.upper, *[self.upper / (len(banks) - 1)] * (len(banks) - 1)]
            chance = chances(banks)[rows]
            routed = cross_fit_route(
                length[rows], chance, np.zeros(chance.shape), shares, folds=min(FOLDS, len(rows))
            )
            accuracy[rows], reach[rows] = routed.accuracy, np.eye(len(banks))[routed.choice]
        return chain_result(banks, accuracy, reach, undefined)
