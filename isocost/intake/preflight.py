"""All checks of a sweep before anything starts.

Lives here: the check that combines several packages: the sweep file, its tasks, its engine's
options, its models and this machine. Not here: each package's own checks (isocost.sweep,
isocost.tasks, isocost.engines), and checks that need a tokenizer or a running engine (the payload).
"""

from __future__ import annotations

from pathlib import Path

from isocost.engines.protocol import engine_class
from isocost.errors import IsocostError
from isocost.payload.crew import naming
from isocost.payload.work import engine_settings, payload_options
from isocost.sweep import SweepSpec, TaskSpec, load_sweep, plan_sessions
from isocost.sweep.limits import check_models, machine_memory_bytes
from isocost.tasks import TaskMistake, check_task, load_problems


def preflight(path: str | Path, *, has_models: bool = True) -> SweepSpec:
    """Read a sweep file and check all of it; start nothing and write nothing.

    Args:
        path: the sweep file.
        has_models: whether model folders must exist here; False to plan on a different machine than
            the one that runs.

    Returns:
        The sweep, ready to be expanded.

    Raises:
        IsocostError: the first mistake, with file, line, dotted key and what would be right.
    """
    spec = load_sweep(path)
    check_tasks(spec)
    check_options(spec)
    if has_models:
        check_models(spec, memory_bytes=machine_memory_bytes())
    return spec


def check_options(spec: SweepSpec) -> None:
    """Pass every session's options to its engine and the payload, which reject unknown ones.

    Raises:
        IsocostError: with the position in the sweep file.
    """
    for session in plan_sessions(spec):
        try:
            payload_options(session)
            engine_class(session.engine.engine)(engine_settings(session, session.engine.seed))
            for alias, partner in session.partners.items():
                with naming(alias):
                    engine_class(partner.engine)(engine_settings(session, partner.seed, alias))
        except IsocostError as error:
            place = error.where or ""
            if " " in place or not place.startswith(("engine.", "partners.")):
                raise
            raise IsocostError(
                error.what,
                where=spec.source.where(*place.split(".")),
                remedy=error.remedy,
            ) from None


def check_tasks(spec: SweepSpec) -> None:
    """Load every task's problems, so that mistakes are reported now.

    An unknown data set, verifier or setting, or too few problems.

    Raises:
        IsocostError: with the position in the sweep file.
    """
    for index, entry in enumerate(spec.tasks):
        task = TaskSpec(**{name: getattr(entry, name) for name in TaskSpec.model_fields})
        try:
            check_task(task)
            load_problems(task)
        except TaskMistake as mistake:
            inner = f" ({mistake.where})" if mistake.where else ""
            raise IsocostError(
                mistake.what + inner,
                where=spec.source.where("tasks", index, *mistake.key),
                remedy=mistake.remedy,
            ) from None
