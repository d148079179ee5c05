"""Compiled inner loop of choosing among solutions by the mean of a few random verdicts each.

Lives here: numba code only, called by verification.py, which explains the method.
"""

# Numba infers the types of what a kernel is called with, and reads no annotation.
# pyright: reportMissingParameterType=false

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True)
def choose_rows(chances, values, sizes, ks, nodes, node_weights, result):
    """Fill result[row, budget] with the value of the best of k solutions, ties uniform.

    Scores are independent with chances[row, solution, level].

    For each level v that may win and each node u of the rule that integrates the tie-break over
    0..1: ``whole`` and ``marked`` are means over the k-subsets of the first solutions of
    prod(P(score < v) + u P(score = v)), and of the same with one factor in turn replaced by value
    P(score = v).
    """
    levels = chances.shape[2]
    for row in range(values.shape[0]):
        n = sizes[row]
        most = 0
        for b in range(ks.shape[0]):
            if ks[b] <= n:
                most = max(most, ks[b])
                result[row, b] = 0.0
        if most == 0:
            continue
        below = np.zeros(n)
        whole, marked = np.zeros(most + 1), np.zeros(most + 1)
        for v in range(levels):
            total = 0.0
            for j in range(n):
                total += chances[row, j, v] * values[row, j]
            if total > 0.0:
                for q in range(nodes.shape[0]):
                    whole[:], marked[:] = 0.0, 0.0
                    whole[0] = 1.0
                    for j in range(n):
                        p = chances[row, j, v]
                        factor, gain = below[j] + nodes[q] * p, values[row, j] * p
                        for k in range(min(most, j + 1), 0, -1):
                            share = k / (j + 1.0)
                            marked[k] = (1.0 - share) * marked[k] + share * (
                                factor * marked[k - 1] + gain * whole[k - 1]
                            )
                            whole[k] = (1.0 - share) * whole[k] + share * factor * whole[k - 1]
                    for b in range(ks.shape[0]):
                        if ks[b] <= n:
                            result[row, b] += node_weights[q] * marked[ks[b]]
            for j in range(n):
                below[j] += chances[row, j, v]
