"""Coverage curves and accuracy intervals of every task.

Not here: how the tables are computed (``isocost.tables.coverage``).
"""

from __future__ import annotations

from isocost.build.rules.base import CLUSTERS, SAMPLES, Frames, Rule
from isocost.build.slices import Rows
from isocost.store import Store


def derive_coverage(rows: Rows | Store) -> Frames:
    """pass@k with its bands, pairwise differences, and intervals of single-sample accuracy."""
    from isocost.tables.coverage.accuracy_intervals import build_accuracy_intervals
    from isocost.tables.coverage.bands import build_coverage_bands
    from isocost.tables.tallies import COLUMNS

    samples = rows.read("core_samples", columns=COLUMNS)
    counts, problems = rows.read("core_counts"), rows.read("core_problems", columns=CLUSTERS)
    bands = build_coverage_bands(samples, counts=counts, clusters=problems)
    return {
        **bands,
        "out_accuracy_intervals": build_accuracy_intervals(
            samples, counts=counts, clusters=problems
        ),
    }


RULES = (
    Rule(
        "coverage",
        "task",
        ("out_coverage_bands", "out_coverage_differences", "out_accuracy_intervals"),
        (*SAMPLES, "core_problems"),
        derive_coverage,
    ),
)
