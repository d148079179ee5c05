"""A pynvml that answers from a script.

The calls NvmlSource makes, with the real module's names and units.
"""

from __future__ import annotations

import types


class NVMLError(Exception):
    pass


class NVMLError_NotSupported(NVMLError):
    pass


class NVMLError_FunctionNotFound(NVMLError):
    pass


class NVMLError_NoPermission(NVMLError):
    pass


class Board:
    def __init__(self, uuid, name="NVIDIA H100 80GB HBM3", **values):
        self.uuid, self.name = uuid, name
        self.values = {
            "instant_mw": 412_500, "average_mw": 400_000, "usage_mw": 400_000, "energy_mj": 12_345_678, "reasons": 0x4, "temperature": 55,
            "clock": 1980, "busy": 97, "used": 70 * 2**30, "total": 80 * 2**30, "processes": [object()], "limit_mw": 700_000, "arch": 9,
            "limits_mw": [200_000, 700_000], "clock_max": 1980,
            "mig": NVMLError_NotSupported("Not Supported"),
        } | values  # fmt: skip
        self.calls = []

    def get(self, key):
        self.calls.append(key)
        value = self.values[key]
        if isinstance(value, Exception):
            raise value
        return value


def module(*boards, start=None):
    m = types.ModuleType("pynvml")
    m.NVMLError, m.NVMLError_NotSupported = NVMLError, NVMLError_NotSupported
    m.NVMLError_FunctionNotFound, m.NVMLError_NoPermission = (
        NVMLError_FunctionNotFound,
        NVMLError_NoPermission,
    )
    m.NVML_POWER_SCOPE_GPU, m.NVML_FI_DEV_POWER_AVERAGE, m.NVML_FI_DEV_POWER_INSTANT = 0, 185, 186
    m.NVML_SUCCESS, m.NVML_TEMPERATURE_GPU, m.NVML_CLOCK_SM, m.NVML_DEVICE_ARCH_AMPERE = 0, 0, 1, 7
    m.open_count = 0

    def init():
        if start:
            raise start
        m.open_count += 1

    def shutdown():
        m.open_count -= 1

    def fields(board, ids):
        out = []
        for field, scope in ids:
            assert scope == 0
            value = board.get({185: "average_mw", 186: "instant_mw"}[field])
            code = 0 if value is not None else 3
            out.append(
                types.SimpleNamespace(
                    nvmlReturn=code,
                    value=types.SimpleNamespace(uiVal=value if value is not None else 0xDEAD),
                )
            )
        return out

    m.nvmlInit, m.nvmlShutdown = init, shutdown
    m.nvmlDeviceGetCount = lambda: len(boards)
    m.nvmlDeviceGetHandleByIndex = lambda i: boards[i]
    m.nvmlDeviceGetUUID = lambda b: b.uuid
    m.nvmlDeviceGetName = lambda b: b.name
    m.nvmlDeviceGetMigMode = lambda b: (b.get("mig"), 0)
    m.nvmlDeviceGetFieldValues = fields
    m.nvmlDeviceGetPowerUsage = lambda b: b.get("usage_mw")
    m.nvmlDeviceGetTotalEnergyConsumption = lambda b: b.get("energy_mj")
    m.nvmlDeviceGetCurrentClocksEventReasons = lambda b: b.get("reasons")
    m.nvmlDeviceGetTemperatureV = lambda b, sensor: b.get("temperature")
    m.nvmlDeviceGetClockInfo = lambda b, kind: b.get("clock")
    m.nvmlDeviceGetUtilizationRates = lambda b: types.SimpleNamespace(gpu=b.get("busy"))
    m.nvmlDeviceGetMemoryInfo = lambda b: types.SimpleNamespace(
        used=b.get("used"), total=b.get("total"), free=b.get("total") - b.get("used")
    )
    m.nvmlDeviceGetPowerManagementLimitConstraints = lambda b: b.get("limits_mw")
    m.nvmlDeviceGetMaxClockInfo = lambda b, kind: b.get("clock_max")
    m.nvmlSystemGetCudaDriverVersion_v2 = lambda: 13000
    m.nvmlDeviceGetComputeRunningProcesses = lambda b: b.get("processes")
    m.nvmlDeviceGetEnforcedPowerLimit = lambda b: b.get("limit_mw")
    m.nvmlDeviceGetArchitecture = lambda b: b.get("arch")
    m.nvmlSystemGetDriverVersion = lambda: b"575.57.08"
    return m
