"""The gate's results in Dagster: one check per core table and rule of ``sql/checks``.

And one for the suites and the means.

The rules are evaluated where core tables are curated (``isocost.gates``); here its rows of
core_checks are read. None of these checks blocks: rows that a critical rule rejects are already not
used in derived tables, and one faulty session does not block the others.
"""

from itertools import groupby

import dagster as dg
import polars as pl

from assets.resources import StoreResource
from isocost import sql
from isocost.gates.queries import core_checks, names
from isocost.gates.suites import SUITES
from isocost.store import Store
from pipelines.checks.sessions import partition_keys

CHECK_NAME = "gate"


def gate_checks() -> list[dg.AssetChecksDefinition]:
    """One definition per core table that any rule is about."""
    rules = {
        table: {names(path)[1]: sql.describe(path) for path in paths}
        for table, paths in groupby(core_checks(), lambda p: names(p)[0])
    }
    return [_checks_of(table, rules.get(table, {})) for table in sorted({*rules, *SUITES})]


def _checks_of(table: str, queries: dict[str, str]) -> dg.AssetChecksDefinition:
    said = "Rows rejected by the rules of the suite and the table's definition, session by session."
    specs = [
        dg.AssetCheckSpec(rule, asset=table, description=text) for rule, text in queries.items()
    ]
    specs += (
        [dg.AssetCheckSpec(CHECK_NAME, asset=table, description=said)] if table in SUITES else []
    )

    @dg.multi_asset_check(name=f"gate_{table}", specs=specs, can_subset=True)
    def check(context: dg.AssetCheckExecutionContext, store: StoreResource):
        found = _found(store.open(), table, partition_keys(context))
        for key in sorted(context.selected_asset_check_keys, key=str):
            mine = (
                pl.col("kind") != "sql"
                if key.name == CHECK_NAME
                else (pl.col("rule") == key.name) & (pl.col("kind") == "sql")
            )
            yield gate_result(table, key.name, found.filter(mine))

    return check


def _found(place: Store, table: str, keys: list[str]) -> pl.DataFrame:
    """Rows of core_checks; every_bank_is_readable reports sessions that could not be curated."""
    return place.read_only(
        "core_checks", keys, (pl.col("table_name") == table) & (pl.col("kind") != "source")
    )


def gate_result(table: str, name: str, found: pl.DataFrame) -> dg.AssetCheckResult:
    """The check result of core_checks rows.

    ERROR if a critical rule rejected anything, WARN if only a warning failed.

    Args:
        table: the asset.
        name: of the check.
        found: rows of core_checks about it, of the sessions of the run.
    """
    broken = found.filter(~pl.col("is_passed")).sort("source_key", "rule")
    sentences = [
        f"{row['source_key']}: {row['rule']}, {row['n_failing']} rows:"
        f" {row['detail'] or row['reason']}"
        for row in broken.to_dicts()
    ]
    is_critical = broken.filter(pl.col("severity") == "critical").height > 0
    shown = [
        dg.TableRecord(
            {
                "session": row["source_key"],
                "rule": row["rule"],
                "severity": row["severity"],
                "failing_rows": row["n_failing"],
                "first_keys": ", ".join(row["keys"]),
                "detail": (row["detail"] or row["reason"])[:300],
            }
        )
        for row in broken.to_dicts()
    ]
    return dg.AssetCheckResult(
        asset_key=table,
        check_name=name,
        passed=broken.is_empty(),
        severity=(
            dg.AssetCheckSeverity.ERROR
            if is_critical or broken.is_empty()
            else dg.AssetCheckSeverity.WARN
        ),
        description="; ".join(sentences[:3]) or None,
        metadata={
            "failing_rows": int(broken["n_failing"].sum()),
            "judged": found.height,
            **({"failures": dg.MetadataValue.table(shown)} if shown else {}),
        },
    )
