"""An amdsmi that answers from a script: the calls that the power source makes, with the names,
units and ways of saying "unknown" of the real package (7.0)."""

from __future__ import annotations

import types
from enum import IntEnum


class AmdSmiException(Exception):
    pass


class AmdSmiLibraryException(AmdSmiException):
    def __init__(self, info):
        super().__init__(info)
        self.err_info = info


def unsupported():
    return AmdSmiLibraryException("AMDSMI_STATUS_NOT_SUPPORTED - Feature not supported")


class AmdSmiMemoryType(IntEnum):
    VRAM = 0


class AmdSmiClkType(IntEnum):
    GFX = 0


class AmdSmiTemperatureType(IntEnum):
    EDGE = 0
    HOTSPOT = 1


class AmdSmiTemperatureMetric(IntEnum):
    CURRENT = 0


class Gpu:
    def __init__(self, uuid, *, hip_id="N/A", hip_uuid="", **values):
        self.uuid, self.hip = uuid, {"hip_id": hip_id, "hip_uuid": hip_uuid, "drm_card": 1}
        self.values = {
            "power": {"socket_power": 650, "current_socket_power": 650, "average_socket_power": "N/A"},
            "energy": {"energy_accumulator": 2_000_000, "counter_resolution": 15.259, "timestamp": 1},
            "activity": {"gfx_activity": 97, "umc_activity": 40, "mm_activity": "N/A"},
            "clock": {"clk": 2100, "min_clk": 500, "max_clk": 2100}, "temperature": 71, "used": 150 * 2**30, "total": 192 * 2**30,
            "processes": [{"name": "python", "pid": 7}], "partition": "SPX", "cap": 750_000_000, "name": "AMD Instinct MI300X",
            "violations": {"active_ppt_pwr": False, "active_prochot_thrm": False, "active_socket_thrm": False, "active_vr_thrm": "N/A",
                           "active_hbm_thrm": False, "per_ppt_pwr": 0},
        } | values  # fmt: skip
        self.calls = []

    def get(self, key):
        self.calls.append(key)
        value = self.values[key]
        if isinstance(value, Exception):
            raise value
        return value() if callable(value) else value


def module(*gpus, start=None):
    m = types.ModuleType("amdsmi")
    for item in (AmdSmiException, AmdSmiLibraryException, AmdSmiMemoryType, AmdSmiClkType,
                 AmdSmiTemperatureType, AmdSmiTemperatureMetric):  # fmt: skip
        setattr(m, item.__name__, item)
    m.open_count = 0

    def init():
        if start:
            raise start
        m.open_count += 1

    def shut_down():
        m.open_count -= 1

    def hotspot(gpu, sensor, metric):
        assert (sensor, metric) == (AmdSmiTemperatureType.HOTSPOT, AmdSmiTemperatureMetric.CURRENT)
        return gpu.get("temperature")

    m.amdsmi_init, m.amdsmi_shut_down = init, shut_down
    m.amdsmi_get_processor_handles = lambda: list(gpus)
    m.amdsmi_get_gpu_device_uuid = lambda g: g.uuid
    m.amdsmi_get_gpu_enumeration_info = lambda g: g.hip
    m.amdsmi_get_gpu_compute_partition = lambda g: g.get("partition")
    m.amdsmi_get_power_info = lambda g: g.get("power")
    m.amdsmi_get_energy_count = lambda g: g.get("energy")
    m.amdsmi_get_gpu_activity = lambda g: g.get("activity")
    m.amdsmi_get_clock_info = lambda g, kind: g.get("clock")
    m.amdsmi_get_temp_metric = hotspot
    m.amdsmi_get_gpu_memory_usage = lambda g, kind: g.get("used")
    m.amdsmi_get_gpu_memory_total = lambda g, kind: g.get("total")
    m.amdsmi_get_gpu_process_list = lambda g: g.get("processes")
    m.amdsmi_get_violation_status = lambda g: g.get("violations")
    m.amdsmi_get_power_cap_info = lambda g: {"power_cap": g.get("cap")}
    m.amdsmi_get_gpu_asic_info = lambda g: {"market_name": g.get("name"), "vendor_name": "AMD"}
    m.amdsmi_get_gpu_driver_info = lambda g: {"driver_name": "amdgpu", "driver_version": "6.14.14"}
    return m
