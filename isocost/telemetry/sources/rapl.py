"""Processor energy from RAPL counters under /sys/class/powercap.

Lives here: finding the zones that do not overlap (packages and their DRAM), reading their
microjoule counters, removing wraps. Not here: power (RAPL has none; the average over the time
between two samples is derived and marked as such).

A counter wraps at ``max_energy_range_uj``, about four minutes at 1 kW. A second wrap between two
reads cannot be seen; the sampler reads far more often, and a gap beyond three seconds makes the
window invalid anyway.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from isocost.errors import IsocostError
from isocost.telemetry.source import DeviceReading, PowerSource, Unavailable, register
from isocost.units import joules_from_uj

POWERCAP = Path("/sys/class/powercap")


def counter_delta_uj(old: int, new: int, range_uj: int) -> int:
    """Increase of a counter between two reads, with at most one wrap.

    new - old, plus the range if negative.

    Raises:
        IsocostError: a reading outside [0, range].
    """
    if not (0 <= old <= range_uj and 0 <= new <= range_uj):
        raise IsocostError(
            f"counter readings {old} and {new} exceed the range {range_uj}",
            where="energy_uj",
            remedy="Read max_energy_range_uj again",
        )
    return new - old + (range_uj if new < old else 0)


@dataclass
class _Zone:
    device_id: str
    energy_file: Path
    range_uj: int
    last_uj: int
    last_s: float
    total_uj: int = 0


@register
class RaplSource(PowerSource):
    """Package and DRAM zones of the machine.

    Needs read access to energy_uj (root on most kernels).
    """

    name = "rapl"
    covers = "processor packages and DRAM of the whole machine"
    devices = frozenset({"cpu"})
    priority = 10
    average_is_of_counter = True

    def __init__(self, root: Path = POWERCAP, clock: Callable[[], float] = time.monotonic) -> None:
        """Find the zones below ``root``; raises `Unavailable` where none can be read."""
        self._clock = clock
        self._zones = _find(root, clock)

    @classmethod
    def open(cls, count: int | None) -> RaplSource:  # noqa: ARG003 - as every source
        """All zones: a processor is not shared out by devices."""
        return cls()

    def describe(self) -> dict[str, object]:
        """Zones and their ranges."""
        devices = [
            {"device_id": z.device_id, "counter_range_j": joules_from_uj(z.range_uj)}
            for z in self._zones
        ]
        return {
            "source": self.name,
            "devices": devices,
            "covers": self.covers,
        }

    def read(self, slow: bool = True) -> list[DeviceReading]:
        """Counters with wraps removed, and the mean power since the previous read."""
        readings = []
        for zone in self._zones:
            new, now = int(zone.energy_file.read_text()), self._clock()
            delta = counter_delta_uj(zone.last_uj, new, zone.range_uj)
            elapsed = now - zone.last_s
            zone.total_uj += delta
            zone.last_uj, zone.last_s = new, now
            average = joules_from_uj(delta) / elapsed if elapsed > 0 else None
            readings.append(
                DeviceReading(
                    zone.device_id,
                    power_average_w=average,
                    energy_counter_j=joules_from_uj(zone.total_uj),
                )
            )
        return readings


def _find(root: Path, clock: Callable[[], float]) -> list[_Zone]:
    if not root.is_dir():
        raise Unavailable(f"no {root}")
    zones, denied = [], []
    for folder in sorted(root.glob("intel-rapl:*")):
        try:
            name = (folder / "name").read_text().strip()
            # core and uncore are inside the package, psys includes it: adding any of them would
            # count energy twice.
            if not (name.startswith("package") or name == "dram"):
                continue
            label = f"{folder.name}/{name}"
            range_uj = int((folder / "max_energy_range_uj").read_text())
            zones.append(
                _Zone(
                    label,
                    folder / "energy_uj",
                    range_uj,
                    int((folder / "energy_uj").read_text()),
                    clock(),
                )
            )
        except PermissionError:
            denied.append(folder.name)
        except (FileNotFoundError, ValueError) as error:
            raise Unavailable(f"{folder.name} cannot be understood ({error})") from None
    if denied:
        raise Unavailable(f"energy_uj of {', '.join(denied)} is readable by root only")
    if not zones:
        raise Unavailable(f"no RAPL zones under {root}")
    return zones
