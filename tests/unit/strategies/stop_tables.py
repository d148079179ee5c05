"""At which pairs of counts a policy stops, as tables of all pairs: what the leads are held to."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc

Bools = NDArray[np.bool_]


def beta_stop_table(threshold: float, most: int) -> Bools:
    """stop[a, b] for the leading counts a >= b: I_{1/2}(b+1, a+1) >= threshold (Aggarwal et al.
    2023, Beta criterion).
    """
    first, second = np.meshgrid(np.arange(most + 1), np.arange(most + 1), indexing="ij")
    # (0, 0) is one half: no vote has been cast, and a threshold of at most one half must not stop
    # before the first sample.
    return (betainc(second + 1.0, first + 1.0, 0.5) >= threshold) & (first > 0)


def sprt_stop_table(share: float, alpha: float, beta: float, most: int) -> Bools:
    """stop[a, b] by Wald's test of "the leader has this share of the top two" against the runner-up
    having it: the log-likelihood ratio is (a - b) ln(share / (1 - share)); sampling stops at
    ln((1 - beta) / alpha) (Wald 1945).
    """
    first, second = np.meshgrid(np.arange(most + 1), np.arange(most + 1), indexing="ij")
    ratio = (first - second) * np.log(share / (1 - share))
    return (ratio >= np.log((1 - beta) / alpha) - 1e-12) & (first > 0)
