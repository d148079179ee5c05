"""The axis of money, by the token."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from isocost.costs.axes import Cards, Tokens, register
from isocost.costs.money import token_usd


@register
class TokenPrice:
    """Dollars by a price card that sells tokens."""

    name, unit, method = "token_price_usd", "USD", "price_card_tokens"
    meaning = (
        "Prompt tokens, cached ones cheaper where the card says so, and generated tokens at the"
        " card's prices."
    )

    def compute(self, tokens: Tokens, cards: Cards) -> NDArray[np.float64]:
        """See `isocost.costs.money.token_usd`."""
        return token_usd(
            cards.need("price"), tokens.prompt, tokens.output, cached_tokens=tokens.cached
        )
