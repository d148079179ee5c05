"""Unit conversions, one function a unit, so that no factor is typed twice.

Lives here: what power sources report (mJ, µJ, mW, µW) into joules and watts. Everything inside the
project is in SI units; a converter is called where data enters. Works on floats and on NumPy arrays
alike. Not here: the units that other tools' files name (``isocost.importers.units``).
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Number = TypeVar("Number", float, NDArray[np.float64])

SECONDS_PER_HOUR = 3600.0
TOKENS_PER_PRICE_UNIT = 1_000_000.0


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
