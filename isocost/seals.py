"""Self-verifying files: JSON and Parquet with their own checksum.

The last key of a JSON file is the checksum of everything before it.

Lives here: writing and checking of both kinds of seal, and ``Damaged``, the error for stored bytes
that are not what was written. Not here: what the files mean, what happens to a damaged one
(``isocost.build.refresh`` rebuilds a derived one, ``isocost.bank`` quarantines a raw one).

A Parquet file carries the SHA-256 of all its bytes in the key ``isocost.sha256`` of its key-value
metadata, computed with 64 zeros in place of the digest itself. Page checksums alone would leave the
footer, and with it every column's position and type, unverified.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

from isocost.errors import IsocostError
from isocost.plain_files import open_plain

PARQUET_KEY = b"isocost.sha256"
SEALED_KEY, SEALED = b"isocost.seal", b"sha256"
"""Also stored in the schema's metadata.

So a file that lost one key to a fault is not mistaken for a file from before there were seals.
"""
BLANK = b"0" * 64
_MAGIC = b"PAR1"
_CHUNK = 1 << 20
_JSON_SEAL = re.compile(rb',\n "sha256": "([0-9a-f]{64})"\n\}')
_JSON_SEAL_BYTES = len(',\n "sha256": ""\n}') + 64
_HEX = frozenset(b"0123456789abcdef")
_PROVEN_AT_MOST = 200_000

Identity = tuple[int, int, int, int]


class Damaged(IsocostError):
    """Stored bytes are not what was written under this name.

    Attributes:
        path: the file; None if it is at a URL.
    """

    path: Path | None = None

    @classmethod
    def of(cls, path: Path, what: str, remedy: str = "") -> Damaged:
        """The fault of one local file."""
        found = cls(what, where=str(path), remedy=remedy)
        found.path = path
        return found


def sealed_json(value: dict[str, Any], **options: Any) -> bytes:
    """A JSON object with at least one key, its checksum as the last key.

    Options are those of ``json.dumps``.
    """
    chosen: dict[str, Any] = {"indent": 1, "allow_nan": False, **options}
    return sealed_text(json.dumps(value, **chosen))


def sealed_text(text: str) -> bytes:
    """As ``sealed_json``, of an object that was written with an indent of one."""
    body = text.encode().removesuffix(b"\n}")
    return body + b',\n "sha256": "%s"\n}' % hashlib.sha256(body).hexdigest().encode()


def unsealed_text(data: bytes, where: str, remedy: str = "") -> bytes:
    """The JSON text without its seal.

    Unchanged if it was written before there were seals.

    Raises:
        Damaged: its seal does not match.
    """
    tail = data[-_JSON_SEAL_BYTES:]
    found = _JSON_SEAL.fullmatch(tail)
    if found is not None:
        body = data[:-_JSON_SEAL_BYTES]
        if hashlib.sha256(body).hexdigest().encode() == found[1]:
            return body + b"\n}"
    elif (
        sum(byte in _HEX for byte in tail[-67:-3]) < 56
    ):  # nothing like a seal, not even a damaged one
        return data
    raise Damaged(
        "does not match its own checksum: it was changed after it was written",
        where=where,
        remedy=remedy,
    )


def unsealed_json(data: bytes, where: str, remedy: str = "") -> Any:
    """The value of a sealed JSON text.

    Raises:
        Damaged: its seal does not match, or it is not JSON.
    """
    try:
        return json.loads(unsealed_text(data, where, remedy))
    except Damaged:
        raise
    except (ValueError, RecursionError) as error:
        raise Damaged(
            f"cannot be read ({type(error).__name__}: {error})", where=where, remedy=remedy
        ) from None


def identity(path: Path) -> Identity:
    """Size, modification time, change time and inode: changes whenever a file is replaced.

    The change time cannot be reset, so a modification with a reset modification time is detected
    too.
    """
    status = path.stat()
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def checksum(path: Path) -> str:
    """SHA-256 of a file's content, hexadecimal."""
    with open_plain(path) as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def seal_parquet(path: Path) -> None:
    """Put the checksum into a new Parquet file.

    The file was written with ``PARQUET_KEY`` as ``BLANK``.
    """
    with path.open("rb+") as handle:
        place = _digest_place(path)
        assert place is not None
        handle.seek(place)
        if handle.read(64) != BLANK:
            raise ValueError(f"{path} is sealed already")
        handle.seek(0)
        digest = hashlib.file_digest(handle, "sha256").hexdigest()
        handle.seek(place)
        handle.write(digest.encode())


_proven: dict[Path, tuple[Identity, str]] = {}


def is_what_was_sealed(path: Path, digest: str) -> bool:
    """Whether a file has this SHA-256; it is read once in a process while it stays as it is.

    Raises:
        OSError: it is missing or cannot be read.
    """
    now = identity(path)
    if _proven.get(path) == (now, digest):
        return True
    if checksum(path) != digest:
        return False
    _remember(path, now, digest)
    return True


def prove_sealed(path: Path, digest: str, *, what: str, remedy: str) -> None:
    """Hold a sealed file to its checksum, once in a process while it stays as it is.

    Args:
        path: the file.
        digest: SHA-256 in its manifest.
        what: the file in words, as in "a sealed part".
        remedy: what to do where it is missing or damaged.

    Raises:
        Damaged: it is not what was sealed.
        IsocostError: it is missing or cannot be read.
    """
    try:
        is_sound = is_what_was_sealed(path, digest)
    except FileNotFoundError:
        raise IsocostError(f"{what} is missing", where=str(path), remedy=remedy) from None
    except OSError as error:
        said = f"{what} cannot be read: {error.strerror or error}"
        raise IsocostError(said, where=str(path), remedy=remedy) from error
    if not is_sound:
        raise Damaged.of(path, f"{what} is damaged: its SHA-256 is not the sealed one", remedy)


def _remember(path: Path, now: Identity, digest: str) -> None:
    if len(_proven) >= _PROVEN_AT_MOST:
        _proven.clear()
    _proven[path] = (now, digest)


def prove_parquet(path: Path) -> bool:
    """Check a Parquet file against its seal, once per process while it is unchanged.

    Returns:
        False if it has no seal: a foreign file, or one from before there were seals.

    Raises:
        Damaged: it is not a Parquet file, or not the one that was written.
        FileNotFoundError: it does not exist.
    """
    now = identity(path)
    if _proven.get(path) == (now, "own"):
        return True
    try:
        place = _digest_place(path)
        if place is None:
            return False
        matches = _digest_without(path, place)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise IsocostError(f"cannot be read: {error.strerror or error}", where=str(path)) from error
    if not matches:
        raise Damaged.of(
            path,
            "is damaged: it does not match its own checksum",
            "`isocost refresh` builds a derived file again",
        )
    _remember(path, now, "own")
    return True


def _digest_place(path: Path) -> int | None:
    """The position of the digest in the file."""
    with open_plain(path) as handle:
        size = handle.seek(0, os.SEEK_END)
        handle.seek(max(size - 8, 0))
        tail = handle.read(8)
        length = int.from_bytes(tail[:4], "little")
        if len(tail) < 8 or tail[4:] != _MAGIC or length > size - 12:
            raise Damaged.of(path, "is not a readable Parquet file (its end is cut or damaged)")
        start = size - 8 - length
        handle.seek(start)
        footer = handle.read(length)
    at = footer.rfind(PARQUET_KEY)
    if at < 0:
        if SEALED_KEY in footer:
            raise Damaged.of(path, "is damaged: it has lost its own checksum")
        return None
    place = at + len(PARQUET_KEY) + 2  # a field header and a length are in between
    if place + 64 > length:
        raise Damaged.of(path, "is damaged: its own checksum is cut")
    return start + place


def _digest_without(path: Path, place: int) -> bool:
    digest = hashlib.sha256()
    with open_plain(path) as handle:
        left = place
        while left:
            chunk = handle.read(min(left, _CHUNK))
            if not chunk:
                return False
            digest.update(chunk)
            left -= len(chunk)
        found = handle.read(64)
        digest.update(BLANK)
        while chunk := handle.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest().encode() == found
