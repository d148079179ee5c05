"""The axis of money: a price on tokens or on device time, or what a source was charged."""

from __future__ import annotations

from isocost.axes.compute import Calls
from isocost.axes.model import AxisLabel, ByTokens, CostAxis, Field, Floats, Total
from isocost.axes.registry import register
from isocost.costs.money import token_usd


@register
class Price(CostAxis):
    """Dollars. By the token they follow from the card; by the hour from device_s."""

    name, place, unit = "cost_usd", 110, "USD"
    meaning = "Expected sum of the samples' cost_usd; see cost_method."
    label = AxisLabel("Price per problem (US dollars)", "per problem", "price", "$")
    adds = Total("cost_usd")
    cut = ByTokens(degree=1)
    fields = (
        Field("cost_usd", "Price of the sample in dollars, by cost_method.", "USD"),
        Field(
            "cost_method",
            "tokens_x_price: tokens by the price card that names the model; device_s_x_price:"
            " device_s by the price of a device-hour; reported_by_source: stated by an imported "
            "source.",
            type="string",
            allowed=("tokens_x_price", "device_s_x_price", "reported_by_source"),
            over_calls="same",
        ),
        Field(
            "price_card",
            "Price card of cost_usd; NULL if cost_usd is NULL, a source stated the price, or the"
            " calls of the sample have several cards.",
            type="string",
            over_calls="same",
        ),
    )
    needs_cards = ("price",)
    method = "cost_method"
    outcome_method = Field(
        "cost_method",
        "Method of the samples' cost_usd; NULL if unknown or mixed.",
        type="string",
    )
    is_cost_of_pass = True

    def compute(self, calls: Calls) -> Floats:
        """Of tokens: see `isocost.costs.money.token_usd`."""
        return token_usd(calls.price, calls.prompt, calls.output, cached_tokens=calls.cached)
