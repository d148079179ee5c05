import time

import polars as pl
import pytest

from isocost.errors import IsocostError
from isocost.schema.frames import conform
from isocost.schema.registry import table
from isocost.schema.types import polars_schema
from isocost.telemetry import DeviceReading, PowerSampler, open_source


class Steady:
    """100 W with a counter to match; fails on the reads listed."""

    name, unknown_reason = "nvml", None

    def __init__(self, fail=()):
        self.calls, self.fail, self.slow = 0, set(fail), []

    def read(self, slow=True):
        self.calls += 1
        self.slow.append(slow)
        if self.calls in self.fail:
            raise RuntimeError("sensor busy")
        return [
            DeviceReading(
                "d", power_w=100.0, energy_counter_j=100 * time.monotonic(), throttle_reasons=()
            )
        ]

    def describe(self):
        return {}

    def close(self):
        pass


def wait_for(source: Steady, calls: int) -> None:
    """Waits for so many readings: how many a sleep brings depends on what else the machine does."""
    give_up = time.monotonic() + 20
    while source.calls < calls and time.monotonic() < give_up:
        time.sleep(0.002)


def test_rows_fit_raw_telemetry_and_times_are_monotonic():
    before, source = time.monotonic(), Steady()
    with PowerSampler(source, 0.01, session_id="s", run_id="r") as sampler:
        wait_for(source, 8)
    rows = sampler.drain()
    after = time.monotonic()
    frame = conform(
        pl.DataFrame(rows, schema=polars_schema(table("raw_telemetry"))), "raw_telemetry"
    )
    times = frame["monotonic_s"].to_list()
    assert (
        8 <= frame.height <= (after - before) / 0.01 + 2
        and times == sorted(times)
        and before <= times[0] <= times[-1] <= after
    )
    assert sampler.drain() == []


def test_stop_takes_a_last_full_reading():
    source = Steady()
    sampler = PowerSampler(source, 60.0).start()
    time.sleep(0.02)
    sampler.stop()
    sampler.stop()
    rows = sampler.drain()
    assert len(rows) == 2 and source.slow == [True, True]
    assert rows[1]["monotonic_s"] - rows[0]["monotonic_s"] >= 0.02


def test_slow_readings_are_thinned_and_overhead_is_counted():
    source = Steady()
    with PowerSampler(source, 0.005, slow_every=5) as sampler:
        wait_for(source, 11)
    assert source.slow[:11] == [
        True,
        False,
        False,
        False,
        False,
        True,
        False,
        False,
        False,
        False,
        True,
    ]
    summary = sampler.summary()
    assert summary["reads"] == source.calls and 0 < summary["read_cpu_s"] < summary["elapsed_s"]
    assert summary["overhead_ratio"] == pytest.approx(summary["read_cpu_s"] / summary["elapsed_s"])


def test_a_failing_read_is_counted_not_fatal():
    source = Steady(fail={2, 3})
    with PowerSampler(source, 0.005) as sampler:
        wait_for(source, 6)
    summary = sampler.summary()
    assert (
        summary["read_errors"] == 2
        and summary["last_error"] == "RuntimeError: sensor busy"
        and len(sampler.drain()) >= 3
    )


def test_a_dead_driver_ends_the_thread():
    source = Steady(fail=range(1000))
    with PowerSampler(source, 0.001) as sampler:
        wait_for(source, 20)
        time.sleep(0.02)  # for a twenty-first, which must not come
    assert sampler.summary()["read_errors"] == source.calls == 20 and sampler.drain() == []


def test_no_source_no_thread_no_rows():
    with PowerSampler(open_source("none"), 0.1) as sampler:
        assert sampler._thread is None
    assert (
        sampler.drain() == [] and sampler.summary()["unknown_reason"] == "telemetry is switched off"
    )


def test_misuse():
    with pytest.raises(IsocostError, match="positive"):
        PowerSampler(Steady(), 0.0)
    sampler = PowerSampler(open_source("none")).start()
    with pytest.raises(IsocostError, match="started already"):
        sampler.start()
    PowerSampler(Steady()).stop()  # never started: nothing to do
