"""From raw generations to the core tables: graded samples, their calls, points, problems and runs.

Lives here: which calls make a sample, its times, tokens and validity. Not here: grades and answer
classes (isocost.tables.core.grades), the tables of points, problems and runs
(isocost.tables.core.context), files and orchestration.

Nothing is dropped: every raw row becomes a row of core_calls and every sample becomes a row of
core_samples, and
faults are codes in invalid_reasons. NaN and infinity become NULL with the code
"not_finite_<column>".
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from isocost.axes.registry import all_axes, core_fields
from isocost.costs import CardBook, load_book
from isocost.errors import IsocostError
from isocost.schema.frames import conform
from isocost.schema.registry import table
from isocost.schema.types import polars_type
from isocost.sweep import PlannedPoint, Session
from isocost.tables.core.answers import (
    SAMPLE,
    answer_calls,
    chosen_answers,
    elapsed,
    mark_used,
)
from isocost.tables.core.call_costs import REASONS, add_costs, add_derived_costs
from isocost.tables.core.context import (
    machine_of,
    points_frame,
    problems_frame,
    sessions_frame,
)
from isocost.tables.core.denominators import denominators
from isocost.tables.core.engines import SEVERAL_ENGINES, Run, runs_of_several
from isocost.tables.core.grades import grade_samples
from isocost.tables.core.physics import REASONS as PHYSICS
from isocost.tables.core.physics import calls_judged_by_physics
from isocost.tables.core.sharing import questions_of
from isocost.tables.core.traces import VERIFY, verifications, with_records
from isocost.tasks import Problem, load_problems

if TYPE_CHECKING:
    from isocost.tables.core.judged import Judges

TIME_SLACK_S = 1e-3
"""Two stamps of one request may be this far out of order.

They are taken in different places of the engine. More is a defect.
"""

FAILED = {"error": "engine_error", "abort": "aborted"}

METHOD_ERROR = "method_error"
_OF_ANSWER = (
    "finish_reason",
    "output_text",
    "is_truncated",
    "confidence_tail",
    "confidence_lowest_group",
    "token_confidences",
    "confidence_window",
    "completion_hash",
)
UNLIKE = "values from different methods are not added up"
_BY_METHOD = tuple(
    axis for axis in all_axes().values() if axis.method in {field.name for field in axis.fields}
)
"""Axes whose values have a method, which tells which of them are alike."""
_ANSWER_COLUMNS = (
    "method",
    "is_final",
    "budget",
    "budget_unit",
    "answer_text",
    "answer_finish",
    "answer_error",
    "shared_id",
    "n_context_questions",
)
_OF_ANSWERS = {
    "answer_index": pl.Int32,
    "is_final": pl.Boolean,
    "budget": pl.Float64,
    "budget_unit": pl.String,
    "shared_id": pl.String,
    "n_context_questions": pl.Int32,
}
_SUMMED = (
    "prompt_tokens",
    "output_tokens",
    "cached_tokens",
    "logprob_sum",
    "entropy_low_sum",
    "entropy_high_sum",
    "self_certainty_low_sum",
    "confidence_sum",
    "queue_s",
    "prefill_s",
    "decode_s",
)


def build_core(
    raw_generations: pl.DataFrame,
    sessions: Sequence[Session],
    manifests: Sequence[Any],
    *,
    book: CardBook | None = None,
    energy: pl.DataFrame | None = None,
    problems: Sequence[Problem] | None = None,
    answers: pl.DataFrame | None = None,
    failed: str = "undefined",
    unanswered: str = "wrong",
    kept: Path | None = None,
    judges: Judges | None = None,
) -> dict[str, pl.DataFrame]:
    """Build core_samples, core_answers, core_calls, core_points, core_problems and core_sessions.

    The order of the given rows does not matter.

    Args:
        raw_generations: rows of that table, of any number of runs.
        sessions: the sessions they belong to.
        manifests: manifests of their runs (mappings, or objects with those attributes).
        book: cards of models, devices and prices; the packaged ones when None.
        energy: one row per run: session_id, run_id, energy_j (J, of the measured window),
            energy_method, energy_unknown_reason. Attributed to the calls outside warm-up by their
            share of generated tokens, so that shares sum to the window's energy. None: unknown.
        problems: the problems asked; loaded from the sessions' tasks when None.
        answers: rows of raw_answers of the same runs; None if no method made several calls.
        failed: what a sample is that failed, see ``denominators``.
        unanswered: what an empty completion is, see ``denominators``.
        kept: folder in which verdicts that took long are kept, see ``verdicts``.
        judges: judge answers that a model is to judge, see ``judged``.

    Returns:
        The six frames by table name, each conforming to its table. Only samples of the same task
        and problem share answer classes, over
        all points.

    Raises:
        IsocostError: a raw column is missing or of the wrong type, a task cannot be loaded any
            more, or a key comes twice.
    """
    planned = {p.point.point_id: p for session in sessions for p in session.points}
    known = {p.problem_id: p for p in (_load(planned) if problems is None else problems)}
    raw = _raw(raw_generations)
    calls = calls_judged_by_physics(_times(_finite(raw)))
    chosen = chosen_answers(calls, answers)
    calls = _mark_used(calls, chosen)
    runs = {
        (str(_get(m, "session_id")), str(_get(m, "run_id"))): _get(m, "info") or {}
        for m in manifests
    }
    cards = book or load_book()
    several = runs_of_several(calls, manifests)
    calls = _energy(add_costs(calls, planned, runs, cards), energy, several)
    calls = add_derived_costs(calls, planned, runs, cards)
    mine = {
        point_id: load_problems(item.point.task)
        if problems is None
        else [p for p in problems if p.task == item.point.task.name]
        for point_id, item in planned.items()
    }
    made = _samples(calls, chosen, planned, _machines(runs), questions_of(mine))
    graded = grade_samples(made, known, kept=kept, judges=judges)
    judged = denominators(_judge(graded, planned, known), failed=failed, unanswered=unanswered)
    samples = judged.filter(pl.col("answer_index").is_null())
    frames = {
        "core_samples": samples,
        "core_answers": judged.filter(pl.col("answer_index").is_not_null()),
        "core_calls": calls,
        "core_points": points_frame(samples, sessions),
        "core_problems": problems_frame(samples, known),
        "core_sessions": sessions_frame(calls, samples, sessions, manifests, energy),
    }
    return {
        name: conform(frame.select(c.name for c in table(name).columns), name)
        for name, frame in frames.items()
    }


def _machines(runs: Mapping[tuple[str, str], Mapping[str, Any]]) -> pl.DataFrame:
    rows = [(session_id, run_id, machine_of(info)) for (session_id, run_id), info in runs.items()]
    return pl.DataFrame(
        rows,
        schema={"session_id": pl.String, "run_id": pl.String, "machine": pl.String},
        orient="row",
    )


def _get(manifest: Any, name: str) -> Any:
    return manifest.get(name) if isinstance(manifest, Mapping) else getattr(manifest, name, None)


def _load(planned: Mapping[str, PlannedPoint]) -> list[Problem]:
    return [problem for item in planned.values() for problem in load_problems(item.point.task)]


def _raw(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with every column of raw_generations.

    A nullable column that an older bank lacks is NULL.
    """
    columns = []
    for column in table("raw_generations").columns:
        wanted = polars_type(column)
        if column.name not in frame.columns:
            if not column.nullable or column.name in table("raw_generations").keys:
                raise IsocostError(
                    "is missing",
                    where=f"raw_generations, column {column.name}",
                    remedy="Give whole rows of the bank.",
                )
            columns.append(pl.lit(None, wanted).alias(column.name))
            continue
        try:
            columns.append(frame[column.name].cast(wanted, strict=True))
        except pl.exceptions.PolarsError as error:
            raise IsocostError(
                f"is {frame[column.name].dtype}, must be {wanted}: {str(error).splitlines()[0]}",
                where=f"raw_generations, column {column.name}",
                remedy="Give rows as the bank reads them.",
            ) from None
    return frame.select(columns).sort(
        "session_id", "sample_id", "attempt", "run_id", "call_index", "call_id", nulls_last=True
    )


def _finite(raw: pl.DataFrame) -> pl.DataFrame:
    floats = [name for name, dtype in raw.schema.items() if dtype.is_float()]
    odd = {name: pl.col(name).is_nan() | pl.col(name).is_infinite() for name in floats}
    codes = [
        pl.when(expression).then(pl.lit(f"not_finite_{name}")) for name, expression in odd.items()
    ]
    codes += [
        pl.when(pl.col("finish_reason") == word).then(pl.lit(code)) for word, code in FAILED.items()
    ]
    marked = raw.with_columns(pl.concat_list(codes).list.drop_nulls().alias("reasons"))
    return marked.with_columns(
        pl.when(~odd[name]).then(pl.col(name)).alias(name) for name in floats
    )


def _times(calls: pl.DataFrame) -> pl.DataFrame:
    spans = {
        "queue_s": ("queued_s", "scheduled_s"),
        "prefill_s": ("scheduled_s", "first_token_s"),
        "decode_s": ("first_token_s", "last_token_s"),
    }
    spent = calls.with_columns(
        (pl.col(end) - pl.col(start)).alias(name) for name, (start, end) in spans.items()
    )
    disorder = pl.any_horizontal(pl.col(name) < -TIME_SLACK_S for name in spans).fill_null(False)
    judged = spent.with_columns(
        pl.concat_list("reasons", pl.when(disorder).then(pl.lit("time_disorder")))
        .list.drop_nulls()
        .alias("reasons"),
        *(
            pl.when(~disorder)
            .then(pl.max_horizontal(name, pl.when(pl.col(name).is_not_null()).then(0.0)))
            .alias(name)
            for name in spans
        ),
    )
    return judged.with_columns(
        (pl.col("prefill_s") + pl.col("decode_s")).alias("latency_s"),
        (pl.col("finish_reason") == "length").alias("is_truncated"),
    )


def _mark_used(calls: pl.DataFrame, chosen: pl.DataFrame) -> pl.DataFrame:
    """Choose the calls that each sample is made of.

    Args:
        calls: calls.
        chosen: the answers of samples of methods, see ``answers``.
    """
    of_method = (pl.col("method").fill_null(SAMPLE) != SAMPLE) & ~pl.col("is_warmup")
    several = calls.filter(of_method)
    if several.is_empty():
        return _first_attempts(calls)
    marked = _first_attempts(calls.filter(~of_method)), mark_used(several, chosen)
    order = calls.select("run_id", "call_id", "attempt").with_row_index("row")
    joined = pl.concat(marked, how="diagonal").join(
        order, on=["run_id", "call_id", "attempt"], how="left"
    )
    return joined.sort("row").drop("row")


def _first_attempts(calls: pl.DataFrame) -> pl.DataFrame:
    """Choose one attempt for each sample of one call and its verifications.

    The first whose calls all came back, else the last one.
    """
    # A failed verification leaves a verdict unknown; the answer itself still exists.
    failed = (
        (pl.col("finish_reason").is_in(list(FAILED)) & (pl.col("role") != VERIFY))
        .any()
        .over("sample_id", "attempt", "run_id")
    )
    ranked = calls.with_columns(
        failed.alias("has_failed"),
        pl.when(failed).then(-pl.col("attempt")).otherwise(pl.col("attempt")).alias("attempt_rank"),
    )
    best = (
        ranked.filter(~pl.col("is_warmup"))
        .sort("sample_id", "has_failed", "attempt_rank", "run_id")
        .unique("sample_id", keep="first", maintain_order=True)
        .select(
            "sample_id", pl.col("run_id").alias("used_run"), pl.col("attempt").alias("used_attempt")
        )
    )
    joined = ranked.join(best, on="sample_id", how="left", maintain_order="left").with_columns(
        (
            ~pl.col("is_warmup")
            & (pl.col("run_id") == pl.col("used_run"))
            & (pl.col("attempt") == pl.col("used_attempt"))
        )
        .fill_null(False)
        .alias("is_used")
    )
    reason = (
        pl.when("is_used")
        .then(None)
        .when("is_warmup")
        .then(pl.lit("warmup"))
        .otherwise(pl.lit("superseded"))
    )
    return joined.with_columns(reason.alias("not_used_reason")).drop(
        "has_failed", "attempt_rank", "used_run", "used_attempt"
    )


def _energy(
    calls: pl.DataFrame, energy: pl.DataFrame | None, several: Collection[Run]
) -> pl.DataFrame:
    """Each call's share of the energy of its run, by generated tokens.

    Unknown in runs of several engines: a token of one model does not cost what one of another does.
    """
    if energy is None:
        unknown = (
            pl.lit(None, pl.Float64).alias("energy_j"),
            pl.lit(None, pl.String).alias("energy_method"),
        )
        return calls.with_columns(
            *unknown, pl.lit("no_power_source").alias("energy_unknown_reason")
        )
    windows = energy.select(
        "session_id",
        "run_id",
        pl.col("energy_j").alias("window_j"),
        "energy_method",
        pl.col("energy_unknown_reason").alias("window_unknown"),
    )
    windows = windows.with_columns(
        pl.struct("session_id", "run_id")
        .map_elements(lambda run: (run["session_id"], run["run_id"]) in several, pl.Boolean)
        .alias("is_of_several")
    ).with_columns(
        pl.when(~pl.col("is_of_several")).then("window_j").alias("window_j"),
        pl.when("is_of_several")
        .then(pl.coalesce("window_unknown", pl.lit(SEVERAL_ENGINES)))
        .otherwise("window_unknown")
        .alias("window_unknown"),
    )
    joined = calls.join(
        windows.drop("is_of_several"),
        on=["session_id", "run_id"],
        how="left",
        maintain_order="left",
    )
    counted = pl.when(~pl.col("is_warmup")).then(pl.col("output_tokens"))
    share = counted / counted.sum().over("session_id", "run_id")
    shared = joined.with_columns((pl.col("window_j") * share).alias("energy_j")).with_columns(
        pl.col("energy_j").fill_nan(None)
    )
    is_known = pl.col("energy_j").is_not_null()
    return shared.with_columns(
        pl.when(is_known)
        .then(pl.col("energy_method") + "/output_token_share")
        .alias("energy_method"),
        pl.when(~is_known)
        .then(pl.coalesce("window_unknown", pl.lit("no_power_source")))
        .alias("energy_unknown_reason"),
    ).drop("window_j", "window_unknown")


def _samples(
    calls: pl.DataFrame,
    chosen: pl.DataFrame,
    planned: Mapping[str, PlannedPoint],
    machines: pl.DataFrame,
    questions: pl.DataFrame,
) -> pl.DataFrame:
    """One row per sample, and one per answer of samples of methods, which has an answer_index.

    Calls that verify the answer are not part of it: their verdicts and costs have separate columns.
    """
    answers = answer_calls(calls.filter(pl.col("role") != VERIFY), chosen, questions)
    made = pl.concat([chosen["sample_id"], chosen["shared_id"].drop_nulls()]).unique()
    of_method = pl.col("sample_id").is_in(made.implode())
    plain = calls.filter("is_used", pl.col("role") != VERIFY, ~of_method)
    last = pl.col("call_index") == pl.col("call_index").max().over("sample_id")
    parts = [
        _summed_up(plain.with_columns(last.alias("is_answer")), ["sample_id"]),
        _summed_up(answers.filter("is_final"), ["sample_id"]),
        _summed_up(answers, ["sample_id", "answer_index"]),
    ]
    rows = pl.concat([part for part in parts if part.height] or parts[:1], how="diagonal")
    absent = [
        pl.lit(None, dtype).alias(name)
        for name, dtype in _OF_ANSWERS.items()
        if name not in rows.columns
    ]
    rows = rows.with_columns(absent)
    return _derived(rows, calls, planned, machines)


def _summed_up(calls: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    """One row per sample or answer: tokens, times and costs summed over its calls.

    Args:
        calls: the calls that count, with is_answer; of methods also the columns of their answers.
        keys: what a row is.
    """
    ids = (
        "point_id",
        "problem_id",
        "sample_index",
        "session_id",
        "task",
        "model_variant",
    )
    whole = [_over_calls(name, "sum") for name in _SUMMED]
    samples = (
        calls.sort(*keys, "call_index")
        .group_by(keys, maintain_order=True)
        .agg(
            *(pl.col(name).first() for name in ids),
            pl.col("prompt_name").first().alias("prompt"),
            *(pl.col(name).filter("is_answer").last() for name in _OF_ANSWER),
            *(pl.col(name).last() for name in ("run_id", "attempt")),
            *whole,
            *(_over_calls(field.name, field.over_calls) for field in core_fields()),
            pl.concat_list(REASONS, PHYSICS)
            .explode(empty_as_null=False)
            .unique()
            .sort()
            .alias(REASONS),
            pl.col("reasons").explode(empty_as_null=False).alias("reasons"),
            pl.len().cast(pl.Int32).alias("n_calls"),
            *(
                (pl.col(axis.method).drop_nulls().n_unique() > 1).alias(f"{axis.name}_is_mixed")
                for axis in _BY_METHOD
            ),
            *(pl.col(name).last() for name in _ANSWER_COLUMNS if name in calls.columns),
        )
    )
    samples = _of_one_method(samples)
    if "answer_text" not in calls.columns:
        return samples
    waves = elapsed(calls, keys)
    times = [name for name in waves.columns if name not in keys]
    timed = samples.drop(times).join(waves, on=keys, how="left", maintain_order="left")
    failed = (pl.col("answer_finish") == "error") & ~pl.col("reasons").list.contains(
        FAILED["error"]
    )
    return timed.with_columns(
        pl.col("answer_text").alias("output_text"),
        pl.col("answer_finish").alias("finish_reason"),
        (pl.col("answer_finish") == "length").alias("is_truncated"),
        _hash_of("answer_text").alias("completion_hash"),
        pl.concat_list("reasons", pl.when(failed).then(pl.lit(METHOD_ERROR)))
        .list.drop_nulls()
        .alias("reasons"),
    ).drop("answer_text", "answer_finish", "answer_error")


def _of_one_method(samples: pl.DataFrame) -> pl.DataFrame:
    """The samples without sums over calls whose costs were obtained by different methods.

    And without the method of a cost that one of the calls lacks.
    """
    for axis in _BY_METHOD:
        mixed = pl.col(f"{axis.name}_is_mixed")
        lost = mixed & pl.col(axis.column).is_not_null()
        own = axis.own_reason.name if axis.own_reason else None
        shared = pl.when(lost & (own is None)).then(pl.lit(f"{axis.column}: {UNLIKE}"))
        numbers = [field.name for field in axis.columns if field.type == "float64"]
        samples = samples.with_columns(
            pl.concat_list(REASONS, shared).list.drop_nulls().alias(REASONS),
            *([pl.when(lost).then(pl.lit(UNLIKE)).otherwise(own).alias(own)] if own else []),
            *(pl.when(~mixed).then(name).alias(name) for name in numbers),
        ).drop(f"{axis.name}_is_mixed")
        is_known = pl.col(axis.column).is_not_null()
        samples = samples.with_columns(pl.when(is_known).then(axis.method).alias(axis.method))
    return samples


def _hash_of(name: str) -> pl.Expr:
    """The completion hash of a text that is no call's."""
    return pl.col(name).map_elements(
        lambda text: hashlib.sha256(text.encode()).hexdigest()[:16], return_dtype=pl.String
    )


def _derived(
    samples: pl.DataFrame,
    calls: pl.DataFrame,
    planned: Mapping[str, PlannedPoint],
    machines: pl.DataFrame,
) -> pl.DataFrame:
    """Add what follows from the sums, and the verifications of each sample."""
    means = {
        "logprob_mean": "logprob_sum",
        "entropy_mean_low": "entropy_low_sum",
        "entropy_mean_high": "entropy_high_sum",
        "self_certainty_low": "self_certainty_low_sum",
        "confidence_mean": "confidence_sum",
    }
    tokens = pl.when(pl.col("output_tokens") > 0).then(pl.col("output_tokens"))
    verified = with_records(samples).join(
        verifications(calls), on="sample_id", how="left", maintain_order="left"
    )
    judged = verified.join(machines, on=["session_id", "run_id"], how="left", maintain_order="left")
    return judged.with_columns(
        *((pl.col(total) / tokens).alias(mean) for mean, total in means.items()),
        (pl.col("prefill_s") + pl.col("decode_s")).alias("latency_s"),
        *_first_and_next_token(),
        pl.lit("generated").alias("source"),
        pl.lit(None, pl.Float64).alias("external_score"),
        pl.lit(None, pl.Boolean).alias("label_correct"),
        pl.Series(
            "max_tokens",
            [
                p.point.budget.max_tokens if (p := planned.get(point)) else None
                for point in samples["point_id"]
            ],
            pl.Int64,
        ),
    )


def _over_calls(name: str, rule: str) -> pl.Expr:
    """The value of a sample for a column of its calls, see ``isocost.axes.model.Field``."""
    value = pl.col(name)
    found = {
        "sum": pl.when(value.null_count() == 0).then(value.sum()),
        "same": pl.when(value.n_unique() == 1).then(value.first()),
        "first": value.first(),
        "known": value.drop_nulls().first(),
        "single": pl.when(pl.len() == 1).then(value.first()),
    }
    return found[rule].alias(name)


def _first_and_next_token() -> list[pl.Expr]:
    """ttft_s and inter_token_s as load generators mean them, and why one of them is NULL."""
    is_single, gaps = pl.col("n_calls") == 1, pl.col("output_tokens") - pl.col("n_calls")
    ttft = pl.when(is_single).then(pl.col("queue_s") + pl.col("prefill_s"))
    gap = pl.when((gaps > 0) & (pl.col("decode_s") > 0)).then(pl.col("decode_s") / gaps)
    why_ttft = (
        pl.when(is_single)
        .then(pl.lit("the times of the call are not known"))
        .otherwise(pl.lit("the sample consists of several calls"))
    )
    why_gap = (
        pl.when(gaps <= 0)
        .then(pl.lit("fewer than two tokens"))
        .when(pl.col("decode_s") == 0)
        .then(pl.lit("all tokens came at once"))
        .otherwise(pl.lit("the times or tokens of a call are not known"))
    )
    reasons = [
        pl.when(value.is_null()).then(pl.concat_str(pl.lit(f"{name}: "), why))
        for name, value, why in (("ttft_s", ttft, why_ttft), ("inter_token_s", gap, why_gap))
    ]
    return [
        ttft.alias("ttft_s"),
        gap.alias("inter_token_s"),
        pl.concat_list(REASONS, *reasons).list.drop_nulls().alias(REASONS),
    ]


def _judge(
    samples: pl.DataFrame, planned: Mapping[str, PlannedPoint], known: Mapping[str, Problem]
) -> pl.DataFrame:
    """Add columns that need the whole sample, and complete the list of reasons."""
    codes = [
        pl.when(~pl.col("point_id").is_in(list(planned))).then(pl.lit("unknown_point")),
        pl.when(~pl.col("problem_id").is_in(list(known))).then(pl.lit("unknown_problem")),
        pl.when(pl.col("parse_status") == "error").then(pl.lit("not_judged")),
        pl.when((pl.col("n_calls") == 1) & (pl.col("output_tokens") > pl.col("max_tokens"))).then(
            pl.lit("over_budget")
        ),
    ]
    reasons = pl.concat_list("reasons", *codes).list.drop_nulls().list.unique().list.sort()
    judged = samples.with_columns(reasons.alias("invalid_reasons"))
    return judged.with_columns((pl.col("invalid_reasons").list.len() == 0).alias("is_valid"))
