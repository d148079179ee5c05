"""The energy of a window, or the reasons why it is unknown.

Lives here: `measure_window`, the validity codes and the idle baseline. It fails closed: a window
with any code has no energy, so that a doubtful joule never reaches a table. Not here: attribution
to samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from isocost.telemetry import thresholds as limits
from isocost.telemetry.integrate import counter_energy, integrate_power
from isocost.telemetry.source import declared, slowdowns_of

NO_SOURCE = "no_power_source"
MISSING = "missing_samples"
GAP = "sample_gap"
SHORT = "window_too_short"
THROTTLED = "throttled"
FOREIGN = "foreign_load"
CLOCK = "clock_jump"
RESET = "counter_reset"
MISMATCH = "counter_mismatch"
ZERO = "zero_energy"
CODES: dict[str, str] = {
    NO_SOURCE: "no power was sampled",
    MISSING: "power samples do not cover the window, or too many lack a reading",
    GAP: f"more than {limits.MAX_GAP_S:g} s between two power samples",
    SHORT: (
        f"shorter than {limits.MIN_WINDOW_COUNTER_S:g} s with a counter or"
        f" {limits.MIN_WINDOW_POWER_S:g} s without"
    ),
    THROTTLED: "the device was slowed down for heat or by hardware",
    FOREIGN: "another process computed on the device",
    CLOCK: "sample times do not increase",
    RESET: "the energy counter decreased",
    MISMATCH: (
        f"counter and integrated power differ by more than {limits.COUNTER_TOLERANCE_RATIO:.0%}"
    ),
    ZERO: "a device that is on takes more than no energy",
}
"""Validity codes and their descriptions."""

Measure = Literal["counter", "integral"]


@dataclass(frozen=True, slots=True)
class WindowEnergy:
    """The energy of a window's power samples, summed over devices.

    Attributes:
        start_s: start of the window.
        end_s: end of the window.
        source: name of the power source, or of the tool that the samples came from;
            ``none`` without samples.
        measure: ``counter`` or ``integral``; None while energy is unknown.
        energy_j: gross energy; None whenever ``invalid_reasons`` is not empty.
        energy_net_j: gross less idle power times duration; None without an idle baseline.
        idle_power_w: the given idle baseline.
        counter_j: energy by the counter, even if it is not used; None if there is none.
        integral_j: energy by integrated power, likewise.
        n_samples: samples inside the window, all devices.
        max_gap_s: longest time between two samples that touches the window; None without samples.
        invalid_reasons: validity codes, sorted; empty = valid.
    """

    start_s: float
    end_s: float
    source: str
    measure: Measure | None
    energy_j: float | None
    energy_net_j: float | None
    idle_power_w: float | None
    counter_j: float | None
    integral_j: float | None
    n_samples: int
    max_gap_s: float | None
    invalid_reasons: tuple[str, ...]

    @property
    def is_valid(self) -> bool:
        """Whether the energy may be used."""
        return not self.invalid_reasons

    @property
    def power_mean_w(self) -> float | None:
        """Gross energy over duration."""
        return None if self.energy_j is None else self.energy_j / (self.end_s - self.start_s)

    @property
    def unknown_reason(self) -> str | None:
        """Why energy is unknown, as a sentence; None when it is known."""
        return "; ".join(CODES[code] for code in self.invalid_reasons) or None


@dataclass(slots=True)
class _Device:
    codes: set[str]
    counter_j: float | None = None
    integral_j: float | None = None
    n_samples: int = 0
    max_gap_s: float | None = None

    @property
    def best_j(self) -> float | None:
        """By counter where there is one, else by integrated power."""
        return self.counter_j if self.counter_j is not None else self.integral_j


def measure_window(
    telemetry: pl.DataFrame,
    start_s: float,
    end_s: float,
    *,
    idle_power_w: float | None = None,
    expected_processes: int = 1,
    hold: bool = False,
) -> WindowEnergy:
    """Energy of one window of one run from rows of raw_telemetry.

    The counter is preferred and checked against integrated power if a device has both; one
    invalid device makes the window invalid, because a sum over some devices would be too small.

    Args:
        telemetry: rows of raw_telemetry of one run; no rows = no power source.
        start_s: start of the window on the monotonic clock.
        end_s: end of the window.
        idle_power_w: idle power of the same devices together, see `idle_power`; None = net energy
            stays unknown.
        expected_processes: processes of the engine on each device; more make the window invalid.
        hold: whether power samples are changes that hold until the next one (a de-duplicated
            trace).

    Returns:
        The energy with its method, or the codes that invalidate it.
    """
    if telemetry.is_empty():
        return WindowEnergy(
            start_s,
            end_s,
            "none",
            None,
            None,
            None,
            idle_power_w,
            None,
            None,
            0,
            None,
            (NO_SOURCE,),
        )
    devices = [
        _device(rows, start_s, end_s, expected_processes, hold)
        for rows in telemetry.partition_by("device_id", maintain_order=True)
    ]
    codes = set().union(*(d.codes for d in devices))
    counter, integral = (
        _total([d.counter_j for d in devices]),
        _total([d.integral_j for d in devices]),
    )
    gaps = [d.max_gap_s for d in devices if d.max_gap_s is not None]
    best: Measure | None = "counter" if counter is not None else "integral"
    energy = counter if counter is not None else integral
    if energy is None and not codes:
        codes.add(
            MISSING
            # Some devices count and others only have power: their joules are not alike and are not
            # added.
        )
    shortest = limits.MIN_WINDOW_COUNTER_S if counter is not None else limits.MIN_WINDOW_POWER_S
    if end_s - start_s < shortest:
        codes.add(SHORT)
    if any(device.best_j is not None and device.best_j <= 0 for device in devices):
        codes.add(ZERO)
    if codes:
        best, energy = None, None
    net = (
        None
        if energy is None or idle_power_w is None
        else energy - idle_power_w * (end_s - start_s)
    )
    return WindowEnergy(
        start_s=start_s,
        end_s=end_s,
        source=str(telemetry["source"][0]),
        measure=best,
        energy_j=energy,
        energy_net_j=net,
        idle_power_w=idle_power_w,
        counter_j=counter,
        integral_j=integral,
        n_samples=sum(d.n_samples for d in devices),
        max_gap_s=max(gaps) if gaps else None,
        invalid_reasons=tuple(sorted(codes)),
    )


def idle_power(telemetry: pl.DataFrame, start_s: float, end_s: float) -> float | None:
    """Idle baseline: each device's median power over a stretch without requests, summed.

    The model is loaded.

    Args:
        telemetry: rows of raw_telemetry of the same run.
        start_s: start of the idle stretch.
        end_s: its end.

    Returns:
        Watts; None if the stretch is shorter than ``MIN_IDLE_S``, a device has no power reading in
        it, or something computed.
    """
    inside = telemetry.filter(pl.col("monotonic_s").is_between(start_s, end_s))
    if end_s - start_s < limits.MIN_IDLE_S or inside.is_empty():
        return None
    if (inside["utilization_ratio"] > 0.01).any():
        return None
    power = inside.group_by("device_id", maintain_order=True).agg(
        pl.coalesce(pl.col("power_w").median(), pl.col("power_average_w").median()).alias("power")
    )["power"]
    return None if power.null_count() else float(power.sum())


def _total(values: list[float | None]) -> float | None:
    return (
        None if any(v is None for v in values) else float(sum(v for v in values if v is not None))
    )


def _device(
    rows: pl.DataFrame, start_s: float, end_s: float, expected_processes: int, hold: bool
) -> _Device:
    times = rows["monotonic_s"].to_numpy()
    if np.any(np.diff(times) <= 0):
        return _Device({CLOCK}, n_samples=rows.height)
    inside = rows.filter(pl.col("monotonic_s").is_between(start_s, end_s))
    found = _Device(_behaviour(inside, expected_processes), n_samples=inside.height)
    if times[0] > start_s or (times[-1] < end_s and not hold) or inside.is_empty():
        found.codes.add(MISSING)
        return found
    found.max_gap_s = _longest_gap(times, start_s, end_s)
    if found.max_gap_s > limits.MAX_GAP_S and not hold:
        found.codes.add(GAP)
    found.counter_j = _by_counter(rows, start_s, end_s, found.codes)
    found.integral_j = _by_power(rows, inside, start_s, end_s, hold)
    if found.counter_j is None and found.integral_j is None and RESET not in found.codes:
        found.codes.add(MISSING)
    if found.counter_j is not None and found.integral_j is not None:
        # The larger of the two as reference: a dead counter (0 J) next to real power is a mismatch
        # too.
        reference = max(found.counter_j, found.integral_j)
        if (
            reference > 0
            and abs(found.counter_j - found.integral_j) > limits.COUNTER_TOLERANCE_RATIO * reference
        ):
            found.codes.add(MISMATCH)
    return found


def _behaviour(inside: pl.DataFrame, expected_processes: int) -> set[str]:
    codes: set[str] = set()
    reasons = inside["throttle_reasons"].drop_nulls()
    if len(reasons):
        slowdowns = sorted(slowdowns_of(inside["source"][0]))
        slowed = reasons.list.eval(pl.element().is_in(slowdowns)).list.any()
        if slowed.sum() / len(slowed) > limits.MAX_THROTTLED_RATIO:
            codes.add(THROTTLED)
    processes = inside["compute_processes"].drop_nulls()
    if (processes > expected_processes).any():
        codes.add(FOREIGN)
    return codes


def _longest_gap(times: np.ndarray, start_s: float, end_s: float) -> float:
    left, right = times[:-1], times[1:]
    touching = (right > start_s) & (left < end_s)
    return float((right - left)[touching].max()) if touching.any() else 0.0


def _by_counter(rows: pl.DataFrame, start_s: float, end_s: float, codes: set[str]) -> float | None:
    known = rows.filter(pl.col("energy_counter_j").is_not_null())
    if not _enough(rows, known, "energy_counter_j", start_s, end_s):
        return None
    counter = known["energy_counter_j"].to_numpy()
    if np.any(np.diff(counter) < 0):
        codes.add(RESET)
        return None
    return counter_energy(known["monotonic_s"].to_numpy(), counter, start_s, end_s)


def _by_power(
    rows: pl.DataFrame, inside: pl.DataFrame, start_s: float, end_s: float, hold: bool
) -> float | None:
    """Integral of instantaneous power, else of the averaged one.

    An average that stems from the counter checks nothing.
    """
    column = "power_w" if inside["power_w"].is_not_null().any() else "power_average_w"
    source = declared(rows["source"][0])
    if column == "power_average_w" and source is not None and source.average_is_of_counter:
        return None
    known = rows.filter(pl.col(column).is_not_null())
    if not _enough(rows, known, column, start_s, end_s, hold=hold):
        return None
    return integrate_power(
        known["monotonic_s"].to_numpy(), known[column].to_numpy(), start_s, end_s, hold
    )


def _enough(
    rows: pl.DataFrame,
    known: pl.DataFrame,
    column: str,
    start_s: float,
    end_s: float,
    hold: bool = False,
) -> bool:
    inside = rows.filter(pl.col("monotonic_s").is_between(start_s, end_s))
    if known.height < 2 and not (hold and known.height):
        return False
    if inside[column].null_count() > limits.MAX_MISSING_RATIO * inside.height:
        return False
    first, last = known["monotonic_s"][0], known["monotonic_s"][-1]
    return first <= start_s and (last >= end_s or hold)
