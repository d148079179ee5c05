"""Bytes on a disk or at a URL: atomic, durable writes and plain reads.

Lives here: `Files`, the few operations that the bank needs, on a local folder (fsync, rename, fsync
of the folder, flock) or on any fsspec URL (one PUT). Not here: what the bytes mean (`manifest`,
`writer`, `reader`).
"""

from __future__ import annotations

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from isocost import atomic
from isocost.atomic import make_folder, put, refused
from isocost.errors import IsocostError
from isocost.lock_files import exclusive
from isocost.plain_files import stored_bytes

_INTACT = "everything sealed before is intact"


def _storage_error(error: OSError, where: str, doing: str) -> IsocostError:
    return refused(error, where, doing=doing, intact=_INTACT)


class Files:
    """One lake's files, named by paths relative to its root with forward slashes.

    Attributes:
        root: the folder or URL as it was given.
        is_local: whether writes are fsynced and locks exist; at a URL a write is one PUT and there
            are no locks.
    """

    def __init__(self, root: str | Path) -> None:
        """Open a folder or an fsspec URL; nothing is created before the first write.

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
        atomic.write_bytes(Path(self._base, path), data, intact=_INTACT)

    def move(self, source: str, target: str) -> None:
        """Move a file within the lake."""
        try:
            if self.is_local:
                make_folder(Path(self._base, target).parent)
                put(Path(self._base, source), Path(self._base, target))
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
                try:
                    handle = stack.enter_context(exclusive(Path(self._base, path), waits=False))
                except BlockingIOError:
                    written = self.read(path)[:200].decode(errors="replace").strip()
                    holder = written or "an unknown process"
                    raise IsocostError(
                        f"{what} is being generated by another run ({holder})",
                        where=self.full(path),
                        remedy="Wait for it to end, or stop it",
                    ) from None
                # The lock is held; its holder's name is a courtesy that a full disk may refuse.
                with suppress(OSError):
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
