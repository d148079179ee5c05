"""Scaling curves: accuracy as a function of compute, fitted, judged and inverted.

Lives here: the curve families, the batched solver that fits them, profile and bootstrap intervals, held-out extrapolation scores,
the compute needed for a target, beta-binomial coverage models, compute-optimal allocation and the anytime measures. Not here:
reading or writing tables (``isocost.tables.scaling``) and the outcomes the curves are fitted to (``isocost.strategies``).
"""

from __future__ import annotations

from isocost.curves.base import Family, families, family
from isocost.curves.fitting import BatchFit, Fit, fit, fit_many

__all__ = ["BatchFit", "Family", "Fit", "families", "family", "fit", "fit_many"]
