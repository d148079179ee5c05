"""A run's energy shared among its calls by every rule.

Lives here: core_energy_attribution. Not here: the windows and the fitted model
(``energy_windows``), the rules (``isocost.costs``), the rule used in core_samples, which is the
first of ``SHARES`` (``core``).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import polars as pl

from isocost.costs import EnergyModel, share_by_time, share_by_tokens, share_by_weight
from isocost.costs.attribution import (
    MODEL_SHARE,
    SHARES,
    TIME_SHARE,
    TOKEN_SHARE,
    decode_positions,
    energy_method,
)
from isocost.errors import IsocostError
from isocost.schema.frames import conform, empty
from isocost.tables.core.engines import SEVERAL_ENGINES
from isocost.tables.energy.windows import energy_course

NAME = "core_energy_attribution"
DEFAULT = TOKEN_SHARE
_TIMES = ("scheduled_s", "first_token_s", "last_token_s")


def build_energy_attribution(
    raw_generations: pl.DataFrame,
    raw_telemetry: pl.DataFrame,
    windows: pl.DataFrame,
    several: Collection[tuple[str, str]] = (),
) -> pl.DataFrame:
    """core_energy_attribution: the energy of every measured window, shared among its calls.

    By tokens, by time and by the fitted model.

    Args:
        raw_generations: calls of any number of runs.
        raw_telemetry: device samples of the same runs.
        windows: core_energy_windows of the same runs.
        several: runs of several engines, to whose calls no rule applies.

    Returns:
        Rows of core_energy_attribution, for runs whose measured window has a known energy; the
        known shares of one run and rule add up to that energy. A rule that cannot be applied is
        NULL with its reason.
    """
    known = windows.filter((pl.col("window_kind") == "measured") & pl.col("energy_j").is_not_null())
    found = []
    for window in known.sort("session_id", "run_id").iter_rows(named=True):
        mine = (pl.col("session_id") == window["session_id"]) & (
            pl.col("run_id") == window["run_id"]
        )
        calls = raw_generations.filter(mine & ~pl.col("is_warmup")).sort("call_id", "attempt")
        telemetry = raw_telemetry.filter(mine).sort("device_id", "monotonic_s")
        why_not = SEVERAL_ENGINES if (window["session_id"], window["run_id"]) in several else None
        found += [_by(rule, calls, telemetry, window, why_not) for rule in SHARES]
    return conform(pl.concat(found), NAME) if found else empty(NAME)


def _by(
    rule: str,
    calls: pl.DataFrame,
    telemetry: pl.DataFrame,
    window: Mapping[str, Any],
    why_not: str | None,
) -> pl.DataFrame:
    """Rows of one run under one rule, or why it cannot be applied."""
    timed = pl.all_horizontal(pl.col(name).is_finite().fill_null(False) for name in _TIMES)
    timed &= pl.col("last_token_s") >= pl.col("scheduled_s")
    counted = pl.col("output_tokens").is_not_null()
    needs = {
        TOKEN_SHARE: (counted, "its tokens are not known"),
        TIME_SHARE: (timed, "its times are not known"),
        MODEL_SHARE: (
            timed & counted & pl.col("prompt_tokens").is_not_null(),
            "its tokens or times are not known",
        ),
    }
    usable, missing = needs[rule] if why_not is None else (pl.lit(False), why_not)
    ids = calls.select(
        "call_id", "attempt", "sample_id", "session_id", "run_id", usable.alias("is_charged")
    )
    joules = np.full(calls.height, np.nan)
    try:
        if why_not is None:
            joules[ids["is_charged"].to_numpy()] = _joules(
                rule, calls.filter(usable), telemetry, window
            )
    except IsocostError as error:
        missing = error.what
    known = pl.col("energy_j").is_not_null()
    return ids.with_columns(
        pl.lit(rule).alias("attribution"),
        pl.lit(rule == DEFAULT).alias("is_default"),
        pl.Series("energy_j", joules).fill_nan(None),
    ).select(
        pl.exclude("is_charged"),
        pl.when(known)
        .then(pl.lit(energy_method(window["energy_source"], window["energy_measure"], rule)))
        .alias("energy_method"),
        pl.when(~known).then(pl.lit(missing)).alias("energy_unknown_reason"),
    )


def _joules(
    rule: str, calls: pl.DataFrame, telemetry: pl.DataFrame, window: Mapping[str, Any]
) -> np.ndarray:
    total = window["energy_j"]
    edges = np.array([window["start_s"], window["stop_s"]])
    start, end = (calls[name].to_numpy() for name in ("scheduled_s", "last_token_s"))
    if rule == TIME_SHARE:
        return share_by_time(start, end, *energy_course(telemetry, *edges), total)
    output = calls["output_tokens"].to_numpy()
    if rule == TOKEN_SHARE:
        return share_by_tokens(total, output)
    if window["fit_unknown_reason"] is not None:
        raise IsocostError(window["fit_unknown_reason"])
    names = (
        "fitted_j_per_prompt_token",
        "fitted_j_per_output_token",
        "fitted_j_per_position",
        "fitted_static_w",
        "fit_error_ratio",
    )
    model = EnergyModel(*(window[name] for name in names), n_windows=window["fit_slices"])
    prompt = calls["prompt_tokens"].to_numpy()
    # Static power is not caused by tokens: it is shared by time.
    idle = (
        share_by_time(start, end, edges, edges - edges[0], edges[1] - edges[0]) * model.watts_static
    )
    return share_by_weight(
        total, model.weights(prompt, output, decode_positions(prompt, output)) + idle
    )
