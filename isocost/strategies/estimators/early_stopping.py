"""Early-stopping self-consistency (ESC): windows of samples, stop at the first unanimous window.

Lives here: the expectation over all orders of the bank. Stopping, samples and draws are exact by
inclusion-exclusion over which windows are unanimous; so is the vote of the paths that never stop,
with one polynomial more than a majority vote, where that is affordable; else random orders are
averaged. Not here: policies that look after every sample (adaptive.py).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from isocost.errors import IsocostError
from isocost.strategies.estimators.adaptive import (
    MISS,
    ORDERS,
    AdaptiveResult,
    drop_axes,
    start_state,
)
from isocost.strategies.estimators.majority import (
    LARGEST_TABLE,
    binomials,
    gauss_rules,
    read_classes,
)
from isocost.strategies.kernels.waits import run_window_waits, window_waits
from isocost.strategies.kernels.windows import forced_trace, run_window_orders, stop_traces
from isocost.strategies.shapes import (
    Floats,
    Ints,
    Shape,
    read_budgets,
    read_counts,
    read_like,
    read_valid,
)

MOST_WINDOWS = 16  # C(16, 8) = 12,870: the alternating sums keep 12 digits
MOST_WORK = 3e7  # multiplications per problem


def early_stopping_consistency(
    counts: ArrayLike,
    correct: ArrayLike,
    window: int = 5,
    max_samples: ArrayLike = 40,
    *,
    abstained: ArrayLike = 0,
    most_work: float = MOST_WORK,
    orders: int = ORDERS,
    seed: int = 0,
    keys: Ints | None = None,
) -> AdaptiveResult:
    """ESC: answer with the first unanimous window, else with the majority over all samples.

    Li et al. 2024.

    The cost counts whole windows. Samples without an answer share one sentinel, as in the authors'
    code: they can be unanimous, and are one more (wrong) class in the vote.

    Args:
        counts: samples in each answer class, one row or (problems, classes).
        correct: class number or value per class, as in `majority_at_k`.
        window: samples in a window.
        max_samples: cap or caps, multiples of the window; undefined (NaN) above the bank's samples.
        abstained: samples without an answer.
        most_work: largest exact computation of the final vote, in multiplications per problem.
        orders: random orders averaged where that is exceeded.
        seed: of the random orders.
        keys: seed each problem independently of its position.

    Returns:
        `AdaptiveResult`; ties in the final vote share the credit.

    Raises:
        IsocostError: window below 1, or a cap that is not a multiple of it.

    Examples:
        >>> found = early_stopping_consistency([8, 2], [True, False], window=2, max_samples=6)
        >>> found.samples.item(), found.accuracy.item()
        (2.888889, 0.977778)
    """
    votes, values, one_row = read_classes(counts, correct)
    caps, one_cap = read_budgets(max_samples)
    if window < 1 or np.any(caps % window):
        raise IsocostError(
            f"caps must be multiples of the window {window}, got {max_samples!r}",
            where="max_samples",
        )
    free = np.broadcast_to(read_counts("abstained", abstained), (len(votes),))
    votes = np.concatenate([votes, free[:, None]], axis=1)
    values = np.concatenate([values, np.zeros((len(votes), 1))], axis=1)
    seeds = np.arange(len(votes)) if keys is None else keys
    accuracy, samples = np.full((2, len(votes), len(caps)), np.nan)
    draws = np.full((len(votes), len(caps), votes.shape[1]), np.nan)
    exact = np.ones(len(votes), dtype=np.bool_)
    for row in range(len(votes)):
        usable = np.flatnonzero(caps <= votes[row].sum())
        if usable.size == 0:
            continue
        at = caps[usable] // window
        stopped, forced, alive, drawn, exact[row] = _traces(
            votes[row],
            values[row],
            window,
            int(at.max()),
            most_work,
            orders,
            start_state(seed, seeds[row]),
        )
        accuracy[row, usable] = np.cumsum(stopped)[at] + forced[at]
        samples[row, usable] = window * np.concatenate([[0.0], np.cumsum(alive)])[at]
        draws[row, usable] = np.concatenate(
            [np.zeros((1, votes.shape[1])), np.cumsum(drawn, axis=0)]
        )[at]
    shape = Shape(one_row, one_cap)
    flat = np.broadcast_to(exact[:, None], accuracy.shape)
    bound = np.where(flat, 0.0, np.sqrt(np.log(2 / MISS) / (2 * orders)))
    give = shape.give_back
    return AdaptiveResult(
        give(np.clip(accuracy, 0.0, 1.0)),
        give(samples),
        drop_axes(draws, shape),
        give(flat),
        give(np.where(flat, 0, orders).astype(np.int64, copy=False)),
        give(bound),
    )


def window_latency(
    classes: ArrayLike,
    times: ArrayLike,
    window: int = 5,
    max_samples: ArrayLike = 40,
    *,
    valid: ArrayLike | None = None,
    orders: int = ORDERS,
    seed: int = 0,
    keys: Ints | None = None,
) -> Floats:
    """Expected latency of ESC with parallel samples in a window, windows in sequence.

    The sum over opened windows of the expected slowest sample: exact up to 16 windows, by
    inclusion-exclusion over the unanimous windows before it, otherwise over the same random orders
    as the samples drawn.

    Args:
        classes: class number of each sample, one row or (problems, samples); -1 for no answer, one
            common answer here.
        times: seconds of each sample, same shape; a row with an unknown (NaN) time is unknown.
        window: samples in a window.
        max_samples: cap or caps, multiples of the window.
        valid: mask of samples that exist.
        orders: random orders where there are more than 16 windows.
        seed: of the random orders.
        keys: seed each problem independently of its position.

    Returns:
        Seconds, shaped by the arguments; NaN where a cap exceeds the samples.

    Examples:
        >>> window_latency([0, 0, 0, 0], [1.0, 2.0, 3.0, 4.0], window=2, max_samples=4).item()
        3.333333
    """
    raw = np.asarray(classes)
    groups = np.atleast_2d(raw).astype(np.int64)
    seconds = read_like("times", times, groups.shape)
    mask = read_valid(valid, groups.shape)
    caps, one_cap = read_budgets(max_samples)
    if window < 1 or np.any(caps % window):
        raise IsocostError(
            f"caps must be multiples of the window {window}, got {max_samples!r}",
            where="max_samples",
        )
    silent = max(int(groups.max(initial=0)) + 1, 1)
    seeds = np.arange(len(groups)) if keys is None else keys
    out = np.full((len(groups), len(caps)), np.nan)
    for row in range(len(groups)):
        own, spent = (
            np.where(groups[row] < 0, silent, groups[row])[mask[row]],
            seconds[row, mask[row]],
        )
        usable = np.flatnonzero(caps <= len(own))
        if usable.size == 0 or np.isnan(spent).any():
            continue
        windows = int(caps[usable].max()) // window
        own = np.unique(own, return_inverse=True)[1]
        waited = np.zeros(windows + 1)
        if windows <= MOST_WINDOWS:
            ranking = np.argsort(spent, kind="stable")
            window_waits(own[ranking], spent[ranking], np.bincount(own), window, windows, waited)
        else:
            ranking = np.argsort(own, kind="stable")
            run_window_waits(
                own[ranking],
                spent[ranking],
                window,
                windows,
                orders,
                start_state(seed, seeds[row]),
                waited,
            )
        out[row, usable] = np.cumsum(waited)[caps[usable] // window]
    return Shape(raw.ndim == 1, one_cap).give_back(out)


def _traces(
    votes: Ints,
    values: Floats,
    window: int,
    windows: int,
    most_work: float,
    orders: int,
    key: np.uint64,
) -> tuple[Floats, Floats, Floats, Floats, bool]:
    """Traces of one problem by number of windows, and whether all of them are exact."""
    kept = np.flatnonzero(votes)
    own, worth = votes[kept], values[kept]
    stopped, forced, alive = np.zeros((3, windows + 1))
    drawn = np.zeros((windows + 1, len(votes)))
    part = np.zeros((len(kept), windows + 1))
    n = int(own.sum())
    exact_stops = windows <= MOST_WINDOWS
    exact = exact_stops and n <= LARGEST_TABLE and _work(own, worth, window, windows) <= most_work
    if exact_stops:
        stop_traces(own, worth, window, windows, stopped, alive, part)
    if exact:
        nodes, node_weights = gauss_rules(len(kept) // 2 + 2)
        forced_trace(
            own,
            worth,
            window,
            windows,
            binomials(n),
            _falls(window, windows),
            nodes,
            node_weights,
            forced,
        )
    else:
        unused = (
            (np.zeros_like(stopped), np.zeros_like(alive), np.zeros_like(part))
            if exact_stops
            else (stopped, alive, part)
        )
        run_window_orders(
            np.repeat(np.arange(len(kept)), own),
            worth,
            window,
            windows,
            orders,
            key,
            unused[0],
            forced,
            *unused[1:],
        )
    drawn[:, kept] = part.T
    return stopped, forced, alive, drawn, exact


def _work(own: Ints, worth: Floats, window: int, windows: int) -> float:
    """Multiplications that the exact final vote would take, from above."""
    total = 0.0
    for g in np.flatnonzero(worth > 0):
        rivals = np.delete(own, g)[None, :]
        votes = np.arange(1, min(int(own[g]), windows * window) + 1)[:, None]
        terms = np.where(
            (rivals >= votes) | (rivals >= window), np.minimum(rivals, votes) + 1.0, 0.0
        )
        nodes = ((rivals >= votes).sum(axis=1) + 2) // 2
        total += (
            float(nodes @ (terms * (1 + terms / (2 * window))).sum(axis=1))
            * windows
            * windows
            * window
            / 2
        )
    return total


def _falls(window: int, windows: int) -> Floats:
    """(x)_{wr} / (r! L^{wr}) for x = 0..L and r = 0..windows, L = windows * window."""
    most = window * windows
    out = np.zeros((most + 1, windows + 1))
    for x in range(most + 1):
        value = 1.0
        for r in range(x // window + 1):
            out[x, r] = value
            value *= np.prod((x - r * window - np.arange(window)) / most) / (r + 1)
    return out
