"""Intelligence per watt and per joule, energy per correct answer, local coverage.

Lives here: Saad-Falcon et al. 2025, "Intelligence per Watt" (arXiv 2511.07885), with both readings
of mean power side by side. Not here: measuring energy. Joules from different methods must not be
mixed; the caller groups by energy_method.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from isocost.costs.checks import numbers
from isocost.errors import IsocostError


@dataclass(frozen=True, slots=True)
class Intelligence:
    """Accuracy over power and energy of one set of answered queries.

    Attributes:
        accuracy: mean score.
        per_joule: accuracy over mean energy of a query, 1/J.
        per_watt_mean: accuracy over the mean of each query's E/t, 1/W.
        per_watt_pooled: accuracy over total E / total t, 1/W.
        joules_per_correct: total E over total score, wrong answers' energy included; inf where
            nothing is correct.
        energy_mean_j: mean energy of a query.
        power_mean_w: mean of E/t.
        power_pooled_w: total E / total t.
    """

    accuracy: float
    per_joule: float
    per_watt_mean: float
    per_watt_pooled: float
    joules_per_correct: float
    energy_mean_j: float
    power_mean_w: float
    power_pooled_w: float


def intelligence(correct: ArrayLike, energy_j: ArrayLike, seconds: ArrayLike) -> Intelligence:
    """Intelligence per watt and per joule.

    Args:
        correct: score of each query in [0, 1], shape (n,).
        energy_j: its measured energy, positive, shape (n,).
        seconds: its duration, positive, shape (n,).

    Raises:
        IsocostError: no query, unequal lengths, an energy or time that is not positive (unknown is
            left out, not 0).

    Examples:
        >>> found = intelligence([1, 0, 1, 1], [120, 300, 80, 100], [1, 2, 0.8, 0.9])
        >>> found.per_joule, found.joules_per_correct
        (0.005, 200.0)
        >>> found.per_watt_mean, found.per_watt_pooled
        (0.006236, 0.005875)
    """
    y, e, t = (
        numbers(correct, "correct", high=1),
        numbers(energy_j, "energy_j"),
        numbers(seconds, "seconds"),
    )
    if (
        not y.shape == e.shape == t.shape
        or y.ndim != 1
        or y.size == 0
        or np.any(e <= 0)
        or np.any(t <= 0)
    ):
        raise IsocostError(
            "every query needs a score, a positive energy and a positive time",
            where="intelligence",
            remedy="Leave unknown ones out",
        )
    accuracy, total = float(y.mean()), float(y.sum())
    mean_power, pooled = float((e / t).mean()), float(e.sum() / t.sum())
    return Intelligence(
        accuracy=accuracy,
        per_joule=accuracy / float(e.mean()),
        per_watt_mean=accuracy / mean_power,
        per_watt_pooled=accuracy / pooled,
        joules_per_correct=float(e.sum()) / total if total > 0 else float("inf"),
        energy_mean_j=float(e.mean()),
        power_mean_w=mean_power,
        power_pooled_w=pooled,
    )


def local_coverage(correct: ArrayLike, reference: ArrayLike | None = None) -> float:
    """Share of queries that at least one local model answers.

    An oracle router would reach this upper bound.

    Args:
        correct: score of each local model on each query, shape (models, queries).
        reference: the frontier model's score on each query, shape (queries,); given, a query is
            covered when the best local model at least matches it, otherwise when the best local
            model is right (score 1).

    Examples:
        >>> local_coverage([[1, 0, 0], [0, 1, 0]])
        0.666667
    """
    scores = np.atleast_2d(numbers(correct, "correct", high=1))
    if scores.size == 0:
        raise IsocostError("coverage needs a model and a query", where="argument correct")
    best = scores.max(axis=0)
    return float(
        (best >= (1.0 if reference is None else numbers(reference, "reference", high=1))).mean()
    )
