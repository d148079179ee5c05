"""Published efficiency numbers of other projects, reproduced or predicted."""

import json

import numpy as np
import polars as pl
import pytest

from isocost.costs import fit_runtime_model, helm_idealized_runtime, latency_summary
from isocost.costs.runtime import helm_prefill_seconds, runtime_from_helm_table


@pytest.fixture(scope="module")
def helm(shared_data):
    folder = shared_data / "helm_efficiency"
    return {
        kind: json.loads((folder / f"inference_{kind}_runtimes.json").read_text())
        for kind in ("idealized", "denoised")
    }


def helm_by_hand(entry, prompt, output):
    """HELM's own steps, one request at a time.

    First key that is large enough, scaled; else the last key, scaled.
    """
    table = {int(k): v for k, v in entry["runtime_for_prompt_tokens"].items()}
    runtime = None
    for key in sorted(table):
        if prompt <= key:
            runtime = table[key] * (prompt / key)
            break
    if runtime is None:
        runtime = table[max(table)] * (prompt / max(table))
    if output > 1:
        runtime += entry["runtime_per_output_token"] * (output - 1)
    return runtime + entry.get("overhead", 0.0)


def test_helm_published_figures(helm):
    davinci = helm["idealized"]["openai/davinci"]
    assert helm_idealized_runtime(davinci, 1024, 64) == pytest.approx(5.426, abs=1e-9)
    assert helm_prefill_seconds(davinci, 100) == pytest.approx(0.094 * 100 / 128, rel=1e-12)


@pytest.mark.parametrize("kind", ["idealized", "denoised"])
def test_helm_table_is_reproduced_for_every_model(helm, kind):
    prompts, outputs = (
        np.array([1, 2, 16, 100, 300, 320, 321, 1024, 1536, 1921, 3000]),
        np.array([[0], [1], [2], [64], [500]]),
    )
    assert len(helm[kind]) > 5
    for entry in helm[kind].values():
        expected = [[helm_by_hand(entry, int(p), int(o)) for p in prompts] for o in outputs[:, 0]]
        np.testing.assert_allclose(
            helm_idealized_runtime(entry, prompts, outputs), expected, rtol=1e-12
        )


def test_the_saw_tooth_is_theirs_not_ours(helm):
    lengths = np.arange(1, 2500)
    for kind in ("idealized", "denoised"):
        for entry in helm[kind].values():
            drops = int((np.diff(helm_prefill_seconds(entry, lengths)) < 0).sum())
            ours = runtime_from_helm_table(entry)
            assert drops >= 1  # F falls at the latest from 1 to 2 tokens
            assert (np.diff(ours.predict(lengths, 1)) >= -1e-12).all()
            measured = np.maximum.accumulate(
                [
                    v
                    for _, v in sorted(
                        (int(k), v) for k, v in entry["runtime_for_prompt_tokens"].items()
                    )
                ]
            )
            keys = np.array(sorted(int(k) for k in entry["runtime_for_prompt_tokens"]))
            np.testing.assert_allclose(
                ours.predict(keys, 1), measured + entry.get("overhead", 0.0), rtol=1e-12
            )


def splitwise_rows(shared_data):
    """Prefill (o = 1) and end-to-end rows in s.

    A run shorter than its tokens would take ended early: its true length is unknown.
    """
    frame = pl.read_csv(shared_data / "splitwise" / "perf_model.csv").with_row_index("row")
    shared = [
        "row",
        "model",
        "hardware",
        "tensor_parallel",
        "prompt_size",
        "batch_size",
        "token_size",
    ]
    first = frame.select(
        *shared,
        pl.lit("prompt").alias("what"),
        pl.lit(1).alias("output"),
        (pl.col("prompt_time") / 1e3).alias("seconds"),
    )
    modelled = pl.col("prompt_time") + pl.col("token_time") * (pl.col("token_size") - 1)
    whole = frame.filter((pl.col("e2e_time") / modelled).is_between(0.8, 1.25)).select(
        *shared,
        pl.lit("e2e").alias("what"),
        pl.col("token_size").cast(pl.Int32).alias("output"),
        (pl.col("e2e_time") / 1e3).alias("seconds"),
    )
    return pl.concat([first, whole])


def predict_held_out(group, held_out):
    train, test = group.filter(~held_out), group.filter(held_out)
    model = fit_runtime_model(
        train["prompt_size"], train["output"], train["seconds"], batch=train["batch_size"]
    )
    predicted = model.predict(test["prompt_size"], test["output"], test["batch_size"])
    return test.with_columns(pl.Series("error", np.abs(predicted / test["seconds"].to_numpy() - 1)))


def test_splitwise_held_out(shared_data, capsys):
    """Two tests.

    Rows drawn at random, and whole configurations (a prompt or batch size the fit never saw).
    """
    rows = splitwise_rows(shared_data)
    groups = rows.partition_by("model", "hardware", "tensor_parallel", maintain_order=True)
    assert len(groups) == 12 and rows.filter(what="prompt").height == 1260
    at_random, unseen = [], []
    for group in groups:
        at_random.append(predict_held_out(group, pl.col("row") % 5 == 0))
        for prompt in (256, 1024, 4096):
            unseen.append(predict_held_out(group, (pl.col("prompt_size") == prompt)))
        for batch in (4, 16):
            unseen.append(predict_held_out(group, (pl.col("batch_size") == batch)))
    lines, medians = [], {}
    for label, frames in (("rows at random", at_random), ("unseen configurations", unseen)):
        errors = pl.concat(frames)
        for what in ("prompt", "e2e"):
            part = errors.filter(what=what)["error"]
            medians[label, what] = float(part.median())
            high = part.quantile(0.9)
            lines.append(
                f"splitwise, {label}, {what}: median relative error {part.median():.2%}, 90 % below {high:.2%} (n={len(part)})"
            )
    with capsys.disabled():
        print("\n" + "\n".join(lines))
    assert medians["rows at random", "e2e"] < 0.03 and medians["rows at random", "prompt"] < 0.05
    assert (
        medians["unseen configurations", "e2e"] < 0.05
        and medians["unseen configurations", "prompt"] < 0.15
    )


@pytest.mark.parametrize(
    ("gpu", "prompt_ms", "token_ms"), [("a100-80gb", 154.5, 45.0), ("h100-80gb", 77.9, 29.7)]
)
def test_splitwise_medians(shared_data, gpu, prompt_ms, token_ms):
    frame = pl.read_csv(shared_data / "splitwise" / "perf_model.csv")
    part = frame.filter(
        model="llama2-70b", hardware=gpu, tensor_parallel=8, prompt_size=1024, batch_size=1
    )
    assert part["prompt_time"].median() == pytest.approx(prompt_ms, abs=0.06) and part[
        "token_time"
    ].median() == pytest.approx(token_ms, abs=0.06)


@pytest.mark.parametrize(
    ("name", "published"),
    [
        (
            "bedrock_70b",
            {
                "p50": 0.39,
                "mean": 0.41,
                "min": 0.29,
                "max": 0.72,
                "p25": 0.37,
                "p75": 0.41,
                "p95": 0.54,
                "p99": 0.69,
            },
        ),
        (
            "groq_70b",
            {
                "p50": 0.22,
                "mean": 0.23,
                "min": 0.17,
                "max": 0.36,
                "p25": 0.19,
                "p75": 0.24,
                "p95": 0.30,
                "p99": 0.35,
            },
        ),
    ],
)
def test_llmperf_time_to_first_token(shared_data, name, published):
    """The README's figures to two digits, and the authors' own summary to all of theirs.

    Failed requests have no TTFT.
    """
    requests = json.loads((shared_data / "llmperf" / "individual" / f"{name}.json").read_text())
    authors = json.loads((shared_data / "llmperf" / "summary" / f"{name}.json").read_text())
    succeeded = [r for r in requests if r["error_code"] is None]
    for quantity in ("ttft_s", "end_to_end_latency_s"):
        summary = latency_summary([r[quantity] for r in succeeded])
        for statistic, value in summary.items():
            key = (
                f"results_{quantity}_quantiles_{statistic}"
                if statistic.startswith("p")
                else f"results_{quantity}_{statistic}"
            )
            assert value == pytest.approx(authors[key], rel=1e-9), key
    ttft = latency_summary([r["ttft_s"] for r in succeeded])
    assert {k: round(ttft[k], 2) for k in published} == published
