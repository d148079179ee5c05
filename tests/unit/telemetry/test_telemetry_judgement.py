"""Whatever a device says: what cannot be true is NULL and counted, nothing else is lost, and every row can be sealed."""

from __future__ import annotations

import json
import math
from dataclasses import fields
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isocost.schema.frames import conform
from isocost.schema.registry import table
from isocost.schema.types import polars_schema
from isocost.telemetry import DeviceReading, PowerSampler, described, possible
from isocost.telemetry.judgement import RANGES, judged

ODD: list[Any] = [
    True,
    "70",
    b"70",
    [],
    {},
    math.nan,
    math.inf,
    -math.inf,
    -1000,
    2**62,
    10**400,
    1e308,
    np.float32("nan"),
    object(),
]
NAMES: list[Any] = ["", "GPU-\ud800", None, 7, "x" * 10_000, b"GPU"]
ANY = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.binary(),
    st.lists(st.text()),
    st.sampled_from(ODD),
)


class Source:
    """Gives the readings that it was handed, one list a read."""

    name, unknown_reason = "nvml", None

    def __init__(self, *reads: Any):
        self.reads = list(reads)

    def read(self, slow: bool = True) -> Any:
        return self.reads.pop(0) if self.reads else []

    def describe(self) -> dict[str, object]:
        return {}

    def close(self) -> None:
        pass


def sampled(*reads: Any) -> tuple[pl.DataFrame, dict[str, object]]:
    sampler = PowerSampler(Source(*reads), 0.001, session_id="s", run_id="r")
    for _ in reads:
        sampler._sample(slow=True)
    frame = pl.DataFrame(sampler.drain(), schema=polars_schema(table("raw_telemetry")), strict=True)
    return conform(frame, "raw_telemetry"), sampler.summary()


@pytest.mark.parametrize("name", RANGES)
@pytest.mark.parametrize("value", ODD, ids=lambda value: repr(value)[:20])
def test_a_value_that_cannot_be_true_is_null_and_the_others_stay(name: str, value: Any) -> None:
    sound = DeviceReading(
        "d",
        **{
            other: high / 2 if other != "compute_processes" else 1
            for other, (_, high) in RANGES.items()
        },
    )
    given_reading = DeviceReading(
        **{field.name: getattr(sound, field.name) for field in fields(DeviceReading)}
        | {name: value}
    )
    rows, summary = sampled([given_reading, DeviceReading("e", power_w=70.0)])
    first, second = rows.to_dicts()
    assert first[name] is None and second["power_w"] == 70.0
    assert all(first[other] == getattr(sound, other) for other in RANGES if other != name)
    assert summary["values_refused"] == 1 and str(summary["first_refused"]).startswith(name)
    assert (
        json.loads(json.dumps(summary, allow_nan=False)) == summary
        and str(summary["first_refused"]).encode()
    )


@pytest.mark.parametrize("name", NAMES, ids=lambda name: repr(name)[:20])
def test_a_reading_without_a_usable_name_is_left_out(name: Any) -> None:
    rows, summary = sampled([DeviceReading(name, power_w=1.0), DeviceReading("d", power_w=70.0)])
    assert (
        rows["device_id"].to_list() == ["d"]
        and summary["values_refused"] == 1
        and "device_id" in str(summary["first_refused"])
    )


def test_a_device_that_comes_twice_counts_once() -> None:
    rows, summary = sampled([DeviceReading("d", power_w=1.0), DeviceReading("d", power_w=2.0)])
    assert rows["power_w"].to_list() == [1.0] and "duplicated" in str(summary["first_refused"])


@pytest.mark.parametrize("stated", [None, 7, ["no reading"], [{"device_id": "d"}]])
def test_what_is_no_reading_costs_only_itself(stated: Any) -> None:
    rows, summary = sampled(stated, [DeviceReading("d", power_w=70.0)])
    assert rows["power_w"].to_list() == [70.0]
    assert summary["read_errors"] or summary["values_refused"]


@given(
    st.lists(
        st.builds(DeviceReading, **{field.name: ANY for field in fields(DeviceReading)}), max_size=4
    )
)
@settings(max_examples=40, deadline=None)
def test_every_row_fits_the_table(readings: list[DeviceReading]) -> None:
    rows, summary = sampled([*readings, DeviceReading("last", power_w=70.0)])
    assert rows.filter(pl.col("device_id") == "last").height == 1
    for name, (low, high) in RANGES.items():
        assert rows[name].drop_nulls().is_between(low, high).all()
    # A device that comes twice in one read is left out as a whole: one fault, whatever else it has.
    refused, seen = 0, set()
    for reading, faults in map(judged, readings):
        twice = reading is not None and reading.device_id in seen
        refused += 1 if twice else len(faults)
        seen |= {reading.device_id} if reading is not None else set()
    assert summary["values_refused"] == refused + ("last" in seen)


@pytest.mark.parametrize("name", [name for name, (low, _) in RANGES.items() if low == 0])
def test_nothing_takes_less_than_nothing(name: str) -> None:
    reading, faults = judged(DeviceReading("d", **{name: -1}))
    assert reading is not None and getattr(reading, name) is None and len(faults) == 1


@given(st.floats(0, 1e6), st.floats(0, 1), st.integers(0, 10**6))
def test_what_can_be_true_is_untouched(power: float, share: float, processes: int) -> None:
    reading = DeviceReading(
        "d",
        power_w=power,
        utilization_ratio=share,
        compute_processes=processes,
        throttle_reasons=("sw_power_cap",),
    )
    assert judged(reading) == (reading, [])


def test_rows_of_an_older_bank_are_judged_when_they_are_read() -> None:
    rows = pl.DataFrame(
        {
            "power_w": [70.0, -1.0, math.nan, math.inf, None],
            "compute_processes": [1, -1, 2, None, 3],
        }
    )
    found = possible(rows)
    assert found["power_w"].to_list() == [70.0, None, None, None, None]
    assert found["compute_processes"].to_list() == [1, None, 2, None, 3]


def test_an_account_of_itself_is_plain_json() -> None:
    class Odd(Source):
        def describe(self) -> dict[str, object]:
            return {
                "devices": [
                    {"name": "GPU \ud800", "limit_w": math.nan, "id": b"\xff", "cores": np.int64(3)}
                ],
                "x": object(),
            }

    reported = described(Odd())
    assert json.loads(json.dumps(reported, allow_nan=False).encode()) == reported
    assert reported["devices"][0]["limit_w"] is None and reported["devices"][0]["cores"] == 3

    class Gone(Source):
        def describe(self) -> dict[str, object]:
            raise RuntimeError("GPU is lost")

    assert "GPU is lost" in described(Gone())["error"]
