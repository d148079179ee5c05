"""Inputs of serving tools on which something went wrong, the whole way from the file to core and to
the warehouse.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from isocost.build import refresh
from isocost.importers import import_path, read_imports
from isocost.store import Store
from isocost.tables.core.imports import build_imported_core

KNOWN = {"model": "m", "task": "t", "task_version": "1", "prompt": "p", "sampling": {}}


def known(*stated: str) -> dict[str, Any]:
    """Provenance but for what the source states."""
    return {name: value for name, value in KNOWN.items() if name not in stated}


def core(
    tmp_path: Path, format: str, path: Path, *, verifier: str | None = None, **more: Any
) -> dict[str, pl.DataFrame]:
    import_path(format, path, tmp_path / "lake", **more)
    return build_imported_core(read_imports(tmp_path / "lake").collect(), verifier=verifier)


def test_two_runs_of_one_model_keep_their_verdicts(tmp_path: Path, shared_cases: Path) -> None:
    folder = shared_cases / "evalscope_two_runs" / "outputs"
    samples = core(tmp_path, "evalscope", folder, provenance=known("model", "task"))["core_samples"]
    assert samples["is_valid"].all() and samples["correct"].mean() == 0.5
    assert samples.select("answer", "correct").unique().sort("answer").rows() == [
        ("1", True),
        ("2", False),
    ]
    assert samples["point_id"].n_unique() == 1 and samples["sample_index"].value_counts().sort(
        "sample_index"
    )["count"].to_list() == [4, 4]


def test_every_completion_is_a_sample_and_what_is_of_all_is_on_none(
    tmp_path: Path, shared_cases: Path
) -> None:
    tables = core(
        tmp_path,
        "evalscope",
        shared_cases / "evalscope_choices",
        provenance=known("model", "task"),
        verifier="exact",
    )
    samples = tables["core_samples"]
    assert samples.group_by("problem_id").len()["len"].to_list() == [3, 3]
    # The reference is A0, and one completion of each three says so: the group's verdict of a third
    # is on none of them.
    assert samples["correct"].sum() == 2 and samples["label_correct"].null_count() == 6
    assert samples["output_tokens"].null_count() == 6 and samples["latency_s"].null_count() == 6
    raw = read_imports(tmp_path / "lake").collect()
    assert json.loads(raw["extra"][0])["group"] == {
        "covers": 3,
        "label": pytest.approx(1 / 3),
        "answer": "A0",
        "prompt_tokens": 10,
        "output_tokens": 30,
        "total_tokens": 40,
        "latency_s": 1.0,
    }
    assert "output_tokens:usage_covers_3_samples" in raw["null_reasons"][0].to_list()


def test_an_empty_extracted_prediction_is_no_answer(tmp_path: Path, shared_cases: Path) -> None:
    samples = core(
        tmp_path, "evalscope", shared_cases / "evalscope_odd", provenance=known("model", "task")
    )["core_samples"]
    last = samples.filter(pl.col("parse_status") == "no_answer").row(0, named=True)
    assert samples["is_valid"].all() and samples.height == 4 and samples["correct"].mean() == 0.5
    assert (last["answer"], last["answer_class"], last["correct"]) == (None, None, False)


def test_gaps_between_chunks_are_no_time_per_token(tmp_path: Path, shared_cases: Path) -> None:
    tables = core(
        tmp_path, "vllm_bench", shared_cases / "vllm_spec" / "run.json", provenance=known("model")
    )
    assert tables["core_samples"]["inter_token_s"].to_list() == [
        pytest.approx(0.010),
        pytest.approx(0.010),
    ]
    assert tables["core_samples"]["ttft_s"].to_list() == [0.1, 0.1]
    metrics = {
        (row["metric"], row["statistic"]): row
        for row in tables["core_imported_metrics"].iter_rows(named=True)
    }
    assert metrics["tpot", "mean"]["value"] == pytest.approx(0.010) and metrics["itl", "mean"][
        "value"
    ] == pytest.approx(0.040)
    assert {row["point_id"] for row in metrics.values()} == set(tables["core_points"]["point_id"])
    assert json.loads(tables["core_points"]["condition"][0])["max_concurrency"] == 2


def test_what_guidellm_does_not_know_stays_unknown(tmp_path: Path, shared_cases: Path) -> None:
    tables = core(
        tmp_path, "guidellm", shared_cases / "guidellm_null" / "r.json", provenance=known("model")
    )
    raw = read_imports(tmp_path / "lake").collect()
    order = raw.filter(record_kind="request")["problem_source_id"].to_list()
    samples = tables["core_samples"].join(
        tables["core_problems"].select(
            "problem_id",
            pl.col("metadata").str.json_path_match("$.problem_source_id").alias("request"),
        ),
        on="problem_id",
    )
    stated = {row["request"]: row for row in samples.iter_rows(named=True)}
    assert order[:2] == ["r0", "r1"]
    assert stated["r0"]["ttft_s"] is None and stated["r0"]["inter_token_s"] is None
    assert (
        stated["r1"]["ttft_s"] is None
        and stated["r1"]["inter_token_s"] is None
        and stated["r1"]["output_tokens"] == 0
    )
    assert stated["r2"]["output_tokens"] is None and stated["r2"]["ttft_s"] == 0.1
    assert {"ttft_s: no_token_came", "inter_token_s: fewer_than_two_tokens"} <= set(
        stated["r1"]["costs_unknown_reasons"]
    )
    # 20 tokens at 10 ms would have taken 0.19 s, not 1.9.
    assert stated["r3"]["inter_token_s"] == pytest.approx(0.1)
    assert (
        "inter_token_s: recomputed_from_latency_and_ttft" in stated["r3"]["costs_unknown_reasons"]
    )


def test_zero_joules_over_two_seconds_are_no_measurement(
    tmp_path: Path, shared_cases: Path
) -> None:
    folder = shared_cases / "generic_zero"
    tables = core(
        tmp_path,
        "generic",
        folder / "t.csv",
        mapping=folder / "map.yaml",
        provenance=known("model"),
    )
    samples = tables["core_samples"]
    assert samples["energy_j"].null_count() == 8 and samples["energy_method"].null_count() == 8
    assert (
        set(samples["energy_unknown_reason"]) == {"zero_energy_is_no_measurement"}
        and samples["is_valid"].all()
    )
    assert (
        read_imports(tmp_path / "lake").collect()["energy_j"].to_list() == [0.0] * 8
    )  # as the source wrote it


def test_sglang_bench_serving(tmp_path: Path, shared_cases: Path) -> None:
    tables = core(
        tmp_path, "sglang_bench", shared_cases / "sglang_bench" / "r.jsonl", provenance=KNOWN
    )
    samples = tables["core_samples"]
    assert (
        samples["ttft_s"].to_list() == [0.1, 0.1]
        and samples["inter_token_s"].to_list() == [pytest.approx(0.01)] * 2
    )
    assert samples["latency_s"].to_list() == [pytest.approx(0.29)] * 2 and samples[
        "output_tokens"
    ].to_list() == [20, 20]
    assert json.loads(tables["core_points"]["condition"][0]) == {
        "backend": "sglang",
        "dataset_name": "random",
        "request_rate": 8.0,
    }
    (ttft,) = tables["core_imported_metrics"].filter(metric="ttft").iter_rows(named=True)
    assert (ttft["statistic"], ttft["value"], ttft["unit"], ttft["window_s"]) == (
        "mean",
        0.1,
        "s",
        10.0,
    )


def test_vllm_bench_throughput(tmp_path: Path, shared_cases: Path) -> None:
    tables = core(
        tmp_path, "vllm_throughput", shared_cases / "vllm_throughput" / "r.json", provenance=KNOWN
    )
    found = {
        row["metric"]: (row["value"], row["unit"])
        for row in tables["core_imported_metrics"].iter_rows(named=True)
    }
    assert found["tokens_per_second"] == (50.0, "tokens/s") and found["requests_per_second"] == (
        0.5,
        "requests/s",
    )
    assert found["total_num_tokens"] == (500.0, "tokens") and tables["core_samples"].is_empty()


@pytest.mark.slow
def test_power_of_a_run_reaches_warehouse_and_exports(tmp_path: Path, shared_cases: Path) -> None:
    store = Store(tmp_path / "data")
    refresh.bring_in(
        store,
        "import-run",
        format="mlperf_power",
        path=shared_cases / "power_not_in_warehouse" / "run",
        provenance=KNOWN,
    )
    list(refresh.everything(store))
    with duckdb.connect(store.root / "warehouse.duckdb", read_only=True) as connection:
        metrics = connection.sql(
            "SELECT metric, statistic, value, unit FROM core_imported_metrics ORDER BY 1"
        ).fetchall()
        windows = connection.sql(
            "SELECT energy_j, power_mean_w, window_s, energy_source FROM core_energy_windows"
        ).fetchall()
        sessions = connection.sql(
            "SELECT energy_j, energy_method, energy_unknown_reason FROM core_sessions"
        ).fetchall()
    assert metrics == [
        ("power", "mean", 110.0, "W"),
        ("window_duration", "value", 10.0, "s"),
        ("window_energy", "value", 1100.0, "J"),
    ]
    assert windows == [(1100.0, 110.0, 10.0, "wall_power_trapezoid")]
    assert sessions == [(1100.0, "wall_power_trapezoid", None)]
    for name in ("core_imported_metrics", "core_energy_windows"):
        assert pl.read_parquet(store.root / "exports" / f"{name}.parquet").height


@pytest.mark.slow
def test_two_machines_give_one_answer_whichever_way_they_come_in(
    tmp_path: Path, shared_cases: Path
) -> None:
    case, found = shared_cases / "pooled_machines", []
    provenance = known() | {"model": "llama", "task": "llmperf"}
    for ways in ([case / "a.json", case / "b.json"], [case / "folder"]):
        store = Store(tmp_path / str(len(ways)))
        for number, path in enumerate(ways):
            refresh.bring_in(
                store, f"import-{number}", format="llmperf", path=path, provenance=provenance
            )
        list(refresh.everything(store))
        summary = store.read("out_point_summary").sort("point_id")
        found.append(summary.select("point_id", "latency_s_per_sample", "samples_total").rows())
    assert found[0] == found[1] and sorted(row[1] for row in found[0]) == [1.0, 9.0]
