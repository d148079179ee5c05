"""The table of published figures.

What is not there is skipped by name, what is there is imported through the ordinary door.
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import pytest

from benchmarks.published import __main__ as command
from isocost.importers.generic.mapping import load_mapping


def test_every_mapping_is_a_mapping() -> None:
    files = sorted(command.HOME.glob("*.yaml"))
    assert len(files) >= 7
    for path in files:
        load_mapping(path)


@pytest.mark.slow
def test_what_is_there_is_measured_and_the_rest_skipped_by_name(
    tmp_path: Path, monkeypatch, capsys
) -> None:
    log = (
        tmp_path
        / "tree-of-thought-llm/logs/game24/gpt-4_0.7_naive_standard_sample_100_start900_end1000.json"
    )
    log.parent.mkdir(parents=True)
    log.write_text(
        json.dumps([{"idx": 900 + i, "ys": ["a", "b"], "accs": [i, 0]} for i in range(2)])
    )
    task = (
        tmp_path
        / "BIG-Bench-Hard/code-davinci-002-outputs/x-cot/snarks_few_shot_template_0-255000.json"
    )
    task.parent.mkdir(parents=True)
    outputs = [
        {"input": "q", "prediction": "So the answer is (A).", "target": target}
        for target in ("(A)", "(B)")
    ]
    task.write_text(json.dumps({"canary": "x", "outputs": outputs}))
    task.with_name(f"{task.stem}_eval_metrics.jsonl").write_text('{"accuracy": 50.0}')
    monkeypatch.setattr(command, "TABLE", tmp_path / "out.csv")
    monkeypatch.setattr(sys, "argv", ["published", str(tmp_path), "--write"])
    assert command.main() == 0
    with (tmp_path / "out.csv").open() as handle:
        rows = list(csv.DictReader(handle))
    assert [(row["file"], row["measure"], row["ours"], row["samples"]) for row in rows] == [
        ("game of 24, standard prompt", command.MEAN, "25.0", "4"),
        ("game of 24, standard prompt", command.ANY, "50.0", "4"),
        ("snarks, cot", command.MEAN, "50.0", "2"),
    ]
    assert rows[-1]["published"] == "50.0" and rows[-1]["difference"] == "0.0"
    assert "skipped ToRA, GSM8K, tora-70b-v1.0: ToRA/src/outputs/" in capsys.readouterr().out
