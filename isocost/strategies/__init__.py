"""Replayed strategies: answers and costs of a policy, had it run on the banked samples.

Lives here: exact estimators as plain vectorised functions, and the registry of strategies that the
outcome tables are built from. Not here: reading the bank (tables), pricing a sample (costs),
frontiers and intervals (frontier, tables).
"""

from isocost.strategies.estimators.adaptive import (
    AdaptiveResult,
    adaptive_consistency,
    sequential_ratio_test,
)
from isocost.strategies.estimators.brevity import shortest_of_k, surprisal_guided
from isocost.strategies.estimators.cascades import (
    CascadeResult,
    CrossFit,
    best_thresholds,
    cascade,
    cross_fit_cascade,
    oracle_cascade,
)
from isocost.strategies.estimators.confidence import (
    confidence_threshold,
    deepconf_online,
    trace_confidence,
)
from isocost.strategies.estimators.coverage import (
    marginal_value,
    pass_at_k,
    pass_hat_k,
    sampling_shares,
)
from isocost.strategies.estimators.early_stopping import early_stopping_consistency, window_latency
from isocost.strategies.estimators.efficiency import efficiency_score, hodges_lehmann
from isocost.strategies.estimators.majority import majority_at_k
from isocost.strategies.estimators.order import (
    best_of_k,
    expected_max,
    expected_min,
    selection_efficiency,
)
from isocost.strategies.estimators.pruning import (
    WeibullMixture,
    fit_weibull_mixture,
    kept_paths,
    rpc_at_k,
)
from isocost.strategies.estimators.retry import RetryResult, retry_until_verified, uncapped_attempts
from isocost.strategies.estimators.routing import RouteResult, cross_fit_route, oracle_router, route
from isocost.strategies.estimators.subsets import (
    VoteEstimate,
    borda_at_k,
    borda_weights,
    deepconf_offline_at_k,
    perplexity_consistency_at_k,
    shortest_majority_at_k,
    weighted_majority_at_k,
    weighted_majority_estimate,
)
from isocost.strategies.estimators.truncation import TruncationResult, truncate_at
from isocost.strategies.estimators.verification import (
    VerifiedResult,
    generate_then_verify,
    mean_verdict,
    verification_cost,
)
from isocost.strategies.point_bank import PointBank
from isocost.strategies.records import Records, confidence_records, stop_token
from isocost.strategies.registry import (
    ChainStrategy,
    Replay,
    Strategy,
    all_variants,
    find_strategies,
    registered,
)
from isocost.strategies.scorers import SCORERS, Scorer

__all__ = [
    "SCORERS",
    "AdaptiveResult",
    "CascadeResult",
    "ChainStrategy",
    "CrossFit",
    "PointBank",
    "Records",
    "Replay",
    "RetryResult",
    "RouteResult",
    "Scorer",
    "Strategy",
    "TruncationResult",
    "VerifiedResult",
    "VoteEstimate",
    "WeibullMixture",
    "adaptive_consistency",
    "all_variants",
    "best_of_k",
    "best_thresholds",
    "borda_at_k",
    "borda_weights",
    "cascade",
    "confidence_records",
    "confidence_threshold",
    "cross_fit_cascade",
    "cross_fit_route",
    "deepconf_offline_at_k",
    "deepconf_online",
    "early_stopping_consistency",
    "efficiency_score",
    "expected_max",
    "expected_min",
    "find_strategies",
    "fit_weibull_mixture",
    "generate_then_verify",
    "hodges_lehmann",
    "kept_paths",
    "majority_at_k",
    "marginal_value",
    "mean_verdict",
    "oracle_cascade",
    "oracle_router",
    "pass_at_k",
    "pass_hat_k",
    "perplexity_consistency_at_k",
    "registered",
    "retry_until_verified",
    "route",
    "rpc_at_k",
    "sampling_shares",
    "selection_efficiency",
    "sequential_ratio_test",
    "shortest_majority_at_k",
    "shortest_of_k",
    "stop_token",
    "surprisal_guided",
    "trace_confidence",
    "truncate_at",
    "uncapped_attempts",
    "verification_cost",
    "weighted_majority_at_k",
    "weighted_majority_estimate",
    "window_latency",
]
