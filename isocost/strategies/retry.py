"""Retry until a perfect verifier accepts: attempts and success under a cap, in closed form.

Lives here: the policy that draws until the first correct sample. Not here: verifiers that err (verification.py) and pass@k,
which is this policy's success rate (coverage.py).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from isocost.strategies.coverage import _read, miss_rate
from isocost.strategies.shapes import Floats


class RetryResult(NamedTuple):
    """Expected outcome of retrying with a cap.

    Attributes:
        success: chance that an attempt within the cap is correct (pass@k).
        attempts: expected attempts, the successful one included.
    """

    success: Floats
    attempts: Floats


def retry_until_verified(n: ArrayLike, c: ArrayLike, k: ArrayLike) -> RetryResult:
    """Draws without replacement until correct or k attempts: E[attempts] = sum_{j<k} C(n-c, j) / C(n, j).

    Args:
        n: samples banked, one number or (problems,).
        c: correct ones among them.
        k: cap or caps on the attempts.

    Returns:
        `RetryResult`, shaped by the arguments; NaN where k > n.
    """
    samples, right, caps, shape, back = _read(n, c, k)
    success = 1.0 - miss_rate(samples, right, caps)
    most = int(caps.max())
    steps = np.arange(min(most, int(samples.max(initial=0)) + 1))[None, :]
    still = np.concatenate([np.zeros((len(samples), 1)), np.cumsum(np.nan_to_num(miss_rate(samples, right, steps)), axis=1)], axis=1)
    attempts = np.where(caps > samples, np.nan, still[:, np.minimum(caps[0], still.shape[1] - 1)])
    return RetryResult(shape.give_back(success[back]), shape.give_back(attempts[back]))


def uncapped_attempts(n: ArrayLike, c: ArrayLike) -> Floats:
    """Expected attempts until the first correct one when the whole bank may be drawn: (n+1) / (c+1); infinite for c = 0."""
    samples, right = np.broadcast_arrays(np.asarray(n, dtype=np.float64), np.asarray(c, dtype=np.float64))
    return np.where(right > 0, (samples + 1) / (right + 1), np.inf)[()]
