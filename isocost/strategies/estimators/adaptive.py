"""Sampling until the vote is settled: Adaptive-Consistency and sequential ratio tests.

Replayed from the bank.

Lives here: policies that look at the two largest vote counts after every sample. The expectation
runs over all orders of the bank: exactly, by dynamic programming over count vectors, if the state
space allows, otherwise over random orders, with a stated bound. Not here: windows
(early_stopping.py), a verifier that ends the search (retry.py), the rules (``isocost.stopping``).
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike

from isocost.stopping import ALPHA, BETA, MAX_SAMPLES, SHARE, THRESHOLD, beta_leads, sprt_leads
from isocost.strategies.estimators.majority import read_classes
from isocost.strategies.kernels.adaptive import run_orders, run_states
from isocost.strategies.shapes import Bools, Floats, Ints, Shape, read_budgets, read_counts

MOST_STATES = 200_000
ORDERS = 1000
MISS = 0.05  # chance with which a stated bound of a sampled value may be exceeded


@dataclass(frozen=True)
class AdaptiveResult:
    """Result of a policy with a random number of samples.

    Arrays have the shape of the problems and caps of the call.

    Attributes:
        accuracy: expected correctness of the answer given, 0..1.
        samples: expected number of samples drawn.
        draws: expected number of samples drawn from each answer class and, last, from those without
            an answer; one axis more than the others. Any cost that adds up over samples follows
            from it and the class means, exactly.
        is_exact: False where random orders were averaged.
        orders: random orders averaged; 0 where exact.
        error_bound: Hoeffding bound of the sampling error of accuracy, exceeded with a probability
            of at most 0.05; 0 where exact.
    """

    accuracy: Floats
    samples: Floats
    draws: Floats
    is_exact: Bools
    orders: Ints
    error_bound: Floats


def adaptive_consistency(
    counts: ArrayLike,
    correct: ArrayLike,
    threshold: float = THRESHOLD,
    max_samples: ArrayLike = MAX_SAMPLES,
    *,
    abstained: ArrayLike = 0,
    most_states: int = MOST_STATES,
    orders: int = ORDERS,
    seed: int = 0,
) -> AdaptiveResult:
    """Adaptive-Consistency: sample until the Beta criterion holds or the cap is reached.

    Answers the mode (Aggarwal et al. 2023).

    Args:
        counts: samples in each answer class, one row or (problems, classes).
        correct: class number or value per class, as in `majority_at_k`.
        threshold: the criterion's confidence, 0.95 in the paper; above 1 - 2^-(cap+1) it never
            stops early.
        max_samples: cap or caps; undefined (NaN) above the bank's samples.
        abstained: samples without an answer: they cost a sample and cast no vote.
        most_states: largest state space computed exactly; larger ones average random orders.
        orders: random orders for those.
        seed: of the random orders.

    Returns:
        `AdaptiveResult`; ties at the stop share the credit.

    Examples:
        >>> found = adaptive_consistency([6, 3, 1], [True, False, False], max_samples=10)
        >>> found.samples.item(), found.accuracy.item()
        (9.428571, 1.0)
    """
    caps, _ = read_budgets(max_samples)
    leads = beta_leads(threshold, int(caps.max()))
    return run_policy(
        counts,
        correct,
        leads,
        max_samples,
        abstained=abstained,
        most_states=most_states,
        orders=orders,
        seed=seed,
    )


def sequential_ratio_test(
    counts: ArrayLike,
    correct: ArrayLike,
    share: float = SHARE,
    alpha: float = ALPHA,
    beta: float = BETA,
    max_samples: ArrayLike = MAX_SAMPLES,
    *,
    abstained: ArrayLike = 0,
    most_states: int = MOST_STATES,
    orders: int = ORDERS,
    seed: int = 0,
) -> AdaptiveResult:
    """Sample until Wald's sequential probability ratio test prefers the leader.

    See `isocost.stopping.sprt_leads`.

    Other arguments and the result as `adaptive_consistency`.

    Examples:
        >>> found = sequential_ratio_test([10, 0], [True, False], max_samples=10)
        >>> found.samples.item(), found.accuracy.item()
        (3.0, 1.0)
    """
    caps, _ = read_budgets(max_samples)
    leads = sprt_leads(share, alpha, beta, int(caps.max()))
    return run_policy(
        counts,
        correct,
        leads,
        max_samples,
        abstained=abstained,
        most_states=most_states,
        orders=orders,
        seed=seed,
    )


def run_policy(
    counts: ArrayLike,
    correct: ArrayLike,
    leads: Ints,
    max_samples: ArrayLike,
    *,
    abstained: ArrayLike,
    most_states: int,
    orders: int,
    seed: int,
    keys: Ints | None = None,
) -> AdaptiveResult:
    """Any policy that stops by the two largest counts.

    ``keys`` seed each problem independently of its position.

    ``leads`` is the leader's count at which it stops, by that of the runner-up; see
    `isocost.stopping.leads_to_stop`.
    """
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
        trace, exact[row] = _trace(
            votes[row],
            values[row],
            int(free[row]),
            leads,
            caps[usable],
            most_states,
            orders,
            start_state(seed, seeds[row]),
        )
        at = caps[usable]
        accuracy[row, usable] = np.cumsum(trace.stopped)[at] + trace.forced[at]
        samples[row, usable] = np.concatenate([[0.0], np.cumsum(trace.alive)])[at]
        draws[row, usable] = trace.drawn
    shape = Shape(one_row, one_cap)
    flat = np.broadcast_to(exact[:, None], accuracy.shape)
    spread = np.where(flat, 0.0, np.sqrt(np.log(2 / MISS) / (2 * orders)))
    give = shape.give_back
    return AdaptiveResult(
        give(np.clip(accuracy, 0.0, 1.0)),
        give(samples),
        drop_axes(draws, shape),
        give(flat),
        give(np.where(flat, 0, orders).astype(np.int64, copy=False)),
        give(spread),
    )


def drop_axes(values: Floats, shape: Shape) -> Floats:
    """`Shape.give_back` for an array with a trailing class axis."""
    values = values[:, 0] if shape.one_budget else values
    return values[0] if shape.one_problem else values


@dataclass
class _Trace:
    """What the kernels fill, see kernels_adaptive.

    ``drawn`` summed up to each cap, (caps, classes + 1).
    """

    stopped: Floats
    forced: Floats
    alive: Floats
    drawn: Floats


def start_state(seed: int, problem: int) -> np.uint64:
    """A separate starting state for every seed and problem, scattered to avoid overlap."""
    return np.random.SeedSequence([seed, int(problem)]).generate_state(1, np.uint64)[0]


def _trace(
    votes: Ints,
    values: Floats,
    free: int,
    leads: Ints,
    caps: Ints,
    most_states: int,
    orders: int,
    key: np.uint64,
) -> tuple[_Trace, bool]:
    """Run one problem, exactly where its groups allow.

    Traces are by class whichever way they were made.
    """
    most = int(caps.max())
    lone = (votes == 1) & (values == 0)
    own = np.flatnonzero((votes > 0) & ~lone)
    sizes = np.concatenate([votes[own], [lone.sum()], [free]]).astype(np.int64)
    kinds = np.concatenate([np.zeros(len(own)), [1], [2]]).astype(np.int64)
    worth = np.concatenate([values[own], [0.0, 0.0]])
    states = float(np.prod(np.minimum(sizes, most) + 1.0))
    trace = _Trace(
        np.zeros(most + 1),
        np.zeros(most + 1),
        np.zeros(most + 1),
        np.zeros((len(caps), len(votes) + 1)),
    )
    if states <= most_states:
        groups = np.zeros((most + 1, len(sizes)))
        run_states(
            sizes, kinds, worth, leads, most, trace.stopped, trace.forced, trace.alive, groups
        )
        groups[:, -2] /= max(int(lone.sum()), 1)
        summed = np.concatenate([np.zeros((1, len(sizes))), np.cumsum(groups, axis=0)])[caps]
        trace.drawn[:, own] = summed[:, : len(own)]
        trace.drawn[:, np.flatnonzero(lone)] = summed[:, -2:-1]
        trace.drawn[:, -1] = summed[:, -1]
        return trace, True
    sequence = np.concatenate([np.repeat(np.arange(len(votes)), votes), np.full(free, len(votes))])
    rising = np.sort(caps)
    drawn = np.zeros(trace.drawn.shape)
    slots = np.searchsorted(
        rising, np.arange(1, most + 1)
    )  # the first cap that has room for each draw
    run_orders(
        sequence,
        values,
        leads,
        most,
        orders,
        key,
        trace.stopped,
        trace.forced,
        trace.alive,
        slots,
        drawn,
    )
    trace.drawn[np.argsort(caps, kind="stable")] = np.cumsum(drawn, axis=0)
    return trace, False


RESULT_FIELDS = tuple(f.name for f in fields(AdaptiveResult))
