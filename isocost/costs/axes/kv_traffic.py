"""The axis of KV cache traffic: bytes of keys and values written and read."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from isocost.costs.axes import Cards, Tokens, register
from isocost.costs.roofline import kv_traffic_bytes


@register
class KvTraffic:
    """Bytes of a request's own KV cache."""

    name, unit, method = "kv_traffic_bytes", "bytes", "modelled"
    meaning = (
        "Bytes of KV cache written once and read at every decode step, by the model card: modelled,"
        " the same in any batch."
    )

    def compute(self, tokens: Tokens, cards: Cards) -> NDArray[np.float64]:
        """See `isocost.costs.roofline.kv_traffic_bytes`."""
        return kv_traffic_bytes(cards.need("model"), tokens.prompt, tokens.output)
