"""Generate, then verify: S solutions, V verifications each, and their cost.

Costs are in units of one solution.

Lives here: the accounting of Singhi et al. 2025 and the replay where several verifications of each
solution are banked. Not here: perfect verifiers (retry.py) and one given score per sample
(order.py).
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import comb

from isocost.errors import IsocostError
from isocost.strategies.estimators.adaptive import MISS
from isocost.strategies.estimators.order import best_of_rows
from isocost.strategies.estimators.subsets import start_states
from isocost.strategies.kernels.verified import choose_rows
from isocost.strategies.shapes import Bools, Floats, Ints, read_budgets, read_matrix

# Multiplications per problem in closed form: about 0.1 s, up to 256 solutions with 4 verifications
# each.
MOST_WORK = 5e7
DRAWS = 256


class VerifiedResult(NamedTuple):
    """Best-of-S by the mean of V verdicts.

    Attributes:
        accuracy: (problems, budgets), shaped by the arguments.
        cost: in units of one solution, S (1 + ratio V), (budgets,) or a number.
        error_bound: Hoeffding bound per problem; 0 where exact.
    """

    accuracy: Floats
    cost: Floats
    error_bound: float


def verification_cost(solutions: ArrayLike, verifications: ArrayLike, ratio: float = 1.0) -> Floats:
    """Compute in units of one solution: S (1 + ratio V).

    ratio = verification tokens / solution tokens.

    If the verifier is another model, multiply the ratio by verifier parameters / generator
    parameters. Prompt tokens are not counted. V = 0 is voting.

    Examples:
        >>> verification_cost(8, [0, 16], ratio=2.0).tolist()
        [8.0, 264.0]
    """
    return np.asarray(solutions, dtype=np.float64) * (
        1 + ratio * np.asarray(verifications, dtype=np.float64)
    )


def mean_verdict(verdicts: ArrayLike) -> Floats:
    """Score of each solution.

    Mean of its verdicts (1 yes, 0 no, or P(yes)); NaN verdicts are dropped, none left gives 0.

    Examples:
        >>> mean_verdict([[1, 0, float("nan")], [float("nan")] * 3]).tolist()
        [0.5, 0.0]
    """
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
    draws: int = DRAWS,
    seed: int = 0,
) -> VerifiedResult:
    """Expected correctness of the best of S solutions by the mean of V verdicts.

    Averaged over subsets of the bank.

    Args:
        verdicts: (solutions, verifications) of one problem or (problems, solutions, verifications);
            NaN for unparsable.
        values: correctness of each solution, one row or (problems, solutions).
        solutions: S, a number or a sequence.
        verifications: V; exact over all subsets of solutions and verdicts, unless verdicts are
            other than yes and no and V is below those banked, or the closed form would cost too
            much (`MOST_WORK`): then random subsets of verdicts.
        ratio: verification tokens / solution tokens, for the cost.
        draws: random subsets of verdicts.
        seed: of those.

    Examples:
        >>> found = generate_then_verify([[1.0, 1.0], [0.0, 0.0]], [1, 0], [1, 2], 2)
        >>> found.accuracy.tolist()
        [0.5, 1.0]
    """
    grade, one_row = read_matrix("values", values)
    votes = np.asarray(verdicts, dtype=np.float64)
    votes = votes[None] if one_row and votes.ndim == 2 else votes
    if votes.ndim != 3 or votes.shape[:2] != grade.shape:
        raise IsocostError(
            f"verdicts {votes.shape} do not fit values {grade.shape}", where="verdicts"
        )
    banked = votes.shape[2]
    if not 1 <= verifications <= banked:
        raise IsocostError(
            f"{verifications} verifications of {banked} banked", where="verifications"
        )
    ks, one_budget = read_budgets(solutions)
    everything, counts = np.ones(grade.shape, dtype=np.bool_), np.full(grade.shape, banked)
    starts = start_states(seed, np.arange(len(grade)))
    accuracy, exact = verified_rows(
        votes, counts, grade, everything, ks, verifications, draws=draws, starts=starts
    )
    bound = 0.0 if exact.all() else float(np.sqrt(np.log(2 / MISS) / (2 * draws)))
    cost = verification_cost(ks, verifications, ratio)
    accuracy = accuracy[:, 0] if one_budget else accuracy
    return VerifiedResult(
        accuracy[0] if one_row else accuracy, cost[0] if one_budget else cost, bound
    )


def verified_rows(
    verdicts: Floats,
    counts: Ints,
    values: Floats,
    present: Bools,
    ks: Ints,
    verifications: int,
    *,
    draws: int,
    starts: np.ndarray,
) -> tuple[Floats, Bools]:
    """The computation behind `generate_then_verify` on checked matrices.

    Also reports which problems are exact.

    Args:
        verdicts: (problems, solutions, verifications), NaN for unparsable ones and after the last.
        counts: verifications of each solution, unparsable ones included, at least
            ``verifications``.
        values: value of each solution.
        present: solutions that exist, at the start of their rows.
        ks: numbers of solutions.
        verifications: V.
        draws: random subsets of verdicts if there is no closed form.
        starts: seed of each problem.
    """
    known = ~np.isnan(verdicts)
    is_whole = ((counts == verifications) | ~present).all(axis=1)
    is_binary = (~known | (verdicts == 0) | (verdicts == 1)).all(axis=(1, 2))
    accuracy = np.full((len(values), len(ks)), np.nan)
    if is_whole.any():
        accuracy[is_whole] = best_of_rows(
            mean_verdict(verdicts[is_whole]), values[is_whole], ks, present[is_whole]
        )
    yes, no = (verdicts == 1).sum(axis=2), (known & (verdicts == 0)).sum(axis=2)
    sizes = present.sum(axis=1)
    is_closed = ~is_whole & is_binary & (_work(sizes, ks, verifications) <= MOST_WORK)
    closed = np.flatnonzero(is_closed)
    usable = ks[ks <= sizes[closed].max(initial=0)]
    nodes, weights = np.polynomial.legendre.leggauss(int(usable.max(initial=1)) // 2 + 1)
    # Problems without unparsable verdicts need few levels; the others all fractions.
    for parsable in (True, False):
        rows = closed[((counts == yes + no) | ~present)[closed].all(axis=1) == parsable]
        if rows.size:
            chances = _score_chances(yes[rows], no[rows], counts[rows], verifications, parsable)
            part = np.full((len(rows), len(ks)), np.nan)
            choose_rows(
                chances,
                np.where(present, values, 0.0)[rows],
                sizes[rows],
                ks,
                (nodes + 1) / 2,
                weights / 2,
                part,
            )
            accuracy[rows] = np.clip(part, 0.0, 1.0)
    for row in np.flatnonzero(~is_whole & ~is_closed):
        rng, mine = (
            np.random.default_rng(int(starts[row])),
            np.arange(verdicts.shape[2])[None, :] < counts[row][:, None],
        )
        total = np.zeros((1, len(ks)))
        for _ in range(draws):
            pick = np.argsort(np.where(mine, rng.random(mine.shape), np.inf), axis=1)[
                :, :verifications
            ]
            means = mean_verdict(np.take_along_axis(verdicts[row], pick, axis=1))[None]
            total += best_of_rows(means, values[row : row + 1], ks, present[row : row + 1])
        accuracy[row] = total[0] / draws
    return accuracy, is_whole | is_closed


def _work(sizes: Ints, ks: Ints, verifications: int) -> Floats:
    """Multiplications of the closed form for each problem.

    Mean verdicts x nodes x solutions x the largest budget.
    """
    most = np.max(np.where(ks[None, :] <= sizes[:, None], ks, 1), axis=1, initial=1).astype(
        np.float64
    )
    return (verifications + 1) * (most // 2 + 1) * sizes * most


def _score_chances(yes: Ints, no: Ints, counts: Ints, verifications: int, parsable: bool) -> Floats:
    """Probability of each mean verdict from V of a solution's verifications, lowest first.

    Drawn without replacement. (problems, solutions, levels); hypergeometric in yes, no and
    unparsable ones. Means are i / (i + d) for i yes and d no, 0 for none.
    """
    least = verifications if parsable else 0
    parts: dict[Fraction, Floats] = {}
    everything = comb(counts, verifications)
    for parsed in range(least, verifications + 1):
        for i in range(parsed + 1):
            chance = (
                comb(yes, i)
                * comb(no, parsed - i)
                * comb(counts - yes - no, verifications - parsed)
            )
            level = Fraction(i, parsed) if parsed else Fraction(0)
            parts[level] = parts.get(level, 0.0) + np.divide(
                chance, everything, out=np.zeros(counts.shape), where=everything > 0
            )
    return np.stack([parts[level] for level in sorted(parts)], axis=2)
