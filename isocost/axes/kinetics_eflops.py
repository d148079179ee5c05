"""The axis of arithmetic and memory traffic in one: Kinetics eFLOPs of a single trial."""

from __future__ import annotations

import numpy as np

from isocost.axes.compute import Calls
from isocost.axes.model import AxisLabel, ByTokens, CostAxis, Field, Floats, Total
from isocost.axes.registry import register
from isocost.costs.kinetics import kinetics_eflops, kinetics_shared_eflops


@register
class KineticsEflops(CostAxis):
    """eFLOPs at the device's own dense intensity."""

    name, place, unit = "kinetics_eflops", 60, "FLOP"
    meaning = (
        "Expected eFLOPs at kinetics_intensity, modelled (Kinetics, arXiv 2506.05333): parallel"
        " samples read the prompt's KV cache once, samples one after another each time."
    )
    label = AxisLabel(
        "Compute and memory traffic per problem (eFLOP, modelled)", "per problem", "eFLOP", "eFLOP"
    )
    adds = Total("kinetics_eflops", shared="kinetics_shared_eflops")
    cut = ByTokens(degree=2)
    fields = (
        Field(
            "kinetics_eflops",
            "eFLOPs of the sample as one trial (Kinetics, arXiv 2506.05333), modelled: 2 P o + 2 r"
            " p D o + r D o^2 + kinetics_intensity * bytes of KV cache read; weights and prefill"
            " left out as published.",
            "FLOP",
        ),
        Field(
            "kinetics_shared_eflops",
            "The part of kinetics_eflops that parallel trials of one prompt pay once:"
            " kinetics_intensity * bytes of the prompt's KV read.",
            "FLOP",
        ),
        Field(
            "kinetics_intensity",
            "Dense peak over bandwidth of the run's device, in the point's number format; what a"
            " byte counts in kinetics_eflops.",
            "FLOP/byte",
            over_calls="same",
        ),
    )
    needs_cards = ("model", "device")
    method = "kinetics_intensity"
    outcome_method = Field(
        "kinetics_intensity",
        "What a byte counts in kinetics_eflops_per_problem; NULL with it.",
        "FLOP/byte",
    )

    def compute(self, calls: Calls) -> Floats:
        """See `isocost.costs.kinetics.kinetics_eflops`."""
        return kinetics_eflops(calls.model, calls.prompt, calls.output, 1, _intensity(calls))

    def aside(self, calls: Calls) -> dict[str, Floats]:
        """The shared part, and the intensity."""
        intensity = _intensity(calls)
        return {
            "kinetics_shared_eflops": kinetics_shared_eflops(
                calls.model, calls.prompt, calls.output, intensity
            ),
            "kinetics_intensity": np.full(calls.output.shape, intensity),
        }


def _intensity(calls: Calls) -> float:
    return calls.device.intensity(calls.cards.number_format)
