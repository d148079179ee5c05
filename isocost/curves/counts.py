"""Beta-binomial models fitted to counts by maximum likelihood.

Lives here: the plain and the zero-inflated fit of correct counts c out of n (Kazdan et al. 2025,
arXiv 2510.05197), its problem bootstrap, per-problem posterior predictions and the public
``coverage``. Not here: the least-squares fit to a coverage curve (``isocost.curves.shapes``) and
the unbiased pass@k of a bank.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betaln, digamma, gammaln, polygamma

from isocost.curves.base import Array
from isocost.curves.base import family as find_family
from isocost.curves.beta import log_failure
from isocost.curves.fitting import STATUSES, BatchFit, Fit
from isocost.curves.shapes.beta_binomial import LOWER, UPPER, start_grid
from isocost.errors import IsocostError

CountFamily = Literal["beta_binomial", "zero_inflated_beta_binomial"]


@dataclass(frozen=True)
class _Cells:
    """Distinct (n, c) pairs.

    Every problem is one of them, and a bootstrap draw is a row of multiplicities.
    """

    n: Array
    c: Array
    of_problem: np.ndarray

    @classmethod
    def of(cls, n: ArrayLike, c: ArrayLike) -> _Cells:
        n, c = np.broadcast_arrays(
            np.asarray(n, dtype=np.float64).ravel(), np.asarray(c, dtype=np.float64).ravel()
        )
        bad = ~(
            np.isfinite(n)
            & np.isfinite(c)
            & (c >= 0)
            & (c <= n)
            & (n == np.round(n))
            & (c == np.round(c))
        )
        if bad.any():
            row = int(np.argmax(bad))
            raise IsocostError(
                f"{c[row]} correct of {n[row]} samples is not a valid count",
                where=f"problem {row}",
                remedy="Give whole numbers with 0 <= c <= n.",
            )
        if not len(n):
            return cls(n, c, np.zeros(0, dtype=int))
        pairs, of_problem = np.unique(np.stack([n, c], axis=1), axis=0, return_inverse=True)
        return cls(pairs[:, 0], pairs[:, 1], of_problem.ravel())

    def tally(self, weights: ArrayLike | None) -> Array:
        """Sums problem weights (B, M), or ones, into cells: (B, U)."""
        if weights is None:
            return np.bincount(self.of_problem, minlength=len(self.n)).astype(np.float64)[None, :]
        w = np.atleast_2d(np.asarray(weights, dtype=np.float64))
        member = np.zeros((len(self.of_problem), len(self.n)))
        member[np.arange(len(self.of_problem)), self.of_problem] = 1.0
        return w @ member


def beta_binomial_fit(n: ArrayLike, c: ArrayLike) -> Fit:
    """Fit c_i ~ Binomial(n_i, p_i), p_i ~ Beta(alpha, beta) by maximum likelihood; n_i may differ.

    Args:
        n: (M,) samples per problem.
        c: (M,) correct ones among them.

    Returns:
        A fit of family "beta_binomial"; ``log_likelihood`` sums log pmf over problems, ``n`` counts
        problems. Problems that are all
        solved always, or all never, give status "flat". One sample per problem determines only the
        mean of the p_i, not their spread, on which all coverage beyond k = 1 depends:
        "too_few_points".

    Raises:
        IsocostError: when c > n or a count is negative or not whole.

    Examples:
        >>> found = beta_binomial_fit([20] * 8, [0, 0, 0, 1, 2, 5, 12, 20])
        >>> found.parameters
        {'alpha': 0.186906, 'beta': 0.443406}
    """
    return _fit_counts("beta_binomial", n, c)


def zero_inflated_beta_binomial_fit(n: ArrayLike, c: ArrayLike) -> Fit:
    """Like ``beta_binomial_fit`` with a share pi of problems whose success rate is exactly 0.

    L_i = pi 1[c_i = 0] + (1 - pi) BB(c_i; n_i, alpha, beta). Without it a Beta prior predicts that
    every problem is solved in the end. Where pi = 0 fits best the status is "at_bound".

    Examples:
        >>> found = zero_inflated_beta_binomial_fit([50] * 12, [0] * 8 + [30, 35, 40, 25])
        >>> found.parameters
        {'pi': 0.666667, 'alpha': 17.710806, 'beta': 9.530795}
    """
    return _fit_counts("zero_inflated_beta_binomial", n, c)


def coverage(fit: Fit, k: ArrayLike) -> Array:
    """Expected share of problems that at least one of k samples solves.

    Args:
        fit: any fit whose x counts samples.
        k: sample counts, real or whole, not negative, any shape; may exceed the n of the bank.

    Returns:
        Coverage with the shape of ``k``; 0 at k = 0; NaN where the fit has no parameters.

    Examples:
        >>> found = beta_binomial_fit([20] * 8, [0, 0, 0, 1, 2, 5, 12, 20])
        >>> coverage(found, [1, 100]).tolist()
        [0.296529, 0.698681]
    """
    counts = np.asarray(k, dtype=np.float64)
    if not (counts >= 0).all():
        raise IsocostError(
            "sample counts must not be negative", where="coverage: k", remedy="Give k >= 0."
        )
    return np.where(counts > 0, fit.predict(np.where(counts > 0, counts, 1.0)), 0.0)


def posterior_coverage(fit: Fit, n: ArrayLike, c: ArrayLike, k: ArrayLike) -> Array:
    """Probability that k *further* samples solve each problem, given its c of n.

    Empirical Bayes posterior prediction.

    Args:
        fit: result of ``beta_binomial_fit`` or ``zero_inflated_beta_binomial_fit``.
        n: samples seen per problem.
        c: correct ones among them.
        k: further samples, broadcastable.

    Returns:
        1 - B(alpha + c, beta + n - c + k) / B(alpha + c, beta + n - c), times the posterior chance
        that the problem can be solved.

    Raises:
        IsocostError: when c > n or a count is negative.

    Examples:
        >>> found = beta_binomial_fit([20] * 8, [0, 0, 0, 1, 2, 5, 12, 20])
        >>> posterior_coverage(found, [20] * 4, [0, 1, 2, 5], 100).tolist()
        [0.284365, 0.883507, 0.98186, 0.999949]
    """
    n, c, k = (np.asarray(v, dtype=np.float64) for v in (n, c, k))
    if not ((c >= 0) & (c <= n)).all() or not (k >= 0).all():
        remedy = "Give counts with 0 <= c <= n and k >= 0."
        raise IsocostError(
            "more correct samples than samples, or a negative count",
            where="posterior_coverage",
            remedy=remedy,
        )
    alpha, beta = fit.parameters["alpha"], fit.parameters["beta"]
    if alpha is None or beta is None:
        return np.full(
            np.broadcast_shapes(n.shape, c.shape, k.shape),
            np.nan if fit.level is None else fit.level,
        )
    solved = -np.expm1(log_failure(alpha + c, beta + n - c, k))
    share = 1.0 - (fit.parameters.get("pi") or 0.0)
    silent = share * np.exp(log_failure(np.asarray(alpha), np.asarray(beta), n))
    return solved * np.where(c > 0, 1.0, silent / np.maximum(1.0 - share + silent, 1e-300))


def fit_counts_many(
    family: CountFamily,
    n: ArrayLike,
    c: ArrayLike,
    weights: ArrayLike,
    *,
    initial: Array | None = None,
) -> BatchFit:
    """Fit the same problems under B sets of problem weights.

    For example the multiplicities of a problem bootstrap.

    Args:
        family: "beta_binomial" or "zero_inflated_beta_binomial".
        n: (M,) samples per problem.
        c: (M,) correct ones.
        weights: (B, M) non-negative problem weights.
        initial: (B, 3) start values of 1 - pi, ln(alpha), ln(beta); a grid when None.

    Returns:
        The fits; ``rss``, ``x`` and ``y`` hold no values.
    """
    cells = _Cells.of(n, c)
    theta, _, status, mean = _solve_cells(family, cells, cells.tally(weights), initial)
    return _as_batch(family, theta, status, mean, len(cells.of_problem))


def bootstrap_counts(
    family: CountFamily, n: ArrayLike, c: ArrayLike, *, draws: int, seed: int
) -> BatchFit:
    """Refit under ``draws`` resamples of the problems, seeded; see ``fit_counts_many``."""
    cells = _Cells.of(n, c)
    centre, _, _, _ = _solve_cells(family, cells, cells.tally(None), None)
    size = len(cells.of_problem)
    weights = (
        np.random.default_rng(seed).multinomial(size, np.full(size, 1.0 / size), size=draws)
        if size
        else np.zeros((draws, 0))
    )
    return fit_counts_many(family, n, c, weights, initial=np.repeat(centre, draws, axis=0))


def _fit_counts(family: CountFamily, n: ArrayLike, c: ArrayLike) -> Fit:
    cells = _Cells.of(n, c)
    tally = cells.tally(None)
    theta, log_likelihood, status, mean = _solve_cells(family, cells, tally, None)
    size = len(cells.of_problem)
    plain = _as_batch(family, theta, status, mean, size).fit(0)
    if np.isnan(log_likelihood[0]):
        return plain
    k = 3 if family == "zero_inflated_beta_binomial" else 2
    choose = gammaln(cells.n + 1) - gammaln(cells.c + 1) - gammaln(cells.n - cells.c + 1)
    total = float(log_likelihood[0] + tally[0] @ choose)
    aic = 2.0 * k - 2.0 * total
    aicc = aic + 2.0 * k * (k + 1) / (size - k - 1) if size > k + 1 else None
    return replace(
        plain, log_likelihood=total, aic=aic, aicc=aicc, bic=k * float(np.log(size)) - 2.0 * total
    )


def _as_batch(
    family: CountFamily, theta: Array, status: np.ndarray, mean: Array, size: int
) -> BatchFit:
    model = find_family(family)
    inner = theta if family == "zero_inflated_beta_binomial" else theta[:, 1:]
    parameters = model.public(inner)
    is_flat = status == STATUSES.index("flat")
    parameters[is_flat] = np.nan
    level = np.where(is_flat, mean, np.nan)
    asymptote = np.where(is_flat, mean, model.asymptote(parameters))
    none = np.zeros((len(theta), 0))
    return BatchFit(
        model,
        parameters,
        asymptote,
        level,
        np.full(len(theta), np.nan),
        np.full(len(theta), size),
        status,
        inner,
        none,
        none,
        none,
    )


def _solve_cells(
    family: CountFamily, cells: _Cells, tally: Array, initial: Array | None
) -> tuple[Array, Array, np.ndarray, Array]:
    """Maximise the likelihood for every row of ``tally``.

    Returns theta (B, 3), log-likelihood, status and mean success rate.
    """
    samples = np.maximum(tally @ cells.n, 1e-300)
    solved = tally @ cells.c
    is_short = tally.sum(axis=1) < 2
    is_flat = ~is_short & ((solved == 0) | (solved >= samples))
    is_short |= ~is_flat & (tally @ (cells.n > 1) == 0)
    theta = np.full((len(tally), 3), np.nan)
    value = np.full(len(tally), np.nan)
    status = np.select(
        [is_short, is_flat], [STATUSES.index("too_few_points"), STATUSES.index("flat")], default=0
    )
    rows = np.flatnonzero(status == 0)
    if len(rows):
        inflated = family == "zero_inflated_beta_binomial"
        start = _start(cells, tally[rows], inflated) if initial is None else np.array(initial[rows])
        cold = np.isnan(start).any(axis=1)
        if cold.any():
            start[cold] = _start(cells, tally[rows[cold]], inflated)
        theta[rows], value[rows], done = _newton(cells, tally[rows], start, inflated)
        on_bound = (theta[rows, 1:] <= LOWER + 1e-9).any(axis=1) | (
            theta[rows, 1:] >= UPPER - 1e-9
        ).any(axis=1)
        on_bound |= inflated & (theta[rows, 0] >= 1.0)
        status[rows] = np.select(
            [~done, on_bound],
            [STATUSES.index("not_converged"), STATUSES.index("at_bound")],
            default=0,
        )
    return theta, value, status, solved / samples


def _start(cells: _Cells, tally: Array, inflated: bool) -> Array:
    """Best of a fixed grid of shapes (and of shares, when inflated) for every row."""
    shares = (1.0, 0.9, 0.6, 0.3) if inflated else (1.0,)
    shapes = start_grid()
    grid = np.array([[share, *shape] for share in shares for shape in shapes])
    likelihood = _log_likelihood(grid, cells)
    return grid[(tally @ likelihood.T).argmax(axis=1)]


def _log_likelihood(theta: Array, cells: _Cells) -> Array:
    """Log-likelihood (B, U) of each cell under each row of theta.

    Without the binomial coefficient.
    """
    share, alpha, beta = theta[:, :1], np.exp(theta[:, 1:2]), np.exp(theta[:, 2:3])
    plain = betaln(alpha + cells.c, beta + cells.n - cells.c) - betaln(alpha, beta)
    with np.errstate(divide="ignore"):
        return np.where(cells.c > 0, np.log(share) + plain, np.log1p(share * np.expm1(plain)))


def _newton(
    cells: _Cells, tally: Array, theta: Array, inflated: bool, max_iterations: int = 200
) -> tuple[Array, Array, np.ndarray]:
    """Newton's method with curvature made positive, step control and projection on the box.

    Rows leave when they converge.
    """
    lower, upper = (
        np.array([1e-9 if inflated else 1.0, LOWER, LOWER]),
        np.array([1.0, UPPER, UPPER]),
    )
    theta = np.clip(theta, lower, upper)
    value = np.einsum("bu,bu->b", tally, _log_likelihood(theta, cells))
    damping = np.full(len(theta), 1e-4)
    done = np.zeros(len(theta), dtype=bool)
    rows = np.arange(len(theta))
    for _ in range(max_iterations):
        if not len(rows):
            break
        gradient, hessian = _derivatives(theta[rows], cells, tally[rows])
        step = _ascent(theta[rows], gradient, hessian, damping[rows], lower, upper)
        trial = np.clip(theta[rows] + step, lower, upper)
        reached = np.einsum("bu,bu->b", tally[rows], _log_likelihood(trial, cells))
        better = reached > value[rows]
        small = np.abs(trial - theta[rows]).max(axis=1) < 1e-9
        # Nearly equal problems leave a ridge towards infinite shapes on which only rounding error
        # is left to climb.
        stuck = (~better & (damping[rows] > 1e6)) | (
            better & (reached - value[rows] < 1e-11 * (1.0 + np.abs(value[rows])))
        )
        theta[rows[better]], value[rows[better]] = trial[better], reached[better]
        damping[rows] = np.where(
            better, np.maximum(damping[rows] * 0.1, 1e-9), damping[rows] * 10.0
        )
        finished = small | stuck
        done[rows[finished]] = True
        rows = rows[~finished]
    return theta, value, done


def _ascent(
    theta: Array, gradient: Array, hessian: Array, damping: Array, lower: Array, upper: Array
) -> Array:
    """Newton step of ascent; parameters on a bound that want to leave the box are held."""
    held = ((theta <= lower) & (gradient <= 0)) | ((theta >= upper) & (gradient >= 0))
    gradient = np.where(held, 0.0, gradient)
    hessian = np.where(held[:, :, None] | held[:, None, :], -np.eye(3), hessian)
    values, vectors = np.linalg.eigh(-hessian)
    curvature = np.maximum(np.abs(values), 1e-8 * np.abs(values).max(axis=1, keepdims=True)) + 1e-12
    curvature = curvature + damping[:, None] * np.abs(values).max(axis=1, keepdims=True)
    step = np.einsum("bij,bj->bi", vectors, np.einsum("bij,bi->bj", vectors, gradient) / curvature)
    return np.clip(step, [-0.3, -2.0, -2.0], [0.3, 2.0, 2.0])


def _derivatives(theta: Array, cells: _Cells, tally: Array) -> tuple[Array, Array]:
    """Gradient (B, 3) and Hessian (B, 3, 3) of the weighted log-likelihood.

    In 1 - pi, ln(alpha), ln(beta).
    """
    share, alpha, beta = theta[:, :1], np.exp(theta[:, 1:2]), np.exp(theta[:, 2:3])
    failed = cells.n - cells.c
    total, first = (
        digamma(alpha + beta) - digamma(alpha + beta + cells.n),
        polygamma(1, alpha + beta) - polygamma(1, alpha + beta + cells.n),
    )
    slope_a = alpha * (digamma(alpha + cells.c) - digamma(alpha) + total)
    slope_b = beta * (digamma(beta + failed) - digamma(beta) + total)
    bend_aa = alpha**2 * (polygamma(1, alpha + cells.c) - polygamma(1, alpha) + first) + slope_a
    bend_bb = beta**2 * (polygamma(1, beta + failed) - polygamma(1, beta) + first) + slope_b
    bend_ab = alpha * beta * first
    plain = betaln(alpha + cells.c, beta + failed) - betaln(alpha, beta)
    silent = np.exp(np.where(cells.c > 0, -np.inf, plain))
    missed = -np.expm1(np.where(cells.c > 0, 0.0, plain))
    # L = 1 - share * missed for c = 0; u = d lnL / d lnP and v = d^2 lnL / d lnP^2 carry the
    # mixture into the chain rule.
    mixture = 1.0 - share * missed
    zero = cells.c == 0
    u = np.where(zero, share * silent / mixture, 1.0)
    v = np.where(zero, u * (1.0 - u), 0.0)
    slope_s = np.where(zero, -missed / mixture, 1.0 / share)
    bend_ss = -(slope_s**2)
    cross = np.where(zero, silent / mixture**2, 0.0)

    def add(values: Array) -> Array:
        return np.einsum("bu,bu->b", tally, np.broadcast_to(values, tally.shape))

    gradient = np.stack([add(slope_s), add(u * slope_a), add(u * slope_b)], axis=1)
    aa, bb = add(u * bend_aa + v * slope_a**2), add(u * bend_bb + v * slope_b**2)
    ab = add(u * bend_ab + v * slope_a * slope_b)
    ss, sa, sb = add(bend_ss), add(cross * slope_a), add(cross * slope_b)
    hessian = np.stack([ss, sa, sb, sa, aa, ab, sb, ab, bb], axis=1).reshape(-1, 3, 3)
    return gradient, hessian
