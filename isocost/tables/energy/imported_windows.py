"""Energy windows of imports: what a source states, and what its power readings give.

Lives here: core_energy_windows of imports, and the energy of an import as a whole. Not here:
windows of generated runs (``energy_windows``), integration and validity (``isocost.telemetry``),
reading of power logs (``isocost.importers``).
"""

from __future__ import annotations

import json
from typing import Any

import polars as pl

from isocost.aggregates import largest, smallest
from isocost.schema.frames import conform
from isocost.schema.registry import table
from isocost.schema.types import polars_schema
from isocost.tables.core.imported_metrics import WINDOW
from isocost.tables.energy.windows import energy_columns
from isocost.telemetry import measure_window

NO_WINDOW = "no_energy_window_in_source"
SEVERAL = "several_windows_see_core_energy_windows"
COUNTER = "energy_counter_since_boot"


def imported_windows(raw: pl.DataFrame) -> pl.DataFrame:
    """Rows of core_energy_windows of imports.

    A window that a source states is used unchanged. Power readings of a run that states none are
    integrated over the time of its requests, or over the whole log if it has no requests with
    times.

    Args:
        raw: rows of raw_imports, checked by physics.
    """
    is_stated = (pl.col("record_kind") == "aggregate") & (pl.col("metric_name") == WINDOW)
    is_told = is_stated | (pl.col("record_kind") == "telemetry")
    runs = raw.filter(is_told).select("import_id", "source_run").unique()
    several = {
        import_id for import_id, count in runs.group_by("import_id").len().iter_rows() if count > 1
    }
    wanted = raw.filter(is_told | (pl.col("record_kind") == "request"))
    held = wanted.join(runs, on=["import_id", "source_run"], how="semi", nulls_equal=True).sort(
        "import_id", "record_index"
    )
    rows: list[dict[str, Any]] = []
    for (import_id, run), part in held.group_by("import_id", "source_run", maintain_order=True):
        name = f"{import_id}:{run}" if import_id in several and run is not None else str(import_id)
        head = {"session_id": import_id, "run_id": name}
        stated = part.filter(is_stated)
        telemetry = part.filter(pl.col("record_kind") == "telemetry")
        if stated.height:
            rows += [head | _stated(row) for row in stated.iter_rows(named=True)]
        elif telemetry["started_unix_s"].is_not_null().any():
            rows.append(
                head | _measured(telemetry, part.filter(pl.col("record_kind") == "request"))
            )
    frame = pl.DataFrame(
        _named_apart(rows), schema=polars_schema(table("core_energy_windows")), orient="row"
    )
    return conform(frame, "core_energy_windows")


def energy_of_imports(windows: pl.DataFrame) -> dict[str, dict[str, Any]]:
    """energy_j, energy_method, energy_unknown_reason and window_s of every import that has windows.

    An import with several windows has no single energy: joules of several runs belong together only
    if that is stated.
    """
    found = {}
    for (import_id,), part in windows.group_by("session_id", maintain_order=True):
        if part.height > 1:
            found[str(import_id)] = {"energy_unknown_reason": SEVERAL}
            continue
        row = part.row(0, named=True)
        method = (
            row["energy_source"]
            if row["energy_measure"] == "stated"
            else f"{row['energy_source']}_{row['energy_measure']}"
        )
        found[str(import_id)] = {
            "energy_j": row["energy_j"],
            "energy_method": None if row["energy_j"] is None else method,
            "energy_unknown_reason": row["energy_unknown_reason"],
            "window_s": row["window_s"]
            or None,  # a log of one reading, a run of zero length: nothing was measured over it
        }
    return found


def _named_apart(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Number the windows of one run if it has several of one kind."""
    seen: dict[tuple[str, str, str], int] = {}
    for row in rows:
        key = (row["session_id"], row["run_id"], row["window_kind"])
        seen[key] = seen.get(key, -1) + 1
        if seen[key]:
            row["run_id"] = f"{row['run_id']}#{seen[key]}"
    return rows


def _stated(row: dict[str, Any]) -> dict[str, Any]:
    extra = json.loads(row["extra"] or "{}")
    energy, seconds, tokens = row["energy_j"], row["latency_s"], row["output_tokens"]
    reason = None if energy is not None else row["energy_unknown_reason"] or "not_in_source"
    return {
        "window_kind": extra.get("window_kind", "measured"),
        "start_s": row["started_unix_s"],
        "stop_s": row["ended_unix_s"],
        "window_s": seconds,
        "requests_measured": extra.get("requests", 0),
        "requests_warmup": 0,
        "requests_drain": 0,
        "energy_source": row["energy_method"] or row["source"],
        "energy_measure": None if energy is None else "stated",
        "energy_j": energy,
        "power_mean_w": energy / seconds if energy is not None and seconds else None,
        "power_samples": extra.get("readings", 0),
        "power_gap_s": extra.get("largest_gap_s"),
        "is_energy_valid": energy is not None,
        "invalid_reasons": [] if energy is not None else [reason],
        "energy_unknown_reason": reason,
        "output_tokens_in_window": tokens,
        "output_tokens_per_s": tokens / seconds if tokens is not None and seconds else None,
        "energy_j_per_output_token": energy / tokens if energy is not None and tokens else None,
        "fit_unknown_reason": "imports have no calls to fit to",
    }


def _measured(telemetry: pl.DataFrame, requests: pl.DataFrame) -> dict[str, Any]:
    readings = _readings(telemetry)
    timed = requests.drop_nulls(["started_unix_s", "ended_unix_s"])
    has_requests = timed.height > 0
    times = readings["monotonic_s"]
    start = smallest(timed["started_unix_s"] if has_requests else times)
    end = largest(timed["ended_unix_s"] if has_requests else times)
    measured = measure_window(readings, start, end)
    answered = requests.filter(pl.col("error").is_null())["output_tokens"]
    tokens = int(answered.sum()) if len(answered) and not answered.null_count() else None
    return {
        "window_kind": "measured" if has_requests else "log",
        "start_s": start,
        "stop_s": end,
        "window_s": end - start,
        "requests_measured": timed.height,
        "requests_warmup": 0,
        "requests_drain": 0,
        **energy_columns(measured, tokens, end - start),
        "fit_unknown_reason": "imports have no calls to fit to",
    }


def _readings(telemetry: pl.DataFrame) -> pl.DataFrame:
    """Rows of raw_telemetry, in the order of the log within a device.

    A clock that jumps has to show.
    """
    schema = polars_schema(table("raw_telemetry"))
    known = {
        "session_id": pl.col("import_id"),
        "run_id": pl.col("import_id"),
        "device_id": pl.col("device").fill_null("device"),
        "monotonic_s": pl.col("started_unix_s"),
        "power_w": pl.col("power_w"),
        "energy_counter_j": pl.when(pl.col("metric_name") == COUNTER).then("metric_value"),
        "source": pl.col("source"),
    }
    rows = telemetry.filter(pl.col("started_unix_s").is_not_null()).sort(
        "device", "record_index", nulls_last=True
    )
    return rows.select(
        known.get(name, pl.lit(None, dtype)).cast(dtype).alias(name)
        for name, dtype in schema.items()
    )
