"""Reasoning-pruning perplexity consistency over the whole bank.

Registered; numerics in pruning.py.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from isocost.strategies.estimators.pruning import FEWEST, rpc_at_k
from isocost.strategies.point_bank import PointBank
from isocost.strategies.policies.votes import distinct_completions
from isocost.strategies.registry import Replay, Strategy, mask_undefined, register, undefined_cells
from isocost.strategies.shapes import Ints


@register
class Rpc(Strategy):
    """Prune improbable paths by a Weibull mixture, then vote over distinct completions.

    Votes are weighted by probability (Zhou et al. 2025).

    Replayed at the budget that takes the whole bank: one subset, one fit per problem. Replayed only
    if requested by name, because it takes some milliseconds per problem;
    `isocost.strategies.rpc_at_k`
    replays smaller budgets, a fit for every subset.
    """

    family = "rpc"
    summary = "Perplexity consistency after pruning improbable paths."
    is_selector = True
    needs = ("logprob_mean",)
    tie_rule = "uniform"
    reads_answers = True
    is_default = False

    @property
    def parameters(self) -> Mapping[str, object]:
        """Fewest paths for which the mixture is fitted."""
        return {"fewest_paths": FEWEST}

    def applies(self, bank: PointBank) -> bool:
        """Log-probabilities and completion texts must be banked."""
        return super().applies(bank) and bank.completions is not None

    def budgets(self, bank: PointBank, ks: Ints) -> Ints:
        """Numbers of samples that problems have."""
        return np.unique(bank.sizes[bank.sizes > 0])

    def replay(self, bank: PointBank, ks: Ints) -> Replay:
        """Exact.

        The whole bank is the only subset of its size; a budget below a problem's samples is
        undefined for it.
        """
        paths = np.exp(bank.column("logprob_mean"))
        unknown = bank.lacking(paths)
        accuracy = np.full((len(bank.sizes), len(ks)), np.nan)
        labels = distinct_completions(bank)
        assert labels is not None, "`applies` has seen to it"
        for i, k in enumerate(ks):
            rows = np.flatnonzero((bank.sizes == k) & ~unknown)
            if rows.size:
                accuracy[rows, i] = rpc_at_k(
                    bank.classes[rows],
                    paths[rows],
                    bank.class_values[rows],
                    int(k),
                    distinct=labels[rows],
                    valid=bank.present[rows],
                )
        undefined = undefined_cells(bank, ks, answers=True) | {
            "budget_below_samples": ks[None, :] < bank.sizes[:, None]
        }
        undefined |= {"missing_scores": unknown} if unknown.any() else {}
        return mask_undefined(Replay(ks, accuracy, bank.parallel_costs(ks), undefined))
