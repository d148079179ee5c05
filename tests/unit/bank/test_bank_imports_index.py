"""An import that lies in the lake while its source's index does not name it is reported, not passed
over.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from isocost.importers import import_path, read_imports
from isocost.intake.proof import repair_lake, verify_lake

pytestmark = pytest.mark.slow


@pytest.fixture
def again(tmp_path: Path, lake: Path):
    source = tmp_path / "counts.jsonl"
    source.write_text('{"id": "a", "c": 3, "n": 4}\n{"id": "b", "c": 0, "n": 4}\n')
    unknown = {"model", "task", "task_version", "prompt", "sampling"}

    def bring() -> str:
        return import_path("counts", source, lake, unknown=unknown).status

    assert bring() == "imported" and verify_lake(lake).faults == ()
    return bring


def test_a_deleted_index_is_named_and_importing_again_repairs_it(lake, again):
    next(lake.rglob("index.json")).unlink()
    (fault,) = verify_lake(lake).faults
    assert (
        fault.kind == "index"
        and "import=" in fault.path
        and "importing its source again" in fault.detail
        and not fault.is_loss
    )
    again()
    assert verify_lake(lake).faults == () and read_imports(lake).collect().height == 2


def test_a_damaged_index_is_named_and_repair_keeps_what_it_sets_aside(lake, again):
    index = next(lake.rglob("index.json"))
    index.write_text("{")
    (fault,) = verify_lake(lake).faults
    assert fault.kind == "index" and fault.path.endswith("index.json")
    assert "set aside" in repair_lake(lake)[0] and list(
        (lake / "raw/quarantine").rglob("part-*.parquet")
    )
    index.unlink()
    assert again() == "imported" and verify_lake(lake).faults == ()
