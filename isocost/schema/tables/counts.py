"""Counts of correct samples from sources that state nothing else.

The core table next to core_samples.

Lives here: core_counts. Not here: samples (core), and how both are read as one
(``isocost.tables.tallies``).
"""

from __future__ import annotations

from isocost.schema import columns
from isocost.schema.model import Column, Table

COUNTS = Table(
    name="core_counts",
    grain=(
        "how many attempts of one point at one problem an imported source counts, and how many of"
        " them correct"
    ),
    keys=("count_id",),
    order=("task", "model_variant", "prompt", "point_id", "problem_id", "count_id"),
    warnings=(
        (
            "These samples are not rows of core_samples: a source of counts has no order, answers "
            "or costs. Tables of accuracy, coverage and outcomes include both."
        ),
    ),
    columns=(
        Column(
            "count_id",
            "string",
            "point_id, problem_id and RUN#NUMBER of the record joined by colons.",
            nullable=False,
        ),
        columns.POINT_ID,
        columns.PROBLEM_ID,
        Column("session_id", "string", "Imported source.", nullable=False),
        columns.TASK,
        columns.MODEL_VARIANT,
        Column("prompt", "string", "Prompt name; NULL if the source does not state it."),
        columns.IMPORTER,
        Column("n_samples", "int64", "Attempts, n.", unit="samples", nullable=False),
        Column("n_correct", "int64", "Correct ones among them, c.", unit="samples", nullable=False),
        columns.CLUSTER_ID,
    ),
)

TABLES = (COUNTS,)
