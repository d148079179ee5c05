"""Where the compute of a point's method goes.

Not here: how the table is computed (``isocost.tables.costs.method_calls``).
"""

from __future__ import annotations

from isocost.build.rules.base import Frames, Rule
from isocost.build.slices import Rows
from isocost.store import Store

_READS = ("core_calls", "core_samples", "core_points")


def derive_method_calls(rows: Rows | Store) -> Frames:
    """Calls of one point by their role."""
    from isocost.tables.costs.method_calls import build_method_calls

    calls = rows.read(
        "core_calls",
        columns=(
            "sample_id",
            "session_id",
            "point_id",
            "role",
            "is_used",
            "not_used_reason",
            "energy_method",
            "energy_unknown_reason",
            "prompt_tokens",
            "cached_tokens",
            "output_tokens",
            "latency_s",
            "device_s",
            "energy_j",
        ),
    )
    samples = rows.read(
        "core_samples",
        columns=(
            "sample_id",
            "session_id",
            "problem_id",
            "task",
            "model_variant",
            "prompt",
            "point_id",
            "is_valid",
            "shared_id",
            "n_context_questions",
        ),
    )
    found = build_method_calls(calls, samples, rows.read("core_points"))
    return {"out_method_calls": found}


RULES = (Rule("costs", "point", ("out_method_calls",), _READS, derive_method_calls),)
