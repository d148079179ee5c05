"""Summary numbers of imports as a table: another tool's results, under their own names.

Lives here: core_imported_metrics, and how a name implies its statistic. Not here: samples
(``imports``), windows of power logs (``imported_windows``), reading of files
(``isocost.importers``).
"""

from __future__ import annotations

import re

import polars as pl

from isocost.schema.frames import empty

WINDOW = "window_energy"
"""Summary number that represents an energy window of an importer.

Energy_j, latency_s as its length, output_tokens, times if known.
"""
_WORDS = {
    "mean": "mean",
    "avg": "mean",
    "average": "mean",
    "median": "median",
    "std": "stddev",
    "std_dev": "stddev",
    "stddev": "stddev",
    "stdev": "stddev",
    "stderr": "stderr",
    "min": "min",
    "max": "max",
}
_WORD = "|".join(sorted(_WORDS, key=len, reverse=True))
_BEFORE = re.compile(rf"^({_WORD}|p\d{{1,2}}(?:\.\d+)?|p100)_(.+)$")
_AFTER = re.compile(rf"^(.+?)_(?:quantiles_)?({_WORD}|p\d{{1,2}}(?:\.\d+)?|p100)((?:,.*)?)$")
_SHARE = re.compile(r"^(.+?)_(\d{1,2}(?:\.\d+)?)_percentile(_.+)?$")


def name_and_statistic(text: str) -> tuple[str, str]:
    """What was measured and how it was summarized, from a name such as ``p99_ttft``.

    Or ``ttft_s_p99`` or ``exact_match_stderr,strict``.

    Args:
        text: the source's name of a summary number.

    Returns:
        The name without its statistic, and the statistic; ``value`` if the name implies none.
    """
    if found := _SHARE.match(text):
        return found[1] + (found[3] or ""), f"p{float(found[2]):g}"
    if found := _BEFORE.match(text):
        return found[2], _WORDS.get(found[1], found[1])
    if found := _AFTER.match(text):
        return found[1] + found[3], _WORDS.get(found[2], found[2])
    return text, "value"


def imported_metrics_frame(raw: pl.DataFrame, points: pl.DataFrame) -> pl.DataFrame:
    """Rows of core_imported_metrics: one for each summary number of an import.

    Args:
        raw: rows of raw_imports.
        points: point_id by import_id, source_run and the columns that make a point, for the points
            that have samples.

    Returns:
        The rows, in the order of the source files.
    """
    numbers = raw.filter(
        (pl.col("record_kind") == "aggregate") & pl.col("metric_name").is_not_null()
    ).sort("import_id", "record_index")
    if numbers.is_empty():
        return empty("core_imported_metrics")
    named = _of_points(numbers, points)
    split = {text: name_and_statistic(text) for text in numbers["metric_name"].unique()}
    metric = (
        pl.col("null_reasons")
        .list.eval(pl.element().filter(pl.element().str.starts_with("metric_value:")))
        .list.first()
    )
    # The energy of a window was checked by physics; the number next to it was not.
    value = pl.when((pl.col("metric_name") != WINDOW) | pl.col("energy_j").is_not_null()).then(
        "metric_value"
    )
    is_known = value.is_not_null()
    spanned = pl.coalesce("latency_s", pl.col("ended_unix_s") - pl.col("started_unix_s"))
    return named.select(
        pl.col("import_id").alias("session_id"),
        pl.int_range(pl.len()).over("import_id").cast(pl.Int64).alias("metric_index"),
        "source",
        "source_run",
        "point_id",
        "task",
        "model_variant",
        "condition",
        pl.col("metric_name")
        .replace_strict({text: name for text, (name, _) in split.items()})
        .alias("metric"),
        pl.col("metric_name")
        .replace_strict({text: word for text, (_, word) in split.items()})
        .alias("statistic"),
        value.alias("value"),
        pl.col("metric_unit").alias("unit"),
        pl.when(~is_known)
        .then(
            pl.coalesce(
                metric.str.strip_prefix("metric_value:"),
                "energy_unknown_reason",
                pl.lit("not_in_source"),
            )
        )
        .alias("unknown_reason"),
        pl.col("started_unix_s").alias("window_start_unix_s"),
        pl.col("ended_unix_s").alias("window_end_unix_s"),
        spanned.alias("window_s"),
        "source_file",
        "source_place",
        "extra",
    )


def _of_points(numbers: pl.DataFrame, points: pl.DataFrame) -> pl.DataFrame:
    """Add point_id.

    The point of the number's own run, else the one point of the same settings where the import has
    no other.
    """
    own = [name for name in points.columns if name != "point_id"]
    keys = [name for name in own if name != "source_run"]
    only = (
        points.filter(pl.col("point_id").n_unique().over(keys) == 1)
        .select(*keys, pl.col("point_id").alias("only_point"))
        .unique()
    )
    found = numbers.join(points, on=own, how="left", nulls_equal=True, maintain_order="left")
    found = found.join(only, on=keys, how="left", nulls_equal=True, maintain_order="left")
    return found.with_columns(pl.coalesce("point_id", "only_point").alias("point_id")).drop(
        "only_point"
    )
