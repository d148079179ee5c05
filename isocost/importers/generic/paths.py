"""Paths to values inside a record: ``meta.id``, ``generations[].text`` and similar.

Lives here: reading such a path and following it up to the next list that it spreads over. Not here:
the processing of the lists (``splitting``), the same in DuckDB (``generic_fields``).
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from dataclasses import dataclass
from typing import Any

from isocost.errors import IsocostError
from isocost.importers.reading import kind_of, parse_json

_BRACKETS = re.compile(r"\[(\d*)\]")
# A Python literal is parsed by the compiler, which takes many times its length.
_MAX_LITERAL = 4 << 20


class Each:
    """The step into every item of a list."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "[]"


EACH = Each()
Step = str | int | Each


def steps_of(path: str) -> tuple[Step, ...]:
    """The steps of a path.

    Names of fields (a dot inside one may belong to the name), numbers of items, ``EACH``.
    """
    steps: list[Step] = []
    end = 0
    for found in _BRACKETS.finditer(path):
        if found.start() == 0:
            break  # a column whose name begins with brackets
        if name := path[end : found.start()].removeprefix("." if end else ""):
            steps.append(name)
        steps.append(int(found[1]) if found[1] else EACH)
        end = found.end()
    rest = path[end:]
    if not end or rest.removeprefix("."):
        steps.append(rest.removeprefix(".") if end else rest)
    return tuple(steps)


@dataclass(frozen=True, slots=True)
class Reached:
    """How far a path was followed.

    Attributes:
        value: the value there; None if there is none.
        rest: the steps after the next ``EACH``; empty at the path's end.
        is_list: whether the path continues in every item of ``value``.
        is_json: whether a text on the way still has to be parsed as JSON.
    """

    value: Any
    rest: tuple[Step, ...]
    is_list: bool
    is_json: bool


def follow(value: Any, steps: tuple[Step, ...], where: str, *, is_json: bool) -> Reached:
    """Follow a path to its end or until it spreads over a list.

    Args:
        value: the record, or an item of a list in it.
        steps: the path.
        where: file, position and column, for messages.
        is_json: whether the first text on the path contains JSON.

    Raises:
        IsocostError: a list where the path names a field of an object, or an object where it names
            items.
    """
    for number, step in enumerate(steps):
        if is_json and isinstance(value, str):
            value, is_json = json_cell(value, where), False
        if value is None:
            return Reached(None, (), False, is_json)
        if isinstance(step, Each):
            if not isinstance(value, list):
                raise IsocostError(
                    f"a list was expected, not {kind_of(value)}",
                    where=where,
                    remedy="Write the name without []",
                )
            return Reached(value, steps[number + 1 :], True, is_json)
        if isinstance(step, int):
            if not isinstance(value, list):
                raise IsocostError(
                    f"a list was expected, not {kind_of(value)}",
                    where=where,
                    remedy=f"Leave [{step}] out of the name in the mapping",
                )
            value = value[step] if step < len(value) else None
        elif isinstance(value, list):
            raise IsocostError(
                f"{step!r} is looked for in a list",
                where=where,
                remedy=(
                    f"Write NAME[].{step} in the mapping for one sample an item, NAME[0].{step} for"
                    " the first item"
                ),
            )
        else:
            value = field(value, step)
    if is_json and isinstance(value, str):
        value, is_json = json_cell(value, where), False
    return Reached(value, (), False, is_json)


def field(value: Any, name: str) -> Any:
    """A field of an object.

    For ``a.b``, if no field has that name, the field b of the object a. None if there is none.
    """
    if not isinstance(value, dict):
        return None
    if name in value or "." not in name:
        return value.get(name)
    head, _, rest = name.partition(".")
    inner = value.get(head)
    if isinstance(inner, list):
        raise IsocostError(
            f"{head} is a list",
            where=name,
            remedy=(
                f"Write {head}[].{rest} in the mapping for one sample an item, {head}[0].{rest}"
                " for one"
            ),
        )
    return field(inner, rest)


def json_cell(text: str, where: str) -> Any:
    """The value of a text cell with JSON, or with a Python literal as pandas writes lists.

    None for an empty cell.

    Raises:
        IsocostError: it is neither.
    """
    if not text.strip():
        return None
    try:
        return parse_json(text, where)
    except IsocostError as error:
        if len(text) > _MAX_LITERAL or text.lstrip()[:1] not in "[{('\"":
            raise
        try:
            value = _plain(ast.literal_eval(text.strip()))
            if not _joins_texts(text.strip()):
                return value
        except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
            raise error from None
        raise IsocostError(
            "is a list without commas, as numpy prints arrays: Python would join its texts to one",
            where=where,
            remedy=(
                "Write it as a list, for example with df[column].map(list), or export JSON Lines"
            ),
        ) from None


def _joins_texts(literal: str) -> bool:
    """Whether two texts are adjacent, which Python reads as one."""
    before = None
    for token in tokenize.generate_tokens(io.StringIO(literal).readline):
        if token.type not in (tokenize.NL, tokenize.NEWLINE):
            if token.type == before == tokenize.STRING:
                return True
            before = token.type
    return False


def _plain(value: Any) -> Any:
    """Tuples and sets of a Python literal as lists."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, str | int | float):
        return value
    raise ValueError("a value that JSON has no form for")
