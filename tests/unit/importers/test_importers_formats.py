"""Each format: what a small file becomes, with its units, its sentinels and its own traps."""

from __future__ import annotations

import json
import re
from pathlib import Path

import importer_samples as files
import polars as pl
import pytest

from isocost.errors import IsocostError
from isocost.importers import import_path, read_imports, registered
from isocost.tables.core.imports import build_imported_core

_IMPORTED: dict[str, pl.DataFrame] = {}


def rows(name: str, tmp_path: Path, path: Path | None = None) -> pl.DataFrame:
    """The rows of a file, or of the format's sample, which is imported once."""
    if path is None and name in _IMPORTED:
        return _IMPORTED[name]
    frame = _imported(name, tmp_path, path)
    if path is None:
        _IMPORTED[name] = frame
    return frame


def _imported(name: str, tmp_path: Path, path: Path | None) -> pl.DataFrame:
    source = path or files.SAMPLES[name](tmp_path / "in")
    report = files.import_sample(name, source, tmp_path / "lake")
    frame = (
        read_imports(tmp_path / "lake", import_ids=[report.import_id])
        .collect()
        .sort("record_index")
    )
    assert frame.height == report.records
    return frame


def one(frame: pl.DataFrame, **where) -> dict:
    found = frame.filter(**where)
    assert found.height == 1, found
    return found.row(0, named=True)


def test_every_importer_has_a_sample_and_declares_itself() -> None:
    assert set(registered()) == set(files.SAMPLES)
    for item in registered().values():
        assert item.title
        assert item.conventions.energy_unknown_reason


@pytest.mark.slow
def test_a_latency_always_has_a_meaning_and_an_energy_a_method(tmp_path: Path) -> None:
    for name in files.SAMPLES:
        frame = rows(name, tmp_path / name)
        assert frame.filter(
            pl.col("latency_s").is_not_null() & pl.col("latency_meaning").is_null()
        ).is_empty(), name
        assert frame.filter(
            pl.col("energy_j").is_null() == pl.col("energy_method").is_not_null()
        ).is_empty(), name
        assert frame.filter(
            pl.col("energy_j").is_null() == pl.col("energy_unknown_reason").is_null()
        ).is_empty(), name


def test_counts(tmp_path: Path) -> None:
    frame = rows("counts", tmp_path)
    assert frame.select(
        "problem_source_id", "counts_correct", "counts_total", "cluster_id"
    ).rows() == [("a", 1, 4, "s"), ("b", 0, 2, None)]


IMPOSSIBLE = [
    ('{"id":"x","c":5,"n":4}', "5 correct of 4"),
    ('{"id":"x","c":-1,"n":4}', "outside 0"),
    ('{"id":"x","n":4}', "is missing"),
    ('{"id":"x","c":1,"n":null}', "is missing"),
    ('{"id":"x","c":1.5,"n":4}', "not a whole number"),
    ('{"id":"x","c":"many","n":4}', "is not a number"),
    ('{"id":"x","c":[1],"n":4}', "a number was expected"),
    ('{"id":"x","c":true,"n":4}', "a number was expected"),
    ('{"id":"x","c":NaN,"n":4}', "is missing"),
    (
        '{"id":"x","c":0,"n":1000000000000}',
        "1,000,000,000,000 samples of one problem are not plausible",
    ),
    (f'{{"id":"x","c":0,"n":1{"0" * 400}}}', "is outside 0"),
]


@pytest.mark.parametrize(("line", "message"), IMPOSSIBLE, ids=[m for _, m in IMPOSSIBLE])
@pytest.mark.slow
def test_counts_that_cannot_be_cost_their_own_problem(
    tmp_path: Path, line: str, message: str
) -> None:
    path, lake = tmp_path / "c.jsonl", tmp_path / "lake"
    path.write_text(f'{{"id":"a","c":1,"n":4}}\n{line}\n{{"id":"b","c":0,"n":2}}\n')
    report = files.import_sample("counts", path, lake)
    (warning,) = report.warnings
    assert message in warning and "line 2" in warning and "1 problem is left out" in warning
    assert report.records == 3 and report.null_reasons["counts_total:impossible_counts"] == 1
    raw = read_imports(lake).collect()
    assert raw["counts_total"].to_list() == [4, None, 2]  # what was read is kept with its reason
    core = build_imported_core(raw)
    assert core["core_counts"].select("n_correct", "n_samples").sort("n_samples").rows() == [
        (0, 2),
        (1, 4),
    ]
    assert core["core_sessions"]["samples_total"].sum() == 6
    assert core["core_problems"].height == 2


@pytest.mark.parametrize(("line", "message"), IMPOSSIBLE, ids=[m for _, m in IMPOSSIBLE])
def test_a_file_of_such_lines_is_none_of_counts(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text(f'{{"id":"a","c":1,"n":4}}\n{line}\n{line.replace("x", "y", 1)}\n')
    with pytest.raises(IsocostError, match=f"2 of 3 lines .*{re.escape(message)}") as caught:
        files.import_sample("counts", path, tmp_path / "lake")
    assert "line 2" in caught.value.where and "c.jsonl" in caught.value.where
    assert not list((tmp_path / "lake").rglob("part-*"))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ('{"id":"a","c":1,"n":4}\n{"id":"a","c":1,"n":4}', "is duplicated"),
        ('{"id":"a","c":1,"n":4}\n{"c":1,"n":4}', "is missing"),
        ('{"id":"a","c":1,"n":4}\n{"id":"b","c":1,', "is not JSON"),
    ],
)
def test_a_file_that_says_not_what_it_counts_is_refused(
    tmp_path: Path, lines: str, message: str
) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text(lines + "\n")
    with pytest.raises(IsocostError, match=message) as caught:
        files.import_sample("counts", path, tmp_path / "lake")
    assert "line 2" in caught.value.where and "c.jsonl" in caught.value.where


def test_gsm8k_solutions(tmp_path: Path) -> None:
    frame = rows("gsm8k_solutions", tmp_path)
    assert frame.select("model_variant", "label_correct", "output_text").rows() == [
        ("m1", True, "so A: 3"),
        ("m2", False, "A: 4"),
    ]
    assert frame["problem_source_id"].n_unique() == 1


def test_cruxeval(tmp_path: Path) -> None:
    frame = rows("cruxeval_scored", tmp_path)
    samples = frame.filter(record_kind="sample")
    assert samples["problem_source_id"].to_list() == [
        "sample_0",
        "sample_0",
        "sample_10",
        "sample_10",
    ]
    assert samples["label_correct"].to_list() == [True, False, False, False]
    assert set(samples["task"]) == {"cruxeval-i"} and set(samples["model_variant"]) == {"m"}
    assert one(frame, record_kind="aggregate")["metric_value"] == 0.25


def test_lm_eval_keeps_every_repeat_and_filter_and_labels_only_what_was_scored(
    tmp_path: Path,
) -> None:
    frame = rows("lm_eval", tmp_path)
    samples = frame.filter(record_kind="sample")
    assert samples.height == 2 * 2 * 2
    first = samples.filter(
        pl.col("problem_source_id").str.starts_with("0:"), condition='{"filter":"strict"}'
    )
    assert first["output_text"].to_list() == ["is 3", "is 4"] and first[
        "sample_index"
    ].to_list() == [0, 1]
    assert first["label_correct"].to_list() == [True, None]
    assert first["null_reasons"].to_list() == [[], ["label_correct:verdict_is_of_the_first_repeat"]]
    assert set(samples["task_version"]) == {"1"} and set(samples["sampling"]) == {
        '{"temperature":0.7}'
    }
    aggregates = frame.filter(record_kind="aggregate")
    assert aggregates.select("metric_name", "metric_value").rows() == [
        ("exact_match", 0.5),
        ("exact_match_stderr", None),
    ]


def test_lm_eval_samples_file_is_read_with_the_results_file_beside_it(tmp_path: Path) -> None:
    folder = files.lm_eval(tmp_path / "in")
    samples = next(folder.glob("samples_*"))
    frame = rows("lm_eval", tmp_path, samples)
    whole = rows("lm_eval", tmp_path / "whole", folder).filter(record_kind="sample")
    assert frame.drop("import_id").equals(whole.drop("import_id"))
    next(folder.glob("results_*")).unlink()
    with pytest.raises(IsocostError, match="model, task_version, prompt"):
        import_path("lm_eval", samples, tmp_path / "lake", provenance={})


@pytest.mark.parametrize("build", [files.inspect_ai, files.inspect_eval])
def test_inspect(tmp_path: Path, build) -> None:
    frame = rows("inspect_ai", tmp_path, build(tmp_path / "in"))
    samples = frame.filter(record_kind="sample")
    assert samples.select("sample_index", "label_score", "label_correct").rows() == [
        (0, 1.0, True),
        (1, 0.5, None),
    ]
    first = samples.row(0, named=True)
    assert (
        first["latency_s"],
        first["prompt_tokens"],
        first["output_tokens"],
        first["cached_tokens"],
    ) == (0.25, 5, 2, 1)
    assert (
        first["logprob_sum"] == -0.5
        and first["finish_reason"] == "max_tokens"
        and first["answer"] == "Yes"
    )
    assert (
        first["sampling"] == '{"temperature":1.0}'
        and first["prompt"] == "inspect:generate"
        and first["task_version"] == "1"
    )
    assert one(frame, record_kind="aggregate")["metric_value"] == 0.5


def test_inspect_log_with_nan_gives_null_with_its_reason(tmp_path: Path) -> None:
    log = files.inspect_log()
    log["results"]["scores"][0]["metrics"]["accuracy"]["value"] = float("nan")
    log["samples"][0]["scores"]["match"]["value"] = float("nan")
    path = tmp_path / "log.json"
    path.write_text(json.dumps(log))
    frame = rows("inspect_ai", tmp_path, path)
    assert one(frame, record_kind="aggregate")["null_reasons"] == ["metric_value:not_finite"]
    first = frame.row(0, named=True)
    assert first["label_score"] is None and first["null_reasons"] == ["label_score:not_finite"]


def test_helm(tmp_path: Path) -> None:
    frame = rows("helm", tmp_path)
    fresh = one(frame, record_kind="sample", problem_source_id="id1")
    assert (
        fresh["latency_s"],
        fresh["logprob_sum"],
        fresh["prompt_tokens"],
        fresh["output_tokens"],
    ) == (0.5, -1.5, 20, 1)
    assert (
        fresh["answer"],
        fresh["reference"],
        fresh["label_correct"],
        fresh["finish_reason"],
    ) == ("yes", "yes", True, "length")
    assert fresh["task"] == "mmlu:subject=x" and fresh["model_variant"] == "org/m"
    cached = one(frame, record_kind="sample", problem_source_id="id2")
    assert cached["latency_s"] is None and cached["null_reasons"] == [
        "latency_s:cached_answer_keeps_an_old_time"
    ]
    energy = one(frame, metric_name="training_energy_cost")
    assert (energy["metric_value"], energy["metric_unit"]) == (7.2e6, "J")  # 2 kWh


def test_vllm_bench_detailed(tmp_path: Path) -> None:
    frame = rows("vllm_bench", tmp_path)
    requests = frame.filter(record_kind="request")
    assert requests["ttft_s"].to_list() == [0.01, 0.02, None]
    assert requests["latency_s"].to_list() == [0.2, 0.25, None]
    assert requests["queue_s"].to_list() == [0.0, 0.1, None]
    # Six tokens in three chunks and in two: gaps between chunks are no time per token.
    assert requests["inter_token_s"].to_list() == [None, None, None]
    reported = "inter_token_s:gaps_between_chunks_of_several_tokens"
    assert [reported in reasons for reasons in requests["null_reasons"].to_list()] == [
        True,
        True,
        False,
    ]
    assert requests["started_unix_s"].null_count() == 3  # perf_counter has no epoch
    failed = requests.row(2, named=True)
    assert (
        failed["error"] == "Connection reset" and "ttft_s:failed_request" in failed["null_reasons"]
    )
    assert one(frame, metric_name="mean_ttft")["metric_value"] == 0.015
    assert one(frame, metric_name="p99_e2el")["metric_unit"] == "s"
    assert json.loads(requests["condition"][0])["request_rate"] == "inf"


def test_vllm_bench_plain_and_appended(tmp_path: Path) -> None:
    plain = tmp_path / "plain.json"
    plain.write_text(json.dumps(files.vllm_result()))
    assert set(rows("vllm_bench", tmp_path / "a", plain)["record_kind"]) == {"aggregate"}
    appended = tmp_path / "appended.json"
    appended.write_text(
        json.dumps(files.vllm_result())
        + "\n"
        + json.dumps(files.vllm_result(max_concurrency=4, **files.DETAIL))
    )
    frame = rows("vllm_bench", tmp_path / "b", appended)
    assert {json.loads(text)["max_concurrency"] for text in frame["condition"]} == {2, 4}
    assert frame.filter(record_kind="request").height == 3


def test_vllm_sweep_folder_leaves_out_summaries_warmups_and_failures(tmp_path: Path) -> None:
    base = tmp_path / "sweep" / "SERVE-a-BENCH-b"
    base.mkdir(parents=True)
    for index in (0, 1):
        (base / f"run={index}.json").write_text(
            json.dumps(files.vllm_result(run_number=index), indent=4)
        )
    (base / "summary.json").write_text(json.dumps([files.vllm_result(), files.vllm_result()]))
    (base / "warmup.json").write_text(json.dumps(files.vllm_result()))
    (base / "run=2.failure.json").write_text(json.dumps({"run_number": 2, "error": "x"}))
    report = files.import_sample("vllm_bench", tmp_path / "sweep", tmp_path / "lake")
    frame = read_imports(tmp_path / "lake").collect()
    assert {json.loads(text)["sweep"] for text in frame["condition"]} == {"SERVE-a-BENCH-b"}
    assert {Path(name).name for name in frame["source_file"]} == {"run=0.json", "run=1.json"}
    assert any("1 runs of the sweep failed" in text for text in report.warnings)


def test_vllm_arrays_of_unlike_length_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    path.write_text(json.dumps(files.vllm_result(**{**files.DETAIL, "ttfts": [0.1]})))
    with pytest.raises(IsocostError, match="different lengths"):
        files.import_sample("vllm_bench", path, tmp_path / "lake")


def test_guidellm(tmp_path: Path) -> None:
    frame = rows("guidellm", tmp_path)
    good = one(frame, record_kind="request", problem_source_id="r1")
    assert (good["ttft_s"], good["inter_token_s"], good["latency_s"], good["queue_s"]) == (
        0.011,
        0.002,
        0.025,
        0.5,
    )
    bad = one(frame, record_kind="request", problem_source_id="r2")
    assert bad["error"] == "500" and bad["ttft_s"] is None
    assert one(frame, metric_name="time_to_first_token_mean")["metric_value"] == 0.011
    assert one(frame, metric_name="request_latency_mean")["null_reasons"] == [
        "metric_value:no_requests"
    ]


def test_guidellm_of_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    path.write_text('{"metadata": {"version": 3}, "benchmarks": []}')
    with pytest.raises(IsocostError, match="report version 3"):
        files.import_sample("guidellm", path, tmp_path / "lake")


def test_llmperf(tmp_path: Path) -> None:
    frame = rows("llmperf", tmp_path)
    assert frame["ttft_s"].to_list() == [0.3, None] and frame["error"].to_list() == [
        None,
        "-100: too few",
    ]


def test_aiperf(tmp_path: Path) -> None:
    frame = rows("aiperf", tmp_path)
    good, failed = frame.filter(record_kind="request").iter_rows(named=True)
    assert (good["ttft_s"], good["latency_s"], good["inter_token_s"]) == (0.2555, 0.2975, 0.00525)
    assert (
        good["started_unix_s"] == pytest.approx(1759813207.5329, abs=1e-4)
        and good["model_variant"] == "m"
    )
    assert failed["ttft_s"] is None and failed["error"].startswith("499 Cancelled")
    reading = one(frame, record_kind="telemetry")
    assert (reading["power_w"], reading["metric_value"], reading["metric_unit"]) == (
        350.5,
        250_000.0,
        "J",
    )  # 0.25 MJ
    graded = one(frame, record_kind="sample")
    assert (
        graded["label_correct"] is True
        and graded["output_text"] == "A: 3"
        and graded["task"] == "gsm8k"
    )


def test_ml_energy(tmp_path: Path) -> None:
    frame = rows("ml_energy", tmp_path)
    good, failed = frame.filter(record_kind="request").iter_rows(named=True)
    assert (good["energy_j"], good["energy_method"], good["latency_s"]) == (
        12.5,
        "steady_state_token_share",
        0.5,
    )
    assert good["inter_token_s"] == pytest.approx(0.03)
    assert (
        failed["energy_j"] is None
        and failed["energy_unknown_reason"] == "failed_request"
        and failed["ttft_s"] is None
    )
    assert frame.filter(record_kind="telemetry")["power_w"].to_list() == [300.0, 310.0]
    assert one(frame, metric_name="steady_state_energy")["metric_unit"] == "J"


def test_evalscope(tmp_path: Path) -> None:
    frame = rows("evalscope", tmp_path)
    assert frame["label_correct"].to_list() == [True, False] and set(
        frame["problem_source_id"]
    ) == {"0"}
    assert frame.select("latency_s", "ttft_s", "prompt_tokens", "output_tokens", "task").row(0) == (
        0.5,
        0.1,
        5,
        3,
        "arc",
    )


def test_large_language_monkeys(tmp_path: Path) -> None:
    frame = rows("large_language_monkeys", tmp_path)
    assert frame.select(
        "problem_source_id", "sample_index", "output_text", "label_correct", "reference"
    ).rows() == [
        ("problem_7", 0, "so 3", True, "3"),
        ("problem_7", 1, "so 4", False, "3"),
    ]
    path = tmp_path / "rows.json"
    path.write_text(
        json.dumps(
            [{"question": "q", "samples": ["a"], "is_corrects": [True, False], "orig_dset_idx": 4}]
        )
    )
    with pytest.raises(IsocostError, match="1 samples and 2 verdicts"):
        files.import_sample("large_language_monkeys", path, tmp_path / "lake")


def test_mlperf_power_is_the_mean_inside_the_window(tmp_path: Path) -> None:
    source = files.mlperf_power(tmp_path / "in")
    report = files.import_sample("mlperf_power", source, tmp_path / "lake")
    frame = read_imports(tmp_path / "lake").collect()
    assert frame.filter(record_kind="telemetry")["power_w"].to_list() == [
        102.0,
        103.0,
        104.0,
        105.0,
        106.0,
    ]
    assert one(frame, metric_name="mean_power")["metric_value"] == 104.0
    energy = one(frame, metric_name="window_energy")
    assert (energy["energy_j"], energy["energy_method"], energy["latency_s"]) == (
        416.0,
        "wall_power_trapezoid",
        4.0,
    )
    assert report.warnings == ("spl.txt: 1 malformed lines left out",)


def test_mlperf_power_with_a_hole_has_no_energy(tmp_path: Path) -> None:
    source = files.mlperf_power(tmp_path / "in")
    spl = source / "spl.txt"
    lines = spl.read_text().splitlines(keepends=True)
    spl.write_text("".join(lines[:3] + lines[6:]))
    frame = rows("mlperf_power", tmp_path, source)
    energy = one(frame, metric_name="window_energy")
    assert energy["energy_j"] is None and energy["energy_unknown_reason"] == "gap_in_readings"


def test_every_eval_ever(tmp_path: Path) -> None:
    frame = rows("every_eval_ever", tmp_path)
    sample = one(frame, record_kind="sample")
    assert (sample["latency_s"], sample["ttft_s"], sample["sample_index"]) == (0.25, 0.05, 3)
    assert (sample["energy_j"], sample["energy_method"]) == (1.5, "nvml_counter")
    assert (sample["label_correct"], sample["answer"], sample["reference"], sample["prompt"]) == (
        True,
        "3",
        "3",
        "cot",
    )
    assert sample["sampling"] == '{"temperature":0.5}'
    assert one(frame, record_kind="aggregate")["metric_value"] == 1.0
