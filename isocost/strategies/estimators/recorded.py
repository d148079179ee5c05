"""Strategies in the recorded order of samples: the first k of each problem.

Published figures are often computed this way.

Lives here: the vote, coverage and early stopping over the first k recorded samples, and what they
cost. Not here: the expectation over all subsets or orders, which the other modules give and which
has less noise. The order is that of ``sample_index``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from isocost.errors import IsocostError
from isocost.strategies.kernels.recorded import recorded_majority, recorded_stop
from isocost.strategies.point_bank import PointBank
from isocost.strategies.shapes import Floats, Ints
from isocost.strategies.spending import spent_on_axes


class RecordedStop(NamedTuple):
    """Early stopping in recorded order.

    The answer's value and the samples used, (problems, caps); NaN and 0 above the samples.
    """

    accuracy: Floats
    used: Ints


def majority_recorded(
    classes: Ints, values: Floats, sizes: Ints, ks: Ints, ties: str = "first"
) -> Floats:
    """Value of the majority answer of the first k samples, (problems, budgets).

    NaN where a problem has fewer.

    Args:
        classes: class of each sample in recorded order, -1 for no answer, (problems, samples).
        values: value of each class, (problems, classes).
        sizes: samples of each problem.
        ks: budgets.
        ties: "first" (the class whose first vote came first) or "uniform" (credit shared).
    """
    order = np.argsort(ks, kind="stable")
    if sizes.max(initial=0) > classes.shape[1]:
        raise IsocostError(
            "more samples than classes are given",
            where="sizes",
            remedy="Counts have no recorded order.",
        )
    found = np.full((len(classes), len(ks)), np.nan)
    recorded_majority(
        np.ascontiguousarray(classes),
        np.ascontiguousarray(values),
        sizes,
        ks[order],
        ties == "first",
        found,
    )
    out = np.empty_like(found)
    out[:, order] = found
    return out


def coverage_recorded(right: Floats, sizes: Ints, ks: Ints) -> Floats:
    """Whether one of the first k samples is right, (problems, budgets).

    NaN where a problem has fewer.
    """
    reached = np.maximum.accumulate(right, axis=1)
    found = reached[:, np.minimum(ks, right.shape[1]) - 1]
    return np.where(ks[None, :] > sizes[:, None], np.nan, found)


def early_stopping_recorded(
    classes: Ints, values: Floats, sizes: Ints, window: int, caps: Ints
) -> RecordedStop:
    """Windows of recorded samples until one is unanimous, else the vote over all up to the cap.

    Ties go to the class seen first.

    Samples without an answer share one class, which is wrong, as in `early_stopping_consistency`.
    Arguments as `majority_recorded`.
    """
    silent = values.shape[1]
    groups = np.where(classes < 0, silent, classes)
    worth = np.concatenate([values, np.zeros((len(values), 1))], axis=1)
    stop = np.zeros(len(classes), dtype=np.int64)
    recorded_stop(np.ascontiguousarray(groups), sizes, window, stop)
    voted = majority_recorded(groups, worth, sizes, caps)
    last = np.minimum(stop, classes.shape[1]) - 1
    answer = worth[np.arange(len(groups)), groups[np.arange(len(groups)), last]]
    stops = stop[:, None] <= caps[None, :]
    allowed = caps[None, :] <= sizes[:, None]
    accuracy = np.where(allowed, np.where(stops, answer[:, None], voted), np.nan)
    return RecordedStop(accuracy, np.where(allowed, np.minimum(stop[:, None], caps[None, :]), 0))


def recorded_costs(bank: PointBank, used: Ints, window: int = 0) -> dict[str, Floats]:
    """Cost of the first ``used`` samples of each problem by axis, (problems, budgets).

    NaN where unknown or nothing is used.

    Args:
        bank: the point.
        used: samples, (problems, budgets).
        window: samples that run in parallel, windows in sequence; all of them if 0.
    """
    at = np.maximum(used, 1) - 1

    def spent(name: str) -> Floats:
        if not bank.known(name):
            return np.full(used.shape, np.nan)
        total = np.cumsum(np.where(bank.present, bank.column(name), 0.0), axis=1)
        return np.where(used > 0, np.take_along_axis(total, at, axis=1), np.nan)

    # Samples that run together read the prompt's KV cache once: of their shared parts each group
    # pays one.
    groups = -(-used // window) if window else np.ones_like(used)
    return spent_on_axes(
        samples=np.where(used > 0, used.astype(np.float64), np.nan),
        total=spent,
        once=lambda name: np.where(used > 0, bank.mean(name)[:, None], np.nan),
        slowest=lambda name: _waited(bank, name, used, window),
        saved=lambda name: spent(name) * (1 - groups / np.maximum(used, 1)),
    )


def _waited(bank: PointBank, name: str, used: Ints, window: int) -> Floats:
    """The slowest of each window by a column, one window after another."""
    if not bank.known(name):
        return np.full(used.shape, np.nan)
    times = np.where(bank.present, bank.column(name), 0.0)
    if not window:
        slowest = np.maximum.accumulate(times, axis=1)
        return np.where(
            used > 0, np.take_along_axis(slowest, np.maximum(used, 1) - 1, axis=1), np.nan
        )
    whole = times.shape[1] // window
    slowest = np.cumsum(
        times[:, : whole * window].reshape(len(times), whole, window).max(axis=2), axis=1
    )
    return np.where(
        used > 0, np.take_along_axis(slowest, np.maximum(used // window, 1) - 1, axis=1), np.nan
    )
