"""The axis of memory traffic: bytes of weights and KV cache of a lone request."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from isocost.costs.axes import Cards, Tokens, register
from isocost.costs.roofline import request_bytes


@register
class Traffic:
    """Bytes at batch 1."""

    name, unit, method = "traffic_bytes", "bytes", "roofline_batch_1"
    meaning = "Bytes of weights and KV cache read and written by the request alone; in a batch the weights are shared."

    def compute(self, tokens: Tokens, cards: Cards) -> NDArray[np.float64]:
        """See `isocost.costs.roofline.request_bytes`."""
        return request_bytes(cards.need("model"), tokens.prompt, tokens.output)
