"""The axis of device time, measured."""

from __future__ import annotations

from isocost.axes.model import AxisLabel, CostAxis, Field, Total
from isocost.axes.registry import register


@register
class DeviceTime(CostAxis):
    """Seconds of devices, shared by the calls that they worked on at once."""

    name, place, unit = "device_s", 90, "s"
    meaning = "Expected sum of device_s, in the batches that samples were run in; measured."
    label = AxisLabel(
        "Device time per problem (s)", "of device time per problem", "device time", "s"
    )
    adds = Total("device_s")
    fields = (
        Field(
            "device_s",
            "Measured device time: the run's window times its devices, shared in equal parts among"
            " the calls in the engine at each moment.",
            "s",
        ),
    )
    is_of_calls = True
    is_of_machine = True
    is_cost_of_pass = True
