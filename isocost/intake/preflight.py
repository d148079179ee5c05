"""All checks of a sweep before anything starts.

Lives here: the check that combines several packages: the sweep file, its tasks, its engine's
options, its models and this machine. Not here: each package's own checks (isocost.sweep,
isocost.tasks, isocost.engines), and checks that need a tokenizer or a running engine (the payload).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path

from isocost.engines.protocol import engine_class
from isocost.errors import IsocostError
from isocost.intake.hub_models import resolved_models
from isocost.methods import method_of
from isocost.payload.crew import naming
from isocost.payload.preflight import check_context
from isocost.payload.work import engine_settings, payload_options
from isocost.registry import did_you_mean
from isocost.sweep import Session, SweepSpec, TaskSpec, load_sweep, plan_sessions
from isocost.sweep.expand import model_variants
from isocost.sweep.limits import check_models, machine_memory_bytes
from isocost.sweep.models import SAMPLE
from isocost.sweep.spec import TaskEntry
from isocost.tasks import (
    Problem,
    TaskMistake,
    check_access,
    check_task,
    load_problems,
    missing_field,
    names_field,
    resolved_config,
    unsuited,
)


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
    spec = resolved_models(resolved_tasks(load_sweep(path)))
    check_tasks(spec)
    check_options(spec)
    if has_models:
        check_verifiers_access(spec)
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
            if place.startswith("model."):
                key = ("models", _index_of(spec, session), *place.split(".")[1:])
                raise IsocostError(
                    error.what, where=spec.source.where(*key), remedy=error.remedy
                ) from None
            if " " in place or not place.startswith(("engine.", "partners.")):
                raise
            raise IsocostError(
                error.what,
                where=spec.source.where(*place.split(".")),
                remedy=error.remedy,
            ) from None


def _index_of(spec: SweepSpec, session: Session) -> int:
    """The position in the sweep file of the model that a session's engine loads."""
    return next(
        index
        for index, entry in enumerate(spec.models)
        if session.engine.model.name in {variant.name for variant in model_variants(entry)}
    )


def resolved_tasks(spec: SweepSpec) -> SweepSpec:
    """The sweep with what the names of its data sets mean now, such as the commit of a revision.

    Raises:
        IsocostError: an unknown source, data set or revision, with the position in the sweep file.
    """
    entries = []
    for index, entry in enumerate(spec.tasks):
        with _in_the_file(spec, index):
            if "commit" in entry.config:
                raise TaskMistake(
                    "the commit is what the revision is resolved to",
                    remedy="Give a commit under revision.",
                    key=("config", "commit"),
                )
            config = resolved_config(_task(entry))
        entries.append(entry.model_copy(update={"config": config}))
    return spec.model_copy(update={"tasks": tuple(entries)})


def check_tasks(spec: SweepSpec) -> None:
    """Load every task's problems, so that mistakes are reported now.

    An unknown data set, verifier or setting, too few problems, a prompt that names what a task does
    not have, or a problem without the context that a method needs.

    Raises:
        IsocostError: with the position in the sweep file.
    """
    methods = [method_of(entry.name, entry.parameters) for entry in spec.grid.method]
    for index, entry in enumerate(spec.tasks):
        task = _task(entry)
        with _in_the_file(spec, index):
            check_task(task)
            problems = load_problems(task)
        for method, problem in product(methods, problems):
            check_context(method, problem)
        _check_templates(spec, task, problems[0])
        _check_length(spec, task)


def check_verifiers_access(spec: SweepSpec) -> None:
    """Check what the tasks' verifiers need of this machine, such as the key of a judge.

    Raises:
        IsocostError: with the position in the sweep file.
    """
    for index, entry in enumerate(spec.tasks):
        with _in_the_file(spec, index):
            check_access(entry.verifier)


def _check_templates(spec: SweepSpec, task: TaskSpec, problem: Problem) -> None:
    """Check that the prompts of a task name only what its problems have, and what they need."""
    fields = {"question", *problem.fields}
    for index, prompt in enumerate(spec.prompts):
        if prompt.tasks is not None and task.name not in prompt.tasks:
            continue
        where = spec.source.where("prompts", index, "template")
        fault = unsuited(prompt, problem)
        if fault is not None:
            raise IsocostError(fault.what, where=where, remedy=fault.remedy)
        missing = missing_field(prompt.template, fields)
        if missing is not None:
            raise IsocostError(
                f"names {{{missing}}}, which task {task.name} does not have",
                where=where,
                remedy=(
                    f"{did_you_mean(missing, fields, kind='fields of this task')} To show braces,"
                    " put a space inside them; `tasks` limits a prompt to some tasks."
                ),
            )
        for number, shot in enumerate(problem.shots):
            lacking = missing_field(prompt.template, shot.fields)
            if lacking is not None:
                raise IsocostError(
                    f"names {{{lacking}}}, which example {number + 1} of task {task.name} does not"
                    " have",
                    where=where,
                    remedy="Add it to the example, or limit the prompt to other `tasks`.",
                )
        doubled = names_field(prompt.template, "question") and any(
            name in fields and names_field(prompt.template, name) for name in ("stem", "choices")
        )
        if doubled:
            raise IsocostError(
                f"shows the choices of task {task.name} twice: {{question}} includes them",
                where=where,
                remedy="Use {question} alone, or {stem} and {choices}.",
            )
        if names_field(prompt.template, "stem") and not names_field(prompt.template, "choices"):
            raise IsocostError(
                f"names {{stem}} without {{choices}}: no choices of task {task.name} are shown",
                where=where,
                remedy="Add {choices}, or use {question}.",
            )
        if "context" in fields and not _shows(spec, prompt.template, "context"):
            raise IsocostError(
                f"does not name {{context}}, which task {task.name} maps",
                where=where,
                remedy="Add {context}, or leave it out of the task's columns.",
            )


def _check_length(spec: SweepSpec, task: TaskSpec) -> None:
    """Check that a task that states how long its answers may be is measured with that budget."""
    own = task.config.get("max_gen_toks")
    if own is None:
        return
    for index, prompt in enumerate(spec.prompts):
        if prompt.tasks is not None and task.name not in prompt.tasks:
            continue
        budgets = spec.grid.max_tokens if prompt.max_tokens is None else prompt.max_tokens
        if own not in budgets:
            key = ("grid",) if prompt.max_tokens is None else ("prompts", index)
            raise IsocostError(
                f"task {task.name} generates up to {own} tokens (its max_gen_toks), which is none"
                " of these budgets",
                where=spec.source.where(*key, "max_tokens"),
                remedy=f"Add {own}, or state another number in the task's config.max_gen_toks.",
            )


def _shows(spec: SweepSpec, template: str, field: str) -> bool:
    """Whether a field may reach the model: by the template, or by a method of several calls."""
    has_method = any(entry.name != SAMPLE for entry in spec.grid.method)
    return has_method or names_field(template, field) or names_field(template, "prompt")


def _task(entry: TaskEntry) -> TaskSpec:
    return TaskSpec(**{name: getattr(entry, name) for name in TaskSpec.model_fields})


@contextmanager
def _in_the_file(spec: SweepSpec, index: int) -> Iterator[None]:
    """Add the position in the sweep file to a mistake of a task."""
    try:
        yield
    except TaskMistake as mistake:
        inner = f" ({mistake.where})" if mistake.where else ""
        raise IsocostError(
            mistake.what + inner,
            where=spec.source.where("tasks", index, *mistake.key),
            remedy=mistake.remedy,
        ) from None
