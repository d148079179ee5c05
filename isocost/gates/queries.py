"""Evaluate the SQL checks: each file of ``sql/checks`` returns the rows that fail its rule.

Lives here: running those about core tables on the tables of one session. Not here: the files, those
about derived tables (``isocost.publish.warehouse``, ``pipelines.checks.sql``).

A file is named ``<table>__<rule>.sql``; the comment at its top states the rule. Its first columns
are the table's key, or what a line ``-- Key: column, column`` at its top names: every row of the
table with those values fails the rule.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import polars as pl

from isocost import sql
from isocost.gates.model import Outcome, first_keys
from isocost.schema.registry import table as table_of

_KEY = re.compile(r"^-- Key: (.+?)\.?$", re.MULTILINE)


@lru_cache(maxsize=1)
def core_checks() -> tuple[Path, ...]:
    """The files about core tables."""
    return tuple(path for path in sql.sql_files("checks") if path.stem.startswith("core_"))


def names(path: Path) -> tuple[str, str]:
    """Table and rule of a file."""
    table, code = path.stem.split("__", 1)
    return table, code


@lru_cache(maxsize=256)
def _key(path: Path) -> tuple[str, ...]:
    stated = _KEY.search(path.read_text(encoding="utf-8"))
    return (
        tuple(part.strip() for part in stated[1].split(","))
        if stated
        else table_of(names(path)[0]).keys
    )


@lru_cache(maxsize=1)
def _reads() -> tuple[str, ...]:
    return tuple(sorted({table for path in core_checks() for table in sql.tables_of(path)}))


def judged(frames: Mapping[str, pl.DataFrame]) -> list[Outcome]:
    """The outcome of each file's rule on the core tables of one session.

    Args:
        frames: the tables by name; a missing one has no rows.

    Raises:
        IsocostError: a query cannot run: a defect of the file.
    """
    with sql.bare({name: frames.get(name) for name in _reads()}) as connection:
        return [_outcome(path, sql.run_file(connection, path)) for path in core_checks()]


def _outcome(path: Path, rows: pl.DataFrame) -> Outcome:
    table, code = names(path)
    failing = rows.select(_key(path)).unique(maintain_order=True)
    said = (
        {name: rows[name][0] for name in rows.columns if name not in failing.columns}
        if rows.height
        else {}
    )
    seen = ", ".join(f"{name} {value}" for name, value in list(said.items())[:4])
    detail = f"{sql.describe(path)} Found: {seen}" if seen else ""
    return Outcome(
        code,
        table,
        "sql",
        "critical",
        sql.describe(path),
        failing.height,
        first_keys(failing),
        detail,
        failing,
    )
