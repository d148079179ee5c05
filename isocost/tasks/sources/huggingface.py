"""Problems from a data set of the Hugging Face Hub.

Lives here: the settings of the source and how a row becomes a problem. `dataset` is the data set's
id. `config`: `columns` maps fields to columns; `subset`, `split`, `revision` say which rows, or
`files` with a pattern; `shuffle` draws the order of rows from the task's seed; `shuffle_choices`
and `reference_is` are about choices. Not here: reading
the hub (``isocost.hub``), tasks with a convention of their own (``isocost.tasks.ready``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from isocost.registry import did_you_mean
from isocost.tasks.columns import (
    REFERENCE_FORMS,
    ROLES,
    check_columns,
    choices_of,
    text_of,
    value_of,
)
from isocost.tasks.hub_rows import Rows, first_rows
from isocost.tasks.model import Problem, TaskLike, TaskMistake, make_problem
from isocost.tasks.registry import register_source
from isocost.tasks.shots import ANSWER_FIELD, example_keys
from isocost.tasks.sourcing import check_flags, check_known, check_texts

_PLACE = ("subset", "split", "revision", "files")
_KEYS = (*_PLACE, "columns", "shuffle", "shuffle_choices", "reference_is")
_RESOLVED = ("commit",)


@register_source
class HuggingFace:
    """The source "huggingface"."""

    name = "huggingface"

    def resolve(self, task: TaskLike) -> dict[str, Any]:
        """The settings with the commit that the revision means now."""
        self._check_settings(task)
        if task.config.get("commit"):
            return dict(task.config)
        return {**task.config, "commit": _rows(task).resolved()}

    def check(self, task: TaskLike) -> None:
        """Check settings, data set, split and columns, and the first problem."""
        self._check_settings(task)
        next(self._problems(task), None)

    def load(self, task: TaskLike) -> tuple[Problem, ...]:
        """The first distinct problems in the data set's order, or in an order that is drawn."""
        self._check_settings(task)
        return first_rows(task, _rows(task), self._problems(task))

    def example_changes(self, task: TaskLike, place: Mapping[str, Any]) -> dict[str, Any]:
        """Examples from another `split`, `subset` or `files`.

        `answer` names the column of the worked answer.
        """
        example_keys(place, ("split", "subset", "files", "answer"), self.name)
        columns = dict(task.config["columns"])
        if "answer" in place:
            columns[ANSWER_FIELD] = str(place["answer"])
        elif "tests" in columns:
            raise TaskMistake(
                "examples need a worked answer: the references of this task are tests",
                remedy="Name its column under shots.answer.",
                key=("config", "shots"),
            )
        rows = {key: value for key, value in place.items() if key != "answer"}
        dropped = ("files",) if {"split", "subset"} & set(rows) else ()
        if "files" in rows:
            dropped = ("split", "subset")
        kept = {key: value for key, value in task.config.items() if key not in dropped}
        return {"config": {**kept, **rows, "columns": columns}}

    def _check_settings(self, task: TaskLike) -> None:
        check_known(task, _KEYS, resolved=_RESOLVED)
        check_texts(task.config, (*_PLACE, *_RESOLVED))
        check_flags(task.config, "shuffle", "shuffle_choices")
        if task.config.get("files") and (task.config.get("subset") or task.config.get("split")):
            raise TaskMistake(
                "files are named by a pattern and by subset or split",
                remedy="Give either `files`, or `subset` and `split`.",
                key=("config", "files"),
            )
        check_columns(task.config.get("columns"))
        self._check_choices(task.config)

    def _check_choices(self, config: Mapping[str, Any]) -> None:
        columns, form = config["columns"], config.get("reference_is")
        if form is not None and form not in REFERENCE_FORMS:
            raise TaskMistake(
                f"{form!r} is not how a reference can name a choice",
                remedy=did_you_mean(str(form), REFERENCE_FORMS),
                key=("config", "reference_is"),
            )
        for key in ("shuffle_choices", "reference_is"):
            if config.get(key) and "choices" not in columns:
                raise TaskMistake(
                    f"{key} is about choices, and no column of choices is named",
                    remedy="Name it under columns.choices.",
                    key=("config", key),
                )
        if "choices" in columns and "reference" not in columns:
            raise TaskMistake(
                "choices need a reference that says which one is correct",
                remedy="Name its column under columns.reference.",
                key=("config", "columns"),
            )

    def _problems(self, task: TaskLike) -> Iterator[Problem]:
        for where, row in _rows(task).read(task.config["columns"]):
            yield _problem(task, row, where)


def _rows(task: TaskLike) -> Rows:
    return Rows(task.dataset, **{key: task.config.get(key) for key in (*_PLACE, *_RESOLVED)})


def _problem(task: TaskLike, row: Mapping[str, Any], where: str) -> Problem:
    columns = task.config["columns"]
    question = text_of(row, "question", columns["question"], where)
    metadata: dict[str, Any] = {"source": HuggingFace.name, "dataset": task.dataset, "row": where}
    metadata["commit"] = task.config.get("commit")
    fields = {
        name: text_of(row, name, column, where, may_be_empty=True)
        for name, column in columns.items()
        if name == "context" or name not in ROLES
    }
    cluster = None
    if "cluster" in columns:
        cluster = fields["cluster"] = text_of(row, "cluster", columns["cluster"], where)
    if "choices" in columns:
        shuffle = f"{task.seed}:{question}" if task.config.get("shuffle_choices") else None
        choices = choices_of(
            row, columns, where, form=task.config.get("reference_is"), shuffle=shuffle
        )
        fields |= {"stem": question, "choices": choices.lettered}
        question, reference = f"{question.strip()}\n\n{choices.lettered}", choices.letter
        metadata |= {"n_options": len(choices.texts), "choice_order": list(choices.order)}
    elif "tests" in columns:
        reference = fields["tests"] = _tests(row, columns["tests"], where)
    else:
        reference = text_of(row, "reference", columns["reference"], where)
    return make_problem(
        task.name,
        question,
        reference,
        task.verifier,
        cluster_id=cluster,
        metadata=metadata,
        fields=fields,
    )


def _tests(row: Mapping[str, Any], named: Any, where: str) -> str:
    """The tests of a row: texts of one or several columns, and of lists in them, one per line."""
    found = []
    for column in named if isinstance(named, list) else [named]:
        value = value_of(row, column)
        if isinstance(value, list):
            found += [text_of({column: part}, "tests", column, where) for part in value]
        else:
            found.append(text_of(row, "tests", column, where, may_be_empty=True))
    return "\n".join(found)
