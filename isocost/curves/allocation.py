"""Compute-optimal allocation: the best configuration per difficulty, evaluated out of sample.

Lives here: difficulty bins, the cross-fitted choice per bin, efficiency ratios and the exchange
between model size and inference (Snell et al. 2024, arXiv 2408.03314). Not here: the accuracies of
the configurations, which are replayed from a bank, and tables.

Difficulty must come from samples that are not scored: bins from the scored samples leak, because a
lucky problem looks easy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from isocost.curves.base import Array
from isocost.errors import IsocostError


@dataclass(frozen=True)
class CrossFit:
    """A choice of arm per difficulty bin, made on one part of the problems, scored on the other.

    Attributes:
        accuracy: mean held-out accuracy.
        cost: mean held-out cost.
        spread: standard deviation of the accuracy over repetitions of the split; None with one.
        cost_spread: the same of the cost.
        choices: (R, F, K) arm chosen with fold f held out, per repetition and bin; -1 where no arm
            was affordable.
        is_complete: False where some bin had no affordable arm in some fold: accuracy and cost are
            NaN then.
        problem_accuracy: (M,) held-out accuracy of every problem, averaged over repetitions; NaN
            where it ever had no arm.
        problem_cost: (M,) the same of its cost.
    """

    accuracy: float
    cost: float
    spread: float | None
    cost_spread: float | None
    choices: np.ndarray
    is_complete: bool
    problem_accuracy: Array
    problem_cost: Array


def difficulty_bins(success: ArrayLike, n_bins: int = 5) -> np.ndarray:
    """Quantile bins of the success rate, 0 = hardest; of equal size up to one problem.

    Args:
        success: (M,) success rates from samples that are not scored later, in an order that does
            not depend on them (by problem id): ties are broken by it.
        n_bins: number of bins; fewer problems than bins give one problem per bin.

    Returns:
        (M,) bin numbers.
    """
    rates = np.asarray(success, dtype=np.float64)
    if n_bins < 1 or not np.isfinite(rates).all():
        raise IsocostError(
            "difficulty needs finite success rates and at least one bin", where="difficulty_bins"
        )
    rank = np.empty(len(rates), dtype=int)
    rank[np.argsort(rates, kind="stable")] = np.arange(len(rates))
    return rank * n_bins // max(len(rates), 1)


def stratified_folds(bins: np.ndarray, n_folds: int, generator: np.random.Generator) -> np.ndarray:
    """Random folds (M,) of equal size within every bin."""
    folds = np.empty(len(bins), dtype=int)
    for label in np.unique(bins):
        members = generator.permutation(np.flatnonzero(bins == label))
        folds[members] = (np.arange(len(members)) + generator.integers(n_folds)) % n_folds
    return folds


def choose_arms(
    accuracy: Array,
    cost: Array,
    bins: np.ndarray,
    train: np.ndarray,
    n_bins: int,
    budget: float = np.inf,
) -> np.ndarray:
    """Best arm per bin on the training problems among those whose mean cost there is within budget.

    Ties go to the cheaper arm, then to the earlier one; a bin without training problems uses the
    choice for all of them.

    Args:
        accuracy: (S, M) expected correctness of S arms on M problems.
        cost: (S, M) expected cost.
        bins: (M,) bin per problem.
        train: (M,) True for training problems.
        n_bins: number of bins.
        budget: largest mean cost per problem allowed in a bin.

    Returns:
        (K,) arm per bin, -1 where none is affordable.
    """
    return _cheapest_best(*_means(accuracy, cost, bins, train, n_bins), budget)


def _means(
    accuracy: Array, cost: Array, bins: np.ndarray, train: np.ndarray, n_bins: int
) -> tuple[Array, Array]:
    """Mean accuracy, rounded, and mean cost (S, K) of every arm on each bin's training problems."""
    member = (bins == np.arange(n_bins)[:, None]) & train
    member = np.where(member.any(axis=1, keepdims=True), member, train).astype(np.float64)
    share = (member / np.maximum(member.sum(axis=1, keepdims=True), 1.0)).T
    # Rounding: accuracies that differ by rounding error alone are tied.
    return np.round(accuracy @ share, 12), cost @ share


def _cheapest_best(accuracy: Array, cost: Array, budget: float) -> np.ndarray:
    """The cheapest of the most accurate arms within budget, per bin, from means (..., S, K).

    Costs that differ by rounding are tied.
    """
    usable = cost <= budget * (1.0 + 1e-12)
    ranked = np.where(usable, accuracy, -np.inf)
    price = np.where(ranked == ranked.max(axis=-2, keepdims=True), cost, np.inf)
    # argmax takes the first of the tied
    cheapest = (price <= price.min(axis=-2, keepdims=True) * (1.0 + 1e-12)).argmax(axis=-2)
    return np.where(usable.any(axis=-2), cheapest, -1)


def cross_fit(
    accuracy: ArrayLike,
    cost: ArrayLike,
    bins: ArrayLike,
    *,
    budget: float = np.inf,
    folds: ArrayLike | Sequence[ArrayLike] | None = None,
    n_folds: int = 2,
    repetitions: int = 20,
    seed: int = 0,
) -> CrossFit:
    """Choose an arm per bin on the training folds and score it on the held-out fold.

    Averages over random splits.

    Args:
        accuracy: (S, M) expected correctness of S arms on M problems.
        cost: (S, M) expected cost.
        bins: (M,) difficulty bins from disjoint samples; all 0 gives the uniform baseline.
        budget: largest mean cost per problem allowed in a bin, on the training problems.
        folds: (M,) given folds, or a sequence of them, one per repetition; drawn at random within
            bins if None.
        n_folds: folds to draw.
        repetitions: splits to average over; two folds over few problems are noisy.
        seed: seed of the splits.
    """
    return cross_fit_budgets(
        accuracy,
        cost,
        bins,
        [budget],
        folds=folds,
        n_folds=n_folds,
        repetitions=repetitions,
        seed=seed,
    )[0]


def cross_fit_budgets(
    accuracy: ArrayLike,
    cost: ArrayLike,
    bins: ArrayLike,
    budgets: Sequence[float] | Array,
    *,
    folds: ArrayLike | Sequence[ArrayLike] | None = None,
    n_folds: int = 2,
    repetitions: int = 20,
    seed: int = 0,
) -> list[CrossFit]:
    """``cross_fit`` at several budgets on the same splits, in order.

    What arms are worth on a split is worked out once for all of them.
    """
    accuracy, cost, bins = (
        np.asarray(accuracy, dtype=np.float64),
        np.asarray(cost, dtype=np.float64),
        np.asarray(bins),
    )
    if (
        accuracy.shape != cost.shape
        or accuracy.ndim != 2
        or accuracy.shape[1] != len(bins)
        or not accuracy.size
    ):
        raise IsocostError(
            "accuracy, cost and bins do not fit together",
            where="cross_fit",
            remedy="Give (S, M), (S, M) and (M,).",
        )
    n_bins, problems = int(bins.max()) + 1, np.arange(len(bins))
    generator = np.random.default_rng(seed)
    if folds is None:
        splits = [stratified_folds(bins, n_folds, generator) for _ in range(repetitions)]
    else:
        splits = list(np.atleast_2d(np.asarray(folds)))
    held = np.stack([np.unique(split, return_inverse=True)[1].reshape(-1) for split in splits])
    trained = [
        [_means(accuracy, cost, bins, split != f, n_bins) for f in np.unique(split)]
        for split in splits
    ]
    worth, price = (
        np.array([[pair[kind] for pair in folds_of] for folds_of in trained]) for kind in (0, 1)
    )
    found = []
    for budget in budgets:
        choices = _cheapest_best(worth, price, budget)
        arm = choices[np.arange(len(splits))[:, None], held, bins]
        right, spent = (
            np.where(arm < 0, np.nan, values[arm, problems]) for values in (accuracy, cost)
        )
        found.append(_scored(choices, right, spent))
    return found


def _scored(choices: np.ndarray, right: Array, spent: Array) -> CrossFit:
    """Means over problems and repetitions of accuracy and spending of the chosen arms, (R, M)."""
    table = np.stack([right.mean(axis=1), spent.mean(axis=1)], axis=1)
    is_complete = bool(np.isfinite(table).all())
    spreads = (
        [float(v) for v in table.std(axis=0, ddof=1)]
        if len(table) > 1 and is_complete
        else [None, None]
    )
    return CrossFit(
        accuracy=float(table[:, 0].mean()),
        cost=float(table[:, 1].mean()),
        spread=spreads[0],
        cost_spread=spreads[1],
        choices=choices,
        is_complete=is_complete,
        problem_accuracy=right.mean(axis=0),
        problem_cost=spent.mean(axis=0),
    )


def compute_at_accuracy(compute: ArrayLike, accuracy: ArrayLike, target: float) -> float | None:
    """Compute at which a measured curve reaches ``target``.

    Monotone interpolation in (ln compute, accuracy).

    The curve is made non-decreasing by its running maximum. None outside its range: nothing is
    extrapolated.
    """
    x, y = np.asarray(compute, dtype=np.float64), np.asarray(accuracy, dtype=np.float64)
    order = np.argsort(x, kind="stable")
    x, y = x[order], np.maximum.accumulate(y[order])
    if not len(x) or not y[0] <= target <= y[-1]:
        return None
    after = int(np.searchsorted(y, target, side="left"))
    if after == 0 or y[after] == target:
        return float(x[after])
    share = (target - y[after - 1]) / (y[after] - y[after - 1])
    return float(np.exp(np.log(x[after - 1]) + share * np.log(x[after] / x[after - 1])))


def efficiency_ratio(
    compute_base: ArrayLike,
    accuracy_base: ArrayLike,
    compute_optimal: ArrayLike,
    accuracy_optimal: ArrayLike,
    target: float,
) -> float | None:
    """N_base(q) / N_opt(q).

    How many times less compute the allocation needs for accuracy q; None outside either curve's
    range.
    """
    base = compute_at_accuracy(compute_base, accuracy_base, target)
    best = compute_at_accuracy(compute_optimal, accuracy_optimal, target)
    return None if base is None or best is None else base / best


def equal_flops_token_factor(size_ratio: float, inference_to_pretraining: float) -> float:
    """Factor of inference tokens that a smaller model can spend at equal total FLOPs.

    The larger model is ``size_ratio`` times as large.

    With pretraining X = 6 N D_pre, inference Y = 2 N D_inf and R = D_inf / D_pre: M (X + Y) = X + x
    Y gives x = M + (3 / R)(M - 1).

    Args:
        size_ratio: M, parameters of the large model over those of the small one.
        inference_to_pretraining: R.
    """
    if not (size_ratio > 0 and inference_to_pretraining > 0):
        raise IsocostError("both ratios must be positive", where="equal_flops_token_factor")
    return size_ratio + 3.0 / inference_to_pretraining * (size_ratio - 1.0)
