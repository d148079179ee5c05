"""Ready-made tasks: public data sets with the prompt, shots and scoring that the field uses.

Lives here: what such a task states, and the path from its rows to problems. Not here: any
particular one (in ``isocost.tasks.ready``), nor reading the hub
(``isocost.tasks.hub_rows``).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from isocost.hub.rows import Row
from isocost.registry import Registry
from isocost.tasks.columns import Choices, text_of
from isocost.tasks.hub_rows import Rows
from isocost.tasks.model import Problem, TaskLike, TaskMistake, make_problem


@dataclass(frozen=True, slots=True)
class Made:
    """What a row becomes.

    Attributes:
        question: the question alone, with its lettered choices if there are any.
        reference: the correct answer as the task's verifier reads it.
        prompt: the question as the convention asks it, with instruction and shots: {prompt} in a
            template.
        fields: what else a template may name.
        metadata: what else is recorded about the problem.
    """

    question: str
    reference: str
    prompt: str
    fields: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)


class ReadyTask(ABC):
    """A ready-made task. Registered by its `name`, in a module of ready/ that is found there.

    Attributes:
        name: its name in a sweep, as the data set of the source "ready".
        title: what it measures, a few words.
        dataset: id of the data set on the Hub.
        subset: configuration of the data set.
        split: split of the subset.
        files: pattern of file names, instead of subset and split.
        columns: columns that it reads.
        verifier: how answers are graded.
        licence: licence of the data set, and of what else the prompt contains.
        follows: the paper or harness that the prompt and the scoring follow.
        n_shots: worked examples that its convention shows.
        is_sorted: whether its rows are sorted by subject, so that the first ones are all alike.
        convention: raised when prompt, shots or references change, so that points change with them.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    dataset: ClassVar[str]
    subset: ClassVar[str | None] = None
    split: ClassVar[str | None] = None
    files: ClassVar[str | None] = None
    columns: ClassVar[tuple[str, ...]]
    verifier: ClassVar[str]
    licence: ClassVar[str]
    follows: ClassVar[str]
    n_shots: ClassVar[int] = 0
    is_sorted: ClassVar[bool] = False
    convention: ClassVar[int] = 1

    def rows(self, *, revision: str | None = None, commit: str | None = None) -> Rows:
        """Its rows."""
        return Rows(self.dataset, revision, commit, self.subset, self.split, self.files)

    @abstractmethod
    def made(self, row: Row, where: str, *, seed: int, shots: Any) -> Made:
        """What a row becomes.

        Args:
            row: the row.
            where: file and row, for messages.
            seed: seed of the task, for the order of choices.
            shots: what `shots` returned.

        Raises:
            TaskMistake: a value is missing or impossible.
        """

    def shots(self, rows: Rows, count: int) -> Any:  # noqa: ARG002  (a hook)
        """The first worked examples, its own or from other rows of the same commit; None for none.

        Args:
            rows: the task's rows.
            count: how many, at most `n_shots`.
        """
        return None

    def problems(self, task: TaskLike, rows: Rows) -> Iterator[Problem]:
        """The problems in the data set's order.

        Raises:
            TaskMistake: a row or a file is at fault.
        """
        count = task.config.get("n_shots")
        shots = self.shots(rows, self.n_shots if count is None else count)
        for where, row in rows.read({name: name for name in self.columns}):
            made = self.made(row, where, seed=task.seed, shots=shots)
            yield make_problem(
                task.name,
                made.question,
                made.reference,
                task.verifier,
                metadata={
                    "source": "ready",
                    "dataset": self.dataset,
                    "row": where,
                    "commit": rows.commit,
                    **made.metadata,
                },
                fields={**made.fields, "prompt": made.prompt},
            )


READY: Registry[ReadyTask] = Registry("ready-made task", "isocost.tasks.ready")
register_ready = READY.instance


def made_of_choices(
    question: str, choices: Choices, prompt: str, *, shown: str | None = None, **metadata: Any
) -> Made:
    """What a row with choices becomes: the letter of the correct one is the reference.

    Args:
        question: without the choices.
        choices: its choices.
        prompt: as for `Made`.
        shown: the choices as the prompt shows them; `Choices.lettered` if None.
        metadata: what else is recorded, beside the number of choices.
    """
    shown = choices.lettered if shown is None else shown
    return Made(
        f"{question}\n\n{shown}",
        choices.letter,
        prompt,
        fields={"stem": question, "choices": shown},
        metadata={**metadata, "n_options": len(choices.texts)},
    )


def unexpected(what: str, where: str) -> TaskMistake:
    """A row that is not as the task knows the data set."""
    return TaskMistake(
        what,
        where=where,
        remedy="Give a revision of the data set with rows as this task expects them.",
        key=("config", "revision"),
    )


def text(row: Row, column: str, where: str) -> str:
    """A column's text without surrounding white space; TaskMistake if there is none."""
    return text_of(row, column, column, where, stripped=True)
