"""The axis of arithmetic: FLOPs of prefill and decode."""

from __future__ import annotations

from isocost.axes.compute import Calls
from isocost.axes.model import AxisLabel, ByTokens, CostAxis, Field, Floats, Total
from isocost.axes.registry import register
from isocost.costs.flops import forward_flops


@register
class Flops(CostAxis):
    """FLOPs by the model card."""

    name, place, unit = "flops", 50, "FLOP"
    meaning = "Expected sum of the samples' flops, as they were run."
    label = AxisLabel("Compute per problem (FLOP, modelled)", "per problem", "FLOP", "FLOP")
    adds = Total("flops")
    cut = ByTokens(degree=2)
    fields = (
        Field(
            "flops",
            "Floating point operations of prefill without cached tokens and of decoding, by the"
            " model card; NULL without a card.",
            "FLOP",
        ),
    )
    is_of_calls = True
    needs_cards = ("model",)
    verification = Field(
        "verification_flops", "FLOPs of the sample's verifications; NULL if not banked.", "FLOP"
    )
    is_cost_of_pass = True

    def compute(self, calls: Calls) -> Floats:
        """See `isocost.costs.flops.forward_flops`."""
        return forward_flops(calls.model, calls.prompt, calls.output, cached_tokens=calls.cached)
