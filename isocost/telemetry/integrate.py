"""Energy from power samples and from counters.

Lives here: integration with interpolated edges, counter differences, the error bound of a
duty-cycled sensor. Not here: whether a window may be used at all (`measure`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from isocost.errors import IsocostError


def _series(
    times_s: ArrayLike, values: ArrayLike, what: str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    times, series = np.asarray(times_s, dtype=np.float64), np.asarray(values, dtype=np.float64)
    if times.ndim != 1 or times.shape != series.shape or times.size == 0:
        raise IsocostError(
            f"times {times.shape} and {what} {series.shape} must be two equally long, non-empty"
            " lists",
            where=f"argument {what}",
        )
    if not (np.isfinite(times).all() and np.isfinite(series).all()):
        raise IsocostError(
            "a value is not finite",
            where=f"arguments times_s and {what}",
            remedy="Leave unknown samples out",
        )
    if np.any(np.diff(times) <= 0):
        index = int(np.flatnonzero(np.diff(times) <= 0)[0]) + 1
        raise IsocostError(
            f"time {times[index]:g} does not come after {times[index - 1]:g}",
            where=f"argument times_s, position {index}",
            remedy="Use a monotonic clock, sorted and without repeats",
        )
    return times, series


def _covered(times: NDArray[np.float64], start_s: float, end_s: float, hold: bool) -> None:
    if not start_s <= end_s:
        raise IsocostError(
            f"the window ends at {end_s:g}, before it starts at {start_s:g}",
            where="arguments start_s and end_s",
        )
    if start_s < times[0] or (end_s > times[-1] and not hold):
        raise IsocostError(
            f"samples from {times[0]:g} to {times[-1]:g} s do not cover the window {start_s:g} to"
            f" {end_s:g} s",
            where="argument times_s",
            remedy=(
                "Start sampling before the window and stop after it; energy outside the samples is"
                " unknown"
            ),
        )


def cumulative_energy(
    times_s: ArrayLike, watts: ArrayLike, at_s: ArrayLike, *, hold: bool = False
) -> NDArray[np.float64]:
    """Energy from the first sample up to each moment.

    Args:
        times_s: sample times in s, strictly increasing, shape (n,).
        watts: power at those times, shape (n,).
        at_s: moments inside the samples (past the last one too with ``hold``), shape (...).
        hold: False: power runs straight between samples (dense sampling); True: it keeps its value
            until the next sample (de-duplicated samples, of which only changes were stored).

    Returns:
        Joules, shape (...).

    Raises:
        IsocostError: see `integrate_power`.
    """
    times, power = _series(times_s, watts, "watts")
    if np.any(power < 0):
        index = int(np.argmax(power < 0))
        where, remedy = (
            f"argument watts, position {index}",
            "No device consumes less than nothing: leave unknown samples out",
        )
        raise IsocostError(f"the power {power[index]:g} W is negative", where=where, remedy=remedy)
    moments = np.asarray(at_s, dtype=np.float64)
    if moments.size == 0:
        return np.zeros(moments.shape)
    _covered(times, float(moments.min()), float(moments.max()), hold)
    steps = np.diff(times)
    areas = power[:-1] * steps if hold else (power[:-1] + power[1:]) / 2 * steps
    total = np.concatenate(([0.0], np.cumsum(areas)))
    index = np.clip(np.searchsorted(times, moments, side="right") - 1, 0, times.size - 1)
    elapsed = moments - times[index]
    at_moment = power[index] if hold else np.interp(moments, times, power)
    return total[index] + (power[index] + at_moment) / 2 * elapsed


def integrate_power(
    times_s: ArrayLike, watts: ArrayLike, start_s: float, end_s: float, hold: bool = False
) -> float:
    """Energy of a window from power samples.

    Trapezoid with interpolation at both edges for dense samples; step-hold for de-duplicated ones,
    which a trapezoid would misread. Exact for constant and (trapezoid) for linearly changing power;
    a step between two samples costs at most half a sampling period times its height.

    Args:
        times_s: sample times in s, strictly increasing, shape (n,).
        watts: power at those times in W, shape (n,).
        start_s: start of the window in s.
        end_s: end of the window in s.
        hold: whether samples are changes that hold until the next one.

    Returns:
        Joules.

    Raises:
        IsocostError: samples that do not cover the window (energy there is unknown, not zero),
            times that do not increase, values that are not finite, negative power, arrays of
            unequal length.
    """
    edges = (
        cumulative_energy(times_s, watts, np.array([start_s, end_s]), hold=hold)
        if start_s <= end_s
        else None
    )
    if edges is None:
        raise IsocostError(
            f"the window ends at {end_s:g}, before it starts at {start_s:g}",
            where="arguments start_s and end_s",
        )
    return float(edges[1] - edges[0])


def counter_energy(times_s: ArrayLike, joules: ArrayLike, start_s: float, end_s: float) -> float:
    """Energy of a window from a counter without wraps, interpolated at both edges.

    Args:
        times_s: sample times in s, strictly increasing, shape (n,).
        joules: counter at those times in J, never decreasing, shape (n,).
        start_s: start of the window in s.
        end_s: end of the window in s.

    Returns:
        Joules.

    Raises:
        IsocostError: as `integrate_power`, or a counter that decreases (the driver was reloaded).
    """
    times, counter = _series(times_s, joules, "joules")
    _covered(times, start_s, end_s, hold=False)
    if np.any(np.diff(counter) < 0):
        index = int(np.flatnonzero(np.diff(counter) < 0)[0]) + 1
        raise IsocostError(
            "the counter decreases",
            where=f"argument joules, position {index}",
            remedy="The driver was reloaded: measure again",
        )
    low, high = np.interp([start_s, end_s], times, counter)
    return float(high - low)


def duty_cycle_error_w(sensed_ratio: float, power_low_w: float, power_high_w: float) -> float:
    """Largest error of the mean power of a sensor that observes only a share of each period.

    Power between ``power_low_w`` and ``power_high_w`` that happens to follow the sensor's own
    period is misread by at most (1 - sensed_ratio) x (high - low). A100 and H100 boards observe 25
    ms of each 100 ms (Yang, Adamek, Armour, SC24).

    Returns:
        Watts.
    """
    if not 0 <= sensed_ratio <= 1 or power_high_w < power_low_w:
        raise IsocostError(
            "Use sensed_ratio in [0, 1] and power_low_w of at most power_high_w",
            where="duty_cycle_error_w",
        )
    return (1 - sensed_ratio) * (power_high_w - power_low_w)
