"""Scaling curves: accuracy as a function of compute, fitted, evaluated and inverted.

Lives here: the curve families, the batched solver that fits them, profile and bootstrap intervals,
held-out extrapolation scores, the compute needed for a target, beta-binomial coverage models,
compute-optimal allocation and the anytime measures. Not here: reading or writing tables
(``isocost.tables.scaling.scaling``) and the outcomes the curves are fitted to
(``isocost.strategies``).
"""

from __future__ import annotations

from isocost.curves.absorbing import SaturationBudget, saturation_budget
from isocost.curves.base import Family, families, family
from isocost.curves.counts import (
    beta_binomial_fit,
    bootstrap_counts,
    coverage,
    fit_counts_many,
    posterior_coverage,
    zero_inflated_beta_binomial_fit,
)
from isocost.curves.extrapolation import (
    ExtrapolationScore,
    FamilyChoice,
    choose_family,
    extrapolation_score,
)
from isocost.curves.fitting import BatchFit, Fit, fit, fit_many
from isocost.curves.intervals import (
    Interval,
    TargetCompute,
    bootstrap_fits,
    compute_to_target,
    percentile_interval,
    problem_weights,
    profile_interval,
    resampled_means,
)

__all__ = [
    "BatchFit",
    "ExtrapolationScore",
    "Family",
    "FamilyChoice",
    "Fit",
    "Interval",
    "SaturationBudget",
    "TargetCompute",
    "beta_binomial_fit",
    "bootstrap_counts",
    "bootstrap_fits",
    "choose_family",
    "compute_to_target",
    "coverage",
    "extrapolation_score",
    "families",
    "family",
    "fit",
    "fit_counts_many",
    "fit_many",
    "percentile_interval",
    "posterior_coverage",
    "problem_weights",
    "profile_interval",
    "resampled_means",
    "saturation_budget",
    "zero_inflated_beta_binomial_fit",
]
