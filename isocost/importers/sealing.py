"""Parts of imported records on disk: staged, sealed at once, indexed, read back.

Lives here: the layout of ``<lake>/raw/imports``, writing of parts, the seal and the index of what
superseded what. Not here: parsing (the format modules) and the order of an import (``run``).

Layout::

    raw/imports/source=<slug>/import=<import_id>/part-00000.parquet ... manifest.json
    raw/imports/source=<slug>/index.json   which import of this source counts
    raw/importing/<import_id>-<pid>/       being written; swept when its writer is gone
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq

from isocost.bank.files import open_lock
from isocost.errors import IsocostError
from isocost.importers.row import Row, columns
from isocost.plain_files import stored_bytes
from isocost.schema.frames import conform
from isocost.schema.parquet import stamp, to_arrow
from isocost.schema.registry import table
from isocost.schema.types import arrow_schema, polars_schema
from isocost.seals import Damaged, is_what_was_sealed, sealed_json, unsealed_json
from isocost.seals import checksum as file_sha256

BATCH_ROWS = 8_192
BATCH_TEXT_BYTES = 32 << 20
PART_ROWS = 262_144
_TEXTS = ("output_text", "problem_text", "extra", "reference")


class PartWriter:
    """Turns rows into sealed-to-be parts in a staging folder, in bounded memory."""

    def __init__(self, folder: Path) -> None:
        """Writes into ``folder``, which exists and is empty."""
        self.folder = folder
        self.rows = 0
        self.reasons: dict[str, int] = {}
        self._schema = polars_schema(table("raw_imports"))
        self._arrow = arrow_schema(table("raw_imports")).with_metadata(stamp("raw_imports"))
        self._batch: list[dict[str, Any]] = []
        self._text_bytes = 0
        self._part: pq.ParquetWriter | None = None
        self._part_rows = 0
        self._parts = 0

    def add(self, values: dict[str, Any], row: Row) -> None:
        """Takes one row: its values by column name."""
        values["null_reasons"] = sorted(row.reasons)
        for reason in row.reasons:
            self.reasons[reason] = self.reasons.get(reason, 0) + 1
        self._batch.append(values)
        self._text_bytes += sum(len(values.get(name) or "") for name in _TEXTS)
        self.rows += 1
        if len(self._batch) >= BATCH_ROWS or self._text_bytes >= BATCH_TEXT_BYTES:
            self.flush()

    def flush(self) -> None:
        """Writes what is held as one row group."""
        if not self._batch:
            return
        batch, self._batch, self._text_bytes = self._batch, [], 0
        data = {name: [values.get(name) for values in batch] for name in columns()}
        arrow = to_arrow(
            conform(pl.DataFrame(data, schema=self._schema, strict=True), "raw_imports"),
            "raw_imports",
        )
        if self._part is None:
            path = self.folder / f"part-{self._parts:05d}.parquet"
            self._part = pq.ParquetWriter(
                path, self._arrow, compression="zstd", write_page_checksum=True
            )
        self._part.write_table(arrow)
        self._part_rows += arrow.num_rows
        if self._part_rows >= PART_ROWS:
            self._close_part()

    def close(self) -> None:
        """Writes the rest and closes the last part."""
        self.flush()
        self._close_part()

    def abandon(self) -> None:
        """Closes the open file without caring for its content."""
        if self._part is not None:
            with suppress(Exception):
                self._part.close()
            self._part = None

    def _close_part(self) -> None:
        if self._part is not None:
            self._part.close()
            self._part, self._part_rows = None, 0
            self._parts += 1


@dataclass(frozen=True, slots=True)
class SealedImport:
    """One import that lies in a lake.

    Attributes:
        import_id: its id.
        source_slug: the source it belongs to.
        folder: where its parts lie.
        superseded_by: the import that replaced it; None for the one that counts.
        manifest: what the manifest says.
    """

    import_id: str
    source_slug: str
    folder: Path
    superseded_by: str | None
    manifest: dict[str, Any]

    @property
    def parts(self) -> list[Path]:
        """The Parquet files, in record order."""
        return [self.folder / part["name"] for part in self.manifest["parts"]]


def imports_root(lake: Path) -> Path:
    """The folder of all imports of a lake."""
    return lake / "raw" / "imports"


@contextmanager
def staging(lake: Path, import_id: str) -> Iterator[Path]:
    """A folder to write in that is gone afterwards, whatever happened.

    Also sweeps what killed imports left behind.
    """
    root = lake / "raw" / "importing"
    root.mkdir(parents=True, exist_ok=True)
    _sweep(root)
    folder = root / f"{import_id}-{os.getpid()}-{os.urandom(4).hex()}"
    folder.mkdir()
    with open_lock(folder / "lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _sweep(root: Path) -> None:
    for folder in root.iterdir():
        with suppress(OSError, IsocostError), open_lock(folder / "lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # refused while its writer lives
            shutil.rmtree(folder, ignore_errors=True)


def seal(
    lake: Path, slug: str, import_id: str, staged: Path, manifest: dict[str, Any]
) -> str | None:
    """Moves staged parts into the lake, all or nothing, and makes them the ones that count for
    their source.

    Returns:
        The import id that is superseded by this one, or None.
    """
    manifest = {
        **manifest,
        "parts": [_part_entry(path) for path in sorted(staged.glob("part-*.parquet"))],
    }
    _write_atomic(staged / "manifest.json", manifest)
    for leftover in staged.iterdir():  # the lock, and whatever a fast way spilled
        if leftover.is_dir():
            shutil.rmtree(leftover)
        elif leftover.name != "manifest.json" and leftover.suffix != ".parquet":
            leftover.unlink()
    _fsync_folder(staged)
    home = imports_root(lake) / f"source={slug}"
    with _locked(home):
        target = home / f"import={import_id}"
        if not target.exists():
            staged.rename(target)
            _fsync_folder(home)
        return _activate(home, import_id)


def reactivate(lake: Path, slug: str, import_id: str) -> tuple[str | None, int] | None:
    """Makes an import that already lies under its source the one that counts again.

    Returns:
        The import that it supersedes and its own number of records; None where it does not lie
        there.
    """
    home = imports_root(lake) / f"source={slug}"
    manifest = home / f"import={import_id}" / "manifest.json"
    if not manifest.is_file():
        return None
    with _locked(home):
        before = _activate(home, import_id)
    return before, _read_manifest(manifest.parent)["records"]


def _activate(home: Path, import_id: str) -> str | None:
    index = _read_index(home)
    before = index["active"]
    if before == import_id:
        return None
    index["superseded_by"].pop(import_id, None)
    if before is not None:
        index["superseded_by"][before] = import_id
    index["active"] = import_id
    _write_atomic(home / "index.json", index)
    return before


def _read_index(home: Path) -> dict[str, Any]:
    path = home / "index.json"
    if not path.exists():
        return {"index_schema": 1, "active": None, "superseded_by": {}}
    try:
        index = unsealed_json(stored_bytes(path), str(path))
        if not isinstance(index["superseded_by"], dict):
            raise ValueError("superseded_by is no object")
        return index
    except (OSError, ValueError, KeyError, TypeError) as error:
        said = error.what if isinstance(error, IsocostError) else error
        remedy = "Remove it and import the source again"
        raise IsocostError(
            f"the index of imports cannot be read: {said}", where=str(path), remedy=remedy
        ) from None


def sealed_imports(lake: Path, *, include_superseded: bool = False) -> list[SealedImport]:
    """Every sealed import of a lake that counts (or every one), by source and id."""
    found = []
    for home in sorted(imports_root(lake).glob("source=*")):
        index = _read_index(home)
        for folder in sorted(home.glob("import=*")):
            import_id = folder.name.removeprefix("import=")
            if import_id != index["active"] and (
                not include_superseded or import_id not in index["superseded_by"]
            ):
                continue
            manifest = _read_manifest(folder)
            slug = home.name.removeprefix("source=")
            found.append(
                SealedImport(
                    import_id, slug, folder, index["superseded_by"].get(import_id), manifest
                )
            )
    return found


def source_names(lake: Path) -> dict[str, str | None]:
    """The name under which each source of a lake was imported, by its slug.

    None where no manifest of it can be read.
    """
    found: dict[str, str | None] = {}
    for folder in sorted(imports_root(lake).glob("source=*/import=*")):
        slug = folder.parent.name.removeprefix("source=")
        if found.get(slug) is None:
            try:
                found[slug] = str(_read_manifest(folder)["source_name"])
            except (IsocostError, KeyError):
                found[slug] = None
    return found


def import_manifest(lake: Path, source_slug: str, import_id: str) -> dict[str, Any]:
    """What an import said of itself when it was sealed: its format, version, what was given and
    what stayed unknown.

    Raises:
        IsocostError: it is missing or damaged.
    """
    return _read_manifest(imports_root(lake) / f"source={source_slug}" / f"import={import_id}")


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / "manifest.json"
    try:
        manifest = unsealed_json(stored_bytes(path), str(path))
        if not all(
            isinstance(part["name"], str) and isinstance(part["sha256"], str)
            for part in manifest["parts"]
        ):
            raise ValueError("a part has no name or checksum")
        return {**manifest, "records": int(manifest["records"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        kind = IsocostError if isinstance(error, OSError) else Damaged
        said = error.what if isinstance(error, IsocostError) else f"{type(error).__name__}: {error}"
        raise kind(
            f"the manifest of this import cannot be read: {said}", where=str(path), remedy=_ASIDE
        ) from None


def read_import(lake: Path, source_slug: str, import_id: str) -> pl.DataFrame:
    """The rows of one import, whether or not another one has superseded it; no other import is
    looked at.

    Raises:
        IsocostError: it is not in the lake, or what lies there is damaged.
    """
    home = imports_root(lake) / f"source={source_slug}"
    folder = home / f"import={import_id}"
    if not folder.is_dir():
        raise IsocostError(
            "this import is no longer in the lake",
            where=str(folder),
            remedy=(
                "Import its source again under the same name; the sealed parts lie in"
                " raw/quarantine if they were set aside"
            ),
        )
    parts = _proven_parts(folder, _read_manifest(folder))
    try:
        return _scan(parts).collect()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        said = " ".join(str(error).split())[:200]
        raise IsocostError(
            f"a part of this import cannot be read ({said})", where=str(folder), remedy=_ASIDE
        ) from error


def prove_import(lake: Path, source_slug: str, import_id: str) -> None:
    """Holds every part of an import to its sealed checksum; each is read once in a process while it
    stays as it is.

    Raises:
        Damaged: its manifest or a part is not what was sealed.
        IsocostError: one is missing.
    """
    folder = imports_root(lake) / f"source={source_slug}" / f"import={import_id}"
    _proven_parts(folder, _read_manifest(folder))


_ASIDE = (
    "Set it aside with `isocost bank verify LAKE --repair`, then import the source again under the"
    " same name"
)


def _proven_parts(folder: Path, manifest: dict[str, Any]) -> list[Path]:
    """The parts of an import, each held to the checksum in its manifest."""
    found = []
    for entry in manifest["parts"]:
        path = folder / entry["name"]
        try:
            is_sound = is_what_was_sealed(path, entry["sha256"])
        except FileNotFoundError:
            raise IsocostError(
                "a part of this import is missing", where=str(path), remedy=_ASIDE
            ) from None
        except OSError as error:
            raise IsocostError(
                f"a part of this import cannot be read: {error.strerror}",
                where=str(path),
                remedy=_ASIDE,
            ) from error
        if not is_sound:
            raise Damaged.of(
                path, "a part of this import is damaged: its SHA-256 is not the sealed one", _ASIDE
            )
        found.append(path)
    return found


def _scan(parts: list[Path]) -> pl.LazyFrame:
    # Parts of before a column came have it NULL, as they would if their source had not said it.
    return pl.scan_parquet(
        parts,
        hive_partitioning=False,
        glob=False,
        schema=polars_schema(table("raw_imports")),
        missing_columns="insert",
    )


def read_imports(
    lake: Path, *, import_ids: list[str] | None = None, include_superseded: bool = False
) -> pl.LazyFrame:
    """The rows of ``raw_imports`` that count, lazily; every part is held to its checksum first.

    Args:
        lake: the lake's root folder.
        import_ids: only these imports; all where None.
        include_superseded: also those replaced by a corrected file.
    """
    found = sealed_imports(lake, include_superseded=include_superseded)
    # The same content can lie under two sources, superseded under one: its rows count once.
    ordered = sorted(found, key=lambda item: item.superseded_by is not None)
    chosen = {
        item.import_id: item
        for item in reversed(ordered)
        if import_ids is None or item.import_id in import_ids
    }
    ordered = [chosen[import_id] for import_id in sorted(chosen)]
    parts = [part for one in ordered for part in _proven_parts(one.folder, one.manifest)]
    if not parts:
        return pl.LazyFrame(schema=polars_schema(table("raw_imports")))
    return _scan(parts)


@dataclass(frozen=True, slots=True)
class ImportFault:
    """One thing that is wrong with a sealed import.

    Attributes:
        kind: ``missing``, ``checksum``, ``manifest`` or ``index`` (whole, but no index names it, so
            that nothing reads it).
        path: file at fault.
        detail: what was found.
    """

    kind: str
    path: Path
    detail: str

    def __str__(self) -> str:
        return f"{self.path}: {self.detail}"


def verify_imports(lake: Path) -> list[ImportFault]:
    """Reads every byte of every sealed import and names what is missing or was changed.

    Empty when all is well.
    """
    return [
        fault
        for folder in sorted(imports_root(lake).glob("source=*/import=*"))
        for fault in _faults(folder)
    ]


def _faults(folder: Path) -> list[ImportFault]:
    try:
        parts = _read_manifest(folder)["parts"]
    except IsocostError as error:
        return [ImportFault("manifest", folder / "manifest.json", error.what)]
    found = []
    for entry in parts:
        path = folder / entry["name"]
        if not path.is_file():
            found.append(ImportFault("missing", path, "is missing"))
        elif file_sha256(path) != entry["sha256"]:
            found.append(ImportFault("checksum", path, "was changed after it was sealed"))
    return [*found, *_index_faults(folder)]


def _index_faults(folder: Path) -> list[ImportFault]:
    """An import that no index names is read by nobody.

    The index was deleted, or the import was killed just before it counted.
    """
    try:
        index = _read_index(folder.parent)
    except IsocostError as error:
        return [ImportFault("index", folder.parent / "index.json", error.what)]
    if folder.name.removeprefix("import=") in {index["active"], *index["superseded_by"]}:
        return []
    return [
        ImportFault(
            "index",
            folder,
            "is whole but in no index, so that nothing reads it; importing its source again makes"
            " it count",
        )
    ]


def set_aside_imports(lake: Path) -> list[str]:
    """Moves every import that has a fault to ``raw/quarantine``, so that its source can be imported
    again.

    Returns:
        One sentence for every import set aside.
    """
    found = (
        (folder, _faults(folder)) for folder in sorted(imports_root(lake).glob("source=*/import=*"))
    )
    return [_set_aside(lake, folder, faults) for folder, faults in found if faults]


def set_aside_damaged(lake: Path, source_slug: str, import_id: str) -> list[str]:
    """Moves one import to ``raw/quarantine`` where its bytes were changed; one that only lacks a
    file stays, for that may be found again.

    Returns:
        A sentence where it was set aside.
    """
    folder = imports_root(lake) / f"source={source_slug}" / f"import={import_id}"
    faults = _faults(folder) if (folder / "manifest.json").is_file() else []
    kinds = {fault.kind for fault in faults}
    return (
        [_set_aside(lake, folder, faults)]
        if kinds & {"checksum", "manifest"} and "missing" not in kinds
        else []
    )


def is_set_aside(lake: Path, source_slug: str, import_id: str) -> bool:
    """Whether this import lies in ``raw/quarantine``."""
    return any(
        (lake / "raw" / "quarantine" / f"source={source_slug}").glob(f"import={import_id}-*")
    )


def _set_aside(lake: Path, folder: Path, faults: list[ImportFault]) -> str:
    home = folder.parent
    target = lake / "raw" / "quarantine" / home.name / f"{folder.name}-{os.urandom(4).hex()}"
    with _locked(home):
        target.parent.mkdir(parents=True, exist_ok=True)
        folder.rename(target)
        _fsync_folder(home)
    _write_atomic(target / "reason.json", {"faults": [str(fault) for fault in faults]})
    return (
        f"{folder.name} of {home.name} set aside ({faults[0].detail}: {faults[0].path.name});"
        " import its source again"
    )


def _part_entry(path: Path) -> dict[str, Any]:
    with path.open("rb+") as handle:
        os.fsync(handle.fileno())
    return {
        "name": path.name,
        "rows": pq.read_metadata(path).num_rows,
        "bytes": path.stat().st_size,
        "sha256": file_sha256(path),
    }


def _write_atomic(path: Path, value: Any) -> None:
    temporary = path.with_name(f".{path.name}.{os.urandom(4).hex()}.tmp")
    try:
        with temporary.open("wb") as handle:
            handle.write(sealed_json(value, sort_keys=True, ensure_ascii=False))
            handle.flush()
            os.fsync(handle.fileno())
        temporary.replace(path)
        _fsync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _fsync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _locked(home: Path) -> Iterator[None]:
    """One writer at a time for one source; the lock goes with the process that holds it."""
    home.mkdir(parents=True, exist_ok=True)
    with open_lock(home / ".lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
