"""Intelligence per watt, request efficiency.

Lives here: out_intelligence_per_watt, out_request_efficiency. Not here: the formulas
(``isocost.costs``), runtime models (``runtimes``) and cost-of-pass (``costs``). Unknown values are
NULL with a reason in the row.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import polars as pl

from isocost.aggregates import mean
from isocost.costs import CardBook, device_usd, energy_cap_j, intelligence, request_seconds
from isocost.costs.flops import attended_positions
from isocost.costs.model_cards import ModelCard
from isocost.costs.other_cards import DeviceCard
from isocost.costs.roofline import weight_bytes
from isocost.errors import IsocostError
from isocost.schema.frames import conform
from isocost.schema.registry import table
from isocost.schema.types import polars_schema
from isocost.tables.core.call_costs import resolved_dtype
from isocost.tables.costs.total_ratios import draws_of, ratio_interval
from isocost.tables.tallies import NO_ENERGY, WORTH, graded, scored, tallies

Row = dict[str, Any]


def _table(rows: list[Row], name: str) -> pl.DataFrame:
    return conform(pl.DataFrame(rows, schema=polars_schema(table(name)), orient="row"), name)


def build_intelligence_per_watt(
    core_samples: pl.DataFrame,
    attribution: pl.DataFrame | None = None,
    *,
    counts: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """out_intelligence_per_watt: every point of every task, one row per energy method.

    Args:
        core_samples: valid graded samples count; those without energy get a separate row with the
            reason.
        attribution: rows of core_energy_attribution; each rule except the one used in samples gives
            further rows.
        counts: core_counts, which have no energy; none if None.
    """
    core_samples = pl.concat([core_samples, *_by_other_rules(core_samples, attribution)])
    judged = graded(core_samples).with_columns(
        pl.when((pl.col("energy_j") > 0) & (pl.col("latency_s") > 0))
        .then(pl.coalesce("energy_method", pl.lit("unstated")))
        .otherwise(pl.lit("none"))
        .alias("energy_basis")
    )
    per_problem = tallies(core_samples, counts).select(
        "task", "problem_id", (pl.col("worth") / pl.col("n")).alias("rate")
    )
    best = (
        per_problem.group_by("task", "problem_id")
        .agg(pl.col("rate").max())
        .sort("task", "problem_id")
    )
    coverage = dict(
        best.group_by("task", maintain_order=True).agg(pl.col("rate").mean()).iter_rows()
    )
    rows = []
    for key, part in judged.sort("sample_id").group_by(
        "task", "point_id", "energy_basis", maintain_order=True
    ):
        task, point_id, basis = (str(k) for k in key)
        head = {
            "task": task,
            "point_id": point_id,
            "energy_basis": basis,
            "model_variant": part["model_variant"][0],
            "samples_measured": part.height,
            "accuracy_of_samples": mean(part["worth"]),
            "coverage_ratio": coverage[task],
        }
        rows.append(head | (_unknown_energy(part) if basis == "none" else _intelligence_row(part)))
    if counts is not None:
        for (task, point_id), part in counts.group_by("task", "point_id", maintain_order=True):
            if n := int(part["n_samples"].sum()):
                model, accuracy = part["model_variant"][0], int(part["n_correct"].sum()) / n
                rows.append(_uncosted(str(task), str(point_id), model, n, accuracy, coverage))
    return _table(rows, "out_intelligence_per_watt")


def _uncosted(
    task: str, point_id: str, model: str, n: int, accuracy: float, coverage: dict[str, float]
) -> Row:
    """The row of a point of counts."""
    head = {
        "task": task,
        "point_id": point_id,
        "energy_basis": "none",
        "model_variant": model,
        "samples_measured": n,
    }
    head |= {"accuracy_of_samples": accuracy, "coverage_ratio": coverage[task]}
    return head | {"energy_unknown_reason": NO_ENERGY}


def _by_other_rules(
    core_samples: pl.DataFrame, attribution: pl.DataFrame | None
) -> list[pl.DataFrame]:
    """The samples with the joules that each other rule charges them.

    Those that a rule charges nothing are left out.
    """
    if attribution is None:
        return []
    run = ["sample_id", "session_id", "run_id", "attempt"]
    charged = (
        attribution.filter(~pl.col("is_default"))
        .group_by(*run, "attribution")
        .agg(
            pl.when(pl.col("energy_j").null_count() == 0).then(
                pl.col("energy_j").sort_by("call_id").sum()
            ),
            pl.col("energy_method").first(),
        )
        .drop_nulls("energy_j")
    )
    others = []
    # Other rules charge shared calls to no sample: what they leave to a question is not known.
    core_samples = core_samples.filter(pl.col("shared_id").is_null())
    for _, part in charged.sort("attribution").group_by("attribution", maintain_order=True):
        joined = core_samples.drop("energy_j", "energy_method").join(
            part.drop("attribution"), on=run, maintain_order="left"
        )
        others.append(
            joined.with_columns(pl.lit(None, pl.String).alias("energy_unknown_reason")).select(
                core_samples.columns
            )
        )
    return others


def _unknown_energy(part: pl.DataFrame) -> Row:
    reasons = part["energy_unknown_reason"].drop_nulls()
    return {
        "energy_unknown_reason": reasons[0] if len(reasons) else "energy or latency is not known"
    }


def _intelligence_row(part: pl.DataFrame) -> Row:
    result = intelligence(
        part["worth"].to_numpy(), part["energy_j"].to_numpy(), part["latency_s"].to_numpy()
    )
    return {
        "energy_j_per_query": result.energy_mean_j,
        "query_power_mean_w": result.power_mean_w,
        "query_power_pooled_w": result.power_pooled_w,
        "intelligence_per_joule": result.per_joule,
        "intelligence_per_watt_mean": result.per_watt_mean,
        "intelligence_per_watt_pooled": result.per_watt_pooled,
        "energy_j_per_correct": result.joules_per_correct
        if np.isfinite(result.joules_per_correct)
        else None,
        **_energy_interval(part),
    }


def _energy_interval(part: pl.DataFrame) -> Row:
    """Percentiles of energy per correct answer over resampled problems."""
    totals = (
        part.group_by("problem_id")
        .agg(pl.col("energy_j").sum(), pl.col("worth").sum())
        .sort("problem_id")
    )
    weights = draws_of(totals.height)
    if weights is None:
        return {}
    ends = ratio_interval(totals["energy_j"].to_numpy(), totals["worth"].to_numpy(), weights)
    return {
        f"energy_j_per_correct_{end}": value if np.isfinite(value) else None
        for end, value in zip(("low", "high"), ends, strict=True)
    }


def build_request_efficiency(
    core_samples: pl.DataFrame,
    core_sessions: pl.DataFrame,
    core_points: pl.DataFrame,
    book: CardBook,
) -> pl.DataFrame:
    """out_request_efficiency: every point of every session.

    Args:
        core_samples: valid samples count.
        core_sessions: windows, tokens and devices of the runs.
        core_points: model card and number format of each point.
        book: device and model cards, for utilisation and the roofline.
    """
    valid = scored(core_samples).filter("is_valid").sort("sample_id")
    load = {str(key[0]): part for key, part in valid.group_by("session_id", maintain_order=True)}
    sessions = {
        str(key[0]): _session(part, load.get(str(key[0]), valid.head(0)))
        for key, part in core_sessions.sort("session_id", "attempt").group_by("session_id")
    }
    points = {(r["session_id"], r["point_id"]): r for r in core_points.iter_rows(named=True)}
    rows = []
    for key, part in valid.group_by("session_id", "point_id", maintain_order=True):
        session_id, point_id = (str(k) for k in key)
        session = sessions.get(session_id, _NO_SESSION)
        row = {"session_id": session_id, "point_id": point_id, **_lengths(part), **_latencies(part)}
        row |= {name: session[name] for name in ("device", "device_count", "decode_batch_mean")}
        row |= _throughput(row, session["output_tokens_per_s"]) | _energy(part)
        row |= _utilisation(row, part, points.get((session_id, point_id), {}), session, book)
        rows.append({k: v for k, v in row.items() if not k.startswith("_")})
    return _table(
        sorted(rows, key=lambda r: (r["session_id"], r["point_id"])), "out_request_efficiency"
    )


_NO_SESSION: Row = dict.fromkeys(
    (
        "device",
        "output_tokens_per_s",
        "device_count",
        "decoding_s",
        "decode_batch_mean",
        "window_s",
        "samples",
        "resolved",
    )
)


def _session(runs: pl.DataFrame, samples: pl.DataFrame) -> Row:
    timed = runs.filter((pl.col("window_s") > 0) & pl.col("output_tokens").is_not_null())
    seconds = float(timed["window_s"].sum()) if timed.height else 0.0
    devices, resolved = runs["device"].drop_nulls(), runs["resolved_engine"].drop_nulls()
    decoded = runs.filter(pl.col("decode_batch_mean").is_not_null())
    decoding = float(decoded["decoding_s"].sum())
    return {
        "device": devices[-1] if len(devices) else None,
        "output_tokens_per_s": float(timed["output_tokens"].sum()) / seconds
        if seconds > 0
        else None,
        "device_count": runs["device_count"].drop_nulls().max(),
        "decoding_s": decoding,
        "decode_batch_mean": float((decoded["decode_batch_mean"] * decoded["decoding_s"]).sum())
        / decoding
        if decoding
        else None,
        "window_s": seconds if seconds > 0 else None,
        "samples": samples,
        "resolved": json.loads(resolved[-1]) if len(resolved) else {},
    }


def _mean(column: pl.Series) -> float | None:
    return None if column.null_count() else mean(column)


def _lengths(part: pl.DataFrame) -> Row:
    judged = part.select(WORTH.alias("worth"))["worth"].drop_nulls()
    return {
        "task": part["task"][0],
        "model_variant": part["model_variant"][0],
        "samples_measured": part.height,
        "accuracy_of_samples": mean(judged) if len(judged) else None,
        "prompt_tokens_per_sample": _mean(part["prompt_tokens"]),
        "output_tokens_per_sample": _mean(part["output_tokens"]),
        "_flops": _mean(part["flops"]),
    }


def _latencies(part: pl.DataFrame) -> Row:
    timed = part.filter(pl.col("latency_s").is_not_null())
    first = (part["queue_s"] + part["prefill_s"]).drop_nulls()
    steps = part.filter(pl.col("decode_s").is_not_null() & (pl.col("output_tokens") > 1))
    tokens = int((steps["output_tokens"] - steps["n_calls"]).sum())

    def quantile(values: pl.Series, q: float) -> float | None:
        return values.quantile(q, interpolation="linear") if len(values) else None

    return {
        "first_token_p50_s": quantile(first, 0.5),
        "first_token_p95_s": quantile(first, 0.95),
        "prefill_p50_s": quantile(part["prefill_s"].drop_nulls(), 0.5),
        "latency_p50_s": quantile(timed["latency_s"], 0.5),
        "latency_p95_s": quantile(timed["latency_s"], 0.95),
        "output_token_mean_s": float(steps["decode_s"].sum()) / tokens if tokens > 0 else None,
    }


def _throughput(row: Row, tokens_per_s: float | None) -> Row:
    tokens, accuracy = row["output_tokens_per_sample"], row["accuracy_of_samples"]
    requests = tokens_per_s / tokens if tokens_per_s is not None and tokens else None
    correct = requests * accuracy if requests is not None and accuracy is not None else None
    return {
        "output_tokens_per_s": tokens_per_s,
        "requests_per_s": requests,
        "correct_per_s": correct,
        "engine_s_per_correct": 1 / correct if correct else None,
    }


def _energy(part: pl.DataFrame) -> Row:
    methods = part["energy_method"].unique()
    if part["energy_j"].null_count() == 0 and len(methods) == 1:
        return {"energy_j_per_sample": mean(part["energy_j"]), "energy_method": methods[0]}
    reasons = part["energy_unknown_reason"].drop_nulls()
    return {
        "energy_unknown_reason": reasons[0]
        if len(reasons)
        else "energy from different methods is not averaged"
    }


def _utilisation(row: Row, part: pl.DataFrame, point: Row, session: Row, book: CardBook) -> Row:
    """Device time, dollars, utilisation and distance from the roofline.

    The first reason why one of them is unknown.
    """
    if row["requests_per_s"] is None:
        return {"unknown_reason": "no measured window, or tokens unknown"}
    found: Row = (
        {} if row["_flops"] is None else {"flops_per_s": row["requests_per_s"] * row["_flops"]}
    )
    if point.get("partners") is not None:
        return found | {"unknown_reason": "the point has partners, whose devices are not counted"}
    try:
        device = book.device(str(session["device"]))
    except IsocostError as error:
        return found | {"unknown_reason": error.what}
    count = session["device_count"]
    if count is None:
        return found | {"unknown_reason": "the number of devices is not recorded"}
    found |= _money(row, device, count, book)
    if device.power_limit_w is not None:
        found["energy_cap_j_per_sample"] = float(
            energy_cap_j(device, 1 / row["requests_per_s"], devices=count)
        )
    if row["_flops"] is None or point.get("model_card") is None:
        return found | {"unknown_reason": "FLOPs unknown: no model card is named"}
    point = point | {
        "dtype": resolved_dtype(
            {"engine": {"resolved": session["resolved"]}}, str(point.get("dtype") or "")
        )
    }
    try:
        found["mfu_ratio"] = found["flops_per_s"] / (device.peak(point["dtype"]) * count)
        return (
            found
            | _bandwidth(point, device, session, book)
            | _roofline(part, point, device, count, book)
        )
    except IsocostError as error:  # a card without peak or bandwidth
        return found | {"unknown_reason": error.what}


def _model(point: Row, book: CardBook) -> ModelCard:
    """The card of a point's model, with its LoRA adapter if it has one."""
    card = book.model(str(point["model_card"]))
    settings = json.loads(str(point.get("model_settings") or "{}"))
    adapter = settings.get("adapter") or {}
    return card.with_adapter(int(adapter.get("parameters") or 0))


def _bandwidth(point: Row, device: DeviceCard, session: Row, book: CardBook) -> Row:
    """Bandwidth in use while decoding, from the mean decode batch.

    Steps = decoded tokens over batch.
    """
    timed = (
        session["samples"]
        .filter(pl.col("n_calls") == 1)
        .drop_nulls(["prompt_tokens", "output_tokens"])
    )
    batch = session["decode_batch_mean"]
    if batch is None or batch < 1 or timed.height < session["samples"].height:
        return {
            "unknown_reason": "the decode batch is unknown, or samples consist of several calls"
        }
    model = _model(point, book)
    prompt, output = (
        timed[c].to_numpy().astype(np.float64) for c in ("prompt_tokens", "output_tokens")
    )
    steps = np.maximum(output - 1, 0)
    weights = steps.sum() / batch * float(weight_bytes(model, batch))
    read = (
        2
        * model.kv_heads
        * model.head_size
        * model.bytes_per_kv_element
        * attended_positions(model, prompt, prompt + steps).sum()
    )
    return {
        "mbu_ratio": float(weights + read)
        / session["decoding_s"]
        / (device.bandwidth() * session["device_count"])
    }


def _money(row: Row, device: DeviceCard, count: int, book: CardBook) -> Row:
    """Device time and dollars per sample and per correct answer."""
    correct_s = (
        count * row["engine_s_per_correct"] if row["engine_s_per_correct"] is not None else None
    )
    price = book.price_of(device)
    if price is None:
        return {"device_s_per_correct": correct_s}
    return {
        "device_s_per_correct": correct_s,
        "price_card": price.name,
        "device_usd_per_sample": float(device_usd(price, count / row["requests_per_s"]))
        if row["requests_per_s"]
        else None,
        "device_usd_per_correct": float(device_usd(price, correct_s))
        if correct_s is not None
        else None,
    }


def _roofline(
    part: pl.DataFrame, point: Row, device: DeviceCard, devices: int, book: CardBook
) -> Row:
    timed = part.filter((pl.col("latency_s") > 0) & (pl.col("n_calls") == 1)).drop_nulls(
        ["prompt_tokens", "output_tokens"]
    )
    if devices != 1 or timed.is_empty():
        return {"unknown_reason": "the roofline is drawn for one device and one-call samples only"}
    model = _model(point, book)
    bound = request_seconds(
        model,
        device,
        timed["prompt_tokens"].to_numpy(),
        timed["output_tokens"].to_numpy(),
        number_format=point["dtype"],
    )
    return {
        "roofline_s_per_sample": float(bound.mean()),
        "roofline_latency_ratio": float(bound.sum()) / float(timed["latency_s"].sum()),
    }
