"""Proves what sessions banked and names each fault; changes nothing unless asked to.

Lives here: `verify_bank` and `repair_bank`. Not here: how a part is proven (`parts.check_part`) or
set aside (`recover`), the same of imports (``isocost.importers.verify``), both together
(``isocost.intake.proof``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from isocost.atomic import TEMPORARY_SUFFIX
from isocost.bank import layout
from isocost.bank import manifest as manifests
from isocost.bank.complete import SAMPLE, Found, judged_columns
from isocost.bank.files import Files
from isocost.bank.manifest import DamagedManifest, Manifest, PartEntry
from isocost.bank.parts import PartFault, check_part
from isocost.bank.recover import recover
from isocost.errors import IsocostError

_KEYS = ("call_id", "attempt", "method", "finish_reason", "is_warmup")


@dataclass(frozen=True, slots=True)
class BankFault:
    """One thing that is wrong with a bank.

    Attributes:
        kind: ``missing``, ``size``, ``checksum``, ``unreadable``, ``stamp``, ``rows``,
            ``foreign_rows`` (of a part), ``unlisted``, ``leftover`` (temporary file), ``stray`` (a
            Parquet file that is not a part), ``manifest`` (damaged or lost), ``duplicate``,
            ``unjudged`` (storage cannot read it, or another version of isocost wrote it).
        path: file at fault, relative to the lake.
        detail: what was found.
        is_loss: whether sealed data is lost: samples, or a manifest's information about its run;
            not so for leftovers of a killed run.
    """

    kind: str
    path: str
    detail: str
    is_loss: bool

    def __str__(self) -> str:
        return f"{self.path}: {self.kind}: {self.detail}"


@dataclass(frozen=True, slots=True)
class BankReport:
    """The verification of a bank.

    Attributes:
        faults: all faults, by path.
        sessions: sessions looked at.
        parts: verified parts.
        rows: their rows, by table.
        samples: samples that they complete; neither warm-up nor errors.
        running: sessions that a live run is writing to; their temporary files and unlisted parts
            are not faults.
    """

    faults: tuple[BankFault, ...]
    sessions: int
    parts: int
    rows: dict[str, int]
    samples: int
    running: tuple[str, ...]


def verify_bank(lake: str | Path, session_id: str | None = None) -> BankReport:
    """Read every byte of every part and compare it with what was sealed.

    Args:
        lake: folder or fsspec URL of the lake.
        session_id: only this session.

    Raises:
        IsocostError: there is no bank here, or no such session in it.
    """
    files = Files(lake)
    sessions = _sessions(files, session_id)
    proof = _Proof(files)
    for session in sessions:
        proof.prove_session(session)
    complete = [found.complete() for found in proof.found]
    samples = pl.concat(complete).unique().height if complete else 0
    faults = tuple(sorted([*proof.faults, *_doubled(proof.keys)], key=str))
    return BankReport(faults, len(sessions), proof.parts, proof.rows, samples, tuple(proof.running))


class _Proof:
    """What was proven so far."""

    def __init__(self, files: Files) -> None:
        self.files = files
        self.faults: list[BankFault] = []
        self.rows = dict.fromkeys(layout.FOLDERS, 0)
        self.parts = 0
        self.running: list[str] = []
        self.keys: list[pl.DataFrame] = []
        self.found: list[Found] = []

    def prove_session(self, session: str) -> None:
        """Verify the listed parts of a session.

        If no run is writing to it, also everything else in its folders.
        """
        self.found.append(Found())
        alive = self.files.is_locked(layout.lock_path("session", session))
        self.running += [session] if alive else []
        found = list(_manifests(self.files, session, self.faults))
        for manifest in found:
            for entry in manifest.parts:
                self._prove(session, entry.table, entry.file, entry)
        if not alive:
            self._prove_rest(session, found)

    def _prove(self, session: str, table: str, name: str, entry: PartEntry | None) -> bool:
        path = f"{layout.part_folder(table, session)}/{name}"
        try:
            judged = judged_columns(table)
            keys = (k for k in _KEYS if k not in judged) if table == "raw_generations" else ()
            frame, _ = check_part(self.files, session, table, name, entry, (*judged, *keys))
        except PartFault as fault:
            self.faults.append(
                BankFault(
                    fault.kind,
                    path,
                    fault.detail if entry else f"{fault.detail}; no manifest lists it",
                    True,
                )
            )
            return False
        except IsocostError as error:
            self.faults.append(BankFault("unjudged", path, str(error), False))
            return False
        self.parts += 1
        self.rows[table] += frame.height
        self.found[-1].add(table, frame)
        if table == "raw_generations":
            self.keys.append(frame.select(*_KEYS, pl.lit(path).alias("path")))
        return True

    def _prove_rest(self, session: str, found: list[Manifest]) -> None:
        listed = {(p.table, p.file) for m in found for p in m.parts}
        runs = {m.run_id for m in found} | {
            Path(name).stem for name in manifests.manifest_names(self.files, session)
        }
        lost: dict[str, int] = {}
        for table in layout.FOLDERS:
            folder = layout.part_folder(table, session)
            for name in self.files.names(folder):
                path, part = f"{folder}/{name}", layout.parse_part(name)
                if name.endswith(TEMPORARY_SUFFIX):
                    self.faults.append(
                        BankFault(
                            "leftover",
                            path,
                            "temporary file of a killed run; the next run removes it",
                            False,
                        )
                    )
                elif part and (table, name) not in listed:
                    if part.run_id not in runs:
                        lost[part.run_id] = lost.get(part.run_id, 0) + 1
                    if self._prove(session, table, name, None):
                        detail = "whole, and read, but no manifest lists it; the next run lists it"
                        self.faults.append(BankFault("unlisted", path, detail, False))
                elif name.endswith(".parquet") and not part:
                    self.faults.append(
                        BankFault(
                            "stray",
                            path,
                            "no part of the bank; nothing here reads it: move it away",
                            False,
                        )
                    )
        for run_id, parts in lost.items():
            detail = f"is lost; `isocost bank verify --repair` rebuilds it from its {parts} parts"
            self.faults.append(
                BankFault("manifest", layout.manifest_path(session, run_id), detail, True)
            )


def repair_bank(lake: str | Path, session_id: str | None = None) -> list[str]:
    """Quarantine faulty parts, list whole unlisted ones, remove leftovers.

    Returns:
        One sentence for every change.

    Raises:
        IsocostError: a run is writing to a session, or the lake cannot be written.
    """
    files = Files(lake)
    notes = []
    for session in _sessions(files, session_id):
        with files.locked([layout.lock_path("session", session)], f"session {session}"):
            notes += [f"session {session}: {note}" for note in recover(files, session).notes]
    return notes


def _sessions(files: Files, session_id: str | None) -> list[str]:
    found = manifests.session_ids(files)
    if session_id is not None and session_id not in found:
        raise IsocostError(
            f"has no session {session_id!r}",
            where=files.root,
            remedy=f"Sessions: {', '.join(found) or 'none'}",
        )
    if not found and not files.names("raw"):
        raise IsocostError(
            "is not a bank: it has no folder raw/",
            where=files.root,
            remedy="Give the lake's folder, e.g. data/lake",
        )
    return found if session_id is None else [session_id]


def _manifests(files: Files, session: str, faults: list[BankFault]) -> Iterator[Manifest]:
    for name in manifests.manifest_names(files, session):
        path = f"{layout.manifest_folder(session)}/{name}"
        try:
            yield manifests.read_manifest(files, session, name)
        except FileNotFoundError:  # set aside since the folder was listed
            continue
        except DamagedManifest as error:
            faults.append(BankFault("manifest", path, error.what, True))
        except IsocostError as error:
            faults.append(BankFault("unjudged", path, str(error), False))


def _doubled(keys: list[pl.DataFrame]) -> list[BankFault]:
    """Calls that are banked more than once.

    A method's call may come again in another attempt: its sample was started again.
    """
    if not keys:
        return []
    rows = pl.concat(keys)
    faults: list[BankFault] = []
    doubled = rows.filter(pl.struct("call_id", "attempt").is_duplicated() & ~pl.col("is_warmup"))
    good = rows.filter(~pl.col("is_warmup") & (pl.col("finish_reason") != "error"))
    of_sample = good.filter(pl.col("method").fill_null(SAMPLE) == SAMPLE)
    twice = of_sample.filter(pl.col("call_id").is_duplicated()).sort("call_id", "path")
    for frame, what in (
        (doubled.sort("call_id", "path"), "same call and attempt"),
        (twice, "same call"),
    ):
        for call_id, paths in (
            frame.group_by("call_id", maintain_order=True).agg("path").head(20).iter_rows()
        ):
            faults.append(
                BankFault(
                    "duplicate",
                    paths[-1],
                    f"call {call_id} is banked {len(paths)} times ({what})",
                    False,
                )
            )
    return faults
