"""Reasoning-pruning perplexity consistency (RPC) and its parts.

Zhou et al. 2025, arXiv 2502.00511.

Lives here: the two-component Weibull mixture over the path probabilities of a problem, the pruning
rule, and the vote over the surviving distinct paths. Not here: perplexity consistency without
pruning, which is a weighted majority over distinct paths (subsets.py).

A path's probability is exp(mean token log-probability) as in the authors' code, so it is normalised
by length.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize
from scipy.special import expit, gamma

from isocost.errors import IsocostError
from isocost.strategies.estimators.subsets import dense_labels, sample_classes
from isocost.strategies.kernels.weibull import STEEP, mixture_likelihood
from isocost.strategies.shapes import (
    Bools,
    Floats,
    Shape,
    read_budgets,
    read_like,
    read_valid,
    refuse_nan,
)

START = (0.5, 1.0, 1.0, 1.5, 2.0)
BOUNDS = ((0.2, 0.8), (0.01, None), (0.01, None), (0.01, None), (0.01, None))
FEWEST = 8  # below this, or when all are equal, the fit is degenerate and nothing is pruned
LEAST = 1e-300
MOST_STEPS = 2000  # evaluations of the likelihood; some hundred are usual


class WeibullMixture(NamedTuple):
    """w Weibull(shape_1, scale_1) + (1 - w) Weibull(shape_2, scale_2).

    Component 1 has the larger mean.
    """

    weight: float
    shape_1: float
    scale_1: float
    shape_2: float
    scale_2: float

    def high_component(self, x: ArrayLike) -> Floats:
        """Chance that each value came from component 1."""
        value = np.asarray(x, dtype=np.float64)
        first = np.log(self.weight) + _log_weibull(value, self.shape_1, self.scale_1)
        second = np.log1p(-self.weight) + _log_weibull(value, self.shape_2, self.scale_2)
        return expit(first - second)

    def means(self) -> tuple[float, float]:
        """Means of the two components, scale * Gamma(1 + 1/shape)."""
        return self.scale_1 * gamma(1 + 1 / self.shape_1), self.scale_2 * gamma(
            1 + 1 / self.shape_2
        )


def _log_weibull(x: Floats, shape: float, scale: float) -> Floats:
    """Log density."""
    ratio = np.log(np.maximum(x, LEAST) / scale)
    return np.log(shape / scale) + (shape - 1) * ratio - np.exp(np.minimum(shape * ratio, STEEP))


def _negative_log_likelihood(theta: Floats, log_x: Floats) -> tuple[float, Floats]:
    """Sum over the values, given by their logarithms, and its gradient."""
    gradient = np.empty(len(START))
    return mixture_likelihood(theta, log_x, gradient), gradient


def fit_weibull_mixture(probabilities: ArrayLike) -> WeibullMixture:
    """Maximum-likelihood fit with the authors' start and bounds.

    A truncated Newton method with the analytic gradient.

    The authors' own L-BFGS-B finds the same optima, but calls threaded linear algebra on five
    numbers, which makes a fit a hundred times slower on a busy machine.

    Raises:
        IsocostError: values outside (0, 1], or fewer than two different ones.

    Examples:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> drawn = np.concatenate([0.7 * rng.weibull(9, 40), 0.25 * rng.weibull(3, 24)])
        >>> mixture = fit_weibull_mixture(drawn)
        >>> round(mixture.weight, 3), round(mixture.shape_1, 1), round(mixture.scale_1, 3)
        (0.593, 9.4, 0.717)
    """
    x = np.asarray(probabilities, dtype=np.float64)
    if x.ndim != 1 or not np.all((x > 0) & (x <= 1)) or len(np.unique(x)) < 2:
        raise IsocostError(
            "expected a flat vector of at least two different probabilities in (0, 1]",
            where="probabilities",
        )
    logs = np.log(np.maximum(x, LEAST))
    fit = minimize(
        _negative_log_likelihood,
        START,
        args=(logs,),
        jac=True,
        bounds=BOUNDS,
        method="TNC",
        options={"maxfun": MOST_STEPS},
    )
    w, shape_1, scale_1, shape_2, scale_2 = (float(v) for v in fit.x)
    mixture = WeibullMixture(w, shape_1, scale_1, shape_2, scale_2)
    first, second = mixture.means()
    return mixture if first >= second else WeibullMixture(1 - w, shape_2, scale_2, shape_1, scale_1)


def kept_paths(probabilities: ArrayLike, mixture: WeibullMixture | None = None) -> Bools:
    """Reasoning pruning: False for paths of the low component below the mean probability.

    With fewer than 8 paths, or all equal, nothing is pruned unless a mixture is given.

    Examples:
        >>> mixture = WeibullMixture(0.6, 8, 0.62, 3, 0.22)
        >>> kept_paths([0.62, 0.58, 0.55, 0.20, 0.18, 0.60], mixture).tolist()
        [True, True, True, False, False, True]
    """
    x = np.asarray(probabilities, dtype=np.float64)
    if mixture is None:
        if len(x) < FEWEST or np.ptp(x) == 0:
            return np.ones(len(x), dtype=np.bool_)
        mixture = fit_weibull_mixture(x)
    return (mixture.high_component(x) >= 0.5) | (x >= x.mean())


def _answer(
    classes: np.ndarray, probabilities: Floats, labels: np.ndarray, values: Floats
) -> float:
    """Value of the winning class of one set of paths after pruning; equal sums share the credit."""
    # Distinct completions count once, the first of each.
    single = np.zeros(len(labels), dtype=np.bool_)
    single[np.unique(labels, return_index=True)[1]] = True
    voting = single & (classes >= 0)
    whole = np.bincount(classes[voting], weights=probabilities[voting], minlength=len(values))
    # No path at or above the mean is ever pruned: a class that wins by those alone against all of
    # the others' wins whatever the fit says.
    safe = voting & (probabilities >= probabilities.mean())
    least = np.bincount(classes[safe], weights=probabilities[safe], minlength=len(values))
    leader = int(least.argmax())
    if least[leader] > np.delete(whole, leader).max(initial=0.0) * (1 + 1e-6):
        return float(values[leader])
    voting &= kept_paths(probabilities)
    if not voting.any():
        return 0.0
    sums = np.bincount(classes[voting], weights=probabilities[voting], minlength=len(values))
    present = np.bincount(classes[voting], minlength=len(values)) > 0
    best = present & (sums >= sums[present].max() * (1 - 1e-9))
    return float(values[best].mean())


def rpc_at_k(
    classes: ArrayLike,
    probabilities: ArrayLike,
    correct: ArrayLike,
    k: ArrayLike,
    *,
    distinct: ArrayLike | None = None,
    valid: ArrayLike | None = None,
    draws: int = 100,
    seed: int = 0,
    keys: ArrayLike | None = None,
) -> Floats:
    """Expected correctness of RPC's answer among k samples.

    Exact at k = n (one subset), otherwise refitted on random subsets.

    Args:
        classes: class number of each sample, one row or (problems, samples); -1 for no answer.
        probabilities: exp(mean token log-probability) of each sample, in (0, 1].
        correct: class number per problem, or mask or value per sample or per class.
        k: budget or budgets.
        distinct: a label for each completion; equal completions count once. All count if not given.
        valid: mask of samples that exist.
        draws: random subsets where k < n; the sampling error is at most 0.5 / sqrt(draws) per
            problem (one standard error).
        seed: of the random subsets.
        keys: seed each problem independently of its position.

    Returns:
        Shaped by the arguments; NaN where k exceeds the row's samples.

    Examples:
        >>> rpc_at_k(
        ...     [0, 0, 1, 1, 1, 2], [0.62, 0.58, 0.55, 0.20, 0.18, 0.60], [True, False, False], [6]
        ... ).tolist()
        [1.0]
    """
    groups, values, one_row = sample_classes(classes, correct)
    paths = read_like("probabilities", probabilities, groups.shape)
    mask = read_valid(valid, groups.shape)
    refuse_nan(
        "probabilities", paths, mask, "Leave samples without log-probabilities out with valid=."
    )
    ks, one_budget = read_budgets(k)
    labels = (
        np.tile(np.arange(groups.shape[1]), (len(groups), 1))
        if distinct is None
        else dense_labels(np.atleast_2d(np.asarray(distinct)))
    )
    out = np.full((len(groups), len(ks)), np.nan)
    seeds = np.arange(len(groups)) if keys is None else np.asarray(keys)
    for row in range(len(groups)):
        own = np.flatnonzero(mask[row])
        rng = np.random.default_rng([seed, int(seeds[row])])
        for i, budget in enumerate(ks):
            if budget > len(own):
                continue
            sets = (
                [own]
                if budget == len(own)
                else [rng.choice(own, budget, replace=False) for _ in range(draws)]
            )
            answers = [
                _answer(groups[row, s], paths[row, s], labels[row, s], values[row]) for s in sets
            ]
            out[row, i] = np.mean(answers)
    return Shape(one_row, one_budget).give_back(out)
