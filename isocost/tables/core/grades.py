"""Grades and answer classes for a frame of samples.

Lives here: each different (problem, text, cut off or not) is graded once and the result spread over
its samples. Not here: extraction and verification (isocost.tasks), verdicts of before
(``verdicts``).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from isocost.progress import Progress
from isocost.tables.core.verdicts import Verdicts
from isocost.tasks import Grade, Problem
from isocost.verifier_settings import name_of

if TYPE_CHECKING:
    from isocost.tables.core.judged import Judges

_KEY = ("problem_id", "output_text", "finish_reason")
_UNKNOWN = Grade("error", None, None, None, "unknown_problem")
_GRADE = {
    "parse_status": pl.String,
    "answer": pl.String,
    "correct": pl.Boolean,
    "score": pl.Float64,
    "grade_reason": pl.String,
    "answer_class": pl.Int32,
    "cluster_id": pl.String,
}


def grade_samples(
    samples: pl.DataFrame,
    problems: Mapping[str, Problem],
    *,
    kept: Path | None = None,
    judges: Judges | None = None,
) -> pl.DataFrame:
    """Add parse status, answer, verdict, score, reason, class and cluster to samples.

    The columns are parse_status, answer, correct, score, grade_reason, answer_class and cluster_id.

    Args:
        samples: with problem_id, output_text and finish_reason.
        problems: by problem_id; a sample of a missing problem gets parse_status "error" and the
            reason "unknown_problem".
        kept: cache folder for slow verdicts; no cache if None.
        judges: judge answers that a model is to judge; if None, they have no verdict.

    Returns:
        The samples in their order. Classes are per problem over all samples given, whatever their
        point.
    """
    different = _different(samples)
    graders = ", ".join(sorted({name_of(problem.verifier) for problem in problems.values()}))
    with Progress(f"grading texts with {graders}", different.height) as progress:
        verdicts = Verdicts(kept, progress)
        grades = [
            verdicts.grade(problems[problem_id], text, finish)
            if problem_id in problems
            else _UNKNOWN
            for problem_id, text, finish in different.select(_KEY).iter_rows()
        ]
        if judges is not None:
            grades = judges.grades(different, grades, problems)
        answers: dict[str, dict[str, int | None]] = {}
        for problem_id, found in zip(different["problem_id"], grades, strict=True):
            if found.parse_status == "parsed" and found.answer is not None:
                answers.setdefault(problem_id, {})[found.answer] = None
        for problem_id, classes in answers.items():
            ordered = sorted(classes)
            classes.update(
                zip(ordered, verdicts.classes(problems[problem_id], ordered), strict=True)
            )
        verdicts.close()
    rows = [
        (
            g.parse_status,
            g.answer,
            g.correct,
            g.score,
            g.reason,
            _class(answers, problem_id, g),
            _cluster(problems, problem_id),
        )
        for problem_id, g in zip(different["problem_id"], grades, strict=True)
    ]
    graded = pl.concat(
        [different.select(_KEY), pl.DataFrame(rows, schema=_GRADE, orient="row")], how="horizontal"
    )
    return samples.join(graded, on=list(_KEY), how="left", nulls_equal=True, maintain_order="left")


def _different(samples: pl.DataFrame) -> pl.DataFrame:
    """Each different text once, with its number of samples and its labels in the source."""
    labels = pl.col("label_correct") if "label_correct" in samples.columns else pl.lit(None)
    return samples.group_by(_KEY, maintain_order=True).agg(
        pl.len().alias("n_samples"), labels.cast(pl.Boolean).unique().alias("label_correct")
    )


def _class(
    answers: Mapping[str, Mapping[str, int | None]], problem_id: str, found: Grade
) -> int | None:
    return (
        answers[problem_id][found.answer]
        if found.parse_status == "parsed" and found.answer is not None
        else None
    )


def _cluster(problems: Mapping[str, Problem], problem_id: str) -> str | None:
    return problems[problem_id].cluster_id if problem_id in problems else None
