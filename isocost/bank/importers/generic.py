"""Any table of samples: CSV, JSON Lines or Parquet, with a mapping file that names its columns.

Lives here: the row-by-row way, which names the faulty line. Not here: the fast way (``generic_sql``) and the mapping's vocabulary
(``mapping``).
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from isocost.bank.importers.base import Conventions, Importer, Source, register
from isocost.bank.importers.generic_sql import write_table_fast
from isocost.bank.importers.mapping import Rule, rules
from isocost.bank.importers.reading import MAX_LINE_BYTES, as_object, check_lines, iter_json_lines, iter_lines, regular_file
from isocost.bank.importers.row import Row
from isocost.errors import IsocostError

KINDS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "csv", ".parquet": "parquet"}


@register
class Generic(Importer):
    """One row a sample; the mapping says which column is what."""

    name = "generic"
    title = "CSV, JSON Lines or Parquet with one sample a row and a mapping file"
    conventions = Conventions(
        units={"*": "as the mapping says; s, J, USD and nats where it says nothing"},
        latency_meaning="as the mapping says",
        energy_method="as the mapping says",
        notes=("-1 in tokens, durations, energy and cost means unknown; other negative numbers are refused.",),
    )
    takes_mapping = True

    def files(self, path: Path) -> list[Path]:
        """The one file; its ending says what it is."""
        regular_file(path)
        if path.suffix.lower() not in KINDS:
            raise IsocostError(
                f"ends in {path.suffix or 'nothing'}", where=str(path), remedy=f"The generic importer reads {', '.join(KINDS)}"
            )
        return [path]

    def write_fast(self, source: Source, folder: Path, constants: Any) -> int | None:
        """Lets DuckDB read, convert and write; None where a value needs the row-by-row way."""
        mapping = _mapping(source)
        kind = KINDS[source.path.suffix.lower()]
        found = rules(mapping)
        if any(rule.target.kind == "flags" for rule in found) or (kind == "jsonl" and _is_nested(source.path, found)):
            return None  # lists and what lies inside objects go row by row
        if kind == "parquet":
            with pq.ParquetFile(source.path) as file:
                _check_header(source.path, file.schema_arrow.names, [rule.source for rule in found])
        elif kind == "csv":
            check_lines(source.path)
        header = _csv_header(source.path, _delimiter(source.path, mapping)) if kind == "csv" else []
        if kind == "csv":
            _check_header(source.path, header, [rule.source for rule in found])
        return write_table_fast(source, folder, constants, kind, mapping, found, header)

    def records(self, source: Source) -> Iterator[Row]:
        """Row by row, in file order."""
        mapping = _mapping(source)
        found = rules(mapping)
        seen: set[str] = set()
        has_rows = False
        for place, values in _rows(source, mapping, found):
            has_rows = True
            row = source.row("sample", source.path, place)
            for rule in found:
                value = _field(values, rule.source)
                apply_rule(row, rule, value)
                if value is not None:
                    seen.add(rule.source)
            if row.values.get("problem_source_id") is None:
                (name,) = (rule.source for rule in found if rule.name == "problem")
                has = ", ".join(map(str, values))[:200]
                raise row.fail("problem", "is empty", f"Every row needs its problem, here from {name!r}; this one has {has}")
            _declare(row, mapping)
            yield row
        absent = [rule.source for rule in found if rule.source not in seen]
        if absent and has_rows:
            raise no_such_columns(source, absent)


def _field(values: dict[str, Any], name: str) -> Any:
    """The value of a column; of ``a.b``, where no column is called that, the field b of the object a."""
    if name in values or "." not in name:
        return values.get(name)
    head, _, rest = name.partition(".")
    inner = values.get(head)
    return _field(inner, rest) if isinstance(inner, dict) else None


def _is_nested(path: Path, found: list[Rule]) -> bool:
    """Whether a name with a dot is no column of the first row, but a field inside one."""
    dotted = [rule.source for rule in found if "." in rule.source]
    first = next(iter_json_lines(path), (0, {}))[1] if dotted else {}
    return any(name not in first for name in dotted)


def no_such_columns(source: Source, absent: list[str]) -> IsocostError:
    """The error for mapped columns that the file has not, or only empty."""
    return IsocostError(
        f"no row has a value in {', '.join(repr(name) for name in absent)}",
        where=str(source.path),
        remedy="Mend or remove these names in the mapping",
    )


def _mapping(source: Source) -> dict[str, Any]:
    if "mapping" not in source.options:
        raise IsocostError(
            "the generic importer needs a mapping",
            where=str(source.path),
            remedy="Give a YAML file with columns: {problem: ..., correct: ...}",
        )
    return source.options["mapping"]


def _rows(source: Source, mapping: dict[str, Any], found: list[Rule]) -> Iterator[tuple[str, dict[str, Any]]]:
    kind = KINDS[source.path.suffix.lower()]
    if kind == "jsonl":
        for number, value in iter_json_lines(source.path):
            yield f"line {number}", value
    elif kind == "csv":
        yield from _csv_rows(source.path, _delimiter(source.path, mapping), found)
    else:
        yield from _parquet_rows(source.path, found)


def _delimiter(path: Path, mapping: dict[str, Any]) -> str:
    delimiter = str(mapping.get("delimiter") or ("\t" if path.suffix.lower() == ".tsv" else ","))
    if len(delimiter) != 1:
        raise IsocostError(f"{delimiter!r} is no delimiter", where="mapping, delimiter", remedy="Give one character")
    return delimiter


def _csv_header(path: Path, delimiter: str) -> list[str]:
    try:
        return next(csv.reader((text for _, text in iter_lines(path)), delimiter=delimiter, strict=True), [])
    except csv.Error as error:
        raise IsocostError(f"is not CSV: {error}", where=f"{path}, header") from None


def _csv_rows(path: Path, delimiter: str, found: list[Rule]) -> Iterator[tuple[str, dict[str, Any]]]:
    csv.field_size_limit(min(MAX_LINE_BYTES, sys.maxsize))
    lines = (text for _, text in iter_lines(path))
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    header: list[str] | None = None
    try:
        for cells in reader:
            place = f"row ending on line {reader.line_num}"
            if header is None:
                header = cells
                _check_header(path, header, [rule.source for rule in found])
                continue
            if len(cells) != len(header):
                raise IsocostError(f"has {len(cells)} cells, the header has {len(header)}", where=f"{path}, {place}")
            yield place, {name: (cell if cell != "" else None) for name, cell in zip(header, cells, strict=True)}
    except csv.Error as error:
        raise IsocostError(f"is not CSV: {error}", where=f"{path}, line {reader.line_num}") from None


def _parquet_rows(path: Path, found: list[Rule]) -> Iterator[tuple[str, dict[str, Any]]]:
    with pq.ParquetFile(path) as file:
        names = file.schema_arrow.names
        _check_header(path, names, [rule.source for rule in found])
        number = 0
        for batch in file.iter_batches(batch_size=2_048, columns=sorted({rule.source for rule in found})):
            for values in batch.to_pylist():
                yield f"row {number}", as_object(values, str(path))
                number += 1


def _check_header(path: Path, header: list[str], wanted: list[str]) -> None:
    if not any(name.strip() for name in header):
        raise IsocostError(
            "has no columns", where=str(path), remedy="Export it again with a header: a CSV file names its columns in its first line"
        )
    if len(set(header)) != len(header):
        raise IsocostError("has two columns of one name", where=f"{path}, header")
    absent = [name for name in wanted if name not in header]
    if absent:
        raise IsocostError(
            f"has no column {', '.join(repr(name) for name in absent)}",
            where=f"{path}, header",
            remedy=f"It has {', '.join(header)[:300]}; mend the names in the mapping",
        )


def apply_rule(row: Row, rule: Rule, value: Any) -> None:
    """Puts one value of the source where its rule says."""
    target = rule.target
    if value is None:
        return
    if rule.null and str(value) in rule.null:
        row.null(target.column, f"source_writes_{str(value)[:20]}")
    elif target.kind == "flag":
        if rule.true or rule.false:
            value = _flag_by_words(row, rule, str(value))
        row.flag(target.column, value)
    elif target.kind == "integer":
        row.integer(target.column, value, low=int(target.low or 0), sentinel=None if target.sentinel is None else int(target.sentinel))
    elif target.kind == "number":
        row.number(target.column, value, unit=rule.unit, low=target.low, high=target.high, sentinel=target.sentinel)
    elif target.kind == "flags":
        row.flags(target.column, value)
    elif target.kind == "whole":
        row.whole(target.column, value)
    elif isinstance(value, dict):
        inner = ", ".join(f"{rule.source}.{key}" for key in list(value)[:5])
        raise row.fail(target.column, f"{rule.source} is an object", f"Name a field inside it in the mapping: {inner}")
    elif value != "":
        row.text(target.column, str(value).lower() if isinstance(value, bool) else value)


def _flag_by_words(row: Row, rule: Rule, word: str) -> bool:
    if word in rule.true:
        return True
    if word in rule.false:
        return False
    raise row.fail(rule.target.column, f"{word[:60]!r} is in neither list", "Add it to true or false of this column in the mapping")


def _declare(row: Row, mapping: dict[str, Any]) -> None:
    if row.values.get("latency_s") is not None:
        row.values["latency_meaning"] = str(mapping["latency_meaning"])
    if row.values.get("energy_j") is not None:
        row.values["energy_method"] = str(mapping["energy_method"])
    elif any(reason.startswith("energy_j:") for reason in row.reasons):
        row.values["energy_unknown_reason"] = "source_says_unknown"
