"""Validate a Polars frame against its table: cast what is safe, reject the rest.

Lives here: ``conform`` (used by every writer), ``faults`` (used by the schema check) and ``empty``.
Not here: reading and writing of files.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import polars as pl

from isocost.errors import IsocostError
from isocost.schema.model import Column, Table
from isocost.schema.registry import table as table_of
from isocost.schema.types import polars_schema, polars_type

if TYPE_CHECKING:
    from polars._typing import PolarsDataType

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Fault:
    """One violation of a table's definition by a frame.

    Attributes:
        rule: ``missing_column``, ``extra_column``, ``type``, ``null``, ``not_finite``,
            ``not_allowed`` or ``duplicate_key``.
        column: the column at fault; the joined key columns for ``duplicate_key``.
        count: rows at fault; 0 if the whole column is at fault.
        detail: what was found.
        keys: the keys of the first rows at fault.
    """

    rule: str
    column: str
    count: int
    detail: str
    keys: tuple[str, ...] = ()


class TableError(IsocostError):
    """A frame breaks its table.

    Attributes:
        table: name of the table.
        faults: every way in which it does.
    """

    def __init__(self, table: str, found: list[Fault]) -> None:
        """Lists every fault with the first keys."""
        parts = []
        for fault in found:
            rows = (
                f" in {fault.count} rows (first keys: {', '.join(fault.keys)})"
                if fault.count
                else ""
            )
            parts.append(f"column {fault.column} {fault.detail}{rows}")
        self.table, self.faults = table, found
        super().__init__(
            "; ".join(parts),
            where=f"table {table}",
            remedy="See docs/data-dictionary.md for the table's columns",
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """Keep the faults when the error crosses a process boundary."""
        return (type(self), (self.table, self.faults))


def empty(table_name: str) -> pl.DataFrame:
    """A frame of no rows with the table's columns and types."""
    return pl.DataFrame(schema=polars_schema(table_of(table_name)))


def conform(frame: pl.DataFrame, table_name: str) -> pl.DataFrame:
    """The frame with the table's columns, types and row order.

    Integers are widened, integers become floats if the table requires it; nothing is narrowed,
    parsed or rounded.

    Args:
        frame: rows of the table; columns in any order.
        table_name: the table.

    Raises:
        IsocostError: a column is missing, extra or of another type; a required value is NULL; a
            float is NaN or infinite; a value is outside a closed vocabulary; a key is duplicated.
            The message lists every fault with the first keys.
    """
    definition = table_of(table_name)
    missing_or_extra = _column_faults(frame, definition)
    if missing_or_extra:
        raise TableError(definition.name, missing_or_extra)
    shaped, type_faults = _cast(frame.select(c.name for c in definition.columns), definition)
    found = type_faults or _value_faults(shaped, definition)
    if found:
        raise TableError(definition.name, found)
    return shaped.sort(definition.sort_order, nulls_last=True, maintain_order=True)


def faults(frame: pl.DataFrame, table_name: str) -> list[Fault]:
    """All violations of its table by a stored frame; empty if there are none."""
    definition = table_of(table_name)
    found = _column_faults(frame, definition)
    expected, schema = polars_schema(definition), frame.schema
    present = [c for c in definition.columns if c.name in schema]
    for column in present:
        if schema[column.name] != expected[column.name]:
            found.append(
                Fault(
                    "type",
                    column.name,
                    0,
                    f"is {schema[column.name]}, must be {expected[column.name]}",
                )
            )
    if not any(f.rule in {"missing_column", "type"} for f in found):
        found.extend(_value_faults(frame.select(c.name for c in present), definition))
    return found


def _column_faults(frame: pl.DataFrame, definition: Table) -> list[Fault]:
    wanted = [c.name for c in definition.columns]
    have = frame.columns
    if have == wanted:
        return []
    found = [Fault("missing_column", name, 0, "is missing") for name in wanted if name not in have]
    found += [
        Fault("extra_column", name, 0, "is not in the table") for name in have if name not in wanted
    ]
    return found


def _cast(frame: pl.DataFrame, definition: Table) -> tuple[pl.DataFrame, list[Fault]]:
    expressions, found = [], []
    schema = frame.schema  # rebuilt on every access
    for column in definition.columns:
        have, want = schema[column.name], polars_type(column)
        if have == want:
            expressions.append(pl.col(column.name))
        elif _is_safe(have, want):
            expressions.append(pl.col(column.name).cast(want, strict=True))
        else:
            found.append(Fault("type", column.name, 0, f"is {have}, must be {want}"))
    if found:
        return frame, found
    if schema == polars_schema(definition):
        return frame, []
    try:
        return frame.select(expressions), []
    except pl.exceptions.InvalidOperationError as error:
        # A value that does not fit the narrower of two integer types: the message of Polars names
        # column and value.
        return frame, [Fault("type", "", 0, str(error).splitlines()[0])]


def _is_safe(have: PolarsDataType, want: PolarsDataType) -> bool:
    if have == pl.Null():
        return True
    if isinstance(have, pl.List) and isinstance(want, pl.List):
        return _is_safe(have.inner, want.inner)
    if have.is_integer() and (want.is_integer() or want.is_float()):
        return True
    if have.is_float() and want.is_float():
        return True
    if isinstance(have, pl.Categorical | pl.Enum) and want == pl.String():
        return True
    return (
        isinstance(have, pl.Datetime)
        and isinstance(want, pl.Datetime)
        and have.time_zone == want.time_zone
    )


def _value_faults(frame: pl.DataFrame, definition: Table) -> list[Fault]:
    found: list[Fault] = []
    if frame.is_empty():
        return found
    rules = _table_rules(definition)
    # All rules in one pass; only rules that some row fails are examined again.
    broken = (
        frame.select(bad.any().alias(str(place)) for place, (_, _, bad, _) in enumerate(rules)).row(
            0
        )
        if rules
        else ()
    )
    for (column, rule, bad, detail), is_broken in zip(rules, broken, strict=True):
        if is_broken:
            rows = frame.filter(bad)
            found.append(Fault(rule, column.name, rows.height, detail, _keys(rows, definition)))
    if definition.keys:
        doubled = (
            frame.filter(pl.struct(definition.keys).is_duplicated()) if frame.height else frame
        )
        if doubled.height:
            found.append(
                Fault(
                    "duplicate_key",
                    "+".join(definition.keys),
                    doubled.height,
                    "comes more than once",
                    _keys(doubled, definition),
                )
            )
    return found


@lru_cache(maxsize=256)
def _table_rules(definition: Table) -> tuple[tuple[Column, str, pl.Expr, str], ...]:
    """The rules of all columns; made once, which counts with a dozen tables for every session."""
    return tuple(
        (column, *rule) for column in definition.columns for rule in _rules(column, definition)
    )


def _rules(column: Column, definition: Table) -> list[tuple[str, pl.Expr, str]]:
    value = pl.col(column.name)
    rules: list[tuple[str, pl.Expr, str]] = []
    if definition.required(column.name):
        rules.append(("null", value.is_null(), "is NULL"))
    if column.type in {"float64", "float32"}:
        rules.append(
            (
                "not_finite",
                value.is_not_null() & ~value.is_finite(),
                "is NaN or infinite; unknown is NULL",
            )
        )
    if column.type.startswith("list[float"):
        rules.append(
            (
                "not_finite",
                value.list.eval(~pl.element().is_finite()).list.any(),
                "contains NaN or infinity",
            )
        )
    if column.allowed:
        rules.append(
            (
                "not_allowed",
                value.is_not_null() & ~value.is_in(list(column.allowed)),
                f"is not one of {', '.join(column.allowed)}",
            )
        )
    return rules


def _keys(rows: pl.DataFrame, definition: Table) -> tuple[str, ...]:
    names = definition.keys or tuple(rows.columns[:1])
    return tuple(
        "/".join(str(v) for v in row) for row in rows.select(names).head(_SHOWN).iter_rows()
    )
