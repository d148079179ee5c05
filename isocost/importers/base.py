"""What an importer is.

Lives here: the ``Importer`` class, what it declares about its columns, the files it is given and
the registry. Not here: the formats themselves (one module each in ``formats``) and what is done
with their records (``sealing``, ``run``).
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
"""What makes numbers comparable: the name asked for -> the column it fills."""

MAX_FILES = 100_000


@dataclass(frozen=True, slots=True)
class Conventions:
    """What a format's columns mean.

    Attributes:
        units: column of ours -> the source's field and unit, in words.
        latency_meaning: what latency_s covers; None where the format has no latency.
        energy_method: how energy_j came about; None where the format has no energy.
        energy_unknown_reason: written on rows without energy.
        notes: traps of the format that a reader of the numbers must know.
    """

    units: dict[str, str] = field(default_factory=dict)
    latency_meaning: str | None = None
    energy_method: str | None = None
    energy_unknown_reason: str = "not_in_source"
    notes: tuple[str, ...] = ()


@dataclass(slots=True)
class Source:
    """What one import reads.

    Attributes:
        path: the path given.
        files: the regular files to read, sorted; all lie at or under ``path``.
        options: what the importing person gave beside the provenance: the mapping of the generic
            importer, the ``condition``, the ``metric``.
        at: the place being read now, for messages about what was not foreseen.
        warnings: what the importing person should know.
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

        That of a file beside it, read for what it states of it, is its own.
        """
        if file == self.path:
            return file.name
        try:
            return file.relative_to(self.path).as_posix()
        except ValueError:
            return file.name

    def row(self, kind: str, file: Path, place: str | None = None) -> Row:
        """Starts a record at a place of a file."""
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
        """A name for the run that wrote this one file.

        The same bytes are the same run, wherever they lie.
        """
        digest = self.digests.get(file)
        return None if digest is None else f"sha256:{digest[:16]}"


class Importer:
    """One format.

    Subclasses are registered with ``@register`` in a module of their own in ``formats``.

    Attributes:
        name: what people write after ``isocost import``.
        title: what it reads, one line.
        version: raised when the same file would give other rows; a re-import then supersedes.
        conventions: meaning of the columns.
        takes_mapping: whether a mapping says what its columns mean.
        takes_metric: whether it is asked which of several metrics judges
            (``source.options["metric"]``).
        harmless: pattern of a dotted setting name -> why the setting does not change what is
            measured. Every other setting that the source states enters the point's identity.
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
        """The files to read for a path given.

        Raises:
            IsocostError: the path is not of this format, as far as names tell.
        """
        return [regular_file(path)]

    def records(self, source: Source) -> Iterator[Row]:
        """Every record of the source, streamed, in a fixed order."""
        raise NotImplementedError

    def write_fast(self, source: Source, folder: Path, constants: Any) -> int | None:
        """Writes all records as parts without a Python loop, where the format allows it.

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
    """Regular files below a folder that match one of the patterns, sorted; the path itself where it
    is a file.

    Raises:
        IsocostError: a symbolic link among them (it may lead anywhere), none found, or too many.
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
                    f"holds more than {MAX_FILES} files",
                    where=str(folder),
                    remedy="Import its subfolders one by one",
                )
    if not found:
        raise IsocostError(
            f"holds no {what}",
            where=str(folder),
            remedy=f"Looked for {', '.join(patterns)} here and below",
        )
    return sorted(found)
