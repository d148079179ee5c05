"""Sealed imports as they are in a lake: where, which of them count, their rows.

Lives here: the layout of ``<lake>/raw/imports``, the index of what superseded what, and reading.
Not here: writing (``sealing``), the proof of all of them and quarantine (``verify``).

Layout::

    raw/imports/source=<slug>/import=<import_id>/part-00000.parquet ... manifest.json
    raw/imports/source=<slug>/index.json   which import of this source counts
    raw/importing/<import_id>-<pid>/       being written; swept when its writer is gone
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from isocost import atomic
from isocost.errors import IsocostError
from isocost.lock_files import exclusive
from isocost.plain_files import stored_bytes
from isocost.schema.registry import table
from isocost.schema.types import polars_schema
from isocost.seals import Damaged, prove_sealed, sealed_json, unsealed_json


@dataclass(frozen=True, slots=True)
class SealedImport:
    """One import in a lake.

    Attributes:
        import_id: its id.
        source_slug: the source it belongs to.
        folder: the folder of its parts.
        superseded_by: the import that replaced it; None for the one that counts.
        manifest: the contents of the manifest.
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


def import_folder(lake: Path, source_slug: str, import_id: str) -> Path:
    """The folder of one import."""
    return imports_root(lake) / f"source={source_slug}" / f"import={import_id}"


def read_index(home: Path) -> dict[str, Any]:
    """Which import of a source counts, and which superseded which.

    Raises:
        IsocostError: the index is damaged.
    """
    path = home / "index.json"
    if not path.exists():
        return {"index_schema": 1, "active": None, "superseded_by": {}}
    try:
        index = unsealed_json(stored_bytes(path), str(path))
        if not isinstance(index["superseded_by"], dict):
            raise ValueError("superseded_by is not an object")
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
        index = read_index(home)
        for folder in sorted(home.glob("import=*")):
            import_id = folder.name.removeprefix("import=")
            if import_id != index["active"] and (
                not include_superseded or import_id not in index["superseded_by"]
            ):
                continue
            manifest = manifest_in(folder)
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
                found[slug] = str(manifest_in(folder)["source_name"])
            except (IsocostError, KeyError):
                found[slug] = None
    return found


def import_manifest(lake: Path, source_slug: str, import_id: str) -> dict[str, Any]:
    """The description of an import from when it was sealed.

    Its format, version, given and unknown provenance.

    Raises:
        IsocostError: it is missing or damaged.
    """
    return manifest_in(import_folder(lake, source_slug, import_id))


def manifest_in(folder: Path) -> dict[str, Any]:
    """The manifest of the import in a folder; see ``import_manifest``."""
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
    """The rows of one import, even if another one has superseded it.

    No other import is read.

    Raises:
        IsocostError: it is not in the lake, or it is damaged.
    """
    folder = import_folder(lake, source_slug, import_id)
    if not folder.is_dir():
        raise IsocostError(
            "this import is no longer in the lake",
            where=str(folder),
            remedy=(
                "Import its source again under the same name; the sealed parts are in "
                "raw/quarantine if they were quarantined"
            ),
        )
    parts = _proven_parts(folder, manifest_in(folder))
    try:
        return _scan(parts).collect()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        said = " ".join(str(error).split())[:200]
        raise IsocostError(
            f"a part of this import cannot be read ({said})", where=str(folder), remedy=_ASIDE
        ) from error


def prove_import(lake: Path, source_slug: str, import_id: str) -> None:
    """Check every part of an import against its sealed checksum.

    Each is read once per process while it is unchanged.

    Raises:
        Damaged: its manifest or a part is not what was sealed.
        IsocostError: one is missing.
    """
    folder = import_folder(lake, source_slug, import_id)
    _proven_parts(folder, manifest_in(folder))


_ASIDE = (
    "Set it aside with `isocost bank verify LAKE --repair`, then import the source again under the"
    " same name"
)


def _proven_parts(folder: Path, manifest: dict[str, Any]) -> list[Path]:
    """The parts of an import, each held to the checksum in its manifest."""
    found = []
    for entry in manifest["parts"]:
        path = folder / entry["name"]
        prove_sealed(path, entry["sha256"], what="a part of this import", remedy=_ASIDE)
        found.append(path)
    return found


def _scan(parts: list[Path]) -> pl.LazyFrame:
    # Older parts without a column have it NULL, as if their source had not stated it.
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
        lake: the lake's folder.
        import_ids: only these imports; all where None.
        include_superseded: also those replaced by a corrected file.
    """
    found = sealed_imports(lake, include_superseded=include_superseded)
    # The same content can be under two sources, superseded under one: its rows count once.
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


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write an import's description or an index: the format of all of them."""
    atomic.write_bytes(path, sealed_json(value, sort_keys=True, ensure_ascii=False))


@contextmanager
def locked(home: Path) -> Iterator[None]:
    """One writer at a time for one source."""
    with exclusive(home / ".lock"):
        yield
