"""Published files through the command line.

File, bank, core, outcomes, and the figures of their logs in the tables that people read.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from isocost.build import refresh
from isocost.cli import main
from isocost.store import Store

UNKNOWN = [
    word for name in ("task", "prompt", "task_version", "sampling") for word in ("--unknown", name)
]


def bring(store: Store, *arguments: str | Path) -> None:
    assert main(["--data", str(store.root), "import", *map(str, arguments)]) == 0


def outcomes(store: Store) -> pl.DataFrame:
    return refresh.derive_strategies(store)["out_strategy_outcomes"].filter(budget=1)


def test_every_log_of_the_inspect_folder_keeps_its_accuracy(
    shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path / "data")
    bring(store, "inspect_ai", shared_data / "logs" / "inspect", *UNKNOWN)
    assert "the source itself states task, task_version, prompt" in capsys.readouterr().out
    samples = store.read("core_samples")
    assert samples.height == 28
    # One log stands there twice, as .json and as .eval; one has no verdicts; the other four keep
    # all their samples.
    reasons = (
        samples["invalid_reasons"].explode(empty_as_null=False).drop_nulls().value_counts().rows()
    )
    assert dict(reasons) == {"not_judged": 10, "duplicate_in_source": 1}
    found = outcomes(store).filter(pl.col("accuracy").is_not_null(), strategy="pass_at_k")
    stated = {
        (row["task"], row["model_variant"], row["n_samples"]): row["accuracy"]
        for row in found.iter_rows(named=True)
    }
    assert stated == pytest.approx(
        {
            ("popularity", "openai/gpt-4o-mini", 10): 0.8,
            ("popularity", "openai/gpt-4o-mini", 3): 2 / 3,
            ("popularity", "ollama/llama3.1", 1): 0.0,
            ("security_guide", "openai/gpt-4o-mini", 3): 1.0,
        }
    )


def test_known_sampling_pools_the_logs_of_one_configuration(
    shared_data: Path, tmp_path: Path
) -> None:
    store = Store(tmp_path / "data")
    bring(
        store, "inspect_ai", shared_data / "logs" / "inspect", "--sampling", '{"temperature": 1.0}'
    )
    samples = store.read("core_samples").filter(
        pl.col("is_valid"), task="popularity", model_variant="openai/gpt-4o-mini"
    )
    assert (
        samples["point_id"].n_unique() == 1
        and samples.height == 13
        and samples["correct"].sum() == 10
    )
    # A log of the folder once more, on its own: nothing new.
    (log,) = (shared_data / "logs" / "inspect").glob("*28-13*_popularity.json")
    bring(store, "inspect_ai", log, "--sampling", '{"temperature": 1.0}')
    assert store.read("core_samples").filter("is_valid").height == 17


def test_gsm8k_labels_have_the_accuracy_of_one_sample(shared_data: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "data")
    path = shared_data / "gsm8k" / "example_model_solutions.jsonl"
    bring(
        store,
        "gsm8k_solutions",
        path,
        "--task-version",
        "main",
        "--unknown",
        "prompt",
        "--unknown",
        "sampling",
    )
    every = outcomes(store)
    found = every.filter(strategy="one_sample")
    assert set(found["strategy_kind"]) == {"policy"} and set(found["n_problems"]) == {1319}
    assert (found["accuracy"] * 1319).round(6).sort().to_list() == [286, 458, 515, 742]
    assert every.filter(strategy="majority_at_k")["accuracy"].null_count() == 4


def test_a_folder_of_guidellm_reports(
    shared_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path / "data")
    bring(store, "guidellm", shared_data / "logs" / "guidellm", *UNKNOWN)
    bring(
        store, "guidellm", shared_data / "logs" / "guidellm" / "guidellm_report_v2.json", *UNKNOWN
    )
    assert capsys.readouterr().out.count("imported: 396 records") == 2
