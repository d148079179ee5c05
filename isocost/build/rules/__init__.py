"""The derived tables, how each group is computed, and in which pieces.

Lives here: one module per step, each with functions that read their inputs, call the builders in
``isocost.tables`` and return their frames, and with its own tuple ``RULES``, which declares what
each writes, what it reads and the granularity of its pieces. Not here: how a table is computed, and
which pieces are built when (``isocost.build.refresh``).

To add a table: a module of this package with its own tuple ``RULES`` is discovered automatically
(docs/extending/table.md). A function gets ``Rows``: its ``read(table)`` gives the rows of one point
(``per="point"``), one task (``"task"``), one session (``"session"``) or all rows (``"all"``), and
it must use nothing else, because only what it reads determines whether its piece is rebuilt.
Options such as draws are constants of the code, and any change of the code builds everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from isocost.build.rules import costs, coverage, frontiers, items, scaling, strategies, summary
from isocost.build.rules.base import Frames, Rule, Tables
from isocost.errors import IsocostError
from isocost.registry import modules_of

__all__ = ["RULES", "STEPS", "Frames", "Rule", "Tables"]

# In the order in which they build on each other.
_BUILT_IN = (strategies, frontiers, coverage, scaling, costs, items, summary)


def _in_order(known: Sequence[Rule], found: Iterable[Rule]) -> tuple[Rule, ...]:
    """The built-in steps in order, then discovered ones, each after the steps that it reads.

    Raises:
        IsocostError: a table has two origins that write the same pieces, or none.
    """
    ordered, waiting = list(known), list(found)
    for rule in waiting:
        for other in (*known, *waiting):
            if other is not rule and other.name == rule.name:
                raise IsocostError(
                    f"two rules of {rule.name!r}",
                    where=rule.build.__module__,
                    remedy="Give the step a unique name",
                )
    while waiting:
        made = {table for rule in ordered for table in rule.tables}
        ready = [p for p in waiting if all(t in made or not t.startswith("out_") for t in p.reads)]
        if not ready:
            names = sorted({t for p in waiting for t in p.reads if t.startswith("out_")} - made)
            raise IsocostError(
                f"reads tables that nothing makes before it: {', '.join(names)}",
                where=waiting[0].build.__module__,
                remedy="Correct `reads`; rules must not wait for each other",
            )
        ordered += ready
        waiting = [rule for rule in waiting if rule not in ready]
    return tuple(ordered)


RULES = _in_order(
    [rule for module in _BUILT_IN for rule in module.RULES],
    [
        rule
        for module in modules_of(__name__)
        if module not in _BUILT_IN
        for rule in getattr(module, "RULES", ())
    ],
)
# Tables of each step, in order.
STEPS: dict[str, tuple[str, ...]] = {
    step: tuple(
        dict.fromkeys(table for rule in RULES if rule.step == step for table in rule.tables)
    )
    for step in dict.fromkeys(rule.step for rule in RULES)
}
