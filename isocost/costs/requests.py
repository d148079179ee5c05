"""Request-level efficiency: what a served request costs in time, whatever its length.

Lives here: requests per second, correct answers per second, comparison at matched accuracy, latency
summaries. Not here: runtime as a function of length (`runtime`).

Tokens per second do not compare variants that answer at different lengths; requests per second do
(NVIDIA 2026, "Extending Puzzle to gpt-oss").
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from isocost.costs.checks import numbers
from isocost.errors import IsocostError


def requests_per_second(
    tokens_per_s: ArrayLike, tokens_per_request: ArrayLike
) -> NDArray[np.float64]:
    """Throughput in requests: (tokens/s) / (mean tokens per request), shape (...).

    Examples:
        >>> requests_per_second([1000, 1630], [800, 900]).tolist()
        [1.25, 1.811111]
    """
    mean = numbers(tokens_per_request, "tokens_per_request")
    if np.any(mean <= 0):
        raise IsocostError(
            "requests need a positive mean length", where="argument tokens_per_request"
        )
    return numbers(tokens_per_s, "tokens_per_s") / mean


def correct_per_second(
    tokens_per_s: ArrayLike, tokens_per_request: ArrayLike, accuracy: ArrayLike
) -> NDArray[np.float64]:
    """Goodput in correct answers: requests per second x accuracy, shape (...).

    Examples:
        >>> correct_per_second([1000, 1630], [800, 900], [0.6, 0.61]).tolist()
        [0.75, 1.104778]
    """
    return requests_per_second(tokens_per_s, tokens_per_request) * numbers(
        accuracy, "accuracy", high=1
    )


def speedup_at_accuracy(
    requests_a: ArrayLike,
    accuracy_a: ArrayLike,
    requests_b: ArrayLike,
    accuracy_b: ArrayLike,
    accuracy: float,
) -> float:
    """Ratio of requests that B and A serve at equal accuracy.

    Interpolated along each variant's efforts.

    Args:
        requests_a: requests/s of A at each effort, shape (a,).
        accuracy_a: accuracy of A there, shape (a,).
        requests_b: the same for B, shape (b,).
        accuracy_b: the same for B, shape (b,).
        accuracy: the accuracy to compare at.

    Returns:
        B over A; NaN where one of them was not measured on both sides of that accuracy (nothing is
        extrapolated).

    Examples:
        >>> speedup_at_accuracy([1.25, 0.5], [0.6, 0.75], [1.811111, 0.626923], [0.61, 0.755], 0.7)
        1.434797
    """
    rates = []
    for rate, level in ((requests_a, accuracy_a), (requests_b, accuracy_b)):
        x, y = numbers(level, "accuracy", high=1), numbers(rate, "requests")
        order = np.argsort(x, kind="stable")
        if x.shape != y.shape or x.size == 0 or not x.min() <= accuracy <= x.max():
            return float("nan")
        rates.append(float(np.interp(accuracy, x[order], y[order])))
    return rates[1] / rates[0] if rates[0] > 0 else float("nan")


QUANTILES = (0.25, 0.5, 0.75, 0.9, 0.95, 0.99)


def latency_summary(seconds: ArrayLike) -> dict[str, float]:
    """Summary of latencies as reported by serving benchmarks.

    Mean, extremes, sample standard deviation and linear-interpolated quantiles.

    Args:
        seconds: latencies of requests that succeeded, shape (n,); a failed request has no latency,
            and not 0.

    Returns:
        ``mean``, ``min``, ``max``, ``stddev`` (ddof 1; NaN for one request), ``p25``, ``p50``, ...
        by `QUANTILES`.

    Examples:
        >>> latency_summary([1.0, 2.0, 3.0, 4.0])["p90"]
        3.7
    """
    values = numbers(seconds, "seconds")
    if values.size == 0:
        raise IsocostError("a summary needs at least one request", where="argument seconds")
    summary = {
        f"p{round(q * 100)}": float(v)
        for q, v in zip(QUANTILES, np.quantile(values, QUANTILES), strict=True)
    }
    spread = float(values.std(ddof=1)) if values.size > 1 else float("nan")
    return {
        "mean": float(values.mean()),
        "min": float(values.min()),
        "max": float(values.max()),
        "stddev": spread,
    } | summary
