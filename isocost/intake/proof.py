"""Verify a whole lake: the banked sessions and the imports.

Lives here: both verifications in one report, both repairs. Not here: how each is done
(``isocost.bank.verify``, ``isocost.importers.verify``), verification of what is derived from the
lake
(``isocost.build.proof``).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from isocost.bank.files import Files
from isocost.bank.verify import BankFault, BankReport, repair_bank, verify_bank
from isocost.importers.verify import count_imports, set_aside_imports, verify_imports


@dataclass(frozen=True, slots=True)
class LakeReport:
    """The verification of a lake.

    Attributes:
        bank: the sessions.
        imports: sealed imports checked, including superseded ones.
        faults: all faults in either, by path.
    """

    bank: BankReport
    imports: int
    faults: tuple[BankFault, ...]


def verify_lake(lake: str | Path, session_id: str | None = None) -> LakeReport:
    """Read every byte of every part and compare it with what was sealed.

    Args:
        lake: folder or fsspec URL of the lake.
        session_id: only this session, and no import.

    Raises:
        IsocostError: there is no lake here, or no such session in it.
    """
    bank, folder = verify_bank(lake, session_id), _imports_in(lake, session_id)
    if folder is None:
        return LakeReport(bank, 0, bank.faults)
    found = [
        BankFault(f.kind, f.path.relative_to(folder).as_posix(), f.detail, f.kind != "index")
        for f in verify_imports(folder)
    ]
    return LakeReport(bank, count_imports(folder), tuple(sorted([*bank.faults, *found], key=str)))


def repair_lake(lake: str | Path, session_id: str | None = None) -> list[str]:
    """Quarantine faulty parts, list whole unlisted ones, remove leftovers.

    Args:
        lake: folder or fsspec URL of the lake.
        session_id: only this session, and no import.

    Returns:
        One sentence for every change.

    Raises:
        IsocostError: a run is writing to a session, or the lake cannot be written.
    """
    notes, folder = repair_bank(lake, session_id), _imports_in(lake, session_id)
    return notes if folder is None else [*notes, *set_aside_imports(folder)]


def _imports_in(lake: str | Path, session_id: str | None) -> Path | None:
    """The folder to look for imports in; importing needs one, so there are none at a URL."""
    files = Files(lake)
    return Path(files.full(".")) if session_id is None and files.is_local else None
