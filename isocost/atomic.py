"""Atomic file writes: under a temporary name, made durable, renamed.

Lives here: the way in which this package writes files that others read: bytes, a text, or anything
that writes to a path itself (Parquet, DuckDB), and the error if the machine fails. Not here:
checksums inside files (``isocost.seals``), storage at a URL (``isocost.bank.files``),
streams that are sealed part by part (``isocost.bank.writer``).

A reader sees either the old or the new file, even after a power failure: the
temporary file is synchronized before it is renamed, its folder after that. A process that is killed
in between leaves a hidden ``.NAME.HEX.tmp`` next to the file, which readers ignore.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from isocost.errors import MachineError

TEMPORARY_SUFFIX = ".tmp"
# No writer takes longer for one file.
ABANDONED_S = 3600.0
_LONGEST_NAME = 255  # bytes, on every file system in use
_REMEDIES = {
    errno.ENOSPC: "The disk is full: free space and run again",
    errno.EDQUOT: "The disk quota is used up: free space and run again",
    errno.EFBIG: "A file-size limit is in force (`ulimit -f`): raise it and run again",
    errno.EROFS: "The file system is mounted read-only: choose another folder",
    errno.EACCES: "Make the folder writable for this user, or choose another one",
    errno.EPERM: "Make the folder writable for this user, or choose another one",
    errno.EMFILE: "Too many open files (`ulimit -n`): raise the limit and run again",
    errno.ENAMETOOLONG: "Choose a shorter name",
}


def write_bytes(path: Path, data: bytes, *, intact: str = "") -> None:
    """Write bytes to a file atomically, creating its folder.

    Args:
        path: the file.
        data: its content.
        intact: what the error reports as intact if the write fails; see ``refused``.

    Raises:
        MachineError: the disk is full, the folder cannot be written, or a limit is in force; an
            existing file is unchanged.
    """
    with replacing(path, intact=intact) as temporary, temporary.open("xb", buffering=0) as handle:
        view = memoryview(data)
        while view:
            view = view[handle.write(view) :]


def write_text(path: Path, text: str, *, intact: str = "") -> None:
    """Write a text to a UTF-8 file atomically; see ``write_bytes``."""
    write_bytes(path, text.encode(), intact=intact)


@contextmanager
def replacing(path: Path, *, intact: str = "") -> Iterator[Path]:
    """A temporary path next to a file, which replaces the file when the block succeeds.

    The block creates it, so it gets the user's default permissions for new files. If the block
    fails, it is removed and the file is unchanged.

    Args:
        path: the file; its folder is created.
        intact: what the error reports as intact if the write fails; see ``refused``.

    Raises:
        MachineError: an ``OSError`` of the block, or the file cannot be moved into place.
    """
    temporary = temporary_beside(path)
    try:
        make_folder(path.parent)
        yield temporary
        sync(temporary)
        put(temporary, path)
    except OSError as error:
        raise refused(error, path, intact=intact) from error
    finally:
        with suppress(OSError):  # a file that could not be written need not be removed
            temporary.unlink(missing_ok=True)


def temporary_beside(path: Path) -> Path:
    """A unique hidden name in a file's folder that readers ignore."""
    end = f".{os.urandom(8).hex()}{TEMPORARY_SUFFIX}"
    room = _LONGEST_NAME - len(end) - 1
    name = path.name.encode("utf-8", "surrogateescape")[:room].decode("utf-8", "ignore")
    return path.with_name(f".{name}{end}")


def put(temporary: Path, path: Path) -> None:
    """Rename a written and synchronized file, and make the new name durable.

    Raises:
        OSError: the folder cannot be written.
    """
    temporary.replace(path)
    sync(path.parent)
    if temporary.parent != path.parent:
        sync(temporary.parent)


def remove_stale(path: Path, older_than_s: float = ABANDONED_S) -> None:
    """Remove leftovers of killed writers of a file.

    Including leftovers of writing such a leftover.

    Args:
        path: the file.
        older_than_s: age from which a temporary file is considered abandoned.
    """
    for left in path.parent.glob(f".*{TEMPORARY_SUFFIX}*"):
        if not left.name.lstrip(".").startswith(f"{path.name}."):
            continue
        with suppress(FileNotFoundError):  # its own writer was faster
            if time.time() - left.stat().st_mtime > older_than_s:
                left.unlink()


def make_folder(folder: Path) -> None:
    """Create a folder and its parents so that they survive a power failure.

    Raises:
        OSError: it cannot be created, or there is a file with that name.
    """
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for new in reversed(missing):
        new.mkdir(exist_ok=True)
        sync(new.parent)


def sync(path: Path) -> None:
    """Make the content of a file, or the names in a folder, durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def refused(
    error: OSError, where: Path | str, *, doing: str = "written", intact: str = ""
) -> MachineError:
    """The error for a failure of the machine: what, where, and the remedy.

    Args:
        error: the system's error.
        where: the file or folder.
        doing: what could not be done to it, as in "could not be written".
        intact: what is intact; the previous content if empty.
    """
    remedy = _REMEDIES.get(error.errno or 0, "Free space or make the folder writable and run again")
    if doing in ("read", "listed", "looked at"):
        remedy = (
            "This user may not read it: change its permissions"
            if error.errno in (errno.EACCES, errno.EPERM)
            else _REMEDIES.get(error.errno or 0, "Check the disk and run again")
        )
    return MachineError(
        f"could not be {doing}: {error.strerror or error}",
        where=str(where),
        remedy=f"{remedy}; {intact or 'the previous content is intact'}",
    )
