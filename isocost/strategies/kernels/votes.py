"""Compiled inner loops of votes without a closed form.

Every subset if there are few, random subsets if there are many.

Lives here: numba code only, called by subsets.py, which explains the rules. Random subsets are
prefixes of random orders, so one order serves all budgets, and a problem's orders depend only on
its key: all rules see the same subsets.
"""

# Numba infers the types of what a kernel is called with, and reads no annotation.
# pyright: reportMissingParameterType=false

from __future__ import annotations

import numpy as np
from numba import njit

from isocost.strategies.kernels.random import draw_next

WEIGHTED, BORDA, FILTERED, SHORTEST = 0, 1, 2, 3
TOLERANCE = (
    1e-9  # relative to the heaviest class: sums of the same weights in another order count as ties
)


@njit(cache=True)
def _winner(chosen, k, rule, power, classes, weights, distinct, values, score, length, seen):
    """Value of the answer that wins among ``chosen[:k]``, sample numbers in rank order.

    Ties share the credit.
    """
    limit = -np.inf
    if rule == FILTERED:
        # Linear percentile 100 (1 - power) of the k confidences, which come in falling order.
        place = (k - 1) * (1.0 - power)
        low = int(np.floor(place))
        high = min(low + 1, k - 1)
        bottom, top = weights[chosen[k - 1 - low]], weights[chosen[k - 1 - high]]
        limit = bottom + (place - low) * (top - bottom)
        limit -= 1e-12 * abs(limit)
    for i in range(k):
        g = classes[chosen[i]]
        if g >= 0:
            score[g], length[g] = 0.0, 0.0
    for i in range(k):
        j = chosen[i]
        g = classes[j]
        if g < 0 or weights[j] < limit:
            continue
        if rule == BORDA:
            w = (k - i) ** power
        elif rule == SHORTEST:
            w = 1.0
        else:
            w = weights[j]
        if distinct[j] >= 0:
            if seen[distinct[j]] == 1:
                continue
            seen[distinct[j]] = 1
        score[g] += w
        length[g] += weights[j]
    best = -1.0
    for i in range(k):
        g, j = classes[chosen[i]], chosen[i]
        if distinct[j] >= 0:
            seen[distinct[j]] = 0
        if g < 0 or weights[j] < limit:
            continue
        if rule == SHORTEST and length[g] > 0.0:
            score[g] = score[g] / np.log(max(length[g] / score[g], 1.0) + 1.0)
            length[g] = 0.0
        best = max(best, score[g])
    tied, credit = 0, 0.0
    for i in range(k):
        j = chosen[i]
        g = classes[j]
        if (
            g >= 0
            and weights[j] >= limit
            and score[g] >= best * (1.0 - TOLERANCE)
            and score[g] > -1.0
        ):
            tied += 1
            credit += values[g]
            score[g] = -2.0
    return credit / tied if tied > 0 else 0.0


@njit(cache=True)
def _count(n, k, limit):
    """C(n, k), or a number above ``limit`` as soon as it is exceeded."""
    total = 1.0
    for i in range(min(k, n - k)):
        total = total * (n - i) / (i + 1.0)
        if total > limit * 2.0:
            return total
    return np.round(total)


@njit(cache=True)
def _run_sums(n, ks, exact, rule, draws, state, classes, weights, distinct, values, result):
    """Random orders for rules that add up sample by sample (WEIGHTED, SHORTEST).

    Sums grow along the order, budgets read them off.
    """
    width = values.shape[0]
    votes, sums = np.zeros(width), np.zeros(width)
    seen = np.zeros(classes.shape[0], dtype=np.int8)
    touched = np.zeros(width, dtype=np.int64)
    order = np.arange(n)
    for _ in range(draws):
        drawn, found = 0, 0
        for b in range(ks.shape[0]):
            if ks[b] > n or exact[b]:
                continue
            while drawn < ks[b]:
                j = draw_next(order, drawn, state)
                drawn += 1
                g = classes[j]
                if g < 0 or (distinct[j] >= 0 and seen[distinct[j]] == 1):
                    continue
                if distinct[j] >= 0:
                    seen[distinct[j]] = 1
                if votes[g] == 0.0:
                    touched[found] = g
                    found += 1
                votes[g] += 1.0
                sums[g] += weights[j]
            best, tied, credit = -1.0, 0, 0.0
            for step in range(2):
                for i in range(found):
                    g = touched[i]
                    score = sums[g]
                    if rule == SHORTEST:
                        score = (
                            votes[g] / np.log(max(sums[g] / votes[g], 1.0) + 1.0)
                            if sums[g] > 0.0
                            else votes[g]
                        )
                    if step == 0:
                        best = max(best, score)
                    elif score >= best * (1.0 - TOLERANCE):
                        tied += 1
                        credit += values[g]
            if tied > 0:
                result[b] += credit / tied / draws
        for i in range(drawn):
            if distinct[order[i]] >= 0:
                seen[distinct[order[i]]] = 0
        for i in range(found):
            votes[touched[i]], sums[touched[i]] = 0.0, 0.0


@njit(cache=True)
def _every_subset(
    n, k, rule, power, classes, weights, distinct, values, subset, score, length, seen
):
    """Sum of the winner's value over all k-subsets of n, in lexicographic order."""
    total = 0.0
    for i in range(k):
        subset[i] = i
    while True:
        total += _winner(
            subset, k, rule, power, classes, weights, distinct, values, score, length, seen
        )
        i = k - 1
        while i >= 0 and subset[i] == n - k + i:
            i -= 1
        if i < 0:
            return total
        subset[i] += 1
        for j in range(i + 1, k):
            subset[j] = subset[j - 1] + 1


@njit(cache=True)
def vote_rows(
    classes,
    weights,
    distinct,
    values,
    sizes,
    ks,
    rule,
    power,
    draws,
    most_subsets,
    keys,
    result,
    exact,
):
    """Fill result[row, budget].

    Samples of a row are in rank order (best first), sizes[row] of them exist.
    """
    most = classes.shape[1]
    score, length = np.zeros(values.shape[1]), np.zeros(values.shape[1])
    seen = np.zeros(most, dtype=np.int8)
    subset = np.zeros(most, dtype=np.int64)
    marked = np.zeros(most, dtype=np.int8)
    state = np.zeros(1, dtype=np.uint64)
    for row in range(classes.shape[0]):
        n = sizes[row]
        sampled = 0
        for b in range(ks.shape[0]):
            k = ks[b]
            if k > n:
                continue
            subsets = _count(n, k, most_subsets)
            result[row, b] = 0.0
            if subsets > most_subsets:
                exact[row, b] = False
                sampled = max(sampled, k)
                continue
            result[row, b] = (
                _every_subset(
                    n,
                    k,
                    rule,
                    power,
                    classes[row],
                    weights[row],
                    distinct[row],
                    values[row],
                    subset,
                    score,
                    length,
                    seen,
                )
                / subsets
            )
        if sampled == 0:
            continue
        state[0] = keys[row]
        if rule in (WEIGHTED, SHORTEST):
            _run_sums(
                n,
                ks,
                exact[row],
                rule,
                draws,
                state,
                classes[row],
                weights[row],
                distinct[row],
                values[row],
                result[row],
            )
            continue
        order = np.arange(n)
        for _ in range(draws):
            drawn = 0
            for j in range(n):
                marked[j] = 0
            for b in range(ks.shape[0]):
                k = ks[b]
                if k > n or exact[row, b]:
                    continue
                while drawn < k:
                    marked[draw_next(order, drawn, state)] = 1
                    drawn += 1
                found = 0
                for j in range(n):
                    if marked[j] == 1:
                        subset[found] = j
                        found += 1
                result[row, b] += (
                    _winner(
                        subset,
                        k,
                        rule,
                        power,
                        classes[row],
                        weights[row],
                        distinct[row],
                        values[row],
                        score,
                        length,
                        seen,
                    )
                    / draws
                )
