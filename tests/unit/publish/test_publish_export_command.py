"""``isocost export every_eval_ever``: the way out and back in by the command line alone."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from benchmarks.refresh import Layout
from benchmarks.refresh import bank as bank_session
from isocost.build import refresh
from isocost.cli import main
from isocost.publish.export_command import output_texts
from isocost.store import Store

pytestmark = pytest.mark.slow
KEPT = ("correct", "output_tokens", "prompt_tokens", "energy_j", "model_variant", "task")
KNOWN = {"model": "org/m", "task": "sums", "task_version": "2", "prompt": "cot"}
KNOWN |= {"sampling": '{"temperature": 0.5}'}
MAPPING = {
    "columns": {
        "problem": "id",
        "sample_index": "k",
        "output": "text",
        "reference": "ref",
        "correct": "ok",
        "prompt_tokens": "tin",
        "output_tokens": "tout",
        "energy": "j",
    },
    "energy_method": "nvml_counter",
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A session of an engine and an import, curated."""
    folder = tmp_path_factory.mktemp("export")
    store, problems = Store(folder / "data"), folder / "problems"
    problems.mkdir()
    layout = Layout("tasks", 1, 2, False, 3, 2)
    session = bank_session(store, problems, layout, *layout.sessions()[0])
    rows = [
        {"id": p, "k": k, "text": f"{p}{k} é", "ref": "3", "ok": [True, False, None][k]}
        | {"tin": 9, "tout": 3 + k, "j": 0.1 * (k + 1)}
        for p in "ab"
        for k in range(3)
    ]
    path, mapping = folder / "t.jsonl", folder / "mapping.json"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    mapping.write_text(json.dumps(MAPPING), encoding="utf-8")
    refresh.bring_in(
        store, "import-t", format="generic", path=path, provenance=KNOWN, mapping=mapping
    )
    for key in (session, "import-t"):
        refresh.curate_session(store, key)
    return store


def exported(store: Store, folder: Path, *more: str) -> int:
    root = ["--data", str(store.root), "export", "every_eval_ever", str(folder)]
    return main([*root, "--organization", "someone", *more])


def test_what_is_exported_is_imported_with_its_verdicts_numbers_and_texts(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exported(store, tmp_path / "out", "--relationship", "third_party") == 0
    output = capsys.readouterr().out
    mine = store.read("core_samples").filter(pl.col("correct").is_not_null())
    assert f"{mine.height} samples of {mine['point_id'].n_unique()} configurations in" in output
    assert "2 samples are left out" in output
    back = Store(tmp_path / "back")
    command = ["--data", str(back.root), "import", "every_eval_ever", str(tmp_path / "out")]
    # A session's own task has no version of somebody else's.
    assert main([*command, "--name", "theirs", "--unknown", "task_version"]) == 0
    theirs = back.read("core_samples")
    assert {"third_party"} == {
        json.loads(path.read_text())["source_metadata"]["evaluator_relationship"]
        for path in (tmp_path / "out").rglob("*.json")
    }
    keyed = pl.struct(*KEPT).hash().sort()
    assert theirs.select(keyed).equals(mine.select(keyed)) and theirs.height == mine.height
    texts = [
        frame.join(output_texts(where), on="sample_id")["output_text"].sort().to_list()
        for frame, where in ((mine, store), (theirs, back))
    ]
    assert texts[0] == texts[1] and {"a0 é", "b1 é"} < set(texts[0])


def test_a_folder_with_files_is_refused_and_stays_as_it_is(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "kept").write_text("mine")
    assert exported(store, tmp_path) == 2
    assert "holds files already" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_an_unknown_relationship_is_refused_with_the_known_ones(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exported(store, tmp_path / "out", "--relationship", "friend") == 2
    assert "first_party" in capsys.readouterr().err and not (tmp_path / "out").exists()
