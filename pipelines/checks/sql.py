"""The SQL checks: each file of ``sql/checks`` returns the rows that break its rule; no row means that it holds.

A file is named ``<table>__<rule>.sql``; its comment says the rule. The check hangs on that table's asset.
"""

from collections.abc import Collection, Sequence
from itertools import groupby
from pathlib import Path

import dagster as dg
import polars as pl

from assets.resources import StoreResource
from isocost import sql
from isocost.schema.registry import table as table_of
from isocost.store import Store
from pipelines.checks.sessions import naming, partition_keys, severity

_SHOWN = 10


def sql_checks() -> list[dg.AssetChecksDefinition]:
    """One definition a table, so that its rules share one DuckDB connection."""
    return [_checks_of(name, list(paths)) for name, paths in groupby(sql.sql_files("checks"), key=lambda p: p.stem.split("__")[0])]


def _checks_of(table: str, paths: list[Path]) -> dg.AssetChecksDefinition:
    @dg.multi_asset_check(
        name=f"sql_{table}",
        specs=[dg.AssetCheckSpec(_rule(path), asset=table, blocking=True, description=sql.describe(path)) for path in paths],
        can_subset=True,
    )
    def check(context: dg.AssetCheckExecutionContext, store: StoreResource):
        selected = {key.name for key in context.selected_asset_check_keys}
        chosen = [path for path in paths if _rule(path) in selected]
        place, keys = store.open(), None if table_of(table).layer == "out" else partition_keys(context)
        for path, rows in _broken(place, chosen, keys).items():
            at_fault = _at_fault(place, path, keys) if rows.height and keys is not None and len(keys) > 1 else set()
            shown = [dg.TableRecord({k: str(v) for k, v in row.items()}) for row in rows.head(_SHOWN).to_dicts()]
            told = None if rows.is_empty() else f"{rows.height} rows break the rule: {sql.describe(path)}"
            yield dg.AssetCheckResult(
                asset_key=table,
                check_name=_rule(path),
                passed=rows.is_empty(),
                severity=severity(at_fault, keys or ()),
                description=naming(told, at_fault, keys or ()),
                metadata={"failing_rows": rows.height, **({"first_rows": dg.MetadataValue.table(shown)} if shown else {})},
            )

    return check


def _broken(place: Store, paths: Sequence[Path], keys: Collection[str] | None) -> dict[Path, pl.DataFrame]:
    """The rows that break each rule; rules of core tables are held to the sessions of the run."""
    with sql.session(place, only=keys) as connection:
        return {path: sql.run_file(connection, path) for path in paths}


def _at_fault(place: Store, path: Path, keys: Collection[str]) -> set[str]:
    return {key for key in keys if _broken(place, [path], [key])[path].height}


def _rule(path: Path) -> str:
    return path.stem.split("__", 1)[1]
