"""The cross-check: Great Expectations evaluates the rules of the gate's suites on stored tables.

The gate (``isocost.gates``) has rejected failing rows before anything was derived, from the command
line and from Dagster; ``gate`` shows that. Here the library itself evaluates the same rules on the
same rows: the check shows its table of results and fails if a rule fails, or if the two find
different numbers of rows.
"""

from collections.abc import Sequence

import dagster as dg
import polars as pl

from assets.resources import StoreResource
from isocost.gates.great import Reading, read
from isocost.gates.suites import SUITES
from isocost.schema.registry import table as table_of
from isocost.store import Store
from pipelines.checks.sessions import partition_keys

CHECK_NAME = "expectations"


def reading_result(
    asset: str, readings: Sequence[Reading], judged: dict[str, int]
) -> dg.AssetCheckResult:
    """The check result of Great Expectations' readings.

    ERROR if a critical rule fails, cannot be evaluated, or the gate found other rows; WARN if only
    warnings fail.

    Args:
        asset: the table.
        readings: of Great Expectations.
        judged: failing rows that the gate found for each rule, by code.
    """
    failed = [one for one in readings if not one.is_passed]
    unlike = [
        one
        for one in readings
        if not one.is_broken and judged.get(one.rule.code, 0) != one.unexpected_count
    ]
    is_error = any(one.is_broken or one.rule.severity == "critical" for one in failed) or bool(
        unlike
    )
    notes = [
        f"{one.rule.code}: {one.detail or f'{one.unexpected_count} rows'}" for one in failed[:3]
    ]
    notes += [
        f"{one.rule.code}: the gate found {judged.get(one.rule.code, 0)} rows, this"
        f" {one.unexpected_count}"
        for one in unlike[:3]
    ]
    return dg.AssetCheckResult(
        asset_key=asset,
        check_name=CHECK_NAME,
        passed=not unlike
        and not [one for one in failed if one.is_broken or one.rule.severity != "info"],
        severity=(
            dg.AssetCheckSeverity.ERROR if is_error or not failed else dg.AssetCheckSeverity.WARN
        ),
        description="; ".join(notes) or None,
        metadata={
            "rules": dg.MetadataValue.table(
                [_record(one) for one in sorted(readings, key=lambda one: one.is_passed)]
            ),
            "evaluated": len(readings),
            "failed": len(failed),
        },
    )


def _record(one: Reading) -> dg.TableRecord:
    return dg.TableRecord(
        {
            "rule": one.rule.code,
            "severity": one.rule.severity,
            "result": "could not run" if one.is_broken else "passed" if one.is_passed else "failed",
            "unexpected_rows": one.unexpected_count,
            "first_keys": ", ".join(one.keys),
            "detail": one.detail[:300],
            "why": one.rule.reason,
        }
    )


def suite_checks() -> list[dg.AssetChecksDefinition]:
    """One check per table that has a suite.

    None blocks: rejected rows are not used, and the rest is valid.
    """
    return [_check_of(asset) for asset in SUITES]


def _check_of(asset: str) -> dg.AssetChecksDefinition:
    suite, keys, prepare = SUITES[asset]
    # A mean is a property of one session; rows of several can be checked together.
    rules = [rule for rule in suite if rule.is_about_rows]

    @dg.asset_check(
        name=CHECK_NAME,
        asset=asset,
        description=(
            f"Great Expectations reads {len(rules)} statements about {asset}, each with its reason."
        ),
    )
    def expectations(
        context: dg.AssetCheckExecutionContext, store: StoreResource
    ) -> dg.AssetCheckResult:
        place = store.open()
        wanted = [key for key in partition_keys(context) if place.path(asset, key).exists()]
        if not wanted:
            return dg.AssetCheckResult(passed=False, description="nothing is materialized yet")
        whole = pl.concat([place.read(asset, key) for key in wanted]).unique(
            subset=table_of(asset).keys, keep="first", maintain_order=True
        )
        return reading_result(
            asset, read(prepare(whole), rules, keys), _judged(place, asset, wanted, whole)
        )

    return expectations


def _judged(place: Store, asset: str, wanted: Sequence[str], whole: pl.DataFrame) -> dict[str, int]:
    """Rows that the gate found, by rule, of sessions with rows of their own."""
    mine = (pl.col("table_name") == asset) & (pl.col("kind") == "expectation")
    held = place.read_only("core_checks", wanted, mine).filter(
        pl.col("session_id").is_in(whole["session_id"].unique().to_list())
    )
    return dict(held.group_by("rule").agg(pl.col("n_failing").sum()).iter_rows())
