"""What NVML says about each NVIDIA board: driver, limits, memory, clocks, MIG, other processes.

Lives here: `installed_boards`, for reports about a machine. Not here: readings over time
(``sources.nvml``).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from isocost.telemetry.source import Unavailable
from isocost.units import watts_from_mw


@dataclass(frozen=True, slots=True)
class Board:
    """One board. A value that its driver does not give is None.

    Attributes:
        uuid: its identifier.
        name: its product name.
        driver: version of the driver.
        cuda: version of CUDA that the driver supports, such as "13.0".
        memory_bytes: its memory.
        free_bytes: what of it is free.
        power_limit_w: the limit in force.
        power_range_w: lowest and highest limit that can be set.
        sm_clock_mhz: clock of the multiprocessors now.
        sm_clock_max_mhz: highest clock.
        has_energy_counter: whether it counts joules.
        is_partitioned: whether MIG is on.
        foreign_processes: ids of other processes that compute on it.
    """

    uuid: str
    name: str
    driver: str | None
    cuda: str | None
    memory_bytes: int | None
    free_bytes: int | None
    power_limit_w: float | None
    power_range_w: tuple[float, float] | None
    sm_clock_mhz: int | None
    sm_clock_max_mhz: int | None
    has_energy_counter: bool
    is_partitioned: bool
    foreign_processes: tuple[int, ...] | None


def installed_boards() -> list[Board]:
    """Every NVIDIA board of this machine, whatever CUDA_VISIBLE_DEVICES says.

    Raises:
        Unavailable: the library or the driver is missing, or there is no board; the text says
            which.
    """
    with _nvml() as nvml:
        driver = _asked(nvml, lambda: _text(nvml.nvmlSystemGetDriverVersion()))
        cuda = _asked(nvml, nvml.nvmlSystemGetCudaDriverVersion_v2)
        count = nvml.nvmlDeviceGetCount()
        if not count:
            raise Unavailable(f"driver {driver} lists no GPU")
        handles = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(count)]
        return [_board(nvml, handle, driver, _cuda_text(cuda)) for handle in handles]


@contextmanager
def _nvml() -> Iterator[Any]:
    try:
        import pynvml
    except ImportError:
        raise Unavailable("the Python package nvidia-ml-py is not installed") from None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        raise Unavailable(f"NVML, the library of the NVIDIA driver, fails: {error}") from None
    try:
        yield pynvml
    finally:
        pynvml.nvmlShutdown()


def _board(nvml: Any, handle: Any, driver: str | None, cuda: str | None) -> Board:
    memory = _asked(nvml, lambda: nvml.nvmlDeviceGetMemoryInfo(handle))
    limit = _asked(nvml, lambda: nvml.nvmlDeviceGetEnforcedPowerLimit(handle))
    span = _asked(nvml, lambda: nvml.nvmlDeviceGetPowerManagementLimitConstraints(handle))
    mode = _asked(nvml, lambda: nvml.nvmlDeviceGetMigMode(handle))
    clock = nvml.NVML_CLOCK_SM
    processes = _asked(nvml, lambda: nvml.nvmlDeviceGetComputeRunningProcesses(handle))
    counter = _asked(nvml, lambda: nvml.nvmlDeviceGetTotalEnergyConsumption(handle))
    return Board(
        uuid=_text(nvml.nvmlDeviceGetUUID(handle)),
        name=_text(nvml.nvmlDeviceGetName(handle)),
        driver=driver,
        cuda=cuda,
        memory_bytes=None if memory is None else memory.total,
        free_bytes=None if memory is None else memory.free,
        power_limit_w=None if limit is None else watts_from_mw(limit),
        power_range_w=None if span is None else (watts_from_mw(span[0]), watts_from_mw(span[1])),
        sm_clock_mhz=_asked(nvml, lambda: nvml.nvmlDeviceGetClockInfo(handle, clock)),
        sm_clock_max_mhz=_asked(nvml, lambda: nvml.nvmlDeviceGetMaxClockInfo(handle, clock)),
        has_energy_counter=counter is not None,
        is_partitioned=mode is not None and mode[0] == 1,
        foreign_processes=None
        if processes is None
        else tuple(p.pid for p in processes if p.pid != os.getpid()),
    )


def _asked(nvml: Any, call: Callable[[], Any]) -> Any:
    """The value; None if the driver does not give it."""
    try:
        return call()
    except nvml.NVMLError:
        return None


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _cuda_text(number: int | None) -> str | None:
    return None if number is None else f"{number // 1000}.{number % 1000 // 10}"
