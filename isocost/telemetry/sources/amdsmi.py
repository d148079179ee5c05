"""Socket power and energy of AMD GPUs through AMD SMI (the Python package amdsmi of ROCm).

Lives here: choosing the GPUs that the engine sees, reading them, turning AMD SMI's units into SI.
Not here: the sampling thread and anything computed from samples.

AMD SMI reports an unknown value in three ways: an exception, the text "N/A", or the largest value
of an unsigned integer. All three are None here. The names of some fields depend on the version of
ROCm; the newer name is tried first.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from io import StringIO
from types import ModuleType
from typing import Any, ClassVar

from isocost.telemetry.source import DeviceReading, PowerSource, Unavailable, register
from isocost.units import joules_from_uj, watts_from_uw

_VIOLATIONS = {
    "active_ppt_pwr": "package_power_limit",
    "active_prochot_thrm": "processor_hot",
    "active_socket_thrm": "socket_thermal",
    "active_vr_thrm": "voltage_regulator_thermal",
    "active_hbm_thrm": "memory_thermal",
}
_COUNTERS = ("energy_accumulator", "power")
_UNSET = {2**16 - 1, 2**32 - 1, 2**64 - 1}


@dataclass(frozen=True, slots=True)
class _Gpu:
    uuid: str
    handle: Any


@register
class AmdSmiSource(PowerSource):
    """The AMD GPUs this process may use."""

    name = "amdsmi"
    covers = "GPU sockets with their memory; not processor, network, fans or supply"
    devices = frozenset({"cuda"})
    priority = 90
    # A GPU at its power limit works as intended; heat slows it below that.
    throttle_reasons: ClassVar[Mapping[str, bool]] = {
        reason: reason != "package_power_limit" for reason in _VIOLATIONS.values()
    }

    def __init__(
        self, count: int | None = None, environment: Mapping[str, str] | None = None
    ) -> None:
        """Start AMD SMI and pick GPUs.

        Args:
            count: the first that many visible GPUs; None = all visible.
            environment: environment with the visible GPUs; default the process's.

        Raises:
            Unavailable: no library, no driver, no GPU, a partitioned one, or a visible device that
                is not there.
        """
        self._smi = _library()
        try:
            self._smi.amdsmi_init()
        except self._smi.AmdSmiException as error:
            raise Unavailable(f"AMD SMI does not start ({_said(error)})") from None
        self._unsupported: dict[str, str] = {}
        try:
            self._gpus = self._choose(os.environ if environment is None else environment, count)
        except BaseException:
            self._smi.amdsmi_shut_down()
            raise

    @classmethod
    def open(cls, count: int | None) -> AmdSmiSource:
        """The GPUs that ROCm shows this process."""
        return cls(count)

    def _choose(self, environment: Mapping[str, str], count: int | None) -> list[_Gpu]:
        handles = self._smi.amdsmi_get_processor_handles()
        if not handles:
            raise Unavailable("the driver lists no GPU")
        placed = []
        for index, handle in enumerate(handles):
            gpu = _Gpu(str(self._smi.amdsmi_get_gpu_device_uuid(handle)), handle)
            found = self._get("enumeration", gpu, "amdsmi_get_gpu_enumeration_info") or {}
            # HIP numbers GPUs in its own order.
            number = _number(found.get("hip_id"))
            hip_uuid = str(found.get("hip_uuid") or "")
            placed.append((index if number is None else number, hip_uuid, gpu))
        gpus = _visible(sorted(placed, key=lambda item: item[0]), environment)
        if count is not None:
            if count > len(gpus):
                raise Unavailable(f"{count} devices are used but {len(gpus)} are visible")
            gpus = gpus[:count]
        for gpu in gpus:
            self._refuse_partition(gpu)
        return gpus

    def _refuse_partition(self, gpu: _Gpu) -> None:
        mode = self._get("partition", gpu, "amdsmi_get_gpu_compute_partition")
        if mode not in (None, "", "N/A", "SPX"):
            raise Unavailable(
                f"{gpu.uuid} is partitioned ({mode}); its power is that of the whole GPU"
            )

    def describe(self) -> dict[str, object]:
        """GPUs with name, power limit and memory, the driver; the readings they do not support."""
        smi = self._smi
        devices = []
        for gpu in self._gpus:
            asic = self._get("asic", gpu, "amdsmi_get_gpu_asic_info") or {}
            cap = (self._get("power_cap", gpu, "amdsmi_get_power_cap_info") or {}).get("power_cap")
            limit = _number(cap)
            devices.append(
                {
                    "device_id": gpu.uuid,
                    "name": _text(asic.get("market_name")),
                    "power_limit_w": None if limit is None else watts_from_uw(limit),
                    "memory_bytes": self._get(
                        "memory_total",
                        gpu,
                        "amdsmi_get_gpu_memory_total",
                        smi.AmdSmiMemoryType.VRAM,
                    ),
                }
            )
        driver = self._get("driver", self._gpus[0], "amdsmi_get_gpu_driver_info") or {}
        return {
            "source": self.name,
            "driver": _text(driver.get("driver_version")),
            "devices": devices,
            "unsupported": dict(self._unsupported),
            "covers": self.covers,
        }

    def read(self, slow: bool = True) -> list[DeviceReading]:
        """One reading per GPU; an unsupported value is None and is not requested again."""
        return [self._read(gpu, slow) for gpu in self._gpus]

    def _read(self, gpu: _Gpu, slow: bool) -> DeviceReading:
        instant, average = self._power(gpu)
        return DeviceReading(
            gpu.uuid,
            power_w=instant,
            power_average_w=average,
            energy_counter_j=self._joules(gpu),
            **(self._slow(gpu) if slow else {}),
        )

    def _power(self, gpu: _Gpu) -> tuple[float | None, float | None]:
        """Instantaneous watts (MI300 and later) and averaged ones (before)."""
        found = self._get("power", gpu, "amdsmi_get_power_info") or {}
        instant, average = (
            _number(found.get(f"{kind}_socket_power")) for kind in ("current", "average")
        )
        # "socket_power" is either of the two: it adds no information if the others exist.
        if instant is None and average is None:
            instant = _number(found.get("socket_power"))
        return instant, average

    def _joules(self, gpu: _Gpu) -> float | None:
        found = self._get("energy_counter", gpu, "amdsmi_get_energy_count") or {}
        ticks, microjoules = _first(found, _COUNTERS), _number(found.get("counter_resolution"))
        if ticks is None or not microjoules:
            return None
        return joules_from_uj(ticks * microjoules)

    def _slow(self, gpu: _Gpu) -> dict[str, Any]:
        smi = self._smi
        activity = self._get("activity", gpu, "amdsmi_get_gpu_activity") or {}
        busy = _number(activity.get("gfx_activity"))
        clock = self._get("clock", gpu, "amdsmi_get_clock_info", smi.AmdSmiClkType.GFX) or {}
        processes = self._get("processes", gpu, "amdsmi_get_gpu_process_list")
        return {
            "temperature_c": _number(
                self._get(
                    "temperature",
                    gpu,
                    "amdsmi_get_temp_metric",
                    smi.AmdSmiTemperatureType.HOTSPOT,
                    smi.AmdSmiTemperatureMetric.CURRENT,
                )
            ),
            "sm_clock_mhz": _first(clock, ("clk", "cur_clk")),
            "utilization_ratio": None if busy is None else busy / 100,
            "memory_used_bytes": self._get(
                "memory_used", gpu, "amdsmi_get_gpu_memory_usage", smi.AmdSmiMemoryType.VRAM
            ),
            "compute_processes": None if processes is None else len(processes),
            "throttle_reasons": self._reasons(gpu),
        }

    def _reasons(self, gpu: _Gpu) -> tuple[str, ...] | None:
        """Why the GPU is slowed; only MI300 and later report it, and the driver is slow."""
        found = self._get("violations", gpu, "amdsmi_get_violation_status")
        known = {
            reason: found[field]
            for field, reason in _VIOLATIONS.items()
            if found is not None and isinstance(found.get(field), bool)
        }
        return tuple(reason for reason, active in known.items() if active) if known else None

    def _get(self, what: str, gpu: _Gpu, function: str, *arguments: Any) -> Any:
        """The value of an AMD SMI function for a GPU, or None.

        An unsupported reading is remembered and never requested again.
        """
        key = f"{what} {gpu.uuid}"
        if key in self._unsupported:
            return None
        call = getattr(self._smi, function, None)
        if call is None:
            self._unsupported[key] = f"this amdsmi has no {function}"
            return None
        try:
            return call(gpu.handle, *arguments)
        except self._smi.AmdSmiLibraryException as error:
            if "NOT_SUPPORTED" not in _said(error) and "NOT_YET_IMPLEMENTED" not in _said(error):
                raise
            self._unsupported[key] = _said(error)
        return None

    def close(self) -> None:
        """Shut AMD SMI down."""
        self._smi.amdsmi_shut_down()


def _library() -> ModuleType:
    """The package; where ROCm's library is missing its import fails in odd ways, and prints."""
    try:
        with contextlib.redirect_stdout(StringIO()):
            import amdsmi
    except ImportError:
        raise Unavailable("the Python package amdsmi is not installed") from None
    except Exception as error:
        raise Unavailable(
            f"ROCm's libamd_smi.so cannot be loaded ({type(error).__name__})"
        ) from None
    return amdsmi


def _visible(placed: list[tuple[float, str, _Gpu]], environment: Mapping[str, str]) -> list[_Gpu]:
    """The GPUs that ROCm shows to a process; AMD SMI itself ignores the variables.

    ROCR_VISIBLE_DEVICES comes first, with numbers or UUIDs; the other two number what it leaves.
    """
    shown = [(uuid, gpu) for _, uuid, gpu in placed]
    for variables in (("ROCR_VISIBLE_DEVICES",), ("HIP_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES")):
        variable = next((name for name in variables if name in environment), None)
        if variable is None:
            continue
        chosen = []
        for entry in (part.strip() for part in environment[variable].split(",")):
            matches = [item for item in shown if entry.startswith("GPU-") and item[0] == entry]
            if entry.isdigit() and int(entry) < len(shown):
                matches = [shown[int(entry)]]
            if len(matches) != 1:
                break  # HIP, too, sees only the devices before the first entry it cannot resolve.
            chosen.append(matches[0])
        if not chosen:
            raise Unavailable(f"{variable}={environment[variable]!r} names no GPU")
        shown = chosen
    return [gpu for _, gpu in shown]


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or value in _UNSET:
        return None
    return float(value)


def _first(values: Mapping[str, Any], names: tuple[str, ...]) -> float | None:
    return next((n for n in (_number(values.get(name)) for name in names) if n is not None), None)


def _text(value: Any) -> str | None:
    return str(value) if value not in (None, "", "N/A") else None


def _said(error: Exception) -> str:
    return str(getattr(error, "err_info", None) or error)
