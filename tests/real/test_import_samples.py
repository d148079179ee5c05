"""Published sample files through the whole way.

File, bank, core tables, and the numbers their authors published.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from isocost.importers import import_path, read_imports, verify_imports
from isocost.strategies.estimators.coverage import pass_at_k
from isocost.tables.core.imports import build_imported_core

UNKNOWN = {"task_version", "prompt", "sampling"}


def imported(
    lake: Path,
    name: str,
    path: Path,
    *,
    verifier: str | None = None,
    unknown=frozenset(),
    **provenance,
):
    """Raw rows and core tables of one file; importing it again changes nothing."""
    report = import_path(
        name, path, lake, provenance=provenance, unknown=set(unknown), verifier=verifier
    )
    again = import_path(
        name, path, lake, provenance=provenance, unknown=set(unknown), verifier=verifier
    )
    assert again.status == "already" and verify_imports(lake) == []
    raw = read_imports(lake, import_ids=[report.import_id]).collect()
    assert raw.height == report.records
    return raw, build_imported_core(raw, verifier=verifier)


def counted(samples: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """n and c of each problem, from valid samples."""
    valid = (
        samples.filter("is_valid")
        .group_by("problem_id")
        .agg(pl.len().alias("n"), pl.col("correct").sum().alias("c"))
        .sort("problem_id")
    )
    return valid["n"].to_numpy(), valid["c"].to_numpy()


def test_gsm8k_solutions_agree_with_every_label(shared_data: Path, tmp_path: Path) -> None:
    path = shared_data / "gsm8k" / "example_model_solutions.jsonl"
    _, core = imported(
        tmp_path,
        "gsm8k_solutions",
        path,
        verifier="numeric",
        unknown={"prompt", "sampling"},
        task_version="main",
    )
    samples, agreement = core["core_samples"], core["core_label_agreement"]
    assert (
        samples.height == 5276
        and samples["is_valid"].all()
        and set(samples["parse_status"]) == {"parsed"}
    )
    assert (
        agreement["n_agree"].sum(),
        agreement["n_judged"].sum(),
        agreement["n_labelled"].sum(),
    ) == (5276, 5276, 5276)
    correct = dict(samples.group_by("model_variant").agg(pl.col("correct").sum()).iter_rows())
    assert correct == {
        "6b_finetuning": 286,
        "6b_verification": 515,
        "175b_finetuning": 458,
        "175b_verification": 742,
    }
    assert core["core_problems"].height == 1319


def test_gsm8k_by_the_labels_alone(shared_data: Path, tmp_path: Path) -> None:
    path = shared_data / "gsm8k" / "example_model_solutions.jsonl"
    _, core = imported(
        tmp_path, "gsm8k_solutions", path, unknown={"prompt", "sampling"}, task_version="main"
    )
    samples = core["core_samples"]
    assert samples.group_by("model_variant").agg(pl.col("correct").sum())[
        "correct"
    ].sort().to_list() == [286, 458, 515, 742]
    assert (
        set(samples["grade_reason"]) == {"imported_label"}
        and core["core_label_agreement"]["n_judged"].sum() == 0
    )


@pytest.mark.parametrize(
    ("side", "published"), [("input", (35.95, 44.9911)), ("output", (34.2125, 40.2867))]
)
def test_cruxeval_pass_at_1_and_5(
    shared_data: Path, tmp_path: Path, side: str, published: tuple[float, float]
) -> None:
    path = shared_data / "cruxeval" / f"sample_scored_codellama-7b_temp0.2_{side}.json"
    raw, core = imported(tmp_path, "cruxeval_scored", path, unknown={"task_version", "prompt"})
    n, c = counted(core["core_samples"])
    assert (n == 10).all() and n.size == 800
    at = [100 * float(np.mean(pass_at_k(n, c, k))) for k in (1, 5)]
    assert at == pytest.approx(published, abs=5e-5)
    exact = json.loads(path.read_text())
    assert at == pytest.approx([exact["pass_at_1"], exact["pass_at_5"]], rel=1e-12)
    own = dict(
        raw.filter(record_kind="aggregate").select("metric_name", "metric_value").iter_rows()
    )
    assert own == pytest.approx({"pass_at_1": at[0] / 100, "pass_at_5": at[1] / 100}, rel=1e-12)
    assert core["core_points"]["temperature"].to_list() == [0.2]


@pytest.mark.parametrize("model", ["base", "rl"])
def test_counts_give_all_128_published_pass_at_k(
    shared_data: Path, tmp_path: Path, model: str
) -> None:
    folder = shared_data / "passk_deepscaler32k"
    sampling = {"temperature": 0.6, "top_p": 0.95, "max_tokens": 32768}
    raw, core = imported(
        tmp_path,
        "counts",
        folder / f"{model}.jsonl",
        unknown={"task_version", "prompt"},
        model=model,
        task="math",
        sampling=sampling,
    )
    expected = json.loads((folder / "expected.json").read_text())
    tallied = core["core_counts"].sort("problem_id")
    n, c = tallied["n_samples"].to_numpy(), tallied["n_correct"].to_numpy()
    assert n.size == expected["prompts"] == 1060 and (n == 128).all() and raw.height == 1060
    found = [float(np.mean(pass_at_k(n, c, k))) for k in expected["ks"]]
    assert found == pytest.approx(expected[f"{model}_pass_at_k"], abs=1e-12)
    point = core["core_points"].row(0, named=True)
    assert (point["temperature"], point["top_p"], point["max_tokens"], point["samples_banked"]) == (
        0.6,
        0.95,
        32768,
        128 * 1060,
    )
    # Four benchmarks are no four clusters: the published standard errors are those of 1,060
    # problems.
    assert core["core_problems"]["cluster_id"].null_count() == core["core_problems"].height == 1060
    assert {json.loads(text)["source"] for text in raw["extra"]} == {
        "aime24",
        "amc23",
        "gaokao2023en",
        "olympiadbench",
    }


def test_the_two_count_files_share_their_problems(shared_data: Path, tmp_path: Path) -> None:
    ids = []
    for model in ("base", "rl"):
        path = shared_data / "passk_deepscaler32k" / f"{model}.jsonl"
        _, core = imported(tmp_path, "counts", path, unknown=UNKNOWN, model=model, task="math")
        ids.append(set(core["core_problems"]["problem_id"]))
    assert ids[0] == ids[1]


def test_lm_eval_math_perturbed(shared_data: Path, tmp_path: Path) -> None:
    raw, core = imported(tmp_path, "lm_eval", shared_data / "logs" / "lm_eval", verifier="symbolic")
    aggregates = raw.filter(
        record_kind="aggregate", task="math_perturbed_full", metric_name="exact_match"
    )
    assert aggregates["metric_value"].to_list() == [0.0]
    rephrased = raw.filter(
        record_kind="aggregate", task="math_rephrased_full", metric_name="exact_match"
    )
    assert rephrased["metric_value"].to_list() == [0.0004]
    samples = core["core_samples"]
    assert (
        samples.height == 10
        and samples["label_correct"].sum() == 0
        and samples["correct"].sum() == 0
    )
    assert core["core_label_agreement"].select("n_judged", "n_agree").row(0) == (10, 10)
    point = core["core_points"].row(0, named=True)
    assert (point["temperature"], point["max_tokens"], point["task"]) == (
        0.0,
        512,
        "math_perturbed_full",
    )
    (condition,) = {text for text in raw.filter(record_kind="sample")["condition"]}
    stated = json.loads(condition)
    assert (stated["hardware"], stated["engine"]) == ("8x NVIDIA A100-SXM4-80GB", "hf")
    assert (
        stated["config.model_sha"] == "82047f5e5d5245c1b3a4cd75ad98aa441d6487cd"
        and stated["torch_version"] == "2.9.0+cu128"
    )


INSPECT = {
    "every_eval_ever/data_arc_qwen.json": (3, 0.333),
    "every_eval_ever/data_arc_sonnet.json": (5, 1.0),
    "inspect/2025-05-12T20-28-13-04-00_popularity.json": (3, 0.667),
    "inspect/2025-02-11T15-18-04-05-00_popularity_mj7khqpMM4GBCfVQozKgzB.eval": (10, 0.8),
}


@pytest.mark.parametrize("file", INSPECT)
def test_inspect_accuracy_of_samples_is_the_published_one(
    shared_data: Path, tmp_path: Path, file: str
) -> None:
    raw, core = imported(tmp_path, "inspect_ai", shared_data / "logs" / file, unknown={"sampling"})
    size, accuracy = INSPECT[file]
    samples = core["core_samples"]
    assert samples.height == size and samples["correct"].mean() == pytest.approx(accuracy, abs=5e-4)
    published = raw.filter(record_kind="aggregate", metric_name="accuracy")["metric_value"].item()
    assert samples["correct"].mean() == pytest.approx(published, rel=1e-12)
    assert samples["latency_s"].null_count() == 0 and samples["output_tokens"].min() > 0


def test_inspect_archive_and_json_of_one_run_agree(shared_data: Path, tmp_path: Path) -> None:
    rows = []
    for ending in (".json", ".eval"):
        path = shared_data / "logs" / "inspect" / f"log_formats{ending}"
        raw, _ = imported(tmp_path, "inspect_ai", path, unknown={"sampling"})
        rows.append(raw.drop("import_id", "source_file", "source_place", "sampling"))
    assert rows[0].equals(rows[1])


def test_an_inspect_log_with_nan(shared_data: Path, tmp_path: Path) -> None:
    path = tmp_path / "log.json"
    path.write_bytes((shared_data / "logs" / "inspect" / "log_with_nan.txt").read_bytes())
    raw, core = imported(tmp_path / "lake", "inspect_ai", path, unknown={"sampling"})
    accuracy = raw.filter(metric_name="accuracy").row(0, named=True)
    assert accuracy["metric_value"] is None and accuracy["null_reasons"] == [
        "metric_value:not_finite"
    ]
    assert core["core_samples"].is_empty() and core["core_sessions"].height == 1


def test_helm_narrative_qa(shared_data: Path, tmp_path: Path) -> None:
    path = shared_data / "logs" / "helm" / "narrative_qa-model=openai_gpt2"
    raw, core = imported(tmp_path, "helm", path, unknown={"task_version"})
    test = {"split": "test", "provider": "huggingface/gpt2"}
    of_test = raw.filter(
        pl.col("condition").map_elements(
            lambda text: json.loads(text).items() >= test.items(), return_dtype=pl.Boolean
        )
    )
    figures = dict(
        of_test.filter(record_kind="aggregate").select("metric_name", "metric_value").iter_rows()
    )
    assert (
        figures["inference_runtime"] == pytest.approx(1.1738, abs=5e-5)
        and figures["num_prompt_tokens"] == 712.5
    )
    on_test = of_test.filter(record_kind="sample")
    assert on_test["latency_s"].mean() == pytest.approx(figures["inference_runtime"], rel=1e-12)
    assert (
        on_test["prompt_tokens"].mean() == 712.5
        and on_test["label_correct"].mean() == figures["exact_match"]
    )
    assert core["core_samples"].height == 5 and core["core_points"].height == 2


def test_every_helm_run_at_once(shared_data: Path, tmp_path: Path) -> None:
    raw, core = imported(tmp_path, "helm", shared_data / "logs" / "helm", unknown={"task_version"})
    assert raw["task"].n_unique() == 3 and core["core_samples"].height == 25
    for task, own in raw.filter(record_kind="sample").group_by("task", "condition"):
        published = raw.filter(
            record_kind="aggregate", metric_name="exact_match", task=task[0], condition=task[1]
        )["metric_value"]
        assert own["label_correct"].mean() == pytest.approx(published.item(), rel=1e-12)
