"""Compiled inner loop of coverage: chances that k of n samples avoid all marked ones.

Lives here: numba code only, called by coverage.py, which explains the method and checks the
arguments.
"""

# Numba infers the types of what a kernel is called with, and reads no annotation.
# pyright: reportMissingParameterType=false

from __future__ import annotations

from numba import njit


@njit(cache=True)
def miss_products(n, few, many, out):
    """Fill out[i] with prod_{j < few} (n - many - j) / (n - j).

    A product that has vanished is not multiplied further.

    If ``few`` and ``many`` are both large, the product vanishes after about sqrt(745 n) factors,
    which bounds the cost of a cell.
    """
    for i in range(n.shape[0]):
        product = 1.0
        for j in range(few[i]):
            product *= max(n[i] - many[i] - j, 0) / max(n[i] - j, 1)
            if product == 0.0:
                break
        out[i] = product
