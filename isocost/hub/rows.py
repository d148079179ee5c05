"""The rows of a data file: Parquet, JSON Lines, JSON, CSV and TSV.

Lives here: reading rows one after the other as plain values, with the number of each. Not here:
which files are read (``splits``), what a row means (``isocost.tasks``).
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from isocost.hub.faults import HubFault

ENDINGS = (".parquet", ".jsonl", ".ndjson", ".json", ".csv", ".tsv")
_BATCH_ROWS = 512
_MOST_JSON_BYTES = 1 << 28
"""A JSON list is read as a whole; what is larger should be JSON Lines or Parquet."""

Row = dict[str, Any]
Choose = Callable[[list[str]], list[str]]
"""From the columns that a file has to those that are read."""


def ending_of(file: str) -> str | None:
    """The kind of a data file; None if it cannot be read."""
    name = file.lower().removesuffix(".gz")
    found = next((ending for ending in ENDINGS if name.endswith(ending)), None)
    return None if found == ".parquet" and file.lower().endswith(".gz") else found


def rows_of(path: Path, name: str, choose: Choose = list) -> Iterator[tuple[int, Row]]:
    """The rows of a data file, each with its number from 1.

    Args:
        path: the local file.
        name: its name in the repository, which says its kind and is shown in errors.
        choose: given the file's columns (of JSON those of its first row), returns those to read;
            JSON is read as a whole all the same. Errors that it raises propagate.

    Raises:
        HubFault: it cannot be read; names file and line or row.
    """
    ending = ending_of(name)
    if ending == ".parquet":
        return _parquet_rows(path, name, choose)
    if ending in (".csv", ".tsv"):
        return _csv_rows(path, name, choose, "\t" if ending == ".tsv" else ",")
    return _chosen(_json_rows(path, name), choose)


def _unreadable(name: str, what: str) -> HubFault:
    return HubFault(
        what,
        where=name,
        remedy="Give another revision, or another pattern under files.",
        about="files",
    )


def _parquet_rows(path: Path, name: str, choose: Choose) -> Iterator[tuple[int, Row]]:
    import pyarrow.parquet as pq
    from pyarrow import ArrowException

    try:
        opened = pq.ParquetFile(path)
    except (ArrowException, OSError) as error:
        raise _unreadable(name, f"is not Parquet: {str(error).splitlines()[0]}") from None
    number = 0
    with opened as file:
        columns = choose(list(file.schema_arrow.names))
        try:
            for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=columns):
                for row in batch.to_pylist():
                    number += 1
                    yield number, row
        except (ArrowException, OSError) as error:
            what = f"cannot be read after row {number}: {str(error).splitlines()[0]}"
            raise _unreadable(name, what) from None


def _csv_rows(path: Path, name: str, choose: Choose, separator: str) -> Iterator[tuple[int, Row]]:
    import polars as pl

    number = 0
    try:
        frame = pl.scan_csv(
            path, separator=separator, infer_schema=False, empty_string_is_null=False, glob=False
        )
        columns = choose(frame.collect_schema().names())
        batches = frame.select(columns).collect_batches(chunk_size=_BATCH_ROWS, lazy=True)
        for batch in batches:
            for row in batch.iter_rows(named=True):
                number += 1
                yield number, row
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _unreadable(name, f"is not CSV: {str(error).splitlines()[0]}") from None


def _chosen(rows: Iterator[tuple[int, Row]], choose: Choose) -> Iterator[tuple[int, Row]]:
    is_first = True
    for number, row in rows:
        if is_first:
            choose(list(row))
            is_first = False
        yield number, row


def _open(path: Path, name: str) -> IO[str]:
    if name.lower().endswith(".gz"):
        return gzip.open(path, "rt", encoding="utf-8-sig")
    return path.open(encoding="utf-8-sig")


def _json_rows(path: Path, name: str) -> Iterator[tuple[int, Row]]:
    number = 0
    try:
        with _open(path, name) as lines:
            if lines.read(64).lstrip().startswith("["):
                yield from _json_list(path, name)
                return
        with _open(path, name) as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield number, _object(json.loads(line), name, f"line {number}")
    except (UnicodeDecodeError, EOFError, gzip.BadGzipFile) as error:
        raise _unreadable(name, f"is not UTF-8 text: {error}") from None
    except (ValueError, RecursionError) as error:
        if isinstance(error, HubFault):
            raise
        raise _unreadable(name, f"line {number} is not JSON: {error}") from None


def _json_list(path: Path, name: str) -> Iterator[tuple[int, Row]]:
    with _open(path, name) as text:
        content = text.read(_MOST_JSON_BYTES + 1)
    if len(content) > _MOST_JSON_BYTES:
        raise _unreadable(name, f"is a JSON list of more than {_MOST_JSON_BYTES:,} characters")
    for number, row in enumerate(json.loads(content), start=1):
        yield number, _object(row, name, f"entry {number}")


def _object(value: Any, name: str, place: str) -> Row:
    if not isinstance(value, dict):
        raise _unreadable(name, f"{place} is not a JSON object")
    return value
