"""When no more is asked: the rules that end sampling early, and their default parameters.

Lives here: the rules as pure functions of vote counts and scores, shared by the methods that run
them (``isocost.methods``) and by the strategies that work out from the bank what the same
rule would have done (``isocost.strategies``). Not here: drawing, sampling or counting votes.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from isocost.errors import IsocostError

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

THRESHOLD = 0.95
"""Confidence of the Beta criterion (Aggarwal et al. 2023)."""
MAX_SAMPLES = 40
"""Cap on the samples of a question (Aggarwal et al. 2023; Li et al. 2024)."""
WINDOW = 4
"""Samples of a window; 5 in Li et al. 2024, but caps should fall on the powers of two that other
strategies use."""
SHARE, ALPHA, BETA = 0.75, 0.05, 0.05
"""Of the sequential probability ratio test: the leader's share of the top two, error rates."""


def leads_to_stop(stop: Callable[[Ints, Ints], Bools], most: int) -> Ints:
    """For each runner-up count 0..most, the smallest leader count at which a rule stops.

    most + 1 if it continues.

    Both rules here also stop at any larger lead, so bisection finds it: a table of all pairs
    would grow with the square of the cap.
    """
    runner_up = np.arange(most + 1)
    low, high = (
        np.zeros(most + 1, dtype=np.int64),
        np.full(most + 1, most + 1),
    )  # stops at none of ..low; at high or nowhere
    while np.any(high - low > 1):
        middle = (low + high) // 2
        stops = (middle > 0) & stop(middle, runner_up)  # no rule stops before the first vote
        low, high = np.where(stops, low, middle), np.where(stops, middle, high)
    return high


def beta_leads(threshold: float, most: int) -> Ints:
    """The leader's count at which the Beta criterion stops, (most + 1,), for each runner-up's.

    I_{1/2}(b+1, a+1) >= threshold (Aggarwal et al. 2023); see `leads_to_stop`.
    """
    from scipy.special import betainc  # the methods are imported where no scipy is needed

    if not 0 < threshold <= 1:
        raise IsocostError(f"must be in (0, 1], got {threshold}", where="threshold")
    return leads_to_stop(
        lambda first, second: betainc(second + 1.0, first + 1.0, 0.5) >= threshold, most
    )


def sprt_leads(share: float, alpha: float, beta: float, most: int) -> Ints:
    """For each runner-up count, the leader's count at which Wald's test stops, (most + 1,).

    It tests "the leader has this share of the top two" against "the runner-up has it".

    The log-likelihood ratio is (a - b) ln(share / (1 - share)); sampling stops at ln((1 - beta) /
    alpha) (Wald 1945); see `leads_to_stop`.
    """
    if not (0.5 < share < 1 and 0 < alpha < 1 and 0 < beta < 1):
        raise IsocostError(
            f"got share {share}, alpha {alpha}, beta {beta}",
            where="sprt",
            remedy="share in (0.5, 1), errors in (0, 1).",
        )
    scale, bound = np.log(share / (1 - share)), np.log((1 - beta) / alpha) - 1e-12
    return leads_to_stop(lambda first, second: (first - second) * scale >= bound, most)


def is_settled(counts: Sequence[int], leads: Ints) -> bool:
    """Whether a rule stops at these vote counts, in any order.

    Args:
        counts: votes of each answer; samples without an answer have none.
        leads: of the rule; see `leads_to_stop`.
    """
    first, second, *_ = *sorted(counts, reverse=True), 0, 0
    return first >= int(leads[second])


def is_unanimous(window: Sequence[Hashable]) -> bool:
    """Whether all samples of a window have the same answer.

    Samples without an answer share one value and can be unanimous, as in the code of Li et al.
    """
    return len(set(window)) == 1


def is_kept(score: float | None, threshold: float) -> bool:
    """Whether a cascade keeps an answer and asks no further model (Chen, Zaharia and Zou 2023).

    Args:
        score: of the answer, higher is better; None if it has none, which keeps nothing.
        threshold: that keeps an answer with this score or a higher one.
    """
    return score is not None and score >= threshold


def escalating_threshold(scores: NDArray[np.float64], share: float) -> float:
    """Threshold of a cascade below which about this share of scores falls.

    Minus infinity and infinity at the ends.
    """
    if share <= 0:
        return -np.inf
    if share >= 1:
        return np.inf
    return float(np.quantile(scores, share, method="higher"))
