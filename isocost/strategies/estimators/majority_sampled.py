"""Majority voting of large banks: exact if affordable, else over random orders.

With a stated error bound.

Lives here: what an exact vote would cost, the choice between it and random orders, and the orders'
mean. Not here: the exact vote (majority.py). The exact polynomials take about k^2 multiplications
for each answer that can win and each of its rivals; a random order takes one step per sample and
serves every budget, so the cost is at most ``orders`` times the samples.
"""

from __future__ import annotations

import numpy as np

from isocost.strategies.estimators.adaptive import MISS, start_state
from isocost.strategies.estimators.majority import MODES, majority_of_rows
from isocost.strategies.estimators.subsets import VoteEstimate
from isocost.strategies.kernels.majority import majority_orders
from isocost.strategies.shapes import Bools, Floats, Ints

MOST_WORK = 1e7  # multiplications per problem and budget: about 10 ms
ORDERS = 256


def estimate_majority(
    votes: Ints,
    values: Floats,
    free: Ints,
    ks: Ints,
    ties: str = "uniform",
    *,
    most_work: float = MOST_WORK,
    orders: int = ORDERS,
    seed: int = 0,
    keys: Ints | None = None,
) -> VoteEstimate:
    """Expected value of the majority answer of k samples, on checked matrices.

    Args:
        votes: samples in each answer class, (problems, classes).
        values: value of each class, 0..1, same shape.
        free: samples without an answer, (problems,).
        ks: budgets.
        ties: as in `majority_at_k`, without a recorded order.
        most_work: largest exact vote of a problem and budget, in multiplications.
        orders: random orders averaged above that.
        seed: of the orders.
        keys: seed each problem independently of its position.
    """
    sizes = votes.sum(axis=1) + free
    is_exact = affordable(votes, values, sizes, ks, most_work)
    accuracy = np.full(is_exact.shape, np.nan)
    for pattern in np.unique(is_exact, axis=0):
        rows = np.flatnonzero((is_exact == pattern).all(axis=1))
        if pattern.any():
            accuracy[np.ix_(rows, np.flatnonzero(pattern))] = majority_of_rows(
                votes[rows], values[rows], free[rows], ks[pattern], ties
            )
    seeds = np.arange(len(votes)) if keys is None else keys
    for row in np.flatnonzero(~is_exact.all(axis=1)):
        at = np.flatnonzero(~is_exact[row])
        at = at[np.argsort(ks[at], kind="stable")]
        held = np.flatnonzero(votes[row])
        sequence = np.concatenate(
            [np.repeat(np.arange(len(held)), votes[row, held]), np.full(int(free[row]), -1)]
        )
        means = np.zeros(len(at))
        majority_orders(
            sequence,
            values[row, held],
            ks[at],
            MODES[ties],
            orders,
            start_state(seed, int(seeds[row])),
            means,
        )
        accuracy[row, at] = np.clip(means, 0.0, 1.0)
    bound = np.where(is_exact, 0.0, np.sqrt(np.log(2 / MISS) / (2 * orders)))
    return VoteEstimate(accuracy, is_exact, np.where(is_exact, 0, orders), bound)


def affordable(votes: Ints, values: Floats, sizes: Ints, ks: Ints, most_work: float) -> Bools:
    """Which problems and budgets an exact vote is affordable for, (problems, budgets).

    Those that need none count as such.
    """
    out = np.ones((len(votes), len(ks)), dtype=np.bool_)
    # No vote of k samples takes more than k^3 / 4 steps for an answer and a rival; most banks need
    # no closer look.
    able = (values > 0) & (votes > 0)
    rivals = (votes > 0).sum(axis=1)
    for row in range(len(votes)):
        inner = np.flatnonzero(ks < sizes[row])
        if not inner.size or not able[row].any():
            continue
        largest = float(ks[inner].max())
        if (
            able[row].sum() * rivals[row] * largest**3 * (1 + min(rivals[row], largest))
            <= most_work
        ):
            continue
        held = np.sort(votes[row][votes[row] > 0])
        for i in inner:
            out[row, i] = _work(votes[row][able[row]], held, int(ks[i])) <= most_work
    return out


def _work(winners: Ints, held: Ints, budget: int) -> float:
    """Multiplications of the exact votes for k = ``budget``.

    For each winner and its votes v, rivals times v times the rest.
    """
    most = min(int(winners.max()), budget)
    v = np.arange(1, most + 1)
    rivals = len(held) - np.searchsorted(held, v)
    nodes = (np.minimum(rivals, (budget - v) // v) + 2) // 2
    steps = np.cumsum(nodes * rivals * (v + 1.0) * (budget - v + 1.0))
    return float(steps[np.minimum(winners, budget) - 1].sum())
