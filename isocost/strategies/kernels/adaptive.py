"""Compiled inner loops of policies that stop by the two largest vote counts.

They draw one sample at a time.

Lives here: numba code only, called by adaptive.py, which explains the method. Both loops fill the
same traces by number of samples t, from which the result for every cap on the samples follows:
stopped[t]
correctness gained by stopping at t; forced[t] correctness if a vote were taken at t among paths
still running; alive[t] chance of still running after t; drawn[t, g] chance that sample t+1 is drawn
and falls into group g. leads[b] is the leader's count at which the policy stops if the runner-up
has b votes.
"""

# Numba infers the types of what a kernel is called with, and reads no annotation.
# pyright: reportMissingParameterType=false

from __future__ import annotations

import numpy as np
from numba import njit

from isocost.strategies.kernels.random import draw_next


@njit(cache=True)
def run_states(sizes, kinds, values, leads, most, stopped, forced, alive, drawn):
    """Exact sums over all orders of one problem by a sweep over count vectors.

    Groups: kind 0 = one answer class, kind 1 = pooled classes of one sample each, kind 2 = samples
    without an answer. A draw only raises the state's number in mixed radix, so one ascending sweep
    visits every state after its predecessors.
    """
    dims = sizes.shape[0]
    stride = np.ones(dims, dtype=np.int64)
    for g in range(1, dims):
        stride[g] = stride[g - 1] * (min(sizes[g - 1], most) + 1)
    states = stride[dims - 1] * (min(sizes[dims - 1], most) + 1)
    n = 0
    for g in range(dims):
        n += sizes[g]
    chance = np.zeros(states)
    chance[0] = 1.0
    x = np.zeros(dims, dtype=np.int64)
    for state in range(states):
        p = chance[state]
        if p > 0.0:
            total, first, second, tied, credit = 0, 0, 0, 0, 0.0
            for g in range(dims):
                total += x[g]
                if kinds[g] == 2 or x[g] == 0:
                    continue
                votes = x[g] if kinds[g] == 0 else 1
                members = 1 if kinds[g] == 0 else x[g]
                if votes > first:
                    second = first if members == 1 else votes
                    first, tied, credit = votes, members, members * values[g]
                elif votes == first:
                    second = votes
                    tied += members
                    credit += members * values[g]
                elif votes > second:
                    second = votes
            if tied > 0:
                credit /= tied
            if first >= leads[second]:
                stopped[total] += p * credit
            else:
                forced[total] += p * credit
                alive[total] += p
                if total < most:
                    for g in range(dims):
                        if x[g] < sizes[g]:
                            q = p * (sizes[g] - x[g]) / (n - total)
                            drawn[total, g] += q
                            chance[state + stride[g]] += q
        for g in range(dims):
            x[g] += 1
            if x[g] <= min(sizes[g], most):
                break
            x[g] = 0


@njit(cache=True)
def run_orders(sequence, values, leads, most, orders, key, stopped, forced, alive, slots, drawn):
    """The same traces averaged over random orders of one problem.

    ``sequence`` contains classes, the last group abstains.

    drawn[slots[t], g] sums what would be drawn[t, g] over the draws between two caps: one row per
    draw would grow with the square of n.
    """
    n = sequence.shape[0]
    groups = drawn.shape[1]
    votes = np.zeros(groups, dtype=np.int64)
    order = np.arange(n)
    state = np.zeros(1, dtype=np.uint64)
    state[0] = key
    share = 1.0 / orders
    for _ in range(orders):
        for g in range(groups):
            votes[g] = 0
        first, second, tied, credit = 0, 0, 0, 0.0
        for t in range(most + 1):
            mean = credit / tied if tied > 0 else 0.0
            if first >= leads[second]:
                stopped[t] += share * mean
                break
            forced[t] += share * mean
            alive[t] += share
            if t == most:
                break
            g = sequence[draw_next(order, t, state)]
            drawn[slots[t], g] += share
            if g == groups - 1:
                continue
            votes[g] += 1
            if votes[g] > first:
                if tied != 1:
                    second = first
                first, tied, credit = votes[g], 1, values[g]
            elif votes[g] == first:
                second = first
                tied += 1
                credit += values[g]
            elif votes[g] > second:
                second = votes[g]
