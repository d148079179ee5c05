"""The manifest of one run: what it was, what it sealed, how it ended.

Lives here: `Manifest`, its JSON form with its own checksum, reading of one or all of a lake. Not
here: the parts themselves (`writer`, `reader`) and their verification (`verify`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from isocost.bank import layout
from isocost.bank.files import Files
from isocost.errors import IsocostError
from isocost.hashing import canonical_json
from isocost.seals import Damaged, sealed_json, unsealed_text

MANIFEST_SCHEMA = 2


class DamagedManifest(Damaged):
    """The file exists but does not contain what was written under this name.

    Unlike a storage failure, or a file from a newer isocost.
    """


@dataclass(frozen=True)
class PartEntry:
    """One sealed part.

    Attributes:
        table: raw table name.
        file: file name in the table's folder of the session.
        rows: rows in it.
        bytes: size of the file.
        sha256: checksum of the file, hexadecimal.
        points: rows by point_id, for tables that have the column; lets a reader open only what it
            needs.
        sealed_unix_s: wall clock when it was sealed.
        is_adopted: found complete but unlisted after a crash between rename and listing, checked,
            and listed afterwards.
        schema_version: version of the table's meaning when it was written.
    """

    table: str
    file: str
    rows: int
    bytes: int
    sha256: str
    points: dict[str, int]
    sealed_unix_s: float
    is_adopted: bool = False
    schema_version: int = 1


@dataclass(frozen=True)
class QuarantineEntry:
    """A part that was quarantined; its entry no longer counts.

    Attributes:
        table: raw table name.
        file: its file name.
        reason: what was wrong with it.
        moved_to: its location now, relative to the lake; empty if the file was missing.
        at_unix_s: wall clock.
    """

    table: str
    file: str
    reason: str
    moved_to: str
    at_unix_s: float


@dataclass
class Manifest:
    """One run of one session.

    Attributes:
        session_id: the session.
        run_id: the run.
        attempt: 1 for the session's first run, then counted up.
        status: ``running``, ``finished``, ``stopped`` (by a signal), ``failed``, or ``died`` (found
            running by a later run).
        info: what the payload knows: engine, versions, clock anchors, counts, window, telemetry,
            error.
        parts: sealed parts in order.
        quarantined: parts set aside by later runs.
    """

    session_id: str
    run_id: str
    attempt: int
    status: str = "running"
    info: dict[str, Any] = field(default_factory=dict)
    parts: list[PartEntry] = field(default_factory=list)
    quarantined: list[QuarantineEntry] = field(default_factory=list)

    @property
    def path(self) -> str:
        """Its file, relative to the lake."""
        return layout.manifest_path(self.session_id, self.run_id)

    def as_dict(self) -> dict[str, Any]:
        """The manifest as plain JSON values, without its checksum."""
        return {"manifest_schema": MANIFEST_SCHEMA, **asdict(self)}

    def to_json(self) -> bytes:
        """JSON with the SHA-256 of all preceding bytes as its last key.

        Verifying it needs no second pass over its values.
        """
        return sealed_json(self.as_dict())

    def rows(self, table: str) -> int:
        """Rows of a table in this run's sealed parts."""
        return sum(part.rows for part in self.parts if part.table == table)


def parse(data: bytes, where: str) -> Manifest:
    """A manifest from its bytes.

    Raises:
        DamagedManifest: it is not JSON, or its checksum does not match.
        IsocostError: a newer schema wrote it.
    """
    try:
        body = json.loads(data)
        found = body.pop("sha256")
        schema = body.pop("manifest_schema")
        entries: dict[str, Any] = {
            "parts": [PartEntry(**p) for p in body["parts"]],
            "quarantined": [QuarantineEntry(**q) for q in body["quarantined"]],
        }
        manifest = Manifest(**{**body, **entries})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedManifest(
            f"is not a readable manifest ({type(error).__name__}: {error})",
            where=where,
            remedy="Run `isocost bank verify --repair`",
        ) from None
    if schema not in (1, MANIFEST_SCHEMA):
        raise IsocostError(
            f"has manifest schema {schema}, this code knows {MANIFEST_SCHEMA}",
            where=where,
            remedy="Upgrade isocost",
        )
    if not (
        _old_checksum({"manifest_schema": 1, **body}) == found if schema == 1 else _is_sealed(data)
    ):
        raise DamagedManifest(
            "does not match its own checksum",
            where=where,
            remedy="Run `isocost bank verify --repair`",
        )
    return manifest


def session_ids(files: Files, tables: Iterable[str] = layout.FOLDERS) -> list[str]:
    """Every session that has manifests, or parts of these tables, sorted.

    A lost manifest must not hide a session.
    """
    folders = ["manifests", *(layout.FOLDERS[table] for table in tables)]
    return sorted(
        {
            n.removeprefix("session=")
            for folder in folders
            for n in files.names(f"raw/{folder}")
            if n.startswith("session=")
        }
    )


def manifest_names(files: Files, session_id: str) -> list[str]:
    """Names of a session's manifest files, sorted (run ids of version 7 sort by time)."""
    return [
        n
        for n in files.names(layout.manifest_folder(session_id))
        if n.endswith(".json") and not n.startswith(".")
    ]


def read_manifest(files: Files, session_id: str, name: str) -> Manifest:
    """Read the manifest with a name in a session's folder.

    Raises:
        DamagedManifest: see `parse`; or it belongs to another session or run and was copied or
            renamed.
        IsocostError: it cannot be read, or a newer schema wrote it.
    """
    path = f"{layout.manifest_folder(session_id)}/{name}"
    manifest = parse(files.read(path), files.full(path))
    if (manifest.session_id, f"{manifest.run_id}.json") != (session_id, name):
        raise DamagedManifest(
            f"is the manifest of run {manifest.run_id} of session {manifest.session_id}: it was"
            " copied or renamed",
            where=files.full(path),
            remedy="Move it away, or run `isocost bank verify --repair`",
        )
    return manifest


def load(files: Files, session_id: str, *, skip_damaged: bool = False) -> list[Manifest]:
    """Manifests of one session as stored, by attempt.

    `listing.load_complete` adds unlisted parts.

    Raises:
        IsocostError: one cannot be read or is damaged, unless these are skipped; see
            `read_manifest`.
    """
    found = []
    for name in manifest_names(files, session_id):
        try:
            found.append(read_manifest(files, session_id, name))
        except (
            FileNotFoundError
        ):  # set aside since the folder was listed; its parts speak for themselves
            continue
        except IsocostError:
            if not skip_damaged:
                raise
    return sorted(found, key=lambda m: (m.attempt, m.run_id))


def _is_sealed(data: bytes) -> bool:
    """Whether the last key is the checksum of the bytes before it."""
    try:
        return len(unsealed_text(data, "")) != len(data)
    except Damaged:
        return False


def _old_checksum(body: dict[str, Any]) -> str:
    """Schema 1 hashed its values in canonical form."""
    return hashlib.sha256(canonical_json(body).encode()).hexdigest()
