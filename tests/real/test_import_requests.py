"""Published load-test files: the latencies their authors published, from the imported requests."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from isocost.importers import import_path, read_imports
from isocost.tables.core.imports import build_imported_core

UNKNOWN = frozenset({"task", "task_version", "prompt", "sampling"})
PUBLISHED = {
    "bedrock_70b": (0.39, 0.41, 0.29, 0.72, 0.37, 0.41, 0.54, 0.69),
    "groq_70b": (0.22, 0.23, 0.17, 0.36, 0.19, 0.24, 0.30, 0.35),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_llmperf_time_to_first_token(shared_data: Path, tmp_path: Path, name: str) -> None:
    report = import_path(
        "llmperf",
        shared_data / "llmperf" / "individual" / f"{name}.json",
        tmp_path,
        provenance={"model": name},
        unknown=UNKNOWN,
    )
    raw = read_imports(tmp_path, import_ids=[report.import_id]).collect()
    times = raw["ttft_s"].drop_nulls()
    quantiles = [times.quantile(q, "linear") for q in (0.25, 0.75, 0.95, 0.99)]
    found = (times.median(), times.mean(), times.min(), times.max(), *quantiles)
    assert tuple(round(value, 2) for value in found) == PUBLISHED[name]
    summary = json.loads((shared_data / "llmperf" / "summary" / f"{name}.json").read_text())
    assert times.mean() == pytest.approx(float(summary["results_ttft_s_mean"]), rel=1e-9)
    assert raw["latency_s"].drop_nulls().mean() == pytest.approx(
        float(summary["results_end_to_end_latency_s_mean"]), rel=1e-9
    )
    samples = build_imported_core(raw)["core_samples"]
    assert samples.height == 150 and samples["correct"].null_count() == 150
    assert (
        samples.filter(~samples["is_valid"]).height
        == raw["error"].drop_nulls().len()
        == raw["ttft_s"].null_count()
    )


@pytest.mark.parametrize("name", PUBLISHED)
def test_llmperf_summary(shared_data: Path, tmp_path: Path, name: str) -> None:
    report = import_path(
        "llmperf", shared_data / "llmperf" / "summary" / f"{name}.json", tmp_path, unknown=UNKNOWN
    )
    raw = read_imports(tmp_path, import_ids=[report.import_id]).collect()
    value = raw.filter(metric_name="ttft_s_mean").row(0, named=True)
    assert round(value["metric_value"], 2) == PUBLISHED[name][1] and value["metric_unit"] == "s"


def test_guidellm_report(shared_data: Path, tmp_path: Path) -> None:
    import_path(
        "guidellm",
        shared_data / "logs" / "guidellm" / "guidellm_report_v2.json",
        tmp_path,
        unknown=UNKNOWN,
    )
    raw = read_imports(tmp_path).collect().filter(metric_name="time_to_first_token_mean")
    rates = [json.loads(text)["strategy.rate"] for text in raw["condition"]]
    assert rates == [2.0, 4.0]
    assert raw["metric_value"][0] == pytest.approx(0.0114812, abs=5e-8) and set(
        raw["metric_unit"]
    ) == {"s"}
    assert [json.loads(text)["count"] for text in raw["extra"]] == [2, 2]
