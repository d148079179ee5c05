"""The interface of power sources, and opening one.

Lives here: the `PowerSource` base class, one reading, what a source declares, and `open_source`.
Not here: the sources themselves (one file each in ``sources``), the sampling thread (`sampler`)
and anything computed from samples (`integrate`, `windows`, `measure`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, cast

from isocost.capabilities import AUTO, POWER_SOURCES
from isocost.errors import IsocostError


@dataclass(frozen=True, slots=True)
class DeviceReading:
    """One device at one moment; None = the device or the driver does not say.

    Attributes:
        device_id: stable name of the device (a board's UUID, a RAPL zone).
        power_w: instantaneous power.
        power_average_w: averaged power as the source defines it.
        energy_counter_j: energy counter with wraps removed.
        temperature_c: temperature.
        sm_clock_mhz: clock of the compute units (NVIDIA: streaming multiprocessors).
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


class PowerSource(ABC):
    """A source of power readings of devices.

    Subclasses are registered with ``@register`` in a separate module in ``sources``.

    Attributes:
        name: its name in a sweep, the value of the column ``source``, and the first part of every
            ``energy_method`` derived from it.
        covers: what its joules include, in words.
        devices: kinds of device that it reads (``cuda``, ``cpu``), as named by engines. ROCm calls
            its devices ``cuda``, too.
        priority: ``auto`` tries the source of the highest priority first. None: the source is used
            only if requested by name.
        throttle_reasons: every known reason for lowered clocks -> whether that affects the
            measurement, so that a window with it has no energy.
        average_is_of_counter: whether its averaged power is computed from its energy counter, and
            so cannot confirm the counter.
        unknown_reason: why energy is unknown; None when the source measures.
    """

    name: ClassVar[str]
    covers: ClassVar[str]
    devices: ClassVar[frozenset[str]] = frozenset()
    priority: ClassVar[int | None] = None
    throttle_reasons: ClassVar[Mapping[str, bool]] = {}
    average_is_of_counter: ClassVar[bool] = False
    unknown_reason: str | None = None

    @classmethod
    @abstractmethod
    def open(cls, count: int | None) -> PowerSource:
        """Start the driver.

        Args:
            count: devices that the engine uses, the first that many visible ones; None = all.

        Raises:
            Unavailable: it cannot measure here; the text is the reason.
        """

    @abstractmethod
    def describe(self) -> dict[str, object]:
        """Devices, driver, limits: JSON-ready, for the run's manifest.

        ``devices`` is a list with the ``device_id`` of each and, if it has one, the ``name`` used
        by device cards.
        """

    @abstractmethod
    def read(self, slow: bool = True) -> list[DeviceReading]:
        """One reading per device.

        With ``slow`` also the readings that cost more (clocks, memory, processes).
        """

    def close(self) -> None:
        """Give the driver back; reading afterwards is an error."""
        return None


class Unavailable(Exception):
    """A source cannot measure here; the text is the reason that tables will carry."""


register = POWER_SOURCES.add


def power_sources() -> list[type[PowerSource]]:
    """Every source: first those that ``auto`` tries, in its order, then the others by name."""
    found = [cast(type[PowerSource], cls) for cls in POWER_SOURCES.all().values()]
    return sorted(found, key=lambda cls: (cls.priority is None, -(cls.priority or 0), cls.name))


def declared(source: str) -> type[PowerSource] | None:
    """The source with a name, or None.

    None if the name no longer exists, or is the name of another tool.
    """
    return cast("type[PowerSource] | None", POWER_SOURCES.all().get(source))


def slowdowns_of(source: str) -> frozenset[str]:
    """Throttle reasons that affect the measurement, by the source of the samples.

    For samples of an unknown source, those of any source.
    """
    own = declared(source)
    return frozenset(
        reason
        for cls in ([own] if own is not None else power_sources())
        for reason, changes in cls.throttle_reasons.items()
        if changes
    )


def open_source(
    kind: str = AUTO, *, count: int | None = None, device: str | None = None
) -> PowerSource:
    """Open a power source.

    Args:
        kind: ``auto`` or one source by name. ``auto`` tries the sources by their priority and never
            fails: if nothing can be measured, it returns the source ``none`` with an
                ``unknown_reason`` that lists what was tried.
        count: devices the engine uses (tensor times pipeline parallel); the first that many visible
            ones. None = all visible.
        device: the device that the engine uses, ``cuda`` or ``cpu``; if given, ``auto`` tries only
            sources for that device, because processor energy is not GPU energy. None = any.

    Returns:
        An open source.

    Raises:
        IsocostError: an unknown kind, or a named source that cannot measure here.
    """
    if kind != AUTO:
        return _open_named(kind, count)
    reasons = []
    for cls in power_sources():
        if cls.priority is None:
            continue
        if device is not None and device not in cls.devices:
            reads = " or ".join(sorted(cls.devices))
            reasons.append(f"{cls.name}: reads {reads}, the engine computes on {device}")
            continue
        try:
            return cls.open(count)
        except Exception as error:  # a broken driver must not cost the run
            reasons.append(f"{cls.name}: {_reason(error)}")
    from isocost.telemetry.sources.none import NoSource

    return NoSource("no power source: " + "; ".join(reasons))


def _open_named(name: str, count: int | None) -> PowerSource:
    cls = cast(type[PowerSource], POWER_SOURCES.get(name, where="telemetry"))
    try:
        return cls.open(count)
    except Exception as error:
        raise IsocostError(
            f"the power source {name} cannot measure here: {_reason(error)}",
            where="telemetry",
            remedy=f"Write `telemetry: {AUTO}` for what this machine supports, or `telemetry: "
            f"none`.",
        ) from None


def _reason(error: Exception) -> str:
    said = " ".join(str(error).split())
    return said if isinstance(error, Unavailable) else f"{type(error).__name__}: {said}"
