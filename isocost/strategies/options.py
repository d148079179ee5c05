"""How a bank is replayed where somebody asked for it: budgets, windows, tie rules and the order of
the samples.

Lives here: the options as strategies read them. Not here: the files they stand in
(``isocost.intake.settings``, ``isocost.sweep``).
"""

from __future__ import annotations

from dataclasses import dataclass

TIES = ("uniform", "first", "pessimistic", "optimistic")
ORDERS = ("exchangeable", "as_recorded")


@dataclass(frozen=True)
class ReplayOptions:
    """What is asked for; nothing asked for is what is replayed every day.

    Attributes:
        budgets: samples; the default set where empty.
        windows: of early stopping, samples; the strategy's own where empty.
        ties: rules of `TIES` for the plain majority; its usual ones where empty.
        orders: of `ORDERS`: the mean over all orders, and the samples as they were recorded.
    """

    budgets: tuple[int, ...] = ()
    windows: tuple[int, ...] = ()
    ties: tuple[str, ...] = ()
    orders: tuple[str, ...] = ("exchangeable",)
