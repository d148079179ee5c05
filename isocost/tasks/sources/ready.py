"""Ready-made tasks by name: `dataset: gsm8k` is the data set, prompt and scoring of that name.

Lives here: the settings of the source. `config` may have `revision`, `n_shots` for fewer of the
task's own examples, and `shuffle` for an order of rows drawn from the task's seed. Not here: the
tasks themselves (``isocost.tasks.ready``).
"""

from __future__ import annotations

from typing import Any

from isocost.tasks.hub_rows import first_rows
from isocost.tasks.model import Problem, TaskLike, TaskMistake
from isocost.tasks.ready_made import READY, ReadyTask
from isocost.tasks.registry import register_source
from isocost.tasks.sourcing import check_flags, check_known, check_texts

_KEYS = ("revision", "shuffle", "n_shots")
_RESOLVED = ("commit", "convention")


@register_source
class Ready:
    """The source "ready"."""

    name = "ready"
    has_own_shots = True

    def resolve(self, task: TaskLike) -> dict[str, Any]:
        """The settings with the commit of the data set and the version of the convention."""
        ready = self._checked(task)
        if task.config.get("commit"):
            return dict(task.config)
        commit = ready.rows(revision=task.config.get("revision")).resolved()
        return {**task.config, "commit": commit, "convention": ready.convention}

    def check(self, task: TaskLike) -> None:
        """Check name, settings and verifier, and the first problem."""
        ready = self._checked(task)
        next(ready.problems(task, _rows(ready, task)), None)

    def load(self, task: TaskLike) -> tuple[Problem, ...]:
        """The first distinct problems in the data set's order, or in an order that is drawn."""
        ready = self._checked(task)
        rows = _rows(ready, task)
        return first_rows(task, rows, ready.problems(task, rows))

    def _checked(self, task: TaskLike) -> ReadyTask:
        found = READY.all()
        if task.dataset not in found:
            raise TaskMistake(
                f"there is no ready-made task {task.dataset}",
                remedy=f"{READY.remedy(task.dataset)} `isocost tasks` describes them.",
                key=("dataset",),
            )
        ready = found[task.dataset]
        check_known(task, _KEYS, resolved=_RESOLVED)
        check_texts(task.config, ("revision", "commit"))
        check_flags(task.config, "shuffle")
        if task.verifier != ready.verifier:
            raise TaskMistake(
                f"task {ready.name} is graded by {ready.verifier}, not {task.verifier}",
                remedy=f"Set verifier to {ready.verifier}.",
                key=("verifier",),
            )
        count = task.config.get("n_shots")
        if count is not None and count > ready.n_shots:
            raise TaskMistake(
                f"task {ready.name} has {ready.n_shots} examples of its own",
                remedy=f"Ask for at most {ready.n_shots}, or give your own under shots.examples.",
                key=("config", "n_shots"),
            )
        planned = task.config.get("convention")
        if planned is not None and planned != ready.convention:
            raise TaskMistake(
                f"task {ready.name} was planned with version {planned} of its prompt and scoring;"
                f" this version of Isocost has version {ready.convention}",
                remedy="Plan the sweep again, or use the version of Isocost that planned it.",
                key=("config", "convention"),
            )
        return ready


def _rows(ready: ReadyTask, task: TaskLike) -> Any:
    return ready.rows(revision=task.config.get("revision"), commit=task.config.get("commit"))
