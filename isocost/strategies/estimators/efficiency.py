"""Efficiency of generated code: eff@k and the score it rests on (ENAMEL, Qiu et al., ICLR 2025).

Lives here: the score of one sample from its run times. Not here: running code (tasks); eff@k itself
is `expected_max` of the scores.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from isocost.errors import IsocostError
from isocost.strategies.shapes import Floats


def hodges_lehmann(times: ArrayLike) -> float:
    """Location of repeated measurements.

    The median of (t_a + t_b) / 2 over all pairs a <= b, in the unit of ``times``.

    Examples:
        >>> hodges_lehmann([1, 2, 4])
        2.25
    """
    values = np.asarray(times, dtype=np.float64)
    if values.ndim != 1 or not values.size or not np.isfinite(values).all():
        raise IsocostError("expected a flat, non-empty, finite vector", where="times")
    first, second = np.triu_indices(len(values))
    return float(np.median((values[first] + values[second]) / 2))


def efficiency_score(
    times: ArrayLike, references: ArrayLike, limit: float, hardness: ArrayLike | None = None
) -> Floats:
    """Score of each sample: mean over levels of max(0, limit - t) / (limit - reference).

    Weighted by hardness.

    A time at or beyond the limit is right-censored and scores 0; once a level is censored, later
    levels score 0 too, because the authors do not run them. A sample faster than the reference
    scores above 1. A wrong output is given as NaN at its level: the sample scores 0.

    Args:
        times: (samples, levels) or one sample's levels, each the largest over the level's tests.
        references: the reference solution's time of each level, (levels,), below the limit.
        limit: time limit, in the same unit.
        hardness: weight of each level; equal if not given.

    Returns:
        (samples,) or a number.

    Raises:
        IsocostError: a reference at or beyond the limit, or shapes that do not fit.

    Examples:
        >>> efficiency_score([2.5], [1.0], 4.0).item()
        0.5
        >>> efficiency_score([5.0], [1.0], 4.0).item()  # beyond the limit
        0.0
        >>> efficiency_score([0.5], [1.0], 4.0).item()  # faster than the reference
        1.166667
    """
    raw, reference = np.asarray(times, dtype=np.float64), np.asarray(references, dtype=np.float64)
    spent = np.atleast_2d(raw)
    weights = (
        np.ones(len(reference)) if hardness is None else np.asarray(hardness, dtype=np.float64)
    )
    if spent.ndim != 2 or spent.shape[1:] != reference.shape or weights.shape != reference.shape:
        raise IsocostError(
            f"times {raw.shape}, references {reference.shape} and hardness {weights.shape} do"
            " not fit",
            where="times",
        )
    if np.any(reference >= limit) or np.any(weights < 0) or weights.sum() == 0:
        raise IsocostError(
            "references must be below the limit, and weights must not be negative",
            where="references",
        )
    reached = np.cumprod(spent < limit, axis=1).astype(np.bool_)
    levels = np.where(reached, (limit - spent) / (limit - reference), 0.0)
    score = np.where(np.isnan(spent).any(axis=1), 0.0, levels @ weights / weights.sum())
    return score if raw.ndim == 2 else score[0]
