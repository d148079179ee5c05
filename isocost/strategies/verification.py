"""Generate, then verify: S solutions, V verifications each, and what that costs in units of one solution.

Lives here: the accounting of Singhi et al. 2025 and the replay where several verifications of each solution are banked. Not
here: perfect verifiers (retry.py) and one given score a sample (order.py).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from isocost.errors import IsocostError
from isocost.strategies.adaptive import MISS
from isocost.strategies.order import best_of_rows
from isocost.strategies.shapes import Floats, read_budgets, read_matrix


class VerifiedResult(NamedTuple):
    """Best-of-S by the mean of V verdicts.

    Attributes:
        accuracy: (problems, budgets), shaped by the arguments.
        cost: in units of one solution, S (1 + ratio V), (budgets,) or a number.
        error_bound: Hoeffding bound a problem; 0 where all banked verifications are used (exact).
    """

    accuracy: Floats
    cost: Floats
    error_bound: float


def verification_cost(solutions: ArrayLike, verifications: ArrayLike, ratio: float = 1.0) -> Floats:
    """Compute in units of one solution: S (1 + ratio V), ratio = verification tokens / solution tokens.

    Where the verifier is another model, multiply the ratio by verifier parameters / generator parameters. Prompt tokens are
    not counted. V = 0 is voting.
    """
    return np.asarray(solutions, dtype=np.float64) * (1 + ratio * np.asarray(verifications, dtype=np.float64))


def mean_verdict(verdicts: ArrayLike) -> Floats:
    """Score of each solution: mean of its verdicts (1 yes, 0 no, or P(yes)); NaN verdicts are dropped, none left gives 0."""
    raw = np.asarray(verdicts, dtype=np.float64)
    known = ~np.isnan(raw)
    return np.where(known, raw, 0.0).sum(axis=-1) / np.maximum(known.sum(axis=-1), 1)


def generate_then_verify(
    verdicts: ArrayLike,
    values: ArrayLike,
    solutions: ArrayLike,
    verifications: int,
    *,
    ratio: float = 1.0,
    draws: int = 256,
    seed: int = 0,
) -> VerifiedResult:
    """Expected correctness of the best of S solutions by the mean of V verdicts, averaged over subsets of the bank.

    Args:
        verdicts: (solutions, verifications) of one problem or (problems, solutions, verifications); NaN for unparsable.
        values: correctness of each solution, one row or (problems, solutions).
        solutions: S, a number or a sequence.
        verifications: V; exact over solutions when it uses all banked verifications, else random subsets of verdicts too.
        ratio: verification tokens / solution tokens, for the cost.
        draws: random subsets of verdicts.
        seed: of those.
    """
    grade, one_row = read_matrix("values", values)
    votes = np.asarray(verdicts, dtype=np.float64)
    votes = votes[None] if one_row and votes.ndim == 2 else votes
    if votes.ndim != 3 or votes.shape[:2] != grade.shape:
        raise IsocostError(f"verdicts {votes.shape} do not fit values {grade.shape}", where="verdicts")
    banked = votes.shape[2]
    if not 1 <= verifications <= banked:
        raise IsocostError(f"{verifications} verifications of {banked} banked", where="verifications")
    ks, one_budget = read_budgets(solutions)
    everything = np.ones(grade.shape, dtype=np.bool_)
    if verifications == banked:
        accuracy, bound = best_of_rows(mean_verdict(votes), grade, ks, everything), 0.0
    else:
        rng = np.random.default_rng(seed)
        total = np.zeros((len(grade), len(ks)))
        for _ in range(draws):
            pick = np.argsort(rng.random(votes.shape), axis=2)[:, :, :verifications]
            total += best_of_rows(mean_verdict(np.take_along_axis(votes, pick, axis=2)), grade, ks, everything)
        accuracy, bound = total / draws, float(np.sqrt(np.log(2 / MISS) / (2 * draws)))
    cost = verification_cost(ks, verifications, ratio)
    accuracy = accuracy[:, 0] if one_budget else accuracy
    return VerifiedResult(accuracy[0] if one_row else accuracy, cost[0] if one_budget else cost, bound)
