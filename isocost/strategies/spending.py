"""The cost of a policy on every cost axis, from what it draws.

Lives here: the way from the few quantities that a policy knows of its draws (sums, slowest, shared
parts) to a cost on each registered axis, by the axis's way of adding up. Not here: the axes
(``isocost.axes``), samples that are cut (``cuts``), what a policy draws.
"""

from __future__ import annotations

from collections.abc import Callable

from isocost.axes.model import Adding, CostAxis, Count, Elapsed, Once, Slowest, Total
from isocost.axes.registry import all_axes
from isocost.strategies.shapes import Floats

Spent = Callable[[str], Floats]
"""From a column of the bank to what the policy spends of it, (problems, budgets)."""


def axes_of(*kinds: type[Adding]) -> tuple[CostAxis, ...]:
    """The axes that add up in one of these ways."""
    return tuple(axis for axis in all_axes().values() if isinstance(axis.adds, kinds))


def spent_on_axes(
    *,
    samples: Floats,
    total: Spent,
    once: Spent,
    slowest: Spent | None = None,
    saved: Spent | None = None,
) -> dict[str, Floats]:
    """Expected cost by axis, each (problems, budgets).

    Args:
        samples: expected samples drawn.
        total: expected sum over the drawn samples.
        once: what a prefix costs that all samples share.
        slowest: expected time of samples side by side; the sum where None, for a policy that waits
            for each sample.
        saved: what samples that read a shared prefix together do not pay again; nothing where None.
    """
    costs = {}
    for name, axis in all_axes().items():
        match axis.adds:
            case Count():
                costs[name] = samples.copy()
            case Once(column):
                costs[name] = once(column)
            case Elapsed(column):
                costs[name] = total(column)
            case Slowest(column):
                costs[name] = (slowest or total)(column)
            case Total(column, shared):
                costs[name] = total(column)
                if shared and saved is not None:
                    costs[name] = costs[name] - saved(shared)
    return costs
