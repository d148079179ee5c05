"""Which sessions a check run is about, and what a fault of some of them means for the others.

One bad source stops one source: a run over one session is stopped by its fault; of several sessions
those at fault are named in a warning and the others go on, as in ``isocost refresh``. Where every
session is at fault, or no single one is, the run is stopped.
"""

from __future__ import annotations

from collections.abc import Collection

import dagster as dg

from assets.partitions import sessions


def partition_keys(context: dg.AssetCheckExecutionContext) -> list[str]:
    """The sessions a check run is about; every known one when it was started without any."""
    try:
        return list(context.op_execution_context.partition_keys)
    except (dg.DagsterInvariantViolationError, dg.DagsterInvalidInvocationError):
        return list(sessions.get_partition_keys(dynamic_partitions_store=context.instance))


def severity(at_fault: Collection[str], judged: Collection[str]) -> dg.AssetCheckSeverity:
    """How bad a fault is.

    Args:
        at_fault: sessions that break a rule by themselves.
        judged: all sessions of the run.
    """
    return (
        dg.AssetCheckSeverity.WARN
        if 0 < len(at_fault) < len(judged)
        else dg.AssetCheckSeverity.ERROR
    )


def naming(
    description: str | None, at_fault: Collection[str], judged: Collection[str]
) -> str | None:
    """A fault's description, beginning with the sessions at fault where others are judged with
    them.
    """
    return (
        f"{', '.join(sorted(at_fault))}: {description}"
        if 0 < len(at_fault) < len(judged)
        else description
    )
