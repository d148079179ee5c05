"""The interface of importers.

Lives here: the ``Importer`` class, the declaration of its columns, its input files and the
registry. Not here: the formats themselves (one module each in ``formats``) and the processing of
their records (``sealing``, ``run``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from isocost.errors import IsocostError
from isocost.importers.reading import regular_file
from isocost.importers.row import Row
from isocost.registry import Registry

PROVENANCE = {
    "model": "model_variant",
    "task": "task",
    "task_version": "task_version",
    "prompt": "prompt",
    "sampling": "sampling",
}
"""Required for comparable numbers: name of the provenance -> the column it fills."""

MAX_FILES = 100_000


@dataclass(frozen=True, slots=True)
class Conventions:
    """The meaning of a format's columns.

    Attributes:
        units: column of ours -> the source's field and unit, in words.
        latency_meaning: what latency_s covers; None if the format has no latency.
        energy_method: how energy_j was obtained; None if the format has no energy.
        energy_unknown_reason: the reason for rows without energy.
        notes: pitfalls of the format that affect the numbers.
    """

    units: dict[str, str] = field(default_factory=dict)
    latency_meaning: str | None = None
    energy_method: str | None = None
    energy_unknown_reason: str = "not_in_source"
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class ImportInput:
    """The input of one import.

    Attributes:
        path: the path given.
        files: the regular files to read, sorted; all are at or under ``path``.
        options: what the user gave in addition to the provenance: the mapping of the generic
            importer, the ``condition``, the ``metric``.
        at: the current position, for messages about unexpected errors.
        warnings: notes for the user.
        digests: hash of each file's bytes.
        run: run of the other tool that the rows to come are of; the row's own file where None.
        is_one_run: whether all files are one run, in as many files as it has problems.
        unsaid: provenance columns that the source leaves open in some record.
        open_files: provenance columns that were given -> files that leave them open in some record.
        noted: what a note was made about already.
        contradicted: provenance columns that were given -> files that state something else, with
            the error at the first such record.
    """

    path: Path
    files: tuple[Path, ...]
    options: dict[str, Any] = field(default_factory=dict)
    at: str = ""
    warnings: list[str] = field(default_factory=list)
    digests: dict[Path, str] = field(default_factory=dict)
    run: str | None = None
    is_one_run: bool = False
    unsaid: set[str] = field(default_factory=set)
    open_files: dict[str, set[str]] = field(default_factory=dict)
    noted: set[str] = field(default_factory=set)
    contradicted: dict[str, dict[str, IsocostError]] = field(default_factory=dict)

    def relative(self, file: Path) -> str:
        """A file's name relative to the imported path.

        For a file outside it that is read for its settings, just its name.
        """
        if file == self.path:
            return file.name
        try:
            return file.relative_to(self.path).as_posix()
        except ValueError:
            return file.name

    def row(self, kind: str, file: Path, place: str | None = None) -> Row:
        """Start a record at a position in a file."""
        self.at = f"{file}, {place}" if place else str(file)
        row = Row(kind, self.relative(file), place, self.at)
        row.text("source_run", None if self.is_one_run else self.run or self.file_run(file))
        return row

    def note_once(self, note: str, about: str) -> None:
        """Notes something for the person who imports, once for each thing."""
        if about not in self.noted:
            self.noted.add(about)
            self.warnings.append(note)

    def file_run(self, file: Path) -> str | None:
        """An identifier of the run that wrote this file.

        The same bytes are the same run, wherever they are.
        """
        digest = self.digests.get(file)
        return None if digest is None else f"sha256:{digest[:16]}"


class Importer:
    """One format.

    Subclasses are registered with ``@register`` in a separate module in ``formats``.

    Attributes:
        name: the argument of ``isocost import``.
        title: what it reads, one line.
        version: raised when the same file gives different rows; importing it again then supersedes.
        conventions: meaning of the columns.
        takes_mapping: whether a mapping defines the meaning of its columns.
        takes_metric: whether the metric with the verdict can be selected
            (``source.options["metric"]``).
        harmless: pattern of a dotted setting name -> why the setting does not affect the
            measurement. Every other setting that the source states enters the point's identity.
        no_answers: words, stripped and in lower case, by which the source says that it found no
            answer in a text.
        rendered_prompts: whether ``problem_text`` is the rendered prompt, which differs between the
            prompts of one problem, and so cannot tell two problems apart.
        marks: sets of keys that the first object of one of its files holds and no other format's
            does.
        names: patterns of file names that only this format has.
        heads: patterns (as of ``re``) that the first line of one of its text files holds and no
            other format's does.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    version: ClassVar[int] = 1
    conventions: ClassVar[Conventions] = Conventions()
    takes_mapping: ClassVar[bool] = False
    takes_metric: ClassVar[bool] = False
    harmless: ClassVar[Mapping[str, str]] = {}
    no_answers: ClassVar[frozenset[str]] = frozenset({""})
    rendered_prompts: ClassVar[bool] = False
    marks: ClassVar[tuple[frozenset[str], ...]] = ()
    names: ClassVar[tuple[str, ...]] = ()
    heads: ClassVar[tuple[str, ...]] = ()

    def files(self, path: Path) -> list[Path]:
        """The files to read for a given path.

        Raises:
            IsocostError: the path is not of this format, judging by names.
        """
        return [regular_file(path)]

    def stated_by_place(self, file: Path) -> str:
        """What the rows depend on in a file's name or the folders above it; part of its content.

        Empty where the format reads nothing there: a renamed copy is then the same import.
        """
        return ""

    def records(self, source: ImportInput) -> Iterator[Row]:
        """Every record of the source, streamed, in a fixed order."""
        raise NotImplementedError

    def write_fast(self, source: ImportInput, folder: Path, constants: Any) -> int | None:
        """Write all records as parts without a Python loop, where the format allows it.

        Args:
            source: what to read.
            folder: where the parts go, named part-00000.parquet and on.
            constants: the run's constants (``run.Constants``).

        Returns:
            The number of records, or None when the rows must go through ``records`` (also to find
            the place of a fault).
        """
        return None


IMPORTERS: Registry[Importer] = Registry("importer", "isocost.importers.formats")
register = IMPORTERS.instance


def registered() -> dict[str, Importer]:
    """Every importer by name."""
    return IMPORTERS.all()


def importer(name: str) -> Importer:
    """One importer by name.

    Raises:
        IsocostError: no such format; the message has the nearest name.
    """
    return IMPORTERS.get(name)


def files_under(folder: Path, patterns: tuple[str, ...], what: str) -> list[Path]:
    """Regular files below a folder that match a pattern, sorted; or the path itself, if a file.

    Raises:
        IsocostError: a symbolic link among them (it may point anywhere), none found, or too many.
    """
    if not folder.is_dir():
        return [regular_file(folder)]
    if folder.is_symlink():
        raise IsocostError("is a symbolic link", where=str(folder), remedy="Give the folder itself")
    found: set[Path] = set()
    for pattern in patterns:
        for path in folder.rglob(pattern):
            if not path.is_dir() or path.is_symlink():
                found.add(regular_file(path))
            if len(found) > MAX_FILES:
                raise IsocostError(
                    f"contains more than {MAX_FILES} files",
                    where=str(folder),
                    remedy="Import its subfolders one by one",
                )
    if not found:
        raise IsocostError(
            f"contains no {what}",
            where=str(folder),
            remedy=f"Looked for {', '.join(patterns)} here and below",
        )
    return sorted(found)
