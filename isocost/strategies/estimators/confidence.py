"""Confidence of a trace from its token log-probabilities, and DeepConf's online early stop.

Lives here: group confidence over a sliding window and what is derived from it (Fu et al. 2025), the
threshold from warm-up traces, the online replay. Not here: the offline filtered vote (subsets.py)
and where the scores are stored (the tables).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from isocost.errors import IsocostError
from isocost.strategies.estimators.adaptive import MISS
from isocost.strategies.estimators.order import rank_weights
from isocost.strategies.estimators.subsets import sample_classes, start_states
from isocost.strategies.kernels.online import online_rows
from isocost.strategies.records import Records
from isocost.strategies.shapes import (
    Bools,
    Floats,
    Ints,
    Shape,
    read_budgets,
    read_like,
    refuse_nan,
)


class TraceConfidence(NamedTuple):
    """Confidences of one trace, in nats: windows, and the four summaries of the paper."""

    windows: Floats
    mean: float
    tail: float
    bottom_tenth: float
    lowest_group: float


def trace_confidence(
    token_confidence: ArrayLike, window: int = 2048, tail: int | None = None
) -> TraceConfidence:
    """Sliding-window means (stride 1) of the token confidences C_t, and their summaries.

    Mean, tail, bottom 10 % and lowest group.

    A trace shorter than the window has one group: its plain mean. The tail is the last ``tail``
    tokens (the window if not given).

    Examples:
        >>> found = trace_confidence([2, 4, 6, 1, 1, 7], window=3, tail=2)
        >>> found.mean, found.tail, found.lowest_group
        (3.5, 4.0, 2.666667)
    """
    values = np.asarray(token_confidence, dtype=np.float64)
    if values.ndim != 1 or values.size == 0 or not np.all(np.isfinite(values)) or window < 1:
        raise IsocostError(
            "expected a flat, non-empty, finite vector and a window of at least 1",
            where="token_confidence",
        )
    if len(values) < window:
        windows = np.array([values.mean()])
    else:
        total = np.concatenate([[0.0], np.cumsum(values)])
        windows = (total[window:] - total[:-window]) / window
    lowest = np.sort(windows)[: max(1, int(0.1 * len(windows)))]
    end = values[-(window if tail is None else tail) :]
    return TraceConfidence(
        windows, float(values.mean()), float(end.mean()), float(lowest.mean()), float(windows.min())
    )


def confidence_threshold(confidences: ArrayLike, keep: float) -> float:
    """Threshold that keeps about this share of traces: the linear percentile 100 (1 - keep).

    Examples:
        >>> confidence_threshold(range(1, 11), keep=0.1)
        9.1
        >>> confidence_threshold(range(1, 11), keep=0.9)
        1.9
    """
    if not 0 < keep <= 1:
        raise IsocostError(f"the share kept must be in (0, 1], got {keep}", where="keep")
    return float(np.percentile(np.asarray(confidences, dtype=np.float64), 100 * (1 - keep)))


class OnlineResult(NamedTuple):
    """DeepConf online, averaged over random orders; shaped by the arguments.

    Attributes:
        accuracy: expected correctness.
        cut: expected number of traces stopped early.
        tokens: expected generated tokens, those of the warm-up traces included; NaN where lengths,
            or the records of a trace that was stopped, are not given.
        error_bound: Hoeffding bound of accuracy's sampling error, exceeded with a chance of at most
            0.05.
    """

    accuracy: Floats
    cut: Floats
    tokens: Floats
    error_bound: float


def deepconf_online(
    classes: ArrayLike,
    lowest_group: ArrayLike,
    correct: ArrayLike,
    budget: ArrayLike,
    *,
    warmup: int = 16,
    keep: float = 0.9,
    tokens: ArrayLike | None = None,
    records: Records | None = None,
    orders: int = 256,
    seed: int = 0,
    keys: ArrayLike | None = None,
) -> OnlineResult:
    """DeepConf online: stop later traces below a threshold from warm-up traces, then vote.

    Warm-up traces run to their end; of all traces only those at or above the threshold vote,
    weighted by their lowest group confidence. Random orders of the bank represent the order of
    generation. A trace that never fills a window is never stopped.

    Args:
        classes: class number of each sample, one row or (problems, samples); -1 for no answer.
        lowest_group: lowest full-window confidence of each sample (its mean when shorter than the
            window), same shape.
        correct: class number per problem, or mask or value per sample or per class.
        budget: traces started, warm-up included; a number or a sequence.
        warmup: traces that set the threshold, 16 in the paper.
        keep: share of warm-ups at or above the threshold, 0.9 (0.1 for the aggressive variant).
        tokens: generated tokens of each whole sample.
        records: where each trace's window confidence reached new lows: the token at which any
            threshold stops it.
        orders: random orders.
        seed: of the orders.
        keys: seed each problem independently of its position.

    Returns:
        `OnlineResult`; NaN where the bank has fewer than ``budget`` samples.

    Raises:
        IsocostError: for a budget below the warm-up, or NaN confidences.

    Examples:
        >>> found = deepconf_online(
        ...     [0, 0, 1, 0], [2.0, 3.0, 1.0, 2.5], [True, False], [4], warmup=2
        ... )
        >>> found.accuracy.tolist()
        [1.0]
    """
    groups, values, one_row = sample_classes(classes, correct)
    lowest = read_like("lowest_group", lowest_group, groups.shape)
    refuse_nan(
        "lowest_group",
        lowest,
        np.ones(groups.shape, dtype=np.bool_),
        "The window minimum of every trace must be banked.",
    )
    budgets, one_budget = read_budgets(budget)
    if warmup < 1 or np.any(budgets < warmup):
        raise IsocostError(
            f"warm-up {warmup} does not fit into a budget of {budgets.min()}", where="warmup"
        )
    lengths = (
        np.full(groups.shape, np.nan)
        if tokens is None
        else read_like("tokens", tokens, groups.shape)
    )
    accuracy, cut, spent = np.full((3, len(groups), len(budgets)), np.nan)
    usable = np.flatnonzero(budgets <= groups.shape[1])
    if usable.size:
        ks = np.unique(budgets[usable])
        seeds = np.arange(len(groups)) if keys is None else np.asarray(keys)
        found = play_online(
            groups,
            lowest,
            values,
            lengths,
            records,
            ks,
            warmup,
            keep,
            orders,
            start_states(seed, seeds),
        )
        at = np.searchsorted(ks, budgets[usable])
        accuracy[:, usable], cut[:, usable] = (
            found.accuracy[:, at],
            found.later[at] * found.halted.sum(axis=1)[:, None],
        )
        spent[:, usable] = found.spend(lengths, np.zeros(groups.shape), np.ones(groups.shape), 0.0)[
            :, at
        ]
    give = Shape(one_row, one_budget).give_back
    return OnlineResult(
        give(accuracy), give(cut), give(spent), float(np.sqrt(np.log(2 / MISS) / (2 * orders)))
    )


@dataclass(frozen=True)
class OnlinePlay:
    """Averages over random orders of the bank; see kernels_online.

    Attributes:
        accuracy: (problems, budgets).
        waited: expected time until the last trace after the warm-up ends, all running in parallel,
            (problems, budgets).
        ran: share of orders in which a sample came after the warm-up and ran to its end, (problems,
            samples).
        halted: share in which it was stopped, same shape.
        stopped: mean over orders of the token it was stopped at, 0 where it was not, same shape.
        squared: of that token's square.
        unknown: problems with a stop at a token that was not banked.
        warmup: warm-up traces.
        later: for each budget, the probability that a sample after the warm-up is drawn at all.
    """

    accuracy: Floats
    waited: Floats
    ran: Floats
    halted: Floats
    stopped: Floats
    squared: Floats
    unknown: Bools
    warmup: int
    later: Floats

    def spend(self, whole: Floats, base: Floats, slope: Floats, curve: Floats | float) -> Floats:
        """Expected sum of a cost over all traces, (problems, budgets).

        Whole for a trace that ran, base + slope b + curve b^2 for a stop at b.

        All arrays (problems, samples). Given the threshold any later trace is drawn with equal
        chance, so the sum over all of them, times that chance, is the expectation; warm-up traces
        cost their mean.
        """
        cut = np.where(
            self.halted > 0, base * self.halted + slope * self.stopped + curve * self.squared, 0.0
        )
        ran = np.where(self.ran > 0, whole * self.ran, 0.0)
        total = (
            self.warmup * whole.mean(axis=1)[:, None]
            + self.later * (cut + ran).sum(axis=1)[:, None]
        )
        return np.where(self.unknown[:, None], np.nan, total)


def play_online(
    classes: Ints,
    lowest: Floats,
    values: Floats,
    lengths: Floats,
    records: Records | None,
    ks: Ints,
    warmup: int,
    keep: float,
    orders: int,
    starts: np.ndarray,
    *,
    latency: tuple[Floats, Floats, Floats] | None = None,
) -> OnlinePlay:
    """The computation behind `deepconf_online` on checked matrices.

    Budgets rise, and are at least the warm-up and at most the samples.

    ``latency`` holds whole time, base and slope of a stopped trace's time, (problems, samples)
    each.
    """
    if not 0 < keep <= 1:
        raise IsocostError(f"the share kept must be in (0, 1], got {keep}", where="keep")
    shape, n = classes.shape, classes.shape[1]
    none = np.zeros(shape, dtype=np.int64)
    start, count = (none, none - 1) if records is None else (records.start, records.count)
    flat = (
        (np.zeros(1, dtype=np.int32), np.zeros(1))
        if records is None or not len(records.tokens)
        else (records.tokens, records.values)
    )
    times = latency or (np.zeros(shape), np.zeros(shape), np.zeros(shape))
    weights = np.zeros((n - warmup, len(ks)))
    weights[:, ks > warmup] = rank_weights(n - warmup, ks[ks > warmup] - warmup)
    right, waited = np.zeros((2, len(classes), len(ks)))
    ran, halted, stopped, squared = (np.zeros(shape) for _ in range(4))
    unknown = np.zeros(len(classes), dtype=np.bool_)
    banked: list[Any] = [
        np.ascontiguousarray(each)
        for each in (classes, lowest, values, lengths, start, count, *flat, *times)
    ]
    play: Any = online_rows  # Numba takes what it is given
    play(
        *banked, ks, warmup, keep, orders, starts, weights, right, ran, halted, stopped, squared,
        waited, unknown,
    )  # fmt: skip
    for sums in (right, waited, ran, halted, stopped, squared):
        sums /= orders
    later = np.divide(ks - warmup, n - warmup, out=np.zeros(len(ks)), where=ks > warmup)
    return OnlinePlay(
        np.clip(right, 0.0, 1.0), waited, ran, halted, stopped, squared, unknown, warmup, later
    )
