"""Problems that do not measure what they should.

Lives here: tests for problems solved without seeing the question, for negative discrimination, and
guess correction. Not here: the thresholds at which a table raises a flag.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from isocost.errors import IsocostError
from isocost.items.classical import FloatArray


def blind_p_value(correct: ArrayLike, samples: ArrayLike, chance: float) -> FloatArray:
    """One-sided binomial p-value of a problem asked without its essential input.

    It is solved more often than by chance.

    Args:
        correct: correct blind answers per problem.
        samples: blind answers per problem, positive.
        chance: probability of guessing right, in [0, 1).

    Returns:
        P(X >= correct) under chance, one entry per problem.

    Examples:
        >>> blind_p_value(9, 20, 0.25).item()
        0.040925
    """
    x, n = np.broadcast_arrays(
        np.asarray(correct, dtype=np.float64), np.asarray(samples, dtype=np.float64)
    )
    if not 0 <= chance < 1 or not ((n > 0) & (x >= 0) & (x <= n)).all():
        raise IsocostError(
            "blind counts or chance are impossible",
            remedy="0 <= correct <= samples, samples > 0, 0 <= chance < 1.",
        )
    return np.asarray(stats.binom.sf(x - 1, n, chance), dtype=np.float64)


def guess_corrected(accuracy: ArrayLike, chance: float) -> FloatArray:
    """(accuracy - chance) / (1 - chance): 0 for guessing, 1 for perfect, negative below chance.

    Examples:
        >>> guess_corrected(0.4, 0.25).item()
        0.2
    """
    if not 0 <= chance < 1:
        raise IsocostError(f"chance is {chance}", remedy="Use a value in [0, 1).")
    return (np.asarray(accuracy, dtype=np.float64) - chance) / (1 - chance)


def negative_discrimination_p(correlation: ArrayLike, subjects: int) -> FloatArray:
    """One-sided p-value that better subjects do worse on an item.

    A t test of a correlation below 0.

    Args:
        correlation: rest-corrected correlation per item; NaN stays NaN.
        subjects: number of subjects, at least 3.
    """
    if subjects < 3:
        raise IsocostError(
            f"{subjects} subjects", remedy="A correlation can be tested from three subjects on."
        )
    r = np.clip(np.asarray(correlation, dtype=np.float64), -1 + 1e-12, 1 - 1e-12)
    return stats.t.cdf(r * np.sqrt((subjects - 2) / (1 - r**2)), subjects - 2)
