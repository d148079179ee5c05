"""Majority voting (self-consistency) at every budget from a bank, exactly.

Lives here: the expected correctness of the winner of a vote among k samples drawn without
replacement, over all C(n, k) subsets at once. Not here: weighted votes and votes on ranks
(subsets.py), adaptive stopping (adaptive.py).

Method. For a class g that gets v votes, the rivals' votes are the coefficients of a product of
binomial polynomials, each cut at v; a formal variable u counts those that tie. The uniform
tie-break needs sum_m [u^m] / (m+1), which is the integral of the polynomial over u in 0..1: a
Gauss-Legendre rule with enough nodes integrates it exactly. One product up to the largest budget
gives all smaller budgets with it; classes with fewer than v samples are pooled in one binomial.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaln

from isocost.errors import IsocostError
from isocost.strategies.kernels.majority import (
    OPTIMISTIC,
    PESSIMISTIC,
    UNIFORM,
    first_seen_row,
    majority_rows,
)
from isocost.strategies.shapes import Floats, Ints, Shape, read_budgets, read_counts

MODES = {"uniform": UNIFORM, "pessimistic": PESSIMISTIC, "optimistic": OPTIMISTIC, "first": UNIFORM}
LARGEST_TABLE = 1000  # C(n, n/2) still fits a float64 up to n = 1029


def read_classes(counts: ArrayLike, correct: ArrayLike) -> tuple[Ints, Floats, bool]:
    """Read class counts (problems, classes) and class values 0..1.

    Also whether it was one row.
    """
    votes = read_counts("counts", counts)
    if votes.ndim not in (1, 2):
        raise IsocostError(
            f"expected one row or a matrix (problems, classes), got shape {votes.shape}",
            where="counts",
        )
    one_row = votes.ndim == 1
    votes = np.atleast_2d(votes)
    raw = np.asarray(correct)
    if raw.dtype.kind in "iu" and (raw.ndim == 0 or (raw.ndim == 1 and not one_row)):
        values = _from_index(np.broadcast_to(raw, (len(votes),)), votes.shape)
    elif raw.ndim in (1, 2) and raw.shape[-1] == votes.shape[1]:
        values = np.broadcast_to(raw.astype(np.float64), votes.shape)
    else:
        raise IsocostError(
            f"expected a class index per problem, or a mask like counts {votes.shape}, got shape"
            f" {raw.shape} of {raw.dtype}",
            where="correct",
        )
    if not np.all((values >= 0) & (values <= 1)):
        raise IsocostError("class values must be in 0..1", where="correct")
    return votes, values, one_row


def _from_index(index: Ints, shape: tuple[int, int]) -> Floats:
    """One-hot rows from class numbers; -1 means that no class is correct."""
    if np.any((index < -1) | (index >= shape[1])):
        raise IsocostError(
            f"class numbers must be in -1..{shape[1] - 1}",
            where="correct",
            remedy="Use -1 where no class is correct.",
        )
    values = np.zeros(shape)
    rows = np.flatnonzero(index >= 0)
    values[rows, index[rows]] = 1.0
    return values


def majority_at_k(
    counts: ArrayLike,
    correct: ArrayLike,
    k: ArrayLike,
    ties: str = "uniform",
    *,
    abstained: ArrayLike = 0,
    abstentions: str = "ignored",
    order: ArrayLike | None = None,
) -> Floats:
    """Exact expected correctness of the majority answer among k samples.

    Wang et al. 2022, averaged over all subsets.

    Args:
        counts: samples in each answer class, one row or (problems, classes); pad with 0.
        correct: the correct class as a number per problem (-1: none), or a mask or value in 0..1
            for every class.
        k: budget or budgets.
        ties: "uniform" (credit shared), "pessimistic" (the worst tied class wins), "optimistic"
            (the best), or "first" (the class seen first; with ``order`` in bank order, without it
            averaged over all orders, which equals "uniform").
        abstained: samples without an answer, one number or (problems,).
        abstentions: "ignored" (they cost a sample and cast no vote; no votes at all is wrong) or
            "wrong" (one more wrong class).
        order: class numbers in bank order, (problems, samples), -1 for no answer; only for
            ties="first".

    Returns:
        Shaped by the arguments; NaN where k exceeds the row's samples.

    Raises:
        IsocostError: for an unknown rule or arguments that do not fit together.

    Examples:
        >>> # Three samples say A, which is correct, two say B and one says C.
        >>> majority_at_k([3, 2, 1], [True, False, False], [1, 2, 3, 4, 5, 6]).tolist()
        [0.5, 0.5, 0.6, 0.7, 0.75, 1.0]
        >>> majority_at_k([3, 2, 1], [True, False, False], [2, 4], ties="pessimistic").tolist()
        [0.2, 0.6]
    """
    if ties not in MODES or abstentions not in ("ignored", "wrong"):
        rule = ties if ties not in MODES else abstentions
        raise IsocostError(
            f"unknown rule {rule!r}",
            where="majority_at_k",
            remedy=f"Use one of {sorted(MODES)}; 'ignored' or 'wrong'.",
        )
    votes, values, one_row = read_classes(counts, correct)
    ks, one_budget = read_budgets(k)
    free = np.broadcast_to(read_counts("abstained", abstained), (len(votes),))
    if abstentions == "wrong":
        votes, values, free = abstentions_as_class(votes, values, free)
    if ties == "first" and order is not None:
        out = _first_seen(votes, values, free, ks, order, abstentions)
    else:
        out = majority_of_rows(votes, values, free, ks, ties)
    return Shape(one_row, one_budget).give_back(out)


def abstentions_as_class(votes: Ints, values: Floats, free: Ints) -> tuple[Ints, Floats, Ints]:
    """Add the samples without an answer as one more class, which is wrong.

    To counts, class values and abstentions.
    """
    values = np.concatenate([values, np.zeros((len(votes), 1))], axis=1)
    return np.concatenate([votes, free[:, None]], axis=1), values, np.zeros_like(free)


def majority_of_rows(
    votes: Ints, values: Floats, free: Ints, ks: Ints, ties: str = "uniform"
) -> Floats:
    """The computation behind `majority_at_k` on checked matrices.

    Problems with the same counts are computed once.
    """
    keep = max(1, int((votes > 0).sum(axis=1).max(initial=0)))
    ranking = np.lexsort((-votes, -np.where(votes > 0, values, -1.0)), axis=1)[:, :keep]
    votes = np.take_along_axis(votes, ranking, axis=1)
    values = np.where(votes > 0, np.take_along_axis(values, ranking, axis=1), 0.0)
    key = np.concatenate(
        [votes.astype(np.float64), values, free[:, None].astype(np.float64)], axis=1
    )
    _, first, back = np.unique(key, axis=0, return_index=True, return_inverse=True)
    votes, values, free = (
        np.ascontiguousarray(votes[first]),
        np.ascontiguousarray(values[first]),
        np.ascontiguousarray(free[first]),
    )
    out = np.full((len(first), len(ks)), np.nan)
    sizes = votes.sum(axis=1) + free
    if sizes.max(initial=0) <= LARGEST_TABLE:
        _run(votes, values, free, ks, MODES[ties], out, 0.0)
    else:
        for i, budget in enumerate(ks):
            for n in np.unique(sizes[sizes > budget]):
                rows = np.flatnonzero(sizes == n)
                part = np.full((len(rows), 1), np.nan)
                _run(
                    votes[rows],
                    values[rows],
                    free[rows],
                    ks[i : i + 1],
                    MODES[ties],
                    part,
                    budget / n,
                )
                out[rows, i] = part[:, 0]
    _whole_bank(votes, values, sizes, ks, ties, out)
    return np.clip(out, 0.0, 1.0)[back.reshape(-1)]


def _run(
    votes: Ints, values: Floats, free: Ints, ks: Ints, mode: int, out: Floats, share: float
) -> None:
    """Call the kernel, with a table of binomials (share 0) or with log-factorials.

    Log-factorials are tilted to the share k/n that is drawn.
    """
    largest = int((votes.sum(axis=1) + free).max(initial=0))
    budgets = ks[ks < max(largest, 1)]
    if budgets.size == 0:
        return
    nodes, node_weights = gauss_rules(int(budgets.max()) // 4 + 2)
    if share == 0.0:
        table, logs, tilt_in, tilt_out = binomials(largest), np.zeros(1), 0.0, 0.0
    else:
        table, logs = np.zeros((1, 1)), gammaln(np.arange(largest + 1) + 1.0)
        tilt_in, tilt_out = float(np.log(share)), float(np.log1p(-share))
    majority_rows(
        votes, values, free, ks, mode, table, logs, nodes, node_weights, tilt_in, tilt_out, out
    )


def _whole_bank(votes: Ints, values: Floats, sizes: Ints, ks: Ints, ties: str, out: Floats) -> None:
    """Fill the budgets that take the whole bank: one subset, so the vote is simply counted."""
    top = votes.max(axis=1, initial=0)
    tied = (votes == top[:, None]) & (top[:, None] > 0)
    if ties == "pessimistic":
        credit = np.where(tied, values, np.inf).min(axis=1, initial=np.inf)
    elif ties == "optimistic":
        credit = np.where(tied, values, -np.inf).max(axis=1, initial=-np.inf)
    else:
        credit = np.where(tied, values, 0.0).sum(axis=1) / np.maximum(tied.sum(axis=1), 1)
    credit = np.where(top > 0, credit, 0.0)
    for i, budget in enumerate(ks):
        rows = sizes == budget
        out[rows, i] = credit[rows]


def _first_seen(
    votes: Ints, values: Floats, free: Ints, ks: Ints, order: ArrayLike, abstentions: str
) -> Floats:
    """Ties to the class seen first in bank order; checks the order against the counts."""
    sequences = np.atleast_2d(np.asarray(order, dtype=np.int64))
    width = votes.shape[1]
    sizes = votes.sum(axis=1) + free
    if len(sequences) != len(votes) or (sizes > LARGEST_TABLE).any():
        raise IsocostError(
            f"needs one order per problem and at most {LARGEST_TABLE} samples", where="order"
        )
    out = np.full((len(votes), len(ks)), np.nan)
    table = binomials(int(sizes.max(initial=1)))
    for row, (n, full) in enumerate(zip(sizes, sequences, strict=True)):
        sequence = np.where(full < 0, width - 1, full) if abstentions == "wrong" else full
        sequence = np.ascontiguousarray(sequence[:n])
        seen = np.bincount(sequence[sequence >= 0], minlength=width)
        if len(sequence) != n or not np.array_equal(seen, votes[row]):
            raise IsocostError(
                "the order does not contain the counted samples", where=f"order, problem row {row}"
            )
        first_seen_row(sequence, np.ascontiguousarray(values[row]), width, ks, table, out[row])
    return out


@lru_cache(maxsize=4)
def binomials(n: int) -> Floats:
    """Pascal's triangle as float64, (n+1, n+1).

    n at most 1000. At least two rows, so that it cannot be mistaken for empty.
    """
    size = max(n, 1) + 1
    table = np.zeros((size, size))
    table[:, 0] = 1.0
    for i in range(1, size):
        table[i, 1 : i + 1] = table[i - 1, :i] + table[i - 1, 1 : i + 1]
    return table


@lru_cache(maxsize=4)
def gauss_rules(most: int) -> tuple[Floats, Floats]:
    """Gauss-Legendre nodes and weights on 0..1 for 1..most nodes.

    Row q has the rule with q nodes.
    """
    nodes, weights = np.zeros((most + 1, most + 1)), np.zeros((most + 1, most + 1))
    for q in range(1, most + 1):
        x, w = np.polynomial.legendre.leggauss(q)
        nodes[q, :q], weights[q, :q] = (x + 1) / 2, w / 2
    return nodes, weights
