"""What a power source is, and how to open one.

Lives here: the `PowerSource` protocol, one reading, the registry and `open_source`. Not here: the
sources themselves (one module each), the sampling thread (`sampler`) and anything computed from
samples (`integrate`, `windows`, `measure`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from isocost.errors import IsocostError


@dataclass(frozen=True, slots=True)
class DeviceReading:
    """One device at one moment; None = the device or the driver does not say.

    Attributes:
        device_id: stable name of the device (NVML UUID, RAPL zone).
        power_w: instantaneous power.
        power_average_w: averaged power as the source defines it.
        energy_counter_j: energy counter with wraps removed.
        temperature_c: temperature.
        sm_clock_mhz: clock of the streaming multiprocessors.
        memory_used_bytes: device memory in use.
        throttle_reasons: reasons for lowered clocks; () = none.
        utilization_ratio: share of time a kernel ran, 0..1.
        compute_processes: processes with a compute context.
    """

    device_id: str
    power_w: float | None = None
    power_average_w: float | None = None
    energy_counter_j: float | None = None
    temperature_c: float | None = None
    sm_clock_mhz: float | None = None
    memory_used_bytes: int | None = None
    throttle_reasons: tuple[str, ...] | None = None
    utilization_ratio: float | None = None
    compute_processes: int | None = None


@runtime_checkable
class PowerSource(Protocol):
    """Something that can say how much power devices draw.

    Attributes:
        name: ``nvml``, ``rapl``, ``trace`` or ``none``; the value of the column source.
        unknown_reason: why energy is unknown; None when the source measures.
    """

    name: str
    unknown_reason: str | None

    def describe(self) -> dict[str, object]:
        """Devices, driver, limits: JSON-ready, for the run's manifest."""
        ...

    def read(self, slow: bool = True) -> list[DeviceReading]:
        """One reading per device.

        With ``slow`` also the readings that cost more (clocks, memory, processes).
        """
        ...

    def close(self) -> None:
        """Gives the driver back; reading afterwards is an error."""
        ...


class Unavailable(Exception):
    """A source cannot measure here; the text is the reason that tables will carry."""


Opener = Callable[[int | None], PowerSource]
_OPENERS: dict[str, Opener] = {}
_AUTO: dict[str, str] = {}


def register(name: str, *, device: str | None = None) -> Callable[[Opener], Opener]:
    """Decorates a function ``(count) -> PowerSource`` that opens the source ``name`` or raises
    `Unavailable`.

    Args:
        name: what `open_source` is asked for.
        device: kind of device whose power it reads (``cuda``, ``cpu``); given, ``auto`` tries it,
            in order of registration.
    """

    def keep(opener: Opener) -> Opener:
        _OPENERS[name] = opener
        if device is not None:
            _AUTO[name] = device
        return opener

    return keep


def open_source(
    kind: str = "auto", *, count: int | None = None, device: str | None = None
) -> PowerSource:
    """Opens a power source.

    Args:
        kind: ``auto`` (NVML, else RAPL, else none), ``none``, or one source by name. ``auto`` never
            fails: where nothing can be measured it returns the source ``none`` whose
            ``unknown_reason`` says what was tried.
        count: devices the engine uses (tensor times pipeline parallel); the first that many visible
            ones. None = all visible.
        device: what the engine computes on, ``cuda`` or ``cpu``; given, ``auto`` tries only sources
            that read that device, because the joules of a processor are not those of the GPU beside
            it. None = any.

    Returns:
        An open source.

    Raises:
        IsocostError: an unknown kind, or a source asked for by name that cannot measure here.
    """
    from isocost.telemetry.none import NoSource

    if kind == "auto":
        reasons = []
        for name, reads in _AUTO.items():
            if device not in (None, reads):
                reasons.append(f"{name}: reads {reads}, the engine computes on {device}")
                continue
            try:
                return _OPENERS[name](count)
            except Unavailable as error:
                reasons.append(f"{name}: {error}")
        return NoSource("no power source: " + "; ".join(reasons))
    if kind not in _OPENERS:
        raise IsocostError(
            f"unknown power source {kind!r}",
            where="telemetry",
            remedy=f"Use one of auto, {', '.join(sorted(_OPENERS))}",
        )
    try:
        return _OPENERS[kind](count)
    except Unavailable as error:
        raise IsocostError(
            f"the power source {kind} cannot measure here: {error}",
            where="telemetry",
            remedy="Use auto or none",
        ) from None
