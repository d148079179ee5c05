"""Coverage of k samples: pass@k, pass^k and the marginal value of one sample more.

Lives here: closed forms over all k-subsets of a bank with n samples of which c are correct. Not
here: extrapolation past n (that is a fit, in curves), selection among the samples, intervals.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from isocost.errors import IsocostError
from isocost.strategies.kernels.coverage import miss_products
from isocost.strategies.shapes import Floats, Ints, Shape, read_budgets, read_counts


def miss_rate(n: Ints, c: Ints, k: Ints) -> Floats:
    """C(n-c, k) / C(n, k): the probability that k of n samples avoid all c marked ones.

    Elementwise after broadcasting.

    A product of min(c, k) factors (the ratio is symmetric in c and k), so it neither overflows nor
    cancels; it ends where it has vanished, after O(sqrt(n)) factors at most. NaN where k > n.
    """
    n, c, k = np.broadcast_arrays(n, c, k)
    product = np.empty(n.size)
    sizes, small, large = (
        np.ascontiguousarray(a, dtype=np.int64).ravel()
        for a in (n, np.minimum(c, k), np.maximum(c, k))
    )
    miss_products(sizes, small, large, product)
    return np.where(k > n, np.nan, product.reshape(n.shape))


def read_draws(
    n: ArrayLike, c: ArrayLike, k: ArrayLike
) -> tuple[Ints, Ints, Ints, Shape, tuple[Ints, ...]]:
    """Read (n, c, k) as unique (n, c) columns against a row of budgets.

    With the map back to all problems.
    """
    samples, right = read_counts("n", n), read_counts("c", c)
    if samples.shape != right.shape and samples.ndim and right.ndim:
        raise IsocostError(
            f"{samples.size} problems in n and {right.size} in c",
            where="n and c",
            remedy="Give one of each per problem.",
        )
    samples, right = np.broadcast_arrays(samples, right)
    if np.any(right > samples):
        raise IsocostError(
            "more correct samples than samples",
            where="c",
            remedy="c counts the correct ones among n.",
        )
    if samples.ndim > 1:
        raise IsocostError(
            f"expected one number or a vector of problems, got shape {samples.shape}", where="n"
        )
    budgets, one_budget = read_budgets(k)
    shape = Shape(one_problem=samples.ndim == 0, one_budget=one_budget)
    pairs, back = np.unique(
        np.stack([np.atleast_1d(samples), np.atleast_1d(right)], axis=1),
        axis=0,
        return_inverse=True,
    )
    return pairs[:, :1], pairs[:, 1:], budgets[None, :], shape, (back.reshape(-1),)


def pass_at_k(n: ArrayLike, c: ArrayLike, k: ArrayLike) -> Floats:
    """Probability that at least one of k samples is correct: 1 - C(n-c, k) / C(n, k).

    Chen et al. 2021, section 2.1.

    Args:
        n: samples banked, one number or a vector (problems,).
        c: correct ones among them, broadcast against ``n``.
        k: budget or budgets, whole numbers of at least 1.

    Returns:
        A number, (problems,), (budgets,) or (problems, budgets), following the arguments. NaN where
        k > n: undefined, never 1.

    Raises:
        IsocostError: for counts that are not whole, c > n, or k < 1.

    Examples:
        >>> pass_at_k(10, 3, [1, 2, 5, 8, 20]).tolist()
        [0.3, 0.533333, 0.916667, 1.0, nan]
    """
    samples, right, budgets, shape, back = read_draws(n, c, k)
    return shape.give_back((1.0 - miss_rate(samples, right, budgets))[back])


def pass_hat_k(n: ArrayLike, c: ArrayLike, k: ArrayLike) -> Floats:
    """Chance that all k samples are correct, pass^k.

    C(c, k) / C(n, k) (Yao et al. 2024, tau-bench). Arguments as `pass_at_k`.

    Examples:
        >>> pass_hat_k(10, 3, [1, 2, 3, 4]).tolist()
        [0.3, 0.066667, 0.008333, 0.0]
    """
    samples, right, budgets, shape, back = read_draws(n, c, k)
    return shape.give_back(miss_rate(samples, samples - right, budgets)[back])


def marginal_value(n: ArrayLike, c: ArrayLike, k: ArrayLike) -> Floats:
    """What the (k+1)-th sample adds: pass@(k+1) - pass@k = C(n-c, k) / C(n, k) * c / (n - k).

    Arguments as `pass_at_k`; NaN where k + 1 > n.

    Examples:
        >>> marginal_value(10, 3, 2).item()
        0.175
    """
    samples, right, budgets, shape, back = read_draws(n, c, k)
    rest = samples - budgets
    value = miss_rate(samples, right, budgets) * right / np.maximum(rest, 1)
    return shape.give_back(np.where(rest < 1, np.nan, value)[back])


def sampling_shares(p: ArrayLike, k: float) -> Floats:
    """Shares of further samples per problem that make the estimate of pass@k most precise.

    Proportional to sqrt(p (1 - p)^(2k - 1)).

    The plug-in rule of Kazdan et al. 2025 (arXiv 2510.05197): problems that are almost surely
    solved within k, or never, need none.

    Args:
        p: chance that one sample is correct, (problems,), 0..1.
        k: budget that is extrapolated to, at least 1.

    Returns:
        (problems,), summing to 1; NaN where no problem needs any.

    Raises:
        IsocostError: a chance outside 0..1, or a budget below 1.

    Examples:
        >>> sampling_shares([0.5, 0.1, 0.01, 0.001], 100).tolist()
        [1.20579e-29, 0.000135, 0.562306, 0.437559]
    """
    chance = np.asarray(p, dtype=np.float64)
    if chance.ndim != 1 or not np.all((chance >= 0) & (chance <= 1)) or not k >= 1:
        raise IsocostError(
            "expected chances in 0..1 and a budget of at least 1", where="sampling_shares"
        )
    weights = np.sqrt(chance * (1 - chance) ** (2 * k - 1))
    return weights / weights.sum() if weights.sum() > 0 else np.full(chance.shape, np.nan)
