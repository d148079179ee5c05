"""The axis of arithmetic: FLOPs of prefill and decode."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from isocost.costs.axes import Cards, Tokens, register
from isocost.costs.flops import FLOPS_METHOD, forward_flops


@register
class Flops:
    """FLOPs by the model card."""

    name, unit, method = "flops", "FLOP", FLOPS_METHOD
    meaning = "Floating point operations of prefill without cached tokens and of decoding."

    def compute(self, tokens: Tokens, cards: Cards) -> NDArray[np.float64]:
        """See `isocost.costs.flops.forward_flops`."""
        return forward_flops(
            cards.need("model"), tokens.prompt, tokens.output, cached_tokens=tokens.cached
        )
