"""The records of one file of the generic importer: CSV, JSON Lines, JSON, Parquet.

Lives here: which kind a file is, its header, its records with their places. Not here: what a record
means (``generic``), documents (``documents``).
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from isocost.errors import IsocostError
from isocost.importers.base import ImportInput
from isocost.importers.generic.documents import NUMBER, document_records, is_json_lines, json_lines
from isocost.importers.generic.mapping import Rule
from isocost.importers.reading import MAX_LINE_BYTES, as_object, iter_lines

KINDS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "document",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
}
UNNAMED = "Unnamed: 0"
"""What pandas calls the index column that it writes without a name."""


def repr_name(name: Any) -> str:
    """A column's name as messages show it: the one without a name has to be seen, too."""
    return str(name) if str(name).strip() else f"{str(name)!r} (the column without a name)"


def kind_of_file(path: Path) -> str:
    """``jsonl`` (also a .json file of an object a line), ``document``, ``csv`` or ``parquet``."""
    kind = KINDS[path.suffix.lower()]
    return "jsonl" if kind == "document" and is_json_lines(path) else kind


def records_of(
    source: ImportInput, mapping: dict[str, Any], found: list[Rule]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Place and content of every record, in file order."""
    kind = kind_of_file(source.path)
    if kind == "jsonl":
        yield from json_lines(source.path)
    elif kind == "document":
        yield from document_records(
            source.path, str(mapping.get("records") or ""), [rule.source for rule in found]
        )
    elif kind == "csv":
        yield from _csv_rows(source.path, delimiter_of(source.path, mapping), found)
    else:
        yield from _parquet_rows(source.path, found)


def delimiter_of(path: Path, mapping: dict[str, Any]) -> str:
    """What parts the cells of a CSV file."""
    delimiter = str(mapping.get("delimiter") or ("\t" if path.suffix.lower() == ".tsv" else ","))
    if len(delimiter) != 1:
        raise IsocostError(
            f"{delimiter!r} is not a delimiter",
            where="mapping, delimiter",
            remedy="Give one character",
        )
    return delimiter


def csv_header(path: Path, delimiter: str) -> list[str]:
    """The names in the first line of a CSV file."""
    try:
        return next(
            csv.reader((text for _, text in iter_lines(path)), delimiter=delimiter, strict=True), []
        )
    except csv.Error as error:
        raise IsocostError(f"is not CSV: {error}", where=f"{path}, header") from None


def _csv_rows(
    path: Path, delimiter: str, found: list[Rule]
) -> Iterator[tuple[str, dict[str, Any]]]:
    csv.field_size_limit(min(MAX_LINE_BYTES, sys.maxsize))
    lines = (text for _, text in iter_lines(path))
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    header: list[str] | None = None
    number = 0
    try:
        for cells in reader:
            place = f"row ending on line {reader.line_num}"
            if header is None:
                header = cells
                check_header(path, header, found)
                continue
            if len(cells) != len(header):
                raise IsocostError(
                    f"has {len(cells)} cells, the header has {len(header)}",
                    where=f"{path}, {place}",
                )
            row = dict(zip(header, cells, strict=True))
            yield place, _named(row, number)
            number += 1
    except csv.Error as error:
        raise IsocostError(
            f"is not CSV: {error}", where=f"{path}, line {reader.line_num}"
        ) from None


def _named(row: dict[str, Any], number: int) -> dict[str, Any]:
    """The row with its number, and its unnamed column under the name that pandas shows for it."""
    row.setdefault(NUMBER, number)
    if "" in row:
        row.setdefault(UNNAMED, row[""])
    return row


def _parquet_rows(path: Path, found: list[Rule]) -> Iterator[tuple[str, dict[str, Any]]]:
    with pq.ParquetFile(path) as file:
        names = file.schema_arrow.names
        check_header(path, names, found)
        number = 0
        for batch in file.iter_batches(batch_size=2_048):
            for values in batch.to_pylist():
                yield f"row {number}", _named(as_object(values, str(path)), number)
                number += 1


def check_header(path: Path, header: list[str], found: list[Rule]) -> None:
    """Reject a header without names, with duplicate names, or without a mapped column."""
    if not any(name.strip() for name in header):
        raise IsocostError(
            "has no columns",
            where=str(path),
            remedy="Export it again with a header: a CSV file names its columns in its first line",
        )
    if len(set(header)) != len(header):
        raise IsocostError("has two columns of one name", where=f"{path}, header")
    known = {*header, NUMBER, *([UNNAMED] if "" in header else [])}
    absent = [
        rule.source for rule in found if rule.source not in known and not _begins(rule, known)
    ]
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
