"""Which samples are still to be generated.

Lives here: the plan as a frame, its anti-join with complete samples, and the banked calls of
samples that are not complete. Not here: verification (`recover`), generation.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import polars as pl

from isocost.bank import manifest as manifests
from isocost.bank.complete import DONE_SCHEMA, Found, judged_columns
from isocost.bank.files import Files
from isocost.bank.listing import load_complete
from isocost.bank.parts import PartFault, check_part
from isocost.bank.reader import scan_raw


def planned_samples(points: Iterable[tuple[str, Sequence[str], int]]) -> pl.DataFrame:
    """Every sample that is wanted, in order of generation: point by point, problem by problem.

    Args:
        points: point_id, its problem_ids and the number of samples of each problem.

    Returns:
        Columns point_id, problem_id, sample_index.
    """
    frames = []
    for point_id, problem_ids, samples in points:
        problems = pl.DataFrame(
            {"problem_id": list(problem_ids)}, schema={"problem_id": pl.String()}
        )
        indices = pl.DataFrame(
            {"sample_index": pl.int_range(0, samples, dtype=pl.Int32, eager=True)}
        )
        crossed = problems.join(indices, how="cross", maintain_order="left_right")
        frames.append(
            crossed.select(pl.lit(point_id).alias("point_id"), "problem_id", "sample_index")
        )
    return pl.concat(frames) if frames else pl.DataFrame(schema=DONE_SCHEMA)


def missing_samples(planned: pl.DataFrame, done: pl.DataFrame) -> pl.DataFrame:
    """The planned samples that no proven row answers, in the order of the plan.

    Args:
        planned: see `planned_samples`.
        done: e.g. `Recovery.done`.
    """
    keys = list(DONE_SCHEMA)
    return planned.join(done.select(keys).unique(), on=keys, how="anti", maintain_order="left")


def done_elsewhere(files: Files, session_id: str, point_ids: Sequence[str]) -> pl.DataFrame:
    """Verified samples of these points that other sessions banked; columns of `DONE_SCHEMA`.

    Two sweeps may plan the same point.

    Faulty parts of other sessions are left to those sessions: their samples do not count here.
    """
    wanted, frames = set(point_ids), []
    tables = ("raw_generations", "raw_answers")
    for other in manifests.session_ids(files):
        if other == session_id:
            continue
        found = Found()
        for manifest in load_complete(files, other, tables, skip_damaged=True):
            for part in manifest.parts:
                if part.table in tables and wanted & part.points.keys():
                    try:
                        rows, _ = check_part(
                            files, other, part.table, part.file, part, judged_columns(part.table)
                        )
                    except PartFault:
                        continue
                    found.add(part.table, rows.filter(pl.col("point_id").is_in(list(wanted))))
        frames.append(found.complete())
    return pl.concat([pl.DataFrame(schema=DONE_SCHEMA), *frames])


REPLIED = (
    "sample_id",
    "call_index",
    "attempt",
    "request_hash",
    "output_text",
    "output_token_ids",
    "finish_reason",
    "stop_reason",
    "output_tokens",
    "logprob_sum",
    "choice_logprobs",
    "step_scores",
)
"""Columns of raw_generations that a method's reply is made of, and what identifies its call."""


def banked_calls(
    files: Files, session_id: str, missing: pl.DataFrame, point_ids: Sequence[str]
) -> dict[str, dict[int, dict[str, Any]]]:
    """Calls that earlier runs of a session completed, of samples that are still missing.

    Args:
        files: the lake.
        session_id: the session; its parts are verified.
        missing: missing samples, columns of `DONE_SCHEMA`.
        point_ids: points whose samples may be several calls.

    Returns:
        By sample_id and call_index, the columns that a method's reply is made of; of calls that
        were made several times the latest.
    """
    wanted = missing.filter(pl.col("point_id").is_in(list(point_ids)))
    if wanted.is_empty():
        return {}
    rows = (
        scan_raw(files.root, "raw_generations", session_id, point_ids=point_ids)
        .filter(~pl.col("is_warmup"), pl.col("finish_reason") != "error")
        .join(wanted.lazy(), on=list(DONE_SCHEMA), how="semi")
        .select(REPLIED)
        .collect()
        .sort("sample_id", "call_index", "attempt")
    )
    found: dict[str, dict[int, dict[str, Any]]] = {}
    for row in rows.iter_rows(named=True):
        found.setdefault(row["sample_id"], {})[row["call_index"]] = row
    return found
