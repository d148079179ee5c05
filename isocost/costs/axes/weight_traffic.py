"""The axis of weight traffic: a request's share of the weights that its steps read."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from isocost.costs.axes import Cards, Tokens, register
from isocost.costs.roofline import weight_traffic_bytes
from isocost.errors import IsocostError


@register
class WeightTraffic:
    """Bytes of weights, shared by the sequences that decode together."""

    name, unit, method = "weight_traffic_bytes", "bytes", "modelled_decode_batch_mean"
    meaning = (
        "Bytes of weights: all of them for the prefill, and at each decode step the share of one"
        " sequence in the mean decode batch, by the model card: modelled."
    )

    def compute(self, tokens: Tokens, cards: Cards) -> NDArray[np.float64]:
        """See `isocost.costs.roofline.weight_traffic_bytes`."""
        if cards.decode_batch is None:
            raise IsocostError(
                "the mean decode batch is unknown",
                where="cost axes",
                remedy="Pass decode_batch=; 1 for a request alone",
            )
        return weight_traffic_bytes(
            cards.need("model"),
            tokens.prompt,
            tokens.output,
            cached_tokens=tokens.cached,
            batch=cards.decode_batch,
        )
