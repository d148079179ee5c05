"""The nightly refresh. Off until switched on in the UI."""

import dagster as dg
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
)

from assets.partitions import sessions
from pipelines.jobs import refresh_job


@dg.schedule(
    name="nightly_refresh",
    job=refresh_job,
    cron_schedule="0 3 * * *",
    execution_timezone="UTC",
    description=(
        "At 03:00 UTC, one run over every registered session and import: what no longer fits the"
        " bank is built, and the warehouse, the exports and the report are published. Measures"
        " nothing; a session that cannot be read is named and holds up no other."
    ),
)
def nightly_refresh(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Refreshes everything derived in one run over all sessions."""
    keys = sessions.get_partition_keys(dynamic_partitions_store=context.instance)
    if not keys:
        return dg.SkipReason(
            "no session is registered yet: put a sweep file into the sweeps folder or run `make"
            " demo`"
        )
    # One run over the whole range: sessions and pieces that do not fit the bank any more are built,
    # publishing is done once.
    return dg.RunRequest(
        tags={ASSET_PARTITION_RANGE_START_TAG: keys[0], ASSET_PARTITION_RANGE_END_TAG: keys[-1]}
    )
