"""Validate the values of a device or its driver, for all sources, before they become rows.

Lives here: the range of every reading, `judged` (one reading in the table's form), `possible` (the
same for rows that were banked before) and `described` (a source's description as plain JSON). Not
here: whether a window of samples is valid (`measure`).

One value that a part cannot store, such as a name with half of a surrogate pair, would cost every
row that is sealed with it. So an impossible value is NULL and counted with its reason; a reading
without a usable name is left out and counted.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from isocost.telemetry.source import DeviceReading, PowerSource

RANGES: dict[str, tuple[float, float]] = {
    "power_w": (0.0, 1e6),  # a megawatt is a hall of racks
    "power_average_w": (0.0, 1e6),
    "energy_counter_j": (0.0, 1e16),  # a megawatt for three hundred years
    "temperature_c": (-100.0, 300.0),
    "sm_clock_mhz": (0.0, 1e5),
    "memory_used_bytes": (0, 2**50),
    "utilization_ratio": (0.0, 1.0),
    "compute_processes": (0, 10**6),
}
"""Lowest and highest value that a reading can have.

Generous: a bound that is too narrow would discard measurements.
"""
_WHOLE = ("memory_used_bytes", "compute_processes")
_LONGEST_NAME = 500
_MOST_SHOWN = 200


def judged(reading: Any) -> tuple[DeviceReading | None, list[str]]:
    """A reading with valid values.

    Args:
        reading: from a source.

    Returns:
        The reading with NULL for every impossible value, or None if it is not a reading of a named
        device; and the faults, one text for each value.
    """
    if not isinstance(reading, DeviceReading):
        return None, [f"a reading is {type(reading).__name__}, not DeviceReading"]
    fault = _name_fault(reading.device_id)
    if fault:
        return None, [f"device_id {fault}"]
    found: dict[str, Any] = {}
    faults = []
    for name, (low, high) in RANGES.items():
        value = getattr(reading, name)
        if value is None:
            continue
        found[name], fault = _number(value, low, high, is_whole=name in _WHOLE)
        if fault:
            faults.append(f"{name} {fault}")
    if reading.throttle_reasons is not None:
        found["throttle_reasons"], fault = _reasons(reading.throttle_reasons)
        faults += [f"throttle_reasons {fault}"] if fault else []
    return replace(reading, **found), faults


def _name_fault(value: Any) -> str | None:
    if not isinstance(value, str) or not value:
        return f"is {type(value).__name__}, not text" if not isinstance(value, str) else "is empty"
    if len(value) > _LONGEST_NAME:
        return f"has {len(value)} characters"
    try:
        value.encode()
    except UnicodeEncodeError as error:
        return f"contains half of a surrogate pair at character {error.start + 1}"
    return None


def _number(
    value: Any, low: float, high: float, *, is_whole: bool
) -> tuple[float | int | None, str | None]:
    if isinstance(value, bool | np.bool_) or not isinstance(
        value, int | float | np.integer | np.floating
    ):
        return None, f"is {type(value).__name__}, not a number"
    if not low <= value <= high:  # also where it is not a number at all
        shown = (
            f"{value:.6g}"
            if isinstance(value, float | np.floating) or abs(int(value)) < 10**300
            else "a number of 300 digits"
        )
        return None, f"is {shown}, which is not between {low:g} and {high:g}"
    if is_whole and value != int(value):
        return None, f"is {value:g}, not a whole number"
    return (int(value) if is_whole else float(value)), None


def _reasons(value: Any) -> tuple[tuple[str, ...] | None, str | None]:
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        return None, f"is {type(value).__name__}, not a list of texts"
    found = tuple(value)
    fault = next((each for each in map(_name_fault, found) if each), None)
    return (None, f"holds a text that {fault}") if fault else (found, None)


def possible(telemetry: pl.DataFrame) -> pl.DataFrame:
    """Rows of raw_telemetry with NULL for every number that cannot be true.

    A bank may be older than this judgement.
    """
    columns = [name for name in RANGES if name in telemetry.columns]
    return telemetry.with_columns(
        pl.when(pl.col(name).is_between(*RANGES[name])).then(pl.col(name)).alias(name)
        for name in columns
    )


def described(source: PowerSource) -> dict[str, Any]:
    """A source's description of itself, for a manifest.

    Plain JSON, whatever a driver calls its boards.
    """
    try:
        stated = source.describe()
        return {str(_plain(key)): _plain(value) for key, value in stated.items()}
    except Exception as error:
        return {
            "source": source.name,
            "error": _plain(
                f"it cannot describe itself ({type(error).__name__}: {error})"[:_MOST_SHOWN]
            ),
        }


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(_plain(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, bool | int | float):
        return value
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return _plain(repr(value)[:_MOST_SHOWN])
    return value
