"""One import from start to seal.

Lives here: ``import_path``: provenance checked, content hashed, records streamed into staged parts,
sealed. Not here: formats (one module each) and the layout on disk (``sealing``).
"""

from __future__ import annotations

import hashlib
import time
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import yaml

import isocost
from isocost.errors import IsocostError
from isocost.hashing import sha256_hex, slug
from isocost.importers.base import PROVENANCE, Importer, ImportInput, importer
from isocost.importers.finish import unknown_words
from isocost.importers.provenance import checked_provenance, fill_provenance, settle
from isocost.importers.reading import entries_of
from isocost.importers.recognise import hinted
from isocost.importers.row import Row
from isocost.importers.sealing import PartWriter, reactivate, seal, staging
from isocost.importers.settings import given_settings
from isocost.importers.stored import sealed_imports

_BLOCK_BYTES = 32 << 20
# Errors of a parser on a file without the structure its format promises. Anything else is a defect
# of ours and is not hidden.
_SHAPE_ERRORS = (
    KeyError,
    IndexError,
    TypeError,
    AttributeError,
    ValueError,
    OverflowError,
    RecursionError,
    EOFError,
    zipfile.BadZipFile,
    zlib.error,
    yaml.YAMLError,
    pa.ArrowException,
    duckdb.Error,
    pl.exceptions.PolarsError,
)


@dataclass(frozen=True, slots=True)
class Constants:
    """What is the same on every row of one import.

    Attributes:
        import_id: the import's id.
        importer: the format.
        given: provenance given by the importing person, by column.
        unknown: provenance columns accepted as unknown.
    """

    import_id: str
    importer: Importer
    given: dict[str, str]
    unknown: frozenset[str]


@dataclass(frozen=True, slots=True)
class ImportReport:
    """The result of an import.

    Attributes:
        format: the importer's name.
        path: the path given.
        import_id: id of the import.
        source_slug: the source it belongs to in the lake.
        status: ``imported``; ``already`` if the same content exists and counts; ``reactivated`` if
            it existed but was superseded.
        records: rows of raw_imports; also for ``already``.
        supersedes: the import of the same source that this one replaced.
        null_reasons: how many values were left NULL, by ``column:reason``.
        unknown: provenance accepted as unknown.
        warnings: what the importing person should know.
        seconds: wall time.
    """

    format: str
    path: str
    import_id: str
    source_slug: str
    status: str
    records: int
    supersedes: str | None = None
    null_reasons: dict[str, int] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    seconds: float = 0.0


def import_path(
    format: str,
    path: str | Path,
    lake: str | Path,
    *,
    provenance: Mapping[str, Any] | None = None,
    unknown: Set[str] = frozenset(),
    mapping: str | Path | Mapping[str, Any] | None = None,
    name: str | None = None,
    verifier: str | None = None,
    condition: Mapping[str, Any] | Iterable[str] = (),
    metric: str | None = None,
) -> ImportReport:
    """Import another tool's file or folder into the lake's ``raw_imports``, atomically.

    The same content with the same provenance changes nothing. Other content under the same name
    supersedes the earlier import; both are kept, and the index states which one counts.

    Args:
        format: name of an importer, see ``isocost.importers.base.registered``.
        path: file or folder.
        lake: root of the raw lake; made when missing.
        provenance: ``model``, ``task``, ``task_version``, ``prompt``, ``sampling`` as far as the
            source does not hold them.
        unknown: names of unknown provenance; such numbers are never pooled with others.
        mapping: for the generic importer: which column means what (YAML file or its content).
        name: name of the source; the resolved path where None. A corrected file under another path
            keeps its name with this.
        verifier: name of the verifier that is to judge the texts later on; kept in the manifest.
            The source's labels judge where None.
        condition: settings that the source does not state, such as the hardware; they enter every
            record's identity.
        metric: the metric whose score is the verdict, where the source has several; its usual one
            where None.

    Raises:
        IsocostError: bad input, with file and place; missing provenance, by name; a lake that
            cannot be written.
    """
    started = time.perf_counter()
    lake, stated = Path(lake), dict(provenance or {})
    # An import without options keeps the id that it had before options existed.
    options = {
        key: value
        for key, value in (("condition", given_settings(condition)), ("metric", metric))
        if value
    }
    try:
        while True:
            job = _job(
                importer(format),
                Path(path),
                checked_provenance(stated, unknown),
                mapping,
                name,
                verifier,
                options,
            )
            report = _known(job, lake) or _imported(job, lake)
            if report is not None:
                return replace(report, seconds=time.perf_counter() - started)
            # The source states it itself, in the same words: giving it again does not make a
            # different import.
            stated = {
                key: value for key, value in stated.items() if PROVENANCE[key] in job.source.unsaid
            }
    except OSError as error:
        raise IsocostError(
            f"the import could not be read or written: {error.strerror or error}",
            where=str(error.filename or lake),
            remedy=(
                "Free space or make the folder writable, and import again; nothing of this "
                "attempt was kept"
            ),
        ) from error


@dataclass(frozen=True, slots=True)
class _Job:
    """One import in progress: its input, its name and its identity."""

    source: ImportInput
    constants: Constants
    title: str
    content: str
    slug: str
    verifier: str | None
    fingerprints: tuple[tuple[int, int, int], ...]

    def report(
        self, status: str, records: int, *, source_slug: str | None = None, **more: Any
    ) -> ImportReport:
        return ImportReport(
            format=self.constants.importer.name,
            path=str(self.source.path),
            import_id=self.constants.import_id,
            source_slug=self.slug if source_slug is None else source_slug,
            status=status,
            records=records,
            unknown=tuple(sorted(self.constants.unknown)),
            **more,
        )


def _job(
    reader: Importer,
    path: Path,
    provenance: tuple[dict[str, str], frozenset[str]],
    mapping: Any,
    name: str | None,
    verifier: str | None,
    options: dict[str, Any],
) -> _Job:
    """Examine the files and determine the import's identity.

    Format, content and the given values that the rows depend on.

    Values accepted as unknown are not part of it: they are NULL either way.
    """
    given, accepted = provenance
    entries_of(path, where=str(path), skips_odd=True)
    source = ImportInput(
        path,
        tuple(_read(reader, path, path, lambda: reader.files(path))),
        _options(reader, mapping, options),
    )
    fingerprints = tuple(_fingerprint(file) for file in source.files)
    content = _content_hash(source, reader)
    import_id = "im-" + sha256_hex(
        [reader.name, reader.version, content, given, source.options, verifier], 16
    )
    title = name or str(path.resolve())
    source_slug = (
        f"{slug(reader.name)}-{slug(name or path.stem, 40)}-{sha256_hex([reader.name, title], 8)}"
    )
    return _Job(
        source,
        Constants(import_id, reader, given, accepted),
        title,
        content,
        source_slug,
        verifier,
        fingerprints,
    )


def _known(job: _Job, lake: Path) -> ImportReport | None:
    """The report if this very import is already in the lake; otherwise None."""
    import_id = job.constants.import_id
    known = next((item for item in sealed_imports(lake) if item.import_id == import_id), None)
    if known is not None:
        # A copy under another name is the same file.
        notes = _needless(job.constants.unknown, known.manifest.get("unsaid", PROVENANCE.values()))
        return job.report(
            "already", known.manifest["records"], source_slug=known.source_slug, warnings=notes
        )
    replaced = reactivate(lake, job.slug, import_id)
    return (
        None if replaced is None else job.report("reactivated", replaced[1], supersedes=replaced[0])
    )


def _imported(job: _Job, lake: Path) -> ImportReport | None:
    """Read, stage and seal.

    None, with nothing kept, if something was given that the source states itself.
    """
    source, constants = job.source, job.constants
    with staging(lake, constants.import_id) as folder:
        rows, reasons = _read(
            constants.importer, source.path, source, lambda: _write(source, constants, folder)
        )
        for file, fingerprint in zip(source.files, job.fingerprints, strict=True):
            if _fingerprint(file) != fingerprint:
                raise IsocostError(
                    "changed while it was read",
                    where=str(file),
                    remedy="Import it again when nothing writes to it",
                )
        if constants.given.keys() - source.unsaid:
            return None
        if note := unknown_words(_finish_words(folder)):
            source.warnings.append(note)
        manifest = _manifest(source, constants, job.title, job.content, rows, reasons) | {
            "verifier": job.verifier
        }
        supersedes = seal(lake, job.slug, constants.import_id, folder, manifest)
    notes = (*source.warnings, *_needless(constants.unknown, source.unsaid))
    return job.report("imported", rows, supersedes=supersedes, null_reasons=reasons, warnings=notes)


def _finish_words(folder: Path) -> list[tuple[str | None, int]]:
    """Every word for why generation ended, and how often it comes."""
    scan = pl.scan_parquet(
        sorted(folder.glob("part-*.parquet")), hive_partitioning=False, glob=False
    )
    return scan.group_by("finish_reason").len().collect().rows()


def _needless(unknown: Set[str], unsaid: Iterable[str]) -> tuple[str, ...]:
    """A note on provenance that was accepted as unknown although the source always states it."""
    names = [name for name, column in PROVENANCE.items() if column in set(unknown) - set(unsaid)]
    return (
        (
            (
                f"the source itself states {', '.join(names)}: its values are used, and --unknown "
                f"has no effect on them"
            ),
        )
        if names
        else ()
    )


def _read(reader: Importer, path: Path, place: ImportInput | Path, work: Any) -> Any:
    """Run a parser.

    Its error names the format that the path looks like, if different.
    """
    try:
        return _guarded(place, work)
    except IsocostError as error:
        if (
            reader.takes_mapping
            and isinstance(place, ImportInput)
            and path.suffix.lower() != ".json"
        ):
            raise  # any table may be meant; a JSON document is more often another tool's log
        raise hinted(error, reader, path) from error


def _guarded(source: ImportInput | Path, work: Any) -> Any:
    """Run a parser.

    Its errors on a malformed file become errors for users, with the position.
    """
    try:
        return work()
    except IsocostError:
        raise
    except (*_SHAPE_ERRORS, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            # A disk error; Arrow reports a damaged file as an OSError without a number.
            raise
        where = (source.at or str(source.path)) if isinstance(source, ImportInput) else str(source)
        if isinstance(error, KeyError):
            raise IsocostError(
                f"has no key {error.args[0]!r}",
                where=where,
                remedy="Check the format's name and that the file is whole",
            ) from error
        detail = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        raise IsocostError(
            f"has not the shape of its format ({detail})",
            where=where,
            remedy="Check the format's name and that the file is whole",
        ) from error


def _write(source: ImportInput, constants: Constants, folder: Path) -> tuple[int, dict[str, int]]:
    fast = constants.importer.write_fast(source, folder, constants)
    if fast is not None:
        rows, reasons = fast, {}
    else:
        writer = PartWriter(folder)
        try:
            for index, row in enumerate(constants.importer.records(source)):
                writer.add(_finished(row, index, constants, source), row)
            settle(source, constants.given)
            writer.close()
        finally:
            writer.abandon()
        rows, reasons = writer.rows, writer.reasons
    if not rows:
        raise IsocostError(
            "contains no records",
            where=str(source.path),
            remedy="Check that the run wrote its samples",
        )
    return rows, reasons


def _finished(row: Row, index: int, constants: Constants, source: ImportInput) -> dict[str, Any]:
    """The row's values with identity, provenance and the format's declarations filled in."""
    values = row.values
    if given := source.options.get("condition"):
        row.condition(given)
    fill_provenance(values, row, constants.given, constants.unknown, source)
    declared = constants.importer.conventions
    values["import_id"], values["record_index"], values["source"] = (
        constants.import_id,
        index,
        constants.importer.name,
    )
    if values.get("latency_s") is not None:
        values.setdefault("latency_meaning", declared.latency_meaning)
    if values.get("energy_j") is not None:
        values.setdefault("energy_method", declared.energy_method or "unstated")
    else:
        values.setdefault("energy_unknown_reason", declared.energy_unknown_reason)
    return values


def _options(reader: Importer, mapping: Any, options: dict[str, Any]) -> dict[str, Any]:
    if "metric" in options and not reader.takes_metric:
        raise IsocostError(
            f"the {reader.name} importer takes no metric",
            remedy="Leave the metric out: each score is a separate point, or there is only one",
        )
    if mapping is None:
        return options
    if not reader.takes_mapping:
        raise IsocostError(
            f"the {reader.name} importer takes no mapping",
            remedy="Leave the mapping out, or use the generic importer",
        )
    from isocost.importers.generic.mapping import load_mapping

    return {"mapping": load_mapping(mapping), **options}


def _fingerprint(file: Path) -> tuple[int, int, int]:
    stat = file.lstat()
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def _content_hash(source: ImportInput, reader: Importer) -> str:
    """Hash of names and bytes of all files, and of what their places state.

    Records the hash of each file.

    SHA-256 over the hashes of its blocks, computed in parallel.
    """
    digest = hashlib.sha256()
    with ThreadPoolExecutor(max_workers=4) as pool:
        for file in source.files:
            size = file.lstat().st_size
            own = hashlib.sha256()
            for block in pool.map(partial(_block_hash, file), range(0, max(size, 1), _BLOCK_BYTES)):
                own.update(block)
            source.digests[file] = own.hexdigest()
            # The name of a single file is not content: a renamed copy is the same file.
            label = source.relative(file) if file != source.path else ""
            digest.update(
                len(label).to_bytes(4, "big")
                + label.encode("utf-8", "surrogateescape")
                + size.to_bytes(8, "big")
            )
            digest.update(own.digest())
            if stated := reader.stated_by_place(file):
                digest.update(b"place" + stated.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _block_hash(file: Path, begin: int) -> bytes:
    digest = hashlib.sha256()
    with file.open("rb") as handle:
        handle.seek(begin)
        left = _BLOCK_BYTES
        while left and (chunk := handle.read(min(1 << 20, left))):
            digest.update(chunk)
            left -= len(chunk)
    return digest.digest()


def _manifest(
    source: ImportInput,
    constants: Constants,
    title: str,
    content: str,
    rows: int,
    reasons: dict[str, int],
) -> dict[str, Any]:
    reader = constants.importer
    return {
        "manifest_schema": 1,
        "import_id": constants.import_id,
        "isocost_version": isocost.__version__,
        "format": reader.name,
        "importer_version": reader.version,
        "source_name": title,
        "content_hash": content,
        "files": [source.relative(file) for file in source.files],
        "records": rows,
        "given": constants.given,
        "unknown": sorted(constants.unknown & source.unsaid),
        "unsaid": sorted(source.unsaid),
        "options": source.options,
        "null_reasons": reasons,
        "warnings": source.warnings,
        "sealed_unix_s": time.time(),
    }
