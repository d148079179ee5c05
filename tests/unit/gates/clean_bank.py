"""Core tables of one session that break no rule, for tests of the gate."""

from __future__ import annotations

from typing import Any

import polars as pl

from isocost.schema.frames import conform
from isocost.schema.registry import table
from isocost.schema.types import polars_schema

N = 24
MODELLED = ("kinetics_eflops", "kv_traffic_bytes", "weight_traffic_bytes", "device_s", "cost_usd")
SAMPLE = {
    "point_id": "pt-1",
    "session_id": "s-1",
    "run_id": "r-1",
    "attempt": 1,
    "task": "sums",
    "model_variant": "m",
    "prompt": "direct",
    "source": "generated",
    "is_valid": True,
    "invalid_reasons": [],
    "correct": True,
    "score": 1.0,
    "answer": "4",
    "answer_class": 0,
    "parse_status": "parsed",
    "finish_reason": "stop",
    "is_truncated": False,
    "prompt_tokens": 12,
    "output_tokens": 5,
    "cached_tokens": 4,
    "logprob_sum": -2.5,
    "logprob_mean": -0.5,
    "entropy_mean_low": 0.1,
    "entropy_mean_high": 0.2,
    "queue_s": 0.01,
    "prefill_s": 0.1,
    "decode_s": 0.4,
    "latency_s": 0.5,
    "flops": 1e9,
    "energy_j": 2.0,
    "energy_method": "nvml/output_token_share",
    "costs_unknown_reasons": [f"{name}: no card" for name in MODELLED],
    "n_calls": 1,
}
SESSION = {
    "session_id": "s-1",
    "run_id": "r-1",
    "attempt": 1,
    "source": "generated",
    "engine": "vllm",
    "status": "finished",
    "is_valid": True,
    "invalid_reasons": [],
    "started_unix_s": 1000.0,
    "ended_unix_s": 1010.0,
    "window_s": 8.0,
    "isocost_version": "0.1.0",
    "engine_version": "0.32.0",
    "resolved_engine": "{}",
    "energy_j": 48.0,
    "energy_method": "nvml",
    "rows_total": 26,
    "rows_warmup": 2,
    "rows_superseded": 0,
    "samples_total": N,
    "samples_valid": N,
    "samples_invalid": 0,
    "invalid_counts": "{}",
    "samples_truncated": 0,
    "output_tokens_per_s": 17.5,
}


def frame(name: str, rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Rows with every column of a table; what is not given is NULL."""
    schema = polars_schema(table(name))
    return pl.DataFrame(
        [{column: row.get(column) for column in schema} for row in rows],
        schema=schema,
        orient="row",
    )


def _samples() -> list[dict[str, Any]]:
    rows = [
        {
            **SAMPLE,
            "sample_id": f"pt-1:p-{i // 4}:{i % 4}",
            "problem_id": f"p-{i // 4}",
            "sample_index": i % 4,
        }
        for i in range(N)
    ]
    # The last one gave no answer, the one before it ran where no power was read.
    rows[-1] |= {
        "parse_status": "no_answer",
        "answer": None,
        "answer_class": None,
        "correct": False,
        "score": 0.0,
    }
    rows[-2] |= {
        "energy_j": None,
        "energy_method": None,
        "energy_unknown_reason": "no_power_source",
    }
    rows[2] |= {"cached_tokens": None}
    return rows


def clean() -> dict[str, pl.DataFrame]:
    """Core tables by name: 24 samples of one run, six problems, one point."""
    samples = _samples()
    point = {
        "point_id": "pt-1",
        "session_id": "s-1",
        "source": "generated",
        "method": "sample",
        "task": "sums",
        "model_variant": "m",
    }
    problem = {
        "session_id": "s-1",
        "task": "sums",
        "source": "generated",
        "n_samples": 4,
        "n_valid": 4,
        "n_answer_classes": 1,
    }
    problems = [
        {
            **problem,
            "problem_id": name,
            "n_correct": sum(row["correct"] for row in samples if row["problem_id"] == name),
        }
        for name in sorted({row["problem_id"] for row in samples})
    ]
    window = {
        "session_id": "s-1",
        "run_id": "r-1",
        "window_kind": "measured",
        "energy_j": 48.0,
        "source": "generated",
    }
    share = {
        "session_id": "s-1",
        "run_id": "r-1",
        "attribution": "output_token_share",
        "attempt": 1,
        "is_default": True,
        "energy_j": 2.0,
    }
    shares = [
        {**share, "call_id": f"{row['sample_id']}:0", "sample_id": row["sample_id"]}
        for row in samples
    ]
    found = {
        "core_samples": samples,
        "core_sessions": [SESSION],
        "core_points": [{**point, "samples_banked": N, "samples_valid": N}],
        "core_problems": problems,
        "core_energy_windows": [_filled("core_energy_windows", window)],
        "core_energy_attribution": [_filled("core_energy_attribution", row) for row in shares],
        "core_counts": [],
    }
    return {name: conform(frame(name, rows), name) for name, rows in found.items()}


def _filled(name: str, row: dict[str, Any]) -> dict[str, Any]:
    """A row with something in every column that must not be NULL."""
    plain = {
        "string": "x",
        "int32": 0,
        "int64": 0,
        "float64": 0.0,
        "bool": False,
        "list[string]": [],
    }
    definition = table(name)
    missing = {
        c.name: (c.allowed[0] if c.allowed else plain[c.type])
        for c in definition.columns
        if definition.required(c.name) and row.get(c.name) is None
    }
    return row | missing


def with_cell(
    frames: dict[str, pl.DataFrame], name: str, column: str, value: Any, row: int = 0
) -> dict[str, pl.DataFrame]:
    """The same tables with one cell changed."""
    changed = frames[name].to_dicts()
    changed[row][column] = value
    return {**frames, name: pl.DataFrame(changed, schema=frames[name].schema, orient="row")}
