"""What one value of a mapped column becomes in a record, row by row.

Lives here: each kind of value of the mapping's vocabulary. Not here: the same in DuckDB
(``generic_values``), where the value comes from (``splitting``), the checks of a column (``row``).
"""

from __future__ import annotations

import json
from typing import Any

from isocost.errors import IsocostError
from isocost.importers.base import ImportInput
from isocost.importers.generic.cells import checked_time, quantity, time_of
from isocost.importers.generic.mapping import Rule
from isocost.importers.provenance import sampling_text
from isocost.importers.row import NOT_IN_RANGE, Row


def apply_rule(row: Row, rule: Rule, value: Any, source: ImportInput) -> None:
    """Store one value of the source according to its rule."""
    target = rule.target
    if value is None:
        return
    if rule.null and str(value) in rule.null:
        row.null(target.column, f"source_writes_{str(value)[:20]}")
    elif target.kind == "flag":
        if rule.true or rule.false:
            value = _flag_by_words(row, rule, str(value))
        row.flag(target.column, value)
    elif target.kind in ("integer", "number", "time"):
        _number(row, rule, value, source)
    elif target.kind == "flags":
        row.flags(target.column, value)
    elif target.kind == "sampling":
        row.text(target.column, _sampling(row, rule, value))
    elif target.kind == "whole":
        if value != "" or target.column == "answer":
            row.whole(target.column, value)
    elif isinstance(value, dict):
        inner = ", ".join(f"{rule.source}.{key}" for key in list(value)[:5])
        raise row.fail(
            target.column,
            f"{rule.source} is an object",
            f"Name a field inside it in the mapping: {inner}",
        )
    elif value != "" or target.column == "output_text":
        row.text(target.column, str(value).lower() if isinstance(value, bool) else value)


def _number(row: Row, rule: Rule, value: Any, source: ImportInput) -> None:
    """A number or a time, including human-readable ones."""
    target, unit = rule.target, rule.unit
    if isinstance(value, str) and value.strip() and not _is_number(value):
        where = f"{row.where}, {target.column}"
        time = time_of(value) if target.kind == "time" else None
        if time is not None:
            if time.is_naive:
                source.note_once(
                    f"times without an offset are read as UTC: column {rule.source}, first in"
                    f" {row.where}",
                    rule.source,
                )
            value, unit = time.unix_s, None
        elif (cell := quantity(value, target.unit, where)) is not None:
            value, unit = cell.value, cell.unit or unit
    if target.kind == "integer":
        row.integer(
            target.column,
            value,
            low=int(target.low or 0),
            sentinel=None if target.sentinel is None else int(target.sentinel),
        )
        return
    row.number(
        target.column, value, unit=unit, low=target.low, high=target.high, sentinel=target.sentinel
    )
    if target.kind == "time" and not checked_time(
        row.values.get(target.column), f"{row.where}, {target.column}"
    ):
        row.null(target.column, NOT_IN_RANGE)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _sampling(row: Row, rule: Rule, value: Any) -> str | None:
    """Sampling parameters as the command line reads them: a JSON object, or words."""
    if value in ("", {}):
        return None
    if isinstance(value, str) and not value.strip():
        return None
    if not isinstance(value, str | dict) or (isinstance(value, str) and _is_number(value)):
        raise row.fail(
            rule.source,
            f"{str(value)[:40]!r} is neither a JSON object nor words, so its parameter is unknown",
            'Write it as {"temperature": 0.7} or `temperature 0.7`, or map it under conditions, as'
            " `conditions: {temperature: COLUMN}`",
        )
    try:
        return sampling_text(value)
    except IsocostError as error:
        raise row.fail(rule.source, error.what, error.remedy) from None


def _flag_by_words(row: Row, rule: Rule, word: str) -> bool:
    if word in rule.true:
        return True
    if word in rule.false:
        return False
    raise row.fail(
        rule.target.column,
        f"{word[:60]!r} is in neither list",
        "Add it to true or false of this column in the mapping",
    )


def setting(row: Row, value: Any) -> Any:
    """A setting as text, so that 8 in one file and "8" in another are one.

    Objects and lists as they are.
    """
    if isinstance(value, dict | list):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    row.text("condition", value)
    return row.values.pop("condition")


_COVERS = {
    "verdict": "verdict_covers_{}_samples",
    "usage": "usage_covers_{}_samples",
    "text": "covers_{}_samples",
}


def cover(row: Row, rule: Rule, value: Any, covers: int) -> None:
    """Keep one value for several samples without assigning it to any of them."""
    row.null(rule.target.column, _COVERS[rule.target.covers].format(covers))
    before = json.loads(row.values.get("extra") or "{}")
    group = {**before.get("group", {}), rule.name: value, "covers": covers}
    row.json("extra", {**before, "group": group})
