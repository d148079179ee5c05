"""The axis of KV cache traffic: bytes of keys and values written and read."""

from __future__ import annotations

from isocost.axes.compute import Calls
from isocost.axes.model import AxisLabel, ByTokens, CostAxis, Field, Floats, Total
from isocost.axes.registry import register
from isocost.costs.roofline import kv_traffic_bytes


@register
class KvTraffic(CostAxis):
    """Bytes of a request's own KV cache, the same in any batch."""

    name, place, unit = "kv_traffic_bytes", 70, "bytes"
    meaning = "Expected sum of kv_traffic_bytes, as samples were run; modelled."
    label = AxisLabel(
        "KV cache traffic per problem (bytes, modelled)",
        "of KV cache traffic per problem",
        "KV traffic",
        "B",
    )
    adds = Total("kv_traffic_bytes")
    cut = ByTokens(degree=2)
    fields = (
        Field(
            "kv_traffic_bytes",
            "Bytes of KV cache written once and read at every decode step, modelled by the model"
            " card.",
            "bytes",
        ),
    )
    needs_cards = ("model",)

    def compute(self, calls: Calls) -> Floats:
        """See `isocost.costs.roofline.kv_traffic_bytes`."""
        return kv_traffic_bytes(calls.model, calls.prompt, calls.output)
