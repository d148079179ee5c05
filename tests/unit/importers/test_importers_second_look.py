"""What the second look at the importers found.

A file given twice, replaced lines, metrics of several samples, noise, empty completions.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import importer_samples as files
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from whole_way import accuracy, banked

from isocost.build import refresh
from isocost.errors import IsocostError
from isocost.importers import import_path, read_imports
from isocost.importers.generic.paths import json_cell
from isocost.importers.metric_names import falls, samples_of
from isocost.importers.row import INVALIDATED, REPLACED, Row
from isocost.importers.usage import put_summed_latency
from isocost.schema.registry import table
from isocost.schema.types import polars_schema
from isocost.store import Store
from isocost.tables.core.imports import build_imported_core

DRAWN = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def lines(path: Path, *rows: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def evalscope(
    folder: Path,
    verdicts: list[dict[str, float]],
    *,
    texts: list[str] | None = None,
    again: list[int] = (),
) -> Path:
    """A run; the indexes of ``again`` were asked a second time, and the later line counts."""
    asked = [*range(len(verdicts)), *again]
    lines(
        folder / "predictions" / "m" / "t.jsonl",
        *(
            {
                "index": i,
                "model_output": {
                    "choices": [{"message": {"content": (texts or ["A"] * len(verdicts))[i]}}]
                },
                "messages": [{"role": "user", "content": f"Q{i}"}],
            }
            for i in asked
        ),
    )
    reviews = [
        {
            "index": i,
            "target": "A",
            "sample_score": {"score": {"value": value, "extracted_prediction": "A"}},
        }
        for i, value in enumerate(verdicts)
    ]
    lines(folder / "reviews" / "m" / "t.jsonl", *reviews)
    return folder


def eee(path: Path, verdicts: list[bool], metric: str | None = None) -> Path:
    rows = [
        {
            "schema_version": "0.2.1",
            "evaluation_id": "e",
            "model_id": "m",
            "evaluation_name": "t",
            "sample_id": str(i),
            "input": {"raw": f"q{i}", "reference": ["4"]},
            "output": {"raw": ["4"]},
            "answer_attribution": [],
            "evaluation": {"score": float(value), "is_correct": value},
        }
        for i, value in enumerate(verdicts)
    ]
    if metric:
        result = {
            "evaluation_name": "t",
            "metric_config": {"metric_name": metric},
            "score_details": {"score": 0.5},
        }
        document = {
            "schema_version": "0.2.1",
            "evaluation_id": "e",
            "model_info": {"id": "m", "name": "m"},
            "evaluation_results": [result],
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        (path.parent / "a.json").write_text(json.dumps(document))
    return lines(path, *rows)


def llmperf(path: Path, count: int) -> Path:
    request = {
        "error_code": None,
        "inter_token_latency_s": 0.01,
        "ttft_s": 0.1,
        "end_to_end_latency_s": 1.1,
        "number_output_tokens": 101,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        json.dumps([{**request, "number_input_tokens": 5, "number_total_tokens": 106}] * count)
    )
    return path


def made(name: str, folder: Path, count: int) -> Path:
    """One run of a format whose records have no number of their own."""
    if name == "lm_eval":
        return files.lm_eval(folder)
    if name == "evalscope":
        return evalscope(folder, [{"acc": float(i % 2)} for i in range(count)])
    if name == "every_eval_ever":
        return eee(folder / "a_samples.jsonl", [i % 2 == 0 for i in range(count)]).parent
    if name == "llmperf":
        return llmperf(folder / "a.json", count).parent
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "r.json").write_text(json.dumps(files.vllm_result(**files.DETAIL)))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["lm_eval", "evalscope", "every_eval_ever", "llmperf", "vllm_bench"]
)
@given(count=st.integers(1, 5), copies=st.integers(1, 3))
@settings(parent=DRAWN, max_examples=3)
def test_a_run_that_lies_in_several_folders_counts_once(
    name: str, count: int, copies: int, tmp_path_factory
) -> None:
    root = tmp_path_factory.mktemp("in")
    first = made(name, root / "all" / "0", count)
    alone = banked(name, first, root / "lake-one")[1]
    for copy in range(copies):
        shutil.copytree(first, root / "all" / str(copy + 1))
    together = banked(name, root / "all", root / "lake-all")[1]
    valid = together.filter(~pl.col("invalid_reasons").list.contains("duplicate_in_source"))
    assert valid.height == alone.height and together.height == alone.height * (copies + 1)
    assert sorted(accuracy(valid).values()) == pytest.approx(sorted(accuracy(alone).values()))


@pytest.mark.slow
@given(verdicts=st.lists(st.booleans(), min_size=1, max_size=6), data=st.data())
@settings(parent=DRAWN, max_examples=4)
def test_a_line_that_a_later_one_replaces_is_no_failure(
    verdicts: list[bool], data: Any, tmp_path_factory
) -> None:
    again = data.draw(st.lists(st.sampled_from(range(len(verdicts))), unique=True))
    root = tmp_path_factory.mktemp("in")
    _, samples, _ = banked(
        "evalscope",
        evalscope(root / "run", [{"acc": float(v)} for v in verdicts], again=again),
        root / "lake",
    )
    assert samples.height == len(verdicts) + len(again)
    replaced = samples.filter(~pl.col("is_valid"))
    assert (
        replaced.height == len(again)
        and not replaced["invalid_reasons"]
        .explode(empty_as_null=False)
        .is_in(["failed_in_source"])
        .any()
    )


@pytest.mark.parametrize(
    ("code", "reason"), [(REPLACED, "duplicate_in_source"), (INVALIDATED, "invalidated_in_source")]
)
def test_what_does_not_count_has_a_reason_of_its_own(code: str, reason: str) -> None:
    row = Row("sample", "t", None, "t")
    row.label(1.0, "m")
    row.replaced("why", code)
    samples = core(
        {key: value for key, value in row.values.items()} | {"null_reasons": row.reasons},
        failed="wrong",
    )
    assert (
        reason in samples["invalid_reasons"][0]
        and "failed_in_source" not in samples["invalid_reasons"][0]
    )
    assert not samples["is_valid"][0] and samples["score"][0] is None


def core(*rows: dict[str, Any], **more: Any) -> pl.DataFrame:
    common = {
        "import_id": "i",
        "record_kind": "sample",
        "source": "generic",
        "source_file": "t",
        "task": "t",
        "model_variant": "m",
    }
    common |= {
        "source_run": "r",
        "task_version": "1",
        "prompt": "p",
        "sampling": "{}",
        "null_reasons": [],
    }
    raw = pl.DataFrame(
        [
            {**common, "record_index": i, "problem_source_id": str(i), **row}
            for i, row in enumerate(rows)
        ],
        infer_schema_length=None,
    )
    empty = pl.DataFrame(schema=polars_schema(table("raw_imports")))
    found = build_imported_core(
        pl.concat([empty, raw], how="diagonal_relaxed").select(empty.columns), **more
    )["core_samples"]
    return found


NAMES = st.sampled_from(["pass", "maj", "majority", "cons", "avg", "mean", "best", "g-pass"])


@given(
    name=NAMES,
    joint=st.sampled_from(["@", "^", "_at_", " @ "]),
    k=st.integers(1, 99),
    score=st.sampled_from([0.0, 0.5, 1.0]),
)
@DRAWN
def test_a_metric_of_several_samples_is_the_verdict_of_none(
    name: str, joint: str, k: int, score: float
) -> None:
    row = Row("sample", "t", None, "t")
    row.label(score, f"{name}{joint}{k}")
    row.json("extra", {"kept": 1})
    reported = json.loads(row.values["extra"])
    if k == 1:
        assert row.values["label_score"] == score and reported == {"kept": 1}
    else:
        assert "label_score" not in row.values and "label_correct" not in row.values
        assert row.reasons == [f"label_correct:verdict_covers_{k}_samples"]
        assert reported == {
            "kept": 1,
            "group": {"label": score, "label_name": f"{name}{joint}{k}", "covers": k},
        }


def test_names_of_metrics_of_one_sample() -> None:
    for name in (
        None,
        "",
        "acc",
        "exact_match",
        "pass",
        "acc@5",
        "bypass",
        "compass@4",
        "math_verify",
        "f1_at_5",
        "best",
    ):
        assert samples_of(name) == 1, name


def test_which_way_a_metric_points_by_its_name() -> None:
    for name in (
        "wer",
        "word_perplexity",
        "bits_per_byte",
        "brier_score",
        "toxicity",
        "error_rate",
        "log_loss",
        "rmse",
        "bypass",
        "TER",
    ):
        assert falls(name), name
    for name in (
        "acc",
        "exact_match",
        "non_toxicity",
        "answer",
        "power",
        "after",
        "f1",
        "win_rate",
        "letter",
        "masked_acc",
        "ceremony",
        None,
    ):
        assert not falls(name), name


def test_group_metrics_of_whole_files(tmp_path: Path) -> None:
    _, samples, _ = banked(
        "evalscope",
        evalscope(tmp_path / "a", [{"pass@4": 1.0}, {"pass@4": 0.0}]),
        tmp_path / "lake",
    )
    assert samples["correct"].to_list() == [None, None] and not samples["is_valid"].any()
    _, samples, _ = banked(
        "every_eval_ever",
        eee(tmp_path / "b" / "a_samples.jsonl", [True, False], "pass@8").parent,
        tmp_path / "lake",
    )
    assert samples["correct"].to_list() == [None, None] and samples["score"].to_list() == [
        None,
        None,
    ]


@pytest.mark.slow
@given(score=st.sampled_from([0.0, 1.0, 0.5]), noise=st.floats(-5e-10, 5e-10))
@DRAWN
def test_the_noise_of_floats_makes_no_partial_credit(score: float, noise: float) -> None:
    row = Row("sample", "t", None, "t")
    row.label(score + noise, "m")
    by_label = core(
        {"label_score": row.values["label_score"], "label_correct": row.values.get("label_correct")}
    )
    by_number = core({"label_score": score + noise})
    for found in (by_label, by_number):
        assert (
            found["is_valid"][0]
            and found["correct"][0] == {0.0: False, 1.0: True, 0.5: None}[score]
        )
        assert found["score"][0] == (score if score != 0.5 else pytest.approx(0.5))


TEXTS = st.sampled_from(["", "  ", "the answer is 4", None])


@pytest.mark.slow
@given(
    rows=st.lists(
        st.tuples(TEXTS, st.sampled_from([None, "stop", "length"])), min_size=1, max_size=6
    )
)
@DRAWN
def test_empty_completions_are_left_out_alike_with_labels_and_with_a_verifier(
    rows: list[tuple[Any, Any]],
) -> None:
    """Where the root says so.

    The label of an empty completion is what a verifier finds: wrong. What was cut off stays wrong.
    """
    listed = [
        {
            "output_text": text,
            "reference": "4",
            "problem_text": f"q{i}",
            "finish_reason": finish,
            "label_correct": bool(text and text.strip()),
        }
        for i, (text, finish) in enumerate([("4", None), *rows])
    ]
    listed[0]["output_text"] = "The answer is 4"
    expected = [
        True
        if (row["output_text"] or "").strip()
        else False
        if row["finish_reason"] == "length"
        else None
        for row in listed
    ]
    for verifier in (None, "numeric"):
        found = core(*listed, unanswered="undefined", verifier=verifier)
        assert sorted(found["correct"].to_list(), key=str) == sorted(expected, key=str)
        assert found.filter(pl.col("correct").is_null())["grade_reason"].unique().to_list() in (
            [],
            ["unanswered"],
        )


@given(
    zero=st.sampled_from([0.0, -1.0, None]),
    gaps=st.lists(st.floats(1e-3, 1.0), min_size=1, max_size=5),
)
@settings(parent=DRAWN, max_examples=10)
def test_a_latency_is_no_sum_with_a_time_that_was_not_measured(
    zero: Any, gaps: list[float]
) -> None:
    row = Row("request", "t", None, "t")
    row.integer("output_tokens", len(gaps) + 1)
    put_summed_latency(row, zero, gaps)
    assert "latency_s" not in row.values
    put_summed_latency(row, 0.5, gaps)
    assert row.values["latency_s"] == pytest.approx(0.5 + sum(gaps))


@pytest.mark.slow
@given(temperatures=st.lists(st.sampled_from([0.2, 0.8]), min_size=1, max_size=5))
@settings(parent=DRAWN, max_examples=5)
def test_counts_drawn_otherwise_are_other_points(
    temperatures: list[float], tmp_path_factory
) -> None:
    root = tmp_path_factory.mktemp("in")
    rows = [
        {"id": f"p{i}", "c": 1, "n": 2, "temperature": temperature, "topic": i}
        for i, temperature in enumerate(temperatures)
    ]
    report = import_path(
        "counts", lines(root / "c.jsonl", *rows), root / "lake", unknown=files.ALL_UNKNOWN
    )
    counts = build_imported_core(
        read_imports(root / "lake", import_ids=[report.import_id]).collect()
    )["core_counts"]
    assert counts["point_id"].n_unique() == len(set(temperatures)) and counts.height == len(rows)


def test_problems_without_samples_are_counted(tmp_path: Path) -> None:
    problem = {
        "question": "q",
        "gt_answer": "4",
        "samples": ["4"],
        "is_corrects": [True],
        "orig_dset_idx": 0,
    }
    path = lines(
        tmp_path / "t.jsonl",
        problem,
        {**problem, "samples": [], "is_corrects": [], "orig_dset_idx": 1},
    )
    _, samples, notes = banked("large_language_monkeys", path, tmp_path / "lake")
    assert samples.height == 1 and any(
        note.startswith("1 problems have an empty list of samples") for note in notes
    )


@pytest.mark.slow
@given(
    parts=st.tuples(*[st.floats(0.001, 1.0)] * 3),
    factor=st.sampled_from([1.0, 1.001, 0.5, 2.0, 10.0]),
)
@settings(parent=DRAWN, max_examples=5)
def test_the_parts_of_an_energy_make_its_total(
    parts: tuple[float, ...], factor: float, tmp_path_factory
) -> None:
    root = tmp_path_factory.mktemp("in")
    names = (
        "timestamp",
        "run_id",
        "duration",
        "cpu_energy",
        "gpu_energy",
        "ram_energy",
        "energy_consumed",
    )
    values = (
        "2024-05-30T11:03:37",
        "r",
        "100",
        *(f"{part!r}" for part in parts),
        f"{sum(parts) * factor!r}",
    )
    (root / "emissions.csv").write_text(",".join(names) + "\n" + ",".join(values) + "\n")
    report = import_path(
        "codecarbon", root / "emissions.csv", root / "lake", unknown=files.ALL_UNKNOWN
    )
    (window,) = build_imported_core(
        read_imports(root / "lake", import_ids=[report.import_id]).collect()
    )["core_energy_windows"].to_dicts()
    if 0.99 < factor < 1.01:
        assert window["energy_j"] == pytest.approx(sum(parts) * factor * 3.6e6)
    else:
        assert window["energy_j"] is None and window["invalid_reasons"] == [
            "parts_are_not_the_total"
        ]


@given(
    texts=st.lists(st.text("ab ,'\"\\\\4", max_size=4), min_size=2, max_size=4),
    joint=st.sampled_from([", ", " ", "\n "]),
)
@DRAWN
def test_lists_as_pandas_and_numpy_write_them(texts: list[str], joint: str) -> None:
    cell = f"[{joint.join(map(repr, texts))}]"
    if joint == ", ":
        assert json_cell(cell, "t") == texts
    else:
        with pytest.raises(IsocostError, match=r"numpy|JSON"):
            json_cell(cell, "t")


def test_what_describes_a_file_is_no_problem_of_it(tmp_path: Path) -> None:
    path, mapping = tmp_path / "t.json", tmp_path / "m.yaml"
    path.write_text(json.dumps({"meta": {"version": 1}, "p1": {"outs": ["4", "5"]}}))
    mapping.write_text('columns: {problem: "@key", output: outs}')
    with pytest.raises(IsocostError, match=r"under the key 'meta'.*skip"):
        banked("generic", path, tmp_path / "lake", mapping=mapping)
    mapping.write_text('columns: {problem: "@key", output: outs}\nskip: [version]')
    assert banked("generic", path, tmp_path / "lake", mapping=mapping)[1].height == 2


def test_a_power_log_of_one_reading_has_no_window_and_stops_nothing(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text(
        "timestamp, index, name, power.draw [W]\n2024/05/30 11:03:00.000, 0, H, 100.00 W\n"
    )
    report = import_path("nvidia_smi", path, tmp_path / "lake", unknown=files.ALL_UNKNOWN)
    core = build_imported_core(
        read_imports(tmp_path / "lake", import_ids=[report.import_id]).collect()
    )
    assert core["core_sessions"]["window_s"].to_list() == [None]
    assert core["core_energy_windows"]["is_energy_valid"].to_list() == [False]


WITHOUT_SAMPLES = [
    "nvidia_smi",
    "dcgm",
    "codecarbon",
    "vllm_throughput",
    "vllm_latency",
    "ml_energy_leaderboard",
    "mlperf_power",
]


@pytest.mark.slow
@pytest.mark.parametrize("name", WITHOUT_SAMPLES)
def test_a_root_without_a_single_sample_is_refreshed(name: str, tmp_path: Path) -> None:
    store = Store(tmp_path / "data")
    path = getattr(files, name)(tmp_path / "in")
    refresh.bring_in(
        store, "import-alone", format=name, path=path, provenance={}, unknown=files.ALL_UNKNOWN
    )
    list(refresh.everything(store))
    assert store.read("core_samples").is_empty() and (
        store.read("core_imported_metrics").height or store.read("core_energy_windows").height
    )
