"""The Great Expectations suites as blocking asset checks, with the failing rows' keys in the metadata."""

from collections.abc import Callable, Sequence

import dagster as dg
import polars as pl

from assets.resources import StoreResource
from isocost.schema.parquet import read_table
from isocost.schema.registry import table as table_of
from pipelines.checks.gx import Outcome, Rule, judge
from pipelines.checks.sessions import naming, partition_keys, severity
from pipelines.checks.suites import CORE_SAMPLES, CORE_SESSIONS, SAMPLE_KEYS, SESSION_KEYS, samples_frame, sessions_frame

CHECK_NAME = "expectations"


def outcome_result(asset: str, outcomes: Sequence[Outcome]) -> dg.AssetCheckResult:
    """ERROR when a critical rule fails or any rule could not be evaluated, WARN when only warnings fail."""
    failed = [o for o in outcomes if not o.is_passed]
    is_error = any(o.is_broken or o.rule.severity == "critical" for o in failed)
    rows = [
        dg.TableRecord(
            {
                "rule": o.rule.name,
                "severity": o.rule.severity,
                "result": "could not run" if o.is_broken else "passed" if o.is_passed else "failed",
                "unexpected_rows": o.unexpected_count,
                "first_keys": ", ".join(o.keys),
                "detail": o.detail[:300],
                "why": o.rule.reason,
            }
        )
        for o in sorted(outcomes, key=lambda o: o.is_passed)
    ]
    return dg.AssetCheckResult(
        asset_key=asset,
        check_name=CHECK_NAME,
        passed=not [o for o in failed if o.is_broken or o.rule.severity != "info"],
        severity=dg.AssetCheckSeverity.ERROR if is_error or not failed else dg.AssetCheckSeverity.WARN,
        description="; ".join(f"{o.rule.name}: {o.detail or f'{o.unexpected_count} rows'}" for o in failed[:3]) or None,
        metadata={"rules": dg.MetadataValue.table(rows), "evaluated": len(outcomes), "failed": len(failed)},
    )


def suite_check(
    asset: str, rules: Sequence[Rule], keys: Sequence[str], prepare: Callable[[pl.DataFrame], pl.DataFrame] = lambda frame: frame
) -> dg.AssetChecksDefinition:
    """A blocking check that judges the sessions of the run (all of them outside a partitioned run)."""

    @dg.asset_check(
        name=CHECK_NAME, asset=asset, blocking=True, description=f"{len(rules)} statements about {asset}, each with its reason."
    )
    def expectations(context: dg.AssetCheckExecutionContext, store: StoreResource) -> dg.AssetCheckResult:
        place = store.open()
        wanted = {key: place.path(asset, key) for key in partition_keys(context)}
        frames = {key: read_table(path, asset) for key, path in wanted.items() if path.exists()}
        if not frames:
            return dg.AssetCheckResult(passed=False, description="nothing is materialized yet")
        # What two sessions hold under one key is one row of the table.
        whole = pl.concat(frames.values()).unique(subset=table_of(asset).keys, keep="first", maintain_order=True)
        result = outcome_result(asset, judge(prepare(whole), rules, keys))
        if result.passed or result.severity is dg.AssetCheckSeverity.WARN or len(frames) == 1:
            return result
        alone = {key: outcome_result(asset, judge(prepare(frame), rules, keys)) for key, frame in frames.items()}
        at_fault = {key for key, one in alone.items() if not one.passed and one.severity is dg.AssetCheckSeverity.ERROR}
        return result._replace(
            severity=severity(at_fault, frames),
            description=naming(result.description, at_fault, frames),
            metadata={**result.metadata, "sessions_at_fault": ", ".join(sorted(at_fault)) or "none by itself"},
        )

    return expectations


def suite_checks() -> list[dg.AssetChecksDefinition]:
    """The suites on core_samples and core_sessions."""
    return [
        suite_check("core_samples", CORE_SAMPLES, SAMPLE_KEYS, samples_frame),
        suite_check("core_sessions", CORE_SESSIONS, SESSION_KEYS, sessions_frame),
    ]
