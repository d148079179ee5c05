"""out_item_statistics from graded samples.

Lives here: which configurations are subjects, the matrix of subjects x problems, statistics, flags
and subset as columns. Not here: numerics (``isocost.items``), responses (``responses``), repeated
measurements (``reruns``).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from isocost.errors import IsocostError
from isocost.frontier import benjamini_hochberg
from isocost.items import (
    blind_p_value,
    difficulty,
    discriminative_subset,
    fit_two_pl,
    item_information,
    kr20,
    negative_discrimination_p,
    normalised_discrimination,
    point_biserial,
    rest_correlation,
)
from isocost.schema.frames import conform, empty
from isocost.tables.tallies import graded as judged

# Below this many subjects the priors of the 2PL fit decide more than the answers (estimates then
# say nothing about the items).
IRT_SUBJECTS = 20
# A correlation needs three subjects before its test has a degree of freedom.
CORRELATION_SUBJECTS = 3
# Two to choose on and two to check on.
SUBSET_SUBJECTS = 4
SUBSET_SHARE = 0.25
SIGNIFICANCE = 0.05
# Weak negative correlations occur by chance on large tasks even after adjustment; a suspect label
# needs more than that.
SUSPECT_CORRELATION = -0.2
CONSENSUS_RATIO = 0.5
CONSENSUS_MODELS = 2
BLIND_PROMPTS = ("blind",)
NEEDED = (
    "sample_id",
    "point_id",
    "problem_id",
    "task",
    "model_variant",
    "prompt",
    "is_valid",
    "correct",
    "output_tokens",
    "answer",
)


def build_item_statistics(
    samples: pl.DataFrame,
    *,
    counts: pl.DataFrame | None = None,
    blind_prompts: tuple[str, ...] = BLIND_PROMPTS,
    chance: Mapping[str, float] | None = None,
) -> pl.DataFrame:
    """Compute difficulty, discrimination and flags of every problem.

    Args:
        samples: core_samples; valid graded rows are used, partial credit at its score.
        counts: core_counts, used with them; none if None.
        blind_prompts: names of prompts that hide the question's essence; their points are not
            subjects.
        chance: probability of guessing right per task, if known.

    Returns:
        out_item_statistics.

    Raises:
        IsocostError: a column is missing.
    """
    used = pl.concat([_cells(graded(samples)), *([] if counts is None else [_counted(counts)])])
    if used.is_empty():
        return empty("out_item_statistics")
    is_blind = pl.col("prompt").is_in(list(blind_prompts)).fill_null(False)
    blind = used.filter(is_blind)
    frames = []
    for (task,), seeing in sorted(
        used.filter(~is_blind).partition_by("task", as_dict=True).items()
    ):
        answers = _consensus(graded(samples).filter(pl.col("task") == task).filter(~is_blind))
        frames.append(
            _task_frame(
                task,
                seeing,
                blind.filter(pl.col("task") == task),
                answers,
                (chance or {}).get(task),
            )
        )
    return (
        conform(pl.concat(frames, how="vertical_relaxed"), "out_item_statistics")
        if frames
        else empty("out_item_statistics")
    )


def graded(samples: pl.DataFrame) -> pl.DataFrame:
    """Valid graded samples with their value, by sample_id.

    Raises when a column that this file reads is missing.
    """
    for name in (
        "sample_id",
        "point_id",
        "problem_id",
        "task",
        "model_variant",
        "prompt",
        "is_valid",
        "correct",
        "output_tokens",
        "answer",
    ):
        if name not in samples.columns:
            raise IsocostError(
                f"column {name} is missing",
                where="core_samples",
                remedy="See docs/data-dictionary.md.",
            )
    return judged(samples).sort("sample_id")


def _cells(samples: pl.DataFrame) -> pl.DataFrame:
    """Mean value and tokens of each configuration at each problem.

    In order of the first sample's id.
    """
    return samples.group_by(
        "task", "point_id", "model_variant", "prompt", "problem_id", maintain_order=True
    ).agg(
        pl.col("worth").mean().alias("correct"),
        pl.len().cast(pl.Int64).alias("n"),
        pl.col("worth").sum().alias("total"),
        pl.col("is_partial").any(),
        pl.col("output_tokens").mean().alias("tokens"),
    )


def _counted(counts: pl.DataFrame) -> pl.DataFrame:
    """The same for counts, which have no tokens."""
    key = ("task", "point_id", "model_variant", "prompt", "problem_id")
    return (
        counts.filter(pl.col("n_samples") > 0)
        .group_by(key, maintain_order=True)
        .agg(
            (pl.col("n_correct").sum() / pl.col("n_samples").sum()).alias("correct"),
            pl.col("n_samples").sum().alias("n"),
            pl.col("n_correct").sum().cast(pl.Float64).alias("total"),
            pl.lit(False).alias("is_partial"),
            pl.lit(None, pl.Float64).alias("tokens"),
        )
    )


def _task_frame(
    task: str,
    seeing: pl.DataFrame,
    blind: pl.DataFrame,
    answers: pl.DataFrame,
    chance: float | None,
) -> pl.DataFrame:
    cells = seeing
    problems = cells["problem_id"].unique().sort()
    asked = cells.group_by("point_id").agg(pl.len().alias("asked"))
    full = asked.filter(pl.col("asked") == len(problems))["point_id"]
    cells = cells.filter(pl.col("point_id").is_in(full.to_list())).sort("point_id", "problem_id")
    subjects = cells.select("point_id", "model_variant").unique(maintain_order=True)
    height = subjects.height
    if height == 0:
        # No configuration has every problem: only difficulty, over the available ones.
        only = seeing.group_by("problem_id", maintain_order=True).agg(
            (pl.col("total").sum() / pl.col("n").sum()).alias("solved_ratio"),
            pl.col("n").sum().alias("n_samples"),
        )
        matrix = np.zeros((0, len(problems)))
        base = only.sort("problem_id")
    else:
        matrix = cells["correct"].to_numpy().reshape(height, -1)
        counts = (
            cells.group_by("problem_id")
            .agg(pl.col("n").sum().alias("n_samples"))
            .sort("problem_id")
        )
        base = counts.select(
            "problem_id", pl.Series("solved_ratio", difficulty(matrix)), "n_samples"
        )
    models = subjects["model_variant"].to_list()
    tokens = (
        cells["tokens"].to_numpy().reshape(height, -1) if height else np.zeros((0, len(problems)))
    )
    columns = {**_correlations(matrix), **_irt(matrix), **_subset(matrix, models, tokens)}
    frame = base.with_columns(
        pl.lit(task).alias("task"),
        pl.lit(height).alias("n_subjects"),
        pl.lit(len(set(models))).alias("n_models"),
        *(_column(name, values) for name, values in columns.items()),
    )
    frame = frame.join(_blind(blind, chance), on="problem_id", how="left").join(
        answers, on="problem_id", how="left"
    )
    return _flagged(frame.with_columns(pl.col("n_blind_samples").fill_null(0)))


def _column(name: str, values: object) -> pl.Expr | pl.Series:
    """A constant, or a column of numbers or texts; NaN, which means undefined, becomes NULL."""
    if isinstance(values, list):
        return pl.Series(name, values, dtype=pl.String)
    if isinstance(values, np.ndarray):
        series = pl.Series(name, values)
        return series.fill_nan(None) if series.dtype.is_float() else series
    kind = (
        pl.String
        if name.endswith(("reason", "cost", "split"))
        else pl.Boolean
        if name.startswith("is_")
        else pl.Float64
    )
    return pl.lit(
        None if isinstance(values, float) and np.isnan(values) else values, dtype=kind
    ).alias(name)


def _correlations(matrix: np.ndarray) -> dict[str, object]:
    subjects = len(matrix)
    if subjects < CORRELATION_SUBJECTS:
        reason = (
            f"needs {CORRELATION_SUBJECTS} configurations that answered every problem, has"
            f" {subjects}"
        )
        names = ("point_biserial", "rest_correlation", "rest_correlation_p_negative", "task_kr20")
        return {**dict.fromkeys(names), "undefined_reason": reason}
    rest = rest_correlation(matrix)
    reasons = [
        "the problem or the rest of the task does not vary over configurations" if gone else None
        for gone in np.isnan(rest)
    ]
    return {
        "point_biserial": point_biserial(matrix),
        "rest_correlation": rest,
        "rest_correlation_p_negative": benjamini_hochberg(
            negative_discrimination_p(rest, subjects)
        ),
        "task_kr20": kr20(matrix),
        "undefined_reason": reasons,
    }


def _irt(matrix: np.ndarray) -> dict[str, object]:
    subjects, items = matrix.shape
    names = ("irt_discrimination", "irt_difficulty", "irt_information", "task_discrimination_ratio")
    if subjects < IRT_SUBJECTS or items < 2:
        return {
            **dict.fromkeys(names),
            "irt_reason": (
                f"needs {IRT_SUBJECTS} configurations and 2 problems, has {subjects} and {items}"
            ),
        }
    fit = fit_two_pl(matrix)
    if not fit.converged:
        return {**dict.fromkeys(names), "irt_reason": "the fit did not converge"}
    a, b = fit.discrimination, fit.difficulty
    values = (
        a,
        b,
        item_information(fit.ability[:, None], a, b).mean(axis=0),
        normalised_discrimination(fit.ability, a, b),
    )
    return {**dict(zip(names, values, strict=True)), "irt_reason": None}


def _subset(matrix: np.ndarray, models: list[str], tokens: np.ndarray) -> dict[str, object]:
    names = (
        "is_in_subset",
        "subset_kendall_tau",
        "subset_largest_difference",
        "subset_speed_up",
        "subset_cost",
        "subset_split",
    )
    if len(matrix) < SUBSET_SUBJECTS or matrix.shape[1] < SUBSET_SUBJECTS:
        return {
            **dict.fromkeys(names),
            "subset_reason": (
                f"needs {SUBSET_SUBJECTS} configurations and problems, has {matrix.shape}"
            ),
        }
    half_of = {model: number % 2 for number, model in enumerate(sorted(set(models)))}
    half = np.array([half_of[model] for model in models])
    split = "models"
    if min((half == 0).sum(), (half == 1).sum()) < 2:
        half, split = np.arange(len(matrix)) % 2, "configurations"
    known = bool(np.isfinite(tokens).all() and (tokens.mean(axis=0) > 0).all())
    costs = tokens.mean(axis=0) if known else np.ones(matrix.shape[1])
    found = discriminative_subset(matrix[half == 0], matrix[half == 1], costs, share=SUBSET_SHARE)
    chosen = np.zeros(matrix.shape[1], dtype=bool)
    chosen[found.items] = True
    values = (
        chosen,
        found.kendall_tau,
        found.largest_difference,
        found.speed_up,
        "output_tokens" if known else "problems",
        split,
    )
    return {**dict(zip(names, values, strict=True)), "subset_reason": None}


def _blind(blind: pl.DataFrame, chance: float | None) -> pl.DataFrame:
    shares = pl.col("total").sum() / pl.col("n").sum()
    per_model = blind.group_by("problem_id", "model_variant", maintain_order=True).agg(
        shares.alias("share")
    )
    most = per_model.group_by("problem_id").agg(
        (pl.col("share") >= 0.5).mean().alias("models_solving")
    )
    seen = blind.group_by("problem_id", maintain_order=True).agg(
        pl.col("n").sum().alias("n_blind_samples"),
        pl.col("total").sum().alias("blind_correct"),
        pl.col("is_partial").any(),
    )
    seen = seen.join(most, on="problem_id", how="left").sort("problem_id")
    p_values = [None] * seen.height
    if chance is not None and seen.height:
        # Partial credit is not a count of right answers, and has no binomial test.
        raw = blind_p_value(
            np.floor(seen["blind_correct"].to_numpy()), seen["n_blind_samples"].to_numpy(), chance
        )
        adjusted = benjamini_hochberg(np.where(seen["is_partial"].to_numpy(), np.nan, raw))
        p_values = [None if np.isnan(p) else float(p) for p in adjusted]
    tested = (
        pl.col("blind_p_value") < SIGNIFICANCE
        if chance is not None
        else pl.col("models_solving") > 0.5
    )
    return seen.with_columns(
        (pl.col("blind_correct") / pl.col("n_blind_samples")).alias("blind_solved_ratio"),
        pl.Series("blind_p_value", p_values, dtype=pl.Float64),
    ).select(
        "problem_id",
        "n_blind_samples",
        "blind_solved_ratio",
        "blind_p_value",
        tested.alias("is_blind_solvable"),
    )


def _consensus(seeing: pl.DataFrame) -> pl.DataFrame:
    """Most frequent answer per problem, its share, its models, and whether it was ever right."""
    answered = seeing.filter(pl.col("answer").is_not_null())
    answers = answered.group_by("problem_id", "answer").agg(
        pl.len().alias("n"),
        pl.col("model_variant").n_unique().alias("models"),
        (pl.col("worth") > 0).any().alias("was_right"),
    )
    answers = answers.with_columns(
        (pl.col("n") / pl.col("n").sum().over("problem_id")).alias("consensus_ratio")
    )
    best = answers.sort(["problem_id", "n", "answer"], descending=[False, True, False]).unique(
        "problem_id", keep="first", maintain_order=True
    )
    wrong = (
        (pl.col("consensus_ratio") >= CONSENSUS_RATIO)
        & (pl.col("models") >= CONSENSUS_MODELS)
        & ~pl.col("was_right")
    )
    return best.select(
        "problem_id",
        pl.col("answer").alias("consensus_answer"),
        "consensus_ratio",
        wrong.alias("consensus_wrong"),
    )


def _flagged(frame: pl.DataFrame) -> pl.DataFrame:
    negative = (pl.col("rest_correlation") <= SUSPECT_CORRELATION) & (
        pl.col("rest_correlation_p_negative") < SIGNIFICANCE
    )
    reasons = pl.concat_list(
        pl.when(flag.fill_null(False)).then(pl.lit(name))
        for name, flag in (
            ("negative_discrimination", negative),
            ("consensus_wrong", pl.col("consensus_wrong")),
        )
    ).list.drop_nulls()
    return frame.with_columns(
        reasons.alias("suspect_reasons"), (reasons.list.len() > 0).alias("is_label_suspect")
    ).drop("consensus_wrong")
