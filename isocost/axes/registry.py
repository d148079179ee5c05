"""Finds the cost axes: every module of this package may register some.

Lives here: ``register`` and the look-ups. Not here: what an axis is (``model``).
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from functools import cache

import isocost.axes as package
from isocost.axes.model import CostAxis, Field
from isocost.errors import IsocostError

_FOUND: dict[str, CostAxis] = {}


def register(axis: type[CostAxis]) -> type[CostAxis]:
    """Class decorator: puts an axis into the registry.

    Raises:
        IsocostError: the description has a hole, or another axis has the name or a column.
    """
    one = axis()
    one.check(axis.__module__)
    if one.name in _FOUND:
        raise IsocostError(
            f"two cost axes are called {one.name!r}",
            where=f"{axis.__module__} and {type(_FOUND[one.name]).__module__}",
            remedy="Give one of them another name.",
        )
    taken = {field.name: other for other in _FOUND.values() for field in other.columns}
    for field in one.columns:
        if field.name in taken:
            raise IsocostError(
                f"two cost axes bring a column {field.name!r}",
                where=f"{axis.__module__} and {type(taken[field.name]).__module__}",
                remedy="Count the other's column (`adds`) without a field of your own.",
            )
    _FOUND[one.name] = one
    return axis


@cache
def all_axes() -> dict[str, CostAxis]:
    """Every axis by name, in the order in which they are listed."""
    for module in sorted(info.name for info in pkgutil.iter_modules(package.__path__)):
        importlib.import_module(f"{package.__name__}.{module}")
    return {axis.name: axis for axis in sorted(_FOUND.values(), key=lambda a: (a.place, a.name))}


def find(name: str) -> CostAxis:
    """The axis of a name.

    Raises:
        IsocostError: there is none; the message has the nearest ones.
    """
    axes = all_axes()
    if name not in axes:
        near = difflib.get_close_matches(name, axes, n=3) or list(axes)
        raise IsocostError(
            f"there is no cost axis {name!r}", remedy=f"Use one of {', '.join(near)}."
        )
    return axes[name]


@cache
def by_outcome_column() -> dict[str, CostAxis]:
    """Every axis by its column in out_strategy_outcomes, which names it in the tables made of
    those.
    """
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
