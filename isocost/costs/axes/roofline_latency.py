"""The axis of least time: the roofline latency of a lone request."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from isocost.costs.axes import Cards, Tokens, register
from isocost.costs.roofline import request_seconds


@register
class RooflineLatency:
    """A lower bound of latency at batch 1; modelled, never to be read as measured."""

    name, unit, method = "latency_bound_s", "s", "roofline_batch_1"
    meaning = (
        "Least latency of the request alone on one device: the longer of traffic and arithmetic at"
        " every step."
    )

    def compute(self, tokens: Tokens, cards: Cards) -> NDArray[np.float64]:
        """See `isocost.costs.roofline.request_seconds`."""
        return request_seconds(
            cards.need("model"),
            cards.need("device"),
            tokens.prompt,
            tokens.output,
            number_format=cards.number_format,
        )
