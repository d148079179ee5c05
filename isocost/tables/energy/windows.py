"""Energy of each run's windows with all related measurements.

Lives here: core_energy_windows, and the energy model fitted to slices of a window. Not here:
integration and validity (``isocost.telemetry``), the one-line summary that core_samples is built
from (``energy``), attribution to calls (``energy_attribution``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np
import polars as pl

from isocost.costs import EnergyModel, fit_energy_model
from isocost.errors import IsocostError
from isocost.schema.frames import conform
from isocost.schema.registry import table
from isocost.schema.types import polars_schema
from isocost.tables.core.engines import SEVERAL_ENGINES
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
from isocost.telemetry.thresholds import MIN_WINDOW_COUNTER_S, MIN_WINDOW_POWER_S

Run = tuple[str, str]
MIN_SLICES = 8
"""Fewest slices that an energy model is fitted to: two for each of its four coefficients."""
MAX_SLICES = 60
"""More slices add sensor noise and no new load."""


def build_energy_windows(
    raw_generations: pl.DataFrame,
    raw_telemetry: pl.DataFrame,
    *,
    max_num_seqs: Mapping[str, int] | None = None,
    idle: Mapping[Run, tuple[float, float]] | None = None,
    reasons: Mapping[Run, str] | None = None,
    several: Collection[Run] = (),
) -> pl.DataFrame:
    """core_energy_windows: the measured window and the steady state of every run.

    Args:
        raw_generations: calls of any number of runs.
        raw_telemetry: device samples of the same runs; none if no power source was read.
        max_num_seqs: largest batch by session; without it there is no steady state.
        idle: start and end of the idle stretch of a run (model loaded, no request), monotonic
            clock.
        reasons: why a run has no power source, from its manifest.
        several: runs of several engines, to which no energy model of one model fits.

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
            row = {"session_id": run[0], "run_id": run[1], "max_num_seqs": batch} | _row(
                window, measured, ended
            )
            row |= (
                {"fit_unknown_reason": SEVERAL_ENGINES}
                if run in several
                else _fit_row(window, measured, ended, samples)
            )
            if measured.source == "none" and reasons and run in reasons:
                row["energy_unknown_reason"] = reasons[run]
            rows.append(row)
    return conform(
        pl.DataFrame(rows, schema=polars_schema(table("core_energy_windows")), orient="row"),
        "core_energy_windows",
    )


def idle_stretches(manifests: Iterable[Any]) -> dict[Run, tuple[float, float]]:
    """When each run was idle with the model loaded, from its manifest.

    From ``info.telemetry.idle_s``.
    """
    stretches = {
        (m.session_id, m.run_id): (m.info.get("telemetry") or {}).get("idle_s") for m in manifests
    }
    return {run: (float(ends[0]), float(ends[1])) for run, ends in stretches.items() if ends}


def source_reasons(manifests: Iterable[Any]) -> dict[Run, str]:
    """Why each run without a power source has none, from its manifest.

    From ``info.telemetry.unknown_reason``.
    """
    reasons = {
        (m.session_id, m.run_id): (m.info.get("telemetry") or {}).get("unknown_reason")
        for m in manifests
    }
    return {run: str(reason) for run, reason in reasons.items() if reason}


def _samples_of(raw_telemetry: pl.DataFrame, run: Run) -> pl.DataFrame:
    return raw_telemetry.filter(
        (pl.col("session_id") == run[0]) & (pl.col("run_id") == run[1])
    ).sort("device_id", "monotonic_s")


def _ended(calls: pl.DataFrame) -> pl.DataFrame:
    times = ("scheduled_s", "first_token_s", "last_token_s")
    return calls.filter(
        pl.all_horizontal(pl.col(t).is_finite().fill_null(False) for t in times)
        & pl.col("output_tokens").is_not_null()
    )


def _windows(ended: pl.DataFrame, batch: int | None) -> list[Window]:
    if ended.is_empty():
        return []
    whole = measured_window(
        ended["scheduled_s"].to_numpy(),
        ended["last_token_s"].to_numpy(),
        ended["is_warmup"].to_numpy(),
    )
    if whole is None:
        return []
    work = ended.filter(~pl.col("is_warmup"))
    first, last = work["first_token_s"].to_numpy(), work["last_token_s"].to_numpy()
    steady = steady_state_window(first, last, batch, whole.n_warmup) if batch else None
    return [whole] if steady is None else [whole, steady]


def _row(window: Window, measured: WindowEnergy, ended: pl.DataFrame) -> dict[str, Any]:
    work = ended.filter(~pl.col("is_warmup"))
    tokens = tokens_in_window(
        work["first_token_s"].to_numpy(),
        work["last_token_s"].to_numpy(),
        work["output_tokens"].to_numpy(),
        window,
    )
    return {
        "window_kind": window.kind,
        "start_s": window.start_s,
        "stop_s": window.end_s,
        "window_s": window.duration_s,
        "requests_measured": window.n_requests,
        "requests_warmup": window.n_warmup,
        "requests_drain": window.n_drain,
        **energy_columns(measured, tokens, window.duration_s),
    }


def energy_columns(measured: WindowEnergy, tokens: float | None, seconds: float) -> dict[str, Any]:
    """What core_energy_windows says of the energy of a window, and of its tokens.

    Args:
        measured: the energy of the window.
        tokens: output tokens in it; None where that is unknown.
        seconds: its length.
    """
    energy, counter, integral = measured.energy_j, measured.counter_j, measured.integral_j
    return {
        "energy_source": measured.source,
        "energy_measure": measured.measure,
        "energy_j": energy,
        "energy_net_j": measured.energy_net_j,
        "idle_power_w": measured.idle_power_w,
        "counter_j": counter,
        "integral_j": integral,
        "counter_to_integral_ratio": (
            counter / integral if counter is not None and integral else None
        ),
        "power_mean_w": measured.power_mean_w,
        "power_samples": measured.n_samples,
        "power_gap_s": measured.max_gap_s,
        "is_energy_valid": measured.is_valid,
        "invalid_reasons": list(measured.invalid_reasons),
        "energy_unknown_reason": measured.unknown_reason,
        "output_tokens_in_window": tokens,
        "output_tokens_per_s": tokens / seconds if tokens is not None and seconds > 0 else None,
        "energy_j_per_output_token": energy / tokens if energy is not None and tokens else None,
    }


def energy_course(
    telemetry: pl.DataFrame, start_s: float, end_s: float
) -> tuple[np.ndarray, np.ndarray]:
    """Energy over time summed over devices, at the times of the samples.

    By counter if there is one, otherwise by integrated power.

    Args:
        telemetry: rows of raw_telemetry of one run, sorted by device and time, covering the
            stretch.
        start_s: start of the stretch.
        end_s: its end.

    Returns:
        Moments in s, the two ends among them, and joules up to each, shape (m,) both.
    """
    moments = np.unique(np.concatenate((telemetry["monotonic_s"].to_numpy(), [start_s, end_s])))
    moments = moments[(moments >= start_s) & (moments <= end_s)]
    total = np.zeros(moments.size)
    for rows in telemetry.partition_by("device_id", maintain_order=True):
        counted = rows.drop_nulls("energy_counter_j")
        if counted.height >= 2:
            total += np.interp(
                moments, counted["monotonic_s"].to_numpy(), counted["energy_counter_j"].to_numpy()
            )
            continue
        power = rows.with_columns(
            pl.coalesce("power_w", "power_average_w").alias("power")
        ).drop_nulls("power")
        total += cumulative_energy(
            power["monotonic_s"].to_numpy(), power["power"].to_numpy(), moments
        )
    return moments, np.maximum.accumulate(total)


def fit_window(calls: pl.DataFrame, telemetry: pl.DataFrame, window: WindowEnergy) -> EnergyModel:
    """The energy model of one run, fitted to equal slices of its measured window.

    A prompt's tokens are prefilled evenly from scheduling to first token, the others are decoded
    evenly from first to last token.

    Args:
        calls: rows of raw_generations of the run that have their times and tokens, warm-up left
            out.
        telemetry: rows of raw_telemetry of the run, sorted by device and time.
        window: the measured window, its energy known.

    Returns:
        The model, see `fit_energy_model`.

    Raises:
        IsocostError: the window is too short for `MIN_SLICES`, or a slice has no energy.
    """
    least = MIN_WINDOW_COUNTER_S if window.measure == "counter" else MIN_WINDOW_POWER_S
    slices = min(int((window.end_s - window.start_s) / least), MAX_SLICES)
    if slices < MIN_SLICES:
        raise IsocostError(
            f"the window is too short to fit an energy model: {MIN_SLICES} slices of {least:g} s"
            " are needed",
            where="measured window",
            remedy="Measure for longer",
        )
    edges = np.linspace(window.start_s, window.end_s, slices + 1)
    joules = np.diff(np.interp(edges, *energy_course(telemetry, window.start_s, window.end_s)))
    done = np.array([_done(calls, edge) for edge in edges])
    prompt, output, attended = np.maximum(np.diff(done, axis=0).T, 0)
    return fit_energy_model(prompt, output, attended, np.diff(edges), joules)


def _done(calls: pl.DataFrame, until: float) -> tuple[float, float, float]:
    """Prompt tokens prefilled, tokens decoded and positions attended to up to a time.

    Over all calls.
    """
    scheduled, first, last, prompt, output = (
        calls[name].to_numpy().astype(np.float64)
        for name in (
            "scheduled_s",
            "first_token_s",
            "last_token_s",
            "prompt_tokens",
            "output_tokens",
        )
    )

    def share(start: np.ndarray, end: np.ndarray) -> np.ndarray:
        length = end - start
        return np.where(
            length > 0,
            np.clip((until - start) / np.where(length > 0, length, 1.0), 0, 1),
            until >= end,
        )

    steps = share(first, last) * np.maximum(output - 1, 0)
    emitted = np.minimum(steps + (until >= first), output)
    return (
        float((share(scheduled, first) * prompt).sum()),
        float(emitted.sum()),
        float((steps * prompt + steps * (steps + 1) / 2).sum()),
    )


def _fit_row(
    window: Window, measured: WindowEnergy, ended: pl.DataFrame, telemetry: pl.DataFrame
) -> dict[str, Any]:
    """The fitted energy model of a measured window, or why there is none."""
    if window.kind != "measured":
        return {"fit_unknown_reason": "fitted over the measured window"}
    if measured.energy_j is None:
        return {"fit_unknown_reason": measured.unknown_reason}
    work = ended.filter(~pl.col("is_warmup") & pl.col("prompt_tokens").is_not_null())
    try:
        model = fit_window(work, telemetry, measured)
    except IsocostError as error:
        return {"fit_unknown_reason": error.what}
    return {
        "fitted_j_per_prompt_token": model.joules_per_prompt_token,
        "fitted_j_per_output_token": model.joules_per_output_token,
        "fitted_j_per_position": model.joules_per_attended_position,
        "fitted_static_w": model.watts_static,
        "fit_slices": model.n_windows,
        "fit_error_ratio": model.median_relative_error,
    }
