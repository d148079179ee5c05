"""The generic importer's fast path: DuckDB reads, checks, converts and writes.

Without a Python loop.

Lives here: the statements that write parts, and the requirements of a part. Anything that they
reject goes through the row-by-row path in ``generic``, which names the line or accepts the value
after all. Not
here: where values come from (``generic_fields``) and what they become (``generic_values``).
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq

from isocost.hashing import canonical_json
from isocost.importers.base import PROVENANCE, ImportInput
from isocost.importers.generic.mapping import Rule
from isocost.importers.generic.repeats import varying_columns
from isocost.importers.generic.sql_fields import (
    REFUSED,
    NotFast,
    Table,
    can_be_flat,
    column_of,
    name,
    samples,
    text,
)
from isocost.importers.generic.sql_values import told_sql, value_sql
from isocost.importers.reading import Chunk, copy_range, line_chunks
from isocost.schema.parquet import stamp
from isocost.schema.registry import table as table_of
from isocost.schema.types import duckdb_type

# Of each worker, bounded whatever the file's size; DuckDB spills to the staging folder beyond it.
MEMORY_LIMIT = "256MiB"
WORKERS = min(2, os.cpu_count() or 1)
_ROW_GROUP_BYTES = 16 << 20
# DuckDB's errors for a file or value that it rejects. A binder or parser error would be a defect of
# this module and is not hidden.
_REFUSALS = (
    duckdb.InvalidInputException,
    duckdb.ConversionException,
    duckdb.OutOfRangeException,
    duckdb.IOException,
    duckdb.OutOfMemoryException,
    duckdb.SerializationException,
)


def write_table_fast(source: ImportInput, folder: Path, constants: Any, table: Table) -> int | None:
    """Write the whole file as one part, or a large JSON Lines file as one part per chunk.

    Chunks are processed in parallel.

    Numbering its rows keeps DuckDB on one thread for each file; so a large file is cut between
    lines, and each worker copies its chunk, converts it and removes the copy. Disk for the copies
    and memory are bounded whatever the file's size.

    Returns:
        The number of rows, or None if DuckDB rejected the file or a value violated a rule; then no
        part is left.
    """
    # Most files have no lists: they are read in half the time if none is expected.
    for is_flat in (True, False) if can_be_flat(table) else (False,):
        rows = _written(source, folder, constants, table, is_flat=is_flat)
        if rows is not None:
            return rows
    return None


def _written(
    source: ImportInput, folder: Path, constants: Any, table: Table, *, is_flat: bool
) -> int | None:
    rows_a_group = _rows_a_group(source.path)
    chunks = (
        line_chunks(source.path)
        if table.kind == "jsonl"
        else [Chunk(0, source.path.stat().st_size, 0)]
    )
    form = (
        f"FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, ROW_GROUP_SIZE {rows_a_group},"
        f" KV_METADATA {_stamp()}"
    )

    def write(index: int) -> None:
        part, copy, chunk = (
            folder / f"part-{index:05d}.parquet",
            folder / f"chunk-{index}.jsonl",
            chunks[index],
        )
        try:
            if len(chunks) > 1:
                copy_range(source.path, copy, chunk.begin, chunk.end)
            read = samples(copy if len(chunks) > 1 else source.path, table, is_flat=is_flat)
            select = _select(
                read,
                constants,
                table,
                source,
                f"row_number() OVER () - 1 + {chunk.first_line}",
                is_flat=is_flat,
            )
            with _connect(folder, threads=1) as con:
                con.execute(f"COPY ({select}) TO {text(str(part))} ({form})")
        finally:
            copy.unlink(missing_ok=True)

    try:
        with ThreadPoolExecutor(max_workers=WORKERS) as pool:
            list(pool.map(write, range(len(chunks))))
        _number_through(folder, chunks, form)
        with _connect(folder, threads=WORKERS) as con:
            rows = _accepted(con, folder, constants, table.rules, source)
            if rows is not None:
                source.warnings.extend(varying_columns(con, source.path, table))
    except (*_REFUSALS, NotFast):
        rows = None
    if rows is None:
        for part in folder.glob("part-*.parquet"):
            part.unlink()
    return rows


def _number_through(folder: Path, chunks: list[Chunk], form: str) -> None:
    """Number the records of all parts consecutively.

    Needed if a chunk has more or fewer records than lines.
    """
    before = 0
    for index, chunk in enumerate(chunks):
        part = folder / f"part-{index:05d}.parquet"
        rows = pq.read_metadata(part).num_rows
        if before != chunk.first_line:
            numbered = part.with_suffix(".numbered")
            with _connect(folder, threads=1) as con:
                index_sql = f"record_index + {before - chunk.first_line} AS record_index"
                moved = f"SELECT * REPLACE ({index_sql}) FROM read_parquet({text(str(part))})"
                con.execute(f"COPY ({moved}) TO {text(str(numbered))} ({form})")
            numbered.replace(part)
        before += rows


def _connect(folder: Path, threads: int) -> duckdb.DuckDBPyConnection:
    return duckdb.connect(
        config={
            "memory_limit": MEMORY_LIMIT,
            "threads": threads,
            "autoinstall_known_extensions": False,
            "temp_directory": str(folder / f"spill-{os.urandom(4).hex()}"),
        }
    )


def _rows_a_group(path: Path) -> int:
    """Rows per row group that keep it small in memory.

    From the mean line length of the file's first mebibyte.
    """
    if path.suffix.lower() == ".parquet":
        return 16_384
    with path.open("rb") as handle:
        head = handle.read(1 << 20)
    mean = len(head) / max(head.count(b"\n"), 1)
    return int(min(122_880, max(2_048, _ROW_GROUP_BYTES / max(mean, 1))) // 2_048 * 2_048)


def _select(
    read: str, constants: Any, table: Table, source: ImportInput, number: str, *, is_flat: bool
) -> str:
    given = dict(constants.given)
    reasons: list[tuple[str, str]] = []
    expressions: dict[str, str] = {}
    settings: dict[str, str] = {}
    told = []
    for index, rule in enumerate(table.rules):
        own = column_of(index)
        is_sampling = rule.target.kind == "sampling"
        value = own if is_sampling else told_sql(rule, own, table.kind, is_flat=is_flat)
        told.append(f"{value} AS {own}")
    for index, rule in enumerate(table.rules):
        value = (
            value_sql(rule, column_of(index), reasons)
            if rule.target.kind != "sampling"
            else column_of(index)
        )
        if rule.target.kind == "condition":
            settings[rule.name.removeprefix("condition.")] = value
        else:
            expressions[rule.target.column] = value
    for column in PROVENANCE.values():
        if column in expressions:
            expressions[column] = _provenance(
                expressions[column], column, given.get(column), column in constants.unknown
            )
        elif column in given:
            expressions[column] = text(given[column])
    expressions["problem_source_id"] = f"coalesce({expressions['problem_source_id']}, {REFUSED})"
    expressions["condition"] = _condition(settings, source.options.get("condition") or {})
    expressions.update(
        _declared(expressions, constants, table.mapping, source) | {"record_index": number}
    )
    listed = ", ".join(
        f"CASE WHEN {condition} THEN {text(reason)} END" for reason, condition in sorted(reasons)
    )
    expressions["null_reasons"] = (
        f"list_filter([{listed}]::VARCHAR[], lambda reason: reason IS NOT NULL)"
        if listed
        else "[]::VARCHAR[]"
    )
    parts = []
    for column in table_of("raw_imports").columns:
        value = expressions.get(column.name, "NULL")
        parts.append(f'CAST({value} AS {duckdb_type(column)}) AS "{column.name}"')
    return f"SELECT {', '.join(parts)} FROM (SELECT {', '.join(told)} FROM ({read}))"


def _condition(settings: dict[str, str], given: dict[str, Any]) -> str:
    """Canonical JSON of the settings: those of the row and those that were given."""
    if settings.keys() & given.keys() or any('"' in name or "\\" in name for name in settings):
        raise NotFast  # one of them has to be rejected, and the row-by-row path determines which
    if not settings:
        return text(canonical_json(given)) if given else "NULL"
    pairs = [
        (key, text(f"{canonical_json(key)}:{canonical_json(value)}"))
        for key, value in given.items()
    ]
    for key, value in settings.items():
        # Control characters are escaped in two ways.
        safe = (
            f"CASE WHEN regexp_matches({value}, '[\\x00-\\x1f\\x7f]') THEN {REFUSED} ELSE"
            f" {value} END"
        )
        pairs.append(
            (key, f"{text(canonical_json(key) + ':')} || CAST(to_json({safe}) AS VARCHAR)")
        )
    listed = ", ".join(sql for _, sql in sorted(pairs))
    joined = f"array_to_string(list_filter([{listed}], lambda one: one IS NOT NULL), ',')"
    return f"CASE WHEN {joined} <> '' THEN '{{' || {joined} || '}}' END"


def _declared(
    expressions: dict[str, str], constants: Any, mapping: dict[str, Any], source: ImportInput
) -> dict[str, str]:
    importer = constants.importer
    fixed = {
        "import_id": text(constants.import_id),
        "source": text(importer.name),
        "record_kind": "'sample'",
        "source_file": text(source.relative(source.path)),
        "source_run": (
            f"coalesce({expressions.get('source_run', 'NULL')},"
            f" {text(source.file_run(source.path) or '')})"
        ),
    }
    if "latency_s" in expressions:
        fixed["latency_meaning"] = (
            f"CASE WHEN ({expressions['latency_s']}) IS NOT NULL THEN"
            f" {text(str(mapping['latency_meaning']))} END"
        )
    if "energy_j" in expressions:
        known = f"({expressions['energy_j']}) IS NOT NULL"
        fixed["energy_method"] = f"CASE WHEN {known} THEN {text(str(mapping['energy_method']))} END"
        fixed["energy_unknown_reason"] = f"CASE WHEN {known} THEN NULL ELSE 'not_in_source' END"
    else:
        fixed["energy_unknown_reason"] = text(importer.conventions.energy_unknown_reason)
    return fixed


def _provenance(value: str, column: str, given: str | None, may_be_unknown: bool) -> str:
    if column == "sampling":
        return (  # canonical JSON is made in Python
            f"CASE WHEN {value} IS NOT NULL THEN {REFUSED} END"
        )
    if given is not None:
        return (
            f"CASE WHEN coalesce({value}, {text(given)}) = {text(given)} THEN {text(given)} ELSE"
            f" {REFUSED} END"
        )
    return value if may_be_unknown else f"coalesce({value}, {REFUSED})"


def _accepted(
    con: duckdb.DuckDBPyConnection,
    folder: Path,
    constants: Any,
    found: list[Rule],
    source: ImportInput,
) -> int | None:
    """The number of rows if every mapped column and all provenance is there.

    None sends the file to the slow path, which states the reason.

    Notes in ``source.unsaid`` the provenance that the table does not contain.
    """
    wanted = [rule.target.column for rule in found if rule.target.kind != "condition"]
    settings = [
        rule.name.removeprefix("condition.") for rule in found if rule.target.kind == "condition"
    ]
    needed = [column for column in PROVENANCE.values() if column not in constants.unknown]
    checked = list(dict.fromkeys([*wanted, *PROVENANCE.values()]))
    counted = [f"count(nullif(CAST({name(column)} AS VARCHAR), ''))" for column in checked]
    counted += [f"count(json_extract(condition, {text('$.' + name(one))}))" for one in settings]
    parts = text(str(folder / "part-*.parquet"))
    counts = con.execute(
        f"SELECT count(*), {', '.join(counted)} FROM read_parquet({parts})"
    ).fetchone()
    assert counts is not None, "a SELECT of aggregates has one row"
    if settings and not all(counts[1 + len(checked) :]):
        return None
    counts = counts[: 1 + len(checked)]
    rows, filled = counts[0], dict(zip(checked, counts[1:], strict=True))
    if (
        not rows
        or any(filled[column] == 0 for column in wanted)
        or any(filled[column] < rows for column in needed)
    ):
        return None
    mapped = {
        column for column in wanted if column not in constants.given and filled[column] == rows
    }
    source.unsaid.update(set(PROVENANCE.values()) - mapped)
    return rows


def _stamp() -> str:
    pairs = ", ".join(
        f"{text(key.decode())}: {text(value.decode())}"
        for key, value in stamp("raw_imports").items()
    )
    return "{" + pairs + "}"
