"""The energy of a run: joules of its measured window with method, or why they are unknown.

Lives here: the choice from ``core_energy_windows`` that is attributed to samples. Not here: the
windows (``energy_windows``), integration and validity (``isocost.telemetry``), the sharing among
samples (``isocost.tables.core.samples``).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import polars as pl

COLUMNS = ("session_id", "run_id", "energy_j", "energy_method", "energy_unknown_reason")


def build_run_energy(windows: pl.DataFrame, manifests: Iterable[Any]) -> pl.DataFrame:
    """One row per run.

    Args:
        windows: core_energy_windows of any number of runs.
        manifests: manifests of the runs; their statement on the power source is the reason if
            nothing was sampled.

    Returns:
        ``COLUMNS``; energy_method is source and measure, e.g. ``nvml_counter``.
    """
    said = {
        (m.session_id, m.run_id): (m.info.get("telemetry") or {}).get("unknown_reason")
        for m in manifests
    }
    whole = windows.filter(pl.col("window_kind") == "measured")
    reasons = [said.get(run) for run in whole.select("session_id", "run_id").iter_rows()]
    is_known = pl.col("energy_j").is_not_null()
    is_unsampled = pl.col("energy_source") == "none"
    return (
        whole.with_columns(pl.Series("run_reason", reasons, pl.String))
        .with_columns(
            pl.when(is_known)
            .then(pl.concat_str("energy_source", pl.lit("_"), "energy_measure"))
            .alias("energy_method"),
            pl.when(is_unsampled)
            .then(pl.coalesce("run_reason", "energy_unknown_reason"))
            .otherwise("energy_unknown_reason")
            .alias("energy_unknown_reason"),
        )
        .select(COLUMNS)
    )
