"""Abilities of several judges by a Bradley-Terry model.

Lives here: maximum likelihood from duels, with intervals that allow for answers to one problem
being alike. Not here: agreement of one judge (``isocost.items.agreement``), item response models of
answering models (``isocost.items.irt``).

An answer with a gold label is a duel of two judges if one of them agrees with the label and the
other does not. Of judges that err independently with rates p and q, the odds that the first wins
are (1 - p) q / (p (1 - q)), so the difference of abilities is that of the logits of accuracies.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse.csgraph import connected_components
from scipy.special import expit, ndtri

FloatArray = NDArray[np.float64]

MOST_STEPS = 100
NO_DUEL, NO_LIMIT = "no_duels", "some_judges_never_lose_to_others"


@dataclass(frozen=True, slots=True)
class Abilities:
    """Abilities, shape (judges,), with mean 0.

    NaN with a reason if there is no maximum: no duels, or a group of judges that never lost to the
    others, whose ability would be infinite. The interval is NaN if there is one problem.
    """

    value: FloatArray
    low: FloatArray
    high: FloatArray
    reason: str | None


def abilities(duels: ArrayLike, confidence: float = 0.95) -> Abilities:
    """Fit abilities.

    Args:
        duels: of every problem, how often judge i won against judge j, shape (problems, judges,
            judges).
        confidence: level of the intervals, which are normal ones with the sandwich variance over
            problems.
    """
    won = np.asarray(duels, dtype=np.float64)
    total = won.sum(axis=0)
    size = len(total)
    nothing = np.full(size, np.nan)
    if not total.any():
        return Abilities(nothing, nothing, nothing, NO_DUEL)
    if connected_components(total > 0, directed=True, connection="strong")[0] > 1:
        return Abilities(nothing, nothing, nothing, NO_LIMIT)
    ability, bread = _fit(total)
    if len(won) < 2:
        return Abilities(ability, nothing, nothing, None)
    expected = (won + won.transpose(0, 2, 1)) * expit(ability[:, None] - ability[None, :])
    scores = (won - expected).sum(axis=2)
    meat = scores.T @ scores * len(won) / (len(won) - 1)
    spread = np.sqrt(np.maximum(np.diag(bread @ meat @ bread), 0.0))
    half = float(ndtri((1 + confidence) / 2)) * spread
    return Abilities(ability, ability - half, ability + half, None)


def _fit(won: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Abilities at the maximum and the inverse information there, by Newton's method."""
    games = won + won.T
    ability = np.zeros(len(won))
    bread = np.zeros_like(won)
    for _ in range(MOST_STEPS):
        chance = expit(ability[:, None] - ability[None, :])
        weights = games * chance * (1 - chance)
        information = np.diag(weights.sum(axis=1)) - weights
        bread = np.linalg.pinv(information, hermitian=True)
        step = bread @ (won - games * chance).sum(axis=1)
        # The likelihood is concave but flat far out: a long step would overshoot.
        ability = ability + step * min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-300))
        ability = ability - ability.mean()
        if np.abs(step).max() < 1e-10:
            break
    return ability, bread
