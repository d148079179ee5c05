"""Read untrusted files of other tools.

Lives here: bounded lines, strict JSON, bounded whole documents, checked zip members and YAML; every
fault becomes an ``IsocostError`` with file and position. Not here: what the files mean (one module
per
format).
"""

from __future__ import annotations

import copy
import json
import math
import os
import stat
import time
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import yaml

from isocost.errors import IsocostError
from isocost.plain_files import MOST_DEPTH, PlainLoader

MIB = 1 << 20
# One line contains one record. The longest real record seen is a 32k-token answer with its prompt:
# under 1 MiB.
MAX_LINE_BYTES = 16 * MIB
# A whole JSON document is parsed in memory, where it takes five to ten times its size.
MAX_DOCUMENT_BYTES = 256 * MIB
MAX_YAML_BYTES = 64 * MIB
# An empty object takes two bytes in a file and 72 in memory: this many values are at most a
# gibibyte, whatever the bytes.
MAX_VALUES = 16_000_000
# PyYAML makes of every value a node of about half a kibibyte first.
MAX_YAML_EVENTS = 1_000_000
# A zip member of honest JSON shrinks by 5 to 50; what shrinks by more than 200 and is not tiny is a
# bomb.
MAX_ZIP_RATIO = 200
# zstd looks further back than deflate: a conversation that is logged again with every turn shrinks
# to its last turn.
MAX_ZSTD_RATIO = 5_000
ZIP_RATIO_FLOOR_BYTES = MIB
MAX_ZIP_TOTAL_BYTES = 8 * 1024 * MIB
MAX_ZIP_MEMBERS = 1_000_000
# Codes of the zip specification for compression methods that Python does not support; Inspect
# writes zstd since 2026.
ZIP_ZSTD = 93
_PACKED_BY = {
    1: "shrink",
    6: "implode",
    9: "deflate64",
    20: "zstd of before 2020",
    94: "mp3",
    95: "xz",
    98: "ppmd",
}
# Python refuses to parse integers beyond 4,300 digits; anything beyond int64 is refused field by
# field.
_BLOCK = MIB
CHUNK_BYTES = 64 * MIB


def regular_file(path: Path) -> Path:
    """The path itself if it is a regular file.

    Raises:
        IsocostError: it is missing, a symbolic link (its target may be anywhere), a folder, or a
            device or pipe (reading may never end).
    """
    try:
        mode = path.lstat().st_mode
    except OSError as error:
        raise IsocostError(
            f"cannot be opened: {error.strerror or error}",
            where=str(path),
            remedy="Give the path of a file that exists",
        ) from None
    if stat.S_ISLNK(mode):
        raise IsocostError("is a symbolic link", where=str(path), remedy="Give the file itself")
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "no regular file"
        raise IsocostError(f"is {kind}", where=str(path), remedy="Give a regular file")
    return path


MAX_ENTRIES = 100_000
_OF_THE_SYSTEM = tuple(map(Path, ("/proc", "/sys", "/dev")))
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - compared with, never written to


def entries_of(
    path: Path, *, where: str, seconds: float = math.inf, skips_odd: bool = False
) -> list[Path]:
    """The files to read for a path: the file itself, or all files under a folder, sorted.

    Links are not followed, and nothing is opened. Listing stops as soon as a folder has too many
    entries, because listing a million takes too long.

    Args:
        path: the given path.
        where: its origin, for messages.
        seconds: time limit.
        skips_odd: whether pipes and devices in a folder are passed over, for who reads a folder
            judges each file that is meant.

    Raises:
        IsocostError: it is not there, leads in a circle, is of the system, is or holds a pipe,
            socket or device, or holds more entries than can be one tool's results.
    """
    remedy = "Give the file or folder of one tool's results"
    try:
        place = path.resolve(strict=True)
        mode = place.stat().st_mode
    except (OSError, RuntimeError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        what = f"cannot be read: {reason or 'it is a circular link, or not a path'}"
        raise IsocostError(what, where=where, remedy=remedy) from None
    is_of_the_system = any(place.is_relative_to(one) for one in _OF_THE_SYSTEM)
    if place == Path("/") or (is_of_the_system and not place.is_relative_to(_SHARED_MEMORY)):
        what = f"{_named(place, where)}is a system path and contains no results"
        raise IsocostError(what, where=where, remedy=remedy)
    if not stat.S_ISDIR(mode):
        _refuse_odd(place, mode, where)
        return [place]
    return sorted(_inside(place, where, time.monotonic() + seconds, skips_odd))


def _inside(folder: Path, where: str, latest: float, skips_odd: bool) -> Iterator[Path]:
    waiting, seen = [folder], 0
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                seen += 1
                if seen > MAX_ENTRIES or time.monotonic() > latest:
                    raise IsocostError(
                        f"{_named(folder, where)}contains more files than can be examined",
                        where=where,
                        remedy="Give its subfolders one by one, or a folder with the results alone",
                    )
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(Path(entry.path))
                elif entry.is_file(follow_symlinks=False):
                    yield Path(entry.path)
                elif not skips_odd and not entry.is_symlink():
                    _refuse_odd(Path(entry.path), entry.stat(follow_symlinks=False).st_mode, where)


def _named(path: Path, where: str) -> str:
    """The path as the start of a sentence, unless the position of the fault already contains it."""
    return "" if where == str(path) else f"{path} "


def _refuse_odd(path: Path, mode: int, where: str) -> None:
    if not stat.S_ISREG(mode):
        raise IsocostError(
            f"{_named(path, where)}is not a regular file but a pipe, socket or device",
            where=where,
            remedy="Give a regular file, or a folder of such files",
        )


@dataclass(frozen=True, slots=True)
class Chunk:
    """A run of whole lines of a file.

    Attributes:
        begin: first byte.
        end: byte after the last.
        first_line: number of lines before it, including blank ones.
    """

    begin: int
    end: int
    first_line: int


def line_chunks(path: Path, target: int = CHUNK_BYTES, limit: int = MAX_LINE_BYTES) -> list[Chunk]:
    """Split a file between lines into chunks of about ``target`` bytes.

    Reads it once in constant memory.

    Raises:
        IsocostError: a line has more than ``limit`` bytes; names the byte at which it starts.
    """
    chunks: list[Chunk] = []
    line_begin = position = lines = first_line = chunk_begin = 0
    with regular_file(path).open("rb") as handle:
        while block := handle.read(_BLOCK):
            first = block.find(b"\n")
            longest = position + (first if first >= 0 else len(block)) - line_begin
            if longest > limit:
                raise _long_line(path, line_begin, limit)
            if first >= 0:
                # A block is far below the limit, so lines inside one block need no look.
                line_begin = position + block.rfind(b"\n") + 1
                lines += block.count(b"\n")
                if line_begin - chunk_begin >= target:
                    chunks.append(Chunk(chunk_begin, line_begin, first_line))
                    chunk_begin, first_line = line_begin, lines
            position += len(block)
    if position > chunk_begin or not chunks:
        chunks.append(Chunk(chunk_begin, position, first_line))
    return chunks


def check_lines(path: Path, limit: int = MAX_LINE_BYTES) -> None:
    """Reject a file with a line of more than ``limit`` bytes; see ``line_chunks``."""
    line_chunks(path, limit=limit)


def copy_range(source: Path, target: Path, begin: int, end: int) -> None:
    """Copies the bytes from ``begin`` to ``end`` into a new file, in constant memory."""
    with source.open("rb") as reading, target.open("wb") as writing:
        reading.seek(begin)
        while begin < end and (block := reading.read(min(_BLOCK, end - begin))):
            writing.write(block)
            begin += len(block)


def _long_line(path: Path, begin: int, limit: int) -> IsocostError:
    return IsocostError(
        f"has a line of more than {limit // MIB} MiB, starting at byte {begin}",
        where=str(path),
        remedy=(
            "Put one record on each line; check that the file is JSON Lines and not one JSON "
            "document"
        ),
    )


def iter_lines(path: Path, limit: int = MAX_LINE_BYTES) -> Iterator[tuple[int, str]]:
    """Line number (from 1) and text of each line that is not blank, in bounded memory.

    Raises:
        IsocostError: a line is longer than ``limit`` bytes or is not UTF-8.
    """
    number = 0
    with regular_file(path).open("rb") as handle:
        while raw := handle.readline(limit + 1):
            number += 1
            if len(raw) > limit:
                raise IsocostError(
                    f"the line is longer than {limit // MIB} MiB",
                    where=f"{path}, line {number}",
                    remedy=(
                        "Put one record on each line; check that the file is JSON Lines and not "
                        "one JSON document"
                    ),
                )
            text = decode(
                raw.removeprefix(b"\xef\xbb\xbf") if number == 1 else raw, f"{path}, line {number}"
            )
            if text.strip():
                yield number, text


def iter_json_lines(
    path: Path, limit: int = MAX_LINE_BYTES
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line number and object of each line of a JSON Lines file.

    Raises:
        IsocostError: a line is too long, is not JSON, or is not an object.
    """
    for number, text in iter_lines(path, limit):
        where = f"{path}, line {number}"
        yield number, as_object(parse_json(text, where), where)


def decode(raw: bytes, where: str) -> str:
    """UTF-8 text, or an error that names the byte."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise IsocostError(
            f"byte {error.start} is not UTF-8", where=where, remedy="Export the file again as UTF-8"
        ) from None


def parse_json(text: str, where: str) -> Any:
    """Parse one JSON value.

    NaN and Infinity are accepted (other tools write them) and later become NULL with a reason.

    Raises:
        IsocostError: not JSON, a duplicate key in an object, too many values, or nesting that is
            too deep.
    """
    # Commas and brackets inside texts count too; texts of a size that matters here have few of them
    # for their length.
    if len(text) > 2 * MAX_VALUES and sum(text.count(mark) for mark in ",[{") > MAX_VALUES:
        raise IsocostError(
            f"contains more than {MAX_VALUES:,} values, which cannot be read in bounded memory",
            where=where,
            remedy="Split it, or use JSON Lines",
        )

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(items)
        if len(result) != len(items):
            twice, _ = Counter(name for name, _ in items).most_common(1)[0]
            raise IsocostError(
                f"key {twice!r} is duplicated in one object",
                where=where,
                remedy="Keep one of the two values",
            )
        return result

    try:
        return json.loads(text, object_pairs_hook=pairs)
    except IsocostError:
        raise
    except RecursionError:
        raise IsocostError("is nested too deeply to be read", where=where) from None
    except ValueError as error:
        reason = (
            f"{error.msg} at character {error.pos}"
            if isinstance(error, json.JSONDecodeError)
            else str(error).split(";")[0]
        )
        raise IsocostError(
            f"is not JSON: {reason}", where=where, remedy="The file may be cut off; export it again"
        ) from None


def load_json(path: Path, limit: int = MAX_DOCUMENT_BYTES) -> Any:
    """The one JSON value of a file.

    Raises:
        IsocostError: the file is larger than ``limit`` bytes, is not UTF-8 or not JSON.
    """
    return parse_json(_bounded_text(path, limit, "JSON document"), str(path))


def _bounded_text(path: Path, limit: int, what: str) -> str:
    raw = b""
    with regular_file(path).open("rb") as handle:
        if (size := path.stat().st_size) <= limit:
            raw = handle.read(min(size, limit) + 1)
    if max(size, len(raw)) > limit:
        raise IsocostError(
            f"is a {what} of more than {limit // MIB} MiB, which cannot be read in bounded memory",
            where=str(path),
            remedy="Split it, or use JSON Lines",
        )
    return decode(raw.removeprefix(b"\xef\xbb\xbf"), str(path))


class _StrictLoader(PlainLoader):
    """Plain YAML without duplicate keys; a date is text."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        result = super().construct_mapping(node, deep=deep)
        if len(result) != len(node.value):
            raise yaml.YAMLError(
                f"a key is duplicated in the mapping at line {node.start_mark.line + 1}"
            )
        return result


_StrictLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in _StrictLoader.yaml_implicit_resolvers.items()
}


_StrictLoader.add_constructor(
    "tag:yaml.org,2002:timestamp", PlainLoader.yaml_constructors["tag:yaml.org,2002:str"]
)


class _TextLoader(_StrictLoader):
    """YAML whose plain scalars are all text: yes stays "yes"."""


_TextLoader.yaml_implicit_resolvers = {}


def _depth(value: Any) -> int:
    """How deeply a value is nested: the fast loader reads more than any recursion here could."""
    depth, level = 0, [value]
    while level and depth <= MOST_DEPTH:
        level = [
            item
            for one in level
            if isinstance(one, dict | list)
            for item in (one.values() if isinstance(one, dict) else one)
        ]
        depth += 1
    return depth


def load_yaml(path: Path, limit: int = MAX_YAML_BYTES, *, as_text: bool = False) -> Any:
    """The one YAML value of a file; with ``as_text`` every plain scalar in it is text.

    Raises:
        IsocostError: too large, not UTF-8, not YAML, with aliases, or with a duplicate key.
    """
    text = _bounded_text(path, limit, "YAML document")
    try:
        # A few aliases expand to gigabytes, and so do many small values; checked only if the text
        # could do so.
        if ("*" in text and "&" in text) or len(text) > MAX_YAML_EVENTS:
            for number, event in enumerate(yaml.parse(text, Loader=PlainLoader)):
                if isinstance(event, yaml.AliasEvent):
                    raise yaml.YAMLError("it has aliases (*name), which are not read")
                if number > MAX_YAML_EVENTS:
                    raise yaml.YAMLError(f"it has more than {MAX_YAML_EVENTS:,} values")
        loader = _TextLoader if as_text else _StrictLoader
        value = yaml.load(text, Loader=loader)  # noqa: S506 - both are safe loaders, made stricter
        if _depth(value) > MOST_DEPTH:
            raise yaml.YAMLError("it is nested too deeply")
        return value
    except (yaml.YAMLError, ValueError, RecursionError, TypeError) as error:
        raise IsocostError(
            f"is not YAML that can be read: {' '.join(str(error).split())[:300]}", where=str(path)
        ) from None


class CheckedZip:
    """A zip file whose members are read into memory one by one, within limits.

    Nothing is ever unpacked to disk.

    Attributes:
        path: the file.
        members: directory entry by name; for duplicate names, which only a grown archive has, the
            last.
        repeated: duplicate names.
    """

    def __init__(self, path: Path, *, grows: bool = False) -> None:
        """Open the file and check its directory.

        Args:
            path: the file.
            grows: whether the format appends a member again where it changed, so that the last one
                of a name counts.

        Raises:
            IsocostError: not a zip, a member outside the archive's own folder, two members of one
                name in a format that does not grow, encryption, or an expansion that only a bomb
                has.
        """
        self.path = path
        try:
            self._zip = zipfile.ZipFile(regular_file(path))
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise IsocostError(
                f"is not a zip file that can be read: {error}",
                where=str(path),
                remedy="The file may be cut off",
            ) from None
        self.members = {info.filename: info for info in self._zip.infolist()}
        self.repeated = {
            name
            for name, times in Counter(info.filename for info in self._zip.infolist()).items()
            if times > 1
        }
        self._check(grows)

    def _check(self, grows: bool) -> None:
        infos = self._zip.infolist()
        if self.repeated and not grows:
            raise IsocostError("has two members of one name", where=str(self.path))
        if len(infos) > MAX_ZIP_MEMBERS:
            raise IsocostError(f"has more than {MAX_ZIP_MEMBERS} members", where=str(self.path))
        total = 0
        for info in infos:
            where = f"{self.path}, member {info.filename!r}"
            parts = PurePosixPath(info.filename.replace("\\", "/"))
            if parts.is_absolute() or ".." in parts.parts or ":" in info.filename.split("/")[0]:
                raise IsocostError(
                    "points outside the archive",
                    where=where,
                    remedy="The file is malicious or damaged; do not unpack it",
                )
            if info.flag_bits & 1:
                raise IsocostError("is encrypted", where=where)
            total += info.file_size
            most = MAX_ZSTD_RATIO if info.compress_type == ZIP_ZSTD else MAX_ZIP_RATIO
            bomb = info.file_size > ZIP_RATIO_FLOOR_BYTES and info.file_size > most * max(
                info.compress_size, 1
            )
            if bomb or info.file_size > MAX_DOCUMENT_BYTES:
                raise IsocostError(
                    f"expands from {info.compress_size} to {info.file_size} bytes",
                    where=where,
                    remedy=f"At most {most} times and {MAX_DOCUMENT_BYTES // MIB} MiB are read",
                )
        if total > MAX_ZIP_TOTAL_BYTES:
            raise IsocostError(
                f"expands to {total} bytes in all",
                where=str(self.path),
                remedy=f"At most {MAX_ZIP_TOTAL_BYTES} bytes are read",
            )

    def json(self, member: str) -> Any:
        """The JSON value of one member.

        Raises:
            IsocostError: it is missing, packed in a way that is not read, damaged, or no JSON.
        """
        where = f"{self.path}, member {member!r}"
        info = self.members.get(member)
        if info is None:
            raise IsocostError("is missing from the archive", where=where)
        try:
            raw = self._unpacked(info)
        except NotImplementedError:
            way = _PACKED_BY.get(info.compress_type, "a way of packing that is not known here")
            raise IsocostError(
                f"is packed by zip method {info.compress_type} ({way}), which is not supported; the"
                " file itself may be whole",
                where=where,
                remedy="Pack the archive again with deflate or zstd, or export it as JSON",
            ) from None
        except Exception as error:  # zlib, bz2, lzma, Arrow and zipfile have no common error class
            raise IsocostError(
                f"cannot be unpacked: {type(error).__name__}: {error}",
                where=where,
                remedy="The file may be cut off or damaged",
            ) from None
        return parse_json(decode(raw, where), where)

    def _unpacked(self, info: zipfile.ZipInfo) -> bytes:
        """At most one byte more than the directory states.

        The reader of a member then knows that the directory is wrong.
        """
        if info.compress_type != ZIP_ZSTD or hasattr(zipfile, "ZIP_ZSTANDARD"):
            with self._zip.open(info) as handle:
                return handle.read(info.file_size + 1)
        # Python unpacks zstd from 3.14 on only. The packed bytes come as those of a stored member;
        # Arrow unpacks them, frame by frame.
        packed = copy.copy(info)
        packed.compress_type, packed.file_size = zipfile.ZIP_STORED, info.compress_size
        # zipfile compares no checksum where there is none; its stubs always have one.
        packed.CRC = None  # pyright: ignore[reportAttributeAccessIssue]
        with (
            self._zip.open(packed) as handle,
            pa.CompressedInputStream(pa.PythonFile(handle, "r"), "zstd") as stream,
        ):
            raw = stream.read(info.file_size + 1)
        if zlib.crc32(raw) != info.CRC:
            raise zipfile.BadZipFile("its checksum is another one")
        return raw

    def close(self) -> None:
        """Close the file."""
        self._zip.close()


def as_object(value: Any, where: str) -> dict[str, Any]:
    """The value as a JSON object, or an error."""
    if not isinstance(value, dict):
        raise IsocostError(f"a JSON object was expected, not {kind_of(value)}", where=where)
    return value


def as_list(value: Any, where: str) -> list[Any]:
    """The value as a JSON list, or an error."""
    if not isinstance(value, list):
        raise IsocostError(f"a JSON list was expected, not {kind_of(value)}", where=where)
    return value


def kind_of(value: Any) -> str:
    """A JSON word for the kind of a value."""
    names = {
        dict: "an object",
        list: "a list",
        str: "text",
        bool: "true or false",
        int: "a number",
        float: "a number",
    }
    return "null" if value is None else names.get(type(value), type(value).__name__)
