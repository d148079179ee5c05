"""FLOPs of a forward pass: prefill, decode, whole requests.

Lives here: the analytic counts, vectorised over requests. Not here: bytes and seconds (`roofline`),
the combined eFLOPs of Kinetics (`kinetics`).

Conventions. A multiply-accumulate is two FLOPs. The last sampled token is never fed back, so a
request with p prompt and o output tokens processes n = p + o - 1 positions (n = p when o = 0);
position t attends to t positions, itself included.

- ``engine`` (default, column value ``engine_forward``): what an inference engine computes. Every
  processed position is multiplied with the body's weights; the output projection runs once per
  sampled token only, not over the prompt.
- ``parameters``: the papers' 2 N per processed token with N all active weights, embeddings
  included.

Both add attention, 4 x layers x query_heads x head_size x (sum of attended positions), after Kaplan
et al. 2020 with the causal half counted exactly; layers with windowed attention attend to at most
the window.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from isocost.costs.checks import token_counts
from isocost.costs.model_cards import ModelCard
from isocost.errors import IsocostError

Convention = Literal["engine", "parameters"]
FLOPS_METHOD = "engine_forward"
"""Value of the column flops_method for `forward_flops` in its default convention."""


def attended_positions(model: ModelCard, first: ArrayLike, last: ArrayLike) -> NDArray[np.float64]:
    """Sum over layers of the positions attended to by positions ``first + 1 .. last``.

    Args:
        model: the card; windowed layers attend to ``min(t, window_tokens)``.
        first: positions already processed (cached), shape (...).
        last: positions processed in the end, shape (...), not below ``first``.

    Returns:
        Layer-positions, shape (...); layers x (last(last+1) - first(first+1)) / 2 without windows.
    """
    first, last = np.asarray(first, dtype=np.float64), np.asarray(last, dtype=np.float64)

    def triangle(n: NDArray[np.float64]) -> NDArray[np.float64]:
        return n * (n + 1) / 2

    full = triangle(last) - triangle(first)
    if not model.layers_windowed:
        return model.layers * full
    window = float(model.window_tokens or 0)

    def capped(n: NDArray[np.float64]) -> NDArray[np.float64]:
        return triangle(np.minimum(n, window)) + window * np.maximum(n - window, 0)

    return (model.layers - model.layers_windowed) * full + model.layers_windowed * (
        capped(last) - capped(first)
    )


def _attention_flops(model: ModelCard, first: ArrayLike, last: ArrayLike) -> NDArray[np.float64]:
    return 4.0 * model.query_heads * model.head_size * attended_positions(model, first, last)


def _check(convention: str) -> None:
    if convention not in ("engine", "parameters"):
        raise IsocostError(
            f"unknown FLOP convention {convention!r}",
            where="argument convention",
            remedy="Use 'engine' or 'parameters'",
        )


def forward_flops(
    model: ModelCard,
    prompt_tokens: ArrayLike,
    output_tokens: ArrayLike,
    *,
    cached_tokens: ArrayLike = 0,
    convention: Convention = "engine",
) -> NDArray[np.float64]:
    """FLOPs of generating ``output_tokens`` after ``prompt_tokens``, prefill included.

    Args:
        model: the card; a mixture of experts counts its active weights.
        prompt_tokens: prompt length p, shape (...), whole and >= 0.
        output_tokens: generated length o, shape (...), broadcast against p; 0 counts the bare
            prefill.
        cached_tokens: prompt tokens whose keys and values were found in a cache, shape (...), at
            most p; they are not multiplied again, but later positions still attend to them.
        convention: see the module.

    Returns:
        FLOPs of each request, shape (...), float64.

    Raises:
        IsocostError: negative or fractional tokens, more cached than prompt tokens, unknown
            convention.

    Examples:
        >>> from isocost.costs import load_book
        >>> forward_flops(load_book().model("llama-3-8b"), 2048, 100).item()
        31284362764288.0
    """
    _check(convention)
    prompt, output = (
        token_counts(prompt_tokens, "prompt_tokens"),
        token_counts(output_tokens, "output_tokens"),
    )
    cached = token_counts(cached_tokens, "cached_tokens")
    if np.any(cached > prompt):
        raise IsocostError(
            "more cached tokens than prompt tokens",
            where="argument cached_tokens",
            remedy="Check which is which",
        )
    positions = prompt + np.maximum(output - 1, 0)
    attention = _attention_flops(model, cached, positions)
    if convention == "parameters":
        return 2.0 * model.parameters_active * (positions - cached) + attention
    return (
        2.0 * model.parameters_body * (positions - cached)
        + 2.0 * model.parameters_logits * output
        + attention
    )


def prefill_flops(
    model: ModelCard,
    prompt_tokens: ArrayLike,
    *,
    cached_tokens: ArrayLike = 0,
    convention: Convention = "engine",
) -> NDArray[np.float64]:
    """FLOPs up to and including the first sampled token: `forward_flops` at one output token.

    Under ``parameters`` this is 2 N s + 4 L n_q d s(s+1)/2 for s prompt tokens.

    Examples:
        >>> from isocost.costs import load_book
        >>> prefill_flops(load_book().model("llama-3-8b"), 2048).item()
        29689492013056.0
    """
    return forward_flops(
        model, prompt_tokens, 1, cached_tokens=cached_tokens, convention=convention
    )


def decode_flops(
    model: ModelCard, context: ArrayLike, *, convention: Convention = "engine"
) -> NDArray[np.float64]:
    """FLOPs of one decode step of a sequence that attends to ``context`` positions.

    Its own position is included.

    Args:
        model: the card.
        context: attended positions t >= 1, shape (...).
        convention: see the module.

    Returns:
        FLOPs, shape (...): 2 N + 4 L n_q d t.

    Examples:
        >>> from isocost.costs import load_book
        >>> decode_flops(load_book().model("llama-3-8b"), 2048).item()
        16083591168.0
    """
    _check(convention)
    positions = token_counts(context, "context")
    weights = (
        model.parameters_active
        if convention == "parameters"
        else model.parameters_body + model.parameters_logits
    )
    return 2.0 * weights + _attention_flops(model, np.maximum(positions - 1, 0), positions)


def megatron_flops(
    tokens: ArrayLike,
    hidden_size: float,
    layers: float,
    vocabulary: float,
    *,
    logits_divisor: float = 12.0,
) -> NDArray[np.float64]:
    """FLOPs of a forward pass by the formula of HELM's efficiency study.

    24 s h^2 L (1 + s/(6h) + V/(d L h)).

    For comparison with published numbers only: classic multi-head layers, no causal discount,
    logits at every position.

    Args:
        tokens: sequence length s, shape (...).
        hidden_size: h.
        layers: L.
        vocabulary: V.
        logits_divisor: d; 12 counts logits as 2 s h V, the published notebook's 16 as 1.5 s h V (it
            quarters the training formula).

    Returns:
        FLOPs, shape (...).
    """
    s = token_counts(tokens, "tokens")
    per_layer = 24.0 * s * hidden_size**2 * layers
    return per_layer * (
        1 + s / (6 * hidden_size) + vocabulary / (logits_divisor * layers * hidden_size)
    )
