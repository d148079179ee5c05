"""Imported rows in the core tables.

Identity, judgement by verifier or label, numbering, what speaks against a row.
"""

from __future__ import annotations

import json
from pathlib import Path

import importer_samples as files
import polars as pl
import pytest

from isocost.errors import IsocostError
from isocost.importers import import_path, read_imports
from isocost.tables.core.imports import build_imported_core, imported_texts
from isocost.tasks import make_problem

pytestmark = pytest.mark.slow

KNOWN = {
    "model": "m",
    "task": "t",
    "task_version": "1",
    "prompt": "p",
    "sampling": {"temperature": 0.5, "max_gen_toks": 64},
}
COLUMNS = {
    "problem": "id",
    "sample_index": "k",
    "problem_text": "q",
    "output": "text",
    "reference": "ref",
    "correct": "ok",
}


def core(
    tmp_path: Path,
    rows: list[dict],
    *,
    verifier: str | None = None,
    columns=COLUMNS,
    provenance=KNOWN,
    unknown=frozenset(),
):
    path = tmp_path / "t.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    report = import_path(
        "generic",
        path,
        tmp_path / "lake",
        mapping={"columns": columns},
        provenance=provenance,
        unknown=unknown,
    )
    raw = read_imports(tmp_path / "lake", import_ids=[report.import_id]).collect()
    return raw, build_imported_core(raw, verifier=verifier)


def row(identity: str, index: int | None, text: str, ok: bool | None) -> dict:
    return {
        "id": identity,
        "k": index,
        "q": f"what is {identity}?",
        "text": text,
        "ref": "3",
        "ok": ok,
    }


def test_verifier_and_label_stand_side_by_side_and_disagreements_are_counted(
    tmp_path: Path,
) -> None:
    rows = [
        row("a", 0, "A: 3", True),
        row("a", 1, "A: 3.0", False),
        row("b", 0, "A: 4", True),
        row("b", 1, "nothing", False),
    ]
    _, tables = core(tmp_path, rows, verifier="numeric")
    samples = tables["core_samples"].sort("problem_id", "sample_index")
    assert sorted(zip(samples["correct"], samples["label_correct"], strict=True)) == [
        (False, False),
        (False, True),
        (True, False),
        (True, True),
    ]
    found = tables["core_label_agreement"].row(0, named=True)
    assert (found["n_labelled"], found["n_judged"], found["n_agree"]) == (4, 4, 2)
    assert (found["n_only_ours_correct"], found["n_only_label_correct"]) == (1, 1)


def test_a_problem_of_the_same_words_has_the_id_of_a_generated_one(tmp_path: Path) -> None:
    _, tables = core(tmp_path, [row("a", 0, "A: 3", True)], verifier="numeric")
    assert tables["core_samples"]["problem_id"].to_list() == [
        make_problem("t", "what is a?", "3", "numeric").problem_id
    ]


def test_labels_judge_where_no_verifier_does_and_classes_have_one_verdict(tmp_path: Path) -> None:
    columns = {"problem": "id", "answer": "text", "correct": "ok"}
    rows = [
        row("a", None, "x", True),
        row("a", None, "x", False),
        row("a", None, "y", True),
        row("a", None, "x", True),
    ]
    _, tables = core(tmp_path, rows, columns=columns)
    samples = tables["core_samples"].sort("sample_index")
    assert samples["sample_index"].to_list() == [0, 1, 2, 3] and set(samples["grade_reason"]) == {
        "imported_label"
    }
    assert (
        samples["answer_class"].n_unique() == 3
        and samples["answer_class"][0] == samples["answer_class"][3]
    )
    verdicts = samples.group_by("answer_class").agg(pl.col("correct").n_unique())
    assert set(verdicts["correct"]) == {1}


def test_counts_stay_counts_whatever_the_order_of_the_rows(tmp_path: Path) -> None:
    path = files.counts(tmp_path)
    import_path("counts", path, tmp_path / "lake", provenance=KNOWN)
    raw = read_imports(tmp_path / "lake").collect()
    first, second = build_imported_core(raw), build_imported_core(raw.reverse())
    counts = first["core_counts"]
    assert (
        counts.equals(second["core_counts"]) and first["core_samples"].is_empty()
    )  # no order, no answers: no samples
    assert counts.select("n_samples", "n_correct").sort("n_samples").rows() == [(2, 0), (4, 1)]
    assert first["core_points"].select("n_problems", "samples_banked", "samples_valid").rows() == [
        (2, 6, 6)
    ]
    reported = first["core_problems"].select("n_samples", "n_valid", "n_correct").sort("n_samples")
    assert reported.rows() == [(2, 2, 0), (4, 4, 1)]
    assert first["core_sessions"].select(
        "samples_total", "samples_valid", "samples_invalid"
    ).rows() == [(6, 6, 0)]


def test_a_sample_that_comes_twice_is_kept_and_marked(tmp_path: Path) -> None:
    _, tables = core(tmp_path, [row("a", 0, "A: 3", True), row("a", 0, "A: 4", False)])
    samples = tables["core_samples"].sort("sample_index")
    assert samples["is_valid"].to_list() == [True, False] and samples[
        "invalid_reasons"
    ].to_list() == [[], ["duplicate_in_source"]]


def test_what_nobody_knows_is_never_pooled(tmp_path: Path) -> None:
    ids = []
    for index in range(2):
        folder = tmp_path / str(index)
        folder.mkdir()
        rows = [row("a", 0, f"A: {index}", True)]
        _, tables = core(folder, rows, provenance={}, unknown=files.ALL_UNKNOWN)
        ids.append((tables["core_samples"]["point_id"][0], tables["core_samples"]["task"][0]))
    assert ids[0][0] != ids[1][0] and ids[0][1] != ids[1][1]


def test_sampling_of_points_and_rows_without_a_verdict(tmp_path: Path) -> None:
    _, tables = core(tmp_path, [row("a", 0, "A: 3", True), row("a", 1, "?", None)])
    point = tables["core_points"].row(0, named=True)
    assert (
        point["temperature"],
        point["max_tokens"],
        point["samples_banked"],
        point["samples_valid"],
    ) == (0.5, 64, 2, 1)
    unjudged = tables["core_samples"].filter(sample_index=1).row(0, named=True)
    assert unjudged["correct"] is None and unjudged["invalid_reasons"] == ["not_judged"]
    session = tables["core_sessions"].row(0, named=True)
    assert (session["status"], session["samples_total"], session["samples_valid"]) == (
        "imported",
        2,
        1,
    )


@pytest.mark.parametrize("name", sorted(files.SAMPLES))
def test_every_format_reaches_the_core_tables(tmp_path: Path, name: str) -> None:
    files.import_sample(name, files.SAMPLES[name](tmp_path / "in"), tmp_path / "lake")
    raw = read_imports(tmp_path / "lake").collect()
    tables = build_imported_core(raw)
    expected = raw.filter(pl.col("record_kind").is_in(["sample", "request"])).height
    assert tables["core_samples"].height == expected and tables["core_sessions"].height == 1
    assert tables["core_counts"]["n_samples"].sum() == raw["counts_total"].sum()
    assert tables["core_sessions"]["samples_total"].sum() == expected + raw["counts_total"].sum()
    parsed = pl.col("parse_status") == "parsed"
    assert tables["core_samples"].filter(parsed != pl.col("answer_class").is_not_null()).is_empty()
    assert (
        tables["core_samples"]
        .filter((pl.col("parse_status") == "no_answer") & pl.col("correct"))
        .is_empty()
    )
    texts = imported_texts(raw)
    assert texts.join(tables["core_samples"], on="sample_id", how="semi").height == texts.height


def test_an_unknown_verifier(tmp_path: Path) -> None:
    with pytest.raises(IsocostError, match="no verifier is called"):
        core(tmp_path, [row("a", 0, "A: 3", True)], verifier="guess")
