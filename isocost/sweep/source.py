"""The position of each key in a YAML file, so that errors can point to it.

Lives here: reading a YAML file into plain values plus the line of every key, and the rejection of
what YAML would silently accept (duplicate keys, infinities). Not here: what the keys mean
(isocost.sweep.spec).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from isocost.errors import IsocostError
from isocost.plain_files import compose, construct, read_text

Key = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Source:
    """A file's name and the line (from 1) of each of its keys.

    A key inside a list is named by its position (from 0).
    """

    name: str
    lines: dict[Key, int] = field(default_factory=dict)

    def where(self, *key: str | int) -> str:
        """Position of a key.

        For example "sweep.yaml line 7: grid.temperature[1]". An unknown key gets the line of its
        nearest parent.
        """
        known = key
        while known and known not in self.lines:
            known = known[:-1]
        line = f" line {self.lines[known]}" if known in self.lines else ""
        return f"{self.name}{line}: {dotted(key)}" if key else f"{self.name}{line}"

    def line(self, key: Key) -> int:
        """Line of a key or of its nearest parent that has one; 0 if there is none."""
        while key and key not in self.lines:
            key = key[:-1]
        return self.lines.get(key, 0)


def dotted(key: Iterable[str | int]) -> str:
    """A key as people write it: ("grid", "temperature", 1) is grid.temperature[1]."""
    text = ""
    for part in key:
        text += f"[{part}]" if isinstance(part, int) else (f".{part}" if text else str(part))
    return text


def read_yaml(path: str | Path) -> tuple[Any, Source]:
    """Read a YAML file.

    Returns:
        The plain value and the position of its keys.

    Raises:
        IsocostError: the file is missing, unreadable, larger than 4 MB, not UTF-8, not YAML, or has
            a duplicate key; the error names file and line.
    """
    return parse_yaml(read_text(path), str(path))


def parse_yaml(text: str, name: str) -> tuple[Any, Source]:
    """Like `read_yaml`, for a text."""
    root = compose(text, name)
    lines: dict[Key, int] = {}
    if root is not None:
        _walk(root, (), lines, name)
    return construct(text, name), Source(name, lines)


def _walk(node: yaml.Node, key: Key, lines: dict[Key, int], name: str) -> None:
    if len(key) > 30:
        raise IsocostError(
            "is nested too deeply",
            where=f"{name} line {node.start_mark.line + 1}",
            remedy="Write the value out.",
        )
    lines.setdefault(key, node.start_mark.line + 1)
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
            _walk(value_node, (*key, word), lines, name)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _walk(item, (*key, index), lines, name)
    elif _is_endless(node):
        raise IsocostError(
            f"{node.value} is no finite number",
            where=f"{name} line {node.start_mark.line + 1}: {dotted(key)}",
            remedy="Give a finite number, or leave the key out.",
        )


def _is_endless(node: yaml.Node) -> bool:
    """Whether a scalar is an infinity or no number, which has no place in what identifies a run."""
    if node.tag != "tag:yaml.org,2002:float" or not isinstance(node, yaml.ScalarNode):
        return False
    text = node.value.lower().replace("_", "").replace(".inf", "inf").replace(".nan", "nan")
    try:
        return not math.isfinite(float(text))
    except ValueError:  # base 60 and the like, which are finite
        return False
