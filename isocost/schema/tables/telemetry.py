"""The table of device samples.

Lives here: raw_telemetry. Not here: engine steps and calls, which the bank defines.
"""

from __future__ import annotations

from isocost.schema.model import Column, Table

TABLES = (
    Table(
        name="raw_telemetry",
        grain="device sample",
        keys=("session_id", "run_id", "device_id", "monotonic_s"),
        columns=(
            Column(
                "session_id",
                "string",
                "Session that ran while the sampler was active.",
                nullable=False,
            ),
            Column("run_id", "string", "Execution of that session.", nullable=False),
            Column(
                "device_id",
                "string",
                "Device, by the name that its power source gives it: a board's UUID, a RAPL zone.",
                nullable=False,
            ),
            Column(
                "monotonic_s",
                "float64",
                "Monotonic clock of the host, halfway between start and end of the read.",
                "s",
                nullable=False,
            ),
            Column(
                "power_w",
                "float64",
                "Instantaneous power as the sensor reports it; NULL if the device has no such"
                " reading.",
                "W",
            ),
            Column(
                "power_average_w",
                "float64",
                "Averaged power as the source defines it: NVML's own average (1 s on recent"
                " boards); for RAPL the counter's increase since the previous sample over the time"
                " between.",
                "W",
            ),
            Column(
                "energy_counter_j",
                "float64",
                "Energy counter, wraps removed; only differences mean something.",
                "J",
            ),
            Column(
                "temperature_c",
                "float64",
                "Device temperature; NULL on samples that skip the slow readings.",
                "degree Celsius",
            ),
            Column(
                "sm_clock_mhz",
                "float64",
                "Streaming-multiprocessor clock; NULL on samples that skip the slow readings.",
                "MHz",
            ),
            Column(
                "memory_used_bytes",
                "int64",
                "Device memory in use; NULL on samples that skip the slow readings.",
                "bytes",
            ),
            Column(
                "throttle_reasons",
                "list[string]",
                "Reasons the driver gives for lowered clocks, in the words of its power source;"
                " empty = none, NULL = not read on this sample.",
            ),
            Column(
                "utilization_ratio",
                "float64",
                "Share of the driver's last interval in which a kernel ran, 0 to 1.",
                "ratio",
            ),
            Column(
                "compute_processes",
                "int32",
                "Processes with a compute context on the device; NULL = not read.",
                "processes",
            ),
            Column(
                "source",
                "string",
                "Power source that took the sample, by the name it is registered under"
                " (docs/guides/energy.md).",
                nullable=False,
            ),
        ),
        warnings=(
            (
                "Board sensors of A100 and H100 see about a quarter of the time; use windows of"
                " many seconds."
            ),
            (
                "A machine without a power source has no rows here, and NULL energy with a reason"
                " everywhere else."
            ),
        ),
    ),
)
