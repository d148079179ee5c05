"""The layout of the raw lake, and the names of runs.

Lives here: paths relative to the lake, parsing of part names, `new_run_id`. Not here: reading or
writing anything.

Layout::

    raw/{generations,steps,telemetry,answers}/session=<session_id>/part-<run_id>-<nnnnn>.parquet
    raw/manifests/session=<session_id>/<run_id>.json
    raw/quarantine/session=<session_id>/<table>-<part>  and  <table>-<part>.reason.json
    raw/locks/session-<id>.lock  raw/locks/points-<nn>.lock
"""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from uuid import UUID

from isocost.errors import IsocostError

FOLDERS = {
    "raw_generations": "generations",
    "raw_steps": "steps",
    "raw_telemetry": "telemetry",
    "raw_answers": "answers",
}
"""In the order of sealing: an answer is only durable after the calls that it was made of."""
LOCKS = "raw/locks"
QUARANTINE = "raw/quarantine"
"""Where sessions and imports set aside what cannot be trusted."""
_PART = re.compile(r"part-(?P<run>[A-Za-z0-9][A-Za-z0-9_.-]*)-(?P<number>[0-9]{5,})\.parquet")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_=.+-]{0,199}")


@dataclass(frozen=True, slots=True)
class PartName:
    """What a part's file name says.

    Attributes:
        run_id: the run that wrote it.
        number: its place in that run, from 0.
    """

    run_id: str
    number: int

    def __str__(self) -> str:
        return f"part-{self.run_id}-{self.number:05d}.parquet"


def parse_part(name: str) -> PartName | None:
    """The run and number in a part's file name; None if it is not the name of a part."""
    found = _PART.fullmatch(name)
    return PartName(found["run"], int(found["number"])) if found else None


def checked_id(value: str, what: str) -> str:
    """A value that is safe as part of a file name.

    Raises:
        IsocostError: it is empty, too long, or contains anything but letters, digits and ``_=.+-``.
    """
    if not _ID.fullmatch(value):
        raise IsocostError(
            f"{value!r} is not a valid {what}",
            remedy="Use letters, digits and _=.+- only, starting with a letter or digit",
        )
    return value


def part_folder(table: str, session_id: str) -> str:
    """Folder of one table's parts of one session."""
    return f"raw/{FOLDERS[table]}/session={session_id}"


def manifest_folder(session_id: str) -> str:
    """Folder of one session's manifests."""
    return f"raw/manifests/session={session_id}"


def manifest_path(session_id: str, run_id: str) -> str:
    """File of one run's manifest."""
    return f"{manifest_folder(session_id)}/{run_id}.json"


def quarantine_path(session_id: str, table: str, part: str) -> str:
    """Where a part that cannot be trusted is set aside."""
    return f"{quarantine_folder(session_id)}/{FOLDERS[table]}-{part}"


def quarantine_folder(session_id: str) -> str:
    """Folder of what was set aside of a session."""
    return f"{QUARANTINE}/session={session_id}"


def lock_path(kind: str, name: str) -> str:
    """Lock file of a session or a point."""
    return f"{LOCKS}/{kind}-{name}.lock"


def points_lock(number: int) -> str:
    """One of the lock files in which every point has a byte."""
    return f"{LOCKS}/points-{number:02d}.lock"


def new_run_id(now_s: float | None = None) -> str:
    """A version 7 UUID (RFC 9562), so that run ids sort by time.

    It starts with the milliseconds since 1970.

    Args:
        now_s: wall clock in seconds since 1970; the current time if None.
    """
    milliseconds = int((time.time() if now_s is None else now_s) * 1000)
    noise = int.from_bytes(os.urandom(10), "big")
    value = (
        (milliseconds & (1 << 48) - 1) << 80
        | 7 << 76
        | (noise >> 68 & 0xFFF) << 64
        | 2 << 62
        | noise & (1 << 62) - 1
    )
    return str(UUID(int=value))
