"""Common code of adaptive policies. Not a strategy; the registered ones are in this folder."""

from __future__ import annotations

import numpy as np

from isocost.strategies.estimators.adaptive import AdaptiveResult
from isocost.strategies.point_bank import PointBank
from isocost.strategies.registry import Replay, mask_undefined, undefined_cells
from isocost.strategies.shapes import Ints

ORDERS = 256
MOST_STATES = 20_000


def votable(bank: PointBank) -> Ints:
    """Rows of the problems whose votes can be replayed: of the others no path is followed."""
    return np.flatnonzero(~bank.unclassed)


def replay_adaptive(bank: PointBank, ks: Ints, result: AdaptiveResult, rows: Ints) -> Replay:
    """A policy's expectation on some rows as a result.

    Costs follow from the expected draws of each class, exactly.
    """
    whole = spread(result, rows, len(bank.sizes))
    costs = bank.drawn_costs(whole.draws, whole.samples)
    undefined = undefined_cells(bank, ks, answers=True)
    return mask_undefined(
        Replay(
            ks,
            whole.accuracy,
            costs,
            undefined,
            is_exact=whole.is_exact,
            draws=int(whole.orders.max(initial=0)),
            error_bound=whole.error_bound,
        )
    )


def spread(result: AdaptiveResult, rows: Ints, problems: int) -> AdaptiveResult:
    """The result of some rows among all; the others are unknown."""
    if len(rows) == problems:
        return result

    def put(values: np.ndarray, missing: float) -> np.ndarray:
        out = np.full((problems, *values.shape[1:]), missing, dtype=values.dtype)
        out[rows] = values
        return out

    return AdaptiveResult(
        put(result.accuracy, np.nan),
        put(result.samples, np.nan),
        put(result.draws, np.nan),
        put(result.is_exact, True),
        put(result.orders, 0),
        put(result.error_bound, 0.0),
    )
