"""The sessions of a check run, and what a fault in some of them means for the others.

One bad source stops only itself: a run over one session is stopped by its fault; with several
sessions, the faulty ones are reported in a warning and the others continue, as in ``isocost
refresh``. If every session is at fault, or no single one is, the run is stopped.
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
    """The severity of a fault.

    Args:
        at_fault: sessions that fail a rule by themselves.
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
    """A fault's description, prefixed with the faulty sessions if there are others."""
    return (
        f"{', '.join(sorted(at_fault))}: {description}"
        if 0 < len(at_fault) < len(judged)
        else description
    )
