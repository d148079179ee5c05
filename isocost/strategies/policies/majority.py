"""Majority voting. Registered; numerics in isocost.strategies.majority."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from isocost.strategies.majority import abstentions_as_class
from isocost.strategies.majority_sampled import ORDERS, estimate_majority
from isocost.strategies.point_bank import PointBank
from isocost.strategies.registry import Replay, Strategy, mask_undefined, register, undefined_cells
from isocost.strategies.shapes import Ints


@register
@dataclass(frozen=True)
class Majority(Strategy):
    """Self-consistency (Wang et al. 2022) over k samples; the optimistic and pessimistic variants bound what ties can do."""

    family = "majority_at_k"
    summary = "The most frequent answer among k samples."
    is_selector = True
    exactness = "exact up to 1e7 multiplications a problem (some 500 samples), else random orders with a bound"
    reads_answers = True
    ties: str = "uniform"
    abstentions: str = "ignored"

    @property
    def kind(self) -> str:  # type: ignore[override]
        """A vote, or a bound on it: nobody can break ties knowing what is right."""
        return "metric" if self.ties in ("optimistic", "pessimistic") else "policy"

    @property
    def tie_rule(self) -> str:  # type: ignore[override]
        """The rule by name."""
        return self.ties

    @property
    def name(self) -> str:
        """majority_at_k, with what departs from uniform ties and ignored abstentions behind it."""
        tail = "" if self.ties == "uniform" else f"_{self.ties}"
        return f"{self.family}{tail}{'' if self.abstentions == 'ignored' else '_no_answer_votes'}"

    @property
    def parameters(self) -> Mapping[str, object]:
        """Rules for ties and for samples without an answer."""
        return {"abstentions": self.abstentions, "ties": self.ties}

    @classmethod
    def variants(cls) -> tuple[Majority, ...]:
        """Both readings of no answer; both bounds."""
        return (cls(), cls(abstentions="wrong"), cls(ties="pessimistic"), cls(ties="optimistic"))

    def replay(self, bank: PointBank, ks: Ints) -> Replay:
        """Exact over all subsets where affordable, else sampled."""
        rows = np.flatnonzero(~bank.unclassed)
        votes, values, free = bank.counts[rows], bank.class_values[rows], bank.abstained[rows]
        if self.abstentions == "wrong":
            votes, values, free = abstentions_as_class(votes, values, free)
        found = estimate_majority(votes, values, free, ks, self.ties, keys=bank.keys[rows])
        shape = (len(bank.sizes), len(ks))
        accuracy, bound, is_exact = np.full(shape, np.nan), np.zeros(shape), np.ones(shape, dtype=np.bool_)
        accuracy[rows], bound[rows], is_exact[rows] = found.accuracy, found.error_bound, found.is_exact
        undefined = undefined_cells(bank, ks, answers=True)
        costs = bank.parallel_costs(ks)
        return mask_undefined(Replay(ks, accuracy, costs, undefined, is_exact=is_exact, draws=ORDERS, error_bound=bound))
