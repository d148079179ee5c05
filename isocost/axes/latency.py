"""The axes of waiting time: samples one after another, and side by side."""

from __future__ import annotations

from isocost.axes.model import AxisLabel, CostAxis, DecodingShare, Elapsed, Field, Slowest
from isocost.axes.registry import register


@register
class LatencySequential(CostAxis):
    """Time to draw samples one after another."""

    name, place, unit = "latency_sequential_s", 120, "s"
    meaning = "Expected latency one sample after another: sum of latency_s."
    label = AxisLabel(
        "Latency per problem, samples in sequence (s)",
        "per problem in sequence",
        "time in sequence",
        "s",
    )
    adds = Elapsed("latency_s")
    cut = DecodingShare()
    verification = Field(
        "verification_latency_s",
        "Sum of the verifications' latency_s; NULL if not banked.",
        "s",
    )
    is_of_machine = True
    is_cost_of_pass = True


@register
class LatencyParallel(CostAxis):
    """Time to draw samples in parallel."""

    name, place, unit = "latency_parallel_s", 130, "s"
    meaning = (
        "Expected latency of samples that run side by side: expected maximum over the k drawn (an"
        " order statistic), the first to end for shortest_of_k, the sum over opened windows of the"
        " slowest for early stopping; equal to the sequential one for policies that wait for each"
        " sample."
    )
    label = AxisLabel(
        "Latency per problem, samples in parallel (s)",
        "per problem in parallel",
        "time in parallel",
        "s",
    )
    adds = Slowest("latency_s")
    cut = DecodingShare()
    is_of_machine = True
