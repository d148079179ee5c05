"""The axes of waiting time: samples one after another, and side by side."""

from __future__ import annotations

from isocost.axes.model import AxisLabel, CostAxis, DecodingShare, Elapsed, Field, Slowest
from isocost.axes.registry import register


@register
class LatencySequential(CostAxis):
    """How long somebody waits for samples one after another."""

    name, place, unit = "latency_sequential_s", 120, "s"
    meaning = "Expected latency one sample after another: sum of latency_s."
    label = AxisLabel(
        "Seconds per problem, samples one after another",
        "per problem in sequence",
        "time in sequence",
        "s",
    )
    adds = Elapsed("latency_s")
    cut = DecodingShare()
    verification = Field(
        "verification_latency_s",
        "Sum of the verifications' latency_s; NULL where not banked.",
        "s",
    )
    is_of_machine = True
    is_cost_of_pass = True


@register
class LatencyParallel(CostAxis):
    """How long somebody waits for samples side by side."""

    name, place, unit = "latency_parallel_s", 130, "s"
    meaning = (
        "Expected latency of samples that run side by side: expected maximum over the k drawn (an"
        " order statistic), the first to end for shortest_of_k, the sum over opened windows of the"
        " slowest for early stopping; equal to the sequential one for policies that wait for each"
        " sample."
    )
    label = AxisLabel(
        "Seconds per problem, samples side by side",
        "per problem side by side",
        "time side by side",
        "s",
    )
    adds = Slowest("latency_s")
    cut = DecodingShare()
    is_of_machine = True
