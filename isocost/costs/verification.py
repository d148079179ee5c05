"""Budget of generating solutions and verifying them with a model.

Lives here: the accounting C = S (1 + lambda V) of Singhi et al. 2025, "When To Solve, When To
Verify" (arXiv 2504.01005), and the power-law fit of the best split. Not here: what a verified vote
would have answered (`isocost.strategies`).

The law counts generated tokens only. Prompts, and the solutions a verifier has to read, are not in
it; that matters when solutions are long, and `isocost.costs.forward_flops` counts them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from isocost.costs.checks import numbers
from isocost.errors import IsocostError


def verification_budget(
    solutions: ArrayLike,
    verifications: ArrayLike,
    length_ratio: ArrayLike,
    parameter_ratio: ArrayLike = 1.0,
) -> NDArray[np.float64]:
    """Compute in units of one solution: C = S (1 + lambda V P_V / P_S).

    Args:
        solutions: S, shape (...).
        verifications: V for each solution, shape (...); 0 is self-consistency.
        length_ratio: lambda = tokens of a verification over tokens of a solution.
        parameter_ratio: P_V / P_S, 1 when one model does both.

    Returns:
        Solution equivalents, shape (...).

    Examples:
        >>> verification_budget([8, 8, 4], [16, 16, 32], [1, 2, 0.5]).tolist()
        [136.0, 264.0, 68.0]
    """
    s, v = numbers(solutions, "solutions"), numbers(verifications, "verifications")
    return s * (
        1 + numbers(length_ratio, "length_ratio") * v * numbers(parameter_ratio, "parameter_ratio")
    )


def verification_flops(
    solutions: ArrayLike,
    verifications: ArrayLike,
    length_ratio: ArrayLike,
    solution_tokens: ArrayLike,
    parameters: float,
) -> NDArray[np.float64]:
    """The same budget in FLOPs, 2 P T_S S (1 + lambda V), shape (...)."""
    budget = verification_budget(solutions, verifications, length_ratio)
    return 2.0 * parameters * numbers(solution_tokens, "solution_tokens") * budget


@dataclass(frozen=True, slots=True)
class PowerLaw:
    """y = exp(intercept) x^slope, fitted by least squares on logarithms."""

    slope: float
    intercept: float

    def scale(self, factor: float) -> float:
        """By how much y grows when x grows by ``factor``."""
        return factor**self.slope


def fit_power_law(budgets: ArrayLike, best: ArrayLike) -> PowerLaw:
    """Exponent with which the best number of solutions (or verifications) grows with the budget.

    Args:
        budgets: C, shape (n,), n >= 2, positive.
        best: best S or V at each, positive, shape (n,).

    Examples:
        >>> fit_power_law([64, 256, 1024, 4096], [4, 9, 20, 44])
        PowerLaw(slope=0.576515, intercept=-1.005627)
    """
    x, y = numbers(budgets, "budgets"), numbers(best, "best")
    if x.shape != y.shape or x.size < 2 or np.any(x <= 0) or np.any(y <= 0) or np.ptp(x) == 0:
        raise IsocostError(
            "a power law needs two different positive budgets and a positive optimum at each",
            where="fit_power_law",
        )
    slope, intercept = np.polyfit(np.log(x), np.log(y), 1)
    return PowerLaw(float(slope), float(intercept))
