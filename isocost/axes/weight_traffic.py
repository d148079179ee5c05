"""The axis of weight traffic: a request's share of the weights that its steps read."""

from __future__ import annotations

from isocost.axes.compute import Calls
from isocost.axes.model import AxisLabel, ByTokens, CostAxis, Field, Floats, Total
from isocost.axes.registry import register
from isocost.costs.roofline import weight_traffic_bytes
from isocost.errors import IsocostError


@register
class WeightTraffic(CostAxis):
    """Bytes of weights, shared by the sequences that decode together."""

    name, place, unit = "weight_traffic_bytes", 80, "bytes"
    meaning = (
        "Expected sum of the samples' weight_traffic_bytes, in the batches they were run in;"
        " modelled."
    )
    label = AxisLabel(
        "Weight traffic per problem (bytes, modelled)",
        "of weight traffic per problem",
        "weight traffic",
        "B",
    )
    adds = Total("weight_traffic_bytes")
    cut = ByTokens(degree=1)
    fields = (
        Field(
            "weight_traffic_bytes",
            "Bytes of weights read, modelled by the model card: all for the prefill, and of each"
            " decode step 1 / decode_batch_mean of its run.",
            "bytes",
        ),
        Field(
            "traffic_method",
            "How the traffic was obtained: modelled (KV alone) or modelled_decode_batch_mean"
            " (both).",
            type="string",
            over_calls="same",
        ),
    )
    needs_cards = ("model",)

    def compute(self, calls: Calls) -> Floats:
        """See `isocost.costs.roofline.weight_traffic_bytes`."""
        batch = calls.cards.decode_batch
        if batch is None:
            raise IsocostError(
                "the mean decode batch is unknown",
                where="cost axes",
                remedy="Pass decode_batch=; 1 for a single request",
            )
        return weight_traffic_bytes(
            calls.model,
            calls.prompt,
            calls.output,
            cached_tokens=calls.cached,
            batch=batch,
        )
