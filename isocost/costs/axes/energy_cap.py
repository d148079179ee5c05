"""The axis of most energy.

The power limit for the least time; modelled, never pooled with measured joules.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from isocost.costs.axes import Cards, Tokens, register
from isocost.costs.roofline import energy_cap_j, request_seconds


@register
class EnergyCap:
    """Joules of a lone request that runs at the roofline and at the power limit."""

    name, unit, method = "energy_modelled_j", "J", "modelled_power_limit_x_roofline"
    meaning = (
        "Power limit times least latency of the request alone: a modelled joule for comparison of"
        " sizes, not a measurement."
    )

    def compute(self, tokens: Tokens, cards: Cards) -> NDArray[np.float64]:
        """See `isocost.costs.roofline.energy_cap_j`."""
        device = cards.need("device")
        seconds = request_seconds(
            cards.need("model"),
            device,
            tokens.prompt,
            tokens.output,
            number_format=cards.number_format,
        )
        return energy_cap_j(device, seconds)
