"""Load generators and leaderboards.

Summaries alone, several runs in a file, files of one run together, evalscope's run files.
"""

from __future__ import annotations

import json
from pathlib import Path

import importer_samples as files
import polars as pl
import pytest
import yaml

from isocost.errors import IsocostError
from isocost.importers import import_path, read_imports
from isocost.tables.core.imports import build_imported_core


def brought_in(
    tmp_path: Path, name: str, path: Path, **more
) -> tuple[tuple[str, ...], pl.DataFrame, dict[str, pl.DataFrame]]:
    report = import_path(name, path, tmp_path / "lake", **{"unknown": files.ALL_UNKNOWN, **more})
    raw = read_imports(tmp_path / "lake", import_ids=[report.import_id]).collect()
    return report.warnings, raw, build_imported_core(raw)


def write(path: Path, value) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


AIPERF = {
    "input_config": {
        "endpoint": {"model_names": ["m"], "type": "chat", "streaming": True},
        "loadgen": {"concurrency": 8},
        "cli_command": "aiperf profile",
    },
    "request_throughput": {"unit": "requests/sec", "avg": 4.0},
    "request_latency": {
        "unit": "ms",
        "avg": 500.0,
        "p50": 450.0,
        "p99": 900.0,
        "min": 100.0,
        "max": 950.0,
        "std": 50.0,
    },
    "output_sequence_length": {"unit": "tokens", "avg": 100.0, "std": 1.0},
    "was_cancelled": False,
    "start_time": "2026-05-30T11:00:00",
    "end_time": "2026-05-30T11:00:10",
}


@pytest.mark.parametrize("as_folder", [True, False])
def test_aiperf_summary_alone(tmp_path: Path, as_folder: bool) -> None:
    path = write(tmp_path / "in" / "profile_export_aiperf.json", AIPERF)
    _, raw, tables = brought_in(tmp_path, "aiperf", path.parent if as_folder else path)
    stated = {
        (row["metric"], row["statistic"]): row
        for row in tables["core_imported_metrics"].iter_rows(named=True)
    }
    assert (
        stated["request_latency", "mean"]["value"] == 0.5
        and stated["request_latency", "mean"]["unit"] == "s"
    )
    assert (
        stated["request_latency", "p99"]["value"] == 0.9
        and stated["request_latency", "stddev"]["value"] == 0.05
    )
    assert (
        stated["request_throughput", "value"]["value"],
        stated["request_throughput", "value"]["unit"],
    ) == (4.0, "requests/sec")
    assert stated["output_sequence_length", "mean"]["window_s"] == 10.0
    assert set(raw["model_variant"]) == {"m"}
    assert json.loads(raw["condition"][0]) == {
        "endpoint.streaming": True,
        "endpoint.type": "chat",
        "loadgen.concurrency": 8,
    }


def test_aiperf_summary_beside_its_records_is_of_their_point(tmp_path: Path) -> None:
    folder = files.aiperf(tmp_path / "in")
    write(folder / "profile_export_aiperf.json", AIPERF)
    _, _, tables = brought_in(tmp_path, "aiperf", folder)
    points = set(tables["core_samples"].filter(pl.col("label_correct").is_null())["point_id"])
    assert set(tables["core_imported_metrics"]["point_id"].drop_nulls()) <= points | {None}
    assert set(tables["core_points"]["condition"].drop_nulls()) == {
        '{"endpoint.streaming":true,"endpoint.type":"chat","loadgen.concurrency":8}'
    }


def test_sglang_several_runs_in_a_file_are_several_points(tmp_path: Path) -> None:
    _, raw, tables = brought_in(tmp_path, "sglang_bench", files.sglang_bench(tmp_path / "in"))
    assert (
        raw["source_run"].n_unique() == 2 and tables["core_points"].height == 1
    )  # the second line kept no requests
    samples = tables["core_samples"]
    assert samples.filter("is_valid").height == 2 and samples["ttft_s"].to_list().count(None) == 1
    assert json.loads(tables["core_points"]["condition"][0])["server.tp_size"] == 2
    assert set(tables["core_points"]["model_variant"]) == {"m"}


def test_sglang_without_streaming_has_no_gaps(tmp_path: Path) -> None:
    result = {
        "backend": "sglang",
        "duration": 2.0,
        "output_lens": [50],
        "ttfts": [1.5],
        "itls": [[]],
        "errors": [""],
        "input_lens": [5],
    }
    _, _, tables = brought_in(
        tmp_path, "sglang_bench", write(tmp_path / "r.jsonl", json.dumps(result) + "\n")
    )
    row = tables["core_samples"].row(0, named=True)
    assert (row["ttft_s"], row["latency_s"], row["inter_token_s"]) == (1.5, 1.5, None)


@pytest.mark.parametrize(
    ("name", "value", "what"),
    [
        ("sglang_bench", '{"model_id": "m"}\n', "no backend and duration"),
        (
            "sglang_bench",
            '{"backend": "sglang", "duration": 1, "ttfts": [1], "itls": []}\n',
            "different lengths",
        ),
        ("vllm_throughput", {"elapsed_time": 1.0}, "no num_requests, total_num_tokens"),
        ("vllm_latency", {"avg_latency": 1.0}, "no avg_latency and latencies"),
        ("ml_energy_leaderboard", {"models": {}}, "no task with configurations"),
    ],
)
def test_what_is_of_another_form_is_named(tmp_path: Path, name: str, value, what: str) -> None:
    path = write(tmp_path / ("r.jsonl" if isinstance(value, str) else "r.json"), value)
    with pytest.raises(IsocostError) as caught:
        import_path(name, path, tmp_path / "lake", unknown=files.ALL_UNKNOWN)
    assert what in str(caught.value) and str(path) in str(caught.value)


def test_vllm_latency_is_of_batches(tmp_path: Path) -> None:
    _, _, tables = brought_in(tmp_path, "vllm_latency", files.vllm_latency(tmp_path / "in"))
    stated = {
        (row["metric"], row["statistic"]): row["value"]
        for row in tables["core_imported_metrics"].iter_rows(named=True)
    }
    assert (
        stated["batch_latency", "mean"] == 1.5
        and stated["batch_latency", "p99"] == 1.99
        and tables["core_samples"].is_empty()
    )


def test_vllm_copies_for_a_dashboard_are_no_results(tmp_path: Path) -> None:
    path = files.vllm_throughput(tmp_path / "in")
    write(path.parent / "throughput.pytorch.json", [{"benchmark": {}}])
    _, raw, _ = brought_in(tmp_path, "vllm_throughput", path.parent)
    assert set(raw["source_file"]) == {"throughput.json"}


def test_leaderboard_files_of_a_model_and_of_a_task_say_the_same(tmp_path: Path) -> None:
    one = {
        "gpu_model": "B200",
        "num_gpus": 2,
        "max_num_seqs": 8,
        "avg_power_watts": 300.0,
        "energy_per_token_joules": 1.5,
    }
    one |= {"median_itl_ms": 30.0, "output_length_distribution": {"bins": [1], "counts": [1]}}
    model = one | {"parallelization": {"tensor_parallel": 2, "notes": "x"}}
    task = one | {"tensor_parallel": 2, "model_id": "m", "nickname": "M", "weight_precision": "fp8"}
    folder = tmp_path / "in"
    write(
        folder / "models" / "m__t.json",
        {"model_id": "m", "task": "t", "weight_precision": "fp8", "configurations": [model]},
    )
    write(
        folder / "tasks" / "t.json",
        {"task": "t", "task_display_name": "T", "configurations": [task]},
    )
    write(folder / "index.json", {"models": {}})
    _, raw, tables = brought_in(tmp_path, "ml_energy_leaderboard", folder)
    assert (
        raw["condition"].n_unique() == 1
        and json.loads(raw["condition"][0])["hardware"] == "2 x B200"
    )
    stated = {
        (row["metric"], row["statistic"]): (row["value"], row["unit"])
        for row in tables["core_imported_metrics"].iter_rows(named=True)
    }
    assert stated["power", "mean"] == (300.0, "W") and stated["energy_per_token", "value"] == (
        1.5,
        "J/token",
    )
    assert stated["itl", "median"] == (0.03, "s")


def test_llmperf_responses_take_model_and_load_from_the_summary_beside_them(tmp_path: Path) -> None:
    good = {
        "error_code": None,
        "ttft_s": 0.3,
        "end_to_end_latency_s": 0.9,
        "number_output_tokens": 150,
        "number_input_tokens": 550,
    }
    for load in (1, 8):
        write(
            tmp_path / "in" / f"m_{load}_individual_responses.json",
            [good | {"inter_token_latency_s": 0.005}],
        )
        summary = {
            "model": "m",
            "num_concurrent_requests": load,
            "additional_sampling_params": {},
            "results_ttft_s_mean": 0.3 * load,
        }
        write(tmp_path / "in" / f"m_{load}_summary.json", summary)
    known = {"task": "t", "task_version": "1", "prompt": "p", "sampling": {"temperature": 0}}
    _, _, tables = brought_in(
        tmp_path, "llmperf", tmp_path / "in", provenance=known, unknown=frozenset()
    )
    points = tables["core_points"].with_columns(
        pl.col("condition").str.json_path_match("$.num_concurrent_requests").alias("load")
    )
    assert points["load"].sort().to_list() == ["1", "8"] and set(points["model_variant"]) == {"m"}
    joined = (
        tables["core_imported_metrics"]
        .join(points.select("point_id", "load"), on="point_id")
        .sort("value")
    )
    assert joined.select("value", "load").rows() == [(0.3, "1"), (2.4, "8")]


def evalscope_run(
    folder: Path, *, temperature: float, verdict: float, direction: str | None = None
) -> None:
    config = {
        "datasets": ["toy"],
        "model_args": {"revision": "main"},
        "generation_config": {"temperature": temperature},
        "seed": 42,
    }
    output = {
        "choices": [{"message": {"content": f"t {verdict}"}, "stop_reason": "stop"}],
        "usage": {},
    }
    write(folder / "configs" / "task_config.yaml", yaml.dump(config))
    write(
        folder / "predictions" / "m" / "toy_main.jsonl",
        json.dumps({"index": 0, "model": "m", "model_output": output, "messages": []}) + "\n",
    )
    score = {"score": {"value": {"acc": verdict}, "extracted_prediction": "x"}, "group_id": 0}
    write(
        folder / "reviews" / "m" / "toy_main.jsonl",
        json.dumps({"index": 0, "target": "x", "sample_score": score}) + "\n",
    )
    metric = {
        "name": "acc",
        "score": verdict,
        "num": 1,
        "categories": [{"name": ["d"], "subsets": [{"name": "main", "score": verdict}]}],
    }
    if direction is not None:
        metric |= {
            "identity": {"name": "acc", "aggregation": "mean", "dimensions": {}},
            "semantics": {"direction": direction},
        }
    perf = {
        "latency": {"mean": 1.25, "99%": 2.0},
        "throughput": {"avg_output_tps": 10.0},
        "n_samples": 1,
    }
    report = {
        "name": "m@toy",
        "dataset_name": "toy",
        "model_name": "m",
        "metrics": [metric],
        "perf_metrics": perf,
    }
    write(folder / "reports" / "m" / "toy.json", report)


def test_evalscope_runs_that_differ_in_their_configuration_are_two_points(tmp_path: Path) -> None:
    for number, temperature in enumerate((0.0, 1.0)):
        evalscope_run(
            tmp_path / "in" / f"2026010{number}_120000",
            temperature=temperature,
            verdict=1.0 - number,
        )
    known = {"task_version": "1", "prompt": "p"}
    warnings, _, tables = brought_in(
        tmp_path, "evalscope", tmp_path / "in", provenance=known, unknown=frozenset()
    )
    points = tables["core_points"].sort("temperature")
    assert points["temperature"].to_list() == [0.0, 1.0] and not warnings
    assert json.loads(points["condition"][0]) == {"model_args.revision": "main"}
    verdicts = (
        tables["core_samples"]
        .join(points.select("point_id", "temperature"), on="point_id")
        .sort("temperature")
    )
    assert verdicts["correct"].to_list() == [True, False]
    numbers = tables["core_imported_metrics"]
    of_points = (
        numbers.filter((pl.col("metric") == "acc") & (pl.col("task") == "toy_main"))
        .join(points, on="point_id")
        .sort("temperature")
    )
    assert of_points["value"].to_list() == [1.0, 0.0]
    stated = {
        (row["metric"], row["statistic"]): (row["value"], row["unit"])
        for row in numbers.iter_rows(named=True)
    }
    assert stated["latency", "mean"] == (1.25, "s") and stated["latency", "p99"] == (2.0, "s")


def test_evalscope_metric_that_falls_as_the_model_gets_better_is_no_verdict(tmp_path: Path) -> None:
    evalscope_run(tmp_path / "in", temperature=0.0, verdict=1.0, direction="lower_better")
    _, raw, tables = brought_in(tmp_path, "evalscope", tmp_path / "in")
    assert tables["core_samples"]["correct"].to_list() == [None]
    assert (
        "label_score:lower_is_better"
        in raw.filter(record_kind="sample")["null_reasons"][0].to_list()
    )
