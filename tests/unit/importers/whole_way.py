"""From a file to the numbers that people read, for tests: import, core tables, outcomes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl

from isocost.build import refresh
from isocost.importers import import_path, read_imports
from isocost.intake import bring_in
from isocost.store import Store
from isocost.tables.core.imports import build_imported_core


def banked(
    name: str, path: Path, lake: Path, **options: Any
) -> tuple[pl.DataFrame, pl.DataFrame, tuple[str, ...]]:
    """Raw rows in their order, core samples, and the notes.

    What a file does not say is unknown.
    """
    everything = {"model", "task", "task_version", "prompt", "sampling"}
    options = {"unknown": everything - set(options.get("provenance", {})), **options}
    report = import_path(name, path, lake, **options)
    raw = read_imports(lake, import_ids=[report.import_id]).collect().sort("record_index")
    return raw, build_imported_core(raw)["core_samples"], report.warnings


def accuracy(samples: pl.DataFrame, **where: Any) -> dict[str, float]:
    """Mean over problems of the mean of valid samples, by point."""
    per_problem = (
        samples.filter(pl.col("is_valid"), **where)
        .group_by("point_id", "problem_id")
        .agg(pl.col("score").mean())
    )
    return dict(per_problem.group_by("point_id").agg(pl.col("score").mean()).iter_rows())


def outcomes(name: str, path: Path, root: Path, **options: Any) -> pl.DataFrame:
    """Published outcomes of one import, through the way that the command line takes."""
    store = Store(root)
    bring_in(store, "import-case", **{"format": name, "path": path, "provenance": {}, **options})
    refresh.curate_session(store, "import-case")
    return refresh.derive_strategies(store)["out_strategy_outcomes"]
