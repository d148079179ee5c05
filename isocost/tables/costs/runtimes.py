"""Runtime models: the time of a request of given lengths, and the cost of its device time.

Lives here: out_runtime_models. Not here: the fit and HELM's lookup (``isocost.costs.runtime``).
Unknown values are NULL with a reason in the row.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from isocost.aggregates import largest
from isocost.costs import CardBook, fit_runtime_model, helm_idealized_runtime, load_book
from isocost.costs.runtime import (
    RUNTIME_DENOISED,
    RUNTIME_FITTED,
    RUNTIME_LOOKED_UP,
    RuntimeModel,
    idealized_usd,
)
from isocost.errors import IsocostError
from isocost.schema.frames import conform
from isocost.schema.registry import table
from isocost.schema.types import polars_schema

DENOISE_QUANTILE = 0.1
MIN_FIT_ROWS = 10
"""With fewer samples than this, a curve is indistinguishable from noise."""
METHODS = (RUNTIME_FITTED, RUNTIME_DENOISED, RUNTIME_LOOKED_UP)

Row = dict[str, Any]
Lengths = NDArray[np.float64]


def build_runtime_models(
    core_samples: pl.DataFrame, core_sessions: pl.DataFrame, book: CardBook | None = None
) -> pl.DataFrame:
    """out_runtime_models: T(p, o) of each model variant in each session.

    Plain, denoised, and looked up as in HELM.

    Args:
        core_samples: valid one-call samples with tokens and latency are fitted.
        core_sessions: devices.
        book: device and price cards; the packaged ones when None.
    """
    cards = book or load_book()
    sessions = {
        row["session_id"]: row for row in core_sessions.sort("attempt").iter_rows(named=True)
    }
    usable = core_samples.filter(
        pl.col("is_valid")
        & (pl.col("n_calls") == 1)
        & (pl.col("latency_s") > 0)
        & (pl.col("output_tokens") >= 1)
    ).drop_nulls(["prompt_tokens"])
    parts = {
        tuple(k): v
        for k, v in usable.sort("sample_id").group_by(
            "session_id", "model_variant", maintain_order=True
        )
    }
    rows = []
    for session_id, variant in (
        core_samples.select("session_id", "model_variant")
        .unique()
        .sort("session_id", "model_variant")
        .iter_rows()
    ):
        part, session = parts.get((session_id, variant)), sessions.get(session_id, {})
        for method in METHODS:
            head = {
                "session_id": session_id,
                "model_variant": variant,
                "method": method,
                "device": session.get("device"),
            }
            if part is None or part.height < MIN_FIT_ROWS:
                rows.append(
                    head
                    | {
                        "unknown_reason": (
                            f"fewer than {MIN_FIT_ROWS} samples with tokens and latency"
                        )
                    }
                )
            else:
                fitted = _row(part, method)
                rows.append(
                    head | fitted | _priced(fitted["idealized_s_per_sample"], session, cards)
                )
    return conform(
        pl.DataFrame(rows, schema=polars_schema(table("out_runtime_models")), orient="row"),
        "out_runtime_models",
    )


def _columns(part: pl.DataFrame) -> tuple[Lengths, Lengths, Lengths]:
    prompt, output, seconds = (
        part[name].to_numpy().astype(np.float64)
        for name in ("prompt_tokens", "output_tokens", "latency_s")
    )
    return prompt, output, seconds


def _fit(part: pl.DataFrame, method: str) -> RuntimeModel:
    return fit_runtime_model(
        *_columns(part), denoise_quantile=DENOISE_QUANTILE if method == RUNTIME_DENOISED else None
    )


def _seconds(model: RuntimeModel, method: str, prompt: Lengths, output: Lengths) -> Lengths:
    """T(p, o) of requests.

    Under HELM's method looked up in the fitted curve as HELM looks up a profile.
    """
    if method != RUNTIME_LOOKED_UP:
        return model.predict(prompt, output)
    return helm_idealized_runtime(_profile(model), prompt, output)


def _profile(model: RuntimeModel) -> dict[str, object]:
    entries = {
        str(int(k)): v for k, v in zip(model.prompt_knots, model.prefill_s, strict=True) if k >= 1
    }
    return {
        "runtime_per_output_token": model.seconds_per_output_token[0],
        "runtime_for_prompt_tokens": entries,
    }


def _row(part: pl.DataFrame, method: str) -> Row:
    model = _fit(part, method)
    numbered = part.with_row_index("row")
    train, test = numbered.filter(pl.col("row") % 5 != 0), numbered.filter(pl.col("row") % 5 == 0)
    prompt, output, seconds = _columns(test)
    held_out = _seconds(_fit(train, method), method, prompt, output) / seconds - 1
    longest = model.prompt_knots[-1]
    has_steps = largest(part["output_tokens"]) > 1
    prompt, output, seconds = _columns(part)
    errors = np.abs(_seconds(model, method, prompt, output) / seconds - 1)
    return {
        "fit_rows": model.n_rows,
        "overhead_s": model.overhead_s if method != RUNTIME_LOOKED_UP else None,
        "seconds_per_prompt_token": (
            (model.prefill_s[-1] - model.prefill_s[0]) / longest if longest > 0 else None
        ),
        "seconds_per_output_token": model.seconds_per_output_token[0] if has_steps else None,
        "curve": json.dumps({"prompt_tokens": model.prompt_knots, "seconds": model.prefill_s}),
        **{
            f"{name}_{end}": getattr(part[name], end)()
            for name in ("prompt_tokens", "output_tokens")
            for end in ("min", "max")
        },
        "fit_error_ratio": (
            model.median_relative_error if method != RUNTIME_LOOKED_UP else float(np.median(errors))
        ),
        "held_out_error_ratio": float(np.median(np.abs(held_out))),
        "idealized_s_per_sample": float(_seconds(model, method, prompt, output).mean()),
    }


def _priced(mean: float, session: Row, book: CardBook) -> Row:
    """Idealized device time and dollars of a request of ``mean`` seconds, or why unknown."""
    count = session.get("device_count")
    if count is None:
        return {"price_unknown_reason": "the number of devices is not recorded"}
    found = {"device_count": count, "idealized_device_s_per_sample": mean * count}
    try:
        price = book.price_of(book.device(str(session.get("device"))))
    except IsocostError as error:
        return found | {"price_unknown_reason": error.what}
    if price is None or price.usd_per_device_hour is None:
        return found | {
            "price_unknown_reason": "none or several price cards sell hours of the device"
        }
    usd = float(idealized_usd(mean, count, price.usd_per_device_hour))
    return found | {"price_card": price.name, "idealized_usd_per_sample": usd}
