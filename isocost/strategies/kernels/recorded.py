"""Compiled inner loops of votes in the recorded order of samples.

Lives here: numba code only, called by recorded.py, which explains the method. ``classes`` contain
-1 for no answer.
"""

# Numba infers the types of what a kernel is called with, and reads no annotation.
# pyright: reportMissingParameterType=false

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True)
def recorded_majority(classes, values, sizes, ks, first, result):
    """Fill result[row, b] with the value of the majority answer of the first ks[b] samples.

    ``ks`` rise.

    With ``first``, a tie goes to the class with the earliest vote, otherwise tied classes share the
    credit. No votes at all count as 0.
    """
    for row in range(classes.shape[0]):
        votes = np.zeros(values.shape[1], dtype=np.int64)
        seen = np.zeros(values.shape[1], dtype=np.int64)
        drawn = 0
        for b in range(ks.shape[0]):
            if ks[b] > sizes[row]:
                break
            while drawn < ks[b]:
                g = classes[row, drawn]
                if g >= 0:
                    if votes[g] == 0:
                        seen[g] = drawn
                    votes[g] += 1
                drawn += 1
            top, tied, credit, leader = 0, 0, 0.0, -1
            for g in range(values.shape[1]):
                if votes[g] > top:
                    top, tied, credit, leader = votes[g], 1, values[row, g], g
                elif votes[g] == top and top > 0:
                    tied += 1
                    credit += values[row, g]
                    if seen[g] < seen[leader]:
                        leader = g
            result[row, b] = 0.0 if tied == 0 else values[row, leader] if first else credit / tied


@njit(cache=True)
def recorded_stop(classes, sizes, window, stop):
    """Fill stop[row] with the samples after which a window is unanimous.

    A number above all if there is none.
    """
    for row in range(classes.shape[0]):
        stop[row] = classes.shape[1] + window
        for m in range(sizes[row] // window):
            same = True
            for i in range(1, window):
                same = same and classes[row, m * window + i] == classes[row, m * window]
            if same:
                stop[row] = (m + 1) * window
                break
