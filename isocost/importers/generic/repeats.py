"""Find unmapped columns that distinguish the repeats of one point.

They suggest that the identity is missing a setting.

Lives here: finding them while reading records, or in DuckDB. Not here: the parts of the identity
(``mapping``: model, task, sampling, conditions).
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq

from isocost.importers.generic.mapping import Rule
from isocost.importers.generic.sql_fields import Table, csv_column, name, reader, text
from isocost.importers.reading import iter_json_lines

_SETTINGS = ("model", "task", "task_version", "prompt", "sampling", "run")
# A setting has few values, and they are short; what has more is a measurement or a text.
MOST_VALUES = 20
MOST_CHARACTERS = 200
# So many problems and points are remembered, whatever the file's size.
MOST_GROUPS = 100_000


# Which columns there are, and which of them are short, is looked up in so many records of JSON
# Lines.
HEAD = 1_000


class Repeats:
    """Watches the columns that are not mapped."""

    def __init__(self) -> None:
        """Knows nothing yet."""
        self._values: dict[str, set[str]] = {}
        self._excluded: set[str] = set()
        self._first: dict[tuple[str, ...], dict[str, str]] = {}
        self._varying: set[str] = set()

    def add(self, record: dict[str, Any], rules: list[Rule]) -> None:
        """Take one record."""
        if not self._values and not self._excluded:
            self._excluded = _mapped(rules)
        group = tuple(str(record.get(rule.source)) for rule in rules if _tells_apart(rule))
        first = self._first.get(group)
        mine: dict[str, str] = {}
        for column, value in record.items():
            if (
                column in self._excluded
                or column.startswith("@")
                or not isinstance(value, str | int | float)
            ):
                continue
            told = _told(value)
            seen = self._values.setdefault(column, set())
            seen.add(told)
            if len(seen) > MOST_VALUES or len(told) > MOST_CHARACTERS:
                self._excluded.add(column)
                self._varying.discard(column)
                continue
            mine[column] = told
            if first is not None and first.get(column, told) != told:
                self._varying.add(column)
        if first is None and len(self._first) < MOST_GROUPS:
            self._first[group] = mine

    def notes(self) -> list[str]:
        """One sentence if some column distinguishes repeats; otherwise none."""
        return _notes({column: tuple(sorted(self._values[column])[:2]) for column in self._varying})


def varying_columns(con: duckdb.DuckDBPyConnection, path: Path, table: Table) -> list[str]:
    """The same for a whole file, in DuckDB: one sentence, or none.

    None for a file that DuckDB rejects.

    Args:
        con: a connection with bounded memory.
        path: the file.
        table: how it is read.
    """
    columns = _columns(path, table)
    if not columns:
        return []
    where = reader(path, table)
    if table.kind == "jsonl":
        listed = ", ".join(
            f"json_extract_string(json, {text('$.' + name(one))}) AS c{i}"
            for i, one in enumerate(columns)
        )
        groups = ", ".join(
            f"json_extract_string(json, {text('$.' + name(one))})" for one in _grouping(table)
        )
    else:
        own = (lambda one: name(csv_column(table.header, one))) if table.kind == "csv" else name
        listed = ", ".join(f"CAST({own(one)} AS VARCHAR) AS c{i}" for i, one in enumerate(columns))
        groups = ", ".join(f"CAST({own(one)} AS VARCHAR)" for one in _grouping(table))
    numbers = range(len(columns))
    few = ", ".join(
        f"approx_count_distinct(c{i}) <= {2 * MOST_VALUES} AND coalesce(max(length(c{i})), 0) <="
        f" {MOST_CHARACTERS}"
        for i in numbers
    )
    try:
        hopeful = con.execute(f"SELECT {few} FROM (SELECT {listed} FROM {where})").fetchone()
        assert hopeful is not None, "a SELECT of aggregates has one row"
        chosen = [i for i in numbers if hopeful[i]]
        if not chosen:
            return []
        distinct = ", ".join(
            f"count(DISTINCT c{i}) AS d{i}, list(DISTINCT c{i}) AS l{i}" for i in chosen
        )
        told = ", ".join(
            f"max(d{i}), list_sort(list_distinct(flatten(list(l{i}))))" for i in chosen
        )
        found = con.execute(
            f"SELECT {told} FROM (SELECT g, {distinct} FROM (SELECT [{groups}] AS g, {listed} FROM"
            f" {where}) GROUP BY g)"
        ).fetchone()
        assert found is not None, "a SELECT of aggregates has one row"
    except duckdb.Error:
        return []
    varying = {}
    for number, i in enumerate(chosen):
        most, values = found[2 * number], found[2 * number + 1]
        if most and most > 1 and len(values) <= MOST_VALUES:
            varying[columns[i]] = tuple(values[:2])
    return _notes(varying)


def _columns(path: Path, table: Table) -> list[str]:
    """The unmapped columns with short scalar values."""
    mapped = _mapped(table.rules)
    if table.kind == "csv":
        found = table.header
    elif table.kind == "parquet":
        with pq.ParquetFile(path) as file:
            found = [field.name for field in file.schema_arrow if not _is_nested(str(field.type))]
    else:
        seen: dict[str, bool] = {}
        for _, record in islice(iter_json_lines(path), HEAD):
            for column, value in record.items():
                short = value is None or (
                    isinstance(value, str | int | float) and len(_told(value)) <= MOST_CHARACTERS
                )
                seen[column] = seen.get(column, True) and short
        found = [
            column
            for column, short in seen.items()
            if short and '"' not in column and "\\" not in column and "*" not in column
        ]
    return [column for column in found if column not in mapped]


def _is_nested(kind: str) -> bool:
    return any(word in kind for word in ("list", "struct", "map", "binary"))


def _grouping(table: Table) -> list[str]:
    return [str(rule.steps[0]) for rule in table.rules if _tells_apart(rule)]


def _tells_apart(rule: Rule) -> bool:
    return rule.name in ("problem", *_SETTINGS) or rule.name.startswith("condition.")


def _mapped(rules: list[Rule]) -> set[str]:
    heads = {str(rule.steps[0]) for rule in rules}
    return heads | {head.split(".")[0] for head in heads} | {rule.source for rule in rules} | {""}


def _told(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _notes(varying: dict[str, tuple[str, ...]]) -> list[str]:
    if not varying:
        return []
    told = ", ".join(
        f"{column} ({', '.join(map(repr, values))}, ...)"
        for column, values in sorted(varying.items())[:8]
    )
    return [
        "samples that count as repeats of one configuration differ in unmapped columns:"
        f" {told}. If one of them is a setting, map it under conditions, as `conditions: {{name:"
        " column}`"
    ]
