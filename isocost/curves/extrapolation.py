"""Held-out extrapolation: predict unseen budgets, and choose a family by the error.

Lives here: scores and choice for one curve and for batches. Not here: fitting. Information criteria
count budget points as independent and, with six to ten of them, mostly measure the number of
parameters; a held-out budget answers the question that matters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from isocost.curves.base import Array, Family
from isocost.curves.base import family as find_family
from isocost.curves.fitting import BatchFit, fit_many
from isocost.errors import IsocostError


@dataclass(frozen=True)
class ExtrapolationScore:
    """Errors at the budgets above a cut, by a fit to the budgets up to it.

    Attributes:
        family: name of the family.
        rmse: root mean squared error over the held-out budgets, accuracy 0..1; None where the
            family cannot be fitted below the cut.
        signed_error: mean of predicted minus observed.
        log_ratio: mean of ln(predicted / observed); None where either is not positive.
        factor: largest compute over the compute of the cut: how far the fit extrapolates.
        n_train: budgets fitted.
        n_test: budgets predicted.
    """

    family: str
    rmse: float | None
    signed_error: float | None
    log_ratio: float | None
    factor: float | None
    n_train: int
    n_test: int


@dataclass(frozen=True)
class FamilyChoice:
    """Outcome of a choice between families.

    Attributes:
        family: the chosen one; None where none can be fitted.
        method: "held_out_extrapolation", or "bic" where too few budgets leave nothing to hold out
            for at least two families.
        scores: score per family at the cuts used, pooled; None where the family could not be
            scored.
    """

    family: str | None
    method: Literal["held_out_extrapolation", "bic", "none"]
    scores: dict[str, float | None]


def extrapolation_score(
    family: str | Family,
    x: ArrayLike,
    y: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    n_train: int | None = None,
) -> ExtrapolationScore:
    """Fit the ``n_train`` smallest budgets and score the rest.

    Two thirds of the budgets, rounded up, if None.

    Raises:
        IsocostError: ``n_train`` leaves nothing to fit or nothing to score.

    Examples:
        >>> accuracy = [0.30, 0.545, 0.68, 0.735, 0.77, 0.782]
        >>> budgets = [1, 4, 16, 64, 256, 1024]
        >>> extrapolation_score("saturating_power_law", budgets, accuracy, n_train=4).rmse
        0.002834
        >>> extrapolation_score("log_linear", budgets, accuracy, n_train=4).rmse
        0.230645
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    order = np.argsort(x, kind="stable")
    x, y = x[order], y[order]
    w = np.ones(len(x)) if weights is None else np.asarray(weights, dtype=np.float64)[order]
    n_train = int(np.ceil(2 * len(x) / 3)) if n_train is None else n_train
    if not 0 < n_train < len(x):
        raise IsocostError(
            f"{n_train} of {len(x)} budgets cannot be held in",
            where="extrapolation_score",
            remedy="Keep 1..N-1 budgets.",
        )
    model = find_family(family)
    found = fit_many(model, x, y[None], np.where(np.arange(len(x)) < n_train, w, 0.0))
    guess, truth = found.predict(x)[0][n_train:], y[n_train:]
    factor = float(x[-1] / x[n_train - 1])
    if not np.isfinite(guess).all():
        return ExtrapolationScore(model.name, None, None, None, factor, n_train, len(truth))
    ratio = (
        float(np.mean(np.log(guess / truth))) if (guess > 0).all() and (truth > 0).all() else None
    )
    error = guess - truth
    return ExtrapolationScore(
        model.name,
        float(np.sqrt(np.mean(error**2))),
        float(error.mean()),
        ratio,
        factor,
        n_train,
        len(truth),
    )


def held_out_errors(
    family: str | Family, x: Array, y: Array, weight: Array, n_train: ArrayLike
) -> Array:
    """Prediction errors of B curves above their cuts, vectorised.

    Args:
        family: name or instance.
        x: (B, N) compute, ascending within the points of positive weight, which come first.
        y: (B, N) accuracy.
        weight: (B, N) weights; 0 marks padding.
        n_train: (B,) or scalar number of points to fit.

    Returns:
        (B, N) predicted minus observed at held-out points; NaN at fitted and padded points and
        where the fit failed.
    """
    held_in = np.arange(x.shape[1]) < np.broadcast_to(n_train, (len(x),))[:, None]
    found = fit_many(family, x, y, np.where(held_in, weight, 0.0))
    with np.errstate(invalid="ignore"):
        error = found.predict(x) - y
    return np.where(~held_in & (weight > 0), error, np.nan)


def default_cuts(n_points: int) -> tuple[int, ...]:
    """Numbers of smallest budgets to fit.

    Half and two thirds of them (rounded up), at least 3, leaving at least one to score.
    """
    cuts = {int(np.ceil(n_points / 2)), int(np.ceil(2 * n_points / 3))}
    return tuple(sorted(cut for cut in cuts if 3 <= cut < n_points))


def choose_family(
    candidates: Sequence[str | Family], x: ArrayLike, y: ArrayLike, weights: ArrayLike | None = None
) -> FamilyChoice:
    """Choose the family with the smallest pooled held-out error.

    Root mean square over ``default_cuts``.

    A family that cannot be fitted at every cut is not scored. Ties go to fewer parameters, then to
    the name.

    Examples:
        >>> accuracy = [0.30, 0.545, 0.68, 0.735, 0.77, 0.782]
        >>> budgets = [1, 4, 16, 64, 256, 1024]
        >>> choose_family(["saturating_power_law", "log_linear"], budgets, accuracy).family
        'saturating_power_law'
    """
    if not candidates:
        raise IsocostError(
            "no family to choose from",
            where="choose_family",
            remedy="Name at least one; `families()` lists them.",
        )
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    order = np.argsort(x, kind="stable")
    w = np.ones(len(x)) if weights is None else np.asarray(weights, dtype=np.float64)
    scores, bic = choose_many(candidates, x[order][None], y[order][None], w[order][None])
    models = [find_family(candidate) for candidate in candidates]
    picked, method = decide(models, scores[:, 0], bic[:, 0])
    named = {
        model.name: float(s) if np.isfinite(s) else None
        for model, s in zip(models, scores[:, 0], strict=True)
    }
    return FamilyChoice(None if picked is None else models[picked].name, method, named)


def choose_many(
    candidates: Sequence[str | Family], x: Array, y: Array, weight: Array
) -> tuple[Array, Array]:
    """Pooled held-out RMSE and BIC of every candidate on B curves, each (F, B).

    NaN where undefined.
    """
    scores = [held_out_rmse(candidate, x, y, weight)[0] for candidate in candidates]
    return np.array(scores), np.array(
        [usable_criteria(fit_many(name, x, y, weight))[2] for name in candidates]
    )


def usable_criteria(fits: BatchFit) -> tuple[Array, Array, Array]:
    """AIC, AICc and BIC of B curves, NaN where there are as many parameters as points.

    Such a curve passes through them all.
    """
    aic, aicc, bic = (
        np.where(fits.n > fits.model.n_free, values, np.nan) for values in fits.criteria()
    )
    return aic, aicc, bic


def held_out_rmse(family: str | Family, x: Array, y: Array, weight: Array) -> tuple[Array, Array]:
    """Held-out RMSE of B curves pooled over ``default_cuts``, and errors at the last cut.

    Arguments as in ``held_out_errors``. NaN where a curve is too short or the family cannot be
    fitted at every cut.
    """
    n = (weight > 0).sum(axis=1)
    cuts = [default_cuts(int(size)) for size in n]
    rows = np.repeat(np.arange(len(x)), [len(cut) for cut in cuts])
    trains = np.array([cut for each in cuts for cut in each], dtype=int)
    error = held_out_errors(family, x[rows], y[rows], weight[rows], trains)
    expected = np.bincount(rows, n[rows] - trains, minlength=len(x))
    known = np.bincount(rows, np.isfinite(error).sum(axis=1), minlength=len(x))
    squares = np.bincount(rows, np.nansum(error**2, axis=1), minlength=len(x))
    with np.errstate(invalid="ignore", divide="ignore"):
        pooled = np.where((expected > 0) & (known == expected), np.sqrt(squares / expected), np.nan)
    last = np.full(x.shape, np.nan)
    last[rows] = error  # cuts ascend, so the last one is kept
    return pooled, last


def decide(
    models: Sequence[Family], scores: Array, bic: Array
) -> tuple[int | None, Literal["held_out_extrapolation", "bic", "none"]]:
    """Index of the chosen family for one curve, and the method that chose it.

    From the columns of ``choose_many``.
    """
    rank = [(model.n_free, model.name) for model in models]
    if np.isfinite(scores).sum() >= min(2, len(models)):
        usable, method, values = np.isfinite(scores), "held_out_extrapolation", scores
    elif np.isfinite(bic).any():
        usable, method, values = np.isfinite(bic), "bic", bic
    else:
        return None, "none"
    return min(
        np.flatnonzero(usable), key=lambda i: (round(float(values[i]), 12), *rank[i])
    ), method
