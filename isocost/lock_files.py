"""Lock files: one process at a time, and the lock goes with the process that holds it.

Lives here: opening one safely, holding it. Not here: which locks there are and what they guard.
"""

from __future__ import annotations

import errno
import fcntl
import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from isocost.atomic import make_folder, refused
from isocost.errors import IsocostError


@contextmanager
def exclusive(path: Path, *, waits: bool = True) -> Iterator[io.TextIOWrapper]:
    """Hold a lock file while the block runs; the kernel releases it when the process dies.

    Args:
        path: the lock file; it and its folder are created if missing.
        waits: whether to wait for
            another process that holds it.

    Raises:
        BlockingIOError: another process holds it and this one does not wait.
        IsocostError: it is not a lock file, or the folder cannot be written.
    """
    try:
        make_folder(path.parent)
    except OSError as error:
        raise refused(error, path, doing="locked") from error
    with open_lock(path) as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if waits else fcntl.LOCK_NB))
        except BlockingIOError:
            raise
        except OSError as error:  # e.g. a network file system without locks
            raise refused(error, path, doing="locked") from error
        yield handle


def open_lock(path: Path) -> io.TextIOWrapper:
    """Open a lock file, made when missing, for reading and writing; nothing in it is changed.

    Its holder's name is written into it, so that it must be a file of its own: never what a
    symbolic or hard link leads to.

    Raises:
        IsocostError: it is a link, a folder or a device, or cannot be opened.
    """
    remedy = "Remove it: a lock file is made again when it is needed"
    try:
        handle = os.open(
            path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666
        )
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
            raise IsocostError(
                "is not a lock file but a link, a folder or a device",
                where=str(path),
                remedy=remedy,
            ) from error
        raise refused(error, path, doing="locked") from error
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
        os.close(handle)
        raise IsocostError(
            "is not a lock file but a link, a folder or a device", where=str(path), remedy=remedy
        )
    return os.fdopen(handle, "r+")
