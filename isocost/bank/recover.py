"""Restore a session's folder to a state in which every listed part is verified.

Lives here: what a new run does before it generates, and what ``isocost bank verify --repair`` does:
remove the temporary files of dead runs, list whole parts that a crash left unlisted, quarantine
parts that fail verification. The caller holds the session's lock. Not here: reporting faults
without changing anything (`verify`).
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field

import polars as pl

from isocost.atomic import TEMPORARY_SUFFIX
from isocost.bank import layout
from isocost.bank import manifest as manifests
from isocost.bank.complete import Found, judged_columns
from isocost.bank.files import Files
from isocost.bank.manifest import DamagedManifest, Manifest, QuarantineEntry
from isocost.bank.parts import PartFault, adopted, check_part, manifest_from_stamp


@dataclass
class Recovery:
    """The result of a recovery.

    Attributes:
        manifests: the session's manifests, by attempt, after recovery.
        done: samples that verified parts complete; columns of ``complete.DONE_SCHEMA``.
        notes: one sentence for every change.
    """

    manifests: list[Manifest]
    done: pl.DataFrame
    notes: list[str] = field(default_factory=list)


def recover(files: Files, session_id: str) -> Recovery:
    """Verify every part of a session; adopt, quarantine and clean up as needed.

    Args:
        files: the lake; the caller holds the session's lock.
        session_id: the session.

    Raises:
        IsocostError: the lake cannot be read or written.
    """
    notes: list[str] = []
    found = _manifests(files, session_id, notes)
    changed: set[str] = set()
    done = Found()
    for manifest in found.values():
        if manifest.status == "running":
            manifest.status = "died"
            changed.add(manifest.run_id)
        kept = []
        for entry in manifest.parts:
            try:
                rows, _ = check_part(
                    files, session_id, entry.table, entry.file, entry, judged_columns(entry.table)
                )
            except PartFault as fault:
                _set_aside(files, manifest, entry.table, entry.file, fault, notes)
                changed.add(manifest.run_id)
                continue
            kept.append(entry)
            done.add(entry.table, rows)
        manifest.parts = kept
    _sweep_folders(files, session_id, found, changed, done, notes)
    for run_id in sorted(changed):
        files.write(found[run_id].path, found[run_id].to_json())
    ordered = sorted(found.values(), key=lambda m: (m.attempt, m.run_id))
    return Recovery(ordered, done.complete(), notes)


def _manifests(files: Files, session_id: str, notes: list[str]) -> dict[str, Manifest]:
    found: dict[str, Manifest] = {}
    folder = layout.manifest_folder(session_id)
    for name in files.names(folder):
        path = f"{folder}/{name}"
        if name.endswith(TEMPORARY_SUFFIX):
            files.remove(path)
        elif name.endswith(".json"):
            try:
                manifest = manifests.read_manifest(files, session_id, name)
            except DamagedManifest as error:
                files.move(path, f"{layout.quarantine_folder(session_id)}/manifest-{name}")
                notes.append(
                    f"manifest {name} set aside ({error.what}); its parts are proven one by one"
                )
                continue
            found[manifest.run_id] = manifest
    return found


def _sweep_folders(
    files: Files,
    session_id: str,
    found: dict[str, Manifest],
    changed: set[str],
    done: Found,
    notes: list[str],
) -> None:
    listed = {(p.table, p.file) for m in found.values() for p in m.parts}
    for table in layout.FOLDERS:
        folder = layout.part_folder(table, session_id)
        for name in reversed(files.names(folder)):  # the last part of a run remembers most of it
            part = layout.parse_part(name)
            if name.endswith(TEMPORARY_SUFFIX):
                files.remove(f"{folder}/{name}")
                notes.append(f"temporary file {name} of a dead run removed")
            elif part is not None and (table, name) not in listed:
                changed.add(part.run_id)
                attempt = 1 + max((m.attempt for m in found.values()), default=0)
                try:
                    rows, data = check_part(
                        files, session_id, table, name, None, judged_columns(table)
                    )
                except PartFault as fault:
                    if part.run_id not in found:
                        info = {"error": "the manifest was lost; this one was made from the parts"}
                        found[part.run_id] = Manifest(
                            session_id, part.run_id, attempt, status="died", info=info
                        )
                    _set_aside(files, found[part.run_id], table, name, fault, notes)
                    continue
                if part.run_id not in found:
                    found[part.run_id] = manifest_from_stamp(data, session_id, part, attempt)
                    notes.append(
                        f"the manifest of run {part.run_id} was lost; rebuilt from its parts"
                    )
                manifest = found[part.run_id]
                manifest.parts.append(adopted(data, rows, table, part))
                manifest.parts.sort(key=lambda p: (p.file, p.table))
                done.add(table, rows)
                notes.append(f"{name} of {table} was whole but unlisted; listed now")


def _set_aside(
    files: Files, manifest: Manifest, table: str, name: str, fault: PartFault, notes: list[str]
) -> None:
    source = f"{layout.part_folder(table, manifest.session_id)}/{name}"
    target = layout.quarantine_path(manifest.session_id, table, name)
    moved = files.size(source) is not None
    if moved:
        files.move(source, target)
    entry = QuarantineEntry(table, name, str(fault), target if moved else "", time.time())
    reason = {
        "table": table,
        "file": name,
        "run_id": manifest.run_id,
        "reason": entry.reason,
        "at_unix_s": entry.at_unix_s,
    }
    files.write(f"{target}.reason.json", json.dumps(reason, indent=1).encode())
    manifest.quarantined.append(entry)
    notes.append(f"{name} of {table} set aside ({fault}); its samples are missing again")
