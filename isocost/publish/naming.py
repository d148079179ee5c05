"""Names of what is shown: configurations, means over tasks, and ambiguous outcomes.

Lives here: adding ``configuration`` and ``label`` to the rows of tables. Not here: how a
configuration's settings make a name (``isocost.tables.configurations``), the words for a strategy
(``labels``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import polars as pl

from isocost.publish import labels
from isocost.tables.configurations import chain_name, configuration_names

_KNOWN = ("point_id", "task", "model_variant", "prompt")


def point_names(core_points: pl.DataFrame, frontier_points: pl.DataFrame) -> dict[str, str]:
    """The shortest distinguishing name of each measured configuration of a task, by point_id.

    Always the prompt; the model if there are several overall; other settings only if two
    configurations of the task would otherwise share a name, so measurements or imports for another
    task never lengthen a name.
    """
    points = core_points
    if points.is_empty():
        points = frontier_points.filter(
            pl.col("point_id").is_not_null() & ~pl.col("point_id").str.contains("+", literal=True)
        ).select(_KNOWN)
    several_models = points["model_variant"].n_unique() > 1
    return configuration_names(
        points, always=("prompt", "model_variant") if several_models else ("prompt",)
    )


def named(frame: pl.DataFrame, names: Mapping[str, str]) -> pl.DataFrame:
    """The frame with ``configuration``.

    For a chain the names of its points, for a mean over tasks what its points share.
    """
    if "point_id" not in frame.columns:
        return frame
    ids = frame["point_id"].drop_nulls().unique()
    found = {point: chain_name(point.split("+"), names) for point in ids}
    given = pl.col("configuration") if "configuration" in frame.columns else pl.lit(None, pl.String)
    models = frame["model_variant"].drop_nulls().unique()
    if len(models) == 1:  # shown once at the top
        only = models[0]
        given = given.str.strip_suffix(f" · {only}").str.replace(
            f" · {only} · ", " · ", literal=True
        )
    columns = ("prompt", "model_variant") if len(models) > 1 else ("prompt",)
    shared = pl.concat_str(
        [pl.col(column) for column in columns], separator=" · ", ignore_nulls=True
    ).replace("", None)
    own = pl.col("point_id").replace_strict(found, default=None, return_dtype=pl.String)
    return frame.with_columns(configuration=pl.coalesce(own, given, shared, pl.lit("–")))


def plain_strategy() -> pl.Expr:
    """The strategy.

    Choosing from a single sample is one sample, whatever the strategy.
    """
    takes_one = (pl.col("budget").cast(pl.Float64) == 1) & pl.col("strategy").str.contains(
        labels.CHOOSING
    )
    return pl.when(takes_one).then(pl.lit(labels.ONE_SAMPLE)).otherwise(pl.col("strategy"))


def labelled(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with ``label``.

    Strategy and budget, plus parameters if two outcomes of a configuration would otherwise share
    them.
    """
    key = ["task", "configuration", "strategy", "budget"]
    wanted = [*key, "outcome_id", *(c for c in ("parameters",) if c in frame.columns)]
    outcomes = frame.select(wanted).unique("outcome_id", keep="first", maintain_order=True)
    found: dict[str, str] = {}
    for _, group in outcomes.group_by(key, maintain_order=True):
        first = group.row(0, named=True)
        plain = labels.outcome(first["strategy"], first["budget"])
        ids = group["outcome_id"].to_list()
        if len(ids) == 1:
            found[ids[0]] = plain
            continue
        parameters = (
            [json.loads(text or "{}") for text in group["parameters"]]
            if "parameters" in group.columns
            else [{}] * len(ids)
        )
        details = _unlike(parameters)
        if len(set(details)) < len(ids):
            details = [
                f"{detail}, {outcome[-6:]}".lstrip(", ")
                for detail, outcome in zip(details, ids, strict=True)
            ]
        found |= {
            outcome: f"{plain} ({detail})" if detail else plain
            for outcome, detail in zip(ids, details, strict=True)
        }
    return frame.with_columns(
        label=pl.col("outcome_id").replace_strict(found, default=None, return_dtype=pl.String)
    )


def _unlike(parameters: list[dict[str, object]]) -> list[str]:
    """For each mapping, the entries that differ from the others."""
    names = sorted({name for each in parameters for name in each})
    differing = [name for name in names if len({repr(each.get(name)) for each in parameters}) > 1]
    return [
        ", ".join(f"{name.replace('_', ' ')} {each[name]}" for name in differing if name in each)
        for each in parameters
    ]
