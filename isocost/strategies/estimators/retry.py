"""Retry until a perfect verifier accepts: attempts and success under a cap, in closed form.

Lives here: the policy that draws until the first correct sample. Not here: verifiers that err
(verification.py) and pass@k, which is this policy's success rate (coverage.py).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from isocost.strategies.estimators.coverage import miss_rate, read_draws
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
    """Draw without replacement until correct, or k attempts.

    E[attempts] = sum_{j<k} C(n-c, j) / C(n, j).

    The sum is ((n+1) success + k (1 - success)) / (c+1), by C(n-c, j) / C(n, j) = C(n-j, c) / C(n,
    c) and the hockey-stick identity.

    Args:
        n: samples banked, one number or (problems,).
        c: correct ones among them.
        k: cap or caps on the attempts.

    Returns:
        `RetryResult`, shaped by the arguments; NaN where k > n.

    Examples:
        >>> found = retry_until_verified(10, 3, 5)
        >>> found.attempts.item(), found.success.item()
        (2.625, 0.916667)
    """
    samples, right, caps, shape, back = read_draws(n, c, k)
    missed = miss_rate(samples, right, caps)
    success = 1.0 - missed
    attempts = ((samples + 1) * success + caps * missed) / (right + 1)
    return RetryResult(shape.give_back(success[back]), shape.give_back(attempts[back]))


def uncapped_attempts(n: ArrayLike, c: ArrayLike) -> Floats:
    """Expected attempts until the first correct one when the whole bank may be drawn.

    (n+1) / (c+1); infinite for c = 0.

    Examples:
        >>> uncapped_attempts(10, 3).item()
        2.75
    """
    samples, right = np.broadcast_arrays(
        np.asarray(n, dtype=np.float64), np.asarray(c, dtype=np.float64)
    )
    return np.where(right > 0, (samples + 1) / (right + 1), np.inf)[()]
