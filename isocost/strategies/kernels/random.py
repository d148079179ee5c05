"""A counter-based random stream for compiled loops.

The same on every machine and for every number of threads.

Lives here: splitmix64 (Steele, Lea and Flood 2014) and one step of a Fisher-Yates shuffle. Not
here: its uses.
"""

# Numba infers the types of what a kernel is called with, and reads no annotation.
# pyright: reportMissingParameterType=false

from __future__ import annotations

import numpy as np
from numba import njit

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31, _S32 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(32)


@njit(cache=True)
def mix(z):
    """The output function of splitmix64: scatters a uint64."""
    z = (z ^ (z >> _S30)) * _MIX_1
    z = (z ^ (z >> _S27)) * _MIX_2
    return z ^ (z >> _S31)


@njit(cache=True)
def draw_next(order, i, state):
    """Put a uniformly drawn element of order[i:] at place i and return it.

    ``state`` is a uint64 array of one.
    """
    state[0] += _GAMMA
    span = np.uint64(order.shape[0] - i)
    j = i + np.int64(((mix(state[0]) >> _S32) * span) >> _S32)
    chosen = order[j]
    order[j] = order[i]
    order[i] = chosen
    return chosen
