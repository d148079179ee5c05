"""Compute the costs of calls on the computed axes.

Lives here: the calls and cards that an axis is given, its columns over a frame, and how a cost
rises with the generated tokens. Not here: the axes, their formulas (``isocost.costs``), what is
measured (``isocost.tables.core``).

An axis whose card or column is missing is NULL and the reason is given once; no axis invents a
number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import polars as pl

from isocost.axes.model import TOKENS, ByTokens, CostAxis, Floats
from isocost.costs.model_cards import ModelCard
from isocost.costs.other_cards import DeviceCard, PriceCard
from isocost.errors import IsocostError

_LENGTHS = (1.0, 1009.0, 2017.0)
"""Generated tokens at which a cost is computed to learn how it rises: a square through three."""
_MISFIT = 1e-9
"""Maximum relative distance of a whole call's cost from its quadratic function."""


Card = TypeVar("Card", ModelCard, DeviceCard, PriceCard)


@dataclass(frozen=True, slots=True)
class Cards:
    """What an axis may need besides columns; None = not given.

    Attributes:
        model: model card.
        device: device card.
        price: price card.
        number_format: format whose dense peak bounds arithmetic.
        decode_batch: sequences that decode together, on average; they share each read of the
            weights. 1 = a single request.
    """

    model: ModelCard | None = None
    device: DeviceCard | None = None
    price: PriceCard | None = None
    number_format: str = "bfloat16"
    decode_batch: float | None = 1.0


@dataclass(frozen=True, slots=True)
class Calls:
    """Calls of one model on one device with all needed columns known.

    Attributes:
        columns: float64 by name, shape (n,) each: those the axis needs, and cached_tokens.
        cards: cards of model, device and price.
    """

    columns: Mapping[str, Floats]
    cards: Cards

    def __getitem__(self, name: str) -> Floats:
        """One column."""
        return self.columns[name]

    @property
    def prompt(self) -> Floats:
        """Prompt tokens."""
        return self.columns["prompt_tokens"]

    @property
    def output(self) -> Floats:
        """Generated tokens."""
        return self.columns["output_tokens"]

    @property
    def cached(self) -> Floats:
        """Prompt tokens from a cache, at most the prompt; 0 if not counted."""
        return self.columns["cached_tokens"]

    @property
    def model(self) -> ModelCard:
        """The model card; IsocostError where there is none."""
        return _given(self.cards.model, "model")

    @property
    def device(self) -> DeviceCard:
        """The device card; IsocostError where there is none."""
        return _given(self.cards.device, "device")

    @property
    def price(self) -> PriceCard:
        """The price card; IsocostError where there is none."""
        return _given(self.cards.price, "price")

    def cut(self, tokens: Floats | float) -> Calls:
        """The same calls with so many generated tokens, one number for all or one each."""
        lengths = np.broadcast_to(np.asarray(tokens, dtype=np.float64), self.output.shape)
        return replace(self, columns={**self.columns, "output_tokens": lengths})


def _given(card: Card | None, kind: str) -> Card:
    if card is None:
        raise IsocostError(f"no {kind} card is given", where="cost axes", remedy=f"Pass {kind}=")
    return card


def computed(
    rows: pl.DataFrame, cards: Cards, axes: Iterable[CostAxis]
) -> tuple[pl.DataFrame, dict[str, str]]:
    """The columns of computed axes over rows of one model, device and price.

    Args:
        rows: the columns that the axes need, and cached_tokens where known. A row with NULL in a
            needed column has NULL costs.
        cards: of all rows.
        axes: the axes, each of which computes its column.

    Returns:
        A frame with the columns of the axes in the order of the rows, and the reason of each axis
        that is NULL throughout.

    Raises:
        IsocostError: a needed column is missing.
    """
    columns: list[pl.Series] = []
    reasons = {}
    for axis in axes:
        known, calls = _known(rows, axis, cards)
        found: dict[str, Floats] = {}
        try:
            found[axis.column] = axis.compute(calls)
            found |= axis.aside(calls)
            found |= _rise(axis, calls, found[axis.column])
        except IsocostError as error:
            reasons[axis.name] = error.what
            found = {}
        for field in (f for f in axis.columns if f.type == "float64"):
            values = np.full(rows.height, np.nan)
            if field.name in found:
                values[known] = found[field.name]
            columns.append(pl.Series(field.name, values).fill_nan(None))
    return pl.DataFrame(columns), reasons


def unknown_reason(axis: CostAxis) -> str:
    """Why a row has no value although the axis can be computed: a needed column is NULL."""
    others = [name for name in axis.needs_columns if name not in TOKENS]
    words = [f"{name} is not known" for name in others]
    return " or ".join(words or ["the tokens are not known"])


def _known(rows: pl.DataFrame, axis: CostAxis, cards: Cards) -> tuple[np.ndarray, Calls]:
    """Which rows have all that an axis needs, and these rows."""
    for name in axis.needs_columns:
        if name not in rows.columns:
            raise IsocostError(
                "the column is missing",
                where=f"column {name}",
                remedy=f"The cost axis {axis.name} needs it.",
            )
    known = rows.select(
        pl.all_horizontal(pl.col(name).is_not_null() for name in axis.needs_columns)
    ).to_series()
    kept = rows.filter(known)
    columns = {name: kept[name].cast(pl.Float64).to_numpy() for name in axis.needs_columns}
    if "prompt_tokens" in columns:
        cached = (
            kept["cached_tokens"].fill_null(0).cast(pl.Float64).to_numpy()
            if "cached_tokens" in kept.columns
            else np.zeros(kept.height)
        )
        columns["cached_tokens"] = np.minimum(cached, columns["prompt_tokens"])
    return known.to_numpy(), Calls(columns, cards)


def _rise(axis: CostAxis, calls: Calls, whole: Floats) -> dict[str, Floats]:
    """What another generated token costs, linear and square term.

    NaN where the cost of a call, of its first half or of its first third is not on the square
    through three lengths: a windowed attention, say, whose law has a bend.
    """
    if not isinstance(axis.cut, ByTokens):
        return {}
    first, middle, last = (axis.compute(calls.cut(length)) for length in _LENGTHS)
    step = _LENGTHS[1] - _LENGTHS[0]
    square = (last - 2 * middle + first) / (2 * step**2) if axis.cut.degree == 2 else 0.0 * first
    slope = (last - first) / (2 * step) - square * (_LENGTHS[0] + _LENGTHS[2])
    length = calls.output
    fits = np.ones(length.shape, dtype=np.bool_)
    half, third = (np.floor_divide(length, part) + 1 for part in (2, 3))
    for tokens, cost in (
        (length, whole),
        *((some, axis.compute(calls.cut(some))) for some in (half, third)),
    ):
        predicted = first + slope * (tokens - 1) + square * (tokens**2 - 1)
        # What generated nothing cannot be cut, and its cost need not be on the law.
        fits &= (length < 1) | (np.abs(predicted - cost) <= _MISFIT * np.abs(cost))
    names = [field.name for field in axis.rise]
    values = (np.where(fits, slope, np.nan), np.where(fits, square, np.nan))
    return dict(zip(names, values, strict=False))
