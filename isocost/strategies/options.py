"""Requested replay options: budgets, windows, tie rules and the order of the samples.

Lives here: the options as strategies read them. Not here: the files that contain them
(``isocost.intake.settings``, ``isocost.sweep``).
"""

from __future__ import annotations

from dataclasses import dataclass

TIES = ("uniform", "first", "pessimistic", "optimistic")
ORDERS = ("exchangeable", "as_recorded")


@dataclass(frozen=True)
class ReplayOptions:
    """Requested options; without any, the default replay.

    Attributes:
        budgets: samples; the default set if empty.
        windows: of early stopping, samples; the strategy's own if empty.
        ties: rules of `TIES` for the plain majority; its default ones if empty.
        orders: of `ORDERS`: the mean over all orders, and the samples as they were recorded.
    """

    budgets: tuple[int, ...] = ()
    windows: tuple[int, ...] = ()
    ties: tuple[str, ...] = ()
    orders: tuple[str, ...] = ("exchangeable",)
