"""TTSPM, sequential scaling: F(N) = F_max (1 - (1 - p_rethink)^N) over N rounds of rethinking.

Lives here: the sequential form of Wang et al. 2025, "Scaling over Scaling" (arXiv 2505.20522): a
round moves a wrong answer to the right one with chance p_rethink, and a right answer is never left
again, which overthinking breaks. Not here: the curve itself (``isocost.curves.absorbing``).
"""

from __future__ import annotations

from typing import ClassVar, Literal

from isocost.curves.absorbing import AbsorbingCurve
from isocost.curves.base import register


@register
class TtspmSequential(AbsorbingCurve):
    """x counts rounds; p_rethink is the chance that one round repairs a wrong answer."""

    name: ClassVar[str] = "ttspm_sequential"
    parameter_names: ClassVar[tuple[str, ...]] = ("F_max", "p_rethink")
    axis: ClassVar[Literal["any", "samples", "rounds"]] = "rounds"
