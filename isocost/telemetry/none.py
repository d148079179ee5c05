"""The source of a machine that cannot measure power: no readings, and the reason why."""

from __future__ import annotations

from isocost.telemetry.sources import DeviceReading, PowerSource, register


class NoSource:
    """Reads nothing; ``unknown_reason`` goes into every energy_unknown_reason."""

    name = "none"

    def __init__(self, reason: str) -> None:
        """Keeps the reason why energy is unknown."""
        self.unknown_reason: str | None = reason

    def describe(self) -> dict[str, object]:
        """Name and reason."""
        return {"source": self.name, "devices": [], "unknown_reason": self.unknown_reason}

    def read(self, slow: bool = True) -> list[DeviceReading]:
        """No readings."""
        return []

    def close(self) -> None:
        """Nothing to give back."""


@register("none")
def _open(count: int | None) -> PowerSource:
    return NoSource("telemetry is switched off")
