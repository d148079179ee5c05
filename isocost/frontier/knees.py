"""Where more compute stops paying: knees of a frontier.

Lives here: the chord rule and the marginal rule. Not here: fitted saturation points (the curves
room).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from isocost.errors import IsocostError
from isocost.frontier.arrays import finite_array
from isocost.frontier.dominance import pareto_mask

Rule = Literal["chord", "marginal"]


@dataclass(frozen=True)
class Knee:
    """The knee of one frontier.

    Attributes:
        index: position in the input arrays, or None where there is no knee.
        cost: its cost in raw units, or None.
        quality: its quality, or None.
        strength: chord rule: distance above the chord in normalised units; marginal rule: quality
            per unit of ln(cost) there.
        rule: the rule that chose it, with its threshold.
        reason: why there is none; empty where there is one.
    """

    index: int | None
    cost: float | None
    quality: float | None
    strength: float | None
    rule: str
    reason: str = ""


def knee(
    cost: ArrayLike,
    quality: ArrayLike,
    *,
    rule: Rule = "chord",
    threshold: float = 0.0,
    log_cost: bool = True,
) -> Knee:
    """Find the frontier point after which quality costs disproportionately more.

    Chord rule (after Satopaa et al. 2011, "Kneedle"): over the frontier normalise ln(cost) and
    quality to [0, 1]; the knee has the largest q - x, provided that exceeds ``threshold``. Marginal
    rule: the last frontier point reached by a step with a gain of at least ``threshold`` quality
    per unit of ln(cost).

    Args:
        cost: shape ``(n,)``, positive when ``log_cost``; dominated points are ignored.
        quality: shape ``(n,)``, higher is better.
        rule: "chord" or "marginal".
        threshold: see the rules.
        log_cost: take the logarithm of cost first.

    Returns:
        The knee, or one without index and with a reason (fewer than three frontier points, convex
        shape, cost not positive).

    Raises:
        IsocostError: shapes disagree, a value is not finite, or the rule is unknown.

    Examples:
        >>> knee([1, 2, 4, 8, 16], [0.5, 0.7, 0.8, 0.83, 0.84])
        Knee(index=2, cost=4.0, quality=0.8, strength=0.382353, rule='chord:ln:0', reason='')
    """
    spent, grade = finite_array(cost, "cost", (1,)), finite_array(quality, "quality", (1,))
    if rule not in ("chord", "marginal"):
        raise IsocostError(f"`{rule}` is not a knee rule", remedy='Use "chord" or "marginal".')
    name = f"{rule}:{'ln' if log_cost else 'linear'}:{threshold:g}"
    kept = np.flatnonzero(pareto_mask(spent, grade, duplicates="first"))
    kept = kept[np.argsort(spent[kept], kind="stable")]
    if len(kept) < 3:
        return _none(name, f"the frontier has {len(kept)} points, a knee needs 3")
    if log_cost and not (spent[kept] > 0).all():
        return _none(name, "a frontier cost is not positive, so it has no logarithm")
    x = np.log(spent[kept]) if log_cost else spent[kept]
    if rule == "chord":
        gap = (grade[kept] - grade[kept[0]]) / np.ptp(grade[kept]) - (x - x[0]) / np.ptp(x)
        best = int(np.argmax(gap))
        if gap[best] <= max(threshold, 1e-12):
            return _none(name, "the frontier does not bend above its chord")
        strength = float(gap[best])
    else:
        slope = np.diff(grade[kept]) / np.diff(x)
        paying = np.flatnonzero(slope >= threshold)
        if paying.size == 0:
            return _none(name, "no step pays the threshold")
        best = int(paying[-1]) + 1
        strength = float(slope[best - 1])
    index = int(kept[best])
    return Knee(index, float(spent[index]), float(grade[index]), strength, name)


def _none(rule: str, reason: str) -> Knee:
    return Knee(None, None, None, None, rule, reason)
