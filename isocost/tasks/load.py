"""Load a task's problems.

Lives here: the path from a task to its problems, with the checks that all sources share. Not here:
any particular source.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any

from isocost.hashing import canonical_json
from isocost.tasks.model import Problem, TaskLike, TaskMistake
from isocost.tasks.registry import check_options, source_of, verifier_of
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


def check_task(task: TaskLike) -> None:
    """Check a task without generating anything.

    Raises TaskMistake for an unknown source, dataset or verifier, or settings that the source or
    the verifier rejects.
    """
    check_options(task.verifier)
    own, thoughts = _of_source(task)
    _check_thoughts(task, thoughts)
    source_of(task.source).check(own)


def resolved_config(task: TaskLike) -> dict[str, Any]:
    """A task's settings, with what its data set's name means now.

    They are unchanged for a source whose data cannot change under its name, and for settings that
    are resolved already.

    Raises:
        TaskMistake: an unknown source, or a data set or revision that it cannot find.
    """
    resolve = getattr(source_of(task.source), "resolve", None)
    if resolve is None:
        return task.config
    own, thoughts = _of_source(task)
    found: dict[str, Any] = resolve(own)
    return found if thoughts is None else {**found, "thoughts": thoughts}


def _of_source(task: TaskLike) -> tuple[TaskLike, Any]:
    """The task as its source sees it, and its setting `config.thoughts`, common to all sources.

    That setting describes how its models mark their reasoning.
    """
    config = dict(task.config)
    thoughts = config.pop("thoughts", None)
    try:
        thoughts_of(thoughts)
    except ValueError as error:
        raise TaskMistake(
            str(error),
            remedy='Write for example {"marks": [["<plan>", "</plan>"]], "is_open": false}.',
            key=("config", "thoughts"),
        ) from None
    return replace(_Task(**_stated(task)), config=config), thoughts


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
    task, thoughts = _of_source(_Task(**json.loads(text)))
    _check_thoughts(task, thoughts)
    verifier = verifier_of(task.verifier)
    problems = source_of(task.source).load(task)
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
