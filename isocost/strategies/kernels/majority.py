"""Compiled inner loops of the exact majority vote: truncated products of binomial polynomials.

Lives here: numba code only, called by majority.py, which explains the method and checks the
arguments. The polynomials have non-negative coefficients throughout, so nothing cancels: the error
stays at a few units in the last place.
"""

# Numba infers the types of what a kernel is called with, and reads no annotation.
# pyright: reportMissingParameterType=false

from __future__ import annotations

import numpy as np
from numba import njit

from isocost.strategies.kernels.random import draw_next

UNIFORM, PESSIMISTIC, OPTIMISTIC = 0, 1, 2


@njit(cache=True)
def _choose(n, x, table, logs, tilt_in, tilt_out):
    """C(n, x), or C(n, x) t^x s^(n-x) in log space if the binomials would overflow.

    The table is then empty.
    """
    if table.shape[0] > 1:
        return table[n, x]
    return np.exp(logs[n] - logs[x] - logs[n - x] + x * tilt_in + (n - x) * tilt_out)


@njit(cache=True)
def _multiply(poly, other, weights, size, top, u_last):
    """Multiply poly by sum_{x<=top} weights[x] z^x, truncated to ``size`` coefficients.

    The last term is multiplied by u_last.
    """
    for j in range(size):
        other[j] = 0.0
    for x in range(top + 1):
        w = weights[x] * u_last if x == top else weights[x]
        if w == 0.0:
            continue
        for j in range(x, size):
            other[j] += w * poly[j - x]
    for j in range(size):
        poly[j] = other[j]


@njit(cache=True)
def _add_class(
    g, value, counts, free, budget, mode, weights, choices, nodes, node_weights, work, out
):
    """Add to out[k] ``value`` times the ways in which class g wins a vote of k.

    Ties are credited by mode, for every k up to budget.

    weights[h, x] are the binomial coefficients of class h; choices[i, j] those of i pooled samples;
    ``free`` abstain.
    """
    poly, other = work[0], work[1]
    for v in range(1, min(counts[g], budget) + 1):
        size = budget - v + 1
        pooled, rivals = free, 0
        for h in range(counts.shape[0]):
            if h != g and counts[h] > 0:
                if counts[h] < v:
                    pooled += counts[h]
                else:
                    rivals += 1
        lone = v == 1 and mode == UNIFORM
        most = min(rivals, (size - 1) // v)
        quad = 1 if (mode != UNIFORM or lone) else (most + 2) // 2
        start = 0 if lone else pooled
        for q in range(quad):
            u = nodes[quad, q]
            for j in range(size):
                poly[j] = choices[start, j] if j <= start else 0.0
            for h in range(counts.shape[0]):
                if h == g or counts[h] < v:
                    continue
                if mode == UNIFORM:
                    share = 1.0 if lone else u
                elif mode == PESSIMISTIC:
                    share = 1.0 if h < g else 0.0
                else:
                    share = 1.0 if h > g else 0.0
                _multiply(poly, other, weights[h], size, v, share)
            if lone:
                # One vote wins: every rival drawn is tied, m of them share the credit; the
                # abstaining come on top.
                for j in range(size):
                    other[j] = poly[j] / (j + 1.0)
                    poly[j] = choices[free, j] if j <= free else 0.0
                for j in range(size - 1, -1, -1):
                    total = 0.0
                    for m in range(j + 1):
                        total += other[m] * poly[j - m]
                    poly[j] = total
            scale = (
                value
                * weights[g, v]
                * (node_weights[quad, q] if (mode == UNIFORM and not lone) else 1.0)
            )
            for j in range(size):
                out[v + j] += scale * poly[j]


@njit(cache=True)
def majority_rows(
    counts, values, free, ks, mode, table, logs, nodes, node_weights, tilt_in, tilt_out, result
):
    """Fill result[row, budget] with the exact expected value of the winner.

    Rows are sorted by falling class value.

    Budgets here are all below the row's number of samples and above 0; others are left to the
    caller.
    """
    rows, width = counts.shape
    for row in range(rows):
        n = free[row]
        for h in range(width):
            n += counts[row, h]
        budget = 0
        for i in range(ks.shape[0]):
            if ks[i] < n and ks[i] > budget:
                budget = ks[i]
        if budget == 0:
            continue
        weights = np.zeros((width, budget + 1))
        for h in range(width):
            for x in range(min(counts[row, h], budget) + 1):
                weights[h, x] = _choose(counts[row, h], x, table, logs, tilt_in, tilt_out)
        choices = table
        if table.shape[0] <= 1:
            choices = np.zeros((n + 1, budget + 1))
            for i in range(n + 1):
                for j in range(min(i, budget) + 1):
                    choices[i, j] = _choose(i, j, table, logs, tilt_in, tilt_out)
        work = np.zeros((2, budget + 1))
        total = np.zeros(budget + 1)
        for g in range(width):
            if values[row, g] > 0.0 and counts[row, g] > 0:
                _add_class(
                    g,
                    values[row, g],
                    counts[row],
                    free[row],
                    budget,
                    mode,
                    weights,
                    choices,
                    nodes,
                    node_weights,
                    work,
                    total,
                )
        for i in range(ks.shape[0]):
            if ks[i] < n:
                result[row, i] = total[ks[i]] / _choose(n, ks[i], table, logs, tilt_in, tilt_out)


@njit(cache=True)
def first_seen_row(sequence, values, width, ks, table, result):
    """Majority with ties to the class seen first in bank order, one problem.

    ``sequence`` contains classes, -1 abstains.
    """
    n = sequence.shape[0]
    budget = 0
    for i in range(ks.shape[0]):
        if ks[i] <= n and ks[i] > budget:
            budget = ks[i]
    counts = np.zeros(width, dtype=np.int64)
    free = 0
    for j in range(n):
        if sequence[j] < 0:
            free += 1
        else:
            counts[sequence[j]] += 1
    after = counts.copy()
    poly, other, row = np.zeros(budget + 1), np.zeros(budget + 1), np.zeros(budget + 1)
    total = np.zeros(budget + 1)
    for p in range(n):
        g = sequence[p]
        if g < 0:
            continue
        after[g] -= 1
        if values[g] <= 0.0:
            continue
        for v in range(1, min(after[g] + 1, budget) + 1):
            size = budget - v + 1
            for j in range(size):
                poly[j] = table[free, j] if j <= free else 0.0
            for h in range(width):
                if h == g or counts[h] == 0:
                    continue
                top = min(v, counts[h])
                for x in range(top + 1):
                    row[x] = table[counts[h], x]
                if top == v:
                    row[v] = table[after[h], v] if after[h] >= v else 0.0
                _multiply(poly, other, row, size, top, 1.0)
            for j in range(size):
                total[v + j] += values[g] * table[after[g], v - 1] * poly[j]
    for i in range(ks.shape[0]):
        if ks[i] <= n:
            result[i] = total[ks[i]] / table[n, ks[i]]


@njit(cache=True)
def majority_orders(sequence, values, ks, mode, orders, key, means):
    """Add to means[b] the value of the majority answer of the first ks[b] samples.

    Averaged over random orders of one problem.

    ``sequence`` holds classes, -1 abstains; ``ks`` rise. Counts grow along an order, so the same
    order serves every budget.
    """
    votes = np.zeros(values.shape[0], dtype=np.int64)
    touched = np.zeros(min(values.shape[0], ks[-1]), dtype=np.int64)
    order = np.arange(sequence.shape[0])
    state = np.zeros(1, dtype=np.uint64)
    state[0] = key
    share = 1.0 / orders
    for _ in range(orders):
        found, top, tied = 0, 0, 0
        credit, worst, best = 0.0, np.inf, -np.inf
        drawn = 0
        for b in range(ks.shape[0]):
            while drawn < ks[b]:
                g = sequence[draw_next(order, drawn, state)]
                drawn += 1
                if g < 0:
                    continue
                if votes[g] == 0:
                    touched[found] = g
                    found += 1
                votes[g] += 1
                if votes[g] > top:
                    top, tied, credit, worst, best = votes[g], 1, values[g], values[g], values[g]
                elif votes[g] == top:
                    tied += 1
                    credit += values[g]
                    worst, best = min(worst, values[g]), max(best, values[g])
            if tied > 0:
                means[b] += share * (
                    credit / tied if mode == UNIFORM else worst if mode == PESSIMISTIC else best
                )
        for i in range(found):
            votes[touched[i]] = 0
