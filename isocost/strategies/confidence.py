"""Confidence of a trace from its token log-probabilities, and DeepConf's online early stop.

Lives here: group confidence over a sliding window and what is derived from it (Fu et al. 2025), the threshold from warm-up
traces, the online replay. Not here: the offline filtered vote (subsets.py) and the scores' place in a bank (the tables).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from isocost.errors import IsocostError
from isocost.strategies.adaptive import MISS
from isocost.strategies.shapes import Floats, read_like, refuse_nan
from isocost.strategies.subsets import sample_classes


class TraceConfidence(NamedTuple):
    """Confidences of one trace, in nats: windows, and the four summaries of the paper."""

    windows: Floats
    mean: float
    tail: float
    bottom_tenth: float
    lowest_group: float


def trace_confidence(token_confidence: ArrayLike, window: int = 2048, tail: int | None = None) -> TraceConfidence:
    """Sliding-window means (stride 1) of the token confidences C_t, and mean, tail, bottom 10 % and lowest group.

    A trace shorter than the window has one group: its plain mean. ``tail`` tokens (the window where not given) end the trace.
    """
    values = np.asarray(token_confidence, dtype=np.float64)
    if values.ndim != 1 or values.size == 0 or not np.all(np.isfinite(values)) or window < 1:
        raise IsocostError("expected a flat, non-empty, finite vector and a window of at least 1", where="token_confidence")
    if len(values) < window:
        windows = np.array([values.mean()])
    else:
        total = np.concatenate([[0.0], np.cumsum(values)])
        windows = (total[window:] - total[:-window]) / window
    lowest = np.sort(windows)[: max(1, int(0.1 * len(windows)))]
    end = values[-(window if tail is None else tail) :]
    return TraceConfidence(windows, float(values.mean()), float(end.mean()), float(lowest.mean()), float(windows.min()))


def confidence_threshold(confidences: ArrayLike, keep: float) -> float:
    """Threshold that keeps about this share of traces: the linear percentile 100 (1 - keep)."""
    if not 0 < keep <= 1:
        raise IsocostError(f"the share kept must lie in (0, 1], got {keep}", where="keep")
    return float(np.percentile(np.asarray(confidences, dtype=np.float64), 100 * (1 - keep)))


class OnlineResult(NamedTuple):
    """DeepConf online, averaged over random orders.

    Attributes:
        accuracy: expected correctness, (problems,).
        cut: expected number of traces stopped early, (problems,).
        tokens: expected generated tokens, (problems,); NaN where cut traces' crossings are not given.
        error_bound: Hoeffding bound of accuracy's sampling error, exceeded with a chance of at most 0.05.
    """

    accuracy: Floats
    cut: Floats
    tokens: Floats
    error_bound: float


def deepconf_online(
    classes: ArrayLike,
    lowest_group: ArrayLike,
    correct: ArrayLike,
    budget: int,
    *,
    warmup: int = 16,
    keep: float = 0.9,
    tokens: ArrayLike | None = None,
    running_minima: ArrayLike | None = None,
    window: int = 2048,
    orders: int = 256,
    seed: int = 0,
    keys: ArrayLike | None = None,
) -> OnlineResult:
    """DeepConf online: a threshold from warm-up traces, later traces are cut once a full window falls below it, the rest vote.

    Warm-up traces run to their end; of all traces only those at or above the threshold vote, weighted by their lowest group
    confidence. Random orders of the bank stand for the order of generation.

    Args:
        classes: class number of each sample, one row or (problems, samples); -1 for no answer.
        lowest_group: lowest full-window confidence of each sample, same shape.
        correct: class number a problem, or mask or value a sample or a class.
        budget: traces started, warm-up included.
        warmup: traces that set the threshold, 16 in the paper.
        keep: share of warm-ups at or above the threshold, 0.9 (0.1 for the aggressive variant).
        tokens: generated tokens of each whole sample.
        running_minima: (problems, samples, windows) smallest window mean so far, padded by repeating the last; with it the token
            at which a trace is cut is known: the crossing window's index + ``window``.
        window: tokens in a window.
        orders: random orders.
        seed: of the orders.
        keys: seed each problem apart from its position.

    Returns:
        `OnlineResult`; NaN where the bank has fewer than ``budget`` samples.

    Raises:
        IsocostError: for a budget below the warm-up, or NaN confidences.
    """
    groups, values, one_row = sample_classes(classes, correct)
    lowest = read_like("lowest_group", lowest_group, groups.shape)
    refuse_nan("lowest_group", lowest, np.ones(groups.shape, dtype=np.bool_), "The window minimum of every trace must be banked.")
    if not 1 <= warmup <= budget:
        raise IsocostError(f"warm-up {warmup} does not fit into a budget of {budget}", where="warmup")
    spent = None if tokens is None else read_like("tokens", tokens, groups.shape)
    minima = None if running_minima is None else np.asarray(running_minima, dtype=np.float64).reshape(*groups.shape, -1)
    seeds = np.arange(len(groups)) if keys is None else np.asarray(keys)
    accuracy, cut, used = np.full((3, len(groups)), np.nan)
    n = groups.shape[1]
    if budget <= n:
        for row in range(len(groups)):
            rng = np.random.default_rng([seed, int(seeds[row])])
            drawn = rng.permuted(np.tile(np.arange(n), (orders, 1)), axis=1)[:, :budget]
            bars = np.percentile(lowest[row][drawn[:, :warmup]], 100 * (1 - keep), axis=1)
            below = lowest[row][drawn] < bars[:, None]
            accuracy[row] = _online_vote(groups[row][drawn], np.where(below, -1.0, lowest[row][drawn]), values[row])
            below[:, :warmup] = False
            cut[row] = below.sum(axis=1).mean()
            used[row] = _online_tokens(
                drawn, below, bars, None if spent is None else spent[row], None if minima is None else minima[row], window
            )
    bound = float(np.sqrt(np.log(2 / MISS) / (2 * orders)))
    if one_row:
        return OnlineResult(accuracy[0], cut[0], used[0], bound)
    return OnlineResult(accuracy, cut, used, bound)


def _online_vote(classes: np.ndarray, weights: Floats, values: Floats) -> float:
    """Mean value of the heaviest class over orders; weight -1 does not vote."""
    width = len(values)
    voting = (weights >= 0) & (classes >= 0)
    place = np.arange(len(classes))[:, None] * width + np.where(voting, classes, 0)
    sums = np.bincount(place[voting], weights=weights[voting], minlength=len(classes) * width).reshape(-1, width)
    present = np.bincount(place[voting], minlength=len(classes) * width).reshape(-1, width) > 0
    top = np.where(present, sums, -1.0).max(axis=1, keepdims=True)
    best = present & (sums >= top * (1 - 1e-9))
    return float(((best * values).sum(axis=1) / np.maximum(best.sum(axis=1), 1)).mean())


def _online_tokens(drawn: np.ndarray, below: np.ndarray, bars: Floats, spent: Floats | None, minima: Floats | None, window: int) -> float:
    """Mean tokens over orders; NaN when whole lengths, or the crossings of traces that were cut, are unknown."""
    if spent is None or (below.any() and minima is None):
        return float("nan")
    total = np.where(below, 0.0, spent[drawn]).sum()
    if minima is not None:
        for order, place in np.argwhere(below):
            sample = drawn[order, place]
            crossing = int(np.argmax(minima[sample] < bars[order]))
            total += min(crossing + window, spent[sample])
    return float(total / len(drawn))
