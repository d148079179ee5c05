"""Costs of imported rows in addition to those that the source states.

Lives here: axes that no source states, the price of a generated token according to a source, and
the axes that follow from other axes. Not here: the source's own values (``imports``, ``physics``).
"""

from __future__ import annotations

import polars as pl

from isocost.axes.registry import find
from isocost.costs.money import price_per_output_token
from isocost.schema.axis_columns import reasoned_columns
from isocost.schema.registry import table
from isocost.tables.core.call_costs import FROM_COSTS, derived_without_cards

_OF_SOURCE = {column.name for column in table("raw_imports").columns}
NOT_OF_SOURCE = tuple(
    name
    for name in reasoned_columns()
    if name not in _OF_SOURCE and name not in {axis.column for axis in FROM_COSTS}
)
"""Costs that need our cards, or times of an engine."""


def with_own_costs(rows: pl.DataFrame) -> pl.DataFrame:
    """Imported samples with the costs that follow from their source's data."""
    return derived_without_cards(_with_price_of_a_token(rows))


def _with_price_of_a_token(rows: pl.DataFrame) -> pl.DataFrame:
    """The price of a generated token, if the prices of a source follow a price list.

    Per point.
    """
    name = find("cost_usd").rise[0].name
    known = rows.filter(
        "is_valid",
        *(pl.col(column).is_not_null() for column in ("prompt_tokens", "cost_usd")),
        pl.col("output_tokens") > 0,
    )
    prices = {
        str(point_id): price_per_output_token(
            part["prompt_tokens"],
            part["output_tokens"],
            part["cached_tokens"].fill_null(0),
            part["cost_usd"],
        )
        for (point_id,), part in known.group_by("point_id")
    }
    if not prices:
        return rows
    price = pl.col("point_id").replace_strict(prices, default=None, return_dtype=pl.Float64)
    return rows.with_columns(pl.when(pl.col("cost_usd").is_not_null()).then(price).alias(name))
