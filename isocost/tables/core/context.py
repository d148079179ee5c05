"""The tables around the samples: points, problems and runs, each with its counts.

Lives here: core_points, core_problems and core_sessions from sessions, problems and manifests. Not
here: the samples themselves (isocost.tables.core.samples).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from isocost.capabilities import Role, capabilities_of, engine_names
from isocost.hashing import canonical_json
from isocost.schema.frames import empty
from isocost.sweep import EngineConfig, ModelVariant, PlannedPoint, Point, Session
from isocost.sweep.models import joined_names, partner_settings_of
from isocost.tables.core.call_costs import RunLoad, run_loads
from isocost.tables.core.engines import device_count, device_of, info_of, partners_of
from isocost.tasks import Problem
from isocost.verifier_settings import name_of, options_json

_BAD_STATUS = {
    "failed": "run_failed",
    "died": "run_died",
    "stopped": "run_stopped",
    "running": "run_unfinished",
}


def points_frame(samples: pl.DataFrame, sessions: Sequence[Session]) -> pl.DataFrame:
    """Rows of core_points.

    Every planned point, and every point of samples that is unknown to all sessions.
    """
    counts = {
        (point, session): (banked, valid)
        for point, session, banked, valid in samples.group_by("point_id", "session_id")
        .agg(pl.len(), pl.col("is_valid").sum())
        .iter_rows()
    }
    rows = [
        _point(
            item, session.session_id, counts.get((item.point.point_id, session.session_id), (0, 0))
        )
        for session in sessions
        for item in session.points
    ]
    there = {(row["point_id"], row["session_id"]) for row in rows}
    strays = samples.unique(["point_id", "session_id"], maintain_order=True).select(
        "point_id", "session_id", "task", "model_variant", "prompt"
    )
    for stray in strays.iter_rows(named=True):
        key = (stray["point_id"], stray["session_id"])
        if key not in there:
            rows.append(
                {
                    **stray,
                    "source": "generated",
                    "method": "sample",
                    "method_parameters": "{}",
                    "samples_banked": counts[key][0],
                    "samples_valid": counts[key][1],
                }
            )
    return _frame(rows, "core_points")


def _point(item: PlannedPoint, session_id: str, counts: tuple[int, int]) -> dict[str, Any]:
    point, engine = item.point, item.point.engine
    wanted = point.task.n_problems * item.samples_per_problem
    return {
        "point_id": point.point_id,
        "session_id": session_id,
        "sweep": point.sweep,
        "source": "generated",
        "method": point.method_name,
        "method_parameters": canonical_json(
            {} if isinstance(point.method, str) else point.method.parameters
        ),
        "task": point.task.name,
        "task_source": point.task.source,
        "task_dataset": point.task.dataset,
        "task_config": canonical_json(point.task.config),
        "task_seed": point.task.seed,
        "verifier": name_of(point.task.verifier),
        "verifier_options": options_json(point.task.verifier),
        "n_problems": point.task.n_problems,
        "model_variant": point.model_variant,
        "model_path": point.model.path,
        "model_revision": point.model.commit or point.model.revision,
        "model_card": point.model.card,
        "model_settings": _model_settings(point.model),
        "dtype": point.model.dtype,
        "quantization": point.model.quantization,
        "prompt": point.prompt.name,
        "prompt_system": point.prompt.system,
        "prompt_template": point.prompt.template,
        "prompt_stop": canonical_json(list(point.prompt.stop)) if point.prompt.stop else None,
        "is_chat": point.prompt.chat,
        **point.sampling.model_dump(),
        "max_tokens": point.budget.max_tokens,
        "seed": point.seed,
        "engine": engine.engine,
        **_stated_settings(engine),
        "engine_options": canonical_json(engine.options),
        "partners": _partners(point) if point.partners else None,
        "samples_planned_per_problem": item.samples_per_problem,
        "samples_planned": wanted,
        "samples_banked": counts[0],
        "samples_valid": counts[1],
        "samples_missing": max(wanted - counts[0], 0),
    }


def _model_settings(model: ModelVariant) -> str | None:
    """Settings of a model that few models have; None without any."""
    whole = model.model_dump(mode="json")
    names = ("chat_template_kwargs", "reasoning_parser", "adapter")
    found = {name: whole[name] for name in names if name in whole}
    return canonical_json(found) if found else None


def _partners(point: Point) -> str:
    """What each partner is: all of its settings that have an effect."""
    dumped = {alias: one.model_dump(mode="json") for alias, one in point.partners.items()}
    return canonical_json(partner_settings_of(dumped, Role.IDENTITY, Role.CONDITION))


_SETTINGS = {
    "engine_seed": "seed",
    "max_model_len": "max_model_len",
    "kv_cache_bytes": "kv_cache_bytes",
    "max_num_seqs": "max_num_seqs",
    "max_num_batched_tokens": "max_num_batched_tokens",
    "block_size": "block_size",
    "has_prefix_caching": "enable_prefix_caching",
    "is_eager": "enforce_eager",
}


def _stated_settings(engine: EngineConfig) -> dict[str, Any]:
    """Columns of the engine's settings.

    NULL for one that has no effect on this engine, such as the cache of a server.
    """
    declared = capabilities_of(engine.engine)
    return {
        column: None if declared.role(key) is Role.NEITHER else getattr(engine, key)
        for column, key in _SETTINGS.items()
    }


def problems_frame(samples: pl.DataFrame, problems: Mapping[str, Problem]) -> pl.DataFrame:
    """Rows of core_problems: every problem that has a sample, by session."""
    grouped = samples.group_by("problem_id", "session_id", maintain_order=True).agg(
        pl.col("task").first(),
        pl.len().alias("n_samples"),
        pl.col("is_valid").sum().alias("n_valid"),
        (pl.col("is_valid") & pl.col("correct").fill_null(False)).sum().alias("n_correct"),
        pl.col("answer_class").drop_nulls().n_unique().alias("n_answer_classes"),
    )
    rows = []
    for row in grouped.iter_rows(named=True):
        problem = problems.get(row["problem_id"])
        stated = (
            {}
            if problem is None
            else {name: getattr(problem, name) for name in ("question", "reference", "cluster_id")}
            | {
                "verifier": name_of(problem.verifier),
                "verifier_options": options_json(problem.verifier),
            }
        )
        metadata = None if problem is None else canonical_json(dict(problem.metadata))
        rows.append({**row, **stated, "metadata": metadata, "source": "generated"})
    return _frame(rows, "core_problems")


def sessions_frame(
    calls: pl.DataFrame,
    samples: pl.DataFrame,
    sessions: Sequence[Session],
    manifests: Iterable[Any],
    energy: pl.DataFrame | None,
) -> pl.DataFrame:
    """Rows of core_sessions.

    One for each run, from its manifest and its rows; a run without a manifest is marked.
    """
    manifest_of = {(_get(m, "session_id"), _get(m, "run_id")): m for m in manifests}
    runs = {
        (session, run): int(attempt)
        for session, run, attempt in calls.select("session_id", "run_id", "attempt")
        .unique()
        .iter_rows()
    }
    runs.update({key: int(_get(m, "attempt") or 1) for key, m in manifest_of.items()})
    by_id = {session.session_id: session for session in sessions}
    counted = _call_counts(calls)
    tallied = _sample_counts(samples)
    loads = run_loads(calls)
    joules = (
        {}
        if energy is None
        else {(row["session_id"], row["run_id"]): row for row in energy.iter_rows(named=True)}
    )
    rows = []
    for key in sorted(runs):
        session = by_id.get(key[0])
        row: dict[str, Any] = {
            "session_id": key[0],
            "run_id": key[1],
            "attempt": runs[key],
            "sweep": session.sweep if session else None,
            "source": "generated",
            "engine": session.engine.engine if session else None,
            "model_variant": joined_names(session.engine.model, session.partners)
            if session
            else None,
            **_from_manifest(manifest_of.get(key), session.engine.engine if session else None),
            **_joules(joules.get(key), manifest_of.get(key)),
            **_load(loads.get((*key, None))),
            **counted.get(key, {"rows_total": 0, "rows_warmup": 0, "rows_superseded": 0}),
            **tallied.get(key, _NO_SAMPLES),
        }
        if row.get("window_s") and row.get("output_tokens") is not None:
            row["output_tokens_per_s"] = row["output_tokens"] / row["window_s"]
        reasons = [_BAD_STATUS[row["status"]]] if row["status"] in _BAD_STATUS else []
        reasons += ["no_manifest"] if key not in manifest_of else []
        reasons += ["no_valid_samples"] if row["samples_total"] and not row["samples_valid"] else []
        rows.append({**row, "invalid_reasons": sorted(reasons), "is_valid": not reasons})
    return _frame(rows, "core_sessions")


_NO_SAMPLES = {
    "samples_total": 0,
    "samples_valid": 0,
    "samples_invalid": 0,
    "samples_truncated": 0,
    "invalid_counts": "{}",
}


def _load(load: RunLoad | None) -> dict[str, Any]:
    return (
        {}
        if load is None
        else {"decoding_s": load.decoding_s, "decode_batch_mean": load.decode_batch_mean}
    )


def _call_counts(calls: pl.DataFrame) -> dict[tuple[str, str], dict[str, Any]]:
    measured = ~pl.col("is_warmup")
    counts = calls.group_by("session_id", "run_id").agg(
        pl.len().alias("rows_total"),
        pl.col("is_warmup").sum().alias("rows_warmup"),
        (pl.col("not_used_reason") == "superseded").sum().alias("rows_superseded"),
        pl.coalesce("queued_s", "scheduled_s").filter(measured).min().alias("first_s"),
        pl.col("last_token_s").filter(measured).max().alias("last_s"),
    )
    found = {}
    for row in counts.iter_rows(named=True):
        first, last = row.pop("first_s"), row.pop("last_s")
        span = last - first if first is not None and last is not None and last > first else None
        found[(row.pop("session_id"), row.pop("run_id"))] = {**row, "window_s": span}
    return found


def _sample_counts(samples: pl.DataFrame) -> dict[tuple[str, str], dict[str, Any]]:
    found = {}
    for key, part in samples.group_by("session_id", "run_id", maintain_order=True):
        codes = (
            part["invalid_reasons"]
            .explode(empty_as_null=False)
            .drop_nulls()
            .value_counts(sort=False)
        )
        valid = int(part["is_valid"].sum())
        found[(str(key[0]), str(key[1]))] = {
            "samples_total": part.height,
            "samples_valid": valid,
            "samples_invalid": part.height - valid,
            "samples_truncated": int(part["is_truncated"].sum()),
            "invalid_counts": canonical_json(dict(codes.iter_rows())),
            **{
                name: None if part[name].null_count() else int(part[name].sum())
                for name in ("prompt_tokens", "output_tokens")
            },
        }
    return found


def _from_manifest(manifest: Any, engine_name: str | None) -> dict[str, Any]:
    """The information that the payload recorded about a run of an engine.

    ``isocost.payload.session`` fills these keys.
    """
    if manifest is None:
        return {"status": "died"}
    info = _get(manifest, "info") or {}
    versions, engine = info.get("versions") or {}, info.get("engine") or {}
    return {
        "status": _get(manifest, "status"),
        "error": _text(info.get("error")),
        "started_unix_s": (info.get("clock_start") or {}).get("unix_s"),
        "ended_unix_s": (info.get("clock_end") or {}).get("unix_s"),
        "engine_start_s": info.get("engine_start_s"),
        "device": device_of(info),
        "device_count": device_count(info),
        "isocost_version": versions.get("isocost"),
        "engine_version": engine.get("version")
        or engine_version(engine.get("engine") or engine_name, versions),
        "versions": canonical_json(versions) if versions else None,
        "resolved_engine": canonical_json(engine["resolved"]) if engine.get("resolved") else None,
    }


def machine_of(info: Mapping[str, Any]) -> str | None:
    """The machine of a run's times and joules, or the machines if engines of partners have others.

    None if the run does not state one of them.
    """
    found = [_machine(info_of(info, partner)) for partner in partners_of(info)]
    known = [one for one in dict.fromkeys(found) if one is not None]
    return " + ".join(known) if len(known) == len(dict.fromkeys(found)) and known else None


def _machine(info: Mapping[str, Any]) -> str | None:
    """The machine of one engine: accelerators, a processor, or a server."""
    engine, host = info.get("engine") or {}, info.get("host") or {}
    device, number = device_of(info), device_count(info)
    if device == "remote":
        return f"server {engine['base_url']}" if engine.get("base_url") else None
    if device is not None and device != "cpu":
        return f"{number} x {device}" if number else device
    processor, cores = host.get("processor"), host.get("usable_cores")
    return f"{processor}, {cores} cores" if processor and cores else device


def engine_version(engine: str | None, versions: Mapping[str, str]) -> str | None:
    """Version of the package that an engine declares.

    For a server, no installed package determines it.
    """
    if engine is None or engine not in engine_names():
        return None
    return next(
        (versions[name] for name in capabilities_of(engine).packages if versions.get(name)), None
    )


def _joules(row: Mapping[str, Any] | None, manifest: Any) -> dict[str, Any]:
    if row is not None and row["energy_j"] is not None:
        return {
            "energy_j": row["energy_j"],
            "energy_method": row["energy_method"],
            "energy_unknown_reason": None,
        }
    telemetry = (
        ((_get(manifest, "info") or {}).get("telemetry") or {}) if manifest is not None else {}
    )
    stated = telemetry.get("unknown_reason") if isinstance(telemetry, Mapping) else None
    reason = (row or {}).get("energy_unknown_reason") or stated or "no_power_source"
    return {"energy_j": None, "energy_method": None, "energy_unknown_reason": str(reason)}


def _get(manifest: Any, name: str) -> Any:
    return manifest.get(name) if isinstance(manifest, Mapping) else getattr(manifest, name, None)


def _text(value: Any) -> str | None:
    return None if value is None else value if isinstance(value, str) else canonical_json(value)


def _frame(rows: list[dict[str, Any]], name: str) -> pl.DataFrame:
    """Rows as a frame with every column of a table; a key that a row lacks is NULL."""
    return pl.DataFrame(rows, schema=empty(name).schema, orient="row") if rows else empty(name)
