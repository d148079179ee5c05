"""Bounded reading of small hand-written files (sweeps, sidecars, cards, settings).

Lives here, in the lowest layer, because several packages read such files: the bytes of a regular
file of bounded size (no pipe, no device, nothing that blocks), and the plain value of a YAML text
with bounded alias expansion. Not here: what the keys mean, the position of each key
(``isocost.sweep.source``), data files of other tools (``isocost.importers.reading``).
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from isocost.errors import IsocostError

MOST_BYTES = 4_000_000
MOST_VALUES = 200_000
"""Maximum number of values in one file, with aliases expanded; more belong in a data file."""
MOST_DEPTH = 100
if TYPE_CHECKING:
    from yaml import SafeLoader as _Fast
else:
    _Fast = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class PlainLoader(_Fast):
    """Safe YAML without the types that no file here has: sets, bytes, ordered pairs."""


def _refuse(_: object, node: yaml.Node) -> None:
    kind = node.tag.rpartition(":")[2]
    raise yaml.constructor.ConstructorError(
        None, None, f"!!{kind} is not a type of value that is read here", node.start_mark
    )


for _type in ("set", "binary", "omap", "pairs"):
    PlainLoader.add_constructor(f"tag:yaml.org,2002:{_type}", _refuse)


def open_plain(path: str | Path) -> BufferedReader:
    """Open a regular file for reading, without blocking as a pipe would.

    Raises:
        OSError: it does not exist, cannot be read, or is a folder, pipe, socket or device.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    mode = os.fstat(handle).st_mode
    if not stat.S_ISREG(mode):
        os.close(handle)
        kind = "a folder" if stat.S_ISDIR(mode) else "a pipe, socket or device"
        raise OSError(errno.EINVAL, f"it is {kind}, not a regular file", str(path))
    return os.fdopen(handle, "rb")


def stored_bytes(path: str | Path) -> bytes:
    """All bytes of a regular file that this program wrote.

    Raises:
        OSError: as for ``open_plain``.
    """
    with open_plain(path) as file:
        return file.read()


def read_plain(
    path: str | Path, *, most_bytes: int = MOST_BYTES, what: str = "sweep file (YAML)"
) -> bytes:
    """The bytes of a regular file.

    Raises:
        IsocostError: it does not exist, cannot be read, is a folder, pipe or device, is a circular
            link, or is too large.
    """
    where = str(path)[:300]
    try:
        with open_plain(path) as file:
            raw, size = file.read(most_bytes + 1), os.fstat(file.fileno()).st_size
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise IsocostError(
            f"cannot be read: {why}", where=where, remedy=f"Give the path of a {what}."
        ) from None
    if len(raw) > most_bytes:
        raise IsocostError(
            f"is {max(size, len(raw)):,} bytes, too large for a {what}",
            where=where,
            remedy="Move long lists to a data file.",
        )
    return raw


def read_text(path: str | Path, **bounds: Any) -> str:
    """The text of a UTF-8 file; errors as for ``read_plain``."""
    try:
        return read_plain(path, **bounds).decode("utf-8")
    except UnicodeDecodeError as error:
        raise IsocostError(
            f"is not UTF-8 (byte {error.start})", where=str(path), remedy="Save the file as UTF-8."
        ) from None


def compose(text: str, name: str) -> yaml.Node | None:
    """The nodes of a single YAML document, or None if it is empty.

    Its aliases expand to a bounded number of values.

    Raises:
        IsocostError: not YAML, nested too deeply, an alias that contains itself, or too many
            values.
    """
    _refuse_depth(text, name)
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if root is not None:
            _size(root, name, {}, frozenset())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{name} line {mark.line + 1}, column {mark.column + 1}" if mark else name
        raise IsocostError(
            f"is not valid YAML: {error.problem or error.context}",
            where=place,
            remedy="Check indentation, colons and quotes.",
        ) from None
    except RecursionError:
        raise IsocostError(
            "is nested too deeply", where=name, remedy="Write the value out."
        ) from None
    except yaml.YAMLError as error:
        raise IsocostError(
            f"is not valid YAML: {str(error).splitlines()[0]}",
            where=name,
            remedy="Check the file's text.",
        ) from None
    return root


def _refuse_depth(text: str, name: str) -> None:
    """Reject deep nesting early.

    Detecting it by exhausting the stack takes seconds. Other mistakes are left to the composer.
    """
    depth, place = 0, name
    with suppress(yaml.YAMLError, ValueError):
        for event in yaml.parse(text, Loader=PlainLoader):
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
                if depth > MOST_DEPTH:
                    place = f"{name} line {event.start_mark.line + 1}"
                    break
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
    if depth > MOST_DEPTH:
        raise IsocostError("is nested too deeply", where=place, remedy="Write the value out.")


def _size(node: yaml.Node, name: str, known: dict[int, int], above: frozenset[int]) -> int:
    """The number of values that a node expands to."""
    where = f"{name} line {node.start_mark.line + 1}"
    if id(node) in above:
        raise IsocostError("an alias contains itself", where=where, remedy="Write the value out.")
    if len(above) > MOST_DEPTH:
        raise IsocostError("is nested too deeply", where=where, remedy="Write the value out.")
    if id(node) in known:
        return known[id(node)]
    inside, size = above | {id(node)}, 1
    if isinstance(node, yaml.MappingNode):
        children = [child for pair in node.value for child in pair]
    else:
        children = node.value if isinstance(node, yaml.SequenceNode) else []
    for child in children:
        size += 1 if isinstance(child, yaml.ScalarNode) else _size(child, name, known, inside)
    if size > MOST_VALUES:
        raise IsocostError(
            f"has more than {MOST_VALUES:,} values, counting expanded aliases",
            where=where,
            remedy="Move long lists to a data file.",
        )
    known[id(node)] = size
    return size


def construct(text: str, name: str) -> Any:
    """The plain value of a text that ``compose`` has accepted.

    Raises:
        IsocostError: an invalid value: an impossible date, a number with too many digits, a list as
            a key.
    """
    try:
        return yaml.load(text, Loader=PlainLoader)  # noqa: S506 - a safe loader, too
    except (yaml.YAMLError, ValueError, TypeError, OverflowError, RecursionError) as error:
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        mark = getattr(error, "problem_mark", None)
        place = f"{name} line {mark.line + 1}" if mark is not None else name
        raise IsocostError(
            f"is not valid YAML: {problem[:200]}", where=place, remedy="Check the file's text."
        ) from None


def load_plain(path: str | Path, **bounds: Any) -> Any:
    """The value of a YAML file.

    Raises:
        IsocostError: any problem with the file, with its location.
    """
    try:
        text = read_plain(path, **bounds).decode("utf-8")
    except UnicodeDecodeError as error:
        what = f"is not valid YAML: not UTF-8 (byte {error.start})"
        raise IsocostError(what, where=str(path), remedy="Save the file as UTF-8.") from None
    root = compose(text, str(path))
    if root is not None:
        _refuse_double(root, str(path))
    return construct(text, str(path))


def _refuse_double(node: yaml.Node, name: str) -> None:
    """Refuse a key that is given twice, of which YAML would keep the last without a word."""
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            word = str(key.value) if isinstance(key, yaml.ScalarNode) else ""
            if word in seen and word not in ("", "<<"):
                what = f"key {word[:200]} is given twice, first in line {seen[word]}"
                raise IsocostError(what, where=f"{name} line {line}", remedy="Keep one.")
            seen[word] = line
            _refuse_double(value, name)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_double(item, name)
