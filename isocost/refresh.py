"""From what is banked to what people read, step by step, without an orchestrator.

Lives here: one function per group of derived tables that reads its inputs from the store, calls the builders in ``isocost.tables``
and writes what they return. The Dagster assets call these one by one; ``isocost refresh`` calls them in order. Not here: how a table
is computed, and planning and importing (``isocost.intake``, whose functions are named here too).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl

from isocost import sql
from isocost.bank.reader import read_manifests, read_raw
from isocost.errors import IsocostError
from isocost.intake import bring_in, card_book, clashes, known_sources, plan_sweep, raw_rows, source_facts
from isocost.schema.frames import empty
from isocost.store import IMPORT_PREFIX, Store
from isocost.sweep import read_session

__all__ = ["bring_in", "card_book", "clashes", "known_sources", "plan_sweep", "raw_rows"]  # of isocost.intake

Frames = dict[str, pl.DataFrame]

CORE_OF_SESSION = (
    "core_calls",
    "core_energy_attribution",
    "core_energy_windows",
    "core_label_agreement",
    "core_points",
    "core_problems",
    "core_samples",
    "core_sessions",
)
# Bootstrap draws of problems: a probability of 0.5 has a standard error of 0.016 from the draws, far below that from the problems.
FRONTIER_DRAWS = 1000
CARDS = ("core_devices", "core_models", "core_prices")


def curate_session(store: Store, session_id: str) -> Frames:
    """Builds and writes the core tables of one session or imported source.

    Raises:
        IsocostError: nothing is banked under this id, or what is banked is damaged.
    """
    frames = _core_of_import(store, session_id) if session_id.startswith(IMPORT_PREFIX) else _core_of_session(store, session_id)
    written = {name: frames.get(name, empty(name)) for name in CORE_OF_SESSION}
    for name, frame in written.items():
        store.write(frame, name, session_id)
    return written


def _core_of_session(store: Store, session_id: str) -> Frames:
    from isocost.tables.core import build_core
    from isocost.tables.energy import build_run_energy
    from isocost.tables.energy_attribution import build_energy_attribution
    from isocost.tables.energy_windows import build_energy_windows, idle_stretches, source_reasons

    path = store.session_file(session_id)
    if not path.exists():
        raise IsocostError("was never planned here", where=f"session {session_id}", remedy="Plan its sweep: `isocost plan SWEEP.yaml`")
    session, manifests = read_session(path), read_manifests(store.lake, session_id)
    calls, telemetry = raw_rows(store, "raw_generations", session_id), raw_rows(store, "raw_telemetry", session_id)
    batch = {session_id: session.engine.max_num_seqs}
    told = {"idle": idle_stretches(manifests), "reasons": source_reasons(manifests)}
    windows = build_energy_windows(calls, telemetry, max_num_seqs=batch, **told)
    core = build_core(calls, [session], manifests, book=card_book(store), energy=build_run_energy(windows, manifests))
    shares = build_energy_attribution(calls, telemetry, windows)
    return {**core, "core_energy_windows": windows, "core_energy_attribution": shares}


def _core_of_import(store: Store, session_id: str) -> Frames:
    from isocost.tables.imports import build_imported_core

    told = source_facts(store, session_id)
    return build_imported_core(raw_rows(store, "raw_imports", session_id), verifier=told.get("verifier"))


def write_cards(store: Store) -> Frames:
    """Writes the packaged cards as tables."""
    from isocost.tables.costs import build_cards

    return _written(store, build_cards(card_book(store)))


def derive_strategies(store: Store) -> Frames:
    """Replays every registered strategy over all valid samples."""
    from isocost.tables.outcomes import build_outcomes

    outcomes, problems = build_outcomes(store.read("core_samples"))
    return _written(store, {"out_strategy_outcomes": outcomes, "out_strategy_problems": problems})


def derive_frontiers(store: Store) -> Frames:
    """Frontiers with one bootstrap over problems shared by all outcomes of a task."""
    from isocost.tables.frontiers import build_frontiers

    points, problems = store.read("core_points"), store.read("core_problems")
    return _written(store, build_frontiers(*_outcomes(store), draws=FRONTIER_DRAWS, points=points, clusters=problems))


def derive_scaling(store: Store) -> Frames:
    """Curves, their fits and targets, anytime measures, elasticities and compute-optimal allocation."""
    from isocost.tables.allocation import build_compute_optimal
    from isocost.tables.anytime import build_effort_frontier, build_token_elasticity
    from isocost.tables.scaling import build_scaling

    outcomes, problems = _outcomes(store)
    clusters, samples = store.read("core_problems"), store.read("core_samples")
    frames = build_scaling(outcomes, problems, clusters=clusters)
    frames["out_token_elasticity"] = build_token_elasticity(outcomes, problems, clusters=clusters)
    frames["out_effort_frontier"] = build_effort_frontier(samples)
    frames["out_compute_optimal"] = build_compute_optimal(samples)
    return _written(store, frames)


def derive_costs(store: Store) -> Frames:
    """Runtime models, cost of pass, intelligence per watt and joule, request efficiency."""
    from isocost.tables.costs import build_cost_tables

    samples, sessions, points, shares = (store.read(f"core_{name}") for name in ("samples", "sessions", "points", "energy_attribution"))
    return _written(store, build_cost_tables(samples, sessions, points, card_book(store), attribution=shares))


def derive_items(store: Store) -> Frames:
    """Item statistics, response features, reproducibility and regressions."""
    from isocost.tables.items import build_item_statistics
    from isocost.tables.reruns import build_regressions, build_reproducibility
    from isocost.tables.responses import build_response_features

    samples, points, sessions = (store.read(name) for name in ("core_samples", "core_points", "core_sessions"))
    texts = (
        store.read("core_calls")
        .filter(pl.col("is_used"))
        .sort("sample_id", "call_index")
        .unique("sample_id", keep="last", maintain_order=True)
    )
    frames = {
        "out_item_statistics": build_item_statistics(samples),
        "out_response_features": build_response_features(samples, texts.select("sample_id", "output_text")),
        "out_reproducibility": build_reproducibility(samples, points, sessions, _greedy_tokens(store, points)),
        "out_regressions": build_regressions(samples, points, sessions),
    }
    return _written(store, frames)


def _greedy_tokens(store: Store, points: pl.DataFrame) -> pl.DataFrame:
    """Token ids of the samples of greedy points: what the divergence index compares. Only those parts of the bank are opened."""
    wanted = ("sample_id", "output_token_ids")
    greedy = points.filter((pl.col("temperature") == 0) & ~pl.col("session_id").str.starts_with("im-"))
    frames = [
        read_raw(store.lake, "raw_generations", str(key[0]), point_ids=part["point_id"].to_list(), columns=[*wanted, "is_warmup"])
        for key, part in greedy.sort("session_id", "point_id").group_by("session_id", maintain_order=True)
    ]
    rows = pl.concat(frames) if frames else empty("raw_generations").select(*wanted, "is_warmup")
    return rows.filter(~pl.col("is_warmup")).select(wanted).unique("sample_id", keep="last", maintain_order=True)


def derive_summary(store: Store) -> Frames:
    """The tables that are one SQL file each."""
    with sql.session(store) as connection:
        frames = {path.stem: sql.run_file(connection, path) for path in sql.sql_files("out")}
    return _written(store, frames)


def _outcomes(store: Store) -> tuple[pl.DataFrame, pl.DataFrame]:
    return store.read("out_strategy_outcomes"), store.read("out_strategy_problems")


def _written(store: Store, frames: Frames) -> Frames:
    for name, frame in frames.items():
        store.write(frame, name)
    return frames


# The groups of derived tables in the order in which they build on each other: tables, and the step that writes them.
STEPS: dict[str, tuple[tuple[str, ...], Callable[[Store], Frames]]] = {
    "strategies": (("out_strategy_outcomes", "out_strategy_problems"), derive_strategies),
    "frontiers": (("out_frontier_points", "out_frontiers", "out_frontier_attainment", "out_comparisons"), derive_frontiers),
    "scaling": (
        (
            "out_scaling_fits",
            "out_scaling_points",
            "out_compute_targets",
            "out_anytime",
            "out_token_elasticity",
            "out_effort_frontier",
            "out_compute_optimal",
        ),
        derive_scaling,
    ),
    "costs": (("out_cost_of_pass", "out_intelligence_per_watt", "out_request_efficiency", "out_runtime_models"), derive_costs),
    "items": (("out_item_statistics", "out_response_features", "out_reproducibility", "out_regressions"), derive_items),
    "summary": (("out_point_summary",), derive_summary),
}


def everything(store: Store) -> Iterator[tuple[str, int]]:
    """Rebuilds every derived table of every session from what is banked, then publishes; yields each step with its rows."""
    for session_id in known_sources(store):
        yield session_id, sum(frame.height for frame in curate_session(store, session_id).values())
    yield "cards", sum(frame.height for frame in write_cards(store).values())
    for name, (_, step) in STEPS.items():
        yield name, sum(frame.height for frame in step(store).values())
    yield "warehouse", publish_warehouse(store).rows
    yield "exports", sum(publish_exports(store).rows.values())
    publish_report(store)


def publish_warehouse(store: Store):
    """Builds the warehouse with the outcome of every SQL check in it."""
    from isocost.publish.warehouse import build_warehouse, run_checks

    return build_warehouse(store, checks=run_checks(store))


def publish_exports(store: Store):
    """Writes the Parquet exports."""
    from isocost.publish.exports import write_exports

    return write_exports(store)


def publish_report(store: Store) -> Path:
    """Writes the report's page."""
    from isocost.publish.report import write_report

    return write_report(store)
