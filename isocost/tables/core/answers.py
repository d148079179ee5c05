"""Samples of methods: which of their calls count, and what each of their answers has cost.

Lives here: from rows of raw_answers to the calls that each answer needed, with the cost of calls
that it needed only the beginning of, and the time of calls that ran at the same time. Not here: the
sums over the calls of a sample (``isocost.tables.core.samples``), the methods themselves
(``isocost.methods``).
"""

from __future__ import annotations

import polars as pl

from isocost.axes.cuts import of_columns, reason_without_law
from isocost.axes.model import CostAxis, Kept, TokenShare
from isocost.axes.registry import all_axes
from isocost.bank.complete import made_calls
from isocost.schema.frames import empty
from isocost.tables.core.sharing import shares, with_sharing
from isocost.tables.core.traces import VERIFY

SAMPLE = "sample"
UNFINISHED, NOT_NEEDED, SUPERSEDED = "unfinished", "not_needed", "superseded"
_CALL = ("sample_id", "call_index", "attempt")
TEXT_COLUMNS = {
    "core_calls": ("sample_id", "session_id", "call_index", "role", "is_used", "output_text"),
    "core_answers": ("sample_id", "session_id", "is_final", "output_text", "shared_id"),
}
"""What `sample_texts` reads of each table."""
_TIMES = ("queue_s", "prefill_s", "decode_s")
_BY_LENGTH = (
    "logprob_sum",
    "entropy_low_sum",
    "entropy_high_sum",
    "self_certainty_low_sum",
    "confidence_sum",
)
"""Sums over tokens, which are not known of the beginning of a call."""


def chosen_answers(calls: pl.DataFrame, answers: pl.DataFrame | None) -> pl.DataFrame:
    """The rows of raw_answers that count: of every sample those of one attempt.

    The first attempt in which the method returned and every one of its calls is there, otherwise
    the last one that failed.

    Args:
        calls: rows of raw_generations.
        answers: rows of raw_answers; None if there are none.
    """
    if answers is None or answers.is_empty():
        return empty("raw_answers")
    answers = with_sharing(answers)
    final = answers.filter("is_final").with_row_index("answer")
    made = made_calls(final).filter(pl.col("attempt").is_not_null())
    lost = made.join(calls.select(_CALL), on=list(_CALL), how="anti")["answer"].unique()
    whole = final.filter(~pl.col("answer").is_in(lost.implode()))
    failed = pl.col("finish_reason") == "error"
    chosen = (
        whole.with_columns(
            failed.alias("has_failed"),
            pl.when(failed).then(-pl.col("attempt")).otherwise("attempt").alias("rank"),
        )
        .sort("sample_id", "has_failed", "rank", "run_id")
        .unique("sample_id", keep="first", maintain_order=True)
        .select("sample_id", "attempt", "run_id")
    )
    return answers.join(chosen, on=["sample_id", "attempt", "run_id"], how="semi").sort(
        "sample_id", "answer_index"
    )


def mark_used(calls: pl.DataFrame, chosen: pl.DataFrame) -> pl.DataFrame:
    """Say which calls of methods their samples are made of, and why others are not.

    Args:
        calls: calls of methods, warm-up left out.
        chosen: see `chosen_answers`.

    Returns:
        The calls with is_used and not_used_reason, in their order.
    """
    final = chosen.filter("is_final")
    made = final.select(
        "sample_id",
        pl.col("call_attempts").alias("made_attempts"),
        pl.col("used_calls").alias("needed"),
    )
    joined = calls.join(made, on="sample_id", how="left", maintain_order="left")
    attempt = pl.col("made_attempts").list.get(pl.col("call_index"), null_on_oob=True)
    # A client's call that failed, whose answer was then given without it.
    is_left_out = attempt.is_null() & (pl.col("call_index") < pl.col("made_attempts").list.len())
    is_made = (attempt == pl.col("attempt")).fill_null(False)
    # A verification grades the answer, whenever it was made.
    is_needed = (pl.col("role") == VERIFY) | pl.col("needed").list.contains(
        pl.col("call_index")
    ).fill_null(False)
    reason = (
        pl.when(pl.col("needed").is_null())
        .then(pl.lit(UNFINISHED))
        .when(is_left_out)
        .then(pl.lit(NOT_NEEDED))
        .when(~is_made)
        .then(pl.lit(SUPERSEDED))
        .when(~is_needed)
        .then(pl.lit(NOT_NEEDED))
    )
    marked = joined.with_columns(
        (is_made & is_needed).alias("is_used"), reason.alias("not_used_reason")
    ).drop("made_attempts", "needed")
    return _mark_shared(marked, final)


def _mark_shared(calls: pl.DataFrame, final: pl.DataFrame) -> pl.DataFrame:
    """The same for calls that several samples share: used if one of them is made of it."""
    shared = final.filter(pl.col("shared_id").is_not_null())
    if shared.is_empty():
        return calls
    used = made_calls(shared.with_row_index("answer")).join(
        shared.select(pl.col("shared_id").alias("sample_id")).unique(), on="sample_id", how="semi"
    )
    used = used.select(_CALL).unique().with_columns(pl.lit(True).alias("is_shared"))
    marked = calls.join(used, on=list(_CALL), how="left", maintain_order="left")
    is_holder = pl.col("sample_id").is_in(shared["shared_id"].unique().implode())
    is_used = pl.when(is_holder).then(pl.col("is_shared").fill_null(False)).otherwise("is_used")
    reason = (
        pl.when(is_holder & pl.col("is_shared").is_null())
        .then(pl.lit(SUPERSEDED))
        .when(~is_holder)
        .then("not_used_reason")
    )
    return marked.with_columns(is_used.alias("is_used"), reason.alias("not_used_reason")).drop(
        "is_shared"
    )


def sample_texts(calls: pl.DataFrame, answers: pl.DataFrame) -> pl.DataFrame:
    """The text that was graded, one row per sample and session.

    Args:
        calls: core_calls: sample_id, session_id, call_index, role, is_used, output_text.
        answers: core_answers: sample_id, session_id, is_final, output_text, shared_id.

    Returns:
        Columns sample_id, session_id and output_text.
    """
    names = ("sample_id", "session_id", "output_text")
    of_method = answers.filter("is_final").select(names)
    last = (
        calls.filter(
            "is_used",
            pl.col("role") != VERIFY,
            ~pl.col("sample_id").is_in(answers["shared_id"].drop_nulls().unique().implode()),
        )
        .join(of_method, on=["sample_id", "session_id"], how="anti")
        .sort("sample_id", "session_id", "call_index")
        .unique(["sample_id", "session_id"], keep="last", maintain_order=True)
        .select(names)
    )
    return pl.concat([last, of_method])


def answer_calls(
    calls: pl.DataFrame, chosen: pl.DataFrame, questions: pl.DataFrame
) -> pl.DataFrame:
    """The calls that each answer needed, one row per answer and call.

    Calls that an answer needed only the beginning of have the tokens and costs of that beginning;
    what is not known of it is NULL.

    Args:
        calls: calls with their costs.
        chosen: see `chosen_answers`.
        questions: see ``sharing.questions_of``; a shared call has the part of the costs that falls
            to the sample.

    Returns:
        The columns of `calls`, shared_id and n_context_questions, answer_index, is_answer (whether
        the call holds the answer), and the
        answer's answer_text, answer_finish, answer_error, is_final, budget and budget_unit.
    """
    needed = (
        chosen.select(
            pl.col("sample_id").alias("of_sample"),
            pl.col("problem_id").alias("of_problem"),
            "shared_id",
            "n_shared_calls",
            "answer_index",
            "answer_call_index",
            pl.col("call_attempts").alias("attempts"),
            pl.col("used_calls").alias("call_index"),
            pl.col("used_tokens").alias("kept_tokens"),
            "answer_text",
            pl.col("finish_reason").alias("answer_finish"),
            pl.col("error").alias("answer_error"),
            "is_final",
            "budget",
            "budget_unit",
        )
        .explode("call_index", "kept_tokens")
        .with_columns(
            pl.col("attempts").list.get(pl.col("call_index"), null_on_oob=True).alias("attempt")
        )
        .drop("attempts")
        .with_columns(
            pl.when((pl.col("call_index") < pl.col("n_shared_calls")).fill_null(False))
            .then("shared_id")
            .otherwise("of_sample")
            .alias("sample_id")
        )
        .drop("n_shared_calls")
    )
    joined = calls.join(needed, on=list(_CALL), how="inner", maintain_order="left")
    return shares(_cut(joined), questions).with_columns(
        (pl.col("call_index") == pl.col("answer_call_index")).fill_null(False).alias("is_answer")
    )


def _cut(calls: pl.DataFrame) -> pl.DataFrame:
    """The same with tokens and costs of the kept beginning of each call."""
    kept, whole = pl.col("kept_tokens"), pl.col("output_tokens")
    is_cut = (kept < whole).fill_null(False)
    columns = {
        axis.column: cut_cost(axis)
        for axis in all_axes().values()
        if axis.column in calls.columns and not isinstance(axis.cut, Kept)
    }
    columns["decode_s"] = of_columns().decoding(kept)
    columns["output_tokens"] = kept.cast(pl.Int64)
    columns |= {name: pl.lit(None, pl.Float64) for name in _BY_LENGTH}
    cut = calls.with_columns(
        pl.when(is_cut).then(value).otherwise(pl.col(name)).alias(name)
        for name, value in columns.items()
    )
    return _with_reasons(cut, is_cut.alias("is_cut"), calls)


def _with_reasons(cut: pl.DataFrame, is_cut: pl.Expr, whole: pl.DataFrame) -> pl.DataFrame:
    """Why a cost is not known of a beginning although it is of the whole call."""
    lost = {
        axis.column: (axis, whole[axis.column].is_not_null())
        for axis in all_axes().values()
        if axis.fields and axis.column in whole.columns and not isinstance(axis.cut, Kept)
    }
    marks = whole.select(is_cut)["is_cut"]
    shared: list[pl.Expr] = []
    own: list[pl.Expr] = []
    for column, (axis, was_known) in lost.items():
        is_lost = pl.lit(marks & was_known) & pl.col(column).is_null()
        reason = reason_without_law(axis)
        if axis.own_reason is None:
            shared.append(pl.when(is_lost).then(pl.lit(f"{column}: {reason}")))
        else:
            name = axis.own_reason.name
            own.append(pl.when(is_lost).then(pl.lit(reason)).otherwise(pl.col(name)).alias(name))
    reasons = pl.concat_list("costs_unknown_reasons", *shared).list.drop_nulls()
    return cut.with_columns(reasons.alias("costs_unknown_reasons"), *own)


def cut_cost(axis: CostAxis) -> pl.Expr:
    """Cost of a call of output_tokens tokens cut after kept_tokens, by the axis's own law.

    See ``isocost.axes.cuts``; NULL where the law does not tell.
    """
    cost = of_columns().cost(axis, pl.col("kept_tokens").cast(pl.Float64))
    if cost is None:
        return pl.lit(None, pl.Float64)
    if isinstance(axis.cut, TokenShare):
        by_tokens = pl.col(axis.method or axis.cut.method).str.ends_with(axis.cut.ending)
        return pl.when(by_tokens).then(cost)
    return cost


def elapsed(calls: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    """The times of samples whose calls ran in waves: of every wave the slowest call counts.

    Args:
        calls: with the keys, wave, queue_s, prefill_s and decode_s.
        keys: columns that name a sample or an answer.

    Returns:
        One row per key with queue_s, prefill_s and decode_s; NULL where one of a call is unknown.
    """
    unknown = pl.any_horizontal(pl.col(name).is_null() for name in _TIMES)
    waves = (
        calls.with_columns(
            (pl.col("prefill_s") + pl.col("decode_s")).alias("taken_s"), unknown.alias("unknown")
        )
        .sort("taken_s", "call_index", nulls_last=True)
        .group_by(*keys, "wave")
        .agg(pl.col("unknown").any(), *(pl.col(name).last() for name in _TIMES))
    )
    return waves.group_by(keys).agg(
        pl.when(~pl.col("unknown").any()).then(pl.col(name).sum()).alias(name) for name in _TIMES
    )
