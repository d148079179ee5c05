"""Statistics of individual problems, answers and repeated runs.

Lives here: item statistics (difficulty, discrimination, 2PL), flags and subsets of problems,
response features against correctness, reproducibility of greedy decoding. Arrays and texts in,
arrays out. Not here: tables (isocost.tables), intervals and tests (isocost.frontier).
"""

from isocost.items.classical import difficulty, kr20, point_biserial, rest_correlation
from isocost.items.features import FEATURES, feature_expressions, within_problem_auc
from isocost.items.flags import blind_p_value, guess_corrected, negative_discrimination_p
from isocost.items.irt import (
    TwoPl,
    ability,
    fit_two_pl,
    item_information,
    normalised_discrimination,
    success_probability,
)
from isocost.items.reproducibility import divergence_index, mean_spread, top1_spread
from isocost.items.subset import Subset, discriminative_subset

__all__ = [
    "FEATURES",
    "Subset",
    "TwoPl",
    "ability",
    "blind_p_value",
    "difficulty",
    "discriminative_subset",
    "divergence_index",
    "feature_expressions",
    "fit_two_pl",
    "guess_corrected",
    "item_information",
    "kr20",
    "mean_spread",
    "negative_discrimination_p",
    "normalised_discrimination",
    "point_biserial",
    "rest_correlation",
    "success_probability",
    "top1_spread",
    "within_problem_auc",
]
