"""Finds the cost axes: every module of this package may register some.

Lives here: ``register`` and the look-ups by name and by column. Not here: what an axis is
(``model``).
"""

from __future__ import annotations

from functools import cache

from isocost.axes.model import CostAxis, Field
from isocost.registry import Clash, Registry

AXES: Registry[CostAxis] = Registry("cost axis", "isocost.axes", plural="cost axes")


def register(axis: type[CostAxis]) -> type[CostAxis]:
    """Class decorator: puts an axis into the registry.

    Raises:
        IsocostError: the description has a hole, or another axis has the name.
    """
    one = axis()
    one.check(axis.__module__)
    AXES.add(one)
    return axis


@cache
def all_axes() -> dict[str, CostAxis]:
    """Every axis by name, in the order in which they are listed.

    Raises:
        Clash: two axes bring one column.
    """
    found = {a.name: a for a in sorted(AXES.all().values(), key=lambda a: (a.place, a.name))}
    home: dict[str, CostAxis] = {}
    for axis in found.values():
        for field in axis.columns:
            other = home.setdefault(field.name, axis)
            if other is not axis:
                raise Clash(
                    f"two cost axes bring a column {field.name!r}",
                    where=f"{type(axis).__module__} and {type(other).__module__}",
                    remedy="Count the other's column (`adds`) without a field of your own.",
                )
    return found


def find(name: str) -> CostAxis:
    """The axis with a name; otherwise IsocostError with the nearest name."""
    return AXES.get(name)


@cache
def by_outcome_column() -> dict[str, CostAxis]:
    """Every axis by its column in out_strategy_outcomes, which is its name in derived tables."""
    return {axis.per_problem: axis for axis in all_axes().values()}


@cache
def core_fields() -> tuple[Field, ...]:
    """The columns of core_samples that axes bring."""
    return tuple(field for axis in all_axes().values() for field in axis.columns)


@cache
def verification_fields() -> tuple[Field, ...]:
    """The columns of core_samples with what verifications cost, each once."""
    found = [axis.verification for axis in all_axes().values() if axis.verification is not None]
    return tuple(dict.fromkeys(found))
