"""Calls that all questions about a context share: what falls to each question.

Lives here: the number of questions about each context, and a shared call's part of a sample. Not
here: which calls a sample is made of (``answers``), how shared calls are made
(``isocost.payload``).

A shared call is paid once and borne by all questions of the task about its context, whether they
were sampled or not. Costs are divided by their number. Tokens are whole: they are dealt out in the
order of the questions, so that what falls to all of them adds up to the call. Its time is not part
of an answer's latency, because it is made before the question comes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import polars as pl

from isocost.axes.registry import core_fields
from isocost.tasks import Problem

_QUESTIONS = {
    "point_id": pl.String,
    "of_problem": pl.String,
    "n_context_questions": pl.Int32,
    "question_number": pl.Int32,
}
_SHARING = {"shared_id": pl.String, "n_shared_calls": pl.Int32}
_TIMES = ("queue_s", "prefill_s", "decode_s", "latency_s")
_SUMS = (
    "logprob_sum",
    "entropy_low_sum",
    "entropy_high_sum",
    "self_certainty_low_sum",
    "confidence_sum",
)


def with_sharing(answers: pl.DataFrame) -> pl.DataFrame:
    """Rows of raw_answers with the columns about shared calls, which older banks lack."""
    return answers.with_columns(
        pl.lit(None, kind).alias(name)
        for name, kind in _SHARING.items()
        if name not in answers.columns
    )


def questions_of(problems: Mapping[str, Iterable[Problem]]) -> pl.DataFrame:
    """For each problem with a context the number of questions about it, and which of them it is.

    Args:
        problems: those of each point's task, in their order, by point_id.
    """
    rows = []
    for point_id, mine in problems.items():
        about: dict[str, list[str]] = {}
        for problem in mine:
            if problem.context_id is not None:
                about.setdefault(problem.context_id, []).append(problem.problem_id)
        rows += [
            (point_id, problem_id, len(asked), number)
            for asked in about.values()
            for number, problem_id in enumerate(asked)
        ]
    return pl.DataFrame(rows, schema=_QUESTIONS, orient="row")


def shares(calls: pl.DataFrame, questions: pl.DataFrame) -> pl.DataFrame:
    """The same with the part of each shared call that falls to its sample.

    Args:
        calls: calls of answers, with shared_id, of_sample and of_problem, those of their answer.
        questions: see `questions_of`.

    Returns:
        The calls with the sample_id and problem_id of their answer, and n_context_questions.
    """
    joined = calls.join(questions, on=["point_id", "of_problem"], how="left", maintain_order="left")
    is_shared = (pl.col("sample_id") == pl.col("shared_id")).fill_null(False)
    number, many = pl.col("question_number"), pl.col("n_context_questions")
    floats = [f.name for f in core_fields() if f.over_calls == "sum" and f.type == "float64"]
    parts = {
        name: pl.col(name) / many
        for name in (*dict.fromkeys((*floats, *_SUMS)),)
        if name in calls.columns
    }
    parts |= {name: pl.lit(0.0) for name in _TIMES if name in calls.columns}
    parts["output_tokens"] = _dealt(pl.col("output_tokens"), number, many)
    cached = pl.col("cached_tokens").fill_null(0)
    parts["cached_tokens"] = _dealt(pl.col("cached_tokens"), number, many)
    # What is cached and what is not, each by itself: never more cached than there is.
    parts["prompt_tokens"] = _dealt(cached, number, many) + _dealt(
        pl.col("prompt_tokens") - cached, number, many
    )
    return joined.with_columns(
        *(
            pl.when(is_shared)
            .then(part)
            .otherwise(pl.col(name))
            .cast(calls[name].dtype)
            .alias(name)
            for name, part in parts.items()
        ),
        pl.col("of_sample").alias("sample_id"),
        pl.col("of_problem").alias("problem_id"),
        pl.when(pl.col("shared_id").is_not_null()).then(many).alias("n_context_questions"),
    ).drop("of_sample", "of_problem", "question_number")


def _dealt(total: pl.Expr, number: pl.Expr, many: pl.Expr) -> pl.Expr:
    """The part of a whole number that falls to one of many; the parts add up to it."""
    wide = total.cast(pl.Int64)
    return wide * (number + 1) // many - wide * number // many
