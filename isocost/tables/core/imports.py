"""From raw_imports to the core tables: imported samples in the columns of generated ones.

Lives here: identities of imported points and problems, grading of imported text, the value of an
imported row. Not here: the tables of points, problems and imports (``imports_context``), reading of
files (isocost.importers), verifiers (isocost.tasks).

Two ways of grading, never mixed within one import. With a verifier, every text is graded like
generated text, and the source's label is kept in ``label_correct``. Without one, the label is the
verdict and ``grade_reason`` says ``imported_label``; a score between wrong and right is an expected
score (``imported_score``), with no verdict. Aggregates and telemetry are not samples: they become
rows of core_imported_metrics and core_energy_windows.

One rule for what was not answered: a sample without a text, beside others of its point that have
one, answered nothing, and what answers nothing is wrong. What its source calls failed, without a
verdict on it, was never asked in earnest and is not judged.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from isocost.errors import IsocostError
from isocost.hashing import sha256_hex, text_hash
from isocost.importers import registered
from isocost.importers.finish import CUT_OFF, finish_meaning
from isocost.importers.row import INVALIDATED, NO_ANSWER, REPLACED, SCORE_NOISE
from isocost.schema.frames import conform
from isocost.schema.registry import table
from isocost.schema.types import polars_schema
from isocost.tables.core.call_costs import NO_CARDS_IN_SOURCE
from isocost.tables.core.denominators import denominators
from isocost.tables.core.grades import grade_samples
from isocost.tables.core.imported_metrics import imported_metrics_frame
from isocost.tables.core.imports_context import (
    agreement_frame,
    points_frame,
    problems_frame,
    sessions_frame,
)
from isocost.tables.core.imports_costs import NOT_OF_SOURCE, with_own_costs
from isocost.tables.core.physics import REASONS, judged_by_physics, mean_gap
from isocost.tables.energy.imported_windows import energy_of_imports, imported_windows
from isocost.tasks import Problem, make_problem, verifier_names
from isocost.verifier_settings import name_of

if TYPE_CHECKING:
    from isocost.tables.core.judged import Judges

SAMPLE_KINDS = ("sample", "request", "counts")
_POINT = (
    "source",
    "model_variant",
    "task",
    "task_version",
    "prompt",
    "prompt_hash",
    "sampling",
    "condition",
)
# The run and the number within it, not the number within the import: sample identity does not
# depend on what is imported together.
_SAMPLE_ID = pl.concat_str(
    "point_id",
    pl.lit(":"),
    "problem_id",
    pl.lit(":"),
    "run_key",
    pl.lit("#"),
    pl.col("index_in_run").cast(pl.String),
)
_LABEL_REASON = "imported_label"
_SCORE_REASON = "imported_score"


def build_imported_core(
    raw_imports: pl.DataFrame,
    *,
    verifier: str | None = None,
    manifests: Mapping[str, Mapping[str, Any]] | None = None,
    unanswered: str = "wrong",
    failed: str = "undefined",
    kept: Path | None = None,
    judges: Judges | None = None,
) -> dict[str, pl.DataFrame]:
    """Build the core tables of one or more imports.

    The order of the given rows does not matter.

    Args:
        raw_imports: rows of that table.
        verifier: registered verifier that grades every text; the source's labels are the verdicts
            if None.
        manifests: manifests of the imports by import_id, for the version of this project that read
            them; left NULL if not given.
        unanswered: the meaning of a sample without an answer, see ``denominators``.
        failed: the meaning of a sample that failed in the source, without a verdict.
        kept: cache folder for slow verdicts, see ``verdicts``.
        judges: judge answers that a model is to judge, see ``judged``.

    Returns:
        core_samples, core_counts, core_calls (empty: imports have no calls), core_points,
        core_problems, core_sessions,
        core_energy_windows, core_imported_metrics and core_label_agreement, each conforming to its
        table. The session of an imported row
        is its import_id.

    Raises:
        IsocostError: an unknown verifier, or rows that do not conform to raw_imports.
    """
    if verifier is not None and name_of(verifier) not in verifier_names():
        raise IsocostError(
            f"no verifier is called {verifier!r}",
            remedy=f"Use one of {', '.join(verifier_names())}",
        )
    raw = judged_by_physics(conform(raw_imports, "raw_imports"))
    rows = _numbered(_identified(_countable(raw), verifier))
    windows = imported_windows(raw)
    problems = _problems(rows, verifier)
    marked = _marked(rows)
    judged = (
        _by_verifier(marked, problems, unanswered, kept, judges)
        if verifier is not None
        else _by_label(marked, unanswered)
    )
    samples = denominators(_closed(judged), failed=failed)
    frames = {
        "core_samples": samples.filter(pl.col("record_kind") != "counts"),
        "core_counts": _counts(samples),
        "core_calls": pl.DataFrame(schema=polars_schema(table("core_calls"))),
        "core_points": points_frame(samples, verifier),
        "core_problems": problems_frame(samples, verifier),
        "core_sessions": sessions_frame(raw, samples, manifests or {}, energy_of_imports(windows)),
        "core_energy_windows": windows,
        "core_imported_metrics": imported_metrics_frame(raw, _points_of(rows)),
        "core_label_agreement": agreement_frame(samples, has_verifier=verifier is not None),
    }
    return {
        name: conform(frame.select(c.name for c in table(name).columns), name)
        for name, frame in frames.items()
    }


def imported_texts(raw_imports: pl.DataFrame, *, verifier: str | None = None) -> pl.DataFrame:
    """sample_id and output_text of imported samples, for exports; core_samples has no texts.

    Args:
        raw_imports: rows of that table.
        verifier: the one given to ``build_imported_core``, which problem ids depend on.
    """
    raw = conform(raw_imports, "raw_imports")
    rows = _numbered(_identified(_countable(raw), verifier))
    return rows.filter(pl.col("output_text").is_not_null()).select(
        _SAMPLE_ID.alias("sample_id"), "output_text"
    )


def _countable(raw: pl.DataFrame) -> pl.DataFrame:
    """Records of samples; counts that cannot be say not even of how many."""
    has_counts = pl.col("counts_total").is_not_null() & pl.col("counts_correct").is_not_null()
    is_counted = (pl.col("record_kind") != "counts") | has_counts
    return raw.filter(pl.col("record_kind").is_in(SAMPLE_KINDS) & is_counted)


def _identified(rows: pl.DataFrame, verifier: str | None) -> pl.DataFrame:
    """Add task, model_variant (never NULL), point_id and problem_id."""
    # Unknown values must not be pooled with another import's unknown values: the import's id
    # replaces them.
    named = rows.with_columns(
        pl.coalesce("task", pl.concat_str(pl.lit("unknown-"), "import_id")).alias("task"),
        pl.coalesce("model_variant", pl.concat_str(pl.lit("unknown-"), "import_id")).alias(
            "model_variant"
        ),
    )
    points = named.select("import_id", "source_run", "record_kind", *_POINT).unique(
        maintain_order=True
    )
    ids = [_point_id(row) for row in points.iter_rows(named=True)]
    runs = [
        sha256_hex(run or import_id, 10)
        for import_id, run in points.select("import_id", "source_run").iter_rows()
    ]
    named = named.join(
        points.with_columns(
            pl.Series("point_id", ids, pl.String), pl.Series("run_key", runs, pl.String)
        ),
        on=["import_id", "source_run", "record_kind", *_POINT],
        how="left",
        nulls_equal=True,
        maintain_order="left",
    )
    keys = (
        "source",
        "task",
        "task_version",
        "problem_source_id",
        "problem_text",
        "reference",
        "source_file",
    )
    problems = named.select(keys).unique(maintain_order=True)
    found = [_problem_id(row, verifier) for row in problems.iter_rows(named=True)]
    return named.join(
        problems.with_columns(pl.Series("problem_id", found, pl.String)),
        on=list(keys),
        how="left",
        nulls_equal=True,
        maintain_order="left",
    )


def _point_id(row: dict[str, Any]) -> str:
    known = {name: row[name] for name in _POINT}
    if any(row[name] is None for name in ("task_version", "prompt", "sampling")):
        # Two runs of one import may differ in it as well as two imports.
        known |= {"import_id": row["import_id"], "source_run": row["source_run"]}
    if row["record_kind"] == "request" and "hardware" not in json.loads(row["condition"] or "{}"):
        # A request is measured only for its timing: runs on unnamed machines are not repeats of
        # each other.
        known |= {"source_run": row["source_run"] or row["import_id"]}
    return "pt-" + sha256_hex(known, 16)


def _points_of(rows: pl.DataFrame) -> pl.DataFrame:
    """point_id by everything that a summary number shares with its samples.

    Its import, its run and the columns of a point.
    """
    keys = ["import_id", "source_run", *_POINT]
    # Unknown values are NULL in a summary number and named after the import in its samples.
    unknown = pl.concat_str(pl.lit("unknown-"), "import_id")
    plain = [
        pl.when(pl.col(name) != unknown).then(pl.col(name)).alias(name)
        for name in ("task", "model_variant")
    ]
    points = rows.with_columns(plain).select(*keys, "point_id").unique(maintain_order=True)
    return points.filter(pl.col("point_id").n_unique().over(keys) == 1)


def _counts(rows: pl.DataFrame) -> pl.DataFrame:
    """core_counts.

    Records that count attempts stay counts, for nothing is known of any one of them.
    """
    named = {"count_id": "sample_id", "n_samples": "counts_total", "n_correct": "counts_correct"}
    return rows.filter(pl.col("record_kind") == "counts").with_columns(
        **{name: pl.col(old) for name, old in named.items()}
    )


def _problem_id(row: dict[str, Any], verifier: str | None) -> str:
    """The id of a generated problem with the same words, if the words are known.

    Otherwise an id made of everything that names the problem.

    Attempts with the same source id but a different question or reference belong to a different
    problem.
    """
    importer = registered().get(row["source"])
    question = None if importer is not None and importer.rendered_prompts else row["problem_text"]
    if verifier is not None and question is not None and row["reference"] is not None:
        return make_problem(row["task"], question, row["reference"], verifier).problem_id
    own = [name for name in (row["problem_source_id"], question) if name is not None] or [
        row["problem_text"] or row["source_file"]
    ]
    reference = [] if row["reference"] is None else [row["reference"]]
    return f"{row['task']}-" + sha256_hex([row["task_version"], *own, *reference], 12)


def _problems(rows: pl.DataFrame, verifier: str | None) -> dict[str, Problem]:
    """The problems that a verifier can grade: those with a reference in the source."""
    if verifier is None:
        return {}
    found = {}
    known = rows.filter(pl.col("reference").is_not_null()).unique("problem_id", maintain_order=True)
    for row in known.select(
        "problem_id", "task", "problem_text", "reference", "cluster_id"
    ).iter_rows(named=True):
        found[row["problem_id"]] = Problem(
            row["problem_id"],
            row["task"],
            row["problem_text"] or "",
            row["reference"],
            verifier,
            row["cluster_id"],
            {},
        )
    return found


def _marked(rows: pl.DataFrame) -> pl.DataFrame:
    """Add the inputs of the verdict: has_verdict, has_failed, says_none and is_unanswered."""
    has_text = pl.col("output_text").is_not_null() | pl.col("answer").is_not_null()
    says_none = (
        pl.col("null_reasons").list.contains("answer:" + NO_ANSWER)
        | (pl.col("output_text").str.strip_chars() == "").fill_null(False)
        | (pl.col("output_text").is_null() & (pl.col("answer").str.strip_chars() == "")).fill_null(
            False
        )
    )
    has_verdict = pl.col("label_correct").is_not_null() | pl.col("label_score").is_not_null()
    marked = rows.with_columns(
        has_verdict.alias("has_verdict"),
        says_none.alias("says_none"),
        # The source's verdict takes precedence over its error flag: it knows why it graded a failed
        # sample.
        (pl.col("error").is_not_null() & ~has_verdict).alias("has_failed"),
        (has_text | says_none).any().over("point_id").alias("point_has_texts"),
    )
    is_silent = pl.col("point_has_texts") & ~has_text
    asked = (pl.col("record_kind") == "sample") & ~pl.col("has_failed")
    return marked.with_columns(
        (asked & (pl.col("says_none") | is_silent)).alias("is_unanswered"),
        finish_meaning(rows["finish_reason"]).alias("finish_reason"),
    )


def _by_verifier(
    rows: pl.DataFrame,
    problems: Mapping[str, Problem],
    unanswered: str,
    kept: Path | None,
    judges: Judges | None,
) -> pl.DataFrame:
    text, reason = pl.coalesce("output_text", "answer"), pl.col("grade_reason")
    is_asked = (pl.col("record_kind") == "sample") & ~pl.col("has_failed")
    # Whether the source found an answer is its own business here: the verifier looks for itself.
    is_silent = is_asked & pl.when(text.is_null()).then("point_has_texts").otherwise(
        text.str.strip_chars() == ""
    )
    ready = rows.with_columns(
        text.alias("own_text"),
        pl.when(is_silent).then(pl.lit("")).otherwise(text).alias("output_text"),
        pl.col("finish_reason").alias("own_finish"),
        pl.when("has_failed")
        .then(pl.lit("error"))
        .otherwise("finish_reason")
        .alias("finish_reason"),
        pl.col("cluster_id").alias("own_cluster"),
        is_silent.alias("is_silent"),
    ).drop("answer", "cluster_id")
    graded = grade_samples(ready, problems, kept=kept, judges=judges)
    is_mute = (
        is_asked
        & (reason != "unknown_problem").fill_null(True)
        & pl.col("own_text").is_null()
        & ~pl.col("is_silent")
    )
    if unanswered == "undefined":
        # What was cut off before an answer came is wrong, however empty completions count.
        is_mute = is_mute | (
            is_asked & pl.col("is_silent") & (pl.col("own_finish") != CUT_OFF).fill_null(True)
        )
    why = pl.when("is_silent").then(pl.lit("unanswered")).otherwise(pl.lit("no_text_in_source"))
    return graded.with_columns(
        *(
            pl.when(~is_mute).then(pl.col(name)).alias(name)
            for name in ("correct", "score", "answer", "answer_class")
        ),
        pl.when(is_mute)
        .then(pl.lit("error"))
        .otherwise(pl.col("parse_status"))
        .alias("parse_status"),
        pl.when(reason == "unknown_problem")
        .then(pl.lit("no_reference_in_source"))
        .when(is_mute)
        .then(why)
        .otherwise(reason)
        .alias("grade_reason"),
        pl.col("own_text").alias("output_text"),
        pl.col("own_finish").alias("finish_reason"),
        pl.coalesce("cluster_id", "own_cluster").alias("cluster_id"),
    )


def _by_label(rows: pl.DataFrame, unanswered: str) -> pl.DataFrame:
    """The source's verdict.

    Its extracted answers make classes, each with one verdict and one score.
    """
    # A score of 1 or 0 is a verdict, wherever it comes from; a score in between is an expected
    # score, not a verdict.
    rows = rows.with_columns(_without_noise(pl.col("label_score")).alias("label_score"))
    by_score = pl.when(pl.col("label_score").is_in([0.0, 1.0])).then(pl.col("label_score") == 1.0)
    label = pl.coalesce("label_correct", by_score)
    score = pl.coalesce("label_score", pl.col("label_correct").cast(pl.Float64))
    has_verdict, is_sample = pl.col("has_verdict"), pl.col("record_kind") == "sample"
    has_answer = pl.col("answer").is_not_null() & (pl.col("answer").str.strip_chars() != "")
    # A source that labels an empty sample has graded it; a source that does not has left it open.
    is_open = pl.col("is_unanswered") & ~has_verdict
    is_wrong = is_open if unanswered == "wrong" else pl.lit(False)
    if unanswered == "undefined":
        # An empty completion that its source calls wrong is treated like one that a verifier finds,
        # and a truncated one is excluded likewise.
        text = pl.col("output_text")
        is_empty = pl.when(text.is_null()).then("point_has_texts").otherwise(
            text.str.strip_chars() == ""
        ) & ~has_answer.fill_null(False)
        is_cut = (pl.col("finish_reason") == CUT_OFF).fill_null(False)
        is_left_out = (
            is_sample & ~pl.col("has_failed") & is_empty & ~is_cut & (score == 0).fill_null(False)
        )
        label, score = (pl.when(~is_left_out).then(value) for value in (label, score))
        has_verdict, is_open = has_verdict & ~is_left_out, is_open | is_left_out
    is_parsed = has_verdict & has_answer
    key = pl.when(is_parsed).then(pl.struct("answer", label.alias("verdict"), "label_score"))
    gave_none = (
        has_verdict
        & is_sample
        & ~label.fill_null(False)
        & (pl.col("output_text").is_not_null() | pl.col("says_none"))
    )
    return rows.with_columns(
        pl.when(is_wrong).then(pl.lit(False)).otherwise(label).alias("correct"),
        pl.when(is_wrong).then(0.0).otherwise(score).alias("score"),
        pl.when(is_parsed)
        .then(pl.lit("parsed"))
        .when(gave_none | is_wrong)
        .then(pl.lit("no_answer"))
        .otherwise(pl.lit("error"))
        .alias("parse_status"),
        pl.when(label.is_not_null())
        .then(pl.lit(_LABEL_REASON))
        .when(has_verdict)
        .then(pl.lit(_SCORE_REASON))
        .when(is_open)
        .then(pl.lit("unanswered"))
        .otherwise(pl.lit("no_verdict_in_source"))
        .alias("grade_reason"),
        pl.when(has_answer).then(pl.col("answer")).alias("answer"),
        pl.when(is_parsed)
        .then(key.rank("dense").over("task", "problem_id") - 1)
        .cast(pl.Int32)
        .alias("answer_class"),
    )


def _without_noise(score: pl.Expr) -> pl.Expr:
    """Round scores that float sums left close to 0 or 1 to 0 or 1."""
    ends = [pl.when((score - end).abs() <= SCORE_NOISE).then(pl.lit(end)) for end in (0.0, 1.0)]
    return pl.coalesce(*ends, score)


def _numbered(rows: pl.DataFrame) -> pl.DataFrame:
    """Number every attempt at a problem in its run, and among all attempts of the import.

    Within a run it is the source's own number if that numbers all attempts without duplicates,
    otherwise the position in its file: a run in two files occurs twice. A duplicate number within a
    run is the same attempt: the first that did not fail counts. Attempts of several runs are
    numbered consecutively, run after run.
    """
    ordered = rows.sort(
        "import_id", "record_index", "sample_index", nulls_last=True, maintain_order=True
    )
    attempts, own = ("point_id", "problem_id"), pl.col("own")
    group = (*attempts, "run_key")
    # Files that together form one run name none, and contain different attempts.
    file = pl.when(pl.col("source_run").is_not_null()).then(pl.col("source_file"))
    first = ordered.with_columns(
        pl.col("sample_index").is_not_null().all().over(group).alias("is_complete"),
        pl.int_range(pl.len(), dtype=pl.Int64).over(group).alias("position"),
        pl.int_range(pl.len(), dtype=pl.Int64).over(*group, file).alias("place"),
        pl.col("error").is_not_null().alias("has_failed"),
    ).with_columns(
        pl.when("is_complete")
        .then(pl.col("sample_index").cast(pl.Int64))
        .otherwise("place")
        .alias("own")
    )
    is_again = ~pl.struct(*group, "own").is_first_distinct()
    again = first.sort("has_failed", maintain_order=True).with_columns(
        is_again.alias("is_duplicate")
    )
    marked = again.sort(
        "import_id", "record_index", "sample_index", nulls_last=True, maintain_order=True
    )
    beyond = own.max().over(group) + 1 + pl.col("position")
    numbered = marked.with_columns(
        pl.when("is_duplicate").then(beyond).otherwise(own).alias("index_in_run")
    )
    runs = numbered.group_by(group, maintain_order=True).agg(pl.col("index_in_run").max() + 1)
    before = pl.col("index_in_run").cum_sum().over(attempts) - pl.col("index_in_run")
    offsets = runs.select(*group, before.alias("offset"))
    placed = numbered.join(offsets, on=list(group), how="left", maintain_order="left")
    return placed.with_columns(
        (pl.col("index_in_run") + pl.col("offset")).cast(pl.Int32).alias("sample_index")
    )


def _closed(rows: pl.DataFrame) -> pl.DataFrame:
    """The remaining columns of core_samples, and the reasons against a row."""
    failed = pl.col("has_failed")
    finish = (
        pl.when(failed & pl.col("finish_reason").is_null())
        .then(pl.lit("error"))
        .otherwise(pl.col("finish_reason"))
    )
    could_judge = pl.col("record_kind") == "sample"
    # A replaced or withdrawn attempt is not a failure: it is not in the denominator, however
    # failures count.
    is_replaced, is_invalidated = (
        pl.col("null_reasons").list.contains(f"record:{code}") for code in (REPLACED, INVALIDATED)
    )
    codes = [
        pl.when(failed & ~is_replaced & ~is_invalidated).then(pl.lit("failed_in_source")),
        pl.when(is_invalidated).then(pl.lit("invalidated_in_source")),
        pl.when(pl.col("is_duplicate") | is_replaced).then(pl.lit("duplicate_in_source")),
        pl.when(
            could_judge & pl.col("correct").is_null() & pl.col("score").is_null() & ~failed
        ).then(pl.lit("not_judged")),
    ]
    reasons = pl.concat_list(codes).list.drop_nulls().list.unique().list.sort()
    tokens = pl.when(pl.col("output_tokens") > 0).then(pl.col("output_tokens"))
    hashes = [None if text is None else text_hash(text) for text in rows["output_text"]]
    nothing = {
        column.name: pl.lit(None)
        for column in table("core_samples").columns
        if column.name not in rows.columns
    }
    known = rows.with_columns(pl.Series("completion_hash", hashes, pl.String)).with_columns(
        finish.alias("finish_reason"), reasons.alias("invalid_reasons")
    )
    gap = pl.coalesce("inter_token_s", mean_gap())
    filled = {
        "sample_id": _SAMPLE_ID,
        "session_id": pl.col("import_id"),
        "run_id": pl.col("import_id"),
        "attempt": pl.lit(1, pl.Int32),
        "is_valid": pl.col("invalid_reasons").list.len() == 0,
        "is_truncated": pl.col("finish_reason") == "length",
        "logprob_mean": pl.col("logprob_sum") / tokens,
        "external_score": pl.col("verifier_score"),
        "n_calls": pl.lit(1, pl.Int32),
        "machine": pl.coalesce(
            pl.col("condition").str.json_path_match("$.hardware"),
            pl.concat_str(pl.lit("unnamed, of run "), pl.col("run_key")),
        ),
        "cost_method": pl.when(pl.col("cost_usd").is_not_null()).then(pl.lit("reported_by_source")),
        "costs_unknown_reasons": pl.concat_list(
            *(pl.lit(f"{name}: {NO_CARDS_IN_SOURCE}") for name in NOT_OF_SOURCE),
            pl.when(pl.col("cost_usd").is_null()).then(pl.lit("cost_usd: not in the source")),
            REASONS,
            *(
                pl.when(
                    value.is_null()
                    & ~pl.col(REASONS)
                    .list.eval(pl.element().str.starts_with(f"{name}: "))
                    .list.any()
                ).then(pl.lit(f"{name}: not in the source"))
                for name, value in (("ttft_s", pl.col("ttft_s")), ("inter_token_s", gap))
            ),
        ).list.drop_nulls(),
        # If the source omits the gap, the ends of the record determine it.
        "inter_token_s": gap,
    }
    schema = polars_schema(table("core_samples"))
    unknown = {
        name: value.cast(schema[name])
        for name, value in nothing.items()
        if name not in filled and name not in known.columns
    }
    return with_own_costs(known.with_columns(**unknown).with_columns(**filled))
