"""The export against the schemas that every_eval_ever publishes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from isocost.importers import import_path, read_imports
from isocost.publish.export_every_eval_ever import export_every_eval_ever
from isocost.tables.core.imports import build_imported_core


def test_exported_files_are_valid_by_the_published_schemas(
    shared_data: Path, tmp_path: Path
) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    logs = shared_data / "logs" / "every_eval_ever"
    import_path(
        "inspect_ai", logs / "data_arc_sonnet.json", tmp_path / "lake", unknown={"sampling"}
    )
    import_path("helm", shared_data / "logs" / "helm", tmp_path / "lake", unknown={"task_version"})
    core = build_imported_core(read_imports(tmp_path / "lake").collect())
    done = export_every_eval_ever(
        core["core_samples"],
        core["core_points"],
        core["core_problems"],
        tmp_path / "out",
        organization="a lab",
        retrieved_unix_s=1.7e9,
    )
    assert sum(item.rows for item in done) == 30 and len(done) == 6
    aggregate = jsonschema.Draft7Validator(json.loads((logs / "eval.schema.json").read_text()))
    instance = jsonschema.Draft7Validator(
        json.loads((logs / "instance_level_eval.schema.json").read_text())
    )
    for item in done:
        assert item.aggregate.is_file() and item.instances.is_file()
        assert [
            error.message for error in aggregate.iter_errors(json.loads(item.aggregate.read_text()))
        ] == []
        for line in item.instances.read_text().splitlines():
            assert [error.message for error in instance.iter_errors(json.loads(line))] == []
    sonnet = next(item for item in done if "sonnet" in str(item.aggregate))
    assert (
        json.loads(sonnet.aggregate.read_text())["evaluation_results"][0]["score_details"]["score"]
        == 1.0
    )
