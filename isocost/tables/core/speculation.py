"""Speculative decoding of each run, from the engine's steps.

Lives here: core_speculation. Not here: the formulas (``isocost.costs.speculative``) and what a step
is (``raw_steps``).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from isocost.costs import tokens_per_step
from isocost.schema.frames import conform, empty

NAME = "core_speculation"
NOTHING_DRAFTED = "nothing was drafted"
UNEVEN = "drafts differ in length in every step, and steps do not report which were fully accepted"
NO_PLAIN_STEP = "no step without drafts ran at the same number of requests"


def build_speculation(raw_steps: pl.DataFrame) -> pl.DataFrame:
    """core_speculation: one row for each run whose engine decodes speculatively.

    Args:
        raw_steps: steps of any number of runs; warm-up and steps of partners are left out.

    Returns:
        Rows of core_speculation; none for runs without speculative decoding.
    """
    rows = []
    own = pl.col("partner").is_null() if "partner" in raw_steps.columns else pl.lit(True)
    usable = raw_steps.filter(~pl.col("is_warmup"), own).sort("session_id", "run_id", "step_index")
    for key, steps in usable.group_by("session_id", "run_id", maintain_order=True):
        if steps["drafts"].null_count() == steps.height:
            continue
        steps = steps.with_columns(
            pl.col("drafts", "draft_tokens", "accepted_draft_tokens").fill_null(0)
        )
        rows.append({"session_id": str(key[0]), "run_id": str(key[1])} | _row(steps))
    return (
        conform(pl.DataFrame(rows, schema=empty(NAME).schema, orient="row"), NAME)
        if rows
        else empty(NAME)
    )


def _row(steps: pl.DataFrame) -> dict[str, Any]:
    drafting = steps.filter(pl.col("drafts") > 0)
    drafts, drafted, accepted = (
        int(steps[name].sum()) for name in ("drafts", "draft_tokens", "accepted_draft_tokens")
    )
    row: dict[str, Any] = {
        "steps": steps.height,
        "drafts": drafts,
        "draft_tokens": drafted,
        "accepted_draft_tokens": accepted,
    }
    if not drafts:
        return row | {"unknown_reason": NOTHING_DRAFTED}
    seconds, reasons = float(drafting["step_s"].sum()), []
    row |= {
        "draft_tokens_per_draft": drafted / drafts,
        "accepted_ratio": accepted / drafted if drafted else None,
        "tokens_per_step": 1 + accepted / drafts,
        "goodput_tokens_per_s": int(drafting["output_tokens"].sum()) / seconds
        if seconds > 0
        else None,
    }
    even = drafting.filter(pl.col("fully_accepted_drafts").is_not_null())
    row["even_drafts"] = int(even["drafts"].sum())
    if even.is_empty():
        reasons.append(UNEVEN)
    else:
        # Selected by the drafts' lengths, not by their outcome, so the estimate stays unbiased.
        passed = int(even["accepted_draft_tokens"].sum())
        row["acceptance_ratio"] = passed / (
            passed + row["even_drafts"] - int(even["fully_accepted_drafts"].sum())
        )
        lengths = even["draft_tokens"].to_numpy() // even["drafts"].to_numpy()
        modelled = tokens_per_step(row["acceptance_ratio"], lengths)
        row["tokens_per_step_modelled"] = float(
            np.average(modelled, weights=even["drafts"].to_numpy())
        )
    efficiency = _target_efficiency(steps)
    if efficiency is None:
        reasons.append(NO_PLAIN_STEP)
    else:
        row |= {
            "target_efficiency_ratio": efficiency,
            "speedup_ratio": row["tokens_per_step"] * efficiency,
        }
    return row | {"unknown_reason": "; ".join(reasons) or None}


def _target_efficiency(steps: pl.DataFrame) -> float | None:
    """Ratio of mean seconds of plain to drafting steps, at equal numbers of requests.

    Weighted by the number of drafting steps.
    """
    decoding = steps.filter(
        (pl.col("prompt_tokens") == 0)
        & (pl.col("output_tokens") > 0)
        & (pl.col("running_requests") > 0)
    )
    kinds = decoding.group_by("running_requests", (pl.col("drafts") > 0).alias("has_drafts")).agg(
        pl.col("step_s").mean(), pl.len()
    )
    plain = kinds.filter(~pl.col("has_drafts"))
    both = (
        kinds.filter("has_drafts")
        .join(plain, on="running_requests", suffix="_plain")
        .sort("running_requests")
    )
    if both.is_empty():
        return None
    weight = both["len"].to_numpy()
    return float(
        np.dot(weight, both["step_s_plain"].to_numpy()) / np.dot(weight, both["step_s"].to_numpy())
    )
