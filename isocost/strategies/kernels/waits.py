"""Compiled inner loops of the time taken by windows of parallel samples.

One window after another until one is unanimous.

Lives here: numba code only, called by early_stopping.py, which explains the method.
"""

# Numba infers the types of what a kernel is called with, and reads no annotation.
# pyright: reportMissingParameterType=false

from __future__ import annotations

import numpy as np
from numba import njit

from isocost.strategies.kernels.random import draw_next
from isocost.strategies.kernels.windows import alternate


@njit(cache=True)
def _slowest(groups, times, counts, window, windows, poly, other, slow):
    """slow[r] = E[slowest of one window, while r given other windows are unanimous].

    Samples in rising order of time.

    The slowest of the window is at most the i-th time where all its draws are among the first i
    samples. With x of them from a class of c, the others' chance of r unanimous windows is a
    coefficient of products of falling factorials (c - x)_{wj} / j!, as in kernels_windows.
    """
    n, classes = groups.shape[0], counts.shape[0]
    within = np.zeros(classes, dtype=np.int64)
    before = np.zeros(windows)
    chosen = 1.0
    for x in range(window):
        chosen *= (n - x) / (x + 1.0)
    for i in range(n):
        within[groups[i]] += 1
        if i + 1 < window:
            continue
        for z in range(window + 1):
            for r in range(windows):
                poly[z, r] = 1.0 if z == 0 and r == 0 else 0.0
        for g in range(classes):
            most = (counts[g] // window) if counts[g] >= window else 0
            if within[g] == 0 and most == 0:
                continue
            for z in range(window + 1):
                for r in range(windows):
                    other[z, r] = 0.0
            pick = 1.0
            for x in range(min(window, within[g]) + 1):
                fall, drawn = pick, 0
                for j in range(min(most, windows - 1) + 1):
                    while drawn < j * window:
                        fall *= max(counts[g] - x - drawn, 0) / n
                        drawn += 1
                    if fall == 0.0:
                        break
                    for z in range(window + 1 - x):
                        for r in range(windows - j):
                            other[z + x, r + j] += fall * poly[z, r]
                    fall /= j + 1.0
                pick *= (within[g] - x) / (x + 1.0)
            for z in range(window + 1):
                for r in range(windows):
                    poly[z, r] = other[z, r]
        scale, drawn = chosen, 0
        for r in range(windows):
            while drawn < r * window:
                scale *= max(n - window - drawn, 0) / n
                drawn += 1
            chance = poly[window, r] / scale if scale > 0.0 else 0.0
            slow[r] += times[i] * (chance - before[r])
            before[r] = chance
            scale /= r + 1.0


@njit(cache=True)
def window_waits(groups, times, counts, window, windows, waited):
    """The exact computation.

    Add to waited[m] the expected slowest of window m, counted if no window before it was unanimous;
    m = 1..windows.
    """
    poly, other = np.zeros((window + 1, windows)), np.zeros((window + 1, windows))
    slow = np.zeros(windows)
    _slowest(groups, times, counts, window, windows, poly, other, slow)
    alternate(slow, windows, 1.0, 1, waited)


@njit(cache=True)
def run_window_waits(groups, times, window, windows, orders, key, waited):
    """The same averaged over random orders.

    ``groups`` rise, so that the orders are those of kernels_windows.
    """
    order = np.arange(groups.shape[0])
    state = np.zeros(1, dtype=np.uint64)
    state[0] = key
    for _ in range(orders):
        for m in range(windows):
            answer, unanimous, slowest = -1, True, -np.inf
            for i in range(window):
                j = draw_next(order, m * window + i, state)
                unanimous = unanimous and (i == 0 or groups[j] == answer)
                answer = groups[j]
                slowest = max(slowest, times[j])
            waited[m + 1] += slowest / orders
            if unanimous:
                break
