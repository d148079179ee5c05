"""Columns of tables that follow from the cost axes.

Lives here: turning an axis's declaration of its columns into schema definitions. Not here: the axes
(``isocost.axes``) and the tables that have such columns.
"""

from __future__ import annotations

from collections.abc import Iterable

from isocost.axes.model import Field
from isocost.axes.registry import all_axes
from isocost.schema.model import Column


def axis_columns(fields: Iterable[Field]) -> tuple[Column, ...]:
    """Columns as axes describe them."""
    return tuple(
        Column(field.name, field.type, field.meaning, unit=field.unit, allowed=field.allowed)
        for field in fields
    )


def reasoned_columns() -> tuple[str, ...]:
    """The costs of a sample whose reason for being NULL is in ``costs_unknown_reasons``."""
    return tuple(
        axis.fields[0].name
        for axis in all_axes().values()
        if axis.fields and axis.own_reason is None
    )


def method_columns() -> tuple[Column, ...]:
    """The methods of an outcome's costs, and the reasons of axes with their own reason column."""
    fields = (
        field
        for axis in all_axes().values()
        for field in (axis.outcome_method, axis.own_reason)
        if field is not None
    )
    return axis_columns(fields)


def own_reason_columns() -> tuple[Column, ...]:
    """The reasons that an outcome has for each of its problems."""
    return tuple(
        Column(
            axis.own_reason.name,
            "string",
            f"{axis.own_reason.meaning} The other costs' reasons are in out_strategy_outcomes.",
        )
        for axis in all_axes().values()
        if axis.own_reason is not None
    )
