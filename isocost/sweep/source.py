"""Where each key of a YAML file stands, so that a mistake can be shown to the person who made it.

Lives here: reading a YAML file into plain values plus the line of every key, and the refusal of what YAML would swallow (a key given
twice). Not here: what the keys mean (isocost.sweep.spec).
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from isocost.errors import IsocostError

Key = tuple[str | int, ...]
_MAX_BYTES = 4_000_000


@dataclass(frozen=True, slots=True)
class Source:
    """A file's name and the line (from 1) of each of its keys; a key inside a list is named by its position (from 0)."""

    name: str
    lines: dict[Key, int] = field(default_factory=dict)

    def where(self, *key: str | int) -> str:
        """Place of a key: "sweep.yaml line 7: grid.temperature[1]". An unknown key gets the line of its nearest parent."""
        known = key
        while known and known not in self.lines:
            known = known[:-1]
        line = f" line {self.lines[known]}" if known in self.lines else ""
        return f"{self.name}{line}: {dotted(key)}" if key else f"{self.name}{line}"

    def line(self, key: Key) -> int:
        """Line of a key or of its nearest parent that has one; 0 for none."""
        while key and key not in self.lines:
            key = key[:-1]
        return self.lines.get(key, 0)


def dotted(key: Iterable[str | int]) -> str:
    """A key as people write it: ("grid", "temperature", 1) is grid.temperature[1]."""
    text = ""
    for part in key:
        text += f"[{part}]" if isinstance(part, int) else (f".{part}" if text else str(part))
    return text


def did_you_mean(word: str, known: Iterable[str], *, kind: str = "values") -> str:
    """Remedy for a word that is not known: the nearest known one where there is one, and what is known."""
    names = sorted({str(name) for name in known})
    near = difflib.get_close_matches(str(word), names, n=1, cutoff=0.6)
    shown = ", ".join(names[:40]) + (", ..." if len(names) > 40 else "")
    return (f"Did you mean {near[0]}? " if near else "") + (f"Known {kind}: {shown}." if names else f"There are no {kind} to choose from.")


def read_yaml(path: str | Path) -> tuple[Any, Source]:
    """Reads a YAML file.

    Returns:
        The plain value and the place of its keys.

    Raises:
        IsocostError: the file is missing, unreadable, larger than 4 MB, no UTF-8, no YAML, or gives a key twice; names file and line.
    """
    name = str(path)
    try:
        raw = Path(path).read_bytes()
    except OSError as error:
        raise IsocostError(f"cannot be read: {error.strerror}", where=name, remedy="Give the path of a sweep file (YAML).") from None
    if len(raw) > _MAX_BYTES:
        raise IsocostError(
            f"is {len(raw):,} bytes, which is no sweep file", where=name, remedy="Put long lists of problems into a JSONL file."
        )
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise IsocostError(f"is not UTF-8 (byte {error.start})", where=name, remedy="Save the file as UTF-8.") from None
    return parse_yaml(text, name)


def parse_yaml(text: str, name: str) -> tuple[Any, Source]:
    """Like `read_yaml`, for text at hand."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        lines: dict[Key, int] = {}
        if root is not None:
            _walk(root, (), lines, name, set())
        value = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{name} line {mark.line + 1}, column {mark.column + 1}" if mark else name
        raise IsocostError(
            f"is not valid YAML: {error.problem or error.context}", where=place, remedy="Check indentation, colons and quotes."
        ) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        if isinstance(error, IsocostError):
            raise
        raise IsocostError(f"is not valid YAML: {str(error).splitlines()[0]}", where=name, remedy="Check the file's text.") from None
    return value, Source(name, lines)


def _walk(node: yaml.Node, key: Key, lines: dict[Key, int], name: str, above: set[int]) -> None:
    if id(node) in above:
        raise IsocostError("an alias contains itself", where=f"{name} line {node.start_mark.line + 1}", remedy="Write the value out.")
    if len(key) > 30:
        raise IsocostError("is nested too deeply", where=f"{name} line {node.start_mark.line + 1}", remedy="Write the value out.")
    lines.setdefault(key, node.start_mark.line + 1)
    inside = above | {id(node)}
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key_node, value_node in node.value:
            word = str(key_node.value)
            line = key_node.start_mark.line + 1
            if word in seen and word != "<<":
                raise IsocostError(
                    f"key {word} is given twice, first in line {seen[word]}",
                    where=f"{name} line {line}: {dotted((*key, word))}",
                    remedy="Keep one.",
                )
            seen[word] = line
            lines[(*key, word)] = line
            _walk(value_node, (*key, word), lines, name, inside)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _walk(item, (*key, index), lines, name, inside)
