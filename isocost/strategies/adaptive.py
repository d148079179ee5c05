"""Sampling until the vote is settled: Adaptive-Consistency and sequential probability ratio stopping, replayed.

Lives here: policies that look at the two largest vote counts after every sample. The expectation runs over all orders of the
bank: exactly, by a dynamic programme over count vectors, where the state space allows, else over random orders, with the
bound stated. Not here: windows (early_stopping.py), a verifier that ends the search (retry.py).
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betainc

from isocost.errors import IsocostError
from isocost.strategies.kernels_adaptive import run_orders, run_states
from isocost.strategies.majority import read_classes
from isocost.strategies.shapes import Bools, Floats, Ints, Shape, read_budgets, read_counts

MOST_STATES = 200_000
ORDERS = 1000
MISS = 0.05  # chance with which a stated bound of a sampled value may be exceeded


@dataclass(frozen=True)
class AdaptiveResult:
    """What a policy with a random number of samples achieves; arrays follow the problems and caps of the call.

    Attributes:
        accuracy: expected correctness of the answer given, 0..1.
        samples: expected number of samples drawn.
        draws: expected number of samples drawn from each answer class and, last, from those without an answer; one axis more
            than the others. Any cost that adds up over samples follows from it and the class means, exactly.
        is_exact: False where random orders were averaged.
        orders: random orders averaged; 0 where exact.
        error_bound: Hoeffding bound of the sampling error of accuracy, exceeded with a chance of at most 0.05; 0 where exact.
    """

    accuracy: Floats
    samples: Floats
    draws: Floats
    is_exact: Bools
    orders: Ints
    error_bound: Floats


def beta_stop_table(threshold: float, most: int) -> Bools:
    """stop[a, b] for the leading counts a >= b: I_{1/2}(b+1, a+1) >= threshold (Aggarwal et al. 2023, Beta criterion)."""
    if not 0 < threshold <= 1:
        raise IsocostError(f"must lie in (0, 1], got {threshold}", where="threshold")
    first, second = np.meshgrid(np.arange(most + 1), np.arange(most + 1), indexing="ij")
    # (0, 0) is one half: no vote has been cast, and a threshold of at most one half must not stop before the first sample.
    return (betainc(second + 1.0, first + 1.0, 0.5) >= threshold) & (first > 0)


def sprt_stop_table(share: float, alpha: float, beta: float, most: int) -> Bools:
    """stop[a, b] by Wald's test of "the leader has this share of the top two" against the runner-up having it.

    The log-likelihood ratio is (a - b) ln(share / (1 - share)); sampling stops at ln((1 - beta) / alpha) (Wald 1945).
    """
    if not (0.5 < share < 1 and 0 < alpha < 1 and 0 < beta < 1):
        raise IsocostError(f"got share {share}, alpha {alpha}, beta {beta}", where="sprt", remedy="share in (0.5, 1), errors in (0, 1).")
    first, second = np.meshgrid(np.arange(most + 1), np.arange(most + 1), indexing="ij")
    ratio = (first - second) * np.log(share / (1 - share))
    return (ratio >= np.log((1 - beta) / alpha) - 1e-12) & (first > 0)


def adaptive_consistency(
    counts: ArrayLike,
    correct: ArrayLike,
    threshold: float = 0.95,
    max_samples: ArrayLike = 40,
    *,
    abstained: ArrayLike = 0,
    most_states: int = MOST_STATES,
    orders: int = ORDERS,
    seed: int = 0,
) -> AdaptiveResult:
    """Adaptive-Consistency (Aggarwal et al. 2023): sample until the Beta criterion holds or the cap is reached, answer the mode.

    Args:
        counts: samples in each answer class, one row or (problems, classes).
        correct: class number or value per class, as in `majority_at_k`.
        threshold: the criterion's confidence, 0.95 in the paper; above 1 - 2^-(cap+1) it never stops early.
        max_samples: cap or caps; undefined (NaN) above the bank's samples.
        abstained: samples without an answer: they cost a sample and cast no vote.
        most_states: largest state space computed exactly; larger ones average random orders.
        orders: random orders for those.
        seed: of the random orders.

    Returns:
        `AdaptiveResult`; ties at the stop share the credit.
    """
    caps, _ = read_budgets(max_samples)
    table = beta_stop_table(threshold, int(caps.max()))
    return run_policy(counts, correct, table, max_samples, abstained=abstained, most_states=most_states, orders=orders, seed=seed)


def sequential_ratio_test(
    counts: ArrayLike,
    correct: ArrayLike,
    share: float = 0.75,
    alpha: float = 0.05,
    beta: float = 0.05,
    max_samples: ArrayLike = 40,
    *,
    abstained: ArrayLike = 0,
    most_states: int = MOST_STATES,
    orders: int = ORDERS,
    seed: int = 0,
) -> AdaptiveResult:
    """Samples until Wald's sequential probability ratio test prefers the leader to the runner-up; see `sprt_stop_table`.

    Other arguments and the result as `adaptive_consistency`.
    """
    caps, _ = read_budgets(max_samples)
    table = sprt_stop_table(share, alpha, beta, int(caps.max()))
    return run_policy(counts, correct, table, max_samples, abstained=abstained, most_states=most_states, orders=orders, seed=seed)


def run_policy(
    counts: ArrayLike,
    correct: ArrayLike,
    stop: Bools,
    max_samples: ArrayLike,
    *,
    abstained: ArrayLike,
    most_states: int,
    orders: int,
    seed: int,
    keys: Ints | None = None,
) -> AdaptiveResult:
    """Any policy that stops by a table over the two largest counts; ``keys`` seed each problem apart from its position."""
    votes, values, one_row = read_classes(counts, correct)
    caps, one_cap = read_budgets(max_samples)
    free = np.broadcast_to(read_counts("abstained", abstained), (len(votes),))
    seeds = np.arange(len(votes)) if keys is None else keys
    width = votes.shape[1] + 1
    accuracy, samples = np.full((2, len(votes), len(caps)), np.nan)
    draws = np.full((len(votes), len(caps), width), np.nan)
    exact = np.ones(len(votes), dtype=np.bool_)
    for row in range(len(votes)):
        n = int(votes[row].sum() + free[row])
        usable = np.flatnonzero(caps <= n)
        if usable.size == 0:
            continue
        most = int(caps[usable].max())
        trace, exact[row] = _trace(votes[row], values[row], int(free[row]), stop, most, most_states, orders, start_state(seed, seeds[row]))
        at = caps[usable]
        accuracy[row, usable] = np.cumsum(trace.stopped)[at] + trace.forced[at]
        samples[row, usable] = np.concatenate([[0.0], np.cumsum(trace.alive)])[at]
        draws[row, usable] = np.concatenate([np.zeros((1, width)), np.cumsum(trace.drawn, axis=0)])[at]
    shape = Shape(one_row, one_cap)
    flat = np.broadcast_to(exact[:, None], accuracy.shape)
    spread = np.where(flat, 0.0, np.sqrt(np.log(2 / MISS) / (2 * orders)))
    parts = (np.clip(accuracy, 0.0, 1.0), samples, draws.transpose(2, 0, 1), flat, np.where(flat, 0, orders), spread)
    accuracy, samples, by_class, is_exact, used, bound = (np.moveaxis(p, 0, -1) if p.ndim == 3 else p for p in parts)
    give = shape.give_back
    return AdaptiveResult(give(accuracy), give(samples), _drop(by_class, shape), give(is_exact), give(used), give(bound))


def _drop(values: Floats, shape: Shape) -> Floats:
    """`Shape.give_back` for an array with a trailing class axis."""
    values = values[:, 0] if shape.one_budget else values
    return values[0] if shape.one_problem else values


@dataclass
class _Trace:
    """What the kernels fill; see kernels_adaptive."""

    stopped: Floats
    forced: Floats
    alive: Floats
    drawn: Floats


def start_state(seed: int, problem: int) -> np.uint64:
    """A starting state of its own for every seed and problem, scattered so that the streams do not overlap."""
    return np.random.SeedSequence([seed, int(problem)]).generate_state(1, np.uint64)[0]


def _trace(
    votes: Ints, values: Floats, free: int, stop: Bools, most: int, most_states: int, orders: int, key: np.uint64
) -> tuple[_Trace, bool]:
    """Runs one problem, exactly where its groups allow; traces are by class whichever way they were made."""
    lone = (votes == 1) & (values == 0)
    own = np.flatnonzero((votes > 0) & ~lone)
    sizes = np.concatenate([votes[own], [lone.sum()], [free]]).astype(np.int64)
    kinds = np.concatenate([np.zeros(len(own)), [1], [2]]).astype(np.int64)
    worth = np.concatenate([values[own], [0.0, 0.0]])
    states = float(np.prod(np.minimum(sizes, most) + 1.0))
    drawn = np.zeros((most + 1, len(votes) + 1))
    trace = _Trace(np.zeros(most + 1), np.zeros(most + 1), np.zeros(most + 1), drawn)
    if states <= most_states:
        groups = np.zeros((most + 1, len(sizes)))
        run_states(sizes, kinds, worth, stop, most, trace.stopped, trace.forced, trace.alive, groups)
        drawn[:, own] = groups[:, : len(own)]
        drawn[:, np.flatnonzero(lone)] = groups[:, -2:-1] / max(int(lone.sum()), 1)
        drawn[:, -1] = groups[:, -1]
        return trace, True
    sequence = np.concatenate([np.repeat(np.arange(len(votes)), votes), np.full(free, len(votes))])
    run_orders(sequence, values, stop, most, orders, key, trace.stopped, trace.forced, trace.alive, drawn)
    return trace, False


RESULT_FIELDS = tuple(f.name for f in fields(AdaptiveResult))
