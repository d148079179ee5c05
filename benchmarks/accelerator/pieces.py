"""An archive written as pieces of limited size, with a manifest of their checksums.

Lives here: `write_pieces`. Not here: checking and joining them, which needs only the standard
library and is carried along (`unpack`).
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.accelerator.unpack import MANIFEST
from isocost import atomic
from isocost.hashing import canonical_json


class PieceWriter(io.RawIOBase):
    """A file to write to that starts a new piece whenever one is full.

    Attributes:
        pieces: name, bytes and SHA-256 of each finished piece.
    """

    def __init__(self, folder: Path, stem: str, piece_bytes: int) -> None:
        """Start without a piece.

        Args:
            folder: where the pieces go.
            stem: the beginning of their names.
            piece_bytes: maximum size of a piece.
        """
        self._folder, self._stem, self._limit = folder, stem, piece_bytes
        self._handle: io.BufferedWriter | None = None
        self._digest, self._size = hashlib.sha256(), 0
        self.pieces: list[dict[str, Any]] = []

    def writable(self) -> bool:
        """See `io.RawIOBase`."""
        return True

    def write(self, data: Any) -> int:
        """See `io.RawIOBase`."""
        view = memoryview(data).cast("B")
        written = len(view)
        while view:
            if self._handle is None:
                self._handle = (self._folder / self._name()).open("wb")
            part = view[: self._limit - self._size]
            self._handle.write(part)
            self._digest.update(part)
            self._size += len(part)
            view = view[len(part) :]
            if self._size == self._limit:
                self._finish()
        return written

    def close(self) -> None:
        """Finish the last piece."""
        if not self.closed:
            self._finish()
        super().close()

    def _name(self) -> str:
        return f"{self._stem}-{len(self.pieces) + 1:03}"

    def _finish(self) -> None:
        if self._handle is None:
            return
        self._handle.close()
        self._handle = None
        listed = {"name": self._name(), "bytes": self._size, "sha256": self._digest.hexdigest()}
        self.pieces.append(listed)
        self._digest, self._size = hashlib.sha256(), 0


def write_pieces(
    members: Mapping[str, Path],
    folder: Path,
    *,
    stem: str,
    piece_bytes: int,
    compress: bool = False,
    facts: Mapping[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """Write files and folders as one archive in pieces, then the manifest.

    Args:
        members: name in the archive -> file or folder.
        folder: an existing folder for the pieces; those of an earlier call are replaced.
        stem: the beginning of the pieces' names.
        piece_bytes: maximum size of a piece.
        compress: whether to compress the archive; wheels are compressed already.
        facts: what else the manifest says.

    Returns:
        Name, bytes and SHA-256 of each piece.
    """
    for old in (*folder.glob(f"{stem}-[0-9][0-9][0-9]"), folder / MANIFEST):
        old.unlink(missing_ok=True)
    with PieceWriter(folder, stem, piece_bytes) as out:
        with tarfile.open(fileobj=out, mode="w|gz" if compress else "w|") as archive:
            for name, path in members.items():
                archive.add(path, name, filter=_worth_carrying)
        out.close()
        pieces = out.pieces
    atomic.write_text(folder / MANIFEST, canonical_json({**(facts or {}), "pieces": pieces}))
    return pieces


def _worth_carrying(info: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """A member without its owner; None for what Python writes again by itself."""
    if Path(info.name).name == "__pycache__" or info.name.endswith((".pyc", ".lock")):
        return None
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    return info
