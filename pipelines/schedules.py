"""The nightly refresh. Off until switched on in the UI."""

import dagster as dg

from assets.partitions import sessions
from pipelines.jobs import refresh_job

# The tags that Dagster's own UI puts on a run over a range of partitions.
_FIRST, _LAST = (f"dagster/asset_partition_range_{end}" for end in ("start", "end"))


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
    """Refresh everything derived in one run over all sessions."""
    keys = sessions.get_partition_keys(dynamic_partitions_store=context.instance)
    if not keys:
        return dg.SkipReason(
            "no session is registered yet: put a sweep file into the sweeps folder or run `make"
            " demo`"
        )
    # One run over the whole range: sessions and pieces that do not fit the bank any more are built,
    # publishing is done once.
    return dg.RunRequest(tags={_FIRST: keys[0], _LAST: keys[-1]})
