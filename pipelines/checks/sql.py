"""The SQL checks of derived tables: each file of ``sql/checks`` returns the failing rows.

No rows means that the rule passes.

A file is named ``<table>__<rule>.sql``; its comment states the rule. The check belongs to that
table's asset. Those about core tables are part of the gate (``isocost.gates``), which
``pipelines.checks.gate`` shows.
"""

from itertools import groupby
from pathlib import Path

import dagster as dg

from assets.resources import StoreResource
from isocost import sql
from isocost.gates.queries import names
from isocost.schema.registry import table as table_of

_SHOWN = 10


def sql_checks() -> list[dg.AssetChecksDefinition]:
    """One definition per derived table, so that its rules share one DuckDB connection."""
    derived = [path for path in sql.sql_files("checks") if table_of(names(path)[0]).layer == "out"]
    return [
        _checks_of(name, list(paths))
        for name, paths in groupby(derived, key=lambda path: names(path)[0])
    ]


def _checks_of(table: str, paths: list[Path]) -> dg.AssetChecksDefinition:
    @dg.multi_asset_check(
        name=f"sql_{table}",
        specs=[
            dg.AssetCheckSpec(
                names(path)[1], asset=table, blocking=True, description=sql.describe(path)
            )
            for path in paths
        ],
        can_subset=True,
    )
    def check(context: dg.AssetCheckExecutionContext, store: StoreResource):
        selected = {key.name for key in context.selected_asset_check_keys}
        with sql.session(store.open()) as connection:
            for path in (path for path in paths if names(path)[1] in selected):
                rows = sql.run_file(connection, path)
                shown = [
                    dg.TableRecord({k: str(v) for k, v in row.items()})
                    for row in rows.head(_SHOWN).to_dicts()
                ]
                yield dg.AssetCheckResult(
                    asset_key=table,
                    check_name=names(path)[1],
                    passed=rows.is_empty(),
                    severity=dg.AssetCheckSeverity.ERROR,
                    description=None
                    if rows.is_empty()
                    else f"{rows.height} rows fail the rule: {sql.describe(path)}",
                    metadata={
                        "failing_rows": rows.height,
                        **({"first_rows": dg.MetadataValue.table(shown)} if shown else {}),
                    },
                )

    return check
