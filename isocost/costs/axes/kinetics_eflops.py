"""The axis of arithmetic and memory traffic in one: Kinetics eFLOPs of a single trial."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from isocost.costs.axes import Cards, Tokens, register
from isocost.costs.kinetics import KINETICS_METHOD, kinetics_eflops


@register
class Eflops:
    """eFLOPs at the device's own dense intensity."""

    name, unit, method = "kinetics_eflops", "FLOP", KINETICS_METHOD
    meaning = (
        "FLOPs plus the device's dense FLOP/byte times KV bytes read, for one trial; weights and"
        " prefill left out as in the paper."
    )

    def compute(self, tokens: Tokens, cards: Cards) -> NDArray[np.float64]:
        """See `isocost.costs.kinetics.kinetics_eflops`."""
        intensity = cards.need("device").intensity(cards.number_format)
        return kinetics_eflops(cards.need("model"), tokens.prompt, tokens.output, 1, intensity)
