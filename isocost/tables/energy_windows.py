"""Energy of each run's windows with everything that was measured about it.

Lives here: core_energy_windows, and attribution of a run's energy to its calls by any rule. Not here: integration and validity
(``isocost.telemetry``), the one-line summary that core_samples is built from (``energy``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import polars as pl

from isocost.costs import EnergyModel, energy_method, share_by_time, share_by_tokens, share_by_weight
from isocost.costs.attribution import MODEL_SHARE, SHARES, TIME_SHARE, TOKEN_SHARE, decode_positions
from isocost.errors import IsocostError
from isocost.schema.frames import conform
from isocost.schema.registry import table
from isocost.schema.types import polars_schema
from isocost.telemetry import (
    Window,
    WindowEnergy,
    cumulative_energy,
    idle_power,
    measure_window,
    measured_window,
    steady_state_window,
    tokens_in_window,
)

Run = tuple[str, str]
ATTRIBUTION = pl.Schema({"call_id": pl.String, "energy_j": pl.Float64, "energy_method": pl.String, "energy_unknown_reason": pl.String})


def build_energy_windows(
    raw_generations: pl.DataFrame,
    raw_telemetry: pl.DataFrame,
    *,
    max_num_seqs: Mapping[str, int] | None = None,
    idle: Mapping[Run, tuple[float, float]] | None = None,
    reasons: Mapping[Run, str] | None = None,
) -> pl.DataFrame:
    """core_energy_windows: the measured window and the steady state of every run.

    Args:
        raw_generations: calls of any number of runs.
        raw_telemetry: device samples of the same runs; none where no power source was read.
        max_num_seqs: largest batch by session; without it there is no steady state.
        idle: start and end of the idle stretch of a run (model loaded, no request), monotonic clock.
        reasons: why a run has no power source, as its manifest tells it.

    Returns:
        Rows of core_energy_windows; a run without a usable call has no row.
    """
    rows = []
    ordered = raw_generations.sort("session_id", "run_id", "scheduled_s")
    for key, calls in ordered.group_by("session_id", "run_id", maintain_order=True):
        run = (str(key[0]), str(key[1]))
        samples = _samples_of(raw_telemetry, run)
        batch = (max_num_seqs or {}).get(run[0])
        baseline = idle_power(samples, *idle[run]) if idle and run in idle else None
        ended = _ended(calls)
        for window in _windows(ended, batch):
            measured = measure_window(samples, window.start_s, window.end_s, idle_power_w=baseline)
            row = {"session_id": run[0], "run_id": run[1], "max_num_seqs": batch} | _row(window, measured, ended)
            if measured.source == "none" and reasons and run in reasons:
                row["energy_unknown_reason"] = reasons[run]
            rows.append(row)
    return conform(pl.DataFrame(rows, schema=polars_schema(table("core_energy_windows")), orient="row"), "core_energy_windows")


def idle_stretches(manifests: Iterable[Any]) -> dict[Run, tuple[float, float]]:
    """When each run rested with the model loaded and no request, from its manifest (``info.telemetry.idle_s``)."""
    told = {(m.session_id, m.run_id): (m.info.get("telemetry") or {}).get("idle_s") for m in manifests}
    return {run: (float(ends[0]), float(ends[1])) for run, ends in told.items() if ends}


def source_reasons(manifests: Iterable[Any]) -> dict[Run, str]:
    """Why each run without a power source has none, from its manifest (``info.telemetry.unknown_reason``)."""
    told = {(m.session_id, m.run_id): (m.info.get("telemetry") or {}).get("unknown_reason") for m in manifests}
    return {run: str(reason) for run, reason in told.items() if reason}


def _samples_of(raw_telemetry: pl.DataFrame, run: Run) -> pl.DataFrame:
    return raw_telemetry.filter((pl.col("session_id") == run[0]) & (pl.col("run_id") == run[1])).sort("device_id", "monotonic_s")


def _ended(calls: pl.DataFrame) -> pl.DataFrame:
    times = ("scheduled_s", "first_token_s", "last_token_s")
    return calls.filter(pl.all_horizontal(pl.col(t).is_finite().fill_null(False) for t in times) & pl.col("output_tokens").is_not_null())


def _windows(ended: pl.DataFrame, batch: int | None) -> list[Window]:
    if ended.is_empty():
        return []
    whole = measured_window(ended["scheduled_s"].to_numpy(), ended["last_token_s"].to_numpy(), ended["is_warmup"].to_numpy())
    if whole is None:
        return []
    work = ended.filter(~pl.col("is_warmup"))
    first, last = work["first_token_s"].to_numpy(), work["last_token_s"].to_numpy()
    steady = steady_state_window(first, last, batch, whole.n_warmup) if batch else None
    return [whole] if steady is None else [whole, steady]


def _row(window: Window, measured: WindowEnergy, ended: pl.DataFrame) -> dict[str, Any]:
    work = ended.filter(~pl.col("is_warmup"))
    tokens = tokens_in_window(*(work[c].to_numpy() for c in ("first_token_s", "last_token_s", "output_tokens")), window)
    counter, integral = measured.counter_j, measured.integral_j
    return {
        "window_kind": window.kind,
        "start_s": window.start_s,
        "stop_s": window.end_s,
        "window_s": window.duration_s,
        "requests_measured": window.n_requests,
        "requests_warmup": window.n_warmup,
        "requests_drain": window.n_drain,
        "energy_source": measured.source,
        "energy_measure": measured.measure,
        "energy_j": measured.energy_j,
        "energy_net_j": measured.energy_net_j,
        "idle_power_w": measured.idle_power_w,
        "counter_j": counter,
        "integral_j": integral,
        "counter_to_integral_ratio": counter / integral if counter is not None and integral else None,
        "power_mean_w": measured.power_mean_w,
        "power_samples": measured.n_samples,
        "power_gap_s": measured.max_gap_s,
        "is_energy_valid": measured.is_valid,
        "invalid_reasons": list(measured.invalid_reasons),
        "energy_unknown_reason": measured.unknown_reason,
        "output_tokens_in_window": tokens,
        "output_tokens_per_s": tokens / window.duration_s if window.duration_s > 0 else None,
        "energy_j_per_output_token": measured.energy_j / tokens if measured.energy_j is not None and tokens > 0 else None,
    }


def attribute_run(
    calls: pl.DataFrame, telemetry: pl.DataFrame, share: str = TOKEN_SHARE, *, model: EnergyModel | None = None
) -> pl.DataFrame:
    """Shares the measured window's energy of one run among its calls outside warm-up.

    Args:
        calls: rows of raw_generations of one run.
        telemetry: rows of raw_telemetry of the same run.
        share: ``output_token_share``, ``time_share`` or ``model_share``.
        model: the fitted energy model; needed for ``model_share``.

    Returns:
        call_id, energy_j, energy_method, energy_unknown_reason, sorted by call_id. Known joules add up to the window; where the window is
        invalid or nobody can be charged every joule is NULL with the reason.

    Raises:
        IsocostError: an unknown rule, or ``model_share`` without a model.
    """
    if share not in SHARES or (share == MODEL_SHARE and model is None):
        raise IsocostError(
            f"no attribution by {share!r}", where="argument share", remedy=f"Use one of {', '.join(SHARES)}; model_share needs a model"
        )
    ended = _ended(calls).filter(~pl.col("is_warmup")).sort("call_id")
    window = next(iter(_windows(_ended(calls), None)), None)
    if window is None:
        return pl.DataFrame(schema=ATTRIBUTION)
    rows = telemetry.sort("device_id", "monotonic_s")
    measured = measure_window(rows, window.start_s, window.end_s)
    if measured.energy_j is None:
        return _attributed(ended, None, None, measured.unknown_reason)
    try:
        joules = _shares(ended, rows, measured.energy_j, share, model)
    except IsocostError as error:
        return _attributed(ended, None, None, error.what)
    return _attributed(ended, joules, energy_method(measured.source, str(measured.measure), share), None)


def _attributed(ended: pl.DataFrame, joules: np.ndarray | None, method: str | None, reason: str | None) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "call_id": ended["call_id"],
            "energy_j": [None] * ended.height if joules is None else joules,
            "energy_method": [method] * ended.height,
            "energy_unknown_reason": [reason] * ended.height,
        },
        schema=ATTRIBUTION,
    )


def _shares(ended: pl.DataFrame, telemetry: pl.DataFrame, window_j: float, share: str, model: EnergyModel | None) -> np.ndarray:
    output = ended["output_tokens"].to_numpy()
    if share == TOKEN_SHARE:
        return share_by_tokens(window_j, output)
    if model is not None and share == MODEL_SHARE:
        prompt = ended["prompt_tokens"].to_numpy()
        return share_by_weight(window_j, model.weights(prompt, output, decode_positions(prompt, output)))
    start, end = ended["scheduled_s"].to_numpy(), ended["last_token_s"].to_numpy()
    return share_by_time(start, end, *_course(telemetry, float(start.min()), float(end.max())), window_j)


def _course(telemetry: pl.DataFrame, start_s: float, end_s: float) -> tuple[np.ndarray, np.ndarray]:
    """Energy over time summed over devices at the samples' moments; by counter where there is one, else by integrated power."""
    moments = np.unique(np.concatenate((telemetry["monotonic_s"].to_numpy(), [start_s, end_s])))
    moments = moments[(moments >= start_s) & (moments <= end_s)]
    total = np.zeros(moments.size)
    for rows in telemetry.partition_by("device_id", maintain_order=True):
        counted = rows.drop_nulls("energy_counter_j")
        if counted.height >= 2:
            total += np.interp(moments, counted["monotonic_s"].to_numpy(), counted["energy_counter_j"].to_numpy())
            continue
        power = rows.with_columns(pl.coalesce("power_w", "power_average_w").alias("power")).drop_nulls("power")
        total += cumulative_energy(power["monotonic_s"].to_numpy(), power["power"].to_numpy(), moments)
    return moments, np.maximum.accumulate(total)


__all__ = ["ATTRIBUTION", "TIME_SHARE", "attribute_run", "build_energy_windows", "idle_stretches", "source_reasons"]
