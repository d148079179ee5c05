"""Any table of samples: CSV, JSON Lines, JSON or Parquet, with a mapping file that names its columns.

Lives here: the row-by-row way, which names the faulty line. Not here: the fast way (``generic_sql``) and the mapping's vocabulary
(``mapping``).
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from isocost.bank.importers.base import Conventions, Importer, Source, register
from isocost.bank.importers.cells import checked_time, quantity, time_of
from isocost.bank.importers.documents import NUMBER, document_records, is_json_lines, json_lines
from isocost.bank.importers.generic_sql import Table, write_table_fast
from isocost.bank.importers.mapping import Rule, rules
from isocost.bank.importers.provenance import sampling_text
from isocost.bank.importers.reading import MAX_LINE_BYTES, as_object, check_lines, iter_lines, regular_file
from isocost.bank.importers.repeats import Repeats
from isocost.bank.importers.row import Row
from isocost.bank.importers.settings import stated_settings
from isocost.bank.importers.splitting import Split, split
from isocost.errors import IsocostError

KINDS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "document", ".csv": "csv", ".tsv": "csv", ".parquet": "parquet"}
UNNAMED = "Unnamed: 0"
"""What pandas calls the index column that it writes without a name."""


@register
class Generic(Importer):
    """One record a sample, or a list of them; the mapping says which column is what."""

    name = "generic"
    version = 2
    title = "CSV, JSON Lines, JSON or Parquet with one sample or a list of samples a record, and a mapping file"
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
        kind = _kind(source.path)
        found = rules(mapping)
        if kind == "document" or mapping.get("skip") or any(rule.source.startswith("@") for rule in found):
            return None  # a document is parsed whole, and what is skipped is counted, row by row
        if any(rule.target.kind == "flags" or rule.is_json for rule in found):
            return None
        header: list[str] = []
        if kind == "parquet":
            with pq.ParquetFile(source.path) as file:
                _check_header(source.path, file.schema_arrow.names, found)
        elif kind == "csv":
            check_lines(source.path)
            header = _csv_header(source.path, _delimiter(source.path, mapping))
            _check_header(source.path, header, found)
        return write_table_fast(source, folder, constants, Table(kind, mapping, found, header))

    def records(self, source: Source) -> Iterator[Row]:
        """Record by record and sample by sample, in file order."""
        mapping = _mapping(source)
        found = rules(mapping)
        tally = Tally(found)
        for place, values in _rows(source, mapping, found):
            if any(_has(values, name) for name in mapping.get("skip") or ()):
                tally.skipped.append(place)
                continue
            samples = 0
            for one in split(values, found, f"{source.path}, {place}"):
                samples += 1
                row = source.row("sample", source.path, f"{place}, {one.place}" if one.place else place)
                yield _filled(row, one, values, mapping, found, tally, source)
            if not samples:
                tally.empty.append(place)
            tally.repeats.add(values, mapping, found)
        tally.finish(source)


def _filled(row: Row, one: Split, values: dict[str, Any], mapping: dict[str, Any], found: list[Rule], tally: Tally, source: Source) -> Row:
    """One sample's row, every rule applied."""
    conditions: dict[str, Any] = {}
    for rule in found:
        value, covers = one.values[rule.name], one.covers[rule.name]
        if value is not None:
            tally.seen.add(rule.source)
        if covers > 1 and rule.target.covers != "each" and value is not None:
            _cover(row, rule, value, covers)
        elif rule.target.kind == "condition":
            if value not in (None, ""):
                conditions[rule.name.removeprefix("condition.")] = _setting(row, rule, value)
        else:
            apply_rule(row, rule, value, source)
    row.condition(stated_settings(conditions))
    if row.values.get("problem_source_id") is None:
        (name,) = (rule.source for rule in found if rule.name == "problem")
        has = ", ".join(map(repr_name, values))[:200]
        raise row.fail("problem", "is empty", f"Every row needs its problem, here from {name!r}; this one has {has}")
    _declare(row, mapping)
    return row


def _setting(row: Row, rule: Rule, value: Any) -> Any:
    """A setting as text, so that 8 in one file and "8" in another are one; objects and lists as they are."""
    if isinstance(value, dict | list):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    row.text("condition", value)
    return row.values.pop("condition")


_COVERS = {"verdict": "verdict_covers_{}_samples", "usage": "usage_covers_{}_samples", "text": "covers_{}_samples"}


def _cover(row: Row, rule: Rule, value: Any, covers: int) -> None:
    """Keeps one value for several samples beside them, and puts it on none."""
    row.null(rule.target.column, _COVERS[rule.target.covers].format(covers))
    before = json.loads(row.values.get("extra") or "{}")
    group = {**before.get("group", {}), rule.name: value, "covers": covers}
    row.json("extra", {**before, "group": group})


def _has(values: dict[str, Any], name: str) -> bool:
    return values.get(name) not in (None, "")


@dataclass(slots=True)
class Tally:
    """What the importing person is told when all records are read.

    Attributes:
        rules: the mapping's rules.
        seen: columns that had a value somewhere.
        skipped: places of the records that the mapping says are no samples.
        empty: places of the records whose lists hold no sample.
        repeats: the columns that tell repeats of a point apart without being mapped.
    """

    rules: list[Rule]
    seen: set[str] = dataclass_field(default_factory=set)
    skipped: list[str] = dataclass_field(default_factory=list)
    empty: list[str] = dataclass_field(default_factory=list)
    repeats: Repeats = dataclass_field(default_factory=Repeats)

    def finish(self, source: Source) -> None:
        """Notes what was left out; an error where a mapped column never had a value."""
        absent = [rule.source for rule in self.rules if rule.source not in self.seen]
        if absent and self.seen:
            raise no_such_columns(source, absent)
        for places, why in ((self.skipped, "are no samples, as the mapping says (skip)"), (self.empty, "hold an empty list and no sample")):
            if places:
                source.warnings.append(f"{len(places)} records {why}; the first: {places[0]}")
        source.warnings.extend(self.repeats.notes())


def repr_name(name: Any) -> str:
    """A column's name as messages show it: the one without a name has to be seen, too."""
    return str(name) if str(name).strip() else f"{str(name)!r} (the column without a name)"


def no_such_columns(source: Source, absent: list[str]) -> IsocostError:
    """The error for mapped columns that the file has not, or only empty."""
    return IsocostError(
        f"no row has a value in {', '.join(repr(name) for name in absent)}",
        where=str(source.path),
        remedy="Correct or remove these names in the mapping",
    )


def _mapping(source: Source) -> dict[str, Any]:
    if "mapping" not in source.options:
        raise IsocostError(
            "the generic importer needs a mapping",
            where=str(source.path),
            remedy="Give a YAML file with columns: {problem: ..., correct: ...}",
        )
    return source.options["mapping"]


def _kind(path: Path) -> str:
    kind = KINDS[path.suffix.lower()]
    return "jsonl" if kind == "document" and is_json_lines(path) else kind


def _rows(source: Source, mapping: dict[str, Any], found: list[Rule]) -> Iterator[tuple[str, dict[str, Any]]]:
    kind = _kind(source.path)
    if kind == "jsonl":
        yield from json_lines(source.path)
    elif kind == "document":
        yield from document_records(source.path, str(mapping.get("records") or ""), [rule.source for rule in found])
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
                _check_header(path, header, found)
                number = 0
                continue
            if len(cells) != len(header):
                raise IsocostError(f"has {len(cells)} cells, the header has {len(header)}", where=f"{path}, {place}")
            row = dict(zip(header, cells, strict=True))
            yield place, _named(row, number)
            number += 1
    except csv.Error as error:
        raise IsocostError(f"is not CSV: {error}", where=f"{path}, line {reader.line_num}") from None


def _named(row: dict[str, Any], number: int) -> dict[str, Any]:
    """The row with its number, and its unnamed column under the name that pandas shows for it."""
    row.setdefault(NUMBER, number)
    if "" in row:
        row.setdefault(UNNAMED, row[""])
    return row


def _parquet_rows(path: Path, found: list[Rule]) -> Iterator[tuple[str, dict[str, Any]]]:
    with pq.ParquetFile(path) as file:
        names = file.schema_arrow.names
        _check_header(path, names, found)
        number = 0
        for batch in file.iter_batches(batch_size=2_048):
            for values in batch.to_pylist():
                yield f"row {number}", _named(as_object(values, str(path)), number)
                number += 1


def _check_header(path: Path, header: list[str], found: list[Rule]) -> None:
    if not any(name.strip() for name in header):
        raise IsocostError(
            "has no columns", where=str(path), remedy="Export it again with a header: a CSV file names its columns in its first line"
        )
    if len(set(header)) != len(header):
        raise IsocostError("has two columns of one name", where=f"{path}, header")
    known = {*header, NUMBER, *([UNNAMED] if "" in header else [])}
    absent = [rule.source for rule in found if rule.source not in known and not _begins(rule, known)]
    if absent:
        told = ", ".join(repr_name(name) for name in header)[:300]
        raise IsocostError(
            f"has no column {', '.join(repr(name) for name in absent)}",
            where=f"{path}, header",
            remedy=f"It has {told}; correct the names in the mapping",
        )


def _begins(rule: Rule, header: set[str]) -> bool:
    """Whether a path begins in a column that is there."""
    head = str(rule.steps[0])
    parts = head.split(".")
    return any(".".join(parts[: n + 1]) in header for n in range(len(parts)))


def apply_rule(row: Row, rule: Rule, value: Any, source: Source) -> None:
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
    elif target.kind in ("integer", "number", "time"):
        _number(row, rule, value, source)
    elif target.kind == "flags":
        row.flags(target.column, value)
    elif target.kind == "sampling":
        row.text(target.column, _sampling(row, rule, value))
    elif target.kind == "whole":
        row.whole(target.column, value)
    elif isinstance(value, dict):
        inner = ", ".join(f"{rule.source}.{key}" for key in list(value)[:5])
        raise row.fail(target.column, f"{rule.source} is an object", f"Name a field inside it in the mapping: {inner}")
    elif value != "" or target.column == "output_text":
        row.text(target.column, str(value).lower() if isinstance(value, bool) else value)


def _number(row: Row, rule: Rule, value: Any, source: Source) -> None:
    """A number or a time, also one written for people."""
    target, unit = rule.target, rule.unit
    if isinstance(value, str) and value.strip() and not _is_number(value):
        where = f"{row.where}, {target.column}"
        time = time_of(value) if target.kind == "time" else None
        if time is not None:
            if time.is_naive:
                source.note_once(f"times without an offset are read as UTC: column {rule.source}, first in {row.where}", rule.source)
            value, unit = time.unix_s, None
        elif (cell := quantity(value, target.unit, where)) is not None:
            value, unit = cell.value, cell.unit or unit
    if target.kind == "integer":
        row.integer(target.column, value, low=int(target.low or 0), sentinel=None if target.sentinel is None else int(target.sentinel))
        return
    row.number(target.column, value, unit=unit, low=target.low, high=target.high, sentinel=target.sentinel)
    if target.kind == "time":
        checked_time(row.values.get(target.column), f"{row.where}, {target.column}")


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
            f"{str(value)[:40]!r} is neither a JSON object nor words, so that nobody knows which parameter it is",
            'Write it as {"temperature": 0.7} or `temperature 0.7`, or map it under conditions, as `conditions: {temperature: COLUMN}`',
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
    raise row.fail(rule.target.column, f"{word[:60]!r} is in neither list", "Add it to true or false of this column in the mapping")


def _declare(row: Row, mapping: dict[str, Any]) -> None:
    if row.values.get("latency_s") is not None:
        row.values["latency_meaning"] = str(mapping["latency_meaning"])
    if row.values.get("energy_j") is not None:
        row.values["energy_method"] = str(mapping["energy_method"])
    elif any(reason.startswith("energy_j:") for reason in row.reasons):
        row.values["energy_unknown_reason"] = "source_says_unknown"
