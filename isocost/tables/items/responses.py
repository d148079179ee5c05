"""out_response_features: features associated with correct responses.

Lives here: join of texts with graded samples, comparison of every feature between correct and wrong
responses. Not here: the features (``isocost.items.features``).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from isocost.errors import IsocostError
from isocost.frontier import benjamini_hochberg, mean_interval, paired_comparison
from isocost.items import FEATURES, feature_expressions, within_problem_auc
from isocost.schema.frames import conform, empty
from isocost.tables.items.items import graded

BANKED = {
    "output_tokens": "Generated tokens, as banked.",
    "logprob_mean": "Mean ln p of the generated tokens, as banked.",
    "entropy_mean_low": "Lower bound of the mean token entropy, as banked.",
    "self_certainty_low": "Lower bound of self-certainty, as banked.",
    "confidence_mean": "Mean token confidence (DeepConf), as banked.",
    "confidence_tail": "Confidence of the last window (DeepConf), as banked.",
    "confidence_lowest_group": "Lowest window confidence (DeepConf), as banked.",
}


def build_response_features(
    samples: pl.DataFrame, texts: pl.DataFrame | None = None
) -> pl.DataFrame:
    """Compare features of correct and wrong responses, over all samples and within problems.

    Args:
        samples: core_samples; valid rows with a verdict are used.
        texts: sample_id and output_text, one row per sample (e.g. used rows of core_calls); without
            it only banked features.

    Returns:
        out_response_features; a feature that is unknown for all samples of a point has no row
        there.

    Raises:
        IsocostError: a column is missing, or a sample has several texts.
    """
    # A response with partial credit is on neither side.
    used = graded(samples).filter(~pl.col("is_partial"))
    meanings = {name: text for name, text in BANKED.items() if name in used.columns}
    if texts is not None:
        if texts["sample_id"].is_duplicated().any():
            doubled = texts.filter(pl.col("sample_id").is_duplicated())["sample_id"][0]
            raise IsocostError(
                "the sample has several texts",
                where=f"texts {doubled}",
                remedy="Join the calls of a sample first.",
            )
        used = used.join(
            texts.select("sample_id", "output_text"),
            on="sample_id",
            how="left",
            maintain_order="left",
        )
        used = used.with_columns(feature_expressions())
        meanings |= FEATURES
    rows = []
    for _, point in sorted(used.partition_by("point_id", as_dict=True).items()):
        found = _point_rows(point, meanings)
        adjusted = benjamini_hochberg(
            [np.nan if row["p_value"] is None else row["p_value"] for row in found]
        )
        rows += [
            row | {"p_value_bh": None if np.isnan(p) else float(p)}
            for row, p in zip(found, adjusted, strict=True)
        ]
    if not rows:
        return empty("out_response_features")
    return conform(
        pl.DataFrame(rows, schema=empty("out_response_features").schema), "out_response_features"
    )


def _point_rows(point: pl.DataFrame, meanings: dict[str, str]) -> list[dict[str, Any]]:
    """A row for each feature that some sample of the point knows."""
    unknown = {name: point[name].null_count() for name in meanings}
    shared = _sides(point, [name for name in meanings if unknown[name] == 0])
    rows = []
    for name, meaning in meanings.items():
        if unknown[name] == 0:
            rows.append(_feature_row(point, 0, shared, name, meaning))
        elif unknown[name] < point.height:
            known = point.filter(pl.col(name).is_not_null())
            rows.append(_feature_row(known, unknown[name], _sides(known, [name]), name, meaning))
    return rows


def _feature_row(
    known: pl.DataFrame, n_unknown: int, sides: pl.DataFrame, name: str, meaning: str
) -> dict[str, Any]:
    values, right = (
        known[name].cast(pl.Float64).to_numpy(),
        known["correct"].to_numpy().astype(bool),
    )
    row: dict[str, Any] = {
        key: known[key][0] for key in ("task", "model_variant", "prompt", "point_id")
    }
    row |= {
        "feature": name,
        "feature_meaning": meaning,
        "n_samples": known.height,
        "n_unknown": n_unknown,
    }
    row |= {
        "n_correct": int(right.sum()),
        "mean_correct": _mean(values[right]),
        "mean_wrong": _mean(values[~right]),
    }
    spread = values.std() > 0 and right.any() and not right.all()
    row["pooled_correlation"] = float(np.corrcoef(values, right)[0, 1]) if spread else None
    good, bad = sides[f"good {name}"].to_numpy(), sides[f"bad {name}"].to_numpy()
    return row | _within(
        good, bad, within_problem_auc(values, right, known["problem_id"].rank("dense").to_numpy())
    )


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if len(values) else None


def _sides(known: pl.DataFrame, names: list[str]) -> pl.DataFrame:
    """Mean of each feature over correct and wrong responses of every mixed problem.

    By problem id.
    """
    sides = known.group_by("problem_id").agg(
        side.alias(f"{word} {name}")
        for name in names
        for word, side in (
            ("good", pl.col(name).cast(pl.Float64).filter(pl.col("correct")).mean()),
            ("bad", pl.col(name).cast(pl.Float64).filter(~pl.col("correct")).mean()),
        )
    )
    return sides.drop_nulls().sort("problem_id")


def _within(good: np.ndarray, bad: np.ndarray, auc: float) -> dict[str, object]:
    row: dict[str, object] = {
        "n_mixed_problems": len(good),
        "within_difference": _mean(good - bad),
        "within_auc": None if np.isnan(auc) else auc,
        "within_difference_low": None,
        "within_difference_high": None,
        "p_value": None,
    }
    if len(good) >= 2:
        low, high = mean_interval(good - bad)
        p_value = float(paired_comparison(good, bad).p_value[0])
        row |= {"within_difference_low": float(low), "within_difference_high": float(high)}
        row["p_value"] = None if np.isnan(p_value) else p_value
    return row
