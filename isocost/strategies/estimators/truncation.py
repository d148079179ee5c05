"""Token budgets: what cutting every sample at b tokens would cost and lose.

Lives here: the strict completion curve of a bank, problem by problem. Not here: forced answers
after a cut (that needs new generations), measures of the whole curve and fits (curves).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from isocost.strategies.shapes import (
    Bools,
    Floats,
    Shape,
    read_budgets,
    read_like,
    read_matrix,
    read_valid,
    refuse_nan,
)


class TruncationResult(NamedTuple):
    """Accuracy and expected tokens when every sample is cut at b tokens.

    Shaped by the arguments.
    """

    accuracy: Floats
    tokens: Floats


def truncate_at(
    values: ArrayLike, tokens: ArrayLike, budget: ArrayLike, *, valid: ArrayLike | None = None
) -> TruncationResult:
    """Strict completion curve: mean of value for samples that end within b tokens.

    And the mean of min(tokens, b).

    This is a lower bound for protocols that force an answer after the cut.

    Args:
        values: correctness, one row or (problems, samples).
        tokens: generated tokens of each sample, same shape.
        budget: token budget or budgets.
        valid: mask of samples that exist.

    Examples:
        >>> found = truncate_at(
        ...     [1, 0, 1, 1, 1], [500, 1500, 3000, 7000, 9000], [1000, 2000, 4000, 8000, 16000]
        ... )
        >>> found.accuracy.tolist()
        [0.2, 0.2, 0.4, 0.6, 0.8]
        >>> found.tokens.tolist()
        [900.0, 1600.0, 2600.0, 4000.0, 4200.0]
    """
    grade, one_row = read_matrix("values", values)
    length = read_like("tokens", tokens, grade.shape)
    mask = read_valid(valid, grade.shape)
    refuse_nan("values", grade, mask, "Leave ungraded samples out with valid=.")
    refuse_nan("tokens", length, mask, "Leave samples of unknown length out with valid=.")
    budgets, one_budget = read_budgets(budget)
    accuracy, spent = completion_curve(grade, length, budgets, mask)
    give = Shape(one_row, one_budget).give_back
    return TruncationResult(give(accuracy), give(spent))


def completion_curve(
    grade: Floats, length: Floats, budgets: np.ndarray, mask: Bools
) -> tuple[Floats, Floats]:
    """The computation behind `truncate_at` on checked matrices."""
    sizes = mask.sum(axis=1)
    accuracy, spent = np.full((2, len(grade), len(budgets)), np.nan)
    known = sizes > 0
    for i, b in enumerate(budgets):
        right = np.where(mask & (length <= b), grade, 0.0).sum(axis=1)
        used = np.where(mask, np.minimum(length, b), 0.0).sum(axis=1)
        accuracy[known, i], spent[known, i] = (
            right[known] / sizes[known],
            used[known] / sizes[known],
        )
    return accuracy, spent
