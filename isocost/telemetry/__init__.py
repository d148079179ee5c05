"""Power and energy: where they are read, how they are sampled, what a window of samples is worth.

Lives here: power sources (NVML, RAPL, a recorded trace, none), the sampling thread, integration,
measured windows and their validity. Not here: attribution of energy to samples (`isocost.costs`)
and storage (`isocost.bank`).
"""

# The order of the imports is the order in which ``auto`` tries: the accelerator first, then the
# processor.
from isocost.telemetry import none as _none
from isocost.telemetry import nvml as _nvml
from isocost.telemetry import rapl as _rapl
from isocost.telemetry.integrate import (
    counter_energy,
    cumulative_energy,
    duty_cycle_error_w,
    integrate_power,
)
from isocost.telemetry.judgement import described, possible
from isocost.telemetry.measure import CODES, WindowEnergy, idle_power, measure_window
from isocost.telemetry.none import NoSource
from isocost.telemetry.sampler import PowerSampler
from isocost.telemetry.sources import DeviceReading, PowerSource, Unavailable, open_source
from isocost.telemetry.trace import TraceSource
from isocost.telemetry.windows import Window, measured_window, steady_state_window, tokens_in_window

__all__ = [
    "CODES",
    "DeviceReading",
    "NoSource",
    "PowerSampler",
    "PowerSource",
    "TraceSource",
    "Unavailable",
    "Window",
    "WindowEnergy",
    "counter_energy",
    "cumulative_energy",
    "described",
    "duty_cycle_error_w",
    "idle_power",
    "integrate_power",
    "measure_window",
    "measured_window",
    "open_source",
    "possible",
    "steady_state_window",
    "tokens_in_window",
]

del _none, _nvml, _rapl
