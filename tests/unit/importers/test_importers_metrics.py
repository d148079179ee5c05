"""Summary numbers and energy windows of imports.

Names and their statistics, the point they are of, what power readings are worth.
"""

from __future__ import annotations

import json
from pathlib import Path

import importer_samples as files
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from isocost.importers import import_path, read_imports
from isocost.tables.core.imported_metrics import name_and_statistic
from isocost.tables.core.imports import build_imported_core

KNOWN = {
    "model": "m",
    "task": "t",
    "task_version": "1",
    "prompt": "p",
    "sampling": {"temperature": 0},
}
STATISTICS = {
    "mean": "mean",
    "avg": "mean",
    "median": "median",
    "std": "stddev",
    "min": "min",
    "max": "max",
    "p99": "p99",
    "p99.9": "p99.9",
}
NAMES = st.lists(
    st.sampled_from(["ttft", "itl", "output", "tokens", "request", "latency", "s"]),
    min_size=1,
    max_size=3,
).map("_".join)


@pytest.mark.slow
@given(NAMES, st.sampled_from(sorted(STATISTICS)), st.booleans())
def test_a_statistic_is_read_from_either_end_of_a_name(
    name: str, word: str, is_first: bool
) -> None:
    assert name_and_statistic(f"{word}_{name}" if is_first else f"{name}_{word}") == (
        name,
        STATISTICS[word],
    )


@pytest.mark.slow
@given(NAMES)
def test_a_name_without_a_statistic_is_a_value(name: str) -> None:
    assert name_and_statistic(name) == (name, "value")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ttft_s_quantiles_p25", ("ttft_s", "p25")),
        ("first_token_99.90_percentile_latency", ("first_token_latency", "p99.9")),
        ("time_to_first_token_std_dev", ("time_to_first_token", "stddev")),
        ("exact_match_stderr,strict", ("exact_match,strict", "stderr")),
        ("minimum_age", ("minimum_age", "value")),
        ("p_value", ("p_value", "value")),
        ("mean", ("mean", "value")),
    ],
)
def test_names_as_tools_write_them(text: str, found: tuple[str, str]) -> None:
    assert name_and_statistic(text) == found


def tables(
    tmp_path: Path, name: str, path: Path, unknown: frozenset[str] = files.ALL_UNKNOWN, **more
) -> dict[str, pl.DataFrame]:
    import_path(name, path, tmp_path / "lake", unknown=unknown, **more)
    return build_imported_core(read_imports(tmp_path / "lake").collect())


SUMMARIZED = [
    (files.vllm_bench, "vllm_bench"),
    (files.guidellm, "guidellm"),
    (files.ml_energy, "ml_energy"),
    (files.mlperf_power, "mlperf_power"),
    (files.lm_eval, "lm_eval"),
    (files.helm, "helm"),
    (files.inspect_ai, "inspect_ai"),
    (files.every_eval_ever, "every_eval_ever"),
]


@pytest.mark.parametrize(("write", "name"), SUMMARIZED, ids=[name for _, name in SUMMARIZED])
@pytest.mark.slow
def test_every_summary_number_of_every_format_is_a_row(tmp_path: Path, write, name: str) -> None:
    found = tables(tmp_path, name, write(tmp_path / "in"))["core_imported_metrics"]
    raw = read_imports(tmp_path / "lake").collect().filter(record_kind="aggregate")
    assert found.height == raw.height > 0
    assert found["metric_index"].to_list() == list(range(raw.height))
    assert (found["value"].is_null() == found["unknown_reason"].is_not_null()).all()


def test_a_group_without_requests_has_no_value_and_says_why(tmp_path: Path) -> None:
    found = tables(tmp_path, "guidellm", files.guidellm(tmp_path / "in"))["core_imported_metrics"]
    empty = found.filter(metric="request_latency")
    assert empty["value"].null_count() == empty.height > 0 and set(empty["unknown_reason"]) == {
        "no_requests"
    }


def test_numbers_name_the_point_of_their_run(tmp_path: Path) -> None:
    for number in range(2):
        detail = {**files.DETAIL, "generated_texts": ["a", str(number), ""]}
        result = files.vllm_result(**detail, max_concurrency=2, mean_ttft_ms=10.0 * (number + 1))
        (tmp_path / "in" / str(number)).mkdir(parents=True)
        (tmp_path / "in" / str(number) / "run=0.json").write_text(json.dumps(result))
    found = tables(
        tmp_path,
        "vllm_bench",
        tmp_path / "in",
        provenance={k: v for k, v in KNOWN.items() if k != "model"},
        unknown=frozenset(),
    )
    ttft = found["core_imported_metrics"].filter(metric="ttft")
    assert ttft["value"].to_list() == [0.01, 0.02] and ttft["point_id"].n_unique() == 2
    assert set(ttft["point_id"]) == set(found["core_points"]["point_id"])


def test_the_steady_state_of_ml_energy_is_a_window(tmp_path: Path) -> None:
    found = tables(tmp_path, "ml_energy", files.ml_energy(tmp_path / "in"))
    (window,) = found["core_energy_windows"].iter_rows(named=True)
    assert (window["window_kind"], window["energy_j"], window["energy_j_per_output_token"]) == (
        "steady",
        500.0,
        1.25,
    )
    assert found["core_sessions"]["energy_method"].to_list() == ["zeus_gpu_energy"]


def aiperf(folder: Path, seconds: int, *, counter: bool) -> Path:
    """Two requests over ``seconds`` s and, beside them, readings of two boards at 100 and 200 W."""
    files.aiperf(folder)
    (folder / "accuracy_export.jsonl").unlink()
    start = 1_759_813_207_000_000_000
    records = [
        {
            "metadata": {
                "conversation_id": f"c{k}",
                "request_start_ns": start,
                "request_end_ns": start + (seconds - k) * 10**9,
            },
            "metrics": {"output_sequence_length": {"value": 50, "unit": "tokens"}},
            "error": None,
        }
        for k in (0, 1)
    ]
    (folder / "profile_export.jsonl").write_text("".join(json.dumps(one) + "\n" for one in records))
    readings = []
    for second in range(-2, seconds + 3):
        for board in (1, 2):
            data = {"nvidia_power_usage": 100.0 * board}
            if counter:
                data["nvidia_energy_consumption"] = (1000 + 100 * board * second) / 1e6
            readings.append(
                {
                    "timestamp_ns": start + second * 10**9,
                    "gpu_uuid": f"GPU-{board}",
                    "telemetry_data": data,
                }
            )
    (folder / "gpu_telemetry_export.jsonl").write_text(
        "".join(json.dumps(one) + "\n" for one in readings)
    )
    return folder


@pytest.mark.parametrize("counter", [True, False])
def test_readings_beside_requests_are_the_energy_of_their_time(
    tmp_path: Path, counter: bool
) -> None:
    found = tables(tmp_path, "aiperf", aiperf(tmp_path / "in", 10, counter=counter))
    (window,) = found["core_energy_windows"].iter_rows(named=True)
    assert window["energy_j"] == pytest.approx(3000.0) and window["energy_measure"] == (
        "counter" if counter else "integral"
    )
    assert (window["window_kind"], window["requests_measured"], window["window_s"]) == (
        "measured",
        2,
        10.0,
    )
    assert window["energy_j_per_output_token"] == pytest.approx(30.0)
    assert found["core_sessions"]["energy_j"].to_list() == [pytest.approx(3000.0)]


def test_readings_with_a_hole_have_no_energy_and_say_so(tmp_path: Path) -> None:
    folder = aiperf(tmp_path / "in", 12, counter=False)
    path = folder / "gpu_telemetry_export.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:8] + lines[18:]))
    found = tables(tmp_path, "aiperf", folder)
    (window,) = found["core_energy_windows"].iter_rows(named=True)
    assert window["energy_j"] is None and window["invalid_reasons"] == ["sample_gap"]
    assert "between two power samples" in found["core_sessions"]["energy_unknown_reason"][0]


def test_an_import_of_several_windows_has_no_one_energy(tmp_path: Path) -> None:
    for number in range(2):
        path = files.ml_energy(tmp_path / "in" / str(number))
        document = json.loads(path.read_text()) | {"steady_state_energy": 500.0 + number}
        path.write_text(json.dumps(document))
    found = tables(tmp_path, "ml_energy", tmp_path / "in")
    assert found["core_energy_windows"]["energy_j"].sort().to_list() == [500.0, 501.0]
    assert found["core_energy_windows"]["run_id"].n_unique() == 2
    assert found["core_sessions"]["energy_unknown_reason"].to_list() == [
        "several_windows_see_core_energy_windows"
    ]


def test_an_import_without_a_window_says_so(tmp_path: Path) -> None:
    found = tables(tmp_path, "llmperf", files.llmperf(tmp_path / "in"))
    assert found["core_sessions"]["energy_unknown_reason"].to_list() == [
        "no_energy_window_in_source"
    ]
    assert found["core_energy_windows"].is_empty()


def test_tokens_of_an_mlperf_log_give_joules_a_token(tmp_path: Path) -> None:
    folder = files.mlperf_power(tmp_path / "in")
    log = folder / "mlperf_log_detail.txt"
    events = {
        "result_completed_tokens_per_second": 50.0,
        "result_first_token_99.00_percentile_latency_ns": 1_500_000_000,
        "result_time_to_output_token_mean": 20_000_000,
        "result_validity": "VALID",
        "effective_scenario": "Server",
    }
    lines = [
        f':::MLLOG {{"key": "{key}", "value": {json.dumps(value)}, "time_ms": 1.0}}\n'
        for key, value in events.items()
    ]
    log.write_text(log.read_text() + "".join(lines))
    found = tables(tmp_path, "mlperf_power", folder)
    (window,) = found["core_energy_windows"].iter_rows(named=True)
    assert window["window_s"] == 4.0 and window["output_tokens_in_window"] == 200.0
    # 104 W in the mean over 50 tokens a second.
    assert window["energy_j_per_output_token"] == pytest.approx(104.0 / 50.0)
    stated = {
        (row["metric"], row["statistic"]): (row["value"], row["unit"])
        for row in found["core_imported_metrics"].iter_rows(named=True)
    }
    assert stated["energy_per_token", "value"] == (pytest.approx(2.08), "J/token")
    assert stated["first_token_latency", "p99"] == (1.5, "s") and stated[
        "time_to_output_token", "mean"
    ] == (0.02, "s")
    assert stated["completed_tokens_per_second", "value"] == (50.0, "tokens/s")
