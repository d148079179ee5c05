"""A small set of problems that ranks configurations as the whole set does.

Lives here: choice of a discriminative subset and its validation on other subjects. Not here: what a
problem costs to run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from isocost.errors import IsocostError
from isocost.items.classical import FloatArray, difficulty, read_matrix, rest_correlation


@dataclass(frozen=True)
class Subset:
    """A chosen subset and how well it represents the whole set.

    Attributes:
        items: positions of the chosen items, ascending.
        kendall_tau: rank correlation of the validation subjects' accuracies on subset and whole;
            NaN where one does not vary.
        largest_difference: largest absolute difference between a subject's two accuracies.
        speed_up: cost of all items / cost of the chosen ones.
    """

    items: NDArray[np.intp]
    kendall_tau: float
    largest_difference: float
    speed_up: float


def discriminative_subset(
    choose_on: ArrayLike,
    validate_on: ArrayLike,
    costs: ArrayLike,
    *,
    share: float = 0.25,
    strata: int = 4,
) -> Subset:
    """Choose the most discriminating items per difficulty stratum, and validate on other subjects.

    Choosing and checking on the same subjects would flatter the subset, so both are separate
    arguments. Items are ranked by rest-corrected correlation (own recipe, after DatBench 2026); a
    correlation that is undefined ranks last.

    Args:
        choose_on: subjects x items, at least two subjects.
        validate_on: other subjects x the same items, at least two.
        costs: cost of each item, positive.
        share: share of the items to keep, in (0, 1].
        strata: difficulty strata of equal size, so that the subset keeps the spread of difficulty.

    Returns:
        The subset with its validation.

    Raises:
        IsocostError: shapes disagree or an option is out of range.
    """
    chosen_on, checked_on = read_matrix(choose_on), read_matrix(validate_on)
    price = np.asarray(costs, dtype=np.float64)
    items = chosen_on.shape[1]
    if checked_on.shape[1] != items or price.shape != (items,) or not (price > 0).all():
        raise IsocostError(
            "the two groups of subjects and the costs do not share the items",
            remedy="One column and one positive cost per item.",
        )
    if not 0 < share <= 1 or strata < 1 or min(len(chosen_on), len(checked_on)) < 2:
        raise IsocostError(
            "the subset options are out of range",
            remedy="0 < share <= 1, strata >= 1, two subjects in each group.",
        )
    strength = np.nan_to_num(rest_correlation(chosen_on), nan=-2.0)
    easy_first = np.argsort(-difficulty(chosen_on), kind="stable")
    picked: list[int] = []
    for stratum in np.array_split(easy_first, min(strata, items)):
        keep = max(1, round(share * len(stratum)))
        picked += stratum[np.argsort(-strength[stratum], kind="stable")][:keep].tolist()
    chosen = np.sort(np.array(picked, dtype=np.intp))
    part, whole = checked_on[:, chosen].mean(axis=1), checked_on.mean(axis=1)
    return Subset(
        chosen,
        _tau(part, whole),
        float(np.abs(part - whole).max()),
        float(price.sum() / price[chosen].sum()),
    )


def _tau(left: FloatArray, right: FloatArray) -> float:
    if np.ptp(left) < 1e-12 or np.ptp(right) < 1e-12:
        return float("nan")
    found: Any = stats.kendalltau(left, right)
    return float(found.statistic)
