"""Frontiers and the uncertainty of the outcomes on them.

Lives here: dominance, hypervolume, knees, gaps to the frontier, the shared problem bootstrap,
intervals and paired comparisons. Arrays in, arrays out. Not here: tables (isocost.tables), scaling
curves (isocost.curves), what a policy would have answered (isocost.strategies).
"""

from isocost.frontier.attainment import attainment_curves, attainment_levels, attainment_probability
from isocost.frontier.bands import Band, simultaneous_band
from isocost.frontier.bootstrap import (
    ProblemBootstrap,
    bootstrap_intervals,
    frontier_membership,
    problem_bootstrap,
    replicate_means,
    resample_counts,
)
from isocost.frontier.comparisons import (
    McNemar,
    Paired,
    benjamini_hochberg,
    comparison_power,
    detectable_difference,
    holm,
    mcnemar,
    paired_comparison,
    problems_needed,
)
from isocost.frontier.consistency import rate_faults
from isocost.frontier.dominance import duplicate_groups, pareto_mask, snap
from isocost.frontier.draws import tiles
from isocost.frontier.geometry import (
    Gaps,
    dpfr,
    gaps,
    hull_quality,
    staircase,
    staircase_quality,
    upper_hull,
)
from isocost.frontier.hypervolume import exclusive_contributions, hypervolume
from isocost.frontier.intervals import (
    VarianceSplit,
    clopper_pearson,
    clustered_se,
    fixed_benchmark_se,
    jeffreys,
    mean_interval,
    score_interval,
    stratified_score_interval,
    variance_split,
    wilson,
)
from isocost.frontier.joint import joint_membership
from isocost.frontier.knees import Knee, knee
from isocost.frontier.margins import FrontierDraws, frontier_draws, frontier_margin, margin_bounds
from isocost.frontier.replication import (
    Replicates,
    percentile_interval,
    replicates,
    standard_error,
    strip_replicates,
    strip_rows,
)

__all__ = [
    "Band",
    "FrontierDraws",
    "Gaps",
    "Knee",
    "McNemar",
    "Paired",
    "ProblemBootstrap",
    "Replicates",
    "VarianceSplit",
    "attainment_curves",
    "attainment_levels",
    "attainment_probability",
    "benjamini_hochberg",
    "bootstrap_intervals",
    "clopper_pearson",
    "clustered_se",
    "comparison_power",
    "detectable_difference",
    "dpfr",
    "duplicate_groups",
    "exclusive_contributions",
    "fixed_benchmark_se",
    "frontier_draws",
    "frontier_margin",
    "frontier_membership",
    "gaps",
    "holm",
    "hull_quality",
    "hypervolume",
    "jeffreys",
    "joint_membership",
    "knee",
    "margin_bounds",
    "mcnemar",
    "mean_interval",
    "paired_comparison",
    "pareto_mask",
    "percentile_interval",
    "problem_bootstrap",
    "problems_needed",
    "rate_faults",
    "replicate_means",
    "replicates",
    "resample_counts",
    "score_interval",
    "simultaneous_band",
    "snap",
    "staircase",
    "staircase_quality",
    "standard_error",
    "stratified_score_interval",
    "strip_replicates",
    "strip_rows",
    "tiles",
    "upper_hull",
    "variance_split",
    "wilson",
]
