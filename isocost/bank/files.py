"""Bytes on a disk or at a URL: atomic, durable writes and plain reads.

Lives here: `Files`, the few operations that the bank needs, on a local folder (fsync, rename, fsync
of the folder, flock) or on any fsspec URL (one PUT). Not here: what the bytes mean (`manifest`,
`writer`, `reader`).
"""

from __future__ import annotations

import errno
import fcntl
import io
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from uuid import uuid4

from isocost.errors import IsocostError, MachineError
from isocost.plain_files import stored_bytes

TEMPORARY_SUFFIX = ".tmp"
_REMEDIES = {
    errno.ENOSPC: "The disk is full: free space and run again",
    errno.EDQUOT: "The disk quota is used up: free space and run again",
    errno.EFBIG: (
        "A file-size limit is in force (`ulimit -f`): raise it or lower part_rows, then run again"
    ),
    errno.EROFS: "The file system is mounted read-only: choose another lake folder",
    errno.EACCES: ("Make the folder writable for this user, or choose another lake folder"),
    errno.EPERM: ("Make the folder writable for this user, or choose another lake folder"),
    errno.EMFILE: "Too many open files (`ulimit -n`): raise the limit and run again",
}


def _storage_error(error: OSError, where: str, doing: str) -> IsocostError:
    remedy = _REMEDIES.get(error.errno or 0, "Mend the storage and run again")
    if doing in ("read", "listed", "looked at") and error.errno in (errno.EACCES, errno.EPERM):
        remedy = "Make it readable for this user"
    return MachineError(
        f"could not be {doing}: {error.strerror or error}",
        where=where,
        remedy=f"{remedy}; everything sealed before is intact",
    )


class Files:
    """One lake's files, named by paths relative to its root with forward slashes.

    Attributes:
        root: the folder or URL as it was given.
        is_local: whether writes are fsynced and locks exist; at a URL a write is one PUT and there
            are no locks.
    """

    def __init__(self, root: str | Path) -> None:
        """Opens a folder or an fsspec URL; nothing is created before the first write.

        Raises:
            IsocostError: the URL's protocol is unknown or its driver is not installed.
        """
        text = str(root)
        if "://" in text and not text.startswith("file://"):
            import fsspec

            try:
                self._fs, self._base = fsspec.core.url_to_fs(text)
            except (ValueError, ImportError) as error:
                raise IsocostError(
                    f"cannot be opened: {error}",
                    where=text,
                    remedy="Install the fsspec driver of this protocol.",
                ) from None
            self.is_local = False
        else:
            self._base = str(Path(text.removeprefix("file://")).expanduser())
            self.is_local = True
        self.root = text

    def full(self, path: str) -> str:
        """The whole path or URL of a relative path, as DuckDB and Polars take it."""
        return (
            f"{self._base}/{path}"
            if self.is_local
            else self._fs.unstrip_protocol(f"{self._base}/{path}")
        )

    def is_there(self) -> bool:
        """Whether the root is a folder.

        Behind a URL always true, since folders do not exist before their files there.
        """
        return not self.is_local or Path(self._base).is_dir()

    def read(self, path: str) -> bytes:
        """All bytes of a file.

        Raises:
            FileNotFoundError: it does not exist.
            IsocostError: it exists but cannot be read.
        """
        try:
            return (
                stored_bytes(Path(self._base, path))
                if self.is_local
                else self._fs.cat_file(f"{self._base}/{path}")
            )
        except FileNotFoundError:
            raise
        except OSError as error:
            raise _storage_error(error, self.full(path), "read") from error

    def size(self, path: str) -> int | None:
        """Size of a file in bytes; None if it does not exist."""
        try:
            return (
                Path(self._base, path).stat().st_size
                if self.is_local
                else int(self._fs.size(f"{self._base}/{path}"))
            )
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _storage_error(error, self.full(path), "looked at") from error

    def names(self, folder: str) -> list[str]:
        """Names of the entries of a folder, sorted; empty if the folder does not exist."""
        try:
            if self.is_local:
                return sorted(os.listdir(Path(self._base, folder)))  # noqa: PTH208 (names are wanted, not paths)
            return sorted(
                str(entry).rstrip("/").rsplit("/", 1)[-1]
                for entry in self._fs.ls(f"{self._base}/{folder}", detail=False)
            )
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise _storage_error(error, self.full(folder), "listed") from error

    def write(self, path: str, data: bytes) -> None:
        """Write a file atomically: temporary name, fsync, rename, fsync of the folder.

        Raises:
            IsocostError: the disk is full, read-only or limited; an existing file is unchanged.
        """
        if not self.is_local:
            try:
                self._fs.pipe_file(f"{self._base}/{path}", data)
            except OSError as error:
                raise _storage_error(error, self.full(path), "written") from error
            return
        target = Path(self._base, path)
        temporary = target.with_name(f".{target.name}.{uuid4().hex}{TEMPORARY_SUFFIX}")
        try:
            make_folder(target.parent)
            with temporary.open("xb", buffering=0) as handle:
                view = memoryview(data)
                while view:
                    view = view[handle.write(view) :]
                os.fsync(handle.fileno())
            temporary.replace(target)
            sync_folder(target.parent)
        except OSError as error:
            with _ignored():
                temporary.unlink(missing_ok=True)
            raise _storage_error(error, str(target), "written") from error

    def move(self, source: str, target: str) -> None:
        """Moves a file within the lake."""
        try:
            if self.is_local:
                make_folder(Path(self._base, target).parent)
                Path(self._base, source).replace(Path(self._base, target))
                sync_folder(Path(self._base, target).parent)
                sync_folder(Path(self._base, source).parent)
            else:
                self._fs.mv(f"{self._base}/{source}", f"{self._base}/{target}")
        except OSError as error:
            raise _storage_error(error, self.full(source), "moved") from error

    def remove(self, path: str) -> None:
        """Remove a file; do nothing if it does not exist."""
        try:
            if self.is_local:
                Path(self._base, path).unlink(missing_ok=True)
            elif self._fs.exists(f"{self._base}/{path}"):
                self._fs.rm_file(f"{self._base}/{path}")
        except OSError as error:
            raise _storage_error(error, self.full(path), "removed") from error

    @contextmanager
    def locked(self, paths: list[str], what: str) -> Iterator[None]:
        """Hold exclusive locks on files while the block runs.

        The kernel releases them when the process dies.

        Args:
            paths: lock files, relative; created if missing. Locked in sorted order.
            what: the locked resource, for the message.

        Raises:
            IsocostError: another process holds one of them; the message names that process.
        """
        with ExitStack() as stack:
            for path in sorted(paths) if self.is_local else ():
                handle = stack.enter_context(self._lock_file(path))
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    handle.seek(0)
                    holder = handle.read(200).strip() or "an unknown process"
                    raise IsocostError(
                        f"{what} is being generated by another run ({holder})",
                        where=self.full(path),
                        remedy="Wait for it to end, or stop it",
                    ) from None
                except OSError as error:  # e.g. a network file system without locks
                    raise _storage_error(error, self.full(path), "locked") from error
                with (
                    _ignored()
                ):  # the lock is held; its holder's name is a courtesy that a full disk may refuse
                    os.ftruncate(handle.fileno(), 0)
                    os.write(
                        handle.fileno(),
                        f"process {os.getpid()} on {socket.gethostname()}\n".encode(),
                    )
            yield

    def is_locked(self, path: str) -> bool:
        """Whether a live process holds a lock file; needs no write permission."""
        if not self.is_local:
            return False
        try:
            with os.fdopen(
                os.open(
                    Path(self._base, path),
                    os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC,
                ),
                "rb",
            ) as handle:
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return False
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        except OSError as error:
            raise _storage_error(error, self.full(path), "looked at") from error

    def _lock_file(self, path: str) -> io.TextIOWrapper:
        target = Path(self._base, path)
        try:
            make_folder(target.parent)
        except OSError as error:
            raise _storage_error(error, str(target), "locked") from error
        return open_lock(target)


def open_lock(path: Path) -> io.TextIOWrapper:
    """Open a lock file for reading and writing, creating it if missing.

    Its content is not changed.

    Its holder's name is written into it, so it must be a file of its own, never the target of a
    symbolic or hard link.

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
        raise _storage_error(error, str(path), "locked") from error
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
        os.close(handle)
        raise IsocostError(
            "is not a lock file but a link, a folder or a device", where=str(path), remedy=remedy
        )
    return os.fdopen(handle, "r+")


def make_folder(folder: Path) -> None:
    """Makes a folder and its parents so that they survive a crash.

    Each new name is fsynced in its parent.
    """
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for new in reversed(missing):
        new.mkdir(exist_ok=True)
        sync_folder(new.parent)


def sync_folder(folder: Path) -> None:
    """Makes the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _ignored() -> Iterator[None]:
    try:
        yield
    except OSError:
        return
