"""The energy axis, measured or stated by a source."""

from __future__ import annotations

from isocost.axes.model import AxisLabel, CostAxis, Field, TokenShare, Total
from isocost.axes.registry import register


@register
class Energy(CostAxis):
    """Energy in joules, each value with the method by which it was obtained."""

    name, place, unit = "energy_j", 100, "J"
    meaning = "Expected sum of the samples' energy_j; see energy_method."
    label = AxisLabel("Energy per problem (J)", "per problem", "energy", "J")
    adds = Total("energy_j")
    cut = TokenShare("energy_method", "output_token_share", "energy_not_shared_by_tokens")
    fields = (
        Field(
            "energy_j",
            "Energy attributed to the sample; NULL if no power source was read.",
            "J",
        ),
        Field(
            "energy_method",
            "Power source and attribution rule of energy_j; NULL with it. Different methods are "
            "never"
            " pooled.",
            type="string",
            over_calls="first",
        ),
        Field(
            "energy_unknown_reason",
            "Why energy_j is NULL; NULL if it is known.",
            type="string",
            over_calls="known",
        ),
    )
    is_of_calls = True
    method = "energy_method"
    needs_method = True
    outcome_method = Field(
        "energy_method",
        "Method of the samples' energy; NULL if unknown or mixed: different methods are never "
        "pooled.",
        type="string",
    )
    verification = Field(
        "verification_energy_j",
        "Energy attributed to the sample's verifications; NULL if unknown.",
        "J",
    )
    is_of_machine = True
    own_reason = Field(
        "energy_unknown_reason",
        "Why energy_j_per_problem is NULL; NULL if it is known.",
        type="string",
    )
    is_cost_of_pass = True
