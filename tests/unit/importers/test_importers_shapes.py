"""Shapes that the tools' own classes write (aiperf 0.13, evalscope 1.14, guidellm 0.8, vllm 0.33),
beside those of their documentation.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import importer_samples as files
import polars as pl
import pytest
import yaml

from isocost.errors import IsocostError
from isocost.importers import read_imports
from isocost.importers.row import Row
from isocost.importers.usage import put_usage
from isocost.tables.core.imports import build_imported_core

pytestmark = pytest.mark.slow


def imported(name: str, path: Path, lake: Path):
    report = files.import_sample(name, path, lake)
    return report, read_imports(lake, import_ids=[report.import_id]).collect().sort("record_index")


def lines(path: Path, values: list[dict]) -> None:
    path.write_text("".join(json.dumps(value) + "\n" for value in values), encoding="utf-8")


def read_lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_aiperf_graded_samples_carry_the_cost_of_their_request(tmp_path):
    folder = files.aiperf(tmp_path / "in")
    requests = read_lines(folder / "profile_export.jsonl")
    requests[0]["metadata"] |= {"x_request_id": "r0", "benchmark_phase": "profiling"}
    warm = json.loads(json.dumps(requests[0]))
    warm["metadata"] |= {"x_request_id": "w", "benchmark_phase": "warmup"}
    lines(folder / "profile_export.jsonl", [warm, *requests])
    graded = read_lines(folder / "accuracy_export.jsonl")
    lines(
        folder / "accuracy_export.jsonl",
        [graded[0] | {"x_request_id": "r0"}, graded[0] | {"x_request_id": "elsewhere"}],
    )
    _, frame = imported("aiperf", folder, tmp_path / "lake")
    first, second = frame.filter(record_kind="sample").iter_rows(named=True)
    assert (
        first["prompt_tokens"],
        first["output_tokens"],
        first["latency_s"],
        first["ttft_s"],
    ) == (550, 9, 0.2975, 0.2555)
    assert (
        first["latency_meaning"] and second["output_tokens"] is None and second["latency_s"] is None
    )
    assert set(frame["model_variant"]) == {"m"}
    # Warm-up is no part of what was measured.
    kinds = frame.filter(record_kind="request").select("condition").to_series().to_list()
    assert kinds == ['{"benchmark_phase":"warmup"}', None, None]


def evalscope_review(index: int, group: int, generation: int, acc: float | None) -> dict:
    score = {
        "value": {} if acc is None else {"acc": acc, "aaa": 1.0},
        "status": "success" if acc is not None else "judge_failed",
    }
    return {
        "index": index,
        "target": ["A"],
        "sample_score": {
            "score": score,
            "sample_id": index,
            "group_id": group,
            "generation_index": generation,
        },
    }


def test_evalscope_repeats_replaced_lines_and_failed_judges(tmp_path):
    folder = files.evalscope(tmp_path / "in")
    (prediction, _) = read_lines(folder / "predictions/m/arc.jsonl")
    output = prediction["model_output"]
    output["choices"][0]["message"]["perf_metrics"] = output.pop("perf_metrics")
    asked = [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": "a"},
    ]
    rows = [prediction | {"index": index, "messages": asked} for index in (0, 1, 2, 0)]
    lines(folder / "predictions/m/arc.jsonl", rows)
    reviews = [
        evalscope_review(0, 0, 0, 1.0),
        evalscope_review(1, 0, 1, 0.0),
        evalscope_review(2, 1, 0, None),
    ]
    lines(folder / "reviews/m/arc.jsonl", [reviews[1], *reviews])
    report, frame = imported("evalscope", folder, tmp_path / "lake")
    assert any("1 predictions replaced by a later line" in text for text in report.warnings)
    assert frame["sample_index"].to_list() == [0, 1, 0, 0] and frame[
        "problem_source_id"
    ].to_list() == ["0", "0", "1", "0"]
    assert frame["error"].is_not_null().to_list() == [True, False, False, False]
    assert (
        set(frame["reference"]) == {"A"}
        and set(frame["problem_text"]) == {"q"}
        and set(frame["latency_s"]) == {0.5}
    )
    # What a later line replaced keeps no verdict: it would count twice.
    assert (
        frame["label_correct"].to_list() == [None, False, None, True]
        and frame["label_name"][1] == "acc"
    )
    assert frame["null_reasons"][2].to_list() == ["label_correct:score_is_judge_failed"]
    valid = build_imported_core(frame)["core_samples"].filter("is_valid")
    assert valid.height == 2 and valid["problem_id"].n_unique() == 1


@pytest.mark.parametrize(
    ("usage", "prompt", "cached"),
    [
        (
            {
                "input_tokens": 10,
                "output_tokens": 2,
                "total_tokens": 12,
                "input_tokens_cache_read": 8,
            },
            10,
            8,
        ),
        (
            {
                "input_tokens": 2,
                "output_tokens": 2,
                "total_tokens": 12,
                "input_tokens_cache_read": 8,
            },
            10,
            8,
        ),
        (
            {
                "input_tokens": 2,
                "output_tokens": 2,
                "total_tokens": 15,
                "input_tokens_cache_read": 8,
                "input_tokens_cache_write": 3,
            },
            13,
            8,
        ),
        ({"input_tokens": 2, "output_tokens": 2, "input_tokens_cache_read": 8}, 10, 8),
        ({"input_tokens": 9, "output_tokens": 2, "input_tokens_cache_read": 8}, 9, 8),
        ({"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}, None, None),
        ({"output_tokens": 2}, None, None),
    ],
)
def test_what_a_cache_served_is_part_of_the_prompt(usage, prompt, cached):
    row = Row("sample", "f", None, "f")
    put_usage(row, usage)
    assert (row.values.get("prompt_tokens"), row.values.get("cached_tokens")) == (prompt, cached)


def test_guidellm_folder_of_reports(tmp_path):
    folder = tmp_path / "in"
    report = files.guidellm(folder)
    shutil.copy(report, folder / "second.json")
    (folder / "config.json").write_text('{"target": "http://localhost"}')
    (folder / "report.yaml").write_text("the same once more")
    notes, frame = imported("guidellm", folder, tmp_path / "lake")
    assert (
        frame.group_by("source_file").len()["len"].n_unique() == 1
        and frame["source_file"].n_unique() == 2
    )
    assert "config.json: left out, it is not a GuideLLM report" in notes.warnings
    report.unlink(), (folder / "second.json").unlink()
    with pytest.raises(IsocostError, match="contains no GuideLLM report"):
        imported("guidellm", folder, tmp_path / "other")


def test_guidellm_yaml_is_read_as_json_is(tmp_path):
    report = files.guidellm(tmp_path / "in")
    _, frame = imported("guidellm", report, tmp_path / "lake")
    other = tmp_path / "yaml"
    other.mkdir()
    (other / "benchmarks.yaml").write_text(yaml.dump(json.loads(report.read_text())))
    _, again = imported("guidellm", other, tmp_path / "lake2")
    names = ["import_id", "source_file", "source_run"]
    assert frame.drop(names).equals(again.drop(names))


def test_vllm_settings_metadata_and_empty_failures(tmp_path):
    detail = files.DETAIL | {"errors": ["", "", ""], "ttfts": [0.01, 0.02, 0.0]}
    result = files.vllm_result(
        **detail,
        tp="4",
        ramp_up_strategy="linear",
        ramp_up_start_rps=1,
        probe_median_e2el_ms=20.0,
        rtfx=0.0,
    )
    path = tmp_path / "r.json"
    path.write_text(json.dumps(result))
    _, frame = imported("vllm_bench", path, tmp_path / "lake")
    condition = json.loads(frame["condition"][0])
    assert condition["tp"] == "4" and condition["ramp_up_strategy"] == "linear"
    failed = frame.filter(record_kind="request").row(2, named=True)
    assert failed["error"] == "no answer and no error text" and failed["latency_s"] is None
    probe = frame.filter(metric_name="probe_median_e2el").row(0, named=True)
    assert (probe["metric_value"], probe["metric_unit"]) == (0.02, "s")
    assert "ramp_up_start_rps" not in set(frame["metric_name"].drop_nulls())


def test_vllm_sweep_without_server_settings(tmp_path):
    base = tmp_path / "sweep" / "BENCH-rate=1"
    base.mkdir(parents=True)
    (base / "run=0.json").write_text(json.dumps(files.vllm_result()))
    _, frame = imported("vllm_bench", tmp_path / "sweep", tmp_path / "lake")
    assert json.loads(frame["condition"][0])["sweep"] == "BENCH-rate=1"
    assert frame.filter(pl.col("metric_name") == "mean_ttft")["metric_value"].item() == 0.015


def test_every_eval_ever_with_two_metrics_has_two_points_and_no_second_sample(tmp_path):
    folder = files.every_eval_ever(tmp_path / "in")
    (instance,) = read_lines(folder / "eval_samples.jsonl")
    other = instance | {
        "evaluation_result_id": "t#f1",
        "evaluation": {"score": 0.0, "is_correct": False},
    }
    lines(folder / "eval_samples.jsonl", [instance, other])
    document = json.loads((folder / "eval.json").read_text())
    (result,) = document["evaluation_results"]
    document["evaluation_results"].append(
        result | {"evaluation_result_id": "t#f1", "metric_config": {"metric_name": "F1"}}
    )
    (folder / "eval.json").write_text(json.dumps(document))
    _, frame = imported("every_eval_ever", folder, tmp_path / "lake")
    samples = build_imported_core(frame)["core_samples"]
    assert set(frame.filter(record_kind="sample")["condition"]) == {
        '{"metric":"Accuracy"}',
        '{"metric":"F1"}',
    }
    assert samples["point_id"].n_unique() == 2 and samples["problem_id"].n_unique() == 1


def test_a_real_vllm_bench_serve_file_agrees_with_its_own_summary(tmp_path):
    """Two runs of ``vllm bench serve --append-result --save-detailed`` against a tiny random model
    on a CPU.
    """
    path = Path(__file__).parent / "written" / "vllm_bench_serve_appended.json"
    _, frame = imported("vllm_bench", path, tmp_path / "lake")
    assert frame["condition"].n_unique() == 1 and frame["source_run"].n_unique() == 2
    for _, run in frame.group_by("source_run"):
        requests = run.filter(record_kind="request")
        stated = dict(
            run.filter(record_kind="aggregate").select("metric_name", "metric_value").iter_rows()
        )
        assert requests.height == stated["completed"] == 6 and requests["error"].null_count() == 6
        assert requests["ttft_s"].mean() == pytest.approx(stated["mean_ttft"], rel=1e-9)
        assert requests["ttft_s"].median() == pytest.approx(stated["median_ttft"], rel=1e-9)
        assert requests["latency_s"].mean() == pytest.approx(stated["mean_e2el"], rel=1e-9)
        assert (requests["output_tokens"].sum(), requests["prompt_tokens"].sum()) == (
            stated["total_output_tokens"],
            stated["total_input_tokens"],
        )
    samples = build_imported_core(frame)["core_samples"]
    assert samples["sample_id"].n_unique() == 12


@pytest.mark.parametrize(
    ("gaps", "mean"),
    [
        ([0, 0, 0.06, 0, 0, 0.03], 0.0225),
        ([0.02, 0.04], 0.03),
        ([0.0, 0.0], None),
        ([], None),
        ([0.05, 0.0], 0.025),
    ],
)
def test_ml_energy_gaps_of_chunks_as_mlenergy_data_smooths_them(tmp_path, gaps, mean):
    path = files.ml_energy(tmp_path / "in")
    document = json.loads(path.read_text())
    document["results"][0]["itl"] = gaps
    path.write_text(json.dumps(document))
    _, frame = imported("ml_energy", path, tmp_path / "lake")
    row = frame.row(0, named=True)
    assert row["inter_token_s"] == (None if mean is None else pytest.approx(mean))
    assert ("inter_token_s:all_gaps_are_zero" in row["null_reasons"]) == (
        bool(gaps) and mean is None
    )
