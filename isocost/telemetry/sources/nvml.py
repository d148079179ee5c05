"""Board power and energy of NVIDIA GPUs through NVML (nvidia-ml-py).

Lives here: choosing the boards that the engine sees, reading them, turning NVML's units into SI.
Not here: the sampling thread and anything computed from samples.

Board power covers the GPU and its memory only: not the processor, network, fans or supply losses.
Two kinds of power are kept apart: the instantaneous field, and the averaged one, which is what
``nvmlDeviceGetPowerUsage`` returns on recent boards.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from isocost.telemetry.source import DeviceReading, PowerSource, Unavailable, register
from isocost.units import joules_from_mj, watts_from_mw

_REASONS = {
    0x1: "gpu_idle",
    0x2: "clocks_setting",
    0x4: "sw_power_cap",
    0x8: "hw_slowdown",
    0x10: "sync_boost",
    0x20: "sw_thermal_slowdown",
    0x40: "hw_thermal_slowdown",
    0x80: "hw_power_brake_slowdown",
    0x100: "display_clock_setting",
}
# A board at its power limit (sw_power_cap) works as intended.
_SLOWDOWNS = {
    "hw_slowdown",
    "sw_thermal_slowdown",
    "hw_thermal_slowdown",
    "hw_power_brake_slowdown",
}


@register
class NvmlSource(PowerSource):
    """The NVIDIA boards this process may use."""

    name = "nvml"
    covers = "GPU boards with their memory; not processor, network, fans or supply"
    devices = frozenset({"cuda"})
    priority = 100
    throttle_reasons: ClassVar[Mapping[str, bool]] = {
        reason: reason in _SLOWDOWNS for reason in _REASONS.values()
    }

    def __init__(self, count: int | None = None, visible: str | None = None) -> None:
        """Initialise NVML and pick boards.

        Args:
            count: the first that many visible boards; None = all visible.
            visible: the value of CUDA_VISIBLE_DEVICES; default the environment's.

        Raises:
            Unavailable: no library, no driver, no board, MIG, or a visible device that cannot be
                matched to a board.
        """
        try:
            import pynvml
        except ImportError:
            raise Unavailable("the Python package nvidia-ml-py is not installed") from None
        # Its error classes are made when it is imported: no type checker knows them.
        self._nvml: Any = pynvml
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as error:
            raise Unavailable(f"NVML does not start ({error})") from None
        try:
            self._boards = self._choose(
                os.environ.get("CUDA_VISIBLE_DEVICES") if visible is None else visible, count
            )
        except BaseException:
            pynvml.nvmlShutdown()
            raise
        self._unsupported: dict[str, str] = {}

    @classmethod
    def open(cls, count: int | None) -> NvmlSource:
        """The boards that CUDA shows this process."""
        return cls(count)

    def _choose(self, visible: str | None, count: int | None) -> list[tuple[str, Any]]:
        boards = []
        for index in range(self._nvml.nvmlDeviceGetCount()):
            handle = self._nvml.nvmlDeviceGetHandleByIndex(index)
            boards.append((_text(self._nvml.nvmlDeviceGetUUID(handle)), handle))
        if not boards:
            raise Unavailable("the driver lists no GPU")
        if visible is not None:
            boards = _visible(
                visible, boards, [_text(self._nvml.nvmlDeviceGetName(h)) for _, h in boards]
            )
        if count is not None:
            if count > len(boards):
                raise Unavailable(f"{count} devices are used but {len(boards)} are visible")
            boards = boards[:count]
        for uuid, handle in boards:
            if self._is_partitioned(handle):
                raise Unavailable(f"{uuid} is split by MIG; its power is that of the whole board")
        return boards

    def _is_partitioned(self, handle: Any) -> bool:
        try:
            return self._nvml.nvmlDeviceGetMigMode(handle)[0] == 1
        except self._nvml.NVMLError:
            return False

    def describe(self) -> dict[str, object]:
        """Boards with name, limits, driver; the readings they do not support."""
        nvml = self._nvml
        devices = []
        for uuid, handle in self._boards:
            limit = self._ask(
                "enforced_power_limit",
                uuid,
                lambda h=handle: nvml.nvmlDeviceGetEnforcedPowerLimit(h),
            )
            memory = self._ask(
                "memory_total", uuid, lambda h=handle: nvml.nvmlDeviceGetMemoryInfo(h).total
            )
            devices.append(
                {
                    "device_id": uuid,
                    "name": _text(nvml.nvmlDeviceGetName(handle)),
                    "power_limit_w": None if limit is None else watts_from_mw(limit),
                    "memory_bytes": memory,
                }
            )
        driver = self._ask("driver", "", lambda: _text(nvml.nvmlSystemGetDriverVersion()))
        return {
            "source": self.name,
            "driver": driver,
            "devices": devices,
            "unsupported": dict(self._unsupported),
            "covers": self.covers,
        }

    def read(self, slow: bool = True) -> list[DeviceReading]:
        """One reading per board; an unsupported field is None and is not requested again."""
        return [self._read(uuid, handle, slow) for uuid, handle in self._boards]

    def _read(self, uuid: str, handle: Any, slow: bool) -> DeviceReading:
        nvml = self._nvml
        instant, average = self._power(uuid, handle)
        counter = self._ask(
            "energy_counter", uuid, lambda: nvml.nvmlDeviceGetTotalEnergyConsumption(handle)
        )
        reasons = self._ask(
            "throttle_reasons", uuid, lambda: nvml.nvmlDeviceGetCurrentClocksEventReasons(handle)
        )
        extra: dict[str, Any] = {}
        if slow:
            sensor, clock = nvml.NVML_TEMPERATURE_GPU, nvml.NVML_CLOCK_SM
            temperature = self._ask(
                "temperature", uuid, lambda: nvml.nvmlDeviceGetTemperatureV(handle, sensor)
            )
            mhz = self._ask("sm_clock", uuid, lambda: nvml.nvmlDeviceGetClockInfo(handle, clock))
            busy = self._ask(
                "utilization", uuid, lambda: nvml.nvmlDeviceGetUtilizationRates(handle).gpu
            )
            extra = {
                "temperature_c": None if temperature is None else float(temperature),
                "sm_clock_mhz": None if mhz is None else float(mhz),
                "utilization_ratio": None if busy is None else busy / 100,
                "memory_used_bytes": self._ask(
                    "memory_used", uuid, lambda: nvml.nvmlDeviceGetMemoryInfo(handle).used
                ),
                "compute_processes": self._ask(
                    "processes",
                    uuid,
                    lambda: len(nvml.nvmlDeviceGetComputeRunningProcesses(handle)),
                ),
            }
        return DeviceReading(
            uuid,
            power_w=instant,
            power_average_w=average,
            energy_counter_j=None if counter is None else joules_from_mj(counter),
            throttle_reasons=None if reasons is None else _reasons(reasons),
            **extra,
        )

    def _power(self, uuid: str, handle: Any) -> tuple[float | None, float | None]:
        """Instantaneous and averaged watts, from the fields or, on older drivers, the old call."""
        nvml, scope = self._nvml, self._nvml.NVML_POWER_SCOPE_GPU
        ids = [(nvml.NVML_FI_DEV_POWER_INSTANT, scope), (nvml.NVML_FI_DEV_POWER_AVERAGE, scope)]
        values = self._ask("power_fields", uuid, lambda: nvml.nvmlDeviceGetFieldValues(handle, ids))
        if values is not None:
            # A failing field does not raise: its own return code shows it, and its value is then
            # garbage.
            instant, average = (
                watts_from_mw(v.value.uiVal) if v.nvmlReturn == nvml.NVML_SUCCESS else None
                for v in values
            )
            if instant is not None or average is not None:
                return instant, average
        single = self._ask("power_usage", uuid, lambda: nvml.nvmlDeviceGetPowerUsage(handle))
        if single is None:
            return None, None
        watts = watts_from_mw(single)
        return (watts, None) if self._is_instantaneous(uuid, handle) else (None, watts)

    def _is_instantaneous(self, uuid: str, handle: Any) -> bool:
        """Whether nvmlDeviceGetPowerUsage means now.

        Up to Turing, and on GA100; a 1 s average on all later boards.
        """
        architecture = self._ask(
            "architecture", uuid, lambda: self._nvml.nvmlDeviceGetArchitecture(handle)
        )
        if architecture is None:
            return False
        if architecture == self._nvml.NVML_DEVICE_ARCH_AMPERE:
            return any(
                chip in _text(self._nvml.nvmlDeviceGetName(handle))
                for chip in ("A100", "A30", "A800")
            )
        return architecture < self._nvml.NVML_DEVICE_ARCH_AMPERE

    def _ask(self, what: str, uuid: str, call: Callable[[], Any]) -> Any:
        """The value, or None.

        An unsupported reading is remembered and never requested again.
        """
        key = f"{what} {uuid}".strip()
        if key in self._unsupported:
            return None
        try:
            return call()
        except (
            self._nvml.NVMLError_NotSupported,
            self._nvml.NVMLError_FunctionNotFound,
            self._nvml.NVMLError_NoPermission,
        ) as error:
            self._unsupported[key] = str(error)
            return None

    def close(self) -> None:
        """Shut NVML down."""
        self._nvml.nvmlShutdown()


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _reasons(mask: int) -> tuple[str, ...]:
    known = tuple(name for bit, name in _REASONS.items() if mask & bit)
    rest = mask & ~sum(_REASONS)
    return (*known, f"bit_{rest:#x}") if rest else known


def _visible(
    visible: str, boards: list[tuple[str, Any]], names: list[str]
) -> list[tuple[str, Any]]:
    """The boards CUDA_VISIBLE_DEVICES names, in its order; NVML itself ignores that variable."""
    chosen = []
    for entry in (part.strip() for part in visible.split(",")):
        if entry.startswith("MIG-"):
            raise Unavailable(f"{entry} is a MIG slice; power is known for the whole board only")
        matches = [
            board for board in boards if entry.startswith("GPU-") and board[0].startswith(entry)
        ]
        if entry.isdigit() and int(entry) < len(boards):
            if len(set(names)) > 1 and os.environ.get("CUDA_DEVICE_ORDER") != "PCI_BUS_ID":
                raise Unavailable(
                    "CUDA numbers unlike GPUs by speed, NVML by slot; set "
                    "CUDA_DEVICE_ORDER=PCI_BUS_ID or use UUIDs"
                )
            matches = [boards[int(entry)]]
        if len(matches) != 1:
            break  # CUDA, too, sees only the devices before the first entry it cannot resolve.
        chosen.append(matches[0])
    if not chosen:
        raise Unavailable(f"CUDA_VISIBLE_DEVICES={visible!r} names no board")
    return chosen
