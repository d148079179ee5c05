"""Majority voting. Registered; numerics in isocost.strategies.estimators.majority."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from isocost.strategies.estimators.majority import abstentions_as_class
from isocost.strategies.estimators.majority_sampled import ORDERS, estimate_majority
from isocost.strategies.estimators.recorded import majority_recorded, recorded_costs
from isocost.strategies.options import ReplayOptions
from isocost.strategies.point_bank import PointBank
from isocost.strategies.registry import Replay, Strategy, mask_undefined, register, undefined_cells
from isocost.strategies.shapes import Ints


@register
@dataclass(frozen=True)
class Majority(Strategy):
    """Self-consistency (Wang et al.

    2022) over k samples; the optimistic and pessimistic variants bound what ties can do.
    """

    family = "majority_at_k"
    summary = "The most frequent answer among k samples."
    is_selector = True
    exactness = (
        "exact up to 1e7 multiplications per problem (about 500 samples), otherwise random orders "
        "with a bound"
    )
    reads_answers = True
    ties: str = "uniform"
    abstentions: str = "ignored"
    order: str = "exchangeable"

    @property
    def kind(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """A vote, or a bound on it: ties cannot be broken with knowledge of the right answer."""
        return "metric" if self.ties in ("optimistic", "pessimistic") else "policy"

    @property
    def tie_rule(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The rule by name."""
        return self.ties

    @property
    def name(self) -> str:
        """majority_at_k, with a suffix for anything but uniform ties and ignored abstentions."""
        tail = "" if self.ties == "uniform" else f"_{self.ties}"
        recorded = "" if self.order == "exchangeable" else f"_{self.order}"
        abstentions = "" if self.abstentions == "ignored" else "_no_answer_votes"
        return f"{self.family}{tail}{abstentions}{recorded}"

    @property
    def parameters(self) -> Mapping[str, object]:
        """Rules for ties and for samples without an answer.

        The order, where it is the recorded one.
        """
        recorded = {} if self.order == "exchangeable" else {"order": self.order}
        return {"abstentions": self.abstentions, "ties": self.ties, **recorded}

    @classmethod
    def variants(cls) -> tuple[Majority, ...]:
        """Both readings of no answer; both bounds."""
        return (cls(), cls(abstentions="wrong"), cls(ties="pessimistic"), cls(ties="optimistic"))

    @classmethod
    def asked(cls, options: ReplayOptions) -> tuple[Majority, ...]:
        """One vote for each tie rule and order.

        Without an explicit tie rule, the recorded order breaks ties by the first seen.
        """
        ties = options.ties or ("uniform", "pessimistic", "optimistic")
        mixed = (
            (*(cls(ties=rule) for rule in ties), cls(abstentions="wrong"))
            if "exchangeable" in options.orders
            else ()
        )
        if "as_recorded" not in options.orders:
            return mixed
        rules = [rule for rule in options.ties or ("first",) if rule in ("uniform", "first")]
        return (*mixed, *(cls(ties=rule, order="as_recorded") for rule in rules or ["first"]))

    def applies(self, bank: PointBank) -> bool:
        """Counts have no order."""
        return self.order == "exchangeable" or bank.tallies is None

    def replay(self, bank: PointBank, ks: Ints) -> Replay:
        """Exact over all subsets where affordable, else sampled.

        In recorded order the first k samples.
        """
        if self.order == "as_recorded":
            accuracy = majority_recorded(bank.classes, bank.class_values, bank.sizes, ks, self.ties)
            used = np.where(ks[None, :] <= bank.sizes[:, None], ks[None, :], 0)
            return mask_undefined(
                Replay(
                    ks,
                    accuracy,
                    recorded_costs(bank, used),
                    undefined_cells(bank, ks, answers=True),
                )
            )
        rows = np.flatnonzero(~bank.unclassed)
        votes, values, free = bank.counts[rows], bank.class_values[rows], bank.abstained[rows]
        if self.abstentions == "wrong":
            votes, values, free = abstentions_as_class(votes, values, free)
        found = estimate_majority(votes, values, free, ks, self.ties, keys=bank.keys[rows])
        shape = (len(bank.sizes), len(ks))
        accuracy, bound, is_exact = (
            np.full(shape, np.nan),
            np.zeros(shape),
            np.ones(shape, dtype=np.bool_),
        )
        accuracy[rows], bound[rows], is_exact[rows] = (
            found.accuracy,
            found.error_bound,
            found.is_exact,
        )
        undefined = undefined_cells(bank, ks, answers=True)
        costs = bank.parallel_costs(ks)
        return mask_undefined(
            Replay(
                ks, accuracy, costs, undefined, is_exact=is_exact, draws=ORDERS, error_bound=bound
            )
        )
