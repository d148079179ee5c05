"""What task sources share: checks of their settings, and the first distinct problems.

Lives here: functions of a task's `config` and of problems in a row. Not here: any particular source
(``isocost.tasks.sources``).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from isocost.hashing import sha256_hex
from isocost.registry import did_you_mean
from isocost.tasks.model import Problem, TaskLike, TaskMistake


def check_known(task: TaskLike, known: Collection[str], *, resolved: Collection[str] = ()) -> None:
    """Check that a source has every setting of a task.

    Args:
        task: the task.
        known: settings that a sweep file may have.
        resolved: settings that planning adds.

    Raises:
        TaskMistake: it lacks one; names the nearest.
    """
    for key in task.config:
        if key not in known and key not in resolved:
            raise TaskMistake(
                f"source {task.source} has no setting {key}",
                remedy=did_you_mean(key, known, kind="settings"),
                key=("config", key),
            )


def check_texts(config: Mapping[str, Any], names: Iterable[str]) -> None:
    """Check that settings that are names are texts.

    Raises:
        TaskMistake: one is not.
    """
    for name in names:
        value = config.get(name)
        if value is not None and (not isinstance(value, str) or not value.strip()):
            raise TaskMistake(f"{name} must be a text", remedy="Quote it.", key=("config", name))


def check_flags(config: Mapping[str, Any], *names: str) -> None:
    """Check that settings are true or false.

    Raises:
        TaskMistake: one is neither.
    """
    for name in names:
        if not isinstance(config.get(name, False), bool):
            raise TaskMistake(
                "must be true or false", remedy="Give true or false.", key=("config", name)
            )


def first_distinct(
    task: TaskLike,
    problems: Iterable[Problem],
    *,
    named: str,
    if_none: str,
    is_shuffled: bool = False,
) -> tuple[Problem, ...]:
    """The first different problems.

    Args:
        task: says how many.
        problems: in the order of the data.
        named: the data, for the message.
        if_none: remedy if there is no problem at all.
        is_shuffled: whether the order is drawn from the task's seed instead, for data that are
            sorted by subject; all of them are read.

    Raises:
        TaskMistake: there are fewer than the task requests.
    """
    found: dict[str, Problem] = {}
    for problem in problems:
        found.setdefault(problem.problem_id, problem)
        if len(found) == task.n_problems and not is_shuffled:
            break
    if len(found) < task.n_problems:
        raise TaskMistake(
            f"{named} holds {len(found)} different problems; {task.n_problems} are requested",
            remedy=f"Ask for at most {len(found)}." if found else if_none,
            key=("n_problems",),
        )
    order = list(found)
    if is_shuffled:
        order.sort(key=lambda problem_id: sha256_hex([task.seed, problem_id]))
    return tuple(found[problem_id] for problem_id in order[: task.n_problems])
