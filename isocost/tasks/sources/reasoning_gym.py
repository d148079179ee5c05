"""Problems from reasoning-gym's procedural datasets.

Lives here: creating a dataset from a task, and drawing distinct problems from it. Not here:
reasoning-gym's own scorers (the verifier of that name). `config` contains the dataset's own
settings; `seed` and the size are the task's.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import sys
import types
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from typing import Any

from isocost.hashing import canonical_json
from isocost.registry import did_you_mean
from isocost.tasks.model import Problem, TaskLike, TaskMistake, make_problem
from isocost.tasks.registry import register_source
from isocost.tasks.shots import example_keys

_NEEDS_PYCOSAT = ("zebra_puzzles",)
_DRAWS_PER_PROBLEM = 50
"""Data set size per requested problem.

Some data sets prepare all their entries, so it cannot simply be the largest number.
"""
_FRUITLESS_DRAWS = 1000
"""Consecutive repeats (or as many as there are problems so far, if that is more) after which a data
set counts as exhausted.
"""


@cache
def library() -> types.ModuleType:
    """The imported library (1 to 2 s, hence not at module level).

    It imports pycosat, a C extension without wheels, for one of about a hundred datasets; if that
    is missing, an empty module replaces it, and that dataset is rejected.
    """
    if "pycosat" not in sys.modules and importlib.util.find_spec("pycosat") is None:
        sys.modules["pycosat"] = types.ModuleType("pycosat")
    import reasoning_gym

    return reasoning_gym


def has_pycosat() -> bool:
    """Whether the real pycosat can be imported."""
    return (
        hasattr(sys.modules.get("pycosat"), "itersolve")
        if "pycosat" in sys.modules
        else importlib.util.find_spec("pycosat") is not None
    )


@cache
def _dataset(name: str, config_json: str, seed: int, size: int) -> Any:
    import json

    return library().create_dataset(name, seed=seed, size=size, **json.loads(config_json))


def entry_of(description: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The dataset and the entry that a problem's metadata describe.

    For reasoning-gym's own scorers.
    """
    dataset = _dataset(
        description["dataset"],
        canonical_json(description["config"]),
        description["seed"],
        description["size"],
    )
    return dataset, dataset[description["index"]]


@register_source
class ReasoningGym:
    """The source "reasoning_gym": `dataset` is one of its dataset names."""

    name = "reasoning_gym"

    def example_changes(
        self,
        task: TaskLike,  # noqa: ARG002  (other sources need it)
        place: Mapping[str, Any],
    ) -> dict[str, Any]:
        """Examples that are drawn with another `seed`."""
        example_keys(place, ("seed",), self.name)
        if type(place.get("seed")) is not int or place["seed"] < 0:
            raise TaskMistake(
                "must be a whole number", remedy="Give a seed.", key=("config", "shots", "seed")
            )
        return {"seed": place["seed"]}

    def check(self, task: TaskLike) -> None:
        """Check dataset name, config keys and values."""
        library()
        from reasoning_gym.factory import DATASETS

        if task.dataset not in DATASETS:
            raise TaskMistake(
                f"reasoning_gym has no dataset {task.dataset}",
                remedy=did_you_mean(task.dataset, DATASETS, kind="datasets"),
                key=("dataset",),
            )
        if task.dataset in _NEEDS_PYCOSAT and not has_pycosat():
            raise TaskMistake(
                f"dataset {task.dataset} needs the package pycosat",
                remedy="Install pycosat (it needs a C compiler).",
                key=("dataset",),
            )
        known = [
            f.name
            for f in dataclasses.fields(DATASETS[task.dataset][1])
            if f.name not in ("seed", "size")
        ]
        for key in task.config:
            if key not in known:
                remedy = (
                    "It is the task's own key."
                    if key == "seed"
                    else "Use n_problems."
                    if key == "size"
                    else did_you_mean(key, known, kind="settings")
                )
                raise TaskMistake(
                    f"dataset {task.dataset} has no setting {key} here",
                    remedy=remedy,
                    key=("config", key),
                )
        try:
            _dataset(task.dataset, canonical_json(task.config), task.seed, 1)[0]
        except (
            Exception
        ) as error:  # any mistake in the settings surfaces as an exception from the dataset
            raise TaskMistake(
                f"dataset {task.dataset} rejects its settings: {error or type(error).__name__}",
                remedy="Correct the settings.",
                key=("config",),
            ) from None

    def load(self, task: TaskLike) -> tuple[Problem, ...]:
        """The first distinct problems in the dataset's order.

        A question that repeats is used once.
        """
        self.check(task)
        size = task.n_problems * _DRAWS_PER_PROBLEM + _FRUITLESS_DRAWS
        dataset = _dataset(task.dataset, canonical_json(task.config), task.seed, size)
        common = {
            "source": self.name,
            "dataset": task.dataset,
            "config": task.config,
            "seed": task.seed,
            "size": size,
        }
        common["version"] = metadata.version("reasoning-gym")
        problems: dict[str, Problem] = {}
        index = last_new = 0
        while index < size and index - last_new <= max(_FRUITLESS_DRAWS, len(problems)):
            entry = dataset[index]
            index += 1
            problem = make_problem(
                task.name,
                entry["question"],
                str(entry["answer"]),
                task.verifier,
                metadata={**common, "index": index - 1},
            )
            if problem.problem_id in problems:
                continue
            problems[problem.problem_id], last_new = problem, index
            if len(problems) == task.n_problems:
                return tuple(problems.values())
        raise TaskMistake(
            f"dataset {task.dataset} with these settings has only {len(problems)} different"
            f" problems in {index} draws; {task.n_problems} are requested",
            remedy=f"Ask for at most {len(problems)}, or widen the settings.",
            key=("n_problems",),
        )
