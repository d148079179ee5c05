import numpy as np
import polars as pl
import pytest

from isocost.schema.registry import table
from isocost.schema.types import polars_schema
from isocost.telemetry import CODES, idle_power, measure_window

SCHEMA = polars_schema(table("raw_telemetry"))


def samples(times, watts=None, counter=None, device="GPU-a", source="nvml", **columns):
    n = len(times)
    frame = {
        "session_id": ["s"] * n,
        "run_id": ["r"] * n,
        "device_id": [device] * n,
        "monotonic_s": times,
        "source": [source] * n,
    }
    frame |= {"power_w": watts, "energy_counter_j": counter} | columns
    return pl.DataFrame(
        {
            name: pl.Series(
                name, list(frame[name]) if frame.get(name) is not None else [None] * n, dtype=kind
            )
            for name, kind in SCHEMA.items()
        }
    )


TIMES = np.arange(0, 30.01, 0.1)
FLAT = np.full(TIMES.size, 300.0)
COUNTER = 5000 + 300 * TIMES


def test_counter_is_preferred_and_checked():
    window = measure_window(samples(TIMES, FLAT, 5000 + 306 * TIMES), 2.0, 22.0, idle_power_w=70.0)
    assert window.is_valid and window.measure == "counter" and window.source == "nvml"
    assert window.energy_j == pytest.approx(306 * 20) and window.integral_j == pytest.approx(6000)
    assert window.energy_net_j == pytest.approx(
        (306 - 70) * 20
    ) and window.power_mean_w == pytest.approx(306)
    assert (
        window.max_gap_s == pytest.approx(0.1)
        and window.n_samples == 201
        and window.unknown_reason is None
    )


@pytest.mark.parametrize(
    "dead",
    [samples(TIMES, FLAT * 0), samples(TIMES, None, 5000 + 0 * TIMES)],
    ids=["power", "counter"],
)
def test_no_joule_over_ten_seconds_is_no_measurement(dead):
    window = measure_window(dead, 2.0, 12.0)
    assert window.energy_j is None and window.invalid_reasons == ("zero_energy",)
    beside = pl.concat([dead, samples(TIMES, FLAT, device="GPU-b")])
    assert "zero_energy" in measure_window(beside, 2.0, 12.0).invalid_reasons


def test_net_energy_worked_vector():
    window = measure_window(samples(TIMES, None, 500 * TIMES), 0.0, 10.0, idle_power_w=70.0)
    assert (window.energy_j, window.energy_net_j) == (pytest.approx(5000), pytest.approx(4300))
    assert measure_window(samples(TIMES, None, 500 * TIMES), 0.0, 10.0).energy_net_j is None


def test_integral_when_there_is_no_counter():
    window = measure_window(samples(TIMES, FLAT), 2.0, 12.0)
    assert (
        window.measure == "integral"
        and window.energy_j == pytest.approx(3000)
        and window.counter_j is None
    )
    average = measure_window(samples(TIMES, None, power_average_w=FLAT), 2.0, 12.0)
    assert average.measure == "integral" and average.energy_j == pytest.approx(3000)


def test_rapl_average_is_no_independent_check():
    window = measure_window(
        samples(TIMES, None, COUNTER, source="rapl", power_average_w=FLAT * 2), 2.0, 12.0
    )
    assert window.is_valid and window.energy_j == pytest.approx(3000) and window.integral_j is None


def test_devices_are_summed_and_one_bad_device_spoils_the_window():
    two = pl.concat(
        [samples(TIMES, FLAT, COUNTER), samples(TIMES, FLAT / 3, 100 * TIMES, device="GPU-b")]
    )
    assert measure_window(two, 1, 11).energy_j == pytest.approx(4000)
    lame = pl.concat(
        [
            samples(TIMES, FLAT, COUNTER),
            samples(TIMES[:40], FLAT[:40], COUNTER[:40], device="GPU-b"),
        ]
    )
    window = measure_window(lame, 1, 11)
    assert window.energy_j is None and window.invalid_reasons == ("missing_samples",)
    unlike = pl.concat([samples(TIMES, None, COUNTER), samples(TIMES, FLAT, device="GPU-b")])
    assert measure_window(unlike, 1, 11).energy_j is None  # counter and integral are not added


def without(times, low, high):
    return (times < low) | (times > high)


KEEP = without(TIMES, 5.05, 8.25)
INVALID = {
    "no_power_source": (samples([]), 2.0, 12.0),
    "missing_samples": (samples(TIMES, FLAT, COUNTER), 2.0, 40.0),
    "sample_gap": (samples(TIMES[KEEP], FLAT[KEEP], COUNTER[KEEP]), 2.0, 12.0),
    "window_too_short": (samples(TIMES, FLAT, COUNTER), 2.0, 2.9),
    "throttled": (
        samples(TIMES, FLAT, COUNTER, throttle_reasons=[["hw_thermal_slowdown"]] * TIMES.size),
        2.0,
        12.0,
    ),
    "foreign_load": (
        samples(TIMES, FLAT, COUNTER, compute_processes=[1] * 60 + [2] * (TIMES.size - 60)),
        2.0,
        12.0,
    ),
    "clock_jump": (
        samples(np.concatenate([TIMES[:50], TIMES[30:]]), np.full(321, 300.0), np.full(321, 1.0)),
        2.0,
        12.0,
    ),
    "counter_reset": (
        samples(TIMES, FLAT, np.where(TIMES < 6, COUNTER, COUNTER - 6000)),
        2.0,
        12.0,
    ),
    "counter_mismatch": (samples(TIMES, FLAT, 5000 + 320 * TIMES), 2.0, 12.0),
    "zero_energy": (samples(TIMES, FLAT * 0), 2.0, 12.0),
}


@pytest.mark.parametrize("code", INVALID)
def test_each_code_fires_alone_and_its_energy_is_never_used(code):
    window = measure_window(*INVALID[code], idle_power_w=50.0)
    assert window.invalid_reasons == (code,) and not window.is_valid
    assert (
        window.energy_j is None
        and window.energy_net_j is None
        and window.power_mean_w is None
        and window.measure is None
    )
    assert window.unknown_reason == CODES[code]


def test_every_code_is_tested():
    assert set(INVALID) == set(CODES)


def test_thresholds_from_both_sides():
    def mismatch(ratio):
        return measure_window(samples(TIMES, FLAT, 300 * ratio * TIMES), 2.0, 12.0).is_valid

    assert mismatch(1.049) and not mismatch(1.06) and mismatch(0.951) and not mismatch(0.94)
    close = without(TIMES, 5.05, 7.95)
    assert measure_window(samples(TIMES[close], FLAT[close], COUNTER[close]), 2.0, 12.0).is_valid
    assert measure_window(samples(TIMES, FLAT), 2.0, 6.9).invalid_reasons == ("window_too_short",)
    assert measure_window(samples(TIMES, FLAT), 2.0, 7.1).is_valid
    one_reading = [["sw_thermal_slowdown"]] + [[]] * (TIMES.size - 1)
    assert measure_window(
        samples(TIMES, FLAT, COUNTER, throttle_reasons=one_reading), 0.0, 30.0
    ).is_valid
    at_its_limit = [["sw_power_cap"]] * TIMES.size
    assert measure_window(
        samples(TIMES, FLAT, COUNTER, throttle_reasons=at_its_limit), 0.0, 30.0
    ).is_valid


def test_a_gap_at_the_edge_of_the_window_counts():
    keep = without(TIMES, 0.5, 5.0)
    assert measure_window(
        samples(TIMES[keep], FLAT[keep], COUNTER[keep]), 4.0, 14.0
    ).invalid_reasons == ("sample_gap",)
    assert measure_window(samples(TIMES[keep], FLAT[keep], COUNTER[keep]), 5.2, 14.0).is_valid


def test_scattered_nulls():
    some = [None if i % 20 == 0 else 300.0 for i in range(TIMES.size)]
    assert measure_window(samples(TIMES, some), 2.0, 12.0).energy_j == pytest.approx(3000)
    many = [None if i % 3 == 0 else 300.0 for i in range(TIMES.size)]
    assert measure_window(samples(TIMES, many), 2.0, 12.0).invalid_reasons == ("missing_samples",)


def test_a_duty_cycled_sensor_against_the_counter_is_caught():
    """The sensor sees 400 W, the counter the true mean of 156.25 W.

    Never silently averaged, never used.
    """
    window = measure_window(samples(TIMES, np.full(TIMES.size, 400.0), 156.25 * TIMES), 2.0, 22.0)
    assert window.invalid_reasons == ("counter_mismatch",) and window.energy_j is None


def test_deduplicated_trace_is_held():
    trace = samples([0.0, 2.0, 9.0, 9.5], [100.0, 400.0, 100.0, 50.0], source="trace")
    window = measure_window(trace, 0.0, 12.0, hold=True)
    assert window.energy_j == pytest.approx(100 * 2 + 400 * 7 + 100 * 0.5 + 50 * 2.5)
    assert not measure_window(trace, 0.0, 12.0).is_valid


def test_idle_baseline():
    noisy = FLAT + np.where(np.arange(TIMES.size) % 7 == 0, 500.0, 0.0)
    assert idle_power(samples(TIMES, noisy), 0.0, 20.0) == pytest.approx(
        300
    )  # the median ignores bursts
    assert idle_power(samples(TIMES, FLAT), 0.0, 9.0) is None
    assert idle_power(samples(TIMES), 0.0, 20.0) is None
    assert idle_power(samples([]), 0.0, 20.0) is None
    assert idle_power(samples(TIMES, FLAT, utilization_ratio=[0.5] * TIMES.size), 0.0, 20.0) is None
    two = pl.concat(
        [samples(TIMES, FLAT), samples(TIMES, None, device="b", power_average_w=FLAT / 3)]
    )
    assert idle_power(two, 0.0, 20.0) == pytest.approx(400)
