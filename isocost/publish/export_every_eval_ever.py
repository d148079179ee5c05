"""Export to every_eval_ever, the interchange format of evaluation results (schema 0.3.0).

Lives here: one aggregate JSON and one instance-level JSON Lines file for each point, written whole
or not at all. Not here: the import of the same format (isocost.importers.formats.every_eval_ever),
which reads these files back.

The format does not cover repeat index, energy, cost or FLOPs: they go into each instance's
metadata, as text, under our names.
"""

from __future__ import annotations

import hashlib
import json
import math
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

import isocost
from isocost import atomic
from isocost.errors import IsocostError
from isocost.hashing import slug, text_hash
from isocost.tables.tallies import graded

SCHEMA_VERSION = "0.3.0"
RELATIONSHIPS = ("first_party", "third_party", "collaborative", "other")
_METADATA = (
    "sample_index",
    "sample_id",
    "prompt",
    "finish_reason",
    "parse_status",
    "answer_class",
    "logprob_sum",
    "queue_s",
    "flops",
    "energy_j",
    "energy_method",
    "energy_unknown_reason",
    "cost_usd",
    "completion_hash",
    "source",
)
_DRAWN = ("temperature", "top_p", "top_k", "max_tokens")


@dataclass(frozen=True, slots=True)
class ExportedPoint:
    """The files written for one point.

    Attributes:
        point_id: the point.
        aggregate: the aggregate JSON file.
        instances: the instance-level JSON Lines file.
        rows: instances written.
        left_out: samples left out because they are invalid or ungraded; the format has no unknown
            verdict.
    """

    point_id: str
    aggregate: Path
    instances: Path
    rows: int
    left_out: int


def export_every_eval_ever(
    samples: pl.DataFrame,
    points: pl.DataFrame,
    problems: pl.DataFrame,
    folder: Path,
    *,
    organization: str,
    retrieved_unix_s: float,
    relationship: str = "other",
    texts: pl.DataFrame | None = None,
) -> list[ExportedPoint]:
    """Write every point that has at least one graded sample.

    Args:
        samples: rows of core_samples.
        points: rows of core_points.
        problems: rows of core_problems.
        folder: destination folder; created if missing.
        organization: who provides the numbers (source_organization_name).
        retrieved_unix_s: time of the export, Unix seconds; also part of evaluation_id.
        relationship: relationship of the evaluating organization to the model's, one of
            ``RELATIONSHIPS``.
        texts: sample_id and output_text; outputs are left empty if None.

    Raises:
        IsocostError: an unknown relationship, no graded sample, or a folder that cannot be written.
    """
    if relationship not in RELATIONSHIPS:
        raise IsocostError(
            f"{relationship!r} is not a relationship",
            remedy=f"Use one of {', '.join(RELATIONSHIPS)}",
        )
    judged = graded(samples)
    if judged.is_empty():
        raise IsocostError(
            "no sample is graded, so there is nothing to export",
            where="core_samples",
            remedy="Grade the samples first",
        )
    joined = judged.join(
        problems.select("problem_id", "session_id", "question", "reference"),
        on=["problem_id", "session_id"],
        how="left",
        maintain_order="left",
    )
    if texts is not None:
        joined = joined.join(
            texts.select("sample_id", "output_text"),
            on="sample_id",
            how="left",
            maintain_order="left",
        )
    else:
        joined = joined.with_columns(pl.lit(None, pl.String).alias("output_text"))
    known = {
        row["point_id"]: row for row in points.sort("point_id", "session_id").iter_rows(named=True)
    }
    head = {
        "organization": organization,
        "relationship": relationship,
        "retrieved": retrieved_unix_s,
    }
    done = []
    for key, own in _numbered(joined).group_by("point_id", maintain_order=True):
        point = known.get(str(key[0]))
        if point is None:
            raise IsocostError("has samples but no row in core_points", where=f"point {key[0]}")
        left_out = samples.filter(pl.col("point_id") == key[0]).height - own.height
        done.append(_write_point(folder, own, point, head, left_out))
    return done


def _numbered(samples: pl.DataFrame) -> pl.DataFrame:
    """Samples in order.

    If several imported runs numbered theirs separately, the numbers are continued, as one
    evaluation requires.
    """
    attempts = ("point_id", "problem_id")
    ordered = samples.sort(*attempts, "sample_index", "sample_id")
    is_twice = pl.struct(*attempts, "sample_index").is_duplicated().any().over(attempts)
    position = pl.int_range(pl.len(), dtype=pl.Int32).over(attempts)
    return ordered.with_columns(
        pl.when(is_twice).then(position).otherwise("sample_index").alias("sample_index")
    )


def _write_point(
    folder: Path, own: pl.DataFrame, point: dict[str, Any], head: dict[str, Any], left_out: int
) -> ExportedPoint:
    evaluation_id = (
        f"{point['task']}/{point['model_variant']}/{point['point_id']}/{head['retrieved']:.0f}"
    )
    place = _place(point, evaluation_id)
    instances, aggregate = folder / f"{place}_samples.jsonl", folder / f"{place}.json"
    result_id = f"{point['task']}#pass@1"
    rows = (_instance(row, point, evaluation_id, result_id) for row in own.iter_rows(named=True))
    detail = {
        "format": "jsonl",
        "file_path": instances.relative_to(folder).as_posix(),
        "hash_algorithm": "sha256",
        "checksum": _write_lines(instances, rows),
        "total_rows": own.height,
    }
    document = _aggregate(own, point, head, evaluation_id, result_id) | {
        "detailed_evaluation_results": detail
    }
    _write_lines(aggregate, iter([document]), indent=2)
    return ExportedPoint(point["point_id"], aggregate, instances, own.height, left_out)


def _place(point: dict[str, Any], evaluation_id: str) -> str:
    """The path that the format prescribes, data/<benchmark>/<developer>/<model>/<uuid>.

    The same for the same export.
    """
    developer, _, model = point["model_variant"].rpartition("/")
    name = uuid.UUID(bytes=hashlib.sha256(evaluation_id.encode()).digest()[:16], version=4)
    return f"data/{slug(point['task'])}/{slug(developer or 'unknown')}/{slug(model)}/{name}"


def _aggregate(
    own: pl.DataFrame,
    point: dict[str, Any],
    head: dict[str, Any],
    evaluation_id: str,
    result_id: str,
) -> dict[str, Any]:
    per_problem = own.group_by("problem_id").agg(pl.col("worth").mean())["worth"]
    deviation = per_problem.std() if per_problem.len() > 1 else None
    uncertainty: dict[str, Any] = {"num_samples": per_problem.len()}
    if deviation is not None:
        uncertainty["standard_deviation"] = deviation
        uncertainty["standard_error"] = {
            "value": deviation / math.sqrt(per_problem.len()),
            "method": "analytic, over problems",
        }
    details = {
        "point_id": point["point_id"],
        "engine": point["engine"],
        "prompt_name": point["prompt"],
        "task_version": _task_version(point),
    }
    if point.get("method") not in (None, "sample"):  # an answer of several calls is no plain one
        details |= {name: point.get(name) for name in ("method", "method_parameters", "partners")}
    arguments = {name: point[name] for name in _DRAWN if point[name] is not None}
    if point["prompt_template"]:
        arguments["prompt_template"] = point["prompt_template"]
    return {
        "schema_version": SCHEMA_VERSION,
        "evaluation_id": evaluation_id,
        "retrieved_timestamp": f"{head['retrieved']:.3f}",
        "source_metadata": {
            "source_name": "isocost",
            "source_type": "evaluation_run",
            "source_organization_name": head["organization"],
            "evaluator_relationship": head["relationship"],
        },
        "eval_library": {"name": "isocost", "version": isocost.__version__},
        "model_info": {
            "name": point["model_variant"],
            "id": point["model_variant"],
            "additional_details": {"deployment_type": "unknown", "model_availability": "unknown"},
        },
        "evaluation_results": [
            {
                "evaluation_result_id": result_id,
                "evaluation_name": point["task"],
                "source_data": {
                    "dataset_name": point["task_dataset"] or point["task"],
                    "source_type": "other",
                },
                "metric_config": {
                    "metric_id": "pass_at_k",
                    "metric_name": "pass@1",
                    "metric_kind": "pass_rate",
                    "metric_unit": "proportion",
                    "metric_parameters": {"k": 1},
                    "lower_is_better": False,
                    "score_type": "continuous",
                    "min_score": 0.0,
                    "max_score": 1.0,
                    "evaluation_description": (
                        "Mean over problems of the share of correct samples; of the score if it "
                        "is partial."
                    ),
                },
                "score_details": {"score": per_problem.mean(), "uncertainty": uncertainty},
                "generation_config": {
                    "generation_args": arguments,
                    "additional_details": _texts(details),
                },
            }
        ],
    }


def _instance(
    row: dict[str, Any], point: dict[str, Any], evaluation_id: str, result_id: str
) -> dict[str, Any]:
    question, reference, text = row["question"] or "", row["reference"], row["output_text"]
    metadata = {name: row[name] for name in _METADATA} | {"task_version": _task_version(point)}
    instance: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "evaluation_id": evaluation_id,
        "model_id": row["model_variant"],
        "evaluation_name": row["task"],
        "evaluation_result_id": result_id,
        "sample_id": row["problem_id"],
        "sample_hash": text_hash(question + (reference or ""), 64),
        "interaction_type": "single_turn",
        "input": {"raw": question, "reference": [] if reference is None else [reference]},
        "output": {"raw": [] if text is None else [text]},
        "answer_attribution": [],
        # The schema requires a verdict: an answer with partial credit is not the right one.
        "evaluation": {
            "score": row["worth"] if row["score"] is None else row["score"],
            "is_correct": bool(row["correct"]),
        },
        "metadata": _texts(metadata),
    }
    if row["answer"] is not None:
        attribution = {
            "turn_idx": 0,
            "source": "output.raw",
            "extracted_value": row["answer"],
            "is_terminal": True,
        }
        instance["answer_attribution"] = [
            attribution | {"extraction_method": point["verifier"] or "imported_label"}
        ]
    if row["prompt_tokens"] is not None and row["output_tokens"] is not None:
        usage = {"input_tokens": row["prompt_tokens"], "output_tokens": row["output_tokens"]}
        usage["total_tokens"] = row["prompt_tokens"] + row["output_tokens"]
        instance["token_usage"] = usage | {"input_tokens_cache_read": row["cached_tokens"]}
    if row["latency_s"] is not None:
        instance["performance"] = {"latency_ms": row["latency_s"] * 1e3}
    return instance


def _task_version(point: dict[str, Any]) -> str | None:
    config = json.loads(point["task_config"]) if point["task_config"] else {}
    return config.get("task_version") if isinstance(config, dict) else None


def _texts(values: dict[str, Any]) -> dict[str, str]:
    """Known values as text.

    The format's free fields allow nothing else. repr keeps a float's last digit.
    """
    return {
        name: repr(value) if isinstance(value, float) else str(value)
        for name, value in values.items()
        if value is not None
    }


def _write_lines(path: Path, values: Iterator[dict[str, Any]], indent: int | None = None) -> str:
    """Write JSON values line by line.

    Returns the SHA-256 of the bytes.
    """
    digest = hashlib.sha256()
    with atomic.replacing(path) as temporary, temporary.open("xb") as handle:
        for value in values:
            text = json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent)
            line = f"{text}\n".encode()
            digest.update(line)
            handle.write(line)
    return digest.hexdigest()
