"""Costs per correct answer of every task, and request costs of every session.

Not here: how the tables are computed (``isocost.tables.costs``).
"""

from __future__ import annotations

from isocost.build.rules.base import SAMPLES, Frames, Rule
from isocost.build.slices import Rows
from isocost.intake import card_book
from isocost.store import Store


def derive_costs(rows: Rows | Store) -> Frames:
    """Cost of pass, intelligence per watt and joule: comparisons of the points of a task."""
    from isocost.tables.costs.costs import AXES, build_cost_of_pass
    from isocost.tables.costs.efficiency import build_intelligence_per_watt
    from isocost.tables.tallies import COLUMNS

    run = ("sample_id", "session_id", "run_id", "attempt", "sample_index", "shared_id")
    wanted = dict.fromkeys(
        (*COLUMNS, *run, *AXES, "latency_s", "energy_method", "energy_unknown_reason")
    )
    samples, counts = rows.read("core_samples", columns=tuple(wanted)), rows.read("core_counts")
    return {
        "out_cost_of_pass": build_cost_of_pass(samples, card_book(rows), counts=counts),
        "out_intelligence_per_watt": build_intelligence_per_watt(
            samples, rows.read("core_energy_attribution"), counts=counts
        ),
    }


def derive_session_costs(rows: Rows | Store) -> Frames:
    """Runtime models and request efficiency: descriptions of one session."""
    from isocost.tables.costs.efficiency import build_request_efficiency
    from isocost.tables.costs.runtimes import build_runtime_models

    samples, sessions = rows.read("core_samples"), rows.read("core_sessions")
    return {
        "out_runtime_models": build_runtime_models(samples, sessions, card_book(rows)),
        "out_request_efficiency": build_request_efficiency(
            samples, sessions, rows.read("core_points"), card_book(rows)
        ),
    }


RULES = (
    Rule(
        "costs",
        "task",
        ("out_cost_of_pass", "out_intelligence_per_watt"),
        (*SAMPLES, "core_energy_attribution"),
        derive_costs,
        uses_cards=True,
    ),
    Rule(
        "costs",
        "session",
        ("out_request_efficiency", "out_runtime_models"),
        ("core_samples", "core_sessions", "core_points"),
        derive_session_costs,
        uses_cards=True,
    ),
)
