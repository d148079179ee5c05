"""Sweeps: the definition of what to measure, its validation and its expansion.

Lives here: the sweep file (spec, loader), the frozen points and sessions it becomes (models,
expand), and the limits of machine and model (limits, paths). Not here: problems and verifiers
(isocost.tasks), the measurement itself (isocost.generate).
"""

from isocost.sweep.expand import expand, plan_sessions
from isocost.sweep.loader import load_sweep, sweep_from_text
from isocost.sweep.models import (
    Adapter,
    Budget,
    EngineConfig,
    ModelVariant,
    PlannedPoint,
    Point,
    PromptSpec,
    Sampling,
    Session,
    TaskSpec,
    make_point,
    read_session,
    sample_id_of,
    session_from_json,
    session_json,
)
from isocost.sweep.paths import (
    adapter_folder,
    hub_repository,
    is_hub_id,
    model_folder,
    weights_folder,
)
from isocost.sweep.spec import SweepSpec

__all__ = [
    "Adapter",
    "Budget",
    "EngineConfig",
    "ModelVariant",
    "PlannedPoint",
    "Point",
    "PromptSpec",
    "Sampling",
    "Session",
    "SweepSpec",
    "TaskSpec",
    "adapter_folder",
    "expand",
    "hub_repository",
    "is_hub_id",
    "load_sweep",
    "make_point",
    "model_folder",
    "plan_sessions",
    "read_session",
    "sample_id_of",
    "session_from_json",
    "session_json",
    "sweep_from_text",
    "weights_folder",
]
