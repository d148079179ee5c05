import re

import polars as pl
import pytest

from isocost.capabilities import POWER_SOURCES
from isocost.errors import IsocostError
from isocost.telemetry import PowerSource, Unavailable, measure_window, open_source, power_sources
from isocost.telemetry.source import slowdowns_of
from isocost.telemetry.sources import rapl as rapl_module
from isocost.telemetry.sources.nvml import NvmlSource
from isocost.telemetry.sources.rapl import RaplSource, counter_delta_uj


def test_nvml_units_and_fields(fake_nvml, with_boards):
    module = with_boards(fake_nvml.Board("GPU-a"))
    source = open_source("auto")
    assert (
        isinstance(source, PowerSource) and source.name == "nvml" and source.unknown_reason is None
    )
    (reading,) = source.read()
    assert reading.device_id == "GPU-a"
    assert (reading.power_w, reading.power_average_w, reading.energy_counter_j) == (
        412.5,
        400.0,
        12345.678,
    )
    assert (
        reading.temperature_c,
        reading.sm_clock_mhz,
        reading.utilization_ratio,
        reading.compute_processes,
    ) == (55.0, 1980.0, 0.97, 1)
    assert reading.throttle_reasons == ("sw_power_cap",) and reading.memory_used_bytes == 70 * 2**30
    (fast,) = source.read(slow=False)
    assert fast.power_w == 412.5 and fast.temperature_c is None and fast.compute_processes is None
    described = source.describe()
    assert described["driver"] == "575.57.08"
    assert described["devices"] == [
        {
            "device_id": "GPU-a",
            "name": "NVIDIA H100 80GB HBM3",
            "power_limit_w": 700.0,
            "memory_bytes": 80 * 2**30,
        }
    ]
    source.close()
    assert module.open_count == 0


def test_nvml_field_errors_do_not_become_watts(fake_nvml, with_boards):
    """A field's own return code decides; its value is garbage when it failed."""
    with_boards(fake_nvml.Board("GPU-a", instant_mw=None))
    (reading,) = NvmlSource().read()
    assert reading.power_w is None and reading.power_average_w == 400.0


@pytest.mark.parametrize(
    ("name", "arch", "instant", "average"),
    [
        ("NVIDIA H100", 9, None, 300.0),
        ("NVIDIA A100", 7, 300.0, None),
        ("NVIDIA A40", 7, None, 300.0),
        ("Tesla V100", 5, 300.0, None),
    ],
)
def test_power_usage_means_different_things_by_board(
    fake_nvml, with_boards, name, arch, instant, average
):
    with_boards(
        fake_nvml.Board(
            "GPU-a", name, instant_mw=None, average_mw=None, usage_mw=300_000, arch=arch
        )
    )
    (reading,) = NvmlSource().read()
    assert (reading.power_w, reading.power_average_w) == (instant, average)


def test_nvml_unsupported_is_none_and_asked_once(fake_nvml, with_boards):
    board = fake_nvml.Board("GPU-a", energy_mj=fake_nvml.NVMLError_NotSupported("Not Supported"))
    with_boards(board)
    source = NvmlSource()
    assert [source.read()[0].energy_counter_j for _ in range(3)] == [None] * 3
    assert board.calls.count("energy_mj") == 1
    assert source.describe()["unsupported"] == {"energy_counter GPU-a": "Not Supported"}


def test_nvml_transient_errors_are_not_swallowed(fake_nvml, with_boards):
    with_boards(fake_nvml.Board("GPU-a", energy_mj=fake_nvml.NVMLError("GPU is lost")))
    with pytest.raises(fake_nvml.NVMLError, match="lost"):
        NvmlSource().read()


def test_throttle_bits(fake_nvml, with_boards):
    with_boards(fake_nvml.Board("GPU-a", reasons=0x60 | 0x400), fake_nvml.Board("GPU-b", reasons=0))
    first, second = NvmlSource().read()
    assert (
        first.throttle_reasons == ("sw_thermal_slowdown", "hw_thermal_slowdown", "bit_0x400")
        and second.throttle_reasons == ()
    )


def test_visible_devices_by_uuid_index_and_count(fake_nvml, with_boards, monkeypatch):
    boards = [fake_nvml.Board(f"GPU-{c}{c}") for c in "abc"]
    with_boards(*boards)

    def ids(visible=None, count=None):
        return [r.device_id for r in NvmlSource(count, visible).read(slow=False)]

    assert ids() == ["GPU-aa", "GPU-bb", "GPU-cc"]
    assert ids(count=1) == ["GPU-aa"]
    assert ids("2,0") == ["GPU-cc", "GPU-aa"]
    assert ids("GPU-b") == ["GPU-bb"]
    assert ids("1,-1,2") == ["GPU-bb"]  # CUDA stops at the first entry it cannot resolve
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-cc")
    assert ids() == ["GPU-cc"]
    for visible, count in (("", None), ("MIG-1", None), ("7", None), ("0", 2)):
        with pytest.raises(Unavailable):
            NvmlSource(count, visible)
    boards[0].name = "NVIDIA A100"
    with pytest.raises(Unavailable, match="PCI_BUS_ID"):
        ids("1")
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    assert ids("1") == ["GPU-bb"]


def test_mig_is_refused_and_nvml_given_back(fake_nvml, with_boards):
    module = with_boards(fake_nvml.Board("GPU-a", mig=1))
    with pytest.raises(Unavailable, match="MIG"):
        NvmlSource()
    assert module.open_count == 0


def test_auto_falls_back_with_the_reasons(fake_nvml, with_boards, monkeypatch, tmp_path):
    with_boards(start=fake_nvml.NVMLError("NVML Shared Library Not Found"))
    monkeypatch.setattr(
        rapl_module.RaplSource.__init__,
        "__defaults__",
        (tmp_path / "nowhere", rapl_module.time.monotonic),
    )
    source = open_source("auto")
    assert source.name == "none" and source.read() == []
    assert "Library Not Found" in source.unknown_reason and "rapl: no " in source.unknown_reason
    assert source.describe()["unknown_reason"] == source.unknown_reason
    with pytest.raises(IsocostError, match="Library Not Found"):
        open_source("nvml")
    with pytest.raises(IsocostError, match="Known power sources: amdsmi, none, nvml, rapl"):
        open_source("wattmeter")
    assert open_source("none").unknown_reason == "telemetry is switched off"


def test_auto_never_takes_another_devices_joules(fake_nvml, with_boards, monkeypatch, tmp_path):
    with_boards(fake_nvml.Board("GPU-a"))
    zone(tmp_path, "intel-rapl:0", "package-0", 1)
    monkeypatch.setattr(
        rapl_module.RaplSource.__init__, "__defaults__", (tmp_path, rapl_module.time.monotonic)
    )
    assert open_source("auto").name == open_source("auto", device="cuda").name == "nvml"
    assert open_source("auto", device="cpu").name == "rapl"
    elsewhere = open_source("auto", device="tpu")
    assert elsewhere.name == "none" and "the engine computes on tpu" in elsewhere.unknown_reason
    with_boards()
    assert open_source("auto").name == "rapl" and open_source("auto", device="cuda").name == "none"


def zone(root, folder, name, energy, range_uj=262143328850):
    path = root / folder
    path.mkdir(parents=True, exist_ok=True)
    (path / "name").write_text(name + "\n")
    (path / "energy_uj").write_text(f"{energy}\n")
    (path / "max_energy_range_uj").write_text(f"{range_uj}\n")
    return path / "energy_uj"


def test_rapl_wrap_worked_vector():
    assert counter_delta_uj(262143300000, 1000000, 262143328850) == 1028850
    assert counter_delta_uj(5, 9, 10) == 4
    with pytest.raises(IsocostError, match="range"):
        counter_delta_uj(5, 11, 10)


def test_rapl_sums_only_zones_that_do_not_overlap(tmp_path):
    package = zone(tmp_path, "intel-rapl:0", "package-0", 1_000_000, 10_000_000)
    zone(tmp_path, "intel-rapl:0:0", "core", 1)
    zone(tmp_path, "intel-rapl:0:1", "uncore", 1)
    dram = zone(tmp_path, "intel-rapl:0:2", "dram", 500_000)
    zone(tmp_path, "intel-rapl:1", "psys", 1)
    moments = iter([0.0, 0.0, 2.0, 2.0, 3.0, 3.0])
    source = RaplSource(tmp_path, lambda: next(moments))
    package.write_text("9000000\n")
    dram.write_text("700000\n")
    first = {r.device_id: r for r in source.read()}
    assert set(first) == {"intel-rapl:0/package-0", "intel-rapl:0:2/dram"}
    assert (
        first["intel-rapl:0/package-0"].energy_counter_j == 8.0
        and first["intel-rapl:0/package-0"].power_average_w == 4.0
    )
    package.write_text("500000\n")  # wrapped
    second = {r.device_id: r for r in source.read()}
    assert second["intel-rapl:0/package-0"].energy_counter_j == pytest.approx(9.5)
    assert second["intel-rapl:0/package-0"].power_w is None  # RAPL has no instantaneous reading
    assert second["intel-rapl:0:2/dram"].energy_counter_j == pytest.approx(0.2)


def test_rapl_says_why_not(tmp_path, monkeypatch):
    with pytest.raises(Unavailable, match="no "):
        RaplSource(tmp_path / "absent")
    with pytest.raises(Unavailable, match="no RAPL zones"):
        RaplSource(tmp_path)
    locked = zone(tmp_path, "intel-rapl:0", "package-0", 1)
    read = type(locked).read_text

    def denied(self, *args, **kwargs):
        if self.name == "energy_uj":
            raise PermissionError
        return read(self, *args, **kwargs)

    monkeypatch.setattr(type(locked), "read_text", denied)
    with pytest.raises(Unavailable, match="root only"):
        RaplSource(tmp_path)


def test_every_source_declares_itself(repo):
    """The order of ``auto`` is the order of their priorities, and the guide has each of them."""
    found = power_sources()
    tried = [cls.name for cls in found if cls.priority is not None]
    assert tried == ["nvml", "amdsmi", "rapl"] and [c.name for c in found][3:] == ["none"]
    assert len({cls.priority for cls in found if cls.priority is not None}) == len(tried)
    guide = (repo / "docs" / "guides" / "energy.md").read_text()
    assert [
        row
        for row in re.findall(
            r"^\| `(\w+)` \| [^|]+\| [^|]+\|.*(?:root|ROCm|driver|reason)", guide, re.M
        )
    ] == [cls.name for cls in found]
    for cls in found:
        assert cls.covers and (cls.priority is None or cls.devices)


class Stand(PowerSource):
    """A source for which nothing is installed."""

    covers, devices = "nothing", frozenset({"cuda"})

    @classmethod
    def open(cls, count):
        return cls()

    def describe(self):
        return {"devices": []}

    def read(self, slow=True):
        return []


@pytest.fixture
def registered(monkeypatch):
    def add(**attributes):
        monkeypatch.setattr(POWER_SOURCES, "_items", POWER_SOURCES.all())
        return POWER_SOURCES.add(type(attributes["name"], (Stand,), attributes))

    return add


def test_priority_decides_and_a_source_that_breaks_costs_nothing(registered):
    def broken(cls, count):
        raise OSError("the driver\nis gone")

    registered(name="first", priority=1000)
    assert open_source("auto").name == "first"
    registered(name="before", priority=1001, open=classmethod(broken))
    registered(name="never", priority=None)
    assert open_source("auto").name == "first" and open_source("never").name == "never"
    with pytest.raises(
        IsocostError, match=r"before cannot measure here: OSError: the driver is gone"
    ):
        open_source("before")


def test_throttle_reasons_are_the_sources_own(registered):
    registered(name="own", throttle_reasons={"too_hot": True, "capped": False})
    assert slowdowns_of("own") == {"too_hot"} and "too_hot" not in slowdowns_of("nvml")
    # Of samples whose source is gone, or was another tool, whatever any source calls one.
    assert slowdowns_of("gone") >= {"too_hot", "hw_slowdown", "socket_thermal"}
    assert "capped" not in slowdowns_of("gone") and "sw_power_cap" not in slowdowns_of("nvml")


def test_an_average_made_of_the_counter_checks_nothing(registered):
    rows = pl.DataFrame(
        [
            {"device_id": "d", "monotonic_s": float(t), "energy_counter_j": 10.0 * t, "power_average_w": 99.0, "power_w": None,
             "throttle_reasons": None, "compute_processes": None, "utilization_ratio": None, "source": "own"}
            for t in range(20)
        ],
        schema_overrides={"power_w": pl.Float64, "throttle_reasons": pl.List(pl.String), "compute_processes": pl.Int32},
    )  # fmt: skip
    registered(name="own")
    assert measure_window(rows, 1.0, 18.0).invalid_reasons == ("counter_mismatch",)
    registered(name="own", average_is_of_counter=True)
    assert measure_window(rows, 1.0, 18.0).energy_j == pytest.approx(170.0)
