"""Published results in their published form, with the mapping files of benchmarks/published.

Samples in lists, arrays, header records.
"""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from isocost.build import refresh
from isocost.store import Store

SAMPLES = Path(__file__).with_name("published")
SAID = {"model": "m", "task": "t", "task_version": "1", "prompt": "p", "sampling": "words"}


def samples(repo: Path, root: Path, file: str, mapping: str, verifier: str | None) -> pl.DataFrame:
    store, path = Store(root), repo / "benchmarks" / "published" / f"{mapping}.yaml"
    name = "import-published"
    refresh.bring_in(
        store,
        name,
        format="generic",
        path=SAMPLES / file,
        provenance=SAID,
        mapping=path,
        verifier=verifier,
    )
    refresh.curate_session(store, name)
    return store.read("core_samples", name)


@pytest.mark.parametrize(
    ("file", "mapping"),
    [("game24_standard.json", "game24_standard"), ("game24_bfs.json", "game24")],
)
def test_tree_of_thoughts_logs(repo: Path, tmp_path: Path, file: str, mapping: str) -> None:
    log = json.loads((SAMPLES / file).read_text())
    verdicts = [
        record["accs"] if "accs" in record else [info["r"] for info in record["infos"]]
        for record in log
    ]
    found = samples(repo, tmp_path, file, mapping, None)
    assert found.height == sum(map(len, verdicts)) and found["is_valid"].all()
    assert found["correct"].sum() == sum(map(sum, verdicts))
    solved = found.group_by("problem_id").agg(pl.col("correct").any())["correct"].sum()
    assert found["problem_id"].n_unique() == len(log) and solved == sum(
        any(one) for one in verdicts
    )


def test_program_of_thoughts_outputs(repo: Path, tmp_path: Path) -> None:
    records = [json.loads(line) for line in (SAMPLES / "pot_gsm8k.jsonl").read_text().splitlines()]
    asked = [record for record in records if "prompt" not in record]
    found = samples(repo, tmp_path, "pot_gsm8k.jsonl", "pot", "numeric")
    assert len(asked) == found.height < len(records)
    assert found["correct"].sum() == sum(record["executed"] == record["answer"] for record in asked)
