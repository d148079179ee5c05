"""Kinetics eFLOPs: arithmetic and memory traffic of test-time scaling in one number.

Lives here: the cost law of Sadhukhan et al. 2025, "Kinetics: Rethinking Test-Time Scaling Laws"
(arXiv 2506.05333), and two labelled extensions. Not here: bare FLOPs (`flops`).

The law leaves out prefill FLOPs and reads of the weights (taken as amortised over a large batch);
both can be added, and then the number carries another method name. The intensity is always
explicit: the paper's 562.5 FLOP per byte pairs the sparse peak of a B200 with its bandwidth; its
dense bfloat16 peak gives 281.25.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from isocost.costs.checks import numbers, token_counts
from isocost.costs.model_cards import ModelCard
from isocost.errors import IsocostError

KINETICS_METHOD = "kinetics_2506.05333"
KINETICS_EXTENDED_METHOD = "kinetics_with_prefill_and_weights"


@dataclass(frozen=True, slots=True)
class KineticsTerms:
    """The parts of the cost in FLOPs, each of the broadcast shape of the arguments.

    Attributes:
        linear: 2 N P L_out.
        attention: 2 r N L_in D L_out + r N D L_out^2.
        memory: intensity x bytes of KV cache read.
        prefill: 2 P L_in + r D L_in^2, 0 unless requested.
        weights: intensity x bytes of weights read, 0 unless requested.
    """

    linear: NDArray[np.float64]
    attention: NDArray[np.float64]
    memory: NDArray[np.float64]
    prefill: NDArray[np.float64]
    weights: NDArray[np.float64]

    @property
    def total(self) -> NDArray[np.float64]:
        """Sum of the parts."""
        return self.linear + self.attention + self.memory + self.prefill + self.weights


def kinetics_terms(
    model: ModelCard,
    prompt_tokens: ArrayLike,
    output_tokens: ArrayLike,
    trials: ArrayLike,
    intensity: float,
    *,
    is_prompt_shared: bool = True,
    decode_batch: float | None = None,
    with_prefill: bool = False,
) -> KineticsTerms:
    """The parts of `kinetics_eflops`.

    Args:
        model: the model card; P is its active parameters.
        prompt_tokens: L_in, shape (...).
        output_tokens: L_out of one trial, shape (...).
        trials: N generations of each prompt, shape (...).
        intensity: FLOPs per byte that weigh memory traffic, for example `DeviceCard.intensity`.
        is_prompt_shared: whether the N trials read the prompt's KV cache in one pass.
        decode_batch: sequences that share a read of the weights; None leaves the weights out, as
            the paper does.
        with_prefill: adds the prefill, once if the prompt is shared, else N times.

    Returns:
        The terms, in FLOPs.
    """
    p, o = (
        token_counts(prompt_tokens, "prompt_tokens"),
        token_counts(output_tokens, "output_tokens"),
    )
    n = numbers(trials, "trials")
    weight = float(numbers(intensity, "intensity"))
    if decode_batch is not None and not decode_batch >= 1:
        raise IsocostError(
            "a decode batch has at least one sequence", where="argument decode_batch"
        )
    elements, ratio, active = (
        float(model.kv_elements_per_token),
        model.queries_per_kv_head,
        float(model.parameters_active),
    )
    prompts_read = np.where(n > 0, 1.0, 0.0) if is_prompt_shared else n  # no trial reads nothing
    kv_bytes = model.bytes_per_kv_element * elements * (prompts_read * p * o + n * o**2 / 2)
    zero = np.zeros(np.broadcast_shapes(p.shape, o.shape, n.shape))
    prefill = prompts_read * (2 * active * p + ratio * elements * p**2) if with_prefill else zero
    weights = (
        weight * model.bytes_per_weight * active * n * o / decode_batch
        if decode_batch is not None
        else zero
    )
    return KineticsTerms(
        linear=2 * n * active * o,
        attention=2 * ratio * n * p * elements * o + ratio * n * elements * o**2,
        memory=weight * kv_bytes,
        prefill=prefill,
        weights=weights,
    )


def kinetics_eflops(
    model: ModelCard,
    prompt_tokens: ArrayLike,
    output_tokens: ArrayLike,
    trials: ArrayLike,
    intensity: float,
) -> NDArray[np.float64]:
    """EFLOPs of N trials: C_comp + I x C_mem, as the paper defines it.

    2 N P L_out + (2 r N L_in D L_out + r N D L_out^2) + I x (2 L_in D L_out + N D L_out^2), the
    last bracket at 2 bytes per KV element. The cost is not linear in length: average it over
    samples, never put in a mean length.

    Args:
        model: the model card.
        prompt_tokens: L_in, shape (...).
        output_tokens: L_out, shape (...).
        trials: N, shape (...).
        intensity: I in FLOP per byte; 0 leaves the arithmetic alone.

    Returns:
        eFLOPs, shape (...).

    Examples:
        >>> from isocost.costs import load_book
        >>> model = load_book().model("qwen3-8b")
        >>> (kinetics_eflops(model, 200, 10_000, [1, 8], 562.5) / 1e12).tolist()
        [4507.573555, 34899.372442]
    """
    return kinetics_terms(model, prompt_tokens, output_tokens, trials, intensity).total


def kinetics_shared_eflops(
    model: ModelCard, prompt_tokens: ArrayLike, output_tokens: ArrayLike, intensity: float
) -> NDArray[np.float64]:
    """The eFLOPs that N trials of one prompt share: reading the prompt's KV cache.

    I x 2 L_in D L_out.

    With t = `kinetics_eflops` of one trial and s this part, N trials of mean cost E[t] cost N (E[t]
    - E[s]) + E[s]: the mean over a bank of the paper's cost of N trials.

    Args:
        model: the model card.
        prompt_tokens: L_in, shape (...).
        output_tokens: L_out, shape (...).
        intensity: I in FLOP per byte.

    Returns:
        eFLOPs, shape (...).
    """
    p, o = (
        token_counts(prompt_tokens, "prompt_tokens"),
        token_counts(output_tokens, "output_tokens"),
    )
    weight = float(numbers(intensity, "intensity"))
    return weight * model.bytes_per_kv_element * float(model.kv_elements_per_token) * p * o
