"""Verification of all sealed imports, and quarantine for those that fail.

Lives here: reporting what is missing or was changed, quarantining. Not here: verification of
sessions (``isocost.bank.verify``), and both together (``isocost.intake.proof``).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from isocost import atomic
from isocost.bank.layout import QUARANTINE
from isocost.errors import IsocostError
from isocost.importers.stored import (
    import_folder,
    imports_root,
    locked,
    manifest_in,
    read_index,
    write_json,
)
from isocost.seals import checksum


@dataclass(frozen=True, slots=True)
class ImportFault:
    """A fault in a sealed import.

    Attributes:
        kind: ``missing``, ``checksum``, ``manifest`` or ``index`` (whole, but not in an index, so
            it is not read).
        path: file at fault.
        detail: what was found.
    """

    kind: str
    path: Path
    detail: str

    def __str__(self) -> str:
        return f"{self.path}: {self.detail}"


def verify_imports(lake: Path) -> list[ImportFault]:
    """Read every byte of every sealed import and report what is missing or was changed.

    Empty if everything is intact.
    """
    return [
        fault
        for folder in sorted(imports_root(lake).glob("source=*/import=*"))
        for fault in _faults(folder)
    ]


def count_imports(lake: Path) -> int:
    """The number of imports in a lake, including superseded ones."""
    return sum(1 for _ in imports_root(lake).glob("source=*/import=*"))


def _faults(folder: Path) -> list[ImportFault]:
    try:
        parts = manifest_in(folder)["parts"]
    except IsocostError as error:
        return [ImportFault("manifest", folder / "manifest.json", error.what)]
    found = []
    for entry in parts:
        path = folder / entry["name"]
        if not path.is_file():
            found.append(ImportFault("missing", path, "is missing"))
        elif checksum(path) != entry["sha256"]:
            found.append(ImportFault("checksum", path, "was changed after it was sealed"))
    return [*found, *_index_faults(folder)]


def _index_faults(folder: Path) -> list[ImportFault]:
    """An import that is not in an index is not read.

    The index was deleted, or the import was killed just before it counted.
    """
    try:
        index = read_index(folder.parent)
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
    """Move every faulty import to ``raw/quarantine``, so it can be imported again.

    Returns:
        One sentence for every quarantined import.
    """
    found = (
        (folder, _faults(folder)) for folder in sorted(imports_root(lake).glob("source=*/import=*"))
    )
    return [_set_aside(lake, folder, faults) for folder, faults in found if faults]


def set_aside_damaged(lake: Path, source_slug: str, import_id: str) -> list[str]:
    """Quarantine one import if its bytes were changed.

    One that only lacks a file stays, because the file may be found again.

    Returns:
        A sentence if it was quarantined.
    """
    folder = import_folder(lake, source_slug, import_id)
    faults = _faults(folder) if (folder / "manifest.json").is_file() else []
    kinds = {fault.kind for fault in faults}
    return (
        [_set_aside(lake, folder, faults)]
        if kinds & {"checksum", "manifest"} and "missing" not in kinds
        else []
    )


def is_set_aside(lake: Path, source_slug: str, import_id: str) -> bool:
    """Whether this import is in ``raw/quarantine``."""
    return any((lake / QUARANTINE / f"source={source_slug}").glob(f"import={import_id}-*"))


def _set_aside(lake: Path, folder: Path, faults: list[ImportFault]) -> str:
    home = folder.parent
    target = lake / QUARANTINE / home.name / f"{folder.name}-{os.urandom(4).hex()}"
    with locked(home):
        atomic.make_folder(target.parent)
        atomic.put(folder, target)
    write_json(target / "reason.json", {"faults": [str(fault) for fault in faults]})
    return (
        f"{folder.name} of {home.name} set aside ({faults[0].detail}: {faults[0].path.name});"
        " import its source again"
    )
