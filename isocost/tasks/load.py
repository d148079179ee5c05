"""Load a task's problems.

Lives here: the path from a task to its problems, with the checks that all sources share. Not here:
any particular source.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any

from isocost.hashing import canonical_json
from isocost.tasks.model import Problem, Shot, TaskLike, TaskMistake
from isocost.tasks.registry import check_options, source_of, verifier_of
from isocost.tasks.shots import KEYS as SHOT_KEYS
from isocost.tasks.shots import (
    check_hash,
    chosen_shots,
    inline_shots,
    refuse_asked,
    shot_settings,
    with_hash,
)
from isocost.tasks.thoughts import thoughts_of
from isocost.verifier_settings import name_of


@dataclass(slots=True)
class _Task:
    """The fields of a task that its problems depend on."""

    name: str
    source: str
    dataset: str
    config: dict[str, Any]
    n_problems: int
    seed: int
    verifier: str


_FIELDS = tuple(field.name for field in fields(_Task))


_COMMON = ("thoughts", *SHOT_KEYS)
"""Settings that every source has: how reasoning is marked, and worked examples."""


def check_task(task: TaskLike) -> None:
    """Check a task without generating anything.

    Raises TaskMistake for an unknown source, dataset or verifier, or settings that the source or
    the verifier rejects.
    """
    check_options(task.verifier)
    own, common = _of_source(task)
    _check_thoughts(task, common.get("thoughts"))
    source_of(task.source).check(own)


def resolved_config(task: TaskLike) -> dict[str, Any]:
    """A task's settings, with what its data set's name means now.

    They are unchanged for a source whose data cannot change under its name, and for settings that
    are resolved already. Examples that are taken from elsewhere are fixed by their hash.

    Raises:
        TaskMistake: an unknown source, or a data set or revision that it cannot find.
    """
    own, common = _of_source(task)
    resolve = getattr(source_of(task.source), "resolve", None)
    settings = shot_settings(common)
    is_fixed = settings is None or settings.is_inline or not settings.place
    if resolve is None and (is_fixed or "sha256" in common["shots"]):
        return task.config
    found: dict[str, Any] = dict(own.config) if resolve is None else resolve(own)
    if not is_fixed and "sha256" not in common["shots"]:
        own = replace(own, config=found)
        shots = _shots(own, common, source_of(task.source).load(own))
        common = with_hash(common, shots)
    found.pop("n_shots", None)
    return {**found, **common}


def _of_source(task: TaskLike) -> tuple[_Task, dict[str, Any]]:
    """The task as its source sees it, and the settings that are common to all sources."""
    config = dict(task.config)
    common = {name: config.pop(name) for name in _COMMON if name in config}
    try:
        thoughts_of(common.get("thoughts"))
    except ValueError as error:
        raise TaskMistake(
            str(error),
            remedy='Write for example {"marks": [["<plan>", "</plan>"]], "is_open": false}.',
            key=("config", "thoughts"),
        ) from None
    source = source_of(task.source)
    settings = shot_settings(common)
    if settings is not None:
        if getattr(source, "has_own_shots", False):
            config["n_shots"] = 0 if settings.place else settings.count
        elif settings.count and not settings.place:
            raise TaskMistake(
                "it is not stated where the examples come from",
                remedy="Add config.shots, for example `shots: {examples: [...]}`.",
                key=("config", "n_shots"),
            )
    return replace(_Task(**_stated(task)), config=config), common


def _shots(
    task: _Task, common: Mapping[str, Any], problems: tuple[Problem, ...]
) -> tuple[Shot, ...]:
    """The worked examples of a task."""
    settings = shot_settings(common)
    if settings is None or not settings.place:
        return ()
    if any(problem.messages for problem in problems):
        raise TaskMistake(
            "the task makes whole chats, to which no examples can be added",
            remedy="Use the task's own setting for examples.",
            key=("config", "shots"),
        )
    if settings.is_inline:
        shots = inline_shots(settings)
        refuse_asked(shots, problems)
        return shots
    source = source_of(task.source)
    changes = getattr(source, "example_changes", None)
    if changes is None:
        raise TaskMistake(
            f"source {task.source} offers no examples",
            remedy="Write them under shots.examples.",
            key=("config", "shots"),
        )
    place = {key: value for key, value in settings.place.items() if key != "sha256"}
    other = replace(task, **changes(task, place))
    shots = chosen_shots(
        settings, lambda count: source.load(replace(other, n_problems=count)), problems
    )
    check_hash(settings, shots)
    return shots


def _check_thoughts(task: TaskLike, thoughts: Any) -> None:
    """Refuse marks of reasoning for a verifier that reads all of a text; see `Verifier`."""
    if hasattr(verifier_of(task.verifier), "grade_whole") and thoughts is not None:
        raise TaskMistake(
            f"verifier {task.verifier} grades the whole text, its reasoning included",
            remedy="Remove thoughts, or choose another verifier.",
            key=("config", "thoughts"),
        )


def _stated(task: TaskLike) -> dict[str, Any]:
    return {name: getattr(task, name) for name in _FIELDS}


def load_problems(task: TaskLike) -> tuple[Problem, ...]:
    """The problems of a task, in its source's order.

    They are the same for the same task and library version.

    Raises:
        TaskMistake: as `check_task`; also if the source has fewer distinct problems than requested,
            or a reference answer that the verifier cannot use.
    """
    return _load(canonical_json({**_stated(task), "config": resolved_config(task)}))


@lru_cache(maxsize=64)
def _load(text: str) -> tuple[Problem, ...]:
    task, common = _of_source(_Task(**json.loads(text)))
    thoughts = common.get("thoughts")
    _check_thoughts(task, thoughts)
    verifier = verifier_of(task.verifier)
    problems = source_of(task.source).load(task)
    if shots := _shots(task, common, problems):
        problems = tuple(replace(problem, shots=shots) for problem in problems)
    if thoughts is not None:
        problems = tuple(
            replace(problem, metadata={**problem.metadata, "thoughts": thoughts})
            for problem in problems
        )
    check_problem = getattr(verifier, "check_problem", None)
    for index, problem in enumerate(problems):
        fault = verifier.check_reference(problem.reference)
        if fault:
            raise TaskMistake(
                f"task {task.name}: the reference answer of problem {index} does not suit verifier"
                f" {name_of(task.verifier)}: {fault}",
                where=str(problem.metadata.get("row", "")),
                remedy="Choose a verifier that suits the answers.",
                key=("verifier",),
            )
        if check_problem is not None:
            check_problem(problem)
    return problems
