"""What adaptive policies share. Not a strategy; the registered ones are beside it."""

from __future__ import annotations

from isocost.strategies.adaptive import AdaptiveResult
from isocost.strategies.point_bank import PointBank
from isocost.strategies.registry import Replay, mask_undefined, undefined_cells
from isocost.strategies.shapes import Ints

ORDERS = 256
MOST_STATES = 20_000


def replay_adaptive(bank: PointBank, ks: Ints, result: AdaptiveResult) -> Replay:
    """A policy's expectation as a result: costs follow from the expected draws of each class, exactly."""
    costs = bank.drawn_costs(result.draws, result.samples)
    undefined = undefined_cells(bank, ks, answers=True)
    return mask_undefined(
        Replay(
            ks,
            result.accuracy,
            costs,
            undefined,
            is_exact=result.is_exact,
            draws=int(result.orders.max(initial=0)),
            error_bound=result.error_bound,
        )
    )
