"""Strategies and the registry that finds them.

Lives here: the base classes, the result that every strategy returns, registration and lookup. Not
here: the strategies (one file each in policies/), their numerics, and the tables made of results.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import ClassVar, Literal, Self

import numpy as np

from isocost.errors import IsocostError
from isocost.registry import Registry
from isocost.strategies.options import ReplayOptions
from isocost.strategies.point_bank import PointBank
from isocost.strategies.shapes import Bools, Floats, Ints

Kind = Literal["policy", "oracle", "metric"]


@dataclass
class Replay:
    """What one strategy achieves and spends on each problem at each budget.

    Matrices are (problems, budgets).

    Attributes:
        budgets: in the strategy's unit, (budgets,).
        accuracy: expected correctness; NaN where undefined.
        costs: expected cost by name of the registered axis (isocost.axes); an axis left out is
            unknown.
        undefined: reason -> problems (problems,) or cells (problems, budgets) that are undefined
            for it.
        is_exact: where no random draws were averaged; all if left out.
        draws: random draws averaged per problem if not exact.
        error_bound: bound of a cell's sampling error, exceeded with a probability of at most 0.05.
        score: expected grade of the answer given, where graded in 0..1 beyond right and wrong.
        unscored: samples without the score the strategy ranks by (they rank last).
        marginal: what one more sample would add, if known in closed form.
        unknown_costs: why an axis is unknown although its column is banked, by axis.
    """

    budgets: Ints
    accuracy: Floats
    costs: dict[str, Floats]
    undefined: dict[str, Bools] = field(default_factory=dict)
    is_exact: Bools | None = None
    draws: int = 0
    error_bound: Floats | None = None
    score: Floats | None = None
    unscored: int = 0
    marginal: Floats | None = None
    unknown_costs: dict[str, str] = field(default_factory=dict)


class _Named(ABC):
    """The declaration common to all strategies.

    Class attributes:
        family: name of the registered class.
        summary: one sentence.
        kind: policy (can be run as it is), oracle (needs to know what is correct), metric
            (describes samples).
        needs: bank columns without which it cannot be replayed; a point without any value in one of
            them has no rows.
        exactness: in words, when its value is exact.
        budget_unit: what the budget counts.
        tie_rule: how ties are broken.
        reads_answers: whether it needs answer classes.
        reads_verdicts: whether it needs a verdict on every sample, so that partial credit leaves it
            undefined.
        is_selector: whether it picks among k samples, so that pass@k is its ceiling and selection
            efficiency is defined.
        is_default: whether it is replayed when no strategy is requested by name.
        reads_lists: list columns of core_samples that it reads; others need not be loaded.
    """

    family: ClassVar[str]
    summary: ClassVar[str]
    kind: ClassVar[Kind] = "policy"
    needs: tuple[str, ...] = ()
    exactness: ClassVar[str] = "exact"
    budget_unit: ClassVar[str]
    tie_rule: str | None = None
    reads_answers: ClassVar[bool] = False
    reads_verdicts: ClassVar[bool] = False
    is_selector: ClassVar[bool] = False
    is_default: bool = True
    reads_lists: ClassVar[tuple[str, ...]] = ()

    @property
    def name(self) -> str:
        """Name in the tables, unique among variants."""
        return self.family

    @property
    def parameters(self) -> Mapping[str, object]:
        """Everything that fixes the strategy but the budget, as JSON-able values."""
        return {}

    @classmethod
    def variants(cls) -> tuple[Self, ...]:
        """The instances that are replayed by default."""
        return (cls(),)

    @classmethod
    def asked(cls, options: ReplayOptions) -> tuple[Self, ...]:
        """The instances that are replayed with these options.

        Those of every day where they do not touch the strategy.
        """
        return cls.variants()


class Strategy(_Named):
    """A way to spend inference compute on a problem, replayed from the bank of one point."""

    budget_unit: ClassVar[str] = "samples"

    def applies(self, bank: PointBank) -> bool:
        """Whether the bank has what the strategy needs."""
        return all(bank.known(name) for name in self.needs)

    def budgets(self, bank: PointBank, ks: Ints) -> Ints:
        """The budgets to replay, from the requested numbers of samples."""
        return ks

    @abstractmethod
    def replay(self, bank: PointBank, ks: Ints) -> Replay:
        """Replay the strategy on every problem of the bank at every budget."""


class ChainStrategy(_Named):
    """A strategy over several points of one task, ordered from cheap to expensive."""

    budget_unit: ClassVar[str] = "models"

    def applies(self, banks: Sequence[PointBank]) -> bool:
        """Whether the banks have what the strategy needs; by default every one of them."""
        return all(bank.known(name) for name in self.needs for bank in banks)

    @abstractmethod
    def replay_chain(self, banks: Sequence[PointBank]) -> Replay:
        """Replay the strategy on problems that all banks share, row by row the same."""


STRATEGIES: Registry[type[Strategy] | type[ChainStrategy]] = Registry(
    "strategy", "isocost.strategies.policies", name="family", plural="strategies"
)
register = STRATEGIES.add


def registered() -> tuple[type[Strategy] | type[ChainStrategy], ...]:
    """All registered classes, by family name."""
    return tuple(STRATEGIES.all().values())


def all_variants() -> dict[str, Strategy | ChainStrategy]:
    """Every variant of every registered strategy by its name."""
    return dict(_variants(registered()))


@lru_cache(maxsize=1)
def _variants(
    classes: tuple[type[Strategy] | type[ChainStrategy], ...],
) -> dict[str, Strategy | ChainStrategy]:
    found: dict[str, Strategy | ChainStrategy] = {}
    for cls in classes:
        for variant in cls.variants():
            if variant.name in found:
                raise IsocostError(
                    f"two strategies are called {variant.name!r}", where=f"{cls.__module__}"
                )
            found[variant.name] = variant
    return found


def find_strategies(names: Sequence[str] | None = None) -> tuple[Strategy | ChainStrategy, ...]:
    """Variants by variant or family name; the default ones when no names are given.

    Raises:
        IsocostError: for an unknown name, with the nearest ones.
    """
    known = all_variants()
    if names is None:
        return tuple(variant for variant in known.values() if variant.is_default)
    chosen: dict[str, Strategy | ChainStrategy] = {}
    for name in names:
        matching = {n: v for n, v in known.items() if name in (n, v.family)}
        if not matching:
            families = {variant.family for variant in known.values()}
            raise IsocostError(
                f"no strategy is called {name!r}",
                remedy=STRATEGIES.remedy(name, known=families | set(known)),
            )
        chosen.update(matching)
    return tuple(chosen.values())


def asked_strategies(options: ReplayOptions) -> tuple[Strategy | ChainStrategy, ...]:
    """The default strategies with the requested windows, tie rules and orders."""
    return tuple(
        variant for cls in registered() for variant in cls.asked(options) if variant.is_default
    )


def beyond(bank: PointBank, ks: Ints) -> Bools:
    """Cells whose budget exceeds the problem's samples."""
    return ks[None, :] > bank.sizes[:, None]


def undefined_cells(
    bank: PointBank, ks: Ints, *, answers: bool = False, verdicts: bool = False
) -> dict[str, Bools]:
    """Reasons common to all strategies on k samples, in order of precedence.

    Args:
        bank: the point.
        ks: budgets.
        answers: whether answer classes are needed.
        verdicts: whether every sample must be right or wrong.
    """
    reasons: dict[str, Bools] = {"budget_exceeds_samples": beyond(bank, ks)}
    if bank.ungraded.any():
        reasons["ungraded_samples"] = bank.ungraded
    if verdicts and bank.partial.any():
        # Over all problems: those without partial credit are not a sample of them, and their mean
        # would be meaningless.
        reasons["partial_credit"] = np.ones_like(bank.partial)
    if answers and bank.unclassed.any():
        reasons["answers_not_banked"] = bank.unclassed
    return reasons


def mask_undefined(replay: Replay) -> Replay:
    """Put NaN into every cell of accuracy and costs that some reason calls undefined.

    Costs only where the budget is too large.
    """
    for reason, where in replay.undefined.items():
        cells = np.broadcast_to(where if where.ndim == 2 else where[:, None], replay.accuracy.shape)
        replay.accuracy = np.where(cells, np.nan, replay.accuracy)
        for extra in ("score", "marginal"):
            if getattr(replay, extra) is not None:
                setattr(replay, extra, np.where(cells, np.nan, getattr(replay, extra)))
        if reason == "budget_exceeds_samples":
            replay.costs = {
                axis: np.where(cells, np.nan, cost) for axis, cost in replay.costs.items()
            }
    return replay
