"""The gate between core and out: all rules on the core tables of one session.

And what their failures do.

Lives here: the order of evaluation, and the rows of core_checks. Not here: the evaluators, the
rejection, the caller (``isocost.build.curate``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from isocost.errors import IsocostError
from isocost.gates import expectations, queries
from isocost.gates.model import Outcome
from isocost.gates.refusal import Frames, refuse
from isocost.gates.suites import SUITES
from isocost.schema.frames import Fault, TableError, conform, empty, faults

CHECKS = "core_checks"
SOURCE = "source_can_be_curated"
KEPT = "tables_are_of_what_is_banked"
_SCHEMA_SAYS = (
    "the table has its columns, types, keys and vocabularies, and no NULL, NaN or duplicate where"
    " there must be none"
)


@dataclass(frozen=True)
class Judged:
    """The core tables of one session after the gate.

    Attributes:
        frames: the tables, core_checks with them.
        outcomes: what became of each rule.
    """

    frames: Frames
    outcomes: tuple[Outcome, ...]


def through(frames: Mapping[str, pl.DataFrame], source_key: str) -> Judged:
    """Check the core tables of one session, and reject what critical rules reject.

    Args:
        frames: its core tables by name.
        source_key: the session, or the name of the imported source.

    Raises:
        IsocostError: a table violates its definition (``TableError``), or a rule cannot be
            evaluated: then nothing of the session is used.
    """
    outcomes = judge(frames)
    for outcome in outcomes:
        if outcome.kind == "schema" and outcome.refuses:
            raise TableError(outcome.table, faults(frames[outcome.table], outcome.table))
    ready = refuse(dict(frames), outcomes)
    sessions = frames["core_sessions"]["session_id"].unique() if "core_sessions" in frames else []
    return Judged(
        {
            **ready,
            CHECKS: checks_frame(outcomes, source_key, sessions[0] if len(sessions) == 1 else None),
        },
        tuple(outcomes),
    )


def judge(frames: Mapping[str, pl.DataFrame]) -> list[Outcome]:
    """The outcome of every rule.

    First the tables' definitions, and if these hold, the suites and the SQL checks.

    Args:
        frames: core tables of one session by name.
    """
    found = [_schema(name, faults(frame, name)) for name, frame in frames.items() if name != CHECKS]
    if any(outcome.refuses for outcome in found):
        return found  # the other rules count on columns and keys
    for table, (rules, keys, prepare) in SUITES.items():
        if table in frames:
            found += expectations.judged(prepare(frames[table]), rules, table, keys)
    return found + queries.judged(frames)


def _schema(table: str, found: Sequence[Fault]) -> Outcome:
    detail = "; ".join(f"{fault.column} {fault.detail}" for fault in found[:3])
    n = sum(max(fault.count, 1) for fault in found)
    keys = tuple(key for fault in found for key in fault.keys)[:10]
    return Outcome("schema", table, "schema", "critical", _SCHEMA_SAYS, n, keys, detail)


def checks_frame(
    outcomes: Sequence[Outcome], source_key: str, session_id: str | None
) -> pl.DataFrame:
    """Rows of core_checks."""
    rows = [
        {
            "source_key": source_key,
            "session_id": session_id,
            "table_name": outcome.table,
            "rule": outcome.code,
            "kind": outcome.kind,
            "severity": outcome.severity,
            "is_passed": outcome.is_passed,
            "n_failing": outcome.n_failing,
            "keys": list(outcome.keys),
            "detail": outcome.detail or None,
            "reason": outcome.reason,
        }
        for outcome in outcomes
    ]
    return conform(pl.DataFrame(rows, schema=empty(CHECKS).schema, orient="row"), CHECKS)


def left_out(error: IsocostError, source_key: str) -> pl.DataFrame:
    """Rows of core_checks of a session that could not be curated.

    The reason, and the rules that its tables fail.
    """
    found = [
        Outcome(
            SOURCE,
            "core_samples",
            "source",
            "critical",
            "a session that cannot be curated is in no table",
            1,
            (),
            error.what,
        )
    ]
    if isinstance(error, TableError):
        found.append(_schema(error.table, error.faults))
    return checks_frame(found, source_key, None)


def kept(error: IsocostError, source_key: str, earlier: pl.DataFrame) -> pl.DataFrame:
    """Rows of core_checks of a session that cannot be curated now but keeps its tables.

    What was found when they were built, and that they do not match the bank now.
    """
    outcome = Outcome(
        KEPT,
        "core_samples",
        "source",
        "warning",
        "tables of a session that cannot be curated stay as they were built before",
        1,
        (),
        error.what,
    )
    ids = earlier["session_id"].drop_nulls()
    mine = checks_frame([outcome], source_key, ids[0] if len(ids) else None)
    return conform(pl.concat([earlier.filter(pl.col("rule") != KEPT), mine]), CHECKS)


def refused(outcomes: Sequence[Outcome]) -> list[str]:
    """A sentence for each rule that rejected something."""
    return [outcome.sentence() for outcome in outcomes if outcome.refuses]
