"""AMD SMI as a power source, against a stand-in for the driver."""

from __future__ import annotations

import sys

import fake_amdsmi as fake
import pytest

from isocost.telemetry import Unavailable, measure, open_source
from isocost.telemetry.sources.amdsmi import AmdSmiSource

VISIBLE = ("ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES")


@pytest.fixture
def with_gpus(monkeypatch):
    def install(*gpus, start=None):
        module = fake.module(*gpus, start=start)
        monkeypatch.setitem(sys.modules, "amdsmi", module)
        for name in VISIBLE:
            monkeypatch.delenv(name, raising=False)
        return module

    return install


def test_units_and_fields(with_gpus):
    module = with_gpus(fake.Gpu("ff-1"))
    source = open_source("amdsmi")
    (reading,) = source.read()
    assert (reading.device_id, reading.power_w, reading.power_average_w) == ("ff-1", 650.0, None)
    assert reading.energy_counter_j == pytest.approx(2_000_000 * 15.259e-6)
    assert (reading.temperature_c, reading.sm_clock_mhz, reading.utilization_ratio) == (
        71.0,
        2100.0,
        0.97,
    )
    assert (reading.memory_used_bytes, reading.compute_processes) == (150 * 2**30, 1)
    assert reading.throttle_reasons == ()
    (fast,) = source.read(slow=False)
    assert fast.power_w == 650.0 and fast.temperature_c is None and fast.throttle_reasons is None
    described = source.describe()
    assert described["driver"] == "6.14.14" and described["source"] == "amdsmi"
    assert described["devices"] == [
        {
            "device_id": "ff-1",
            "name": "AMD Instinct MI300X",
            "power_limit_w": 750.0,
            "memory_bytes": 192 * 2**30,
        }
    ]
    source.close()
    assert module.open_count == 0


@pytest.mark.parametrize(
    ("power", "instant", "average"),
    [
        ({"current_socket_power": 300, "average_socket_power": "N/A"}, 300.0, None),
        ({"socket_power": 90, "current_socket_power": "N/A", "average_socket_power": 90}, None, 90.0),
        ({"current_socket_power": 2**32 - 1, "average_socket_power": 90}, None, 90.0),
        ({"socket_power": 120, "current_socket_power": "N/A", "average_socket_power": 65535}, 120.0, None),
        ({"socket_power": "N/A", "current_socket_power": "N/A", "average_socket_power": "N/A"}, None, None),
    ],
)  # fmt: skip
def test_what_is_unknown_does_not_become_watts(with_gpus, power, instant, average):
    with_gpus(fake.Gpu("a", power=power))
    (reading,) = AmdSmiSource().read(slow=False)
    assert (reading.power_w, reading.power_average_w) == (instant, average)


@pytest.mark.parametrize(
    ("stated", "joules"),
    [
        (
            {"power": 1_000_000, "counter_resolution": 15.3},
            15.3,
        ),  # the field's name before ROCm 6.4
        ({"energy_accumulator": 2**64 - 1, "counter_resolution": 15.3}, None),
        ({"energy_accumulator": 5, "counter_resolution": 0.0}, None),
    ],
)
def test_the_counter(with_gpus, stated, joules):
    with_gpus(fake.Gpu("a", energy=stated))
    (reading,) = AmdSmiSource().read(slow=False)
    assert reading.energy_counter_j == (None if joules is None else pytest.approx(joules))


def test_what_a_gpu_does_not_support_is_asked_once(with_gpus):
    gpu = fake.Gpu("a", energy=fake.unsupported(), violations=fake.unsupported())
    module = with_gpus(gpu)
    del module.amdsmi_get_gpu_process_list  # an older amdsmi
    source = AmdSmiSource()
    for _ in range(3):
        (reading,) = source.read()
        assert reading.energy_counter_j is None and reading.throttle_reasons is None
        assert reading.compute_processes is None and reading.power_w == 650.0
    assert gpu.calls.count("energy") == 1 and gpu.calls.count("violations") == 1
    assert set(source.describe()["unsupported"]) == {
        "energy_counter a",
        "violations a",
        "processes a",
    }


def test_a_driver_that_fails_is_not_taken_for_one_that_cannot(with_gpus):
    with_gpus(fake.Gpu("a", energy=fake.AmdSmiLibraryException("AMDSMI_STATUS_BUSY - Device busy")))
    with pytest.raises(fake.AmdSmiLibraryException, match="BUSY"):
        AmdSmiSource().read()


def test_heat_makes_a_window_invalid_and_the_power_limit_does_not(with_gpus):
    hot = {"active_ppt_pwr": True, "active_socket_thrm": True, "active_hbm_thrm": False}
    with_gpus(fake.Gpu("a", violations=hot))
    (reading,) = AmdSmiSource().read()
    assert set(reading.throttle_reasons) == {"package_power_limit", "socket_thermal"}
    slowdowns = measure.slowdowns_of("amdsmi")
    assert "socket_thermal" in slowdowns and "package_power_limit" not in slowdowns


def ids(environment=None, count=None):
    return [reading.device_id for reading in AmdSmiSource(count, environment or {}).read(False)]


def test_visible_devices(with_gpus, monkeypatch):
    # The driver lists them in another order than HIP numbers them.
    with_gpus(
        fake.Gpu("c", hip_id=2, hip_uuid="GPU-cc"),
        fake.Gpu("a", hip_id=0, hip_uuid="GPU-aa"),
        fake.Gpu("b", hip_id=1, hip_uuid="GPU-bb"),
    )
    assert ids() == ["a", "b", "c"] and ids(count=2) == ["a", "b"]
    assert ids({"HIP_VISIBLE_DEVICES": "2,0"}) == ["c", "a"]
    assert ids({"CUDA_VISIBLE_DEVICES": "1"}) == ["b"]
    assert ids({"HIP_VISIBLE_DEVICES": "1", "CUDA_VISIBLE_DEVICES": "0"}) == ["b"]
    assert ids({"ROCR_VISIBLE_DEVICES": "GPU-cc,1"}) == ["c", "b"]
    assert ids({"ROCR_VISIBLE_DEVICES": "2,1", "HIP_VISIBLE_DEVICES": "1"}) == ["b"]
    assert ids({"HIP_VISIBLE_DEVICES": "1,-1,2"}) == ["b"]
    for environment, count in (({"ROCR_VISIBLE_DEVICES": ""}, None), ({}, 4)):
        with pytest.raises(Unavailable):
            AmdSmiSource(count, environment)
    monkeypatch.setenv("ROCR_VISIBLE_DEVICES", "1")
    assert [reading.device_id for reading in open_source("amdsmi").read()] == ["b"]


def test_what_cannot_be_measured_says_why_and_gives_the_driver_back(with_gpus, monkeypatch):
    module = with_gpus(fake.Gpu("a", partition="CPX"))
    with pytest.raises(Unavailable, match=r"partitioned \(CPX\)"):
        AmdSmiSource()
    assert module.open_count == 0
    with_gpus()
    with pytest.raises(Unavailable, match="no GPU"):
        AmdSmiSource()
    with_gpus(
        start=fake.AmdSmiLibraryException("AMDSMI_STATUS_DRIVER_NOT_LOADED - Driver not loaded")
    )
    with pytest.raises(Unavailable, match="Driver not loaded"):
        AmdSmiSource()
    monkeypatch.setitem(sys.modules, "amdsmi", None)
    with pytest.raises(Unavailable, match="amdsmi is not installed"):
        AmdSmiSource()


def test_a_package_without_its_library_is_a_reason_and_prints_nothing(
    monkeypatch, tmp_path, capsys
):
    """The real package prints and fails with a KeyError where ROCm is not installed."""
    (tmp_path / "amdsmi.py").write_text("print('no library')\n{}['libamd_smi.so']\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "amdsmi", raising=False)
    with pytest.raises(Unavailable, match=r"libamd_smi\.so cannot be loaded"):
        AmdSmiSource()
    assert capsys.readouterr().out == ""
