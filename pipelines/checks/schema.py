"""One blocking check per table: columns, types, keys, vocabularies, no NULL, NaN or duplicates.

The rules are the tables' definitions (``isocost.schema``); here is only their Dagster form.
"""

from collections.abc import Sequence

import dagster as dg
import polars as pl

from assets.resources import StoreResource
from isocost.build import refresh
from isocost.schema.frames import Fault, faults
from isocost.schema.registry import table as table_of
from isocost.seals import prove_parquet
from isocost.store import Store
from pipelines.checks.sessions import naming, partition_keys, severity

CHECK_NAME = "schema"


def schema_checks(names: list[str]) -> dg.AssetChecksDefinition:
    """One check definition that evaluates all the tables of one asset.

    So that a run of twenty tables is not forty steps.
    """
    is_whole = table_of(names[0]).layer == "out" or names[0] in refresh.CARDS

    @dg.multi_asset_check(
        name=f"schema_{names[0]}",
        specs=[
            dg.AssetCheckSpec(CHECK_NAME, asset=name, blocking=True, description=_description(name))
            for name in names
        ],
        can_subset=True,
    )
    def check(context: dg.AssetCheckExecutionContext, store: StoreResource):
        place = store.open()
        for key in sorted(context.selected_asset_check_keys, key=str):
            name = key.asset_key.to_user_string()
            yield schema_result(
                name, _frames(place, name, [None] if is_whole else partition_keys(context))
            )

    return check


def schema_result(name: str, frames: dict[str, pl.DataFrame]) -> dg.AssetCheckResult:
    """Pass if every frame conforms to the table.

    The metadata has rule, column, rows and first keys of every fault.
    """
    found = [(place, fault) for place, frame in frames.items() for fault in faults(frame, name)]
    at_fault = {place for place, _ in found}
    metadata: dict[str, dg.MetadataValue | int] = {
        "rows": sum(frame.height for frame in frames.values())
    }
    if found:
        metadata["faults"] = dg.MetadataValue.table(
            [_record(place, fault) for place, fault in found]
        )
    return dg.AssetCheckResult(
        asset_key=name,
        check_name=CHECK_NAME,
        passed=not found,
        # A derived table is one thing regardless of its number of pieces; a file of a core table is
        # one session.
        severity=(
            dg.AssetCheckSeverity.ERROR
            if table_of(name).layer == "out"
            else severity(at_fault, frames)
        ),
        description=naming(
            "; ".join(f"{fault.column} {fault.detail}" for _, fault in found[:3]) or None,
            at_fault,
            frames,
        ),
        metadata=metadata,
    )


def _frames(place: Store, name: str, session_ids: Sequence[str | None]) -> dict[str, pl.DataFrame]:
    frames = {}
    for session_id in session_ids:
        if table_of(name).layer == "raw":
            frames[session_id or name] = refresh.raw_rows(place, name, str(session_id))
            continue
        for path in place.files(name) if session_id is None else [place.path(name, session_id)]:
            if path.exists():
                prove_parquet(path)
                frames[session_id or path.stem] = pl.read_parquet(
                    path, hive_partitioning=False, glob=False
                )
    return frames


def _record(place: str, fault: Fault) -> dg.TableRecord:
    return dg.TableRecord(
        {
            "where": place,
            "rule": fault.rule,
            "column": fault.column,
            "rows": int(fault.count),
            "detail": fault.detail,
            "first_keys": ", ".join(fault.keys),
        }
    )


def _description(name: str) -> str:
    return (
        f"{name} has exactly its columns and types; keys {', '.join(table_of(name).keys)} are"
        " unique; floats are finite."
    )
