"""What a failed rule does to the core tables.

Rejected samples become invalid with the rule's code, and every count is updated.

Lives here: finding the samples that a failure is about, and the changes. Not here: the evaluation
(``expectations``, ``queries``), nor which failures reject
(``isocost.gates.model.Outcome.refuses``).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

import polars as pl

from isocost.gates.model import Outcome
from isocost.hashing import canonical_json

Frames = dict[str, pl.DataFrame]

_CODES = "_codes"
_RUN = ("session_id", "run_id")


def refuse(frames: Frames, outcomes: Sequence[Outcome]) -> Frames:
    """The core tables of one session after its critical failures.

    A rule about samples rejects the samples that fail it, a rule about runs rejects the samples of
    those runs, and any other rule rejects all samples of the session: sums that do not add up do
    not show which row is wrong. Counts of attempts have no validity of their own; the session's
    applies.

    Args:
        frames: core tables by name, at least core_samples.
        outcomes: what became of each rule.

    Returns:
        The same tables; core_samples with ``is_valid`` and ``invalid_reasons``, the valid and
        invalid samples of core_sessions,
        core_points and core_problems, and the validity of runs, updated. The same frames if nothing
        is rejected.
    """
    broken = [outcome for outcome in outcomes if outcome.refuses]
    if not broken:
        return frames
    samples = frames["core_samples"]
    marks = pl.concat([_marks(samples, outcome) for outcome in broken], how="vertical")
    codes = marks.group_by("sample_id").agg(pl.col("code").unique().sort().alias(_CODES))
    marked = samples.join(codes, on="sample_id", how="left", maintain_order="left")
    is_refused = pl.col(_CODES).is_not_null()
    after = marked.with_columns(
        (pl.col("is_valid") & ~is_refused).alias("is_valid"),
        pl.when(is_refused)
        .then(
            pl.concat_list("invalid_reasons", pl.col(_CODES).fill_null([]))
            .list.unique()
            .list.sort()
        )
        .otherwise("invalid_reasons")
        .alias("invalid_reasons"),
    )
    lost = marked.filter(is_refused & pl.col("is_valid"))
    changed = {**frames, "core_samples": after.select(samples.columns)}
    if any(_is_of_session(outcome) for outcome in broken) and "core_counts" in frames:
        changed["core_counts"] = frames["core_counts"].clear()
    counted = (
        frames["core_counts"].join(changed["core_counts"], on="count_id", how="anti")
        if "core_counts" in frames
        else None
    )
    return (
        changed
        | _counts(changed, lost, counted)
        | _runs(changed, marked.filter(is_refused), lost, counted, broken)
    )


def _is_of_session(outcome: Outcome) -> bool:
    """Whether a failure is about the whole session.

    Not about samples, and not about runs that it names.
    """
    if outcome.table == "core_samples":
        return False
    return outcome.failing is None or not set(_RUN) <= set(outcome.failing.columns)


def _marks(samples: pl.DataFrame, outcome: Outcome) -> pl.DataFrame:
    """sample_id and code of every sample that a failure is about."""
    if outcome.table == "core_samples" and outcome.failing is not None:
        on = [name for name in outcome.failing.columns if name in samples.columns]
        hit = samples.join(outcome.failing.select(on).unique(), on=on, how="semi", nulls_equal=True)
    elif _is_of_session(outcome) or outcome.failing is None:
        hit = samples
    else:
        hit = samples.join(
            outcome.failing.select(_RUN).unique(), on=list(_RUN), how="semi", nulls_equal=True
        )
    return hit.select("sample_id", pl.lit(outcome.code).alias("code"))


def _counts(frames: Frames, lost: pl.DataFrame, counted: pl.DataFrame | None) -> Frames:
    """Update core_points and core_problems after samples became invalid."""
    changed: Frames = {}
    tables = (
        ("core_points", "point_id", {"samples_valid": pl.len()}),
        (
            "core_problems",
            "problem_id",
            {"n_valid": pl.len(), "n_correct": pl.col("correct").fill_null(False).sum()},
        ),
    )
    of_counts = {
        "samples_valid": pl.col("n_samples").sum(),
        "n_valid": pl.col("n_samples").sum(),
        "n_correct": pl.col("n_correct").sum(),
    }
    for table, key, columns in tables:
        if table not in frames:
            continue
        frame = frames[table]
        for rows, values in (
            (lost, columns),
            (counted, {name: of_counts[name] for name in columns}),
        ):
            if rows is None or rows.is_empty():
                continue
            minus = rows.group_by(key, "session_id").agg(
                value.cast(pl.Int64).alias(f"_{name}") for name, value in values.items()
            )
            joined = frame.join(minus, on=[key, "session_id"], how="left", maintain_order="left")
            frame = joined.with_columns(
                (pl.col(name) - pl.col(f"_{name}").fill_null(0)).alias(name) for name in values
            ).select(frame.columns)
        changed[table] = frame
    return changed


def _runs(
    frames: Frames,
    refused: pl.DataFrame,
    lost: pl.DataFrame,
    counted: pl.DataFrame | None,
    broken: Sequence[Outcome],
) -> Frames:
    if "core_sessions" not in frames:
        return {}
    own = {
        (row["session_id"], row["run_id"], row["attempt"]): [
            outcome.code
            for outcome in broken
            if outcome.table != "core_samples" and _is_about(outcome, row)
        ]
        for row in frames["core_sessions"].select(*_RUN, "attempt").iter_rows(named=True)
    }
    rows = []
    gone = 0 if counted is None else int(counted["n_samples"].sum())
    for row in frames["core_sessions"].iter_rows(named=True):
        mine = (pl.col("session_id") == row["session_id"]) & pl.col("run_id").eq_missing(
            row["run_id"]
        )
        n = lost.filter(mine).height + gone
        codes = Counter(json.loads(row["invalid_counts"]))
        codes.update(code for listed in refused.filter(mine)[_CODES] for code in listed)
        valid = row["samples_valid"] - n
        reasons = {*row["invalid_reasons"], *own[row["session_id"], row["run_id"], row["attempt"]]}
        reasons |= {"no_valid_samples"} if row["samples_total"] and valid <= 0 else set()
        rows.append(
            {
                **row,
                "samples_valid": valid,
                "samples_invalid": row["samples_invalid"] + n,
                "invalid_counts": canonical_json(dict(codes)),
                "invalid_reasons": sorted(reasons),
                "is_valid": not reasons,
            }
        )
    return {
        "core_sessions": pl.DataFrame(rows, schema=frames["core_sessions"].schema, orient="row")
    }


def _is_about(outcome: Outcome, run: dict[str, object]) -> bool:
    if _is_of_session(outcome) or outcome.failing is None:
        return True
    return not outcome.failing.filter(
        (pl.col("session_id") == run["session_id"])
        & pl.col("run_id").eq_missing(pl.lit(run["run_id"]))
    ).is_empty()
