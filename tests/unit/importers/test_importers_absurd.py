"""A number that its column cannot mean is NULL with its reason.

Every other record stands as it was, and no sum overflows.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isocost.importers import import_path, read_imports
from isocost.importers.row import MOST_COUNT, MOST_INDEX, MOST_NUMBER, Row
from isocost.tables.core.imports import build_imported_core

MAPPING = {
    "columns": {
        "problem": "id",
        "sample_index": "k",
        "output": "text",
        "correct": "ok",
        "prompt_tokens": "p",
        "output_tokens": "n",
        "reasoning_tokens": "r",
        "cached_tokens": "c",
        "latency": "lat",
        "ttft": "ttft",
        "queue": "q",
        "energy": "en",
        "cost": "usd",
        "logprob": "lp",
        "verifier_score": "vs",
        "verdicts": "v",
        "started": "st",
        "score": "s",
    },
    "latency_meaning": "x",
    "energy_method": "x",
}
SOUND = {
    "k": 0, "text": "a", "ok": True, "p": 10, "n": 20, "r": 2, "c": 3, "lat": 2.0, "ttft": 0.5, "q": 0.1, "en": 50.0, "usd": 0.01,
    "lp": -7.5, "vs": 0.4, "v": [1, 0], "st": 1.7e9, "s": 1.0,
}  # fmt: skip
KNOWN = {
    "model": "m",
    "task": "t",
    "task_version": "1",
    "prompt": "p",
    "sampling": '{"temperature": 1}',
}
NUMBERS = [key for key in SOUND if key not in ("text", "ok", "v")]
ABSURD = st.sampled_from(
    [
        1e308,
        -1e308,
        2**62,
        -(2**62),
        2**63,
        10**40,
        -1,
        -0.5,
        6.2e12,
        1e12,
        2**31,
        10**400,
        math.pi * 1e25,
    ]
)


COUNTS = ("k", "p", "n", "r", "c")
# Half a token is a value of another kind, a time in milliseconds a unit that was not named: both
# are reported as mistakes of the mapping.
CHANGE = st.tuples(st.integers(0, 5), st.sampled_from(NUMBERS), ABSURD).filter(
    lambda change: (
        not (change[1] in COUNTS and change[2] == -0.5)
        and not (change[1] == "st" and change[2] == 1e12)
    )
)


@pytest.fixture(scope="module")
def sound_samples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """core_samples of the same rows as they were, by problem."""
    _, core = built(
        tmp_path_factory.mktemp("sound"), [{**SOUND, "id": f"q{number}"} for number in range(6)]
    )
    return {row["problem_id"]: row for row in core["core_samples"].iter_rows(named=True)}


def built(folder: Path, rows: list[dict[str, Any]]) -> tuple[pl.DataFrame, dict[str, pl.DataFrame]]:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    lake = folder / "lake"
    report = import_path("generic", path, lake, provenance=KNOWN, mapping=MAPPING)
    raw = read_imports(lake, import_ids=[report.import_id]).collect().sort("record_index")
    return raw, build_imported_core(raw)


@pytest.mark.slow
@settings(max_examples=12, deadline=None)
@given(st.lists(CHANGE, min_size=1, max_size=6))
def test_absurd_numbers_cost_their_own_values_alone(
    tmp_path_factory: pytest.TempPathFactory, sound_samples, changes
) -> None:
    sound = [{**SOUND, "id": f"q{number}"} for number in range(6)]
    rows = [dict(row) for row in sound]
    for number, key, value in changes:
        rows[number][key] = value
    touched = {number for number, _, _ in changes}
    raw, core = built(tmp_path_factory.mktemp("absurd"), rows)
    assert raw.height == 6
    samples = {row["problem_id"]: row for row in core["core_samples"].iter_rows(named=True)}
    assert len(samples) == 6
    names = dict(
        core["core_problems"]
        .select(pl.col("metadata").str.json_path_match("$.problem_source_id"), "problem_id")
        .iter_rows()
    )
    run = ("run_id", "session_id", "sample_id", "machine")
    for number in set(range(6)) - touched:
        mine, theirs = samples[names[f"q{number}"]], sound_samples[names[f"q{number}"]]
        assert {k: v for k, v in mine.items() if k not in run} == {
            k: v for k, v in theirs.items() if k not in run
        }
    for frame in (raw, core["core_samples"], core["core_sessions"]):
        for name, dtype in frame.schema.items():
            if dtype.is_float():
                assert frame[name].is_finite().fill_null(True).all() and math.isfinite(
                    frame[name].sum()
                ), name
            elif dtype.is_integer():
                assert abs(frame[name].cast(pl.Float64).sum()) < 2**62, name


@pytest.mark.parametrize("value", [1e308, -1e308, "1e31", 10**400, MOST_NUMBER * 1.01])
def test_a_number_beyond_all_quantities_is_null_with_its_reason(value: Any) -> None:
    row = Row("sample", "f", None, "f, line 1")
    row.number("verifier_score", value)
    assert "verifier_score" not in row.values and row.reasons == ["verifier_score:not_in_range"]


@pytest.mark.parametrize(
    ("column", "value", "is_kept"),
    [
        ("output_tokens", 2**62, False),
        ("output_tokens", -7, False),
        ("output_tokens", MOST_COUNT, True),
        ("sample_index", 2**40, False),
        ("sample_index", MOST_INDEX, True),
        ("output_tokens", "9" * 400, False),
    ],
)
def test_a_count_beyond_its_column_is_null_with_its_reason(
    column: str, value: Any, is_kept: bool
) -> None:
    row = Row("sample", "f", None, "f, line 1")
    row.integer(column, value)
    assert (column in row.values) is is_kept
    assert row.reasons in ([] if is_kept else [f"{column}:not_in_range"], [f"{column}:not_finite"])


def test_a_verdict_that_is_none_is_unknown_and_the_others_stand() -> None:
    row = Row("sample", "f", None, "f, line 1")
    row.flags("verdicts", [2.0, 1, 0.25, -1.0])
    assert (
        row.values["verdicts"] == [None, 1.0, 0.25, None]
        and row.reasons == ["verdicts:not_in_range"] * 2
    )
