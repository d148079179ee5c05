"""Compiled inner loop of DeepConf online.

Warm-up traces set a threshold, later traces are stopped below it.

Lives here: numba code only, called by confidence.py, which explains the method. One random order
serves all budgets. The cost of a stopped trace depends only on where it stops, so the loop sums
over orders, trace by trace, how often it ran to its end, how often it was stopped, and the first
two powers of the token it was stopped at; every cost that adds up follows from these.
"""

# Numba infers the types of what a kernel is called with, and reads no annotation.
# pyright: reportMissingParameterType=false

from __future__ import annotations

import numpy as np
from numba import njit

from isocost.strategies.kernels.random import draw_next

TOLERANCE = (
    1e-9  # relative to the heaviest class: sums of the same weights in another order count as ties
)


@njit(cache=True)
def _threshold(confidence, order, warmup, keep, held):
    """Linear percentile 100 (1 - keep) of the warm-up traces' confidences."""
    for i in range(warmup):
        held[i] = confidence[order[i]]
    held[:warmup].sort()
    place = (warmup - 1) * (1.0 - keep)
    low = min(int(np.floor(place)), warmup - 1)
    high = min(low + 1, warmup - 1)
    return held[low] + (place - low) * (held[high] - held[low])


@njit(cache=True)
def _stop(begin, count, record_tokens, record_values, bar):
    """Token of the first record below the threshold.

    Of the last one where rounding has kept all above it.
    """
    low, high = begin, begin + count - 1
    while low < high:
        middle = (low + high) // 2
        if record_values[middle] < bar:
            high = middle
        else:
            low = middle + 1
    return record_tokens[low]


@njit(cache=True)
def _winner(touched, found, score, values):
    """Value of the heaviest of the classes touched.

    Ties share the credit, no vote is worth nothing.
    """
    best = -1.0
    for i in range(found):
        best = max(best, score[touched[i]])
    tied, credit = 0, 0.0
    for i in range(found):
        if score[touched[i]] >= best * (1.0 - TOLERANCE):
            tied += 1
            credit += values[touched[i]]
    return credit / tied if tied > 0 else 0.0


@njit(cache=True)
def online_rows(
    classes, confidence, values, lengths, start, count, record_tokens, record_values, latency,
    base, slope,
    ks, warmup, keep, orders, keys, weights, accuracy, ran, halted, stopped, squared, waited,
    unknown,
):  # fmt: skip
    """Add to the arrays of results: sums over random orders.

    Rows have the same number of samples, budgets rise.

    accuracy, waited: (problems, budgets); ran, halted, stopped, squared: (problems, samples) orders
    in which a trace after the warm-up ran to its end or was stopped, and sums of the stop's token
    and squared token; unknown: rows with a stop at no known token.
    """
    n = classes.shape[1]
    held, waits = np.zeros(warmup), np.zeros(n - warmup)
    score = np.zeros(values.shape[1])
    touched = np.zeros(n, dtype=np.int64)
    state = np.zeros(1, dtype=np.uint64)
    most = ks[ks.shape[0] - 1]
    for row in range(classes.shape[0]):
        order = np.arange(n)
        state[0] = keys[row]
        for _ in range(orders):
            for i in range(most):
                draw_next(order, i, state)
            bar = _threshold(confidence[row], order, warmup, keep, held)
            found, budget = 0, 0
            for i in range(n):
                j = order[i]
                below = confidence[row, j] < bar
                g = classes[row, j]
                if i < most and g >= 0 and not below:
                    if score[g] == 0.0:
                        touched[found] = g
                        found += 1
                    # A weight of 0 still casts a vote.
                    score[g] += max(confidence[row, j], 1e-300)
                if i >= warmup:
                    if below and count[row, j] != 0:
                        token = lengths[row, j]
                        if count[row, j] > 0:
                            token = min(
                                token,
                                _stop(
                                    start[row, j], count[row, j], record_tokens, record_values, bar
                                ),
                            )
                        else:
                            unknown[row] = True
                        halted[row, j] += 1.0
                        stopped[row, j] += token
                        squared[row, j] += token * token
                        waits[i - warmup] = base[row, j] + slope[row, j] * token
                    else:
                        ran[row, j] += 1.0
                        waits[i - warmup] = latency[row, j]
                while budget < ks.shape[0] and ks[budget] == i + 1:
                    accuracy[row, budget] += _winner(touched, found, score, values[row])
                    budget += 1
            for i in range(found):
                score[touched[i]] = 0.0
            waits.sort()
            for b in range(ks.shape[0]):
                total = 0.0
                for r in range(n - warmup):
                    total += weights[r, b] * waits[n - warmup - 1 - r]
                waited[row, b] += total
