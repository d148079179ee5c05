"""The source of a machine that cannot measure power: no readings, and the reason why."""

from __future__ import annotations

from isocost.telemetry.source import DeviceReading, PowerSource, register


@register
class NoSource(PowerSource):
    """Reads nothing; ``unknown_reason`` goes into every energy_unknown_reason."""

    name = "none"
    covers = "nothing"

    def __init__(self, reason: str = "telemetry is switched off") -> None:
        """Keep the reason why energy is unknown."""
        self.unknown_reason = reason

    @classmethod
    def open(cls, count: int | None) -> NoSource:  # noqa: ARG003 - as every source
        """Always there."""
        return cls()

    def describe(self) -> dict[str, object]:
        """Name and reason."""
        return {"source": self.name, "devices": [], "unknown_reason": self.unknown_reason}

    def read(self, slow: bool = True) -> list[DeviceReading]:
        """No readings."""
        return []
