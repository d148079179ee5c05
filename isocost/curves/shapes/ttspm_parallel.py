"""TTSPM, parallel scaling: F(N) = F_max (1 - (1 - p_sample)^N) over N independent samples.

Lives here: the parallel form of Wang et al. 2025, "Scaling over Scaling" (arXiv 2505.20522). It
takes one p for all problems; where problems differ, coverage is a mixture and this curve saturates
too early. Not here: the curve itself (``isocost.curves.absorbing``).
"""

from __future__ import annotations

from typing import ClassVar, Literal

from isocost.curves.absorbing import AbsorbingCurve
from isocost.curves.base import register


@register
class TtspmParallel(AbsorbingCurve):
    """x counts samples; p_sample is the chance that one sample succeeds."""

    name: ClassVar[str] = "ttspm_parallel"
    parameter_names: ClassVar[tuple[str, ...]] = ("F_max", "p_sample")
    axis: ClassVar[Literal["any", "samples", "rounds"]] = "samples"
