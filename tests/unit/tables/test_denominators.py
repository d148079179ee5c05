"""What stands below the line.

The choice of the data root, applied to graded samples and through the whole way.
"""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isocost.build import refresh
from isocost.errors import IsocostError
from isocost.store import Store
from isocost.tables.core.denominators import FAILURES, denominators

KNOWN = {
    "model": "m",
    "task": "t",
    "task_version": "1",
    "prompt": "p",
    "sampling": {"temperature": 1},
}
REASONS = st.lists(
    st.sampled_from([*FAILURES, "not_judged", "duplicate_in_source"]), unique=True, max_size=3
)


def frame(reasons: list[list[str]]) -> pl.DataFrame:
    n = len(reasons)
    return pl.DataFrame(
        {
            "invalid_reasons": reasons,
            "is_valid": [not one for one in reasons],
            "correct": [None if one else True for one in reasons],
            "score": [None if one else 1.0 for one in reasons],
            "parse_status": ["error" if one else "parsed" for one in reasons],
            "grade_reason": [None] * n,
            "finish_reason": ["stop"] * n,
        },
        schema_overrides={
            "invalid_reasons": pl.List(pl.String),
            "grade_reason": pl.String,
            "correct": pl.Boolean,
            "score": pl.Float64,
        },
    )


@given(st.lists(REASONS, min_size=1, max_size=8))
def test_what_failed_and_nothing_else_becomes_wrong(reasons: list[list[str]]) -> None:
    before = frame(reasons)
    assert denominators(before).equals(before)
    found = denominators(before, failed="wrong")
    for one, row in zip(reasons, found.iter_rows(named=True), strict=True):
        is_failed = bool(one) and set(one) <= set(FAILURES)
        assert row["is_valid"] == (is_failed or not one) == (row["invalid_reasons"] == [])
        assert row["correct"] is (False if is_failed else None if one else True)


def test_an_empty_completion_can_be_left_out_and_a_truncated_one_cannot() -> None:
    empty = frame([[], [], []]).with_columns(
        pl.lit(False).alias("correct"),
        pl.lit("no_answer").alias("parse_status"),
        pl.Series("grade_reason", ["empty", "empty", "no_match"]),
        pl.Series("finish_reason", ["stop", "length", "stop"]),
    )
    found = denominators(empty, unanswered="undefined")
    assert found["is_valid"].to_list() == [False, True, True] and found["correct"].to_list() == [
        None,
        False,
        False,
    ]


@pytest.mark.slow
def test_both_ends_of_the_range_are_shown_and_one_can_be_chosen(tmp_path: Path) -> None:
    store, path, mapping = Store(tmp_path / "data"), tmp_path / "t.jsonl", tmp_path / "m.yaml"
    mapping.write_text("columns: {problem: id, output: text, correct: ok, error: e}\n")
    rows = [
        {"id": "1", "text": "a", "ok": True},
        {"id": "1", "e": "timeout"},
        {"id": "2", "text": "b", "ok": True},
    ]
    path.write_text(
        "".join(json.dumps({"text": None, "ok": None, "e": None} | row) + "\n" for row in rows)
    )
    refresh.bring_in(
        store, "import-t", format="generic", path=path, provenance=KNOWN, mapping=mapping
    )

    def summary() -> dict:
        list(refresh.everything(store))
        return store.read("out_point_summary").row(0, named=True)

    row = summary()
    assert (
        row["accuracy"],
        row["accuracy_failed_wrong"],
        row["samples_failed"],
        row["samples_valid"],
    ) == (1.0, 0.75, 1, 2)
    (store.root / "isocost.yaml").write_text("failed: wrong\n")
    row = summary()
    assert (row["accuracy"], row["accuracy_failed_wrong"], row["samples_valid"]) == (0.75, 0.75, 3)
    (store.root / "isocost.yaml").write_text("failed: perhaps\n")
    with pytest.raises(IsocostError, match="failed"):
        summary()


@pytest.mark.slow
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=4))
@settings(max_examples=3, deadline=None)
def test_a_failed_attempt_that_was_made_again_is_at_neither_end(
    tmp_path_factory: pytest.TempPathFactory, reported: list[tuple[bool, bool]]
) -> None:
    """Each problem with whether its first try failed, and whether the try that counts is right."""
    folder = tmp_path_factory.mktemp("again")
    store, path, mapping = Store(folder / "data"), folder / "t.jsonl", folder / "m.yaml"
    mapping.write_text(
        "columns: {problem: id, sample_index: k, output: text, correct: ok, error: e}\n"
    )
    rows = [
        {"id": str(i), "k": 0, "text": None, "ok": None, "e": "timeout"}
        for i, (has_failed, _) in enumerate(reported)
        if has_failed
    ]
    rows += [
        {"id": str(i), "k": 0, "text": "a", "ok": right, "e": None}
        for i, (_, right) in enumerate(reported)
    ]
    path.write_text(
        "".join(
            json.dumps(row) + "\n"
            for row in [*rows, {"id": "last", "k": 0, "text": "a", "ok": True, "e": "late"}]
        )
    )
    refresh.bring_in(
        store, "import-t", format="generic", path=path, provenance=KNOWN, mapping=mapping
    )
    list(refresh.everything(store))
    row = store.read("out_point_summary").row(0, named=True)
    expected = (sum(right for _, right in reported) + 1) / (len(reported) + 1)
    assert row["samples_failed"] == 0 and row["accuracy"] == row[
        "accuracy_failed_wrong"
    ] == pytest.approx(expected)
