"""Votes without a closed form, replayed over subsets.

Weighted, Borda, confidence-filtered, shortest majority, perplexity.

Lives here: rules that need to know which samples were drawn, not only how many of each class. Every
subset is visited where there are at most ``most_subsets``; otherwise random subsets are averaged,
the same ones for all rules, and the error bound is stated. Not here: the plain majority
(majority.py, exact), pruning by a fitted mixture (pruning.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypedDict, Unpack

import numpy as np
from numpy.typing import ArrayLike

from isocost.errors import IsocostError
from isocost.strategies.estimators.adaptive import MISS, start_state
from isocost.strategies.kernels.votes import BORDA, FILTERED, SHORTEST, WEIGHTED, vote_rows
from isocost.strategies.shapes import (
    Bools,
    Floats,
    Ints,
    Shape,
    read_budgets,
    read_like,
    read_valid,
    refuse_nan,
)

MOST_SUBSETS = 200_000
DRAWS = 1000


class Visits(TypedDict, total=False):
    """Options of all votes over subsets.

    Attributes:
        valid: mask of samples that exist, shape of the classes; all of them if not given.
        draws: random subsets where there are more than ``most_subsets``, 1000 if not given.
        most_subsets: visit every subset up to this many, 200,000 if not given.
        seed: of the random subsets, 0 if not given.
    """

    valid: ArrayLike | None
    draws: int
    most_subsets: int
    seed: int


@dataclass(frozen=True)
class VoteEstimate:
    """Accuracy of a vote with how it was obtained.

    Arrays have the shape of the problems and budgets of the call.

    Attributes:
        accuracy: expected correctness of the winner, 0..1; NaN where the budget exceeds the bank.
        is_exact: True where all subsets were visited.
        draws: random subsets averaged; 0 where exact.
        error_bound: Hoeffding bound of the sampling error, exceeded with a probability of at most
            0.05; 0 where exact.
    """

    accuracy: Floats
    is_exact: Bools
    draws: Ints
    error_bound: Floats


def sample_classes(classes: ArrayLike, correct: ArrayLike) -> tuple[Ints, Floats, bool]:
    """Read classes (problems, samples; -1: no answer) and class values (problems, classes).

    ``correct`` is a class number per problem, a mask or value per sample (same shape as classes),
    or a mask or value per class.
    """
    raw = np.asarray(classes)
    if raw.ndim not in (1, 2) or raw.dtype.kind not in "iu":
        raise IsocostError(
            f"expected whole class numbers, one row or (problems, samples), got {raw.dtype}"
            f" {raw.shape}",
            where="classes",
        )
    one_row = raw.ndim == 1
    groups = np.atleast_2d(raw).astype(np.int64)
    width = max(int(groups.max(initial=0)) + 1, 1)
    right = np.asarray(correct)
    if right.dtype.kind in "iu" and (right.ndim == 0 or (right.ndim == 1 and not one_row)):
        index = np.broadcast_to(right, (len(groups),))
        values = np.zeros((len(groups), max(width, int(index.max(initial=0)) + 1)))
        values[np.flatnonzero(index >= 0), index[index >= 0]] = 1.0
    elif right.shape == raw.shape:
        values = class_means(groups, np.atleast_2d(right).astype(np.float64), width)
    elif right.ndim in (1, 2) and right.shape[-1] >= width:
        values = np.broadcast_to(right.astype(np.float64), (len(groups), right.shape[-1])).copy()
    else:
        raise IsocostError(
            f"expected class numbers or a mask of samples or classes, got shape {right.shape}",
            where="correct",
        )
    if not np.all((values >= 0) & (values <= 1)):
        raise IsocostError("class values must be in 0..1", where="correct")
    return groups, values, one_row


def class_means(classes: Ints, per_sample: Floats, width: int) -> Floats:
    """Mean of a per-sample quantity over each class, (problems, classes).

    0 for a class without samples.
    """
    rows = np.arange(len(classes))[:, None] * width
    inside = classes >= 0
    place = (rows + classes)[inside]
    size = len(classes) * width
    total = np.bincount(place, weights=per_sample[inside], minlength=size)
    return (total / np.maximum(np.bincount(place, minlength=size), 1)).reshape(len(classes), width)


def start_states(seed: int, keys: Ints) -> np.ndarray:
    """A separate starting state (uint64) for every seed and problem, scattered to avoid overlap."""
    return np.array([start_state(seed, key) for key in keys], dtype=np.uint64)


def estimate_votes(
    classes: Ints,
    weights: Floats,
    values: Floats,
    ks: Ints,
    valid: Bools,
    *,
    rule: int = WEIGHTED,
    power: float = 0.0,
    distinct: Ints | None = None,
    draws: int = DRAWS,
    most_subsets: int = MOST_SUBSETS,
    seed: int = 0,
    keys: Ints | None = None,
) -> VoteEstimate:
    """The computation behind the public votes, on checked matrices.

    ``weights`` are what the rule ranks or weighs by.
    """
    # In rank order: existing before absent, higher first. The plain weighted vote keeps the bank's
    # order of the samples.
    ranking = (
        np.lexsort((-weights, ~valid), axis=1)
        if rule != WEIGHTED
        else np.argsort(~valid, axis=1, kind="stable")
    )
    ordered = [
        np.ascontiguousarray(np.take_along_axis(a, ranking, axis=1)) for a in (classes, weights)
    ]
    unique = (
        np.full(classes.shape, -1)
        if distinct is None
        else np.take_along_axis(distinct, ranking, axis=1)
    )
    rows = np.arange(len(classes)) if keys is None else keys
    starts = start_states(seed, rows)
    ordering = np.argsort(ks, kind="stable")
    result = np.full((len(classes), len(ks)), np.nan)
    exact = np.ones(result.shape, dtype=np.bool_)
    vote_rows(
        ordered[0], ordered[1], np.ascontiguousarray(unique), np.ascontiguousarray(values),
        valid.sum(axis=1), ks[ordering],
        rule, power, draws, most_subsets, starts, result, exact,
    )  # fmt: skip
    back = np.argsort(ordering)
    result, exact = np.clip(result[:, back], 0.0, 1.0), exact[:, back]
    return VoteEstimate(
        result,
        exact,
        np.where(exact, 0, draws),
        np.where(exact, 0.0, np.sqrt(np.log(2 / MISS) / (2 * draws))),
    )


def _vote(
    classes: ArrayLike,
    weights: ArrayLike,
    correct: ArrayLike,
    k: ArrayLike,
    name: str,
    visits: Visits,
    *,
    rule: int,
    **options: Any,
) -> VoteEstimate:
    """Check the arguments of a public vote and shape its result."""
    asked: dict[str, Any] = dict(visits)
    unknown = set(asked) - set(Visits.__annotations__)
    if unknown:
        raise TypeError(f"unexpected keyword argument {sorted(unknown)[0]!r}")
    valid = asked.pop("valid", None)
    groups, values, one_row = sample_classes(classes, correct)
    amounts = read_like(name, weights, groups.shape)
    mask = read_valid(valid, groups.shape)
    refuse_nan(name, amounts, mask, "Leave unscored samples out with valid=.")
    if rule in (WEIGHTED, FILTERED) and np.any((amounts < 0) & mask & (groups >= 0)):
        raise IsocostError(
            "weights must not be negative",
            where=name,
            remedy="Map log-probabilities through exp first.",
        )
    ks, one_budget = read_budgets(k)
    amounts = np.where(
        mask & ~np.isneginf(amounts), amounts, np.finfo(np.float64).min if rule == BORDA else 0.0
    )
    estimate = estimate_votes(groups, amounts, values, ks, mask, rule=rule, **options, **asked)
    give = Shape(one_row, one_budget).give_back
    return VoteEstimate(
        give(estimate.accuracy),
        give(estimate.is_exact),
        give(estimate.draws),
        give(estimate.error_bound),
    )


def weighted_majority_estimate(
    classes: ArrayLike,
    weights: ArrayLike,
    correct: ArrayLike,
    k: ArrayLike,
    *,
    distinct: ArrayLike | None = None,
    **visits: Unpack[Visits],
) -> VoteEstimate:
    """Like `weighted_majority_at_k`, with exactness, number of random subsets and error bound.

    Examples:
        >>> classes, weights = [0, 1, 0, 1, 2, 0], [0.9, 0.8, 0.2, 0.7, 0.6, 0.1]
        >>> weighted_majority_estimate(
        ...     classes, weights, [True, False, False], [3]
        ... ).accuracy.tolist()
        [0.45]
    """
    unique = None if distinct is None else dense_labels(np.atleast_2d(np.asarray(distinct)))
    return _vote(classes, weights, correct, k, "weights", visits, rule=WEIGHTED, distinct=unique)


def weighted_majority_at_k(
    classes: ArrayLike,
    weights: ArrayLike,
    correct: ArrayLike,
    k: ArrayLike,
    *,
    distinct: ArrayLike | None = None,
    **visits: Unpack[Visits],
) -> Floats:
    """Expected correctness of the class with the largest sum of weights among k samples.

    Args:
        classes: class number of each sample, one row or (problems, samples); -1 for no answer,
            which never wins.
        weights: weight of each sample, at least 0; equal sums share the credit (tolerance 1e-9 of
            the heaviest).
        correct: class number per problem, or mask or value per sample (shape of classes) or per
            class.
        k: budget or budgets.
        distinct: one label per sample; within a subset, each label counts once (perplexity
            consistency over distinct paths).
        visits: which samples exist and how subsets are visited, see `Visits`.

    Returns:
        Shaped by the arguments; NaN where k exceeds the row's samples. See
        `weighted_majority_estimate` for the error bound.

    Raises:
        IsocostError: for NaN or negative weights, or arguments that do not fit together.

    Examples:
        >>> # Answers A, B, A, B, C, A, of which A is correct, and the weight of each vote.
        >>> weighted_majority_at_k(
        ...     [0, 1, 0, 1, 2, 0],
        ...     [0.9, 0.8, 0.2, 0.7, 0.6, 0.1],
        ...     [True, False, False],
        ...     [1, 2, 3, 4, 5, 6],
        ... ).tolist()
        [0.5, 0.4, 0.45, 0.466667, 0.333333, 0.0]
    """
    return weighted_majority_estimate(
        classes, weights, correct, k, distinct=distinct, **visits
    ).accuracy


def perplexity_consistency_at_k(
    classes: ArrayLike,
    mean_logprob: ArrayLike,
    completions: ArrayLike,
    correct: ArrayLike,
    k: ArrayLike,
    **visits: Unpack[Visits],
) -> Floats:
    """Perplexity consistency: votes weigh exp(mean log-probability).

    Equal completions count once (Zhou et al. 2025).

    ``completions`` labels each sample's text. Other arguments and the result as
    `weighted_majority_at_k`.

    Examples:
        >>> import numpy as np
        >>> logprobs = np.log([0.62, 0.58, 0.55, 0.20, 0.18, 0.60])
        >>> # B has three votes of six; A has the larger sum of probabilities.
        >>> perplexity_consistency_at_k(
        ...     [0, 0, 1, 1, 1, 2], logprobs, list("abcdef"), [True, False, False], [6]
        ... ).tolist()
        [1.0]
    """
    weights = np.exp(np.asarray(mean_logprob, dtype=np.float64))
    return weighted_majority_at_k(classes, weights, correct, k, distinct=completions, **visits)


def borda_weights(n: int, power: float = 0.5) -> Floats:
    """Vote weights (n - rank + 1)^power for ranks 1..n (Kang et al.

    2025); power 0 is the plain majority.

    Examples:
        >>> borda_weights(5).tolist()
        [2.236068, 2.0, 1.732051, 1.414214, 1.0]
    """
    return np.arange(n, 0, -1, dtype=np.float64) ** power


def borda_at_k(
    classes: ArrayLike,
    scores: ArrayLike,
    correct: ArrayLike,
    k: ArrayLike,
    power: float = 0.5,
    **visits: Unpack[Visits],
) -> Floats:
    """Vote weighted by the rank of the score among the k drawn, `borda_weights`.

    Equal scores rank in bank order.

    Other arguments and the result as `weighted_majority_at_k`; scores of any sign, minus infinity
    ranks last.

    Examples:
        >>> borda_at_k(
        ...     [0, 1, 0, 1, 2, 0], [0.9, 0.8, 0.2, 0.7, 0.6, 0.1], [True, False, False], [1, 3, 6]
        ... ).tolist()
        [0.5, 0.6, 1.0]
    """
    return _vote(
        classes, scores, correct, k, "scores", visits, rule=BORDA, power=float(power)
    ).accuracy


def deepconf_offline_at_k(
    classes: ArrayLike,
    confidence: ArrayLike,
    correct: ArrayLike,
    k: ArrayLike,
    keep: float = 0.1,
    **visits: Unpack[Visits],
) -> Floats:
    """DeepConf offline: keep traces above a confidence percentile, then vote by confidence.

    At or above the percentile 100 (1 - keep) (Fu et al. 2025).

    ``confidence`` is any trace confidence (mean, tail, lowest group); keep=1 is the weighted vote.
    Other arguments and the result as `weighted_majority_at_k`.

    Examples:
        >>> deepconf_offline_at_k(
        ...     [0, 0, 1], [3.0, 1.0, 2.0], [True, False], [1, 3], keep=0.5
        ... ).tolist()
        [0.666667, 1.0]
    """
    if not 0 < keep <= 1:
        raise IsocostError(f"the share of traces kept must be in (0, 1], got {keep}", where="keep")
    return _vote(
        classes, confidence, correct, k, "confidence", visits, rule=FILTERED, power=float(keep)
    ).accuracy


def shortest_majority_at_k(
    classes: ArrayLike,
    lengths: ArrayLike,
    correct: ArrayLike,
    k: ArrayLike,
    **visits: Unpack[Visits],
) -> Floats:
    """Shortest majority vote: the class with the largest count / ln(1 + mean length) wins.

    Zeng et al. 2025.

    The paper divides by log(length); 1 is added so that one-token answers are defined. Lengths in
    tokens, above 0. Other arguments and the result as `weighted_majority_at_k`.

    Examples:
        >>> shortest_majority_at_k([0, 0, 1], [10, 30, 50], [True, False], [1, 3]).tolist()
        [0.666667, 1.0]
    """
    return _vote(classes, lengths, correct, k, "lengths", visits, rule=SHORTEST).accuracy


def dense_labels(labels: np.ndarray) -> Ints:
    """Labels of each row as numbers from 0, so that a row of flags can represent them."""
    out = np.empty(labels.shape, dtype=np.int64)
    for row, values in enumerate(labels):
        out[row] = np.unique(values, return_inverse=True)[1]
    return out
