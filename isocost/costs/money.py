"""Money: what tokens and device time cost by a price card.

Lives here: dollars of requests, by the token or by the device-hour, and per correct answer; the
price of a token behind reported prices. Not here: the cards (`other_cards`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from isocost.costs.checks import numbers, token_counts
from isocost.costs.other_cards import PriceCard
from isocost.errors import IsocostError
from isocost.units import SECONDS_PER_HOUR, TOKENS_PER_PRICE_UNIT

_PRICE_LIST_RATIO = 1e-6
"""Misfit, relative to the highest price, above which prices follow no price list."""


def token_usd(
    price: PriceCard,
    prompt_tokens: ArrayLike,
    output_tokens: ArrayLike,
    *,
    cached_tokens: ArrayLike = 0,
) -> NDArray[np.float64]:
    """Dollars of requests sold by the token.

    Args:
        price: a card with token prices.
        prompt_tokens: all prompt tokens, cached ones included, shape (...).
        output_tokens: generated tokens, shape (...).
        cached_tokens: prompt tokens served from a cache, shape (...), at most the prompt.

    Returns:
        USD, shape (...).

    Raises:
        IsocostError: the card has no token prices, or more cached than prompt tokens.

    Examples:
        >>> from isocost.costs import load_book
        >>> token_usd(load_book().price("gpt-4o-mini"), 1000, 500).item()
        0.00045
    """
    if (
        not price.is_by_token
        or price.usd_per_million_input_tokens is None
        or price.usd_per_million_output_tokens is None
    ):
        raise IsocostError(
            "this card sells device-hours, not tokens",
            where=f"price card {price.name}",
            remedy="Use device_usd",
        )
    p, o, c = (
        token_counts(v, n)
        for v, n in (
            (prompt_tokens, "prompt_tokens"),
            (output_tokens, "output_tokens"),
            (cached_tokens, "cached_tokens"),
        )
    )
    if np.any(c > p):
        raise IsocostError(
            "more cached tokens than prompt tokens",
            where="argument cached_tokens",
            remedy="prompt_tokens includes cached ones",
        )
    cached = price.usd_per_million_cached_input_tokens
    cached = price.usd_per_million_input_tokens if cached is None else cached
    dollars = (
        price.usd_per_million_input_tokens * (p - c)
        + cached * c
        + price.usd_per_million_output_tokens * o
    )
    return dollars / TOKENS_PER_PRICE_UNIT


def device_usd(price: PriceCard, device_seconds: ArrayLike) -> NDArray[np.float64]:
    """Dollars of device time: device-seconds x price per hour / 3600, shape (...).

    Device-seconds are time x devices.

    Raises:
        IsocostError: the card has no price of a device-hour.
    """
    if price.usd_per_device_hour is None:
        raise IsocostError(
            "this card sells tokens, not device-hours",
            where=f"price card {price.name}",
            remedy="Use token_usd",
        )
    return numbers(device_seconds, "device_seconds") * price.usd_per_device_hour / SECONDS_PER_HOUR


def price_per_output_token(
    prompt_tokens: ArrayLike, output_tokens: ArrayLike, cached_tokens: ArrayLike, usd: ArrayLike
) -> float | None:
    """The price of a generated token in a price list, derived from reported prices.

    A price list has a fee per request and a price for each kind of token. None where the prices
    follow none to a part in a million, or where other lengths would be as good with another price.

    Args:
        prompt_tokens: of each request, shape (n,), cached ones included.
        output_tokens: shape (n,).
        cached_tokens: shape (n,).
        usd: price of each request, shape (n,).
    """
    paid = numbers(usd, "usd")
    kinds = (numbers(t, "tokens") for t in (prompt_tokens, cached_tokens, output_tokens))
    centred = [kind - kind.mean() for kind in kinds]
    spreads = [float(np.abs(kind).max(initial=0.0)) for kind in centred]
    if spreads[2] == 0:
        return None
    varied = [kind / spread for kind, spread in zip(centred, spreads, strict=True) if spread > 0]
    design = np.stack([np.ones(len(paid)), *varied], axis=1)
    rank = np.linalg.matrix_rank(design)
    # As many prices as requests fit anything: at least one request must be left to disagree.
    if rank == np.linalg.matrix_rank(design[:, :-1]) or len(paid) <= rank:
        return None
    coefficients = np.linalg.lstsq(design, paid, rcond=None)[0]
    if np.abs(design @ coefficients - paid).max() > _PRICE_LIST_RATIO * np.abs(paid).max():
        return None
    return float(coefficients[-1] / spreads[2])


def per_correct(amount: ArrayLike, correct: ArrayLike) -> float:
    """Anything spent per correct answer: sum of amounts over sum of scores.

    Includes the share of wrong answers; inf if none is correct.

    Args:
        amount: device-seconds, joules, dollars or tokens of each sample, shape (n,).
        correct: score of each, shape (n,).

    Examples:
        >>> per_correct([120, 300, 80, 100], [1, 0, 1, 1])
        200.0
    """
    spent, right = numbers(amount, "amount"), numbers(correct, "correct", high=1)
    if spent.shape != right.shape or spent.size == 0:
        raise IsocostError(
            "every sample needs an amount and a score",
            where="per_correct",
            remedy="Leave unknown ones out of both",
        )
    return float(spent.sum() / right.sum()) if right.sum() > 0 else float("inf")
