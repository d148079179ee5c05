"""The every_eval_ever export.

What is written, and that the importer reads the same samples back.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import polars as pl
import pytest

from isocost.errors import IsocostError
from isocost.importers import import_path, read_imports
from isocost.publish.export_every_eval_ever import export_every_eval_ever
from isocost.tables.core.imports import build_imported_core

ROWS = [
    {
        "id": "a",
        "k": 0,
        "text": "so 3",
        "ref": "3",
        "ok": True,
        "tin": 9,
        "tout": 12,
        "s": 1.5,
        "j": 0.1 + 0.2,
    },
    {
        "id": "a",
        "k": 1,
        "text": "so 4",
        "ref": "3",
        "ok": False,
        "tin": 9,
        "tout": 14,
        "s": 2.5,
        "j": None,
    },
    {
        "id": "b",
        "k": 0,
        "text": "é",
        "ref": "5",
        "ok": True,
        "tin": 8,
        "tout": 2,
        "s": None,
        "j": 2.0,
    },
    {
        "id": "b",
        "k": 1,
        "text": "none",
        "ref": "5",
        "ok": None,
        "tin": 8,
        "tout": 2,
        "s": None,
        "j": None,
    },
]
MAPPING = {
    "columns": {
        "problem": "id",
        "sample_index": "k",
        "output": "text",
        "reference": "ref",
        "correct": "ok",
        "prompt_tokens": "tin",
        "output_tokens": "tout",
        "latency": "s",
        "energy": "j",
    },
    "latency_meaning": "request",
    "energy_method": "nvml_counter",
}
PROVENANCE = {
    "model": "org/m",
    "task": "sums",
    "task_version": "2",
    "prompt": "cot",
    "sampling": {"temperature": 0.5, "max_tokens": 64},
}


@pytest.fixture
def core(tmp_path: Path) -> dict[str, pl.DataFrame]:
    path = tmp_path / "t.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    import_path("generic", path, tmp_path / "lake", provenance=PROVENANCE, mapping=MAPPING)
    raw = read_imports(tmp_path / "lake").collect()
    texts = raw.select("record_index", "output_text")
    built = build_imported_core(raw)
    built["texts"] = (
        built["core_samples"]
        .sort("problem_id", "sample_index")
        .select("sample_id", "problem_id", "sample_index", "session_id")
    )
    keyed = raw.select("problem_source_id", "sample_index", "output_text")
    problems = built["core_problems"].select(
        "problem_id",
        pl.col("metadata").str.json_path_match("$.problem_source_id").alias("problem_source_id"),
    )
    built["texts"] = (
        built["texts"]
        .join(problems, on="problem_id")
        .join(keyed, on=["problem_source_id", "sample_index"])
    )
    assert texts.height == 4
    return built


def export(core: dict[str, pl.DataFrame], folder: Path, **more):
    settings = {
        "organization": "someone",
        "retrieved_unix_s": 1.7e9,
        "texts": core["texts"],
        **more,
    }
    return export_every_eval_ever(
        core["core_samples"], core["core_points"], core["core_problems"], folder, **settings
    )


def test_what_is_written(core, tmp_path: Path) -> None:
    (done,) = export(core, tmp_path / "out")
    assert (done.rows, done.left_out) == (3, 1)  # a sample nobody judged has no place in the format
    document = json.loads(done.aggregate.read_text())
    result = document["evaluation_results"][0]
    assert result["score_details"]["score"] == 0.75  # mean over problems of 1/2 and 1
    assert result["score_details"]["uncertainty"]["standard_error"]["value"] == pytest.approx(0.25)
    assert result["generation_config"]["generation_args"] == {"temperature": 0.5, "max_tokens": 64}
    detail = document["detailed_evaluation_results"]
    assert (
        detail["checksum"] == hashlib.sha256(done.instances.read_bytes()).hexdigest()
        and detail["total_rows"] == 3
    )
    first = json.loads(done.instances.read_text().splitlines()[0])
    assert all(isinstance(value, str) for value in first["metadata"].values())
    assert not list((tmp_path / "out").rglob(".*"))
    assert (tmp_path / "out" / detail["file_path"]) == done.instances


def test_the_importer_reads_the_same_samples_back(core, tmp_path: Path) -> None:
    export(core, tmp_path / "out")
    import_path("every_eval_ever", tmp_path / "out", tmp_path / "lake2")
    raw = (
        read_imports(tmp_path / "lake2")
        .collect()
        .filter(record_kind="sample")
        .sort("problem_source_id", "sample_index")
    )
    mine = (
        core["core_samples"]
        .filter(pl.col("correct").is_not_null())
        .sort("problem_id", "sample_index")
    )
    for theirs, ours in (
        ("problem_source_id", "problem_id"),
        ("label_correct", "correct"),
        ("prompt_tokens", "prompt_tokens"),
        ("output_tokens", "output_tokens"),
        ("sample_index", "sample_index"),
        ("energy_j", "energy_j"),
        ("energy_method", "energy_method"),
        ("latency_s", "latency_s"),
        ("model_variant", "model_variant"),
        ("task", "task"),
        ("prompt", "prompt"),
    ):
        assert raw[theirs].to_list() == mine[ours].to_list(), theirs
    assert set(raw["task_version"]) == {"2"} and set(raw["sampling"]) == {
        '{"max_tokens":64,"temperature":0.5}'
    }
    assert set(raw["output_text"]) == {"so 3", "so 4", "é"}
    assert core["core_samples"]["energy_j"].sum() == raw["energy_j"].sum()


def test_without_texts_and_with_nothing_judged(core, tmp_path: Path) -> None:
    (done,) = export(core, tmp_path / "out", texts=None)
    assert json.loads(done.instances.read_text().splitlines()[0])["output"] == {"raw": []}
    core["core_samples"] = core["core_samples"].with_columns(
        pl.lit(None, pl.Boolean).alias("correct")
    )
    with pytest.raises(IsocostError, match="nothing to export"):
        export(core, tmp_path / "out2")
    with pytest.raises(IsocostError, match="is not a relationship"):
        export(core, tmp_path / "out3", relationship="friend")


def test_an_answer_of_several_calls_says_its_method(core, tmp_path: Path) -> None:
    settings = {"method": "cascade", "method_parameters": "{}", "partners": '{"large": {}}'}
    core["core_points"] = core["core_points"].with_columns(
        pl.lit(value).alias(name) for name, value in settings.items()
    )
    (done,) = export(core, tmp_path / "out")
    (result,) = json.loads(done.aggregate.read_text())["evaluation_results"]
    details = result["generation_config"]["additional_details"]
    assert {name: details[name] for name in settings} == settings
