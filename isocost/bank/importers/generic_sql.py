"""The generic importer's fast way: DuckDB reads, checks, converts and writes without a Python loop.

Lives here: the SQL that one mapping becomes. Whatever it refuses goes through the row-by-row way in ``generic``, which names the
line or takes the value after all. Not here: the mapping's vocabulary (``mapping``).
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import duckdb

from isocost.bank.importers.base import PROVENANCE, Source
from isocost.bank.importers.mapping import Rule
from isocost.bank.importers.reading import MAX_LINE_BYTES, Chunk, copy_range, line_chunks
from isocost.bank.importers.units import sql_factor
from isocost.hashing import canonical_json
from isocost.schema.parquet import stamp
from isocost.schema.registry import table
from isocost.schema.types import duckdb_type

# Of each worker, bounded whatever the file's size; DuckDB spills to the staging folder beyond it.
MEMORY_LIMIT = "256MiB"
WORKERS = min(2, os.cpu_count() or 1)
_ROW_GROUP_BYTES = 16 << 20
_WORDS_TRUE = "('true','t','1','1.0','yes','y','c','correct','pass','passed')"
_WORDS_FALSE = "('false','f','0','0.0','no','n','i','incorrect','fail','failed')"
# What DuckDB says of a file or value it does not take. A binder or parser error would be a defect of this module and is not hidden.
_REFUSALS = (
    duckdb.InvalidInputException,
    duckdb.ConversionException,
    duckdb.OutOfRangeException,
    duckdb.IOException,
    duckdb.OutOfMemoryException,
    duckdb.SerializationException,
)
_REFUSED = "error('isocost refuses a value')"


def write_table_fast(
    source: Source, folder: Path, constants: Any, kind: str, mapping: dict[str, Any], found: list[Rule], header: list[str]
) -> int | None:
    """Writes the whole file as one part, a large JSON Lines file as one part a chunk, chunks side by side.

    Numbering its rows keeps DuckDB on one thread for each file; so a large file is cut between lines, and each worker copies
    its chunk, converts it and removes the copy. Disk for the copies and memory are bounded whatever the file's size.

    Returns:
        The number of rows, or None where DuckDB refused the file or a value broke a rule; no part is left then.
    """
    rows_a_group = _rows_a_group(source.path)
    chunks = line_chunks(source.path) if kind == "jsonl" else [Chunk(0, source.path.stat().st_size, 0)]

    def write(index: int) -> None:
        part, copy, chunk = folder / f"part-{index:05d}.parquet", folder / f"chunk-{index}.jsonl", chunks[index]
        try:
            if len(chunks) > 1:
                copy_range(source.path, copy, chunk.begin, chunk.end)
            reader = _reader(copy if len(chunks) > 1 else source.path, kind, mapping, found, header)
            number = "file_row_number" if kind == "parquet" else f"row_number() OVER () - 1 + {chunk.first_line}"
            select = _select(reader, constants, kind, mapping, found, source, number)
            with _connect(folder, threads=1) as con:
                con.execute(
                    f"COPY ({select}) TO {_text(str(part))} "
                    f"(FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, ROW_GROUP_SIZE {rows_a_group}, KV_METADATA {_stamp()})"
                )
        finally:
            copy.unlink(missing_ok=True)

    try:
        with ThreadPoolExecutor(max_workers=WORKERS) as pool:
            list(pool.map(write, range(len(chunks))))
        with _connect(folder, threads=WORKERS) as con:
            rows = _accepted(con, folder, constants, found, source)
    except _REFUSALS:
        rows = None
    if rows is None:
        for part in folder.glob("part-*.parquet"):
            part.unlink()
    return rows


def _connect(folder: Path, threads: int) -> duckdb.DuckDBPyConnection:
    settings = {"memory_limit": MEMORY_LIMIT, "threads": threads, "autoinstall_known_extensions": False}
    return duckdb.connect(config=settings | {"temp_directory": str(folder / f"spill-{os.urandom(4).hex()}")})


def _rows_a_group(path: Path) -> int:
    """Rows so that one row group stays small in memory, from the mean line length of the file's first mebibyte."""
    if path.suffix.lower() == ".parquet":
        return 16_384
    with path.open("rb") as handle:
        head = handle.read(1 << 20)
    mean = len(head) / max(head.count(b"\n"), 1)
    return int(min(122_880, max(2_048, _ROW_GROUP_BYTES / max(mean, 1))) // 2_048 * 2_048)


def _reader(path: Path, kind: str, mapping: dict[str, Any], found: list[Rule], header: list[str]) -> str:
    where = _text(_glob_safe(str(path)))
    if kind == "jsonl":
        # As text, so that true is no 1 and a number of 17 digits is not rounded before it is looked at.
        listed = ", ".join(f"{_text(name)}: 'VARCHAR'" for name in dict.fromkeys(rule.source for rule in found))
        return f"read_json({where}, format='newline_delimited', columns={{{listed}}}, maximum_object_size={MAX_LINE_BYTES})"
    if kind == "csv":
        delimiter = mapping.get("delimiter") or ("\t" if path.suffix.lower() == ".tsv" else ",")
        columns = ", ".join(f"{_text(name)}: 'VARCHAR'" for name in header)
        return (
            f"read_csv({where}, header=true, all_varchar=true, auto_detect=false, delim={_text(str(delimiter))}, quote='\"', escape='\"', "
            f"columns={{{columns}}}, max_line_size={MAX_LINE_BYTES}, strict_mode=true, null_padding=false)"
        )
    return f"read_parquet({where}, file_row_number=true)"


def _select(reader: str, constants: Any, kind: str, mapping: dict[str, Any], found: list[Rule], source: Source, number: str) -> str:
    by_column = {rule.target.column: rule for rule in found}
    given = dict(constants.given)
    reasons: list[str] = []
    expressions: dict[str, str] = {}
    for column, rule in by_column.items():
        expressions[column] = _value(rule, kind, reasons)
    for column in PROVENANCE.values():
        if column in expressions:
            expressions[column] = _provenance(expressions[column], column, given.get(column), column in constants.unknown)
        elif column in given:
            expressions[column] = _text(given[column])
    expressions["problem_source_id"] = f"coalesce({expressions['problem_source_id']}, {_REFUSED})"
    expressions.update(_declared(expressions, constants, mapping, source) | {"record_index": number})
    listed = ", ".join(f"CASE WHEN {condition} THEN {_text(reason)} END" for reason, condition in sorted(reasons))
    expressions["null_reasons"] = f"list_filter([{listed}]::VARCHAR[], lambda reason: reason IS NOT NULL)" if listed else "[]::VARCHAR[]"
    parts = []
    for column in table("raw_imports").columns:
        value = expressions.get(column.name, "NULL")
        parts.append(f'CAST({value} AS {duckdb_type(column)}) AS "{column.name}"')
    return f"SELECT {', '.join(parts)} FROM {reader}"


def _declared(expressions: dict[str, str], constants: Any, mapping: dict[str, Any], source: Source) -> dict[str, str]:
    importer = constants.importer
    fixed = {
        "import_id": _text(constants.import_id),
        "source": _text(importer.name),
        "record_kind": "'sample'",
        "source_file": _text(source.relative(source.path)),
        "source_run": f"coalesce({expressions.get('source_run', 'NULL')}, {_text(source.file_run(source.path) or '')})",
    }
    if condition := source.options.get("condition"):
        fixed["condition"] = _text(canonical_json(condition))
    if "latency_s" in expressions:
        fixed["latency_meaning"] = f"CASE WHEN ({expressions['latency_s']}) IS NOT NULL THEN {_text(str(mapping['latency_meaning']))} END"
    if "energy_j" in expressions:
        known = f"({expressions['energy_j']}) IS NOT NULL"
        fixed["energy_method"] = f"CASE WHEN {known} THEN {_text(str(mapping['energy_method']))} END"
        fixed["energy_unknown_reason"] = f"CASE WHEN {known} THEN NULL ELSE 'not_in_source' END"
    else:
        fixed["energy_unknown_reason"] = _text(importer.conventions.energy_unknown_reason)
    return fixed


def _value(rule: Rule, kind: str, reasons: list[tuple[str, str]]) -> str:
    """SQL for one value; what cannot be meant calls error(), so that the slow way can name its line."""
    target, raw = rule.target, _name(rule.source)
    if kind == "csv":
        raw = f"nullif({raw}, '')"
    if rule.null:
        for word in rule.null:
            reasons.append((f"{target.column}:source_writes_{word[:20]}", f"CAST({raw} AS VARCHAR) = {_text(word)}"))
        raw = f"CASE WHEN CAST({raw} AS VARCHAR) IN ({', '.join(_text(word) for word in rule.null)}) THEN NULL ELSE {raw} END"
    if target.kind == "flag":
        return _flag(rule, raw)
    if target.kind in ("text", "whole"):
        if kind == "parquet":
            # Lists, structs and blobs have a text of Python's own in the slow way.
            return (
                f"CASE WHEN typeof({raw}) IN ('VARCHAR', 'BIGINT', 'INTEGER', '\"NULL\"') THEN CAST({raw} AS VARCHAR) ELSE {_REFUSED} END"
            )
        return f"nullif({raw}, '')" if target.kind == "text" else raw
    number = f"CAST({raw} AS DOUBLE)"
    if target.sentinel is not None:
        reasons.append((f"{target.column}:sentinel_{target.sentinel:g}", f"{number} = {target.sentinel!r}"))
        number = f"nullif({number}, {target.sentinel!r})"
    if rule.unit and target.unit:
        number = f"({number}){sql_factor(rule.unit, target.unit, rule.source)}"
    bounds = [f"NOT isfinite({number})"]
    if target.low is not None:
        bounds.append(f"{number} < {float(target.low)!r}")
    if target.high is not None:
        bounds.append(f"{number} > {float(target.high)!r}")
    if target.kind == "integer":
        # Beyond 2^53 a double cannot tell neighbours apart: the slow way reads such a number as the integer it is.
        bounds += [f"{number} <> floor({number})", f"{number} >= {2**31 if target.column == 'sample_index' else 2**53}"]
    return f"CASE WHEN {' OR '.join(bounds)} THEN {_REFUSED} ELSE {number} END"


def _flag(rule: Rule, raw: str) -> str:
    if rule.true or rule.false:
        word, true, false = f"CAST({raw} AS VARCHAR)", _words(rule.true), _words(rule.false)
    else:
        word, true, false = f"lower(trim(CAST({raw} AS VARCHAR)))", _WORDS_TRUE, _WORDS_FALSE
    return f"CASE WHEN {raw} IS NULL THEN NULL WHEN {word} IN {true} THEN true WHEN {word} IN {false} THEN false ELSE {_REFUSED} END"


def _words(words: tuple[str, ...]) -> str:
    return f"({', '.join(_text(word) for word in words)})" if words else "(NULL)"


def _provenance(value: str, column: str, given: str | None, may_be_unknown: bool) -> str:
    if column == "sampling":
        return f"CASE WHEN {value} IS NOT NULL THEN {_REFUSED} END"  # canonical JSON is made in Python
    if given is not None:
        return f"CASE WHEN coalesce({value}, {_text(given)}) = {_text(given)} THEN {_text(given)} ELSE {_REFUSED} END"
    return value if may_be_unknown else f"coalesce({value}, {_REFUSED})"


def _accepted(con: duckdb.DuckDBPyConnection, folder: Path, constants: Any, found: list[Rule], source: Source) -> int | None:
    """The number of rows when every mapped column and all provenance is there; None sends the file the slow way, which says why.

    Notes in ``source.unsaid`` the provenance that the table does not hold.
    """
    wanted = [rule.target.column for rule in found]
    needed = [column for column in PROVENANCE.values() if column not in constants.unknown]
    checked = list(dict.fromkeys([*wanted, *PROVENANCE.values()]))
    parts = _text(str(folder / "part-*.parquet"))
    counts = con.execute(
        f"SELECT count(*), {', '.join(f'count({_name(column)})' for column in checked)} FROM read_parquet({parts})"
    ).fetchone()
    rows, filled = counts[0], dict(zip(checked, counts[1:], strict=True))
    if not rows or any(filled[column] == 0 for column in wanted) or any(filled[column] < rows for column in needed):
        return None
    mapped = {column for column in wanted if column not in constants.given and filled[column] == rows}
    source.unsaid.update(set(PROVENANCE.values()) - mapped)
    return rows


def _stamp() -> str:
    pairs = ", ".join(f"{_text(key.decode())}: {_text(value.decode())}" for key, value in stamp("raw_imports").items())
    return "{" + pairs + "}"


def _glob_safe(path: str) -> str:
    return "".join(f"[{char}]" if char in "*?[" else char for char in path)


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
