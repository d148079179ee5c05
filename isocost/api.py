"""What is promised: the functions that other programs may call, by steps and by subjects.

Lives here: one function for each step from a sweep file to a table, and the estimators, under the
names that stay (docs/stability.md). Not here: how any of it is done. What this module does not
name is private, whatever its name looks like, and may change without notice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isocost.costs import (
    correct_per_second,
    cost_of_pass,
    cost_of_pass_counts,
    critical_batch,
    decode_flops,
    decode_step_seconds,
    energy_cap_j,
    estimate_acceptance,
    fit_power_law,
    fit_runtime_model,
    forward_flops,
    goodput,
    group_essentialness,
    helm_idealized_runtime,
    idealized_energy_j,
    idealized_usd,
    intelligence,
    kinetics_eflops,
    kv_traffic_bytes,
    latency_summary,
    load_book,
    local_coverage,
    mbu,
    mfu,
    per_correct,
    prefill_flops,
    request_seconds,
    requests_per_second,
    share_by_time,
    share_by_tokens,
    share_by_weight,
    speculative_speedup,
    speedup_at_accuracy,
    target_efficiency,
    token_usd,
    tokens_per_step,
    verification_budget,
)
from isocost.curves import (
    beta_binomial_fit,
    choose_family,
    compute_to_target,
    coverage,
    extrapolation_score,
    families,
    fit,
    posterior_coverage,
    profile_interval,
    saturation_budget,
    zero_inflated_beta_binomial_fit,
)
from isocost.errors import IsocostError, MachineError, PartialError
from isocost.frontier import (
    attainment_probability,
    benjamini_hochberg,
    clopper_pearson,
    clustered_se,
    comparison_power,
    detectable_difference,
    dpfr,
    duplicate_groups,
    exclusive_contributions,
    fixed_benchmark_se,
    frontier_margin,
    gaps,
    holm,
    hull_quality,
    hypervolume,
    jeffreys,
    knee,
    mcnemar,
    mean_interval,
    paired_comparison,
    pareto_mask,
    problem_bootstrap,
    problems_needed,
    rate_faults,
    score_interval,
    simultaneous_band,
    staircase,
    staircase_quality,
    stratified_score_interval,
    upper_hull,
    variance_split,
    wilson,
)
from isocost.items import (
    ability,
    blind_p_value,
    difficulty,
    divergence_index,
    guess_corrected,
    item_information,
    kr20,
    mean_spread,
    point_biserial,
    rest_correlation,
    success_probability,
    top1_spread,
)
from isocost.schema.model import Column, Table
from isocost.schema.registry import table as describe_table
from isocost.store import Store
from isocost.strategies import (
    adaptive_consistency,
    best_of_k,
    borda_at_k,
    borda_weights,
    cascade,
    confidence_threshold,
    deepconf_offline_at_k,
    deepconf_online,
    early_stopping_consistency,
    efficiency_score,
    expected_max,
    expected_min,
    fit_weibull_mixture,
    generate_then_verify,
    hodges_lehmann,
    kept_paths,
    majority_at_k,
    marginal_value,
    mean_verdict,
    oracle_cascade,
    oracle_router,
    pass_at_k,
    pass_hat_k,
    perplexity_consistency_at_k,
    retry_until_verified,
    route,
    rpc_at_k,
    sampling_shares,
    selection_efficiency,
    sequential_ratio_test,
    shortest_majority_at_k,
    shortest_of_k,
    surprisal_guided,
    trace_confidence,
    truncate_at,
    uncapped_attempts,
    verification_cost,
    weighted_majority_at_k,
    weighted_majority_estimate,
    window_latency,
)
from isocost.sweep import SweepSpec
from isocost.sweep import load_sweep as read_sweep

if TYPE_CHECKING:
    import polars as pl

    from isocost.build.refresh import Derived
    from isocost.importers import ImportReport
    from isocost.payload.session import Outcome

__all__ = [
    "Column",
    "IsocostError",
    "MachineError",
    "PartialError",
    "SweepSpec",
    "Table",
    "ability",
    "adaptive_consistency",
    "attainment_probability",
    "benjamini_hochberg",
    "best_of_k",
    "beta_binomial_fit",
    "blind_p_value",
    "borda_at_k",
    "borda_weights",
    "cascade",
    "choose_family",
    "clopper_pearson",
    "clustered_se",
    "comparison_power",
    "compute_to_target",
    "confidence_threshold",
    "correct_per_second",
    "cost_of_pass",
    "cost_of_pass_counts",
    "coverage",
    "critical_batch",
    "decode_flops",
    "decode_step_seconds",
    "deepconf_offline_at_k",
    "deepconf_online",
    "describe_table",
    "detectable_difference",
    "difficulty",
    "divergence_index",
    "dpfr",
    "duplicate_groups",
    "early_stopping_consistency",
    "efficiency_score",
    "energy_cap_j",
    "estimate_acceptance",
    "exclusive_contributions",
    "expected_max",
    "expected_min",
    "extrapolation_score",
    "families",
    "fit",
    "fit_power_law",
    "fit_runtime_model",
    "fit_weibull_mixture",
    "fixed_benchmark_se",
    "forward_flops",
    "frontier_margin",
    "gaps",
    "generate",
    "generate_then_verify",
    "goodput",
    "group_essentialness",
    "guess_corrected",
    "helm_idealized_runtime",
    "hodges_lehmann",
    "holm",
    "hull_quality",
    "hypervolume",
    "idealized_energy_j",
    "idealized_usd",
    "import_results",
    "intelligence",
    "item_information",
    "jeffreys",
    "kept_paths",
    "kinetics_eflops",
    "knee",
    "kr20",
    "kv_traffic_bytes",
    "latency_summary",
    "load_book",
    "local_coverage",
    "majority_at_k",
    "marginal_value",
    "mbu",
    "mcnemar",
    "mean_interval",
    "mean_spread",
    "mean_verdict",
    "mfu",
    "oracle_cascade",
    "oracle_router",
    "paired_comparison",
    "pareto_mask",
    "pass_at_k",
    "pass_hat_k",
    "per_correct",
    "perplexity_consistency_at_k",
    "plan",
    "point_biserial",
    "posterior_coverage",
    "prefill_flops",
    "problem_bootstrap",
    "problems_needed",
    "profile_interval",
    "rate_faults",
    "read_sweep",
    "read_table",
    "refresh",
    "request_seconds",
    "requests_per_second",
    "rest_correlation",
    "retry_until_verified",
    "route",
    "rpc_at_k",
    "sampling_shares",
    "saturation_budget",
    "score_interval",
    "selection_efficiency",
    "sequential_ratio_test",
    "share_by_time",
    "share_by_tokens",
    "share_by_weight",
    "shortest_majority_at_k",
    "shortest_of_k",
    "simultaneous_band",
    "speculative_speedup",
    "speedup_at_accuracy",
    "staircase",
    "staircase_quality",
    "stratified_score_interval",
    "success_probability",
    "surprisal_guided",
    "table_names",
    "target_efficiency",
    "token_usd",
    "tokens_per_step",
    "top1_spread",
    "trace_confidence",
    "truncate_at",
    "uncapped_attempts",
    "upper_hull",
    "variance_split",
    "verification_budget",
    "verification_cost",
    "weighted_majority_at_k",
    "weighted_majority_estimate",
    "wilson",
    "window_latency",
    "zero_inflated_beta_binomial_fit",
]


def plan(sweep: str | Path, data: str | Path = "data") -> list[str]:
    """Check a sweep file and write what each of its sessions has to do.

    Args:
        sweep: the sweep file.
        data: the data root; made where it is not there.

    Returns:
        The ids of its sessions, in the order in which they should run.

    Raises:
        IsocostError: the sweep file is at fault; nothing was written.
    """
    from isocost.intake import plan_sweep

    return plan_sweep(_store(data), Path(sweep))


def generate(
    session_id: str, data: str | Path = "data", *, max_samples: int | None = None
) -> Outcome:
    """Generate the missing samples of a planned session, in this process.

    Args:
        session_id: as returned by `plan`.
        data: the data root.
        max_samples: maximum number of samples to generate now.

    Returns:
        The numbers of generated, failed and missing samples.

    Raises:
        IsocostError: bad input, the engine cannot start, or the storage fails; samples sealed
            before are intact.
    """
    from isocost.payload.loop import Stop
    from isocost.payload.progress import Reporter
    from isocost.payload.session import generate as run
    from isocost.sweep import read_session

    store = _store(data).existing()
    session = read_session(store.session_file(session_id))
    with Reporter() as reporter:
        return run(
            session, str(store.lake), reporter=reporter, stop=Stop(), max_samples=max_samples
        )


def import_results(
    path: str | Path,
    format: str,
    data: str | Path = "data",
    *,
    name: str = "",
    provenance: Mapping[str, Any] | None = None,
    unknown: Iterable[str] = (),
    condition: Mapping[str, Any] | Iterable[str] = (),
    mapping: str | Path | None = None,
    verifier: str | None = None,
    metric: str | None = None,
) -> ImportReport:
    """Import results of another tool; `refresh` adds them to the tables.

    Args:
        path: file or folder.
        format: name of an importer.
        data: the data root; created if missing.
        name: of the source; derived from its path if empty. The same name again supersedes.
        provenance: what the source does not state: model, task, task_version, prompt, sampling.
        unknown: unknown provenance.
        condition: settings that the source does not state, such as the hardware.
        mapping: mapping file of the generic importer.
        verifier: grades every text instead of the source's own labels.
        metric: the metric with the verdict, if the source has several.

    Raises:
        IsocostError: bad input, or provenance is missing; nothing was imported.
    """
    from isocost.intake import bring_in, source_key

    place = Path(path)
    key = source_key(name) if name else source_key(str(place.resolve()), shown=place.name)
    return bring_in(
        _store(data),
        key,
        format=format,
        path=place,
        provenance=dict(provenance or {}),
        unknown=frozenset(unknown),
        mapping=None if mapping is None else Path(mapping),
        verifier=verifier,
        condition=condition,
        metric=metric,
    )


def refresh(
    data: str | Path = "data", *, force: bool = False, memory: int | None = None
) -> list[Derived]:
    """Bring every derived table up to date with the bank, and publish.

    Args:
        data: the data root.
        force: rebuild everything, even if it is up to date.
        memory: budget in bytes; half of what is free if None.

    Returns:
        The result of each step: rows by table, pieces built and reused.

    Raises:
        PartialError: everything else is published; the error states what was left out, and why.
        IsocostError: nothing could be done.
    """
    from isocost.build.refresh import everything

    return list(everything(_store(data).existing(), force=force, memory=memory))


def read_table(
    name: str, data: str | Path = "data", *, columns: Sequence[str] | None = None
) -> pl.DataFrame:
    """One core or derived table, all sessions together, in key order.

    Args:
        name: of the table, as in docs/data-dictionary.md.
        data: the data root.
        columns: only these, in this order.

    Raises:
        IsocostError: there is no such table or data root, or a file of it is damaged.
    """
    return _store(data).existing().read(name, columns=columns)


def table_names() -> tuple[str, ...]:
    """Names of all tables: raw, core, out, and by name within a layer.

    Examples:
        >>> "out_frontiers" in table_names()
        True
    """
    from isocost.schema.registry import all_tables

    return tuple(all_tables())


def _store(data: str | Path) -> Store:
    return Store(Path(data).resolve())
