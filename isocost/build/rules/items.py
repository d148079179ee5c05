"""Item statistics, repeated measurements and response features.

Not here: how the tables are computed (``isocost.tables.items``).
"""

from __future__ import annotations

import polars as pl

from isocost.bank.reader import read_raw
from isocost.build.rules.base import SAMPLES, Frames, Rule
from isocost.build.slices import Rows
from isocost.schema.frames import empty
from isocost.store import Store


def derive_items(rows: Rows | Store) -> Frames:
    """Item statistics, reproducibility and regressions: comparisons of the points of a task."""
    from isocost.tables.items.items import build_item_statistics
    from isocost.tables.items.reruns import METRICS, build_regressions, build_reproducibility
    from isocost.tables.tallies import COLUMNS

    more = (
        "sample_id",
        "session_id",
        "sample_index",
        "answer",
        "output_tokens",
        "completion_hash",
        "energy_method",
        *METRICS,
    )
    samples = rows.read(
        "core_samples",
        columns=tuple(dict.fromkeys(name for name in (*COLUMNS, *more) if name != "accuracy")),
    )
    points, sessions = rows.read("core_points"), rows.read("core_sessions")
    counts = rows.read("core_counts")
    return {
        "out_item_statistics": build_item_statistics(samples, counts=counts),
        "out_reproducibility": build_reproducibility(
            samples, points, sessions, _greedy_tokens(rows, points)
        ),
        "out_regressions": build_regressions(samples, points, sessions, counts=counts),
    }


def derive_responses(rows: Rows | Store) -> Frames:
    """Response features.

    Correct against wrong responses of one point. Texts are most of the bank, so each is read once.
    """
    from isocost.tables.core.answers import TEXT_COLUMNS, sample_texts
    from isocost.tables.items.responses import build_response_features

    samples = rows.read("core_samples")
    found = sample_texts(
        rows.read("core_calls", columns=TEXT_COLUMNS["core_calls"]),
        rows.read("core_answers", columns=TEXT_COLUMNS["core_answers"]),
    )
    # For a sample in two sessions, the text of the copy that counts.
    own = samples.select("sample_id", "session_id")
    texts = found.join(own, on=["sample_id", "session_id"], how="semi").sort("sample_id")
    texts = texts.select("sample_id", "output_text")
    return {"out_response_features": build_response_features(samples, texts)}


def _greedy_tokens(rows: Rows | Store, points: pl.DataFrame) -> pl.DataFrame:
    """Token ids of the samples of greedy points, for the divergence index.

    Only those parts of the bank are opened.

    The bank is not a separate input of the piece: core_samples has the hash of every sample's
    tokens.
    """
    wanted = ("sample_id", "output_token_ids", "token_logprobs")
    greedy = points.filter((pl.col("temperature") == 0) & (pl.col("source") == "generated"))
    frames = [
        read_raw(
            rows.lake,
            "raw_generations",
            str(key[0]),
            point_ids=part["point_id"].to_list(),
            columns=[*wanted, "is_warmup"],
        )
        for key, part in greedy.sort("session_id", "point_id").group_by(
            "session_id", maintain_order=True
        )
    ]
    found = pl.concat(frames) if frames else empty("raw_generations").select(*wanted, "is_warmup")
    return (
        found.filter(~pl.col("is_warmup"))
        .select(wanted)
        .unique("sample_id", keep="last", maintain_order=True)
    )


RULES = (
    Rule(
        "items",
        "task",
        ("out_item_statistics", "out_reproducibility", "out_regressions"),
        (*SAMPLES, "core_points", "core_sessions"),
        derive_items,
    ),
    Rule(
        "items",
        "point",
        ("out_response_features",),
        ("core_samples", "core_calls", "core_answers"),
        derive_responses,
    ),
)
