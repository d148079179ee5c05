"""Cost axes: what one sample cost, one registered axis a module.

Lives here: the `CostAxis` protocol, the registry and `cost_axes`, which adds every axis to a frame
of samples. Not here: the formulas (the modules of `isocost.costs`) and measured columns (latency_s,
energy_j), which samples carry already.

An axis whose card or column is missing is NULL, and the reason is told once; no axis invents a
number.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from isocost.costs.model_cards import ModelCard
from isocost.costs.other_cards import DeviceCard, PriceCard
from isocost.errors import IsocostError


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens of n samples, float64, shape (n,) each.

    Attributes:
        prompt: prompt tokens.
        output: generated tokens.
        cached: prompt tokens taken from a cache.
    """

    prompt: NDArray[np.float64]
    output: NDArray[np.float64]
    cached: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Cards:
    """What an axis may need besides tokens; None = not given.

    Attributes:
        model: model card.
        device: device card.
        price: price card.
        number_format: format whose dense peak bounds arithmetic.
        decode_batch: sequences that decode together, on average; they share each read of the
            weights. 1 = a request alone.
    """

    model: ModelCard | None = None
    device: DeviceCard | None = None
    price: PriceCard | None = None
    number_format: str = "bfloat16"
    decode_batch: float | None = 1.0

    def need(self, kind: str) -> ModelCard | DeviceCard | PriceCard:
        """The card of that kind; IsocostError where it was not given."""
        card = getattr(self, kind)
        if card is None:
            raise IsocostError(
                f"no {kind} card is given", where="cost axes", remedy=f"Pass {kind}="
            )
        return card


class CostAxis(Protocol):
    """One way to price a sample.

    Attributes:
        name: column name, with the unit as suffix.
        unit: unit.
        method: how it is computed, for a method column.
        meaning: one sentence.
    """

    name: str
    unit: str
    method: str
    meaning: str

    def compute(self, tokens: Tokens, cards: Cards) -> NDArray[np.float64]:
        """The cost of each sample, shape (n,); IsocostError where something needed is unknown."""
        ...


_AXES: dict[str, CostAxis] = {}


def register(axis: type) -> type:
    """Class decorator: an instance of the class becomes an axis under its name."""
    if axis.name in _AXES:
        raise IsocostError(f"the cost axis {axis.name} is registered twice", where=axis.__module__)
    _AXES[axis.name] = axis()
    return axis


@cache
def all_axes() -> dict[str, CostAxis]:
    """Every axis by name, found in the modules of this package."""
    for module in sorted(m.name for m in pkgutil.iter_modules(__path__)):
        importlib.import_module(f"{__name__}.{module}")
    return dict(sorted(_AXES.items()))


def cost_axes(
    samples: pl.DataFrame, cards: Cards, names: Sequence[str] | None = None
) -> tuple[pl.DataFrame, dict[str, str]]:
    """The cost of each sample on every axis.

    Args:
        samples: columns prompt_tokens, output_tokens and, where known, cached_tokens; rows with
            NULL tokens get NULL costs.
        cards: of the one model, device and price that all rows share.
        names: axes wanted; all when None.

    Returns:
        A frame of one column per axis in the order of the rows, and the reason of each axis that is
        NULL throughout.

    Raises:
        IsocostError: an unknown axis, or a token column is missing.
    """
    axes = all_axes()
    for name in names or ():
        if name not in axes:
            raise IsocostError(
                f"there is no cost axis {name!r}", remedy=f"Use some of {', '.join(axes)}"
            )
    for column in ("prompt_tokens", "output_tokens"):
        if column not in samples.columns:
            raise IsocostError(
                "the column is missing",
                where=f"samples, column {column}",
                remedy="Cost axes need both token counts",
            )
    known = (
        samples["prompt_tokens"].is_not_null() & samples["output_tokens"].is_not_null()
    ).to_numpy()
    rows = samples.filter(pl.Series(known))
    cached = (
        rows["cached_tokens"].fill_null(0)
        if "cached_tokens" in rows.columns
        else pl.Series([0]).new_from_index(0, rows.height)
    )
    prompt, output = (
        rows[c].cast(pl.Float64).to_numpy() for c in ("prompt_tokens", "output_tokens")
    )
    tokens = Tokens(prompt, output, np.minimum(cached.cast(pl.Float64).to_numpy(), prompt))
    columns, reasons = {}, {}
    for name in names or axes:
        values = np.full(samples.height, np.nan)
        try:
            values[known] = axes[name].compute(tokens, cards)
        except IsocostError as error:
            reasons[name] = error.what
        columns[name] = pl.Series(name, values).fill_nan(None)
    return pl.DataFrame(columns), reasons
