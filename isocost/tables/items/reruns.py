"""out_reproducibility and out_regressions: the same thing measured again.

Lives here: which runs belong together, what differs between them, the comparison as rows. Not here:
divergence and spreads (``isocost.items``), paired tests (``isocost.frontier``).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import polars as pl

from isocost.errors import IsocostError
from isocost.frontier import benjamini_hochberg, paired_comparison
from isocost.items import divergence_index, mean_spread, top1_spread
from isocost.schema.frames import conform, empty
from isocost.tables.tallies import WORTH, scored

SIGNIFICANCE = 0.05
DIMENSIONS = {
    "batch": ("max_num_seqs", "max_num_batched_tokens"),
    "dtype": ("dtype",),
    "engine_version": ("engine_version",),
    "device": ("device",),
}
# Settings that make a different question, not another run of the same.
_IDENTITY = ("task", "model", "prompt", "max_tokens", "quantization")
_RUNTIME = tuple(name for names in DIMENSIONS.values() for name in names)
_SAMPLING = (
    "task",
    "model_variant",
    "prompt",
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "max_tokens",
)
_ENGINE = (
    "engine",
    "dtype",
    "quantization",
    "model_revision",
    "max_num_seqs",
    "max_num_batched_tokens",
    "max_model_len",
)
_VERSIONS = ("engine_version", "device", "isocost_version")
METRICS = {
    "accuracy": ("ratio", 1),
    "output_tokens": ("tokens", -1),
    "latency_s": ("s", -1),
    "energy_j": ("J", -1),
}


def build_reproducibility(
    samples: pl.DataFrame,
    points: pl.DataFrame,
    sessions: pl.DataFrame,
    tokens: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Compare greedy runs of the same problems that differ in one setting, or in nothing.

    Batch, number format, engine version or device.

    Args:
        samples: core_samples; valid rows of points with temperature 0 are used.
        points: core_points.
        sessions: core_sessions; the latest run of a session determines engine version and device.
        tokens: optional sample_id, output_token_ids and, where banked, token_logprobs; without it
            only hashes are compared.

    Returns:
        out_reproducibility, one row for each group of at least two runs.
    """
    runs = _greedy_runs(scored(samples), points, sessions)
    if tokens is not None:
        told = tokens.select(
            "sample_id",
            "output_token_ids",
            *(c for c in ("token_logprobs",) if c in tokens.columns),
        )
        runs = runs.join(told, on="sample_id", how="left", maintain_order="left")
    rows = []
    for varied in (*DIMENSIONS, "repeat", "any"):
        moving = DIMENSIONS.get(varied, () if varied == "repeat" else _RUNTIME)
        fixed = [name for name in (*_IDENTITY, *_RUNTIME) if name not in moving]
        for group in _groups(runs, fixed):
            row = _reproducibility_row(group, varied, moving, fixed)
            rows += [row] if row is not None else []
    if not rows:
        return empty("out_reproducibility")
    return conform(
        pl.DataFrame(rows, schema=empty("out_reproducibility").schema), "out_reproducibility"
    )


def _greedy_runs(
    samples: pl.DataFrame, points: pl.DataFrame, sessions: pl.DataFrame
) -> pl.DataFrame:
    revision = (
        pl.when(pl.col("model_revision").is_not_null())
        .then(pl.format("@{}", "model_revision"))
        .otherwise(pl.lit(""))
    )
    greedy = points.filter(pl.col("temperature") == 0).with_columns(
        pl.coalesce(pl.concat_str("model_path", revision), "model_variant").alias("model")
    )
    wanted = [
        "point_id",
        "session_id",
        "model",
        "max_tokens",
        "quantization",
        "max_num_seqs",
        "max_num_batched_tokens",
        "dtype",
    ]
    told = greedy.select(wanted).join(_latest(sessions), on="session_id", how="left")
    valid = samples.filter(pl.col("is_valid")).join(
        told, on=["point_id", "session_id"], how="inner"
    )
    return valid.sort("sample_id").with_columns(
        pl.format("{}/{}/{}", "point_id", "session_id", "sample_index").alias("run")
    )


def _latest(sessions: pl.DataFrame) -> pl.DataFrame:
    ordered = sessions.sort(["session_id", "attempt", "run_id"])
    return ordered.unique("session_id", keep="last", maintain_order=True).select(
        "session_id", "engine_version", "device"
    )


def _groups(runs: pl.DataFrame, fixed: list[str]) -> list[pl.DataFrame]:
    if runs.is_empty():
        return []
    keyed = runs.with_columns(pl.struct(fixed).struct.json_encode().alias("group"))
    return [
        part
        for _, part in sorted(
            keyed.partition_by("group", as_dict=True, maintain_order=True).items()
        )
    ]


def _reproducibility_row(
    group: pl.DataFrame, varied: str, moving: tuple[str, ...], fixed: list[str]
) -> dict[str, Any] | None:
    value = (
        pl.concat_str(
            [pl.col(name).cast(pl.String).fill_null("unknown") for name in moving], separator="/"
        )
        if moving
        else pl.col("run")
    )
    named = group.with_columns((pl.col("run") if varied == "any" else value).alias("value"))
    # One run for each value, the first, so that repeats do not count as variation of something
    # else.
    chosen = named.group_by("value").agg(pl.col("run").min()).sort("value")
    if chosen.height < 2 or (
        varied == "any" and named.select(pl.struct(moving).n_unique()).item() < 2
    ):
        return None
    table = named.join(chosen, on=["value", "run"], how="semi", maintain_order="left")
    common = (
        table.group_by("problem_id")
        .agg(pl.col("run").n_unique().alias("runs"))
        .filter(pl.col("runs") == chosen.height)
    )
    table = table.join(
        common.select("problem_id"), on="problem_id", how="semi", maintain_order="left"
    ).sort("value", "problem_id")
    if table.is_empty():
        return None
    shape = (chosen.height, common.height)
    first = group.row(0, named=True)
    shared = json.dumps(
        {name: first[name] for name in fixed if name not in ("task", "model", "prompt")},
        sort_keys=True,
    )
    identity = {
        "task": first["task"],
        "model": first["model"],
        "prompt": first["prompt"],
        "varied": varied,
    }
    digest = hashlib.sha256(json.dumps([*identity.values(), shared]).encode()).hexdigest()[:16]
    row = {
        "group_id": f"rp-{digest}",
        **identity,
        "fixed": shared,
        "varied_values": chosen["value"].to_list(),
    }
    return (
        row
        | {"n_runs": shape[0], "n_problems": shape[1]}
        | _spreads(table, shape)
        | _divergence(table, shape)
    )


def _spreads(table: pl.DataFrame, shape: tuple[int, int]) -> dict[str, Any]:
    accuracy = table.select(WORTH.alias("worth"))["worth"].to_numpy().reshape(shape).mean(axis=1)
    known = bool(np.isfinite(accuracy).all())
    length = table["output_tokens"].cast(pl.Float64).to_numpy().reshape(shape)
    return {
        "accuracy_min": float(accuracy.min()) if known else None,
        "accuracy_max": float(accuracy.max()) if known else None,
        "accuracy_std": float(accuracy.std(ddof=1)) if known else None,
        "output_tokens_std": mean_spread(length) if np.isfinite(length).all() else None,
    }


def _divergence(table: pl.DataFrame, shape: tuple[int, int]) -> dict[str, Any]:
    ids = table["output_token_ids"] if "output_token_ids" in table.columns else None
    names: tuple[str, ...] = (
        "divergence_index_min",
        "divergence_index_median",
        "divergence_index_mean",
        "top1_probability_std",
    )
    blank: dict[str, Any] = dict.fromkeys(names)
    if ids is not None and ids.null_count() == 0:
        responses = ids.to_list()
        found = [divergence_index(responses[column :: shape[1]]) for column in range(shape[1])]
        split = np.array([index for index in found if index is not None])
        if len(split):
            blank |= {
                "divergence_index_min": int(split.min()),
                "divergence_index_median": float(np.median(split)),
                "divergence_index_mean": float(split.mean()),
            }
        blank["top1_probability_std"] = _top1(table, shape, found)
        return {
            "n_diverging": len(split),
            "diverging_ratio": len(split) / shape[1],
            "divergence_method": "token_ids",
        } | blank
    if table["completion_hash"].null_count():
        return {"n_diverging": None, "diverging_ratio": None, "divergence_method": None} | blank
    hashes = np.array(table["completion_hash"].to_list()).reshape(shape)
    split = int((hashes != hashes[0]).any(axis=0).sum())
    return {
        "n_diverging": split,
        "diverging_ratio": split / shape[1],
        "divergence_method": "completion_hash",
    } | blank


def _top1(
    table: pl.DataFrame, shape: tuple[int, int], divergence: list[int | None]
) -> float | None:
    """Avg_Std@top1_prob.

    A greedy token is the most likely one, so that its probability is the top-1 probability; None
    where not banked.
    """
    banked = table["token_logprobs"] if "token_logprobs" in table.columns else None
    if (
        banked is None
        or banked.null_count()
        or (banked.list.len() != table["output_token_ids"].list.len()).any()
    ):
        return None
    values = banked.to_list()
    spreads = []
    for column, index in enumerate(divergence):
        runs = values[column :: shape[1]]
        until = min(len(run) for run in runs) if index is None else index
        if until:
            spreads.append(top1_spread(np.exp(np.array([run[:until] for run in runs])), None))
    return float(np.mean(spreads)) if spreads else None


def build_regressions(
    samples: pl.DataFrame,
    points: pl.DataFrame,
    sessions: pl.DataFrame,
    *,
    counts: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Compare every later measurement of a configuration with its first one, problem by problem.

    A measurement is one point in one session; two measure the same configuration when task, model
    variant, prompt and sampling agree. Engine settings and versions may differ and are reported.

    Args:
        samples: core_samples; valid rows are used, accuracy only where graded.
        points: core_points.
        sessions: core_sessions; tells when a session first started, its versions and its device.
        counts: core_counts, of which only the accuracy is known; none if None.

    Returns:
        out_regressions, one row for each metric of each later measurement.

    Raises:
        IsocostError: a point is described twice for one session.
    """
    if points.select(pl.struct("point_id", "session_id").is_duplicated().any()).item():
        raise IsocostError(
            "a point is duplicated in one session",
            where="core_points",
            remedy="Rebuild core_points.",
        )
    started = sessions.group_by("session_id").agg(pl.col("started_unix_s").min().alias("began"))
    latest = sessions.sort(["session_id", "attempt", "run_id"]).unique(
        "session_id", keep="last", maintain_order=True
    )
    measured = points.join(started, on="session_id", how="left").join(
        latest.select("session_id", *_VERSIONS), on="session_id", how="left"
    )
    means = _problem_means(scored(samples))
    if counts is not None:
        means = pl.concat([means, _counted_means(counts)], how="diagonal").sort(
            "point_id", "session_id", "problem_id"
        )
    measured = measured.join(
        means.select("point_id", "session_id").unique(), on=["point_id", "session_id"], how="semi"
    )
    ordered = measured.with_columns(
        pl.struct(_SAMPLING).struct.json_encode().alias("configuration")
    ).sort(["configuration", "began", "session_id", "point_id"], nulls_last=True)
    cells = {
        key: part
        for key, part in means.partition_by(
            "point_id", "session_id", as_dict=True, maintain_order=True
        ).items()
    }
    rows: list[dict[str, Any]] = []
    for _, same in groupby(ordered.iter_rows(named=True), key=lambda row: row["configuration"]):
        first, *later = same
        drafts: list[_Draft] = []
        for candidate in later:
            drafts += _regression_rows(
                first,
                candidate,
                *(cells[row["point_id"], row["session_id"]] for row in (first, candidate)),
            )
        rows += _tested(drafts)
    if not rows:
        return empty("out_regressions")
    return conform(_judged(pl.DataFrame(rows, schema=_drafted())), "out_regressions")


def _drafted() -> dict[str, pl.DataType]:
    return {
        name: kind
        for name, kind in empty("out_regressions").schema.items()
        if name not in ("p_value_bh", "verdict")
    }


def _problem_means(samples: pl.DataFrame) -> pl.DataFrame:
    return (
        samples.filter(pl.col("is_valid"))
        .sort("sample_id")
        .group_by("point_id", "session_id", "problem_id", maintain_order=True)
        .agg(
            WORTH.mean().alias("accuracy"),
            *(pl.col(name).cast(pl.Float64).mean() for name in METRICS if name != "accuracy"),
            pl.col("energy_method").drop_nulls().unique().sort().str.join("+"),
        )
        .sort("point_id", "session_id", "problem_id")
    )


def _counted_means(counts: pl.DataFrame) -> pl.DataFrame:
    key = ("point_id", "session_id", "problem_id")
    share = pl.col("n_correct").sum() / pl.col("n_samples").sum()
    return (
        counts.filter(pl.col("n_samples") > 0)
        .group_by(key, maintain_order=True)
        .agg(share.alias("accuracy"))
    )


@dataclass
class _Draft:
    """A row, and the values before and after of every common problem to be tested."""

    row: dict[str, Any]
    before: np.ndarray | None = None
    after: np.ndarray | None = None


def _regression_rows(
    first: dict[str, Any],
    candidate: dict[str, Any],
    before: pl.DataFrame,
    after: pl.DataFrame,
) -> list[_Draft]:
    changed = {
        name: [first[name], candidate[name]]
        for name in (*_ENGINE, *_VERSIONS)
        if first[name] != candidate[name]
    }
    head = {
        **{name: candidate[name] for name in ("task", "model_variant", "prompt")},
        "baseline_point_id": first["point_id"],
        "baseline_session_id": first["session_id"],
        "candidate_point_id": candidate["point_id"],
        "candidate_session_id": candidate["session_id"],
        "changed": json.dumps(changed, sort_keys=True),
    }
    both = before.join(after, on="problem_id", how="inner", suffix="_after").sort("problem_id")
    drafts = [_difference(both, name) for name in METRICS]
    for draft, (name, (unit, _)) in zip(drafts, METRICS.items(), strict=True):
        draft.row = head | {"metric": name, "metric_unit": unit} | draft.row
    return drafts


def _difference(both: pl.DataFrame, metric: str) -> _Draft:
    before, after = (
        both[metric].to_numpy(),
        both[f"{metric}_after"].to_numpy(),
    )  # an unknown value is NaN there
    known = ~(np.isnan(before) | np.isnan(after))
    before, after = before[known], after[known]
    unknown: tuple[str, ...] = (
        "baseline_mean",
        "candidate_mean",
        "difference",
        "difference_low",
        "difference_high",
        "p_value",
    )
    row: dict[str, Any] = dict.fromkeys(unknown)
    row |= {"n_problems": len(before), "undefined_reason": None}
    if (
        metric == "energy_j"
        and both.filter(known)
        .filter(pl.col("energy_method") != pl.col("energy_method_after"))
        .height
    ):
        return _Draft(
            row
            | {
                "undefined_reason": (
                    "energy was obtained by different methods, which are never compared"
                )
            }
        )
    if not len(before):
        return _Draft(
            row | {"undefined_reason": "no problem has a known value in both measurements"}
        )
    row |= {
        "baseline_mean": float(before.mean()),
        "candidate_mean": float(after.mean()),
        "difference": float((after - before).mean()),
    }
    if len(before) < 2:
        return _Draft(row | {"undefined_reason": "a single common problem shows no spread"})
    return _Draft(row, before, after)


def _tested(drafts: list[_Draft]) -> list[dict[str, Any]]:
    """The rows with intervals and p-values; those with as many problems are tested together."""
    sizes = {len(draft.before) for draft in drafts if draft.before is not None}
    for size in sorted(sizes):
        mine = [draft for draft in drafts if draft.before is not None and len(draft.before) == size]
        found = paired_comparison(
            np.array([draft.after for draft in mine]), np.array([draft.before for draft in mine])
        )
        for draft, low, high, p_value in zip(
            mine, found.low, found.high, found.p_value, strict=True
        ):
            draft.row |= {"difference_low": float(low), "difference_high": float(high)}
            told = (
                {"undefined_reason": "every problem changed by the same amount"}
                if np.isnan(p_value)
                else {"p_value": float(p_value)}
            )
            draft.row |= told
    return [draft.row for draft in drafts]


def _judged(rows: pl.DataFrame) -> pl.DataFrame:
    """Add the adjusted p-value over each task's rows and the verdict."""
    parts = []
    for _, part in sorted(rows.partition_by("task", as_dict=True, maintain_order=True).items()):
        adjusted = benjamini_hochberg(part["p_value"].fill_null(float("nan")).to_numpy())
        parts.append(part.with_columns(pl.Series("p_value_bh", adjusted).fill_nan(None)))
    better = (
        pl.col("difference")
        * pl.col("metric").replace_strict({name: sign for name, (_, sign) in METRICS.items()})
        > 0
    )
    shown = pl.col("p_value_bh") < SIGNIFICANCE
    verdict = (
        pl.when(pl.col("p_value_bh").is_null())
        .then(pl.lit("unknown"))
        .when(shown & better)
        .then(pl.lit("better"))
        .when(shown)
        .then(pl.lit("worse"))
        .otherwise(pl.lit("no_difference_shown"))
    )
    return pl.concat(parts).with_columns(verdict.alias("verdict"))
