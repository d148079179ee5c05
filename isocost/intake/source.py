"""One source of data, regardless of how its rows were obtained.

Lives here: ``Source``, the interface of engine sessions and imports for all steps. Not here: the
two
kinds (``isocost.intake.sessions``, ``isocost.intake.imported``), which sources exist
(``isocost.intake.catalog``), how core tables are built from one (``isocost.build.curate``).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import polars as pl

from isocost.errors import IsocostError
from isocost.seals import checksum, identity
from isocost.store import SESSION_ID, Store

Banked = dict[str, dict[str, int]]
"""Rows by part, by raw table."""


@dataclass(frozen=True)
class Share:
    """What a source adds at most to one configuration of a task, known before reading rows.

    Attributes:
        task: the task.
        point: the configuration.
        problems: its problems.
        samples: its samples of all problems.
        per_problem: its samples of each problem; None if the source does not state it.
    """

    task: str
    point: str
    problems: int
    samples: int
    per_problem: int | None = None


@dataclass(frozen=True)
class Lying:
    """The files in the lake that a source's core tables are built from.

    Attributes:
        root: the lake.
        listed: path relative to the lake, and an identity that changes when the file is touched.
    """

    root: Path
    listed: list[list[str | int]]

    def content(self) -> list[list[str | int]]:
        """The same by content.

        Parts by name and size, because their manifests have their checksums; other files by their
        own checksum.
        """
        return [
            [
                str(name),
                int(size) if str(name).endswith(".parquet") else checksum(self.root / str(name)),
            ]
            for name, size, *_ in self.listed
        ]


@dataclass(frozen=True)
class Source(ABC):
    """An engine session or an import, by its key: the name of its partition and of its core files.

    Creating one reads nothing; each method states what it reads.

    Attributes:
        store: where everything is.
        key: its name in the store.
    """

    store: Store
    key: str

    suffix: ClassVar[str]
    """Of the file that makes it known."""

    @property
    def file(self) -> Path:
        """The file that makes it known; without it, its data in the lake is lost."""
        return self.store.session_file(self.key).with_suffix(self.suffix)

    @property
    def is_known(self) -> bool:
        """Whether its file is there; never for a name that no source can have."""
        return SESSION_ID.fullmatch(self.key) is not None and self.file.exists()

    @abstractmethod
    def check(self) -> None:
        """Read its file.

        Raises:
            IsocostError: it is damaged or missing.
        """

    @abstractmethod
    def inputs(self) -> dict[str, Any]:
        """Inputs of its core tables other than files of the lake, as values to be hashed.

        Raises:
            IsocostError: it is not known here, or its file is damaged.
        """

    @abstractmethod
    def folders(self) -> tuple[str, ...]:
        """The folders of the lake that its core tables are built from."""

    def lying(self) -> Lying:
        """The files in those folders, by path."""
        found = [entry for folder in self.folders() for entry in _listed(self.store.lake, folder)]
        return Lying(self.store.lake, found)

    @abstractmethod
    def raw(self, table_name: str) -> pl.DataFrame:
        """Its rows of a raw table, with every part checked against its checksum.

        Empty for a table that this kind of source does not have.

        Raises:
            Damaged: a part is not what was sealed.
            IsocostError: one is missing.
        """

    @abstractmethod
    def prove(self) -> None:
        """Check every part against its sealed checksum.

        Each is read once per process while it is unchanged.

        Raises:
            Damaged: a part or manifest is not what was sealed.
            IsocostError: one is missing.
        """

    @abstractmethod
    def banked(self) -> Banked:
        """Rows of every part, as its manifests say.

        Raises:
            IsocostError: a manifest is damaged or missing.
        """

    @abstractmethod
    def gone(self, known: Mapping[str, Mapping[str, int]]) -> int:
        """Rows that were banked, are no longer in the lake, and are not accounted for.

        Args:
            known: an earlier result of ``banked``.
        """

    @abstractmethod
    def set_aside_damaged(self) -> tuple[str, ...]:
        """Quarantine its damaged parts.

        Returns:
            A sentence for everything that was moved.

        Raises:
            IsocostError: that is impossible now.
        """

    @abstractmethod
    def is_in_quarantine(self) -> bool:
        """Whether all of it is in quarantine."""

    @abstractmethod
    def was_set_aside(self) -> bool:
        """Whether anything of it is in quarantine, also where its own file is gone."""

    @abstractmethod
    def shares(self) -> Iterator[Share]:
        """What it brings to each configuration at most.

        Raises:
            IsocostError: its file or manifest is damaged.
        """

    @abstractmethod
    def lost(self) -> IsocostError:
        """Why it cannot be curated if the lake has rows of it but its file is missing."""


def _listed(lake: Path, folder: str) -> list[list[str | int]]:
    if not (lake / folder).is_dir():
        return []
    found = sorted(
        path
        for path in (lake / folder).rglob("*")
        if path.is_file() and not path.name.startswith(".")
    )
    return [[path.relative_to(lake).as_posix(), *identity(path)] for path in found]
