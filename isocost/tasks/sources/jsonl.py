"""Problems from a JSONL file.

Lives here: reading one problem per line, with the names of the fields given in `config`. Not here:
tables of measured answers (isocost.importers).

`dataset` is the file's path, relative to the working directory. `config`: `question` and
`reference` name the fields (these are their default names), `cluster` the field of problems that
belong together, `context` that of the text which several questions are about. GSM8K's own files
need `reference: answer` (the verifier "numeric" understands its "#### 18").
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from isocost.tasks.model import Problem, TaskLike, TaskMistake, make_problem
from isocost.tasks.registry import register_source
from isocost.tasks.shots import example_keys
from isocost.tasks.sourcing import check_known, first_distinct

_KEYS = {"question": "question", "reference": "reference", "cluster": None, "context": None}


@register_source
class JsonLines:
    """The source "jsonl"."""

    name = "jsonl"
    fields = _KEYS

    def check(self, task: TaskLike) -> None:
        """Check file and config keys, and the first problem."""
        check_known(task, _KEYS)
        for key, value in task.config.items():
            if not isinstance(value, str):
                raise TaskMistake(
                    "must be the name of a field", remedy="Give a text.", key=("config", key)
                )
        if not Path(task.dataset).expanduser().is_file():
            raise TaskMistake(
                f"there is no file {task.dataset}",
                remedy=f"The path is relative to the working directory, {Path.cwd()}.",
                key=("dataset",),
            )
        next(self._rows(task), None)

    def load(self, task: TaskLike) -> tuple[Problem, ...]:
        """The first distinct problems in the file's order."""
        self.check(task)
        return first_distinct(
            task,
            self._rows(task),
            named=task.dataset,
            if_none="Put one JSON object on each line.",
        )

    def example_changes(self, task: TaskLike, place: Mapping[str, Any]) -> dict[str, Any]:
        """Examples from another `file`; `answer` names the field of the worked answer."""
        example_keys(place, ("file", "answer"), self.name)
        config = dict(task.config)
        if "answer" in place:
            config["reference"] = str(place["answer"])
        return {"dataset": str(place.get("file", task.dataset)), "config": config}

    def _rows(self, task: TaskLike) -> Iterator[Problem]:
        names = {**_KEYS, **self.fields, **task.config}
        try:
            with Path(task.dataset).expanduser().open(encoding="utf-8") as lines:
                for number, line in enumerate(lines, start=1):
                    if line.strip():
                        yield self._problem(task, names, number, line)
        except (OSError, UnicodeDecodeError) as error:
            raise TaskMistake(
                f"cannot be read: {error}",
                where=task.dataset,
                remedy="Give a UTF-8 text file.",
                key=("dataset",),
            ) from None

    def _problem(self, task: TaskLike, names: dict[str, Any], number: int, line: str) -> Problem:
        where = f"{task.dataset} line {number}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise TaskMistake(
                f"is not JSON: {error}",
                where=where,
                remedy="Put one JSON object on each line.",
                key=("dataset",),
            ) from None
        if not isinstance(row, dict):
            raise TaskMistake(
                "is not a JSON object",
                where=where,
                remedy="Put one JSON object on each line.",
                key=("dataset",),
            )
        values = {}
        for role in _KEYS:
            name = names[role]
            if name is None:
                continue
            if (
                not isinstance(row.get(name), str | int | float)
                or isinstance(row.get(name), bool)
                or not str(row[name]).strip()
            ):
                raise TaskMistake(
                    f"field {name} ({role}) is missing, empty, or neither text nor number",
                    where=where,
                    remedy=(
                        f"Fields here: {', '.join(map(str, row)) or 'none'}. Name the right one in"
                        f" config.{role}."
                    ),
                    key=("config", role) if role in task.config else ("config",),
                )
            values[role] = str(row[name])
        return make_problem(
            task.name,
            values["question"],
            values["reference"],
            task.verifier,
            cluster_id=values.get("cluster"),
            fields={"context": values["context"]} if "context" in values else None,
            metadata={"source": self.name, "file": Path(task.dataset).name, "line": number},
        )
