"""Compiled inner loops of early-stopping self-consistency.

Windows of w samples, stop at the first unanimous one.

Lives here: numba code only, called by early_stopping.py, which explains the method. Traces by
number of windows m: stopped[m] correctness gained by stopping with window m; forced[m] correctness
of a vote over m windows of which none was unanimous; alive[m] chance that none of m was; drawn[g,
m] expected samples of class g in window m + 1.
"""

# Numba infers the types of what a kernel is called with, and reads no annotation.
# pyright: reportMissingParameterType=false

from __future__ import annotations

import numpy as np
from numba import njit

from isocost.strategies.kernels.random import draw_next


@njit(cache=True)
def alternate(terms, windows, scale, shift, out):
    """Inclusion-exclusion: out[m + shift] += scale * sum_r (-1)^r C(m, r) terms[r]."""
    for m in range(windows + 1 - shift):
        choose, sign = scale, 1.0
        for r in range(m + 1):
            out[m + shift] += sign * choose * terms[r]
            choose *= (m - r) / (r + 1.0)
            sign = -sign


@njit(cache=True)
def _joint(counts, n, skip, extra, window, windows, factor, poly):
    """P(r given windows unanimous, ``extra`` more given draws of class ``skip``), r = 0..windows.

    -1: no class.
    """
    for r in range(windows + 1):
        poly[r] = 1.0 if r == 0 else 0.0
    for h in range(counts.shape[0]):
        if h != skip and counts[h] < window:
            continue
        value, drawn = 1.0, 0
        for r in range(windows + 1):
            target = r * window + (extra if h == skip else 0)
            while drawn < target:
                value *= max(counts[h] - drawn, 0) / n
                drawn += 1
            factor[r] = value
            value /= r + 1.0
        for r in range(windows, -1, -1):
            total = 0.0
            for i in range(r + 1):
                total += poly[r - i] * factor[i]
            poly[r] = total
    scale, drawn = 1.0, 0
    for r in range(windows + 1):
        target = r * window + extra
        while drawn < target:
            scale *= max(n - drawn, 0) / n
            drawn += 1
        poly[r] = poly[r] / scale if scale > 0.0 else 0.0
        scale /= r + 1.0


@njit(cache=True)
def stop_traces(counts, values, window, windows, stopped, alive, drawn):
    """Exact chances of stopping, of continuing and of drawing each class.

    By inclusion-exclusion over unanimous windows.
    """
    n = 0
    for g in range(counts.shape[0]):
        n += counts[g]
    classes = counts.shape[0]
    factor, poly = np.zeros(windows + 1), np.zeros(windows + 1)
    # One call in a loop over (none; one more draw of each class; one more window of each class):
    # compiled once, not three times.
    for step in range(1 + 2 * classes):
        g = (step - 1) // 2
        extra = 0 if step == 0 else (1 if step % 2 == 1 else window)
        if step > 0 and (
            counts[g] < extra or (extra == window and step % 2 == 0 and values[g] <= 0.0)
        ):
            continue
        _joint(counts, n, g if step > 0 else -1, extra, window, windows, factor, poly)
        scale, shift, out = 1.0, 0, alive
        if step > 0 and step % 2 == 1:
            scale, out = float(window), drawn[g]
        elif step > 0:
            scale, shift, out = values[g], 1, stopped
        alternate(poly, windows, scale, shift, out)


@njit(cache=True)
def forced_trace(counts, values, window, windows, table, falls, nodes, node_weights, forced):
    """Exact chance that no window was unanimous and the vote is won by each class, by value.

    The vote is over all windows.

    falls[x, r] = (x)_{wr} / (r! L^{wr}) with L = windows * window; polynomials in s (unanimous
    windows) and z (votes).
    """
    most = windows * window
    classes = counts.shape[0]
    n = 0
    for h in range(classes):
        n += counts[h]
    poly, other = np.zeros((windows + 1, most + 1)), np.zeros((windows + 1, most + 1))
    for g in range(classes):
        if values[g] <= 0.0:
            continue
        for v in range(1, min(counts[g], most) + 1):
            pooled, rivals = 0, 0
            for h in range(classes):
                if h != g:
                    if counts[h] < v and counts[h] < window:
                        pooled += counts[h]
                    elif counts[h] >= v:
                        rivals += 1
            quad = (min(rivals, (most - v) // v) + 2) // 2
            for q in range(quad):
                for r in range(windows + 1):
                    for j in range(most + 1):
                        poly[r, j] = 0.0
                for j in range(v, min(most, pooled + v) + 1):
                    for r in range(v // window + 1):
                        poly[r, j] = table[pooled, j - v] * falls[v, r]
                for h in range(classes):
                    if h == g or (counts[h] < v and counts[h] < window) or counts[h] == 0:
                        continue
                    for r in range(windows + 1):
                        for j in range(most + 1):
                            other[r, j] = 0.0
                    for x in range(min(counts[h], v, most) + 1):
                        w = table[counts[h], x] * (nodes[quad, q] if x == v else 1.0)
                        for i in range(x // window + 1):
                            c = w * falls[x, i]
                            for r in range(i, windows + 1):
                                for j in range(max(x, r * window), most + 1):
                                    other[r, j] += c * poly[r - i, j - x]
                    for r in range(windows + 1):
                        for j in range(most + 1):
                            poly[r, j] = other[r, j]
                scale = values[g] * table[counts[g], v] * node_weights[quad, q]
                for m in range(1, windows + 1):
                    total = m * window
                    if total < v or total > n:
                        continue
                    term, drawn = 1.0, 0
                    for r in range(m + 1):
                        forced[m] += scale * term * poly[r, total] / table[n, total]
                        # Next r: (-1)^r C(m, r) r! (L-rw)! / L!, in the scaling of falls.
                        term *= -(m - r)
                        for _ in range(window):
                            if drawn < total:
                                term /= (total - drawn) / most
                            drawn += 1


@njit(cache=True)
def run_window_orders(
    sequence, values, window, windows, orders, key, stopped, forced, alive, drawn
):
    """The same traces averaged over random orders of one problem; ``sequence`` contains classes."""
    votes = np.zeros(values.shape[0], dtype=np.int64)
    order = np.arange(sequence.shape[0])
    state = np.zeros(1, dtype=np.uint64)
    state[0] = key
    share = 1.0 / orders
    for _ in range(orders):
        for g in range(votes.shape[0]):
            votes[g] = 0
        first, tied, credit = 0, 0, 0.0
        alive[0] += share
        for m in range(windows):
            answer, unanimous = -1, True
            for i in range(window):
                g = sequence[draw_next(order, m * window + i, state)]
                drawn[g, m] += share
                unanimous = unanimous and (i == 0 or g == answer)
                answer = g
                votes[g] += 1
                if votes[g] > first:
                    first, tied, credit = votes[g], 1, values[g]
                elif votes[g] == first:
                    tied += 1
                    credit += values[g]
            if unanimous:
                stopped[m + 1] += share * values[answer]
                break
            alive[m + 1] += share
            forced[m + 1] += share * credit / tied
