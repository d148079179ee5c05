"""The axis of samples drawn."""

from __future__ import annotations

from isocost.axes.model import AxisLabel, CostAxis, Count, Kept
from isocost.axes.registry import register


@register
class Samples(CostAxis):
    """How many samples a strategy draws."""

    name, place, unit = "samples", 10, "samples"
    meaning = "Expected samples drawn."
    label = AxisLabel("Samples per problem", "samples per problem", "samples")
    adds = Count()
    cut = Kept()
