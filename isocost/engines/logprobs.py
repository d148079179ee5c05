"""Statistics of a completion's log-probabilities, computed before they are banked.

Lives here: sums, entropy bounds, the self-certainty bound and DeepConf's window confidences,
vectorised over tokens. Not here: how an engine delivers them, and the strategies that vote with
them.

Sources: entropy and self-certainty bounds from the top K alone follow by concavity of the
logarithm, with the unseen mass r spread over the other V - K tokens; self-certainty is Kang et al.
2025 (2502.18581); token confidence, groups, tail and bottom tenth are Fu et al. 2025 (DeepConf,
2508.15260).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DEEPCONF_WINDOW = 2048
_ROUNDING = 1e-6
"""Float32 rounding of a sum of probabilities: a smaller unseen mass is indistinguishable from zero.
"""


@dataclass(frozen=True, slots=True)
class TokenLogprobs:
    """Log-probabilities of one completion.

    Attributes:
        sampled: ln p of each generated token, shape (T,).
        top: ln p of the K most likely tokens of each position, shape (T, K); K may be 0.
        vocabulary: vocabulary size V; None if the engine does not report it.
    """

    sampled: NDArray[np.float64]
    top: NDArray[np.float64]
    vocabulary: int | None


@dataclass(frozen=True, slots=True)
class LogprobStatistics:
    """The columns of raw_generations of the same names; None if unknown."""

    logprob_sum: float | None
    logprob_top1_mean: float | None
    tail_mass_sum: float | None
    entropy_low_sum: float | None
    entropy_high_sum: float | None
    self_certainty_low_sum: float | None
    confidence_sum: float | None
    confidence_tail: float | None
    confidence_lowest_group: float | None
    confidence_bottom_tenth: float | None
    token_confidences: NDArray[np.float32] | None


def statistics(logprobs: TokenLogprobs, *, window: int = DEEPCONF_WINDOW) -> LogprobStatistics:
    """Statistics of one completion.

    Args:
        logprobs: T tokens with their top K.
        window: tokens of DeepConf's sliding window; a completion shorter than it counts as one
            window.

    Returns:
        Sums over tokens in nats. Statistics that need tokens or K > 0 are None otherwise; so is a
        value that is not finite.
    """
    tokens, k = logprobs.top.shape
    total = _finite(math.fsum(logprobs.sampled)) if len(logprobs.sampled) else None
    if tokens == 0 or k == 0:
        return LogprobStatistics(total, *[None] * 10)
    top = logprobs.top.astype(np.float64, copy=False)
    p = np.exp(top)
    tail = np.clip(1.0 - p.sum(axis=1), 0.0, 1.0)
    low, high = entropy_bounds(top, logprobs.vocabulary)
    certainty = self_certainty_low(top, logprobs.vocabulary)
    confidence = token_confidence(top)
    means = window_means(confidence, window)
    return LogprobStatistics(
        logprob_sum=total,
        logprob_top1_mean=_finite(float(top[:, 0].mean())),
        tail_mass_sum=_finite(float(tail.sum())),
        entropy_low_sum=_finite(float(low.sum())),
        entropy_high_sum=None if high is None else _finite(float(high.sum())),
        self_certainty_low_sum=None if certainty is None else _finite(float(certainty.sum())),
        confidence_sum=_finite(float(confidence.sum())),
        confidence_tail=_finite(float(confidence[-window:].mean())),
        confidence_lowest_group=_finite(float(means.min())),
        confidence_bottom_tenth=_finite(bottom_tenth(means)),
        token_confidences=confidence.astype(np.float32)
        if bool(np.isfinite(confidence).all())
        else None,
    )


def entropy_bounds(
    top: NDArray[np.float64], vocabulary: int | None
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Bounds of each position's entropy from its top K.

    H_top - r ln r <= H <= H_top - r ln(r / (V - K)).

    Args:
        top: ln p, shape (T, K).
        vocabulary: V; no upper bound without it.

    Returns:
        Lower bounds and upper bounds in nats, shape (T,).
    """
    p = np.exp(top)
    seen = -np.where(p > 0, p * np.where(p > 0, top, 0.0), 0.0).sum(axis=1)
    rest = np.clip(1.0 - p.sum(axis=1), 0.0, 1.0)
    log_rest = np.log(np.where(rest > 0, rest, 1.0))
    low = seen - rest * log_rest
    if vocabulary is None:
        return low, None
    others = vocabulary - top.shape[1]
    return low, low + rest * math.log(others) if others > 0 else low


def self_certainty_low(
    top: NDArray[np.float64], vocabulary: int | None
) -> NDArray[np.float64] | None:
    """Lower bound of each position's self-certainty KL(uniform || p) from its top K.

    -(1/V) [sum of top ln p + (V - K) ln(r / (V - K))] - ln V. An unseen mass below float32 rounding
    is raised to it, which lowers the bound and so keeps it valid.

    Args:
        top: ln p, shape (T, K).
        vocabulary: V; no bound without it.
    """
    if vocabulary is None:
        return None
    others = vocabulary - top.shape[1]
    inner = top.sum(axis=1)
    if others > 0:
        rest = np.maximum(1.0 - np.exp(top).sum(axis=1), _ROUNDING)
        inner = inner + others * np.log(rest / others)
    return -inner / vocabulary - math.log(vocabulary)


def token_confidence(top: NDArray[np.float64]) -> NDArray[np.float64]:
    """DeepConf's C of each position: minus the mean ln p of exactly the top K; shape (T,)."""
    return -top.mean(axis=1)


def window_means(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """Means of every full window of consecutive values, stride 1.

    The mean of all values if there are fewer than `window`.
    """
    if len(values) <= window:
        return values.mean(keepdims=True)
    sums = np.cumsum(np.concatenate(([0.0], values)))
    return (sums[window:] - sums[:-window]) / window


def bottom_tenth(means: NDArray[np.float64]) -> float:
    """Mean of the lowest tenth of window means, at least one."""
    count = max(1, int(0.1 * len(means)))
    return float(np.partition(means, count - 1)[:count].mean())


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
