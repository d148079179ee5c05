"""The records of a JSON document: an array, a list in an object, or keyed by problem.

Lives here: finding the records and naming their positions. Not here: what a record's fields mean
(``mapping``), lists inside a record (``splitting``), JSON Lines (``reading``).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from isocost.errors import IsocostError
from isocost.importers.generic.paths import field
from isocost.importers.reading import iter_json_lines, iter_lines, kind_of, load_json, parse_json

NUMBER, KEY, VALUE = "@number", "@key", "@value"
"""Columns that every record has.

Its number in the file from 0; its key in an object keyed by problem; its value if it is not an
object.
"""
_DEPTH = 4
_MOST_CANDIDATES = 50


def is_json_lines(path: Path) -> bool:
    """Whether a file that ends in .json has one object per line, as many published ones do."""
    lines = iter_lines(path)
    try:
        first = next(lines, None)
        if first is None or next(lines, None) is None:
            return False
        return isinstance(parse_json(first[1], str(path)), dict)
    except IsocostError:
        return False


def json_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Position and record of each line; an error for a line that is a list or text."""
    for index, (number, value) in enumerate(iter_json_lines(path)):
        yield f"line {number}", _numbered(value, index)


def document_records(
    path: Path, records: str, columns: list[str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Position and record of every record of a document, in order.

    Args:
        path: the file.
        records: path of the records, such as ``data.items``; empty to search for them.
        columns: the columns in the mapping, which distinguish records from other lists.

    Raises:
        IsocostError: no list of records, or several; the message names them.
    """
    document = load_json(path)
    if records:
        found, place = field(document, records), records
        if not isinstance(found, list | dict):
            reason = (
                "nothing is there" if found is None else f"{kind_of(found)} is there, not records"
            )
            remedy = _candidates(document) or "Correct `records` in the mapping"
            raise IsocostError(
                f"records is {records!r}, and {reason}", where=str(path), remedy=remedy
            )
    else:
        found, place = _found(path, document, columns)
    if isinstance(found, list):
        for index, value in enumerate(found):
            at = f"{place}[{index}]"
            yield at, _numbered(_record(path, at, value), index)
    elif _is_record(found, columns):
        yield place, _numbered(found, 0)
    else:
        for index, (key, value) in enumerate(found.items()):
            inner = value if isinstance(value, dict) else {VALUE: value}
            yield f"{place}.{key}" if place else key, {**_numbered(inner, index), KEY: key}


def _numbered(record: dict[str, Any], index: int) -> dict[str, Any]:
    return record if NUMBER in record else {**record, NUMBER: index}


def _record(path: Path, place: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise IsocostError(
            f"a JSON object was expected, not {kind_of(value)}", where=f"{path}, {place}"
        )
    return value


def _is_record(value: Any, columns: list[str]) -> bool:
    """Whether an object contains the mapped columns itself, rather than records that do."""
    return (
        isinstance(value, dict)
        and KEY not in columns
        and any(_holds(value, column) for column in columns)
    )


def _holds(value: dict[str, Any], column: str) -> bool:
    head = column.split("[", 1)[0]
    return head in value or head.split(".", 1)[0] in value


def _found(path: Path, document: Any, columns: list[str]) -> tuple[Any, str]:
    if isinstance(document, list):
        return document, ""
    if not isinstance(document, dict):
        raise IsocostError(f"contains {kind_of(document)}, not records", where=str(path))
    if KEY in columns or _is_record(document, columns):
        return document, ""
    candidates = _lists(document)
    fitting = [
        (place, value)
        for place, value in candidates
        if isinstance(value[0], dict) and _is_record(value[0], columns)
    ]
    chosen = fitting or candidates
    if len(chosen) == 1:
        return chosen[0][1], chosen[0][0]
    values = list(document.values())
    if not fitting and values and all(_is_record(value, columns) for value in values):
        return document, ""
    if not chosen:
        raise IsocostError(
            "contains no list of records",
            where=str(path),
            remedy=(
                "If it is an object keyed by problem, map problem to @key (and a value that is "
                "not an object to @value)"
            ),
        )
    raise IsocostError(
        f"contains {len(chosen)} lists of records, and it is not specified which one to use",
        where=str(path),
        remedy=_candidates(document),
    )


def _candidates(document: Any) -> str:
    found = [place for place, _ in _lists(document)] if isinstance(document, dict) else []
    return (
        f"Name one in the mapping, as `records: {found[0]}`; there are {', '.join(found[:10])}"
        if found
        else ""
    )


def _lists(document: dict[str, Any]) -> list[tuple[str, list[Any]]]:
    """Dotted path and content of every list of objects that is in objects, not in lists."""
    found: list[tuple[str, list[Any]]] = []

    def look(value: dict[str, Any], prefix: str, depth: int) -> None:
        for key, inner in value.items():
            if len(found) >= _MOST_CANDIDATES:
                return
            if isinstance(inner, list) and inner and isinstance(inner[0], dict):
                found.append((f"{prefix}{key}", inner))
            elif isinstance(inner, dict) and depth < _DEPTH:
                look(inner, f"{prefix}{key}.", depth + 1)

    look(document, "", 1)
    return found
