"""Do reported accuracies follow from their own counts?

Lives here: the check of a published rate against successes and trials, to run before a frontier is
drawn through numbers that others reported. Not here: reading of files.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from isocost.errors import IsocostError
from isocost.frontier.arrays import finite_array


def rate_faults(
    successes: ArrayLike,
    trials: ArrayLike,
    reported: ArrayLike,
    *,
    decimals: int,
    other_trials: ArrayLike | None = None,
) -> list[tuple[str, ...]]:
    """Name the inconsistencies in each row of reported rates.

    Args:
        successes: correct cases per row, shape ``(n,)``.
        trials: cases per row, positive.
        reported: rate per row as a ratio in [0, 1], rounded to ``decimals``.
        decimals: decimals of the reported ratio (3 for a percentage with one).
        other_trials: a second statement of the number of cases, where the source has one.

    Returns:
        One tuple per row: "rate_differs" where successes / trials does not round to the reported
            rate, "trials_disagree" where
        the two numbers of cases differ; empty for a row without fault.

    Raises:
        IsocostError: lengths disagree, a value is not finite, or trials are not positive.

    Examples:
        >>> rate_faults([3, 3], [10, 10], [0.3, 0.34], decimals=2)
        [(), ('rate_differs',)]
    """
    named = {"successes": successes, "trials": trials, "reported": reported}
    right, cases, rate = (finite_array(values, name, (1,)) for name, values in named.items())
    if not len(right) == len(cases) == len(rate) or (cases <= 0).any():
        raise IsocostError(
            "successes, trials and rates do not fit",
            remedy="Give one of each per row, trials positive.",
        )
    # Half a unit in the last place: either rounding direction is possible at the boundary.
    differs = np.abs(right / cases - rate) > 0.5 * 10.0**-decimals + 1e-9
    disagree = (
        np.zeros(len(right), dtype=bool)
        if other_trials is None
        else finite_array(other_trials, "other_trials", (1,)) != cases
    )
    flags = (("rate_differs", differs), ("trials_disagree", disagree))
    return [tuple(name for name, flag in flags if flag[i]) for i in range(len(right))]
