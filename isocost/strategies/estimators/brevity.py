"""Selection by length and by surprise.

Shortest-of-k, and surprisal-guided choice among verified samples.

Lives here: best-of-k under these two orders. Not here: the shortest majority vote (subsets.py),
other scores (order.py).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from isocost.errors import IsocostError
from isocost.strategies.estimators.order import best_of_k, expected_min
from isocost.strategies.shapes import Floats


class ShortestResult(NamedTuple):
    """Shortest-of-k.

    Accuracy, and tokens in lockstep when all attempts are halted with the shortest, k E[min
    tokens].
    """

    accuracy: Floats
    tokens: Floats


def shortest_of_k(
    lengths: ArrayLike, values: ArrayLike, k: ArrayLike, *, valid: ArrayLike | None = None
) -> ShortestResult:
    """Start k samples together and take the first to finish; equal lengths share the credit.

    Hassid et al. 2025, short-1@k.

    Arguments as `best_of_k`, lengths in tokens.

    Examples:
        >>> found = shortest_of_k([10, 30, 20], [1, 0, 1], [1, 2, 3])
        >>> found.accuracy.tolist(), found.tokens.tolist()
        ([0.666667, 1.0, 1.0], [20.0, 26.666667, 30.0])
    """
    length = np.asarray(lengths, dtype=np.float64)
    tokens = expected_min(length, k, valid=valid) * np.asarray(k)
    return ShortestResult(best_of_k(-length, values, k, valid=valid), tokens)


def surprisal_guided(
    mean_logprob: ArrayLike,
    verified: ArrayLike,
    values: ArrayLike,
    k: ArrayLike,
    *,
    valid: ArrayLike | None = None,
) -> Floats:
    """Expected value of the most surprising verified sample among k; 0 if none is verified.

    The most surprising sample has the lowest mean log-probability.

    Only valid after a verifier has filtered: among unverified samples, surprise favours garbage.

    Args:
        mean_logprob: mean token log-probability, one row or (problems, samples).
        verified: mask of samples that passed, same shape.
        values: the value of a chosen sample (a graded score), same shape.
        k: budget or budgets.
        valid: mask of samples that exist.

    Examples:
        >>> surprisal_guided([-0.2, -0.9, -0.5], [1, 1, 0], [1, 0, 0], [1, 3]).tolist()
        [0.333333, 0.0]
    """
    surprise, passed = (
        -np.asarray(mean_logprob, dtype=np.float64),
        np.asarray(verified, dtype=np.bool_),
    )
    if surprise.shape != passed.shape:
        raise IsocostError(f"shapes differ: {surprise.shape} and {passed.shape}", where="verified")
    worth = np.where(passed, np.asarray(values, dtype=np.float64), 0.0)
    return best_of_k(np.where(passed, surprise, -np.inf), worth, k, valid=valid)
