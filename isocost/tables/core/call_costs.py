"""The cost of every call on the axes computed from its tokens, its time and the cards.

Lives here: FLOPs, eFLOPs, KV and weight traffic, device seconds and money of calls, each with its
method, and the reasons for unknown values. Not here: energy (``isocost.tables.energy.runs``),
the formulas (``isocost.costs``), which calls make a sample (``core``).

FLOPs, eFLOPs and traffic are modelled from the model card; device seconds are measured and shared
out; money is a price on tokens or on device seconds. A missing model card is an error that prints
the card to fill in; anything else that is missing is NULL with its reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import polars as pl

from isocost.axes.compute import Cards, computed, unknown_reason
from isocost.axes.model import TOKENS, CostAxis
from isocost.axes.registry import all_axes, find
from isocost.costs import CardBook, device_usd, share_by_time
from isocost.costs.other_cards import DeviceCard, PriceCard
from isocost.errors import IsocostError
from isocost.sweep import ModelVariant, PlannedPoint
from isocost.tables.core.engines import (
    Place,
    Run,
    device_count,
    device_of,
    info_of,
    together,
    with_partner,
)

PRICE = find("cost_usd")
FROM_TOKENS = tuple(
    axis
    for axis in all_axes().values()
    if axis.is_computed and axis is not PRICE and set(axis.needs_columns) <= set(TOKENS)
)
"""Axes that follow from the tokens of a call and the cards."""
FROM_COSTS = tuple(
    axis
    for axis in all_axes().values()
    if axis.is_computed and axis is not PRICE and axis not in FROM_TOKENS
)
"""Axes that depend on other axes, such as the energy."""

BY_TOKENS, BY_DEVICE_TIME, BY_SOURCE = "tokens_x_price", "device_s_x_price", "reported_by_source"
BY_KV, BY_KV_AND_WEIGHTS = "modelled", "modelled_decode_batch_mean"
REASONS = "costs_unknown_reasons"

Runs = Mapping[Run, Mapping[str, Any]]
"""Manifest info of each run, as far as known."""
_ENGINE = ["session_id", "run_id", "partner"]


@dataclass(frozen=True, slots=True)
class RunLoad:
    """What the times of an engine's calls in a run show, warm-up excluded.

    Attributes:
        decoding_s: seconds in which at least one sequence decoded; None if no call has times.
        decode_batch_mean: sequences that decoded at once in those seconds, on average; None if
            nothing decoded.
    """

    decoding_s: float | None
    decode_batch_mean: float | None


def run_loads(calls: pl.DataFrame) -> dict[Place, RunLoad]:
    """The decode load of every engine of every run.

    Args:
        calls: session_id, run_id, partner, is_warmup, first_token_s, last_token_s, decode_s.
    """
    found = {}
    for key, part in calls.group_by(_ENGINE, maintain_order=True):
        timed = part.filter(~pl.col("is_warmup") & pl.col("decode_s").is_not_null()).sort(
            "first_token_s"
        )
        start, end = timed["first_token_s"].to_numpy(), timed["last_token_s"].to_numpy()
        before = (
            np.concatenate(([-np.inf], np.maximum.accumulate(end)[:-1])) if timed.height else end
        )
        covered = (
            float(np.maximum(end - np.maximum(start, before), 0).sum()) if timed.height else None
        )
        batch = float(timed["decode_s"].sum()) / covered if covered else None
        found[_place(key)] = RunLoad(covered, batch)
    return found


def resolved_dtype(info: Mapping[str, Any], asked: str | None) -> str:
    """Number format that the weights were computed in.

    The engine's where the sweep left it to the model (auto, or a server's).
    """
    resolved = ((((info.get("engine") or {}).get("resolved") or {}).get("model")) or {}).get(
        "dtype"
    )
    return (
        str(resolved).removeprefix("torch.")
        if asked in ("auto", None) and resolved
        else asked or ""
    )


def add_costs(
    calls: pl.DataFrame, planned: Mapping[str, PlannedPoint], runs: Runs, book: CardBook
) -> pl.DataFrame:
    """The calls with the columns of every axis that follows from tokens, times and cards.

    And ``REASONS``.

    Args:
        calls: raw calls with prefill_s and decode_s.
        planned: planned points by point_id.
        runs: manifest info of each run, as far as known.
        book: the cards.

    Raises:
        IsocostError: a point or a partner names a missing model card; the message contains a
            template to fill in.
    """
    calls = with_partner(calls)
    parts = [_modelled(part, maker, book) for maker, part in _makers(calls, planned, runs)]
    built = (
        pl.concat(parts).sort("row").drop("row")
        if parts
        else _without_rows(calls, FROM_TOKENS).with_columns(
            pl.lit([], pl.List(pl.String)).alias(REASONS)
        )
    )
    timed = _device_seconds(built, runs)
    return _money(timed, planned, runs, book)


def add_derived_costs(
    calls: pl.DataFrame,
    planned: Mapping[str, PlannedPoint],
    runs: Runs,
    book: CardBook,
    axes: tuple[CostAxis, ...] = FROM_COSTS,
) -> pl.DataFrame:
    """The calls with the axes that depend on other axes; arguments as for ``add_costs``."""
    if not axes:
        return calls
    calls, parts = with_partner(calls), []
    for maker, part in _makers(calls, planned, runs):
        cards, lacking = _cards(maker, book)
        parts.append(_with_axes(part, cards, lacking, axes))
    return pl.concat(parts).sort("row").drop("row") if parts else _without_rows(calls, axes)


def derived_without_cards(
    rows: pl.DataFrame, axes: tuple[CostAxis, ...] = FROM_COSTS
) -> pl.DataFrame:
    """Imported rows with the axes that depend on other axes; no source names our cards.

    Args:
        rows: rows with the columns of other axes and ``REASONS``.
        axes: the axes.
    """
    lacking = {card: NO_CARDS_IN_SOURCE for card in ("model", "device", "price")}
    return _with_axes(rows, Cards(), lacking, axes) if axes else rows


NO_CARDS_IN_SOURCE = "an imported source does not name our cards"


def _without_rows(calls: pl.DataFrame, axes: tuple[CostAxis, ...]) -> pl.DataFrame:
    fields = [field for axis in axes for field in axis.columns]
    nothing = [pl.lit(None, _TYPES[field.type]).alias(field.name) for field in fields]
    return calls.with_columns(nothing)


_TYPES = {"float64": pl.Float64, "string": pl.String, "int64": pl.Int64}


@dataclass(frozen=True, slots=True)
class _Maker:
    """What made calls of one point in one run: a model in an engine.

    Attributes:
        model: the point's own, or a partner's; None if the point is not known.
        whose: "point", or "partner", for reasons.
        info: the run's manifest, with the description of that engine.
        batch: mean decode batch of that engine.
    """

    model: ModelVariant | None
    whose: str
    info: Mapping[str, Any]
    batch: float | None

    @property
    def device(self) -> str | None:
        """The device that it ran on."""
        return device_of(self.info)

    @property
    def host(self) -> str | None:
        """The host name of the server that was asked; None if it is not known, or was started."""
        address = (self.info.get("engine") or {}).get("base_url")
        try:
            return urlsplit(address).hostname if isinstance(address, str) else None
        except ValueError:
            return None


def _place(key: Sequence[object]) -> Place:
    return str(key[0]), str(key[1]), None if key[2] is None else str(key[2])


def _makers(
    calls: pl.DataFrame, planned: Mapping[str, PlannedPoint], runs: Runs
) -> Iterator[tuple[_Maker, pl.DataFrame]]:
    """The calls that the same model made for the same point in the same run, numbered by row."""
    loads = run_loads(calls)
    for key, part in calls.with_row_index("row").group_by(
        *_ENGINE, "point_id", maintain_order=True
    ):
        place, point_id = _place(key), str(key[3])
        engine = planned[point_id].point.engine_of(place[2]) if point_id in planned else None
        maker = _Maker(
            model=None if engine is None else engine.model,
            whose="point" if place[2] is None else "partner",
            info=info_of(runs.get(place[:2], {}), place[2]),
            batch=loads[place].decode_batch_mean,
        )
        yield maker, part


def _modelled(part: pl.DataFrame, maker: _Maker, book: CardBook) -> pl.DataFrame:
    """Axes by tokens and cards, for calls of one point in one run."""
    cards, lacking = _cards(maker, book)
    blank = part.with_columns(pl.lit([], pl.List(pl.String)).alias(REASONS))
    priced = _with_axes(blank, cards, lacking, FROM_TOKENS)
    return priced.with_columns(
        pl.when(pl.col("weight_traffic_bytes").is_not_null())
        .then(pl.lit(BY_KV_AND_WEIGHTS))
        .when(pl.col("kv_traffic_bytes").is_not_null())
        .then(pl.lit(BY_KV))
        .alias("traffic_method")
    )


def _cards(maker: _Maker, book: CardBook) -> tuple[Cards, dict[str, str]]:
    """The cards of one model in one run, and why those are lacking that are."""
    asked = maker.model
    model = book.model(asked.card) if asked is not None and asked.card else None
    if model is not None and asked is not None and asked.adapter is not None:
        model = model.with_adapter(asked.adapter.parameters or 0)
    card, why_no_device = _device_card(maker.device, book)
    named = _priced_by_token(maker, book)
    lacking = {} if model is not None else {"model": f"the {maker.whose} names no model card"}
    lacking |= {} if card is not None else {"device": why_no_device}
    lacking |= {} if len(named) == 1 else {"price": "not one price card names the model"}
    cards = Cards(
        model=model,
        device=card,
        price=named[0] if len(named) == 1 else None,
        number_format=resolved_dtype(maker.info, asked.dtype) if asked is not None else "",
        decode_batch=None if maker.batch is None else max(maker.batch, 1.0),
    )
    return cards, lacking


def _with_axes(
    part: pl.DataFrame, cards: Cards, lacking: Mapping[str, str], axes: tuple[CostAxis, ...]
) -> pl.DataFrame:
    """The rows with the columns of computed axes, and with the reasons of those that are NULL."""
    columns, found = computed(part, cards, axes)
    reasons = []
    for axis in axes:
        card = next((lacking[kind] for kind in axis.needs_cards if kind in lacking), None)
        reason = card or found.get(axis.name) or unknown_reason(axis)
        reasons.append(
            pl.when(pl.col(axis.column).is_null()).then(pl.lit(f"{axis.column}: {reason}"))
        )
    words = [
        pl.lit(None, pl.String).alias(field.name)
        for axis in axes
        for field in axis.columns
        if field.type == "string"
    ]
    return (
        part.drop(columns.columns, strict=False)
        .hstack(columns)
        .with_columns(*words, pl.concat_list(REASONS, *reasons).list.drop_nulls().alias(REASONS))
    )


def _device_card(device: str | None, book: CardBook) -> tuple[DeviceCard | None, str]:
    if device is None:
        return None, "the device is not recorded"
    try:
        return book.device(device), ""
    except IsocostError as error:
        return None, error.what


def _device_seconds(calls: pl.DataFrame, runs: Runs) -> pl.DataFrame:
    """Device time of each run's window, split equally among the calls in the engine.

    At each moment. Engines on the same machine use the same devices, and share their time.
    """
    seconds = np.full(calls.height, np.nan)
    reasons = np.full(calls.height, None, dtype=object)
    is_timed = pl.all_horizontal(
        pl.col(name).is_not_null() for name in ("scheduled_s", "prefill_s", "decode_s")
    )
    marked = calls.select(
        *_ENGINE,
        "scheduled_s",
        "last_token_s",
        "is_warmup",
        is_timed.alias("is_timed"),
    ).with_row_index("row")
    for count, part in _sharing(marked, runs):
        reasons[part["row"].to_numpy()] = (
            "the times of the call are not known"
            if count
            else "the number of devices is not recorded"
        )
        warm = part.filter("is_warmup")["row"].to_numpy()
        reasons[warm] = "warm-up"
        timed = part.filter(~pl.col("is_warmup") & pl.col("is_timed"))
        if count is None or timed.is_empty():
            continue
        start, end = timed["scheduled_s"].to_numpy(), timed["last_token_s"].to_numpy()
        edges = np.array([start.min(), end.max()])
        try:
            seconds[timed["row"].to_numpy()] = share_by_time(
                start, end, edges, (edges - edges[0]) * count, (edges[1] - edges[0]) * count
            )
        except IsocostError:  # nothing took any time
            reasons[timed["row"].to_numpy()] = "the run took no time"
    column = pl.Series("device_s", seconds).fill_nan(None)
    reason = pl.Series("reason", reasons, pl.String)
    return calls.with_columns(column, reason).pipe(_with_reason, "device_s")


def _sharing(calls: pl.DataFrame, runs: Runs) -> Iterator[tuple[int | None, pl.DataFrame]]:
    """The calls of engines that use the same devices, and how many devices; None if unknown."""
    for key, part in calls.group_by("session_id", "run_id", maintain_order=True):
        info = runs.get((str(key[0]), str(key[1])), {})
        rest = part["partner"].unique(maintain_order=True).to_list()
        while rest:
            group = {rest[0], *together(info, rest[0])}
            counts = [device_count(info_of(info, partner)) for partner in group]
            known = [count for count in counts if count is not None]
            mine = pl.col("partner").is_in([one for one in group if one is not None])
            mine = mine | pl.col("partner").is_null() if None in group else mine.fill_null(False)
            yield max(known) if len(known) == len(counts) else None, part.filter(mine)
            rest = [partner for partner in rest if partner not in group]


def _with_reason(calls: pl.DataFrame, axis: str) -> pl.DataFrame:
    """Move the reason in ``reason`` to the list of reasons if the axis is NULL."""
    reason = pl.when(pl.col(axis).is_null()).then(pl.concat_str(pl.lit(f"{axis}: "), "reason"))
    return calls.with_columns(
        pl.concat_list(REASONS, reason).list.drop_nulls().alias(REASONS)
    ).drop("reason")


def _money(
    calls: pl.DataFrame, planned: Mapping[str, PlannedPoint], runs: Runs, book: CardBook
) -> pl.DataFrame:
    parts = []
    for maker, part in _makers(calls, planned, runs):
        usd, method, card, reason = _priced(part, maker, book)
        known = pl.col("cost_usd").is_not_null()
        parts.append(
            part.hstack(usd)
            .with_columns(
                pl.when(known).then(pl.lit(method, pl.String)).alias("cost_method"),
                pl.when(known).then(pl.lit(card, pl.String)).alias("price_card"),
                pl.lit(reason).alias("reason"),
            )
            .pipe(_with_reason, "cost_usd")
        )
    if not parts:
        return _without_rows(calls, (PRICE,))
    return pl.concat(parts).sort("row").drop("row")


def _priced(
    part: pl.DataFrame, maker: _Maker, book: CardBook
) -> tuple[pl.DataFrame, str | None, str | None, str]:
    """Dollars and their rise, method, price card, and the reason where dollars are NULL."""
    named = _priced_by_token(maker, book)
    if len(named) > 1:
        cards = ", ".join(card.name for card in named)
        return _dollars(part), None, None, f"several price cards name the model: {cards}"
    if named:
        columns, _ = computed(part, Cards(price=named[0]), (PRICE,))
        return columns, BY_TOKENS, named[0].name, unknown_reason(PRICE)
    price, why = _hourly(maker.device, book)
    if price is None:
        return _dollars(part), None, None, why
    usd = pl.Series(device_usd(price, part["device_s"].fill_null(0).to_numpy()))
    timed = pl.select(pl.when(part["device_s"].is_not_null()).then(usd)).to_series()
    return _dollars(part, timed), BY_DEVICE_TIME, price.name, "device_s is not known"


def _dollars(part: pl.DataFrame, usd: pl.Series | None = None) -> pl.DataFrame:
    """Dollars that follow from no tokens, or nothing where they are unknown."""
    numbers = [field.name for field in PRICE.columns if field.type == "float64"]
    nothing = pl.Series([None], dtype=pl.Float64).new_from_index(0, part.height)
    frame = pl.DataFrame({name: nothing for name in numbers})
    return frame if usd is None else frame.with_columns(usd.alias(PRICE.column))


def _priced_by_token(maker: _Maker, book: CardBook) -> list[PriceCard]:
    """The price cards that name a model, of the server that it ran on."""
    model = maker.model
    if model is None:
        return []
    return book.prices_naming({model.name, model.path, model.card or ""}, maker.host)


def _hourly(device: str | None, book: CardBook) -> tuple[PriceCard | None, str]:
    card, why = _device_card(device, book)
    if card is None:
        return None, f"no price card names the model, and {why}"
    price = book.price_of(card)
    return (
        price,
        f"no price card names the model, and none or several sell hours of the device {card.name}",
    )
