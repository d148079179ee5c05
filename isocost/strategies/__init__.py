"""Replayed strategies: what a policy would have answered, and spent, had it been run on the banked samples.

Lives here: exact estimators as plain vectorised functions, and the registry of strategies that the outcome tables are built
from. Not here: reading the bank (tables), pricing a sample (costs), frontiers and intervals (frontier, tables).
"""

from isocost.strategies.coverage import marginal_value, pass_at_k, pass_hat_k
from isocost.strategies.majority import majority_at_k
from isocost.strategies.order import best_of_k, expected_max, expected_min, selection_efficiency

__all__ = [
    "best_of_k",
    "expected_max",
    "expected_min",
    "majority_at_k",
    "marginal_value",
    "pass_at_k",
    "pass_hat_k",
    "selection_efficiency",
]
