"""Scaling curves of every point and task, with what follows from them.

Not here: how the tables are computed (``isocost.tables.scaling``).
"""

from __future__ import annotations

import polars as pl

from isocost.build.rules.base import (
    CLUSTERS,
    SAMPLES,
    STRATEGIES,
    Frames,
    Rule,
    outcomes_by_piece,
    outcomes_of,
)
from isocost.build.slices import Rows
from isocost.store import Store

_CURVES = ("out_scaling_fits", "out_scaling_points", "out_compute_targets", "out_anytime")


def derive_curves(rows: Rows | Store) -> Frames:
    """Curves with their fits, targets and anytime measures.

    The draws are those of the task, whichever of its curves are fitted.
    """
    from isocost.tables.scaling.scaling import build_scaling

    return build_scaling(*outcomes_of(rows), clusters=rows.read("core_problems", columns=CLUSTERS))


def derive_scaling(rows: Rows | Store) -> Frames:
    """The same for chains of points.

    Elasticities, crossovers and compute-optimal allocation, which compare the points of a task.
    """
    from isocost.tables.scaling.allocation import build_compute_optimal
    from isocost.tables.scaling.anytime import build_effort_frontier, build_token_elasticity
    from isocost.tables.scaling.crossovers import build_method_crossovers
    from isocost.tables.scaling.scaling import build_scaling
    from isocost.tables.tallies import COLUMNS

    outcomes, problems = outcomes_by_piece(rows)
    wanted = (
        *COLUMNS,
        "sample_index",
        "answer_class",
        "output_tokens",
        "flops",
        "latency_s",
        "finish_reason",
    )
    samples, counts = rows.read("core_samples", columns=wanted), rows.read("core_counts")
    clusters = rows.read("core_problems", columns=CLUSTERS)
    chains = outcomes.filter(pl.col("point_ids").list.len() > 1)
    frames = build_scaling(chains, problems, clusters=clusters)
    frames["out_token_elasticity"] = build_token_elasticity(outcomes, problems, clusters=clusters)
    frames["out_method_crossovers"] = build_method_crossovers(
        outcomes, problems, rows.read("core_points"), clusters=clusters
    )
    frames["out_effort_frontier"] = build_effort_frontier(samples, counts=counts, clusters=clusters)
    frames["out_compute_optimal"] = build_compute_optimal(samples, counts=counts)
    return frames


RULES = (
    Rule("scaling", "point", _CURVES, (*STRATEGIES, "core_problems"), derive_curves),
    Rule(
        "scaling",
        "task",
        (
            *_CURVES,
            "out_token_elasticity",
            "out_effort_frontier",
            "out_compute_optimal",
            "out_method_crossovers",
        ),
        (*STRATEGIES, *SAMPLES, "core_problems", "core_points"),
        derive_scaling,
    ),
)
