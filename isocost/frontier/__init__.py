"""Frontiers and the uncertainty of what stands on them.

Lives here: dominance, hypervolume, knees, gaps to the frontier, the shared problem bootstrap, intervals and paired comparisons.
Arrays in, arrays out. Not here: tables (isocost.tables), scaling curves (isocost.curves), what a policy would have answered
(isocost.strategies).
"""

from isocost.frontier.bootstrap import ProblemBootstrap, problem_bootstrap, resample_counts
from isocost.frontier.dominance import duplicate_groups, pareto_mask
from isocost.frontier.hypervolume import exclusive_contributions, hypervolume
from isocost.frontier.knees import Knee, knee

__all__ = [
    "Knee",
    "ProblemBootstrap",
    "duplicate_groups",
    "exclusive_contributions",
    "hypervolume",
    "knee",
    "pareto_mask",
    "problem_bootstrap",
    "resample_counts",
]
