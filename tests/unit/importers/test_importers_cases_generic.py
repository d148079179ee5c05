"""Inputs on which something went wrong, through the whole way.

Import, core tables, refresh where the right answer is an accuracy.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from isocost import cli
from isocost.build import refresh
from isocost.errors import IsocostError
from isocost.store import Store

pytestmark = pytest.mark.slow

SAID = {"model": "m", "task": "t", "task_version": "1", "prompt": "p", "sampling": "{}"}


def brought(
    root: Path,
    case: Path,
    file: str,
    mapping: str | None,
    *,
    leave: tuple[str, ...] = (),
    **more: Any,
) -> pl.DataFrame:
    store = Store(root)
    said = {key: value for key, value in SAID.items() if key not in leave}
    more = {
        "format": "generic",
        "path": case / file,
        "provenance": said,
        "mapping": None if mapping is None else case / mapping,
    } | more
    refresh.bring_in(store, "import-x", **more)
    refresh.curate_session(store, "import-x")
    return store.read("core_samples", "import-x")


def accuracy(root: Path) -> list[float]:
    list(refresh.everything(Store(root)))
    with duckdb.connect(str(root / "warehouse.duckdb"), read_only=True) as con:
        return [row[0] for row in con.execute("SELECT accuracy FROM out_point_summary").fetchall()]


def test_list_as_text(shared_cases: Path, tmp_path: Path) -> None:
    samples = brought(
        tmp_path, shared_cases / "list_as_text", "t.jsonl", "m.yaml", verifier="numeric"
    )
    assert samples.height == 6 and samples.group_by("problem_id").len()["len"].to_list() == [3, 3]
    assert (
        sorted(samples["answer"]) == ["4", "4", "5", "7", "7", "8"]
        and samples["correct"].sum() == 4
    )
    assert accuracy(tmp_path) == [pytest.approx(4 / 6)]


def test_empty_completion(shared_cases: Path, tmp_path: Path) -> None:
    samples = brought(
        tmp_path, shared_cases / "empty_completion", "t.jsonl", "m.yaml", verifier="exact"
    )
    assert samples["is_valid"].all() and samples["correct"].to_list().count(True) == 1
    assert accuracy(tmp_path) == [0.25]
    monkeys = tmp_path / "monkeys"
    brought(
        monkeys,
        shared_cases / "empty_completion",
        "llm.jsonl",
        None,
        format="large_language_monkeys",
    )
    assert accuracy(monkeys) == [0.25]


def test_an_empty_answer_is_wrong(shared_cases: Path, tmp_path: Path) -> None:
    samples = brought(tmp_path, shared_cases / "misc", "null.csv", "null.yaml", verifier="numeric")
    assert samples["is_valid"].all() and sorted(samples["correct"]) == [False, True]
    assert accuracy(tmp_path) == [0.5]


def test_what_is_missing_for_a_verdict_is_said(shared_cases: Path, tmp_path: Path, capsys) -> None:
    case = shared_cases / "misc"
    listed = [part for key, value in SAID.items() for part in (f"--{key.replace('_', '-')}", value)]
    command = [
        "--data",
        str(tmp_path / "d"),
        "import",
        "generic",
        str(case / "nov.csv"),
        "--mapping",
        str(case / "null.yaml"),
        *listed,
    ]
    assert cli.main(command) == 0
    out = capsys.readouterr().out
    assert (
        "2 samples have a reference and no verdict in the source. To grade them, give --verifier: one of code, exact"
        in out
    )
    assert cli.main([*command, "--verifier", "numeric"]) == 0
    assert "To grade them, give --verifier" not in capsys.readouterr().out


def test_an_iso_time_is_read(shared_cases: Path, tmp_path: Path) -> None:
    store = Store(tmp_path)
    case = shared_cases / "misc"
    report = refresh.bring_in(
        store,
        "import-x",
        format="generic",
        path=case / "iso.csv",
        provenance=SAID,
        mapping=case / "iso.yaml",
    )
    assert refresh.raw_rows(store, "raw_imports", "import-x")["started_unix_s"].to_list() == [
        1717067017.0
    ]
    assert report.warnings == (
        f"times without an offset are read as UTC: column start, first in {case / 'iso.csv'}, row ending on line 2",
    )


def test_the_unnamed_column_of_pandas(shared_cases: Path, tmp_path: Path) -> None:
    case = shared_cases / "pandas_index"
    for number, name in enumerate(('""', '"Unnamed: 0"')):
        (tmp_path / "m.yaml").write_text(f"columns: {{problem: answer, sample_index: {name}}}\n")
        shutil.copy(case / "t.csv", tmp_path / "t.csv")
        samples = brought(tmp_path / str(number), tmp_path, "t.csv", "m.yaml")
        assert samples["sample_index"].to_list() == [0, 1]
    (tmp_path / "m.yaml").write_text("columns: {problem: answers}\n")
    with pytest.raises(
        IsocostError,
        match=r"has no column 'answers'. It has '' \(the column without a name\), answer, token_usage",
    ):
        brought(tmp_path / "2", tmp_path, "t.csv", "m.yaml")


def test_words_in_a_sampling_column(shared_cases: Path, tmp_path: Path) -> None:
    case, root = shared_cases / "sampling_words_crash", tmp_path / "d"
    brought(root, case, "t.csv", "m.yaml", leave=("sampling",))
    assert accuracy(root) == [0.5]
    samples = Store(root).read("core_points", "import-x")
    assert samples["temperature"].to_list() == [None]
    with pytest.raises(
        IsocostError,
        match=r"num.csv, row ending on line 2, settings: '0.7' is neither a JSON object nor words",
    ):
        brought(tmp_path / "e", case, "num.csv", "m.yaml", leave=("sampling",))
    assert not list((tmp_path / "e").rglob("*.parquet")) and not list(
        (tmp_path / "e").rglob("*.source")
    )


def test_why_generation_ended(shared_cases: Path, tmp_path: Path) -> None:
    samples = brought(
        tmp_path,
        shared_cases / "llm_trunc",
        "t.csv",
        "map.yaml",
        leave=("model",),
        verifier="numeric",
    )
    problems = Store(tmp_path).read("core_problems", "import-x").select("problem_id", "metadata")
    listed = (
        samples.join(problems, on="problem_id")
        .with_columns(pl.col("metadata").str.extract(r"(p\d)").alias("p"))
        .sort("p")
    )
    assert listed["finish_reason"].to_list() == ["length"] * 4 + ["stop"] * 2 + [
        "content_filter",
        "error",
        None,
    ]
    # "so far we have 3 + 7" gives 7 only where the text is finished.
    assert listed["correct"].to_list() == [False] * 4 + [True, True, False, None, True]
    assert listed["grade_reason"].to_list()[6] == "content_filter" and not listed["is_truncated"][6]
