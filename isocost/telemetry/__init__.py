"""Power and energy: sources, sampling, and the energy of a window of samples.

Lives here: power sources (one file each in ``sources``), the sampling thread, integration,
measured windows and their validity. Not here: attribution of energy to samples (`isocost.costs`)
and storage (`isocost.bank`).
"""

from isocost.telemetry.boards import Board, installed_boards
from isocost.telemetry.integrate import (
    counter_energy,
    cumulative_energy,
    duty_cycle_error_w,
    integrate_power,
)
from isocost.telemetry.judgement import described, possible
from isocost.telemetry.measure import CODES, WindowEnergy, idle_power, measure_window
from isocost.telemetry.sampler import PowerSampler
from isocost.telemetry.source import (
    DeviceReading,
    PowerSource,
    Unavailable,
    open_source,
    power_sources,
    register,
)
from isocost.telemetry.sources.none import NoSource
from isocost.telemetry.windows import Window, measured_window, steady_state_window, tokens_in_window

__all__ = [
    "CODES",
    "Board",
    "DeviceReading",
    "NoSource",
    "PowerSampler",
    "PowerSource",
    "Unavailable",
    "Window",
    "WindowEnergy",
    "counter_energy",
    "cumulative_energy",
    "described",
    "duty_cycle_error_w",
    "idle_power",
    "installed_boards",
    "integrate_power",
    "measure_window",
    "measured_window",
    "open_source",
    "possible",
    "power_sources",
    "register",
    "steady_state_window",
    "tokens_in_window",
]
