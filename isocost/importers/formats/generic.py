"""Any table of samples: CSV, JSON Lines, JSON or Parquet, with a mapping file.

The mapping names its columns.

Lives here: the row-by-row way, which names the faulty line. Not here: the fast way
(``generic_sql``) and the mapping's vocabulary (``mapping``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from isocost.errors import IsocostError
from isocost.importers.base import Conventions, Importer, ImportInput, register
from isocost.importers.generic.applying import apply_rule, cover, setting
from isocost.importers.generic.mapping import Rule, rules
from isocost.importers.generic.repeats import Repeats
from isocost.importers.generic.splitting import Split, split
from isocost.importers.generic.sql_fields import Table
from isocost.importers.generic.sql_parts import write_table_fast
from isocost.importers.generic.tabular import (
    KINDS,
    check_header,
    csv_header,
    delimiter_of,
    kind_of_file,
    records_of,
    repr_name,
)
from isocost.importers.reading import check_lines, regular_file
from isocost.importers.row import Row
from isocost.importers.settings import stated_settings


@register
class Generic(Importer):
    """One record per sample, or a list of samples per record; the mapping defines the columns."""

    name = "generic"
    version = 2
    title = (
        "CSV, JSON Lines, JSON or Parquet with one sample or a list of samples a record, and a"
        " mapping file"
    )
    conventions = Conventions(
        units={"*": "as defined by the mapping; default s, J, USD and nats"},
        latency_meaning="as defined by the mapping",
        energy_method="as defined by the mapping",
        notes=(
            (
                "-1 in tokens, durations, energy and cost means unknown; other negative numbers "
                "are rejected."
            ),
        ),
    )
    takes_mapping = True

    def files(self, path: Path) -> list[Path]:
        """The file; its ending determines its format."""
        regular_file(path)
        if path.suffix.lower() not in KINDS:
            raise IsocostError(
                f"ends in {path.suffix or 'nothing'}",
                where=str(path),
                remedy=f"The generic importer reads {', '.join(KINDS)}",
            )
        return [path]

    def write_fast(self, source: ImportInput, folder: Path, constants: Any) -> int | None:
        """Let DuckDB read, convert and write; None where a value needs the row-by-row way."""
        mapping = _mapping(source)
        kind = kind_of_file(source.path)
        found = rules(mapping)
        if (
            kind == "document"
            or mapping.get("skip")
            or any(rule.source.startswith("@") for rule in found)
        ):
            return (
                None  # a document is parsed as a whole, and skipped records are counted, row by row
            )
        if any(rule.target.kind == "flags" or rule.is_json for rule in found):
            return None
        header: list[str] = []
        if kind == "parquet":
            with pq.ParquetFile(source.path) as file:
                check_header(source.path, file.schema_arrow.names, found)
        elif kind == "csv":
            check_lines(source.path)
            header = csv_header(source.path, delimiter_of(source.path, mapping))
            check_header(source.path, header, found)
        return write_table_fast(source, folder, constants, Table(kind, mapping, found, header))

    def records(self, source: ImportInput) -> Iterator[Row]:
        """Record by record and sample by sample, in file order."""
        mapping = _mapping(source)
        found = rules(mapping)
        tally = Tally(found)
        for place, values in records_of(source, mapping, found):
            if any(_has(values, name) for name in mapping.get("skip") or ()):
                tally.skipped.append(place)
                continue
            samples = 0
            for one in split(values, found, f"{source.path}, {place}"):
                samples += 1
                row = source.row(
                    "sample", source.path, f"{place}, {one.place}" if one.place else place
                )
                yield _filled(row, one, values, mapping, found, tally, source)
            if not samples:
                tally.empty.append(place)
            tally.repeats.add(values, found)
        tally.finish(source)


def _filled(
    row: Row,
    one: Split,
    values: dict[str, Any],
    mapping: dict[str, Any],
    found: list[Rule],
    tally: Tally,
    source: ImportInput,
) -> Row:
    """One sample's row, every rule applied."""
    conditions: dict[str, Any] = {}
    for rule in found:
        value, covers = one.values[rule.name], one.covers[rule.name]
        # A setting may be switched off in a whole file: its column has to be there.
        if value not in (None, "") or (
            rule.target.kind == "condition" and str(rule.steps[0]).split(".")[0] in values
        ):
            tally.seen.add(rule.source)
        if covers > 1 and rule.target.covers != "each" and value is not None:
            cover(row, rule, value, covers)
        elif rule.target.kind == "condition":
            if value not in (None, ""):
                conditions[rule.name.removeprefix("condition.")] = setting(row, value)
        else:
            apply_rule(row, rule, value, source)
    row.condition(stated_settings(conditions))
    if row.values.get("problem_source_id") is None:
        (name,) = (rule.source for rule in found if rule.name == "problem")
        has = ", ".join(repr_name(column) for column in values if not str(column).startswith("@"))[
            :200
        ]
        raise row.fail(
            "problem",
            "is empty",
            f"Every row needs its problem, here from {name!r}; this one has {has}",
        )
    if _is_no_record(one, found):
        raise row.fail(
            "problem",
            f"none of the mapped columns is under the key {row.values['problem_source_id']!r}",
            "If it is not a problem, name one of its columns under skip, as `skip: [version]`, or "
            "give the path of the problems, as `records: data.problems`",
        )
    _declare(row, mapping)
    return row


def _is_no_record(one: Split, found: list[Rule]) -> bool:
    """Whether an entry of an object keyed by problem contains no mapped column.

    Entries that describe the file are like that.
    """
    by_key = any(rule.name == "problem" and rule.source == "@key" for rule in found)
    own = [rule.name for rule in found if not rule.source.startswith("@")]
    return by_key and bool(own) and all(one.values[name] is None for name in own)


def _has(values: dict[str, Any], name: str) -> bool:
    return values.get(name) not in (None, "")


@dataclass(slots=True)
class Tally:
    """Notes for the user once all records are read.

    Attributes:
        rules: the mapping's rules.
        seen: columns that had a value somewhere.
        skipped: positions of records that are not samples according to the mapping.
        empty: positions of records with empty lists.
        repeats: unmapped columns that distinguish repeats of a point.
    """

    rules: list[Rule]
    seen: set[str] = dataclass_field(default_factory=set)
    skipped: list[str] = dataclass_field(default_factory=list)
    empty: list[str] = dataclass_field(default_factory=list)
    repeats: Repeats = dataclass_field(default_factory=Repeats)

    def finish(self, source: ImportInput) -> None:
        """Report what was left out; an error if a mapped column never had a value."""
        absent = [rule.source for rule in self.rules if rule.source not in self.seen]
        if absent and self.seen:
            raise no_such_columns(source, absent)
        for places, why in (
            (self.skipped, "are not samples according to the mapping (skip)"),
            (self.empty, "have an empty list and no sample"),
        ):
            if places:
                source.warnings.append(f"{len(places)} records {why}; the first: {places[0]}")
        source.warnings.extend(self.repeats.notes())


def no_such_columns(source: ImportInput, absent: list[str]) -> IsocostError:
    """The error for mapped columns that the file has not, or only empty."""
    return IsocostError(
        f"no row has a value in {', '.join(repr(name) for name in absent)}",
        where=str(source.path),
        remedy="Correct or remove these names in the mapping",
    )


def _mapping(source: ImportInput) -> dict[str, Any]:
    if "mapping" not in source.options:
        raise IsocostError(
            "the generic importer needs a mapping",
            where=str(source.path),
            remedy="Give a YAML file with columns: {problem: ..., correct: ...}",
        )
    return source.options["mapping"]


def _declare(row: Row, mapping: dict[str, Any]) -> None:
    if row.values.get("latency_s") is not None:
        row.values["latency_meaning"] = str(mapping["latency_meaning"])
    if row.values.get("energy_j") is not None:
        row.values["energy_method"] = str(mapping["energy_method"])
    elif any(reason.startswith("energy_j:") for reason in row.reasons):
        row.values["energy_unknown_reason"] = "source_says_unknown"
