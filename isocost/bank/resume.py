"""Which samples are still to be generated.

Lives here: the plan as a frame and its anti-join with verified samples. Not here: verification
(`recover`), generation.

Lives here: the plan as a frame and its anti-join with what is proven to be there. Not here: proving
(`recover`), generating.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import polars as pl

from isocost.bank import manifest as manifests
from isocost.bank.files import Files
from isocost.bank.listing import load_complete
from isocost.bank.parts import PartFault, check_part
from isocost.bank.recover import DONE_SCHEMA, good_samples, judged_columns


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
    for other in manifests.session_ids(files):
        if other == session_id:
            continue
        for manifest in load_complete(files, other, ["raw_generations"], skip_damaged=True):
            for part in manifest.parts:
                if part.table == "raw_generations" and wanted & part.points.keys():
                    try:
                        rows, _ = check_part(
                            files, other, part.table, part.file, part, judged_columns(part.table)
                        )
                    except PartFault:
                        continue
                    frames.append(good_samples(rows).filter(pl.col("point_id").is_in(list(wanted))))
    return pl.concat([pl.DataFrame(schema=DONE_SCHEMA), *frames])
