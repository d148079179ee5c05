"""Unit conversions, one function a unit, so that no factor is typed twice.

Lives here: what other tools report (kWh, Wh, mJ, µJ; ms, µs, ns; mW, µW) into joules, seconds and
watts. Everything inside the project is in SI units; a converter is called where data enters. Works
on floats and on NumPy arrays alike.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Number = TypeVar("Number", float, NDArray[np.float64])

JOULES_PER_WH = 3600.0
JOULES_PER_KWH = 3_600_000.0
SECONDS_PER_HOUR = 3600.0
TOKENS_PER_PRICE_UNIT = 1_000_000.0


def joules_from_kwh(value: Number) -> Number:
    """Kilowatt-hours to joules."""
    return value * JOULES_PER_KWH


def joules_from_wh(value: Number) -> Number:
    """Watt-hours to joules."""
    return value * JOULES_PER_WH


def joules_from_mj(value: Number) -> Number:
    """Millijoules to joules."""
    return value / 1e3


def joules_from_uj(value: Number) -> Number:
    """Microjoules to joules."""
    return value / 1e6


def watts_from_mw(value: Number) -> Number:
    """Milliwatts to watts."""
    return value / 1e3


def watts_from_uw(value: Number) -> Number:
    """Microwatts to watts."""
    return value / 1e6


def seconds_from_ms(value: Number) -> Number:
    """Milliseconds to seconds."""
    return value / 1e3


def seconds_from_us(value: Number) -> Number:
    """Microseconds to seconds."""
    return value / 1e6


def seconds_from_ns(value: Number) -> Number:
    """Nanoseconds to seconds."""
    return value / 1e9
