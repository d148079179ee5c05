"""Energy of each run's measured window, from power samples and the calls that ran beside them.

Lives here: the join of ``raw_telemetry`` with the window of ``raw_generations``. Not here: integration and validity
(``isocost.telemetry``) and the sharing among samples (``isocost.tables.core``).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import polars as pl

from isocost.telemetry import Window, measure_window, measured_window

SCHEMA = pl.Schema(
    {
        "session_id": pl.String,
        "run_id": pl.String,
        "energy_j": pl.Float64,
        "energy_method": pl.String,
        "energy_unknown_reason": pl.String,
    }
)
NO_WINDOW = "nothing_measured"


def build_run_energy(raw_generations: pl.DataFrame, raw_telemetry: pl.DataFrame, manifests: Iterable[Any]) -> pl.DataFrame:
    """One row a run: the joules of its window, or why they are unknown.

    Args:
        raw_generations: calls of any number of runs; needs the monotonic times scheduled_s and last_token_s.
        raw_telemetry: device samples of the same runs; none where no power source was read.
        manifests: manifests of the runs; what they say of the power source is the reason where there are no samples.

    Returns:
        Columns of ``SCHEMA``, sorted by session and run. ``energy_method`` is source and measure, e.g. ``nvml_counter``; a sum over an
        invalid window is not a number, so it is NULL with the validity codes.
    """
    said = {(m.session_id, m.run_id): (m.info.get("telemetry") or {}).get("unknown_reason") for m in manifests}
    rows = []
    for (session_id, run_id), calls in raw_generations.sort("session_id", "run_id").group_by("session_id", "run_id", maintain_order=True):
        samples = raw_telemetry.filter((pl.col("session_id") == session_id) & (pl.col("run_id") == run_id))
        rows.append((session_id, run_id, *_energy(_window(calls), samples, said.get((session_id, run_id)))))
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _window(calls: pl.DataFrame) -> Window | None:
    ended = calls.filter(pl.col("scheduled_s").is_finite() & pl.col("last_token_s").is_finite())
    if ended.is_empty():
        return None
    return measured_window(ended["scheduled_s"].to_numpy(), ended["last_token_s"].to_numpy(), ended["is_warmup"].to_numpy())


def _energy(window: Window | None, samples: pl.DataFrame, said: str | None) -> tuple[float | None, str | None, str | None]:
    if window is None:
        return None, None, NO_WINDOW
    if samples.is_empty() and said:
        return None, None, said
    measured = measure_window(samples.sort("device_id", "monotonic_s"), window.start_s, window.end_s)
    if measured.energy_j is None:
        return None, None, ",".join(measured.invalid_reasons)
    return measured.energy_j, f"{measured.source}_{measured.measure}", None
