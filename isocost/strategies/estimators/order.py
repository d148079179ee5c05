"""Order statistics of a random k-subset: expected maximum, minimum and best-of-k under a scorer.

Lives here: the rank weights C(n-r, k-1) / C(n, k) and everything that is a weighted sum over ranked
samples. Not here: which score a strategy ranks by (registered), votes (majority.py, subsets.py).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from isocost.errors import IsocostError
from isocost.strategies.shapes import (
    Bools,
    Floats,
    Ints,
    Shape,
    read_budgets,
    read_like,
    read_matrix,
    read_valid,
    refuse_nan,
)


def rank_weights(n: int, ks: Ints) -> Floats:
    """Weights (n, budgets): the probability that rank r is the best of a random k-subset of n.

    Rank 1 is first.

    By the recursion w_1 = k/n, w_{r+1} = w_r (n-r-k+1) / (n-r): no overflow. A budget above n gives
    a column of NaN.
    """
    return _rank_weights(n, tuple(int(k) for k in ks))


@lru_cache(maxsize=64)
def _rank_weights(n: int, budgets: tuple[int, ...]) -> Floats:
    """`rank_weights`, kept for the next score of the same bank; read-only."""
    ks = np.array(budgets, dtype=np.int64)
    weights = np.zeros((n, len(ks)), dtype=np.float64)
    if n == 0:
        return weights
    weight = ks / n
    for r in range(1, n + 1):
        weights[r - 1] = weight
        if r < n:
            weight = weight * np.maximum(n - r - ks + 1, 0) / (n - r)
    weights[:, ks > n] = np.nan
    weights.setflags(write=False)
    return weights


def by_size(valid: Bools) -> list[tuple[int, Ints]]:
    """Rows grouped by how many samples they have.

    [(n, row numbers)], so that weights are made once a size.
    """
    sizes = valid.sum(axis=1)
    return [(int(n), np.flatnonzero(sizes == n)) for n in np.unique(sizes)]


def expected_extreme(values: Floats, ks: Ints, valid: Bools, *, largest: bool) -> Floats:
    """Expected maximum (or minimum) of k values for each row, (problems, budgets).

    NaN where k exceeds the row's samples.

    An existing sample whose value is NaN (unknown) makes the whole row NaN.
    """
    out = np.full((len(values), len(ks)), np.nan)
    for n, rows in by_size(valid):
        if n == 0:
            continue
        block = np.where(valid[rows], values[rows], np.inf)
        unknown = np.isnan(block).any(axis=1)
        ordered = np.sort(block, axis=1)[:, :n]
        result = (ordered[:, ::-1] if largest else ordered) @ rank_weights(n, ks)
        result[unknown] = np.nan
        out[rows] = result
    return out


def expected_max(values: ArrayLike, k: ArrayLike, *, valid: ArrayLike | None = None) -> Floats:
    """Expected largest of k values drawn without replacement.

    sum over ranks of C(r-1, k-1) / C(n, k) * v_(r).

    The unbiased estimator of E[max] (eff@k of Qiu et al. 2025); on 0/1 values it is pass@k. Also
    used for parallel latency.

    Args:
        values: one row or (problems, samples), any unit.
        k: budget or budgets.
        valid: mask of samples that exist, for rows of unequal length.

    Returns:
        Shaped by the arguments, in the unit of ``values``; NaN where k exceeds the row's samples.

    Raises:
        IsocostError: for NaN among existing values, or a malformed argument.

    Examples:
        >>> expected_max([3, 5, 8, 13, 21, 34], [1, 2, 3, 6]).tolist()
        [14.0, 20.933333, 25.65, 34.0]
        >>> expected_max([0, 0.2, 0.5, 0.9], [1, 2, 3, 4]).tolist()  # eff@k
        [0.4, 0.65, 0.8, 0.9]
    """
    return _extreme(values, k, valid, largest=True)


def expected_min(values: ArrayLike, k: ArrayLike, *, valid: ArrayLike | None = None) -> Floats:
    """Expected smallest of k values drawn without replacement; see `expected_max`.

    Examples:
        >>> expected_min([3, 5, 8, 13, 21, 34], [1, 2, 3, 6]).tolist()
        [14.0, 7.066667, 4.85, 3.0]
    """
    return _extreme(values, k, valid, largest=False)


def _extreme(values: ArrayLike, k: ArrayLike, valid: ArrayLike | None, *, largest: bool) -> Floats:
    matrix, one_row = read_matrix("values", values)
    mask = read_valid(valid, matrix.shape)
    refuse_nan("values", matrix, mask, "Leave unknown samples out with valid=.")
    ks, one_budget = read_budgets(k)
    return Shape(one_row, one_budget).give_back(expected_extreme(matrix, ks, mask, largest=largest))


def best_of_rows(scores: Floats, values: Floats, ks: Ints, valid: Bools) -> Floats:
    """Best-of-k for each row, (problems, budgets).

    The value of the top-scored of k, equal scores sharing the credit.
    """
    out = np.full((len(scores), len(ks)), np.nan)
    for n, rows in by_size(valid):
        if n == 0:
            continue
        mask = valid[rows]
        # Absent samples sort last, even after samples scored minus infinity: rank by (absent,
        # -score).
        ranking = np.lexsort((-scores[rows], ~mask), axis=1)[:, :n]
        ordered = np.take_along_axis(scores[rows], ranking, axis=1)
        value = np.take_along_axis(values[rows], ranking, axis=1)
        out[rows] = _share_ties(ordered, value) @ rank_weights(n, ks)
    return out


def _share_ties(ordered: Floats, value: Floats) -> Floats:
    """Give every member of a block of equal scores the block's mean value.

    A uniform tie-break, exactly.
    """
    starts = np.ones(ordered.shape, dtype=np.bool_)
    starts[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    if starts.all():
        return value
    first = np.flatnonzero(starts.ravel())
    sizes = np.diff(np.append(first, ordered.size))
    means = np.add.reduceat(value.ravel(), first) / sizes
    return np.repeat(means, sizes).reshape(value.shape)


def best_of_k(
    scores: ArrayLike, values: ArrayLike, k: ArrayLike, *, valid: ArrayLike | None = None
) -> Floats:
    """Expected value of the top-scored among k samples.

    sum over ranks of C(n-r, k-1) / C(n, k) * value_(r).

    ``values`` may be correctness, or any per-sample quantity of the chosen sample (its tokens, its
    energy). Equal scores break uniformly at random, exactly (the block's weights times the block's
    mean).

    Args:
        scores: one row or (problems, samples); higher is chosen; minus infinity for "no answer".
        values: value of the chosen sample, same shape.
        k: budget or budgets.
        valid: mask of samples that exist, for rows of unequal length.

    Returns:
        Shaped by the arguments; NaN where k exceeds the row's samples.

    Raises:
        IsocostError: for NaN scores or values, or shapes that differ.

    Examples:
        >>> best_of_k([0.95, 0.9, 0.8, 0.7, 0.6, 0.1], [0, 1, 1, 0, 1, 0], [1, 2, 3]).tolist()
        [0.5, 0.533333, 0.45]
    """
    score, one_row = read_matrix("scores", scores)
    value = read_like("values", values, score.shape)
    mask = read_valid(valid, score.shape)
    refuse_nan(
        "scores",
        score,
        mask,
        "Map 'no answer' to minus infinity, or leave the sample out with valid=.",
    )
    refuse_nan("values", value, mask, "Leave ungraded samples out with valid=.")
    ks, one_budget = read_budgets(k)
    return Shape(one_row, one_budget).give_back(best_of_rows(score, value, ks, mask))


def selection_efficiency(selected: ArrayLike, single: ArrayLike, coverage: ArrayLike) -> Floats:
    """Share of the attainable gain that a selector realises, elementwise.

    (selected - pass@1) / (pass@k - pass@1).

    Below 0 the selector is worse than one sample. NaN where pass@k equals pass@1 (nothing to gain).

    Examples:
        >>> selection_efficiency(0.7, 0.5, 0.9).item()
        0.5
    """
    chosen, one, best = np.broadcast_arrays(
        *(np.asarray(a, dtype=np.float64) for a in (selected, single, coverage))
    )
    if np.any((one < -1e-12) | (best > 1 + 1e-12)):
        raise IsocostError("accuracies must be in 0..1", where="selection_efficiency")
    room = best - one
    out = np.full(chosen.shape, np.nan)
    np.divide(chosen - one, room, out=out, where=np.abs(room) > 1e-15)
    return out if out.ndim else out[()]
