"""The rows of a data set of the Hub, for task sources.

Lives here: from a data set's name and settings to its rows, with the hub's faults as mistakes of a
task's keys. Not here: the hub itself (``isocost.hub``), what the rows mean
(``isocost.tasks.columns`` and each source).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from isocost.errors import IsocostError
from isocost.hub import HubFault, Repository, repository_at, resolve
from isocost.hub.rows import Row, rows_of
from isocost.hub.splits import data_files, matching
from isocost.tasks.columns import top_columns
from isocost.tasks.model import Problem, TaskLike, TaskMistake
from isocost.tasks.sourcing import first_distinct

_KEYS: dict[str, tuple[str | int, ...]] = {
    "repository": ("dataset",),
    "revision": ("config", "revision"),
    "subset": ("config", "subset"),
    "split": ("config", "split"),
    "files": ("config", "files"),
}


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of a data set.

    Attributes:
        dataset: id of the data set.
        revision: the revision that was asked for.
        commit: what it was resolved to; None before that.
        subset: configuration of the data set.
        split: split of the subset.
        files: pattern of file names, instead of subset and split.
    """

    dataset: str
    revision: str | None = None
    commit: str | None = None
    subset: str | None = None
    split: str | None = None
    files: str | None = None

    def resolved(self) -> str:
        """The commit that the revision means now.

        Raises:
            TaskMistake: there is no such data set or revision, or the hub cannot be asked.
        """
        return self._repository().commit

    def read(self, columns: Mapping[str, Any]) -> Iterator[tuple[str, Row]]:
        """Its rows, each with its place: file and row.

        Files are fetched one after the other, as they are needed.

        Args:
            columns: columns to read by the field that each becomes; see ``top_columns``.

        Raises:
            TaskMistake: a file cannot be found or read, or lacks a column.
        """
        with _mistakes():
            repository = self._repository()
            for file in self._files(repository):
                where = f"{self.dataset} {file}"
                choose = partial(top_columns, columns, where=where)
                for number, row in rows_of(repository.fetch(file), file, choose):
                    yield f"{where} row {number}", row

    def _repository(self) -> Repository:
        with _mistakes():
            if self.commit is not None:
                return repository_at("dataset", self.dataset, self.commit)
            return resolve("dataset", self.dataset, self.revision)

    def _files(self, repository: Repository) -> list[str]:
        names = repository.sizes()
        if self.files is not None:
            return matching(self.dataset, names, self.files)
        card = repository.card()
        return data_files(self.dataset, names, card, subset=self.subset, split=self.split)

    def __str__(self) -> str:
        """As messages show it."""
        parts = (self.files,) if self.files else (self.subset, self.split)
        shown = ", ".join(part for part in parts if part)
        return f"{self.dataset} ({shown})" if shown else self.dataset


@contextmanager
def _mistakes() -> Iterator[None]:
    try:
        yield
    except HubFault as fault:
        raise TaskMistake(
            fault.what, where=fault.where, remedy=fault.remedy, key=_KEYS[fault.about]
        ) from None
    except TaskMistake:
        raise
    except IsocostError as error:  # the data set's card
        raise TaskMistake(
            error.what,
            where=error.where,
            remedy="Give the data set's files with a pattern under files.",
            key=("dataset",),
        ) from None


def first_rows(task: TaskLike, rows: Rows, problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """The first different problems of rows, in an order that is drawn with `config.shuffle`.

    Raises:
        TaskMistake: there are fewer than the task requests.
    """
    is_shuffled = bool(task.config.get("shuffle"))
    remedy = "Name another split."
    return first_distinct(task, problems, named=str(rows), if_none=remedy, is_shuffled=is_shuffled)
