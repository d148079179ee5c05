"""How far greedy decoding repeats itself across batch sizes, number formats and engine versions.

Lives here: divergence index and spreads (Yuan et al. 2025, "Give me FP32 or give me death?"), with
the conventions that the paper leaves open fixed. Not here: which runs belong together.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from isocost.errors import IsocostError


def divergence_index(responses: Sequence[Sequence[int] | np.ndarray]) -> int | None:
    """First token position, from 0, at which the responses of a group stop being the same.

    A response that is a proper prefix of another diverges at its length. The group's index is the
    smallest over all pairs.

    Args:
        responses: token ids of each run, at least two runs.

    Returns:
        The index, or None where all are identical (censored: identical at least that far).

    Raises:
        IsocostError: fewer than two responses.

    Examples:
        >>> divergence_index([[5, 7, 7, 2, 9], [5, 7, 7, 3, 9], [5, 7, 8]])
        2
    """
    if len(responses) < 2:
        raise IsocostError(
            f"{len(responses)} response", remedy="Divergence needs at least two runs."
        )
    runs = [np.asarray(response) for response in responses]
    shortest = min(len(run) for run in runs)
    stacked = np.stack([run[:shortest] for run in runs])
    differs = (stacked != stacked[0]).any(axis=0)
    if differs.any():
        return int(np.argmax(differs))
    return None if all(len(run) == shortest for run in runs) else shortest


def mean_spread(values: ArrayLike) -> float:
    """Mean over problems of the sample standard deviation over runs: Avg_Std of the paper.

    Args:
        values: runs x problems, at least two runs.

    Examples:
        >>> mean_spread([[0.5], [0.5333], [0.4667]])
        0.0333
        >>> mean_spread([[100, 50], [120, 50], [90, 50]])
        7.637626
    """
    data = np.asarray(values, dtype=np.float64)
    if data.ndim != 2 or data.shape[0] < 2 or data.shape[1] < 1:
        raise IsocostError(
            f"values have shape {data.shape}", remedy="Pass runs x problems with two runs or more."
        )
    return float(data.std(axis=0, ddof=1).mean())


def top1_spread(probabilities: ArrayLike, divergence: int | None) -> float:
    """Mean standard deviation over runs of the top-1 probability, before divergence.

    Strictly before: at the divergent position the runs' probabilities belong to different tokens.

    Args:
        probabilities: runs x positions.
        divergence: from `divergence_index`; None uses all positions.

    Returns:
        The mean; NaN where the runs diverge at once.

    Examples:
        >>> top1 = [[0.9, 0.8, 0.70, 0.51], [0.9, 0.81, 0.68, 0.49], [0.9, 0.79, 0.72, 0.50]]
        >>> top1_spread(top1, 3)
        0.01
    """
    data = np.asarray(probabilities, dtype=np.float64)
    if data.ndim != 2 or data.shape[0] < 2:
        raise IsocostError(
            f"probabilities have shape {data.shape}",
            remedy="Pass runs x positions with two runs or more.",
        )
    common = data[:, :divergence]
    return float(common.std(axis=0, ddof=1).mean()) if common.shape[1] else float("nan")
