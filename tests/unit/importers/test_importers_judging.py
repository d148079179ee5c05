"""What an imported sample is worth.

Unanswered, failed, scored between wrong and right, judged before its source changed its mind.
"""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from isocost.errors import IsocostError
from isocost.importers.row import Row
from isocost.intake import bring_in, source_of
from isocost.schema.registry import table
from isocost.schema.types import polars_type
from isocost.store import Store
from isocost.tables.core.imports import build_imported_core

KNOWN = {
    "model": "m",
    "task": "t",
    "task_version": "1",
    "prompt": "p",
    "sampling": {"temperature": 1},
}


def samples(*rows: dict, verifier: str | None = None, unanswered: str = "wrong") -> pl.DataFrame:
    """Core samples of raw rows of one import, in their order."""
    common = {
        "import_id": "im-1", "source": "generic", "record_kind": "sample", "source_file": "t", "source_run": "r", "model_variant": "m",
        "task": "t", "task_version": "1", "prompt": "p", "sampling": "{}", "problem_source_id": "a", "reference": "3",
        "problem_text": "1+2?", "null_reasons": [],
    }  # fmt: skip
    raw = pl.DataFrame(
        [common | {"record_index": index} | row for index, row in enumerate(rows)],
        infer_schema_length=None,
    )
    built = build_imported_core(_conformed(raw), verifier=verifier, unanswered=unanswered)
    return built["core_samples"].sort("sample_index")


def _conformed(raw: pl.DataFrame) -> pl.DataFrame:
    columns = [
        (
            pl.col(column.name).cast(polars_type(column))
            if column.name in raw.columns
            else pl.lit(None, polars_type(column)).alias(column.name)
        )
        for column in table("raw_imports").columns
    ]
    return raw.select(columns)


WRONG = (False, True, "no_answer")


def worth(found: pl.DataFrame) -> list[tuple]:
    return found.select("correct", "is_valid", "parse_status").rows()


@pytest.mark.parametrize(
    "silence", [{"output_text": ""}, {"output_text": "  \n"}, {}, {"answer": ""}]
)
@pytest.mark.parametrize("verifier", [None, "numeric"])
def test_what_is_not_answered_is_wrong(silence: dict, verifier: str | None) -> None:
    stated = {} if verifier else {"label_correct": True, "answer": "3"}
    found = samples({"output_text": "A: 3"} | stated, silence, verifier=verifier)
    assert worth(found) == [(True, True, "parsed"), WRONG]


@pytest.mark.parametrize("silence", [{"output_text": ""}, {}])
@pytest.mark.parametrize("verifier", [None, "numeric"])
def test_unless_it_is_asked_to_be_undefined(silence: dict, verifier: str | None) -> None:
    stated = {} if verifier else {"label_correct": True, "answer": "3"}
    found = samples(
        {"output_text": "A: 3"} | stated, silence, verifier=verifier, unanswered="undefined"
    )
    assert worth(found)[1] == (None, False, "error") and found["grade_reason"][1] == "unanswered"


@pytest.mark.parametrize("verifier", [None, "numeric"])
def test_a_source_without_texts_is_not_judged_wrong(verifier: str | None) -> None:
    found = samples({}, {}, verifier=verifier)
    assert set(found["correct"]) == {None} and not found["is_valid"].any()


def test_a_non_answer_of_the_source_is_no_vote() -> None:
    found = samples(
        {"output_text": "so", "null_reasons": ["answer:no_answer"], "label_correct": False},
        {"output_text": "hm", "null_reasons": ["answer:no_answer"]},
    )
    assert worth(found) == [WRONG, WRONG] and found["answer_class"].null_count() == 2


def test_with_a_verifier_the_sources_non_answer_does_not_count() -> None:
    found = samples(
        {"output_text": "A: 3", "null_reasons": ["answer:no_answer"]},
        verifier="numeric",
        unanswered="undefined",
    )
    assert worth(found) == [(True, True, "parsed")]


@given(
    st.lists(st.one_of(st.sampled_from([0.0, 1.0]), st.floats(0.01, 0.99)), min_size=1, max_size=6)
)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@pytest.mark.slow
def test_scores_between_wrong_and_right_stay_expected_scores(scores: list[float]) -> None:
    rows = []
    for score in scores:
        row = Row("sample", "t", None, "t")
        row.label(score, "metric")
        rows.append(
            {"answer": f"{score}"}
            | {key: row.values.get(key) for key in ("label_score", "label_correct", "label_name")}
        )
    found = samples(*rows)
    assert found["is_valid"].all() and found["score"].to_list() == scores
    assert found["correct"].to_list() == [None if 0 < score < 1 else score == 1 for score in scores]


@pytest.mark.parametrize(("score", "correct"), [(0.0, False), (1.0, True), (0.5, None)])
def test_a_score_without_a_verdict_is_one_at_its_ends(score: float, correct: bool | None) -> None:
    found = samples({"answer": "x", "label_score": score})
    assert found.select("correct", "score", "is_valid", "parse_status").rows() == [
        (correct, score, True, "parsed")
    ]


def test_the_verdict_of_the_source_wins_over_its_error_flag() -> None:
    found = samples(
        {"error": "timeout", "label_correct": False, "label_score": 0.0},
        {"error": "timeout"},
        {"output_text": "x", "label_correct": True},
    )
    assert found["is_valid"].to_list() == [True, False, True]
    assert found["invalid_reasons"].to_list()[1] == ["failed_in_source"]


def test_a_replaced_record_keeps_no_verdict() -> None:
    row = Row("sample", "t", None, "t")
    row.label(1.0, "metric")
    row.text("answer", "3")
    row.replaced("line 7")
    assert (
        not {"label_correct", "label_score", "answer"} & row.values.keys()
        and row.values["error"] == "line 7"
    )


def test_a_score_that_falls_as_the_model_gets_better_is_no_verdict() -> None:
    row = Row("sample", "t", None, "t")
    row.label(1.0, "toxicity", higher_is_better=False)
    assert (
        "label_correct" not in row.values
        and "label_score" not in row.values
        and row.reasons == ["label_score:lower_is_better"]
    )


def store_with(tmp_path: Path, verifier: str | None) -> tuple[Store, dict]:
    store, path = Store(tmp_path / "data"), tmp_path / "t.jsonl"
    path.write_text(json.dumps({"id": "1", "text": "A: 3", "ref": "3"}) + "\n")
    stated = {
        "format": "generic",
        "path": path,
        "provenance": KNOWN,
        "mapping": tmp_path / "m.yaml",
    }
    stated["mapping"].write_text("columns: {problem: id, output: text, reference: ref}\n")
    bring_in(store, "import-x", verifier=verifier, **stated)
    return store, stated


def test_a_verifier_is_never_dropped_without_a_word(tmp_path: Path) -> None:
    store, notes = store_with(tmp_path, "numeric")
    with pytest.raises(
        IsocostError, match=r"graded by numeric before.*--verifier numeric.*--verifier none"
    ):
        bring_in(store, "import-x", **notes)
    assert source_of(store, "import-x").verifier == "numeric"
    assert bring_in(store, "import-x", verifier="numeric", **notes).warnings == ()
    report = bring_in(store, "import-x", verifier="none", **notes)
    assert (
        any("numeric before" in warning for warning in report.warnings)
        and source_of(store, "import-x").verifier is None
    )


def test_nor_when_the_content_changed(tmp_path: Path) -> None:
    store, notes = store_with(tmp_path, "numeric")
    notes["path"].write_text(json.dumps({"id": "1", "text": "A: 4", "ref": "3"}) + "\n")
    with pytest.raises(IsocostError, match="graded by numeric before"):
        bring_in(store, "import-x", **notes)


def test_labels_may_be_said_at_once(tmp_path: Path) -> None:
    store, notes = store_with(tmp_path, "none")
    assert (
        source_of(store, "import-x").verifier is None
        and bring_in(store, "import-x", **notes).status == "already"
    )
