"""The context of imported samples: points, problems, imports, agreement of labels.

Lives here: core_points, core_problems, core_sessions and core_label_agreement of imports. Not here:
the samples (``imports``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import polars as pl

from isocost.hashing import canonical_json
from isocost.schema.frames import empty
from isocost.tables.energy.imported_windows import NO_WINDOW
from isocost.verifier_settings import name_of, options_json

_SAMPLING = {
    "temperature": ("temperature",),
    "top_p": ("top_p",),
    "min_p": ("min_p",),
    "top_k": ("top_k",),
    "max_tokens": (
        "max_tokens",
        "max_gen_toks",
        "max_output_tokens",
        "max_new_tokens",
        "max_completion_tokens",
    ),
}
_WHOLE = ("top_k", "max_tokens")

# A record of counted attempts represents all of them; any other row is one attempt.
ATTEMPTS = pl.coalesce("counts_total", pl.lit(1, pl.Int64))
CORRECT = pl.coalesce("counts_correct", pl.col("correct").cast(pl.Int64), pl.lit(0, pl.Int64))


def points_frame(samples: pl.DataFrame, verifier: str | None) -> pl.DataFrame:
    """Rows of core_points: one for each point and import."""
    grouped = samples.group_by("point_id", "session_id", maintain_order=True).agg(
        *(
            pl.col(name).first()
            for name in (
                "source",
                "task",
                "task_version",
                "model_variant",
                "prompt",
                "sampling",
                "condition",
            )
        ),
        pl.col("problem_id").n_unique().cast(pl.Int32).alias("n_problems"),
        ATTEMPTS.sum().alias("samples_banked"),
        ATTEMPTS.filter("is_valid").sum().alias("samples_valid"),
    )
    rows = []
    for row in grouped.iter_rows(named=True):
        sampling, condition = row.pop("sampling"), row.pop("condition")
        config = {
            "task_version": row.pop("task_version"),
            "condition": json.loads(condition) if condition else None,
        }
        known = {key: value for key, value in config.items() if value is not None}
        rows.append(
            {
                **row,
                **_sampling(sampling),
                "method": "sample",
                "method_parameters": "{}",
                **_stated(verifier),
                "condition": condition,
                "task_config": canonical_json(known) if known else None,
            }
        )
    return _frame(rows, "core_points")


def _sampling(text: str | None) -> dict[str, Any]:
    stated = json.loads(text) if text else {}
    found: dict[str, Any] = {}
    for name, aliases in _SAMPLING.items():
        value = next(
            (
                stated[alias]
                for alias in aliases
                if isinstance(stated, dict) and stated.get(alias) is not None
            ),
            None,
        )
        if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 2**31:
            found[name] = int(value) if name in _WHOLE else float(value)
    return found


def problems_frame(samples: pl.DataFrame, verifier: str | None) -> pl.DataFrame:
    """Rows of core_problems: every problem with a sample in an import."""
    grouped = samples.group_by("problem_id", "session_id", maintain_order=True).agg(
        *(pl.col(name).first() for name in ("task", "source")),
        *(
            pl.col(name).drop_nulls().first()
            for name in ("problem_text", "reference", "cluster_id", "problem_source_id")
        ),
        ATTEMPTS.sum().alias("n_samples"),
        ATTEMPTS.filter("is_valid").sum().alias("n_valid"),
        CORRECT.filter("is_valid").sum().alias("n_correct"),
        pl.col("answer_class").drop_nulls().n_unique().cast(pl.Int32).alias("n_answer_classes"),
    )
    rows = []
    for row in grouped.iter_rows(named=True):
        question, own = row.pop("problem_text"), row.pop("problem_source_id")
        metadata = None if own is None else canonical_json({"problem_source_id": own})
        own_row = {"question": question, "metadata": metadata, **_stated(verifier)}
        rows.append({**row, **own_row})
    return _frame(rows, "core_problems")


def _stated(verifier: str | None) -> dict[str, str | None]:
    name = None if verifier is None else name_of(verifier)
    return {"verifier": name, "verifier_options": options_json(verifier)}


def sessions_frame(
    raw: pl.DataFrame,
    samples: pl.DataFrame,
    manifests: Mapping[str, Mapping[str, Any]],
    energy: Mapping[str, Mapping[str, Any]],
) -> pl.DataFrame:
    """Rows of core_sessions: one for each import, even without samples.

    Args:
        raw: rows of raw_imports.
        samples: rows of core_samples of the same imports.
        manifests: manifests of the imports, by import_id.
        energy: the energy of each import's window, see ``imported_windows.energy_of_imports``.
    """
    tallies = {
        str(key[0]): part for key, part in samples.group_by("session_id", maintain_order=True)
    }
    rows = []
    for key, part in raw.group_by("import_id", maintain_order=True):
        import_id = str(key[0])
        own = tallies.get(import_id, samples.clear())
        codes = (
            own["invalid_reasons"]
            .explode(empty_as_null=False)
            .drop_nulls()
            .value_counts(sort=False)
        )
        models = part["model_variant"].drop_nulls().unique()
        total, valid = (
            int(rows.select(ATTEMPTS.sum()).item()) for rows in (own, own.filter("is_valid"))
        )
        reasons = ["no_valid_samples"] if total and not valid else []
        rows.append(
            {
                "session_id": import_id,
                "run_id": import_id,
                "attempt": 1,
                "source": part["source"][0],
                "model_variant": models[0] if len(models) == 1 else None,
                "status": "imported",
                "is_valid": not reasons,
                "invalid_reasons": reasons,
                "started_unix_s": part["started_unix_s"].min(),
                "ended_unix_s": part["ended_unix_s"].max(),
                "isocost_version": manifests.get(import_id, {}).get("isocost_version"),
                **energy.get(import_id, {"energy_unknown_reason": NO_WINDOW}),
                "rows_total": part.height,
                "rows_warmup": 0,
                "rows_superseded": 0,
                "samples_total": total,
                "samples_valid": valid,
                "samples_invalid": total - valid,
                "invalid_counts": canonical_json(dict(codes.iter_rows())),
                "samples_truncated": None
                if own["is_truncated"].null_count()
                else int(own["is_truncated"].sum()),
                **{name: _sum(own[name]) for name in ("prompt_tokens", "output_tokens")},
            }
        )
    return _frame(rows, "core_sessions")


def _sum(values: pl.Series) -> int | None:
    return None if values.is_empty() or values.null_count() else int(values.sum())


def agreement_frame(samples: pl.DataFrame, *, has_verifier: bool) -> pl.DataFrame:
    """Rows of core_label_agreement.

    Our verdict against the source's, if both graded the same text.
    """
    both = samples.filter(pl.col("label_correct").is_not_null())
    ours = pl.col("correct").is_not_null() if has_verifier else pl.lit(False)
    same = ours & (pl.col("correct") == pl.col("label_correct"))
    return both.group_by("session_id", "task", "model_variant", maintain_order=True).agg(
        pl.len().cast(pl.Int64).alias("n_labelled"),
        ours.sum().cast(pl.Int64).alias("n_judged"),
        same.sum().cast(pl.Int64).alias("n_agree"),
        (ours & pl.col("correct") & ~pl.col("label_correct"))
        .sum()
        .cast(pl.Int64)
        .alias("n_only_ours_correct"),
        (ours & ~pl.col("correct") & pl.col("label_correct"))
        .sum()
        .cast(pl.Int64)
        .alias("n_only_label_correct"),
    )


def _frame(rows: list[dict[str, Any]], name: str) -> pl.DataFrame:
    """Rows as a frame with every column of a table; a key that a row lacks is NULL."""
    return pl.DataFrame(rows, schema=empty(name).schema, orient="row") if rows else empty(name)
