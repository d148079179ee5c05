"""out_method_calls: calls, tokens, time and energy of every role of a point's calls.

Lives here: the sums over the calls of complete samples. Not here: which calls those are
(``isocost.tables.core.answers``).
"""

from __future__ import annotations

import polars as pl

from isocost.schema.frames import conform, empty

_SUMS = {
    "prompt_tokens": "prompt_tokens_per_problem",
    "cached_tokens": "cached_tokens",
    "output_tokens": "output_tokens_per_problem",
    "latency_s": "latency_s_per_problem",
    "device_s": "device_s_per_problem",
    "energy_j": "energy_j_per_problem",
}
UNLIKE = "values from different methods are not added up"
_POINT = ["task", "model_variant", "prompt", "point_id", "method"]


def build_method_calls(
    calls: pl.DataFrame, samples: pl.DataFrame, points: pl.DataFrame
) -> pl.DataFrame:
    """Where the compute of each point went, by the role of its calls.

    Args:
        calls: rows of core_calls.
        samples: rows of core_samples; only valid samples count.
        points: rows of core_points.

    Returns:
        Rows of out_method_calls.
    """
    methods = points.select("point_id", "method").unique("point_id", keep="first")
    ids = ("sample_id", "session_id", "problem_id", "task", "model_variant", "prompt", "point_id")
    sharing = ("shared_id", "n_context_questions")
    valid = samples.filter("is_valid").select(*ids, *sharing).join(methods, on="point_id")
    is_part = pl.col("is_used") | (pl.col("not_used_reason") == "not_needed")
    mine = calls.filter(is_part).select(
        "sample_id",
        "session_id",
        "role",
        "energy_method",
        "energy_unknown_reason",
        *(pl.col(name).cast(pl.Float64) for name in _SUMS),
    )
    made = mine.with_row_index("call")
    own = valid.join(made, on=["sample_id", "session_id"]).with_columns(part=pl.lit(1.0))
    # A shared call is one call: each question about its context has its part of it.
    shared = valid.join(made.rename({"sample_id": "shared_id"}), on=["shared_id", "session_id"])
    shared = shared.select(own.drop("part").columns).with_columns(
        part=1.0 / pl.col("n_context_questions")
    )
    # In one order, so that sums of floats are the same in every build.
    whole = (
        pl.concat([own, shared])
        .with_columns(pl.col(name) * pl.col("part") for name in _SUMS)
        .sort("point_id", "problem_id", "sample_id", "call")
    )
    if whole.is_empty():
        return empty("out_method_calls")
    found = _means(whole, valid).join(_facts(whole), on=[*_POINT, "role"], nulls_equal=True)
    total = pl.col("output_tokens_per_problem").sum().over("point_id")
    unknown = pl.col("output_tokens_per_problem").null_count().over("point_id") > 0
    is_known = pl.col("energy_method").is_not_null() & pl.col("energy_j_per_problem").is_not_null()
    reason = pl.when(~is_known).then(pl.coalesce("energy_unknown_reason", pl.lit(UNLIKE)))
    shared = found.with_columns(
        reason.alias("energy_unknown_reason"),
        pl.when(~unknown & (total > 0))
        .then(pl.col("output_tokens_per_problem") / total)
        .alias("output_tokens_ratio"),
        pl.when(is_known).then("energy_j_per_problem").alias("energy_j_per_problem"),
        pl.when(is_known).then("energy_method").alias("energy_method"),
    )
    return conform(shared.drop("cached_tokens"), "out_method_calls")


def _means(whole: pl.DataFrame, valid: pl.DataFrame) -> pl.DataFrame:
    """Mean over problems of the mean over samples; a sample without calls of a role has none."""
    known = [
        pl.when(pl.col(name).null_count() == 0).then(pl.col(name).sum()).alias(name)
        for name in _SUMS
    ]
    per_problem = whole.group_by([*_POINT, "role", "problem_id"], maintain_order=True).agg(
        pl.col("part").sum().alias("calls"), *known
    )
    drawn = valid.group_by("point_id", "problem_id").agg(pl.len().alias("drawn"))
    held = drawn.group_by("point_id").agg(
        pl.len().cast(pl.Int32).alias("n_problems"),
        pl.col("drawn").sum().cast(pl.Int64).alias("n_samples"),
    )
    joined = (
        per_problem.join(drawn, on=["point_id", "problem_id"])
        .join(held, on="point_id")
        .sort("point_id", "role", "problem_id")
    )
    sums = {"calls": "calls_per_problem"} | _SUMS
    # A problem whose samples have no call of the role adds nothing, and is counted.
    groups = joined.group_by([*_POINT, "role", "n_problems", "n_samples"], maintain_order=True)
    return groups.agg(
        pl.when(pl.col(name).null_count() == 0)
        .then((pl.col(name) / pl.col("drawn")).sum() / pl.col("n_problems").first())
        .alias(column)
        for name, column in sums.items()
    )


def _facts(whole: pl.DataFrame) -> pl.DataFrame:
    """Counts of calls, the share of cached tokens, and the one method of the energy."""
    both = pl.col("cached_tokens").null_count() + pl.col("prompt_tokens").null_count() == 0
    method = pl.col("energy_method").drop_nulls()
    return whole.group_by([*_POINT, "role"], maintain_order=True).agg(
        pl.col("call").n_unique().cast(pl.Int64).alias("n_role_calls"),
        pl.when(both & (pl.col("prompt_tokens").sum() > 0))
        .then(pl.col("cached_tokens").sum() / pl.col("prompt_tokens").sum())
        .alias("cached_ratio"),
        pl.when(method.n_unique() == 1).then(method.first()).alias("energy_method"),
        pl.col("energy_unknown_reason").drop_nulls().sort().first(),
    )
