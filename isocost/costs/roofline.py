"""Memory traffic and the roofline: what a device needs at least, and how close a measurement came.

Lives here: bytes of weights and KV cache, lower bounds of time and energy, MFU and MBU. Not here:
FLOP counts (`flops`).

A step takes at least the longer of moving its bytes and computing its FLOPs (they overlap
perfectly); their sum is the pessimistic model. Bounds rest on dense peaks: a measured MFU or MBU
above 1 means a wrong card or convention, not a fast engine.

Conventions as in `flops`: ``engine`` reads each multiplied weight once per step, the rows of an
untied input table not at all; ``parameters`` reads all active weights, as the papers'
back-of-envelope does.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from isocost.costs.checks import numbers, token_counts
from isocost.costs.flops import Convention, attended_positions, decode_flops, prefill_flops
from isocost.costs.model_cards import ModelCard
from isocost.costs.other_cards import DeviceCard
from isocost.errors import IsocostError


def active_experts(experts: float, chosen: float, tokens: ArrayLike) -> NDArray[np.float64]:
    """Experts that at least one of ``tokens`` uses under uniform independent routing.

    E (1 - ((E - K)/E)^t). MoESD, Huang et al. 2025 (arXiv 2505.19645).

    MoESD, Huang et al. 2025 (arXiv 2505.19645).
    """
    return experts * (1 - ((experts - chosen) / experts) ** numbers(tokens, "tokens"))


def weight_bytes(
    model: ModelCard, tokens: ArrayLike, *, convention: Convention = "engine"
) -> NDArray[np.float64]:
    """Bytes of weights that one step reads for a batch of ``tokens`` tokens, shape (...).

    Dense models read all multiplied weights whatever the batch; a mixture of experts reads the
    experts its tokens visit. A mean batch need not be whole.
    """
    batch = numbers(tokens, "tokens")
    outside = model.parameters_total - model.parameters_experts
    if convention == "engine":
        outside -= model.parameters_looked_up
    touched = np.full(batch.shape, float(outside))
    if model.experts_total and model.experts_active:
        visited = active_experts(model.experts_total, model.experts_active, batch)
        touched = touched + model.parameters_experts * visited / model.experts_total
    return touched * model.bytes_per_weight


def kv_read_bytes(model: ModelCard, context: ArrayLike) -> NDArray[np.float64]:
    """Bytes of KV cache one sequence reads in a step at ``context`` positions, shape (...).

    Kappa x t without windows.
    """
    positions = token_counts(context, "context")
    layer_positions = attended_positions(model, np.maximum(positions - 1, 0), positions)
    return 2.0 * model.kv_heads * model.head_size * model.bytes_per_kv_element * layer_positions


def _bound(
    byte_count: ArrayLike, flops: ArrayLike, device: DeviceCard, number_format: str, overlap: bool
) -> NDArray[np.float64]:
    memory, compute = (
        np.asarray(byte_count) / device.bandwidth(),
        np.asarray(flops) / device.peak(number_format),
    )
    return np.maximum(memory, compute) if overlap else memory + compute


def decode_step_bytes(
    model: ModelCard, batch: ArrayLike, context: ArrayLike, *, convention: Convention = "engine"
) -> NDArray[np.float64]:
    """Bytes one decode step moves.

    Weights once, plus each sequence's KV cache at ``context`` positions.
    """
    sequences = token_counts(batch, "batch")
    return weight_bytes(model, sequences, convention=convention) + sequences * kv_read_bytes(
        model, context
    )


def decode_step_seconds(
    model: ModelCard,
    device: DeviceCard,
    batch: ArrayLike,
    context: ArrayLike,
    *,
    number_format: str = "bfloat16",
    overlap: bool = True,
    convention: Convention = "engine",
) -> NDArray[np.float64]:
    """Least time of one decode step by the roofline.

    Args:
        model: the model card.
        device: the device card; one device.
        batch: sequences decoded together, shape (...), at least 1.
        context: positions each attends to, its own included, shape (...).
        number_format: format whose dense peak bounds the arithmetic.
        overlap: True: max of memory and compute time (a lower bound); False: their sum (no
            overlap).
        convention: see the module.

    Returns:
        Seconds, shape (...).

    Raises:
        IsocostError: the device's bandwidth or peak is unknown, or a batch below 1.

    Examples:
        >>> from isocost.costs import load_book
        >>> book = load_book()
        >>> model, device = book.model("llama-3-8b"), book.device("h200-sxm")
        >>> (decode_step_seconds(model, device, [1, 64], 2048) * 1e3).tolist()
        [3.182976, 6.706191]
    """
    sequences = token_counts(batch, "batch")
    if np.any(sequences < 1):
        raise IsocostError("a decode step needs at least one sequence", where="argument batch")
    traffic = decode_step_bytes(model, sequences, context, convention=convention)
    return _bound(
        traffic,
        sequences * decode_flops(model, context, convention=convention),
        device,
        number_format,
        overlap,
    )


def prefill_seconds(
    model: ModelCard,
    device: DeviceCard,
    prompt_tokens: ArrayLike,
    *,
    number_format: str = "bfloat16",
    overlap: bool = True,
    convention: Convention = "engine",
) -> NDArray[np.float64]:
    """Minimum time to the first token of one prompt.

    Weights read once, its KV written once, its FLOPs computed.

    Args and errors as `decode_step_seconds`.

    Returns:
        Seconds, shape (...).
    """
    prompt = token_counts(prompt_tokens, "prompt_tokens")
    traffic = weight_bytes(model, prompt, convention=convention) + model.kv_bytes_per_token * prompt
    return _bound(
        traffic, prefill_flops(model, prompt, convention=convention), device, number_format, overlap
    )


def request_seconds(
    model: ModelCard,
    device: DeviceCard,
    prompt_tokens: ArrayLike,
    output_tokens: ArrayLike,
    *,
    batch: int = 1,
    number_format: str = "bfloat16",
    convention: Convention = "engine",
) -> NDArray[np.float64]:
    """Minimum latency of requests: prefill, then one step per further token.

    Each step runs together with ``batch`` - 1 equal sequences.

    Args:
        model: the model card.
        device: the device card.
        prompt_tokens: shape (...).
        output_tokens: shape (...).
        batch: sequences decoded together at each step.
        number_format: see `decode_step_seconds`.
        convention: see the module.

    Returns:
        Seconds, shape (...).

    Examples:
        >>> from isocost.costs import load_book
        >>> book = load_book()
        >>> request_seconds(book.model("llama-3-8b"), book.device("h200-sxm"), 2048, 1000).item()
        3.223437
    """
    prompt, output = np.broadcast_arrays(
        token_counts(prompt_tokens, "prompt_tokens"), token_counts(output_tokens, "output_tokens")
    )
    first = prefill_seconds(
        model, device, prompt, number_format=number_format, convention=convention
    )
    # One running sum over contexts serves all requests: step i of a request attends to p + i
    # positions.
    last = (prompt + np.maximum(output - 1, 0)).astype(np.int64)
    contexts = np.arange(1, int(last.max(initial=0)) + 1)
    steps = decode_step_seconds(
        model, device, batch, contexts, number_format=number_format, convention=convention
    )
    until = np.concatenate(([0.0], np.cumsum(steps)))
    return first + until[last] - until[prompt.astype(np.int64)]


def kv_traffic_bytes(
    model: ModelCard, prompt_tokens: ArrayLike, output_tokens: ArrayLike
) -> NDArray[np.float64]:
    """KV cache traffic of requests.

    Each position's keys and values are written once, and read by every later decode step.

    A cached prompt costs as much as a computed one: its keys and values are read once in prefill
    where they are not written.

    Args:
        model: the model card.
        prompt_tokens: shape (...).
        output_tokens: shape (...).

    Returns:
        Bytes, shape (...); of the request itself, regardless of what runs concurrently.

    Examples:
        >>> from isocost.costs import load_book
        >>> kv_traffic_bytes(load_book().model("llama-3-8b"), 2048, 1).item()
        268435456.0
    """
    prompt, output = (
        token_counts(prompt_tokens, "prompt_tokens"),
        token_counts(output_tokens, "output_tokens"),
    )
    steps = np.maximum(output - 1, 0)
    read = (
        2.0
        * model.kv_heads
        * model.head_size
        * model.bytes_per_kv_element
        * attended_positions(model, prompt, prompt + steps)
    )
    return read + model.kv_bytes_per_token * (prompt + steps)


def weight_traffic_bytes(
    model: ModelCard,
    prompt_tokens: ArrayLike,
    output_tokens: ArrayLike,
    *,
    cached_tokens: ArrayLike = 0,
    batch: float = 1.0,
) -> NDArray[np.float64]:
    """A request's share of the weights read.

    All of its prefill's, and 1 / ``batch`` of each of its decode steps'.

    Args:
        model: the model card.
        prompt_tokens: shape (...).
        output_tokens: shape (...).
        cached_tokens: prompt tokens taken from a cache, shape (...); only a mixture of experts
            reads fewer weights for them.
        batch: sequences that share a decode step, on average.

    Returns:
        Bytes, shape (...). Summed over the requests of a batch they equal what its decode steps
        read; prefills that ran in one step are counted separately, so the prefill's part is an
        upper bound.
    """
    prompt, output = (
        token_counts(prompt_tokens, "prompt_tokens"),
        token_counts(output_tokens, "output_tokens"),
    )
    computed = np.maximum(prompt - token_counts(cached_tokens, "cached_tokens"), 1)
    return (
        weight_bytes(model, computed)
        + np.maximum(output - 1, 0) * weight_bytes(model, np.asarray(batch)) / batch
    )


def request_bytes(
    model: ModelCard, prompt_tokens: ArrayLike, output_tokens: ArrayLike, *, batch: float = 1.0
) -> NDArray[np.float64]:
    """Memory traffic of requests: `weight_traffic_bytes` and `kv_traffic_bytes` together.

    Returns:
        Bytes, shape (...): the request's share of the weights of its prefill and each decode step,
        plus its own KV traffic.
    """
    weights = weight_traffic_bytes(model, prompt_tokens, output_tokens, batch=batch)
    return weights + kv_traffic_bytes(model, prompt_tokens, output_tokens)


def critical_batch(
    model: ModelCard, device: DeviceCard, *, number_format: str = "bfloat16"
) -> float:
    """Batch at which reading the weights takes as long as multiplying with them.

    Peak x bytes_per_weight / (2 bandwidth).

    Examples:
        >>> from isocost.costs import load_book
        >>> book = load_book()
        >>> critical_batch(book.model("llama-3-8b"), book.device("h200-sxm"))
        206.145833
    """
    return device.intensity(number_format) * model.bytes_per_weight / 2


def mfu(
    flops: ArrayLike,
    seconds: ArrayLike,
    device: DeviceCard,
    *,
    devices: int = 1,
    number_format: str = "bfloat16",
) -> NDArray[np.float64]:
    """Model FLOPs utilisation.

    Model FLOPs over time x dense peak; recomputation and padding do not count (Chowdhery et al.
    2022).

    Examples:
        >>> from isocost.costs import load_book
        >>> mfu(1.7133741824e10, 0.005, load_book().device("h200-sxm")).item()
        0.003463
    """
    return _per_second(flops, seconds) / (device.peak(number_format) * devices)


def mbu(
    byte_count: ArrayLike, seconds: ArrayLike, device: DeviceCard, *, devices: int = 1
) -> NDArray[np.float64]:
    """Model bandwidth utilisation.

    (weights + KV read) over time x bandwidth; for one step, time is the time per output token.

    Examples:
        >>> from isocost.costs import load_book
        >>> mbu(1.6328e10, 0.005, load_book().device("h200-sxm")).item()
        0.680333
    """
    return _per_second(byte_count, seconds) / (device.bandwidth() * devices)


def _per_second(amount: ArrayLike, seconds: ArrayLike) -> NDArray[np.float64]:
    elapsed = numbers(seconds, "seconds")
    if np.any(elapsed <= 0):
        raise IsocostError("a utilisation needs a positive time", where="argument seconds")
    return numbers(amount, "amount") / elapsed


def energy_lower_bound_j(
    flops: ArrayLike,
    byte_count: ArrayLike,
    seconds: ArrayLike,
    *,
    joules_per_flop: float,
    joules_per_byte: float,
    watts_static: float,
) -> NDArray[np.float64]:
    """Least energy.

    Arithmetic, traffic and static power; the three coefficients come from a fit to measured
    windows.
    """
    return (
        joules_per_flop * numbers(flops, "flops")
        + joules_per_byte * numbers(byte_count, "byte_count")
        + watts_static * numbers(seconds, "seconds")
    )


def energy_cap_j(
    device: DeviceCard, seconds: ArrayLike, *, devices: int = 1
) -> NDArray[np.float64]:
    """Most energy: power limit x time.

    Raises:
        IsocostError: the card has no power limit.

    Examples:
        >>> from isocost.costs import load_book
        >>> energy_cap_j(load_book().device("h200-sxm"), 2.0).item()
        1400.0
    """
    if device.power_limit_w is None:
        raise IsocostError(
            "no power limit is known",
            where=f"device card {device.name}, power_limit_w",
            remedy="Add it to a devices.yaml of your own",
        )
    return device.power_limit_w * devices * numbers(seconds, "seconds")
