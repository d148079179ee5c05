"""The published output: the warehouse file, the Parquet exports, the report.

The work is done in ``isocost.publish``; a part that could not be published fails the asset with its
name and reason.
"""

import dagster as dg

from assets.out import ALL_OUT
from assets.resources import StoreResource
from assets.specs import Result
from isocost.build import refresh

_DEPS = [*ALL_OUT, *refresh.CORE_OF_SESSION, *refresh.CARDS]


@dg.asset(group_name="publish", deps=_DEPS, kinds={"duckdb"})
def warehouse(store: StoreResource) -> Result:
    """One DuckDB file with every core and out table, built separately and swapped in."""
    report = refresh.publish_warehouse(store.existing())
    if report.failures:
        raise dg.Failure("; ".join(f"{part.name}: {part.problem}" for part in report.failures))
    metadata = {
        "dagster/uri": str(report.path),
        "tables": sum(entry.kind == "table" for entry in report.entries),
        "rows": report.rows,
        "size_bytes": report.size_bytes,
    }
    return dg.MaterializeResult(metadata=metadata)


@dg.asset(group_name="publish", deps=_DEPS, kinds={"parquet"})
def exports(store: StoreResource) -> Result:
    """The same tables as Parquet files with a frictionless data package descriptor."""
    report = refresh.publish_exports(store.existing())
    if report.failures:
        raise dg.Failure("; ".join(f"{name}: {why}" for name, why in report.failures.items()))
    metadata = {
        "dagster/uri": str(report.folder),
        "tables": len(report.rows),
        "rows": sum(report.rows.values()),
    }
    return dg.MaterializeResult(metadata=metadata)


@dg.asset(group_name="publish", deps=_DEPS, kinds={"html"})
def report(store: StoreResource) -> Result:
    """One self-contained page with the frontier, the curves and what is unknown."""
    path = refresh.publish_report(store.existing())
    metadata = {
        "report": dg.MetadataValue.md(
            f"[{path.name}]({path.as_uri()}), a file on the machine that ran this: open it from"
            " disk"
        ),
        "path": dg.MetadataValue.path(str(path)),
        "dagster/uri": path.as_uri(),
        "size_bytes": path.stat().st_size,
    }
    return dg.MaterializeResult(metadata=metadata)
