"""The generic importer's fast path: one row per sample with one column per rule, in SQL.

Lives here: reading in DuckDB, paths into records, lists that become samples (as ``paths`` and
``splitting`` do it row by row). Not here: the conversion of values (``generic_values``), the parts
that are written (``generic_sql``). Special cases are rejected here, so that the row-by-row path
reads them or names their line.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from isocost.importers.generic.mapping import Rule
from isocost.importers.generic.paths import EACH, Step
from isocost.importers.reading import MAX_LINE_BYTES

REFUSED = "error('isocost rejects a value')"


class NotFast(Exception):
    """The mapping or the file asks for something that only the row-by-row way does."""


@dataclass(frozen=True, slots=True)
class Table:
    """A file as the fast way sees it.

    Attributes:
        kind: ``jsonl``, ``csv`` or ``parquet``.
        mapping: the mapping.
        rules: its rules.
        header: names of a CSV file's columns.
    """

    kind: str
    mapping: dict[str, Any]
    rules: list[Rule]
    header: list[str]


def text(value: str) -> str:
    """A text as SQL."""
    return "'" + value.replace("'", "''") + "'"


def name(value: str) -> str:
    """A column's name as SQL."""
    return '"' + value.replace('"', '""') + '"'


def column_of(index: int) -> str:
    """The column with the value of the rule with this number."""
    return f"f{index}"


def samples(path: Path, table: Table, *, is_flat: bool = False) -> str:
    """SELECT of one row per sample, in order: a column for each rule (``column_of``).

    A JSON Lines value is of DuckDB's type JSON, a CSV value a text (NULL for an empty cell only
    where that says nothing), a Parquet value of its own type.

    Args:
        path: the file.
        table: how it is read.
        is_flat: whether to expect no lists of samples in JSON Lines; then values that
            ``read_as_text`` are texts, and reading takes half the time. A list is refused later on,
            as a value that cannot be meant.

    Raises:
        NotFast: a path that only the row-by-row way follows.
    """
    if table.kind == "jsonl":
        return _from_flat_json(path, table.rules) if is_flat else _from_json(path, table.rules)
    if table.kind == "csv":
        return _from_csv(path, table)
    return _from_parquet(path, table.rules)


def reader(path: Path, table: Table) -> str:
    """The table function that reads the file, every column of it."""
    where = text(_glob_safe(str(path)))
    if table.kind == "jsonl":
        return (
            f"read_json_objects({where}, format='newline_delimited',"
            f" maximum_object_size={MAX_LINE_BYTES})"
        )
    if table.kind == "parquet":
        return f"read_parquet({where})"
    delimiter = table.mapping.get("delimiter") or ("\t" if path.suffix.lower() == ".tsv" else ",")
    columns = ", ".join(f"{text(csv_column(table.header, one))}: 'VARCHAR'" for one in table.header)
    return (
        f"read_csv({where}, header=true, all_varchar=true, auto_detect=false,"
        f" delim={text(str(delimiter))}, quote='\"', escape='\"', columns={{{columns}}},"
        f" max_line_size={MAX_LINE_BYTES}, strict_mode=true, null_padding=false)"
    )


def csv_column(header: list[str], column: str) -> str:
    """The name in SQL of a CSV column: its own, or one made up where some column has none."""
    return f"column{header.index(column)}" if "" in header else column


def _from_csv(path: Path, table: Table) -> str:
    chosen = []
    for index, rule in enumerate(table.rules):
        source = rule.source if rule.source in table.header else ""
        chosen.append(f"{name(csv_column(table.header, source))} AS {column_of(index)}")
    return f"SELECT {', '.join(chosen)} FROM {reader(path, table)}"


def read_as_text(rule: Rule) -> bool:
    """Whether the flat way reads a JSON value as text.

    No list, object or truth value is a number in disguise then.
    """
    return rule.target.kind in ("integer", "number", "time", "flag") and not rule.null


def can_be_flat(table: Table) -> bool:
    """Whether every rule names a column of JSON Lines and no path."""
    return table.kind == "jsonl" and all(
        len(rule.steps) == 1 and isinstance(rule.steps[0], str) and "." not in rule.steps[0]
        for rule in table.rules
    )


def _from_flat_json(path: Path, rules: list[Rule]) -> str:
    plain = {rule.source for rule in rules if read_as_text(rule)} - {
        rule.source for rule in rules if not read_as_text(rule)
    }
    listed = ", ".join(
        f"{text(one)}: '{'VARCHAR' if one in plain else 'JSON'}'"
        for one in dict.fromkeys(rule.source for rule in rules)
    )
    chosen = []
    for index, rule in enumerate(rules):
        is_text = read_as_text(rule) and rule.source not in plain
        chosen.append(
            f"{name(rule.source)}{'->>' + text('$') if is_text else ''} AS {column_of(index)}"
        )
    where = text(_glob_safe(str(path)))
    options = (
        f"format='newline_delimited', columns={{{listed}}}, maximum_object_size={MAX_LINE_BYTES}"
    )
    return f"SELECT {', '.join(chosen)} FROM read_json({where}, {options})"


def _from_json(path: Path, rules: list[Rule]) -> str:
    """One pass: all paths extracted at once, lists unfolded side by side."""
    wanted: dict[str, int] = {}
    whole, inner = [], []
    for rule in rules:
        at = rule.steps.index(EACH) if EACH in rule.steps else len(rule.steps)
        first = _json_paths(rule.steps[:at])
        whole.append([wanted.setdefault(one, len(wanted) + 1) for one in first])
        inner.append(_json_paths(rule.steps[at + 1 :]) if at < len(rule.steps) else None)
    paths = ", ".join(text(one) for one in wanted)
    values = ", ".join(
        f"coalesce({', '.join(f'v[{number}]' for number in numbers)}) AS r{i}"
        for i, numbers in enumerate(whole)
    )
    found = (
        f"SELECT {values} FROM (SELECT CASE WHEN json_type(json) = 'OBJECT' THEN json_extract(json,"
        f" [{paths}]) ELSE {REFUSED} END AS v FROM read_json_objects({text(_glob_safe(str(path)))},"
        f" format='newline_delimited', maximum_object_size={MAX_LINE_BYTES}))"
    )
    lists = [i for i, rule in enumerate(rules) if inner[i] is not None or _takes_lists(rule)]
    if not lists:
        return (
            f"SELECT {', '.join(f'r{i} AS {column_of(i)}' for i in range(len(rules)))} FROM"
            f" ({found})"
        )
    is_list = {i: f"coalesce(json_type(r{i}) = 'ARRAY', false)" for i in lists}
    lengths = ", ".join(f"CASE WHEN {is_list[i]} THEN json_array_length(r{i}) END" for i in lists)
    unfolded = ", ".join(
        f"unnest(CASE WHEN {is_list[i]} THEN CAST(r{i} AS JSON[]) ELSE [NULL::JSON] END) AS e{i}"
        for i in lists
    )
    spread = (
        f"SELECT *, {unfolded} FROM (SELECT *, {_checked(f'[{lengths}]', rules, is_list)} AS m FROM"
        f" ({found})) WHERE m > 0"
    )
    columns = []
    for i in range(len(rules)):
        value = f"r{i}"
        if i in is_list:
            item = f"e{i}"
            if inner[i]:
                # An item that is a list has no field to look for; a value that is not an object has
                # none either.
                fields = ", ".join(f"json_extract(e{i}, {text(one)})" for one in inner[i])
                item = (
                    f"CASE WHEN json_type(e{i}) = 'ARRAY' THEN {REFUSED} ELSE"
                    f" coalesce({fields}) END"
                )
            single = f"r{i}"
            if inner[i] is not None:
                single = (
                    f"CASE WHEN json_type(r{i}) = 'NULL' OR r{i} IS NULL THEN NULL ELSE"
                    f" {REFUSED} END"
                )
            value = f"CASE WHEN {is_list[i]} THEN {item} ELSE {single} END"
        columns.append(f"{value} AS {column_of(i)}")
    return f"SELECT {', '.join(columns)} FROM ({spread})"


def _checked(lengths: str, rules: list[Rule], is_list: dict[int, str]) -> str:
    """The number of samples in a record.

    1, or the common length of its lists; rejected if they differ or one value covers several
    samples.
    """
    alone = []
    for i, rule in enumerate(rules):
        if rule.target.covers == "each" and rule.name != "sample_index":
            continue
        has_value = f"(r{i} IS NOT NULL AND coalesce(json_type(r{i}), 'NULL') <> 'NULL')"
        alone.append(f"({has_value} AND NOT {is_list[i]})" if i in is_list else has_value)
    covered = " OR ".join(alone) or "false"
    known = f"list_filter({lengths}, lambda one: one IS NOT NULL)"
    return (
        f"CASE WHEN len({known}) = 0 THEN 1 WHEN list_min({known}) <> list_max({known}) OR"
        f" list_max({known}) = 0 OR (list_max({known}) > 1 AND ({covered})) THEN {REFUSED} ELSE"
        f" list_max({known}) END"
    )


def _takes_lists(rule: Rule) -> bool:
    """Whether a list that a path ends in is one of samples."""
    return rule.lists == "samples" or (rule.lists is None and rule.target.lists == "samples")


def _json_paths(steps: tuple[Step, ...]) -> list[str]:
    """Every reading of a path as DuckDB's.

    A dot may belong to a name. The first that leads somewhere is meant.
    """
    if any(step is EACH for step in steps):
        raise NotFast
    readings = [[f"[{step}]"] if isinstance(step, int) else _names(str(step)) for step in steps]
    return ["$" + "".join(parts) for parts in product(*readings)] if steps else []


def _names(step: str) -> list[str]:
    if '"' in step or "\\" in step or "*" in step or step == "" or step.startswith("#"):
        raise NotFast  # characters that mean something in DuckDB's paths
    parts = step.split(".")
    # As ``paths.field`` reads it: the whole name, else the first part and the rest of it again.
    return [
        "".join(f'."{one}"' for one in (*parts[:cut], ".".join(parts[cut:])))
        for cut in range(len(parts))
    ]


def _from_parquet(path: Path, rules: list[Rule]) -> str:
    with pq.ParquetFile(path) as file:
        schema = file.schema_arrow
    reached = [_native(schema, rule) for rule in rules]
    lists = [i for i, (_, is_list) in enumerate(reached) if is_list]
    raw = ", ".join(f"{sql} AS r{i}" for i, (sql, _) in enumerate(reached))
    found = f"SELECT {raw} FROM read_parquet({text(_glob_safe(str(path)))})"
    if not lists:
        return (
            f"SELECT {', '.join(f'r{i} AS {column_of(i)}' for i in range(len(rules)))} FROM"
            f" ({found})"
        )
    lengths = ", ".join(f"len(r{i})" for i in lists)
    alone = [
        f"r{i} IS NOT NULL"
        for i, rule in enumerate(rules)
        if i not in lists and (rule.target.covers != "each" or rule.name == "sample_index")
    ]
    known = f"list_filter([{lengths}], lambda one: one IS NOT NULL)"
    count = (
        f"CASE WHEN len({known}) = 0 THEN 1 WHEN list_min({known}) <> list_max({known}) OR"
        f" list_max({known}) = 0 OR (list_max({known}) > 1 AND ({' OR '.join(alone) or 'false'}))"
        f" THEN {REFUSED} ELSE list_max({known}) END"
    )
    unfolded = ", ".join(f"unnest(coalesce(r{i}, [NULL])) AS e{i}" for i in lists)
    columns = ", ".join(
        f"{'e' if i in lists else 'r'}{i} AS {column_of(i)}" for i in range(len(rules))
    )
    return (
        f"SELECT {columns} FROM (SELECT *, {unfolded} FROM (SELECT *, {count} AS m FROM ({found}))"
        " WHERE m > 0)"
    )


def _native(schema: pa.Schema, rule: Rule) -> tuple[str, bool]:
    """SQL of a rule's path into typed columns, and whether it is a list of samples."""
    if rule.source in schema.names:
        return _ended(name(rule.source), schema.field(rule.source).type, rule)
    steps = list(rule.steps)
    parts = str(steps[0]).split(".")
    cut = next((n for n in range(1, len(parts) + 1) if ".".join(parts[:n]) in schema.names), None)
    if cut is None or any(step is EACH or isinstance(step, int) for step in steps):
        raise NotFast  # lists of objects go row by row
    head = ".".join(parts[:cut])
    sql, kind = name(head), schema.field(head).type
    for part in parts[cut:]:
        if not pa.types.is_struct(kind) or kind.get_field_index(part) < 0:
            raise NotFast
        sql, kind = f"struct_extract({sql}, {text(part)})", kind.field(part).type
    return _ended(sql, kind, rule)


def _ended(sql: str, kind: pa.DataType, rule: Rule) -> tuple[str, bool]:
    is_list = (
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )
    if not is_list:
        return sql, False
    item = kind.value_type
    if not _takes_lists(rule) or pa.types.is_nested(item):
        raise NotFast
    return sql, True


def _glob_safe(path: str) -> str:
    return "".join(f"[{char}]" if char in "*?[" else char for char in path)
