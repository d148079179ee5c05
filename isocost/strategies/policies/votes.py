"""Common code of votes over subsets. Not a strategy; the registered ones are in this folder."""

from __future__ import annotations

import numpy as np

from isocost.strategies.estimators.subsets import estimate_votes
from isocost.strategies.point_bank import PointBank, dense_rows
from isocost.strategies.registry import Replay, mask_undefined, undefined_cells
from isocost.strategies.shapes import Bools, Floats, Ints

DRAWS = 256
MOST_SUBSETS = 13_000  # all subsets of 16 samples


def replay_votes(
    bank: PointBank,
    ks: Ints,
    weights: Floats,
    rule: int,
    *,
    power: float = 0.0,
    missing: Bools | None = None,
    unscored: int = 0,
    distinct: Ints | None = None,
) -> Replay:
    """Replay one rule of kernels_votes on a bank.

    ``missing`` marks problems without any weight.
    """
    rows = np.flatnonzero(~bank.unclassed)
    estimate = estimate_votes(
        np.where(bank.present, bank.classes, -1)[rows], weights[rows], bank.class_values[rows], ks,
        bank.present[rows],
        rule=rule, power=power, draws=DRAWS, most_subsets=MOST_SUBSETS, keys=bank.keys[rows],
        distinct=None if distinct is None else distinct[rows],
    )  # fmt: skip
    shape = (len(bank.sizes), len(ks))
    accuracy, bound, is_exact = (
        np.full(shape, np.nan),
        np.zeros(shape),
        np.ones(shape, dtype=np.bool_),
    )
    accuracy[rows], bound[rows], is_exact[rows] = (
        estimate.accuracy,
        estimate.error_bound,
        estimate.is_exact,
    )
    undefined = undefined_cells(bank, ks, answers=True)
    if missing is not None and missing.any():
        undefined["no_sample_has_the_score"] = missing
    return mask_undefined(
        Replay(
            ks,
            accuracy,
            bank.parallel_costs(ks),
            undefined,
            is_exact=is_exact,
            draws=DRAWS,
            error_bound=bound,
            unscored=unscored,
        )
    )


def weights_of(scores: Floats) -> Floats:
    """Scores as vote weights: at least 0, and 0 for samples without one."""
    return np.where(np.isfinite(scores), np.maximum(scores, 0.0), 0.0)


def distinct_completions(bank: PointBank) -> Ints | None:
    """Numbers of the completion texts from 0 in each row.

    None where they were not banked. Unknown texts are all distinct.
    """
    if bank.completions is None:
        return None
    alone = -2 - np.arange(bank.completions.shape[1])[None, :]
    return dense_rows(np.where(bank.completions < 0, alone, bank.completions), ~bank.present)
