"""Real boards: counter against integral, J/token at batch 1 and in steady state, measured against
the roofline.

Run ``pytest tests/gpu/test_nvml.py -m gpu -s``. With ISOCOST_GPU_RESULTS set to a folder, the
numbers are kept there as Parquet with the command that made them. Each test skips and says what is
missing.
"""

import os
import shlex
import sys
import time
from pathlib import Path

import polars as pl
import pytest

from isocost.costs import ModelCard, decode_step_seconds, load_book, mbu
from isocost.costs.roofline import decode_step_bytes
from isocost.schema.registry import table
from isocost.schema.types import polars_schema
from isocost.telemetry import (
    PowerSampler,
    idle_power,
    measure_window,
    open_source,
    steady_state_window,
    tokens_in_window,
)

pytestmark = pytest.mark.gpu
PERIOD_S = 0.05


@pytest.fixture(scope="module")
def source():
    found = open_source("auto", count=1)
    if found.name != "nvml":
        pytest.skip(f"no NVIDIA GPU: {found.unknown_reason or found.name}")
    yield found
    found.close()


@pytest.fixture(scope="module")
def torch():
    module = pytest.importorskip("torch", reason="torch is missing")
    if not module.cuda.is_available():
        pytest.skip("torch sees no CUDA device")
    return module


def sampled(source, work):
    """Rows of raw_telemetry around ``work()``, and when it ran."""
    with PowerSampler(source, PERIOD_S, session_id="gpu-test", run_id="1") as sampler:
        time.sleep(0.3)
        start = time.monotonic()
        result = work()
        end = time.monotonic()
        time.sleep(0.3)
    rows = pl.DataFrame(sampler.drain(), schema=polars_schema(table("raw_telemetry")))
    return rows, start, end, result, sampler.summary()


def keep(name, rows):
    """Keeps rows as Parquet with the command, where a folder is named."""
    if folder := os.environ.get("ISOCOST_GPU_RESULTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        command = shlex.join(["python", "-m", "pytest", *sys.argv[1:]])
        pl.DataFrame(rows).with_columns(pl.lit(command).alias("command")).write_parquet(
            Path(folder) / f"{name}.parquet"
        )


def test_the_board_answers(source):
    (device,) = source.describe()["devices"]
    (reading,) = source.read()
    assert reading.power_w or reading.power_average_w
    assert 10 < (reading.power_w or reading.power_average_w) <= 1.1 * device["power_limit_w"]
    assert reading.energy_counter_j is None or reading.energy_counter_j > 0
    print(f"\n{device['name']}: {reading}")


def test_counter_agrees_with_the_integral(source, torch):
    """Twenty seconds of matrix products: within 5 %, and the sampler below 1 % of a core."""
    a = torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16)

    def work():
        until = time.monotonic() + 20
        while time.monotonic() < until:
            for _ in range(20):
                torch.mm(a, a)
            torch.cuda.synchronize()

    work_s = time.monotonic()
    rows, start, end, _, summary = sampled(source, work)
    assert time.monotonic() - work_s > 20
    window = measure_window(rows, start + 2, end - 0.2)
    if window.counter_j is None:
        pytest.skip("the board has no energy counter")
    ratio = window.counter_j / window.integral_j
    overhead = summary["overhead_ratio"]
    print(
        f"\ncounter {window.counter_j:.1f} J, integral {window.integral_j:.1f} J, ratio {ratio:.4f}, overhead {overhead:.3%}"
    )
    keep(
        "counter_against_integral",
        [
            {
                "counter_j": window.counter_j,
                "integral_j": window.integral_j,
                "ratio": ratio,
                **summary,
            }
        ],
    )
    assert abs(ratio - 1) <= 0.05 and window.is_valid, window.invalid_reasons
    assert overhead < 0.01


@pytest.fixture(scope="module")
def llm(torch):
    vllm = pytest.importorskip("vllm", reason="vLLM is missing")
    folder = os.environ.get("ISOCOST_GPU_MODEL")
    if not folder:
        pytest.skip("ISOCOST_GPU_MODEL names no Hugging Face folder")
    engine = vllm.LLM(
        model=folder,
        dtype="bfloat16",
        seed=0,
        max_model_len=2048,
        max_num_seqs=128,
        enable_prefix_caching=False,
        disable_log_stats=False,
    )
    return engine, ModelCard.from_hf_config(folder, dtype="bfloat16"), vllm.SamplingParams


def generate(engine, parameters, requests, tokens, prompt_tokens=128):
    prompts = [
        {"prompt_token_ids": [(7 * i + j) % 1000 + 10 for j in range(prompt_tokens)]}
        for i in range(requests)
    ]
    outputs = engine.generate(
        prompts,
        parameters(temperature=1.0, max_tokens=tokens, ignore_eos=True, detokenize=False),
        use_tqdm=False,
    )
    return [
        (o.metrics.first_token_ts, o.metrics.last_token_ts, len(o.outputs[0].token_ids))
        for o in outputs
    ]


def device_card(source):
    name = source.describe()["devices"][0]["name"]
    book = load_book()
    return next((card for card in book.devices.values() if name in card.aliases), None)


def test_joules_per_token(source, llm):
    """Batch 1 and steady state: joules per token, and how far above the roofline a step is."""
    engine, model, parameters = llm
    generate(engine, parameters, 64, 16)  # warm-up, left out
    idle_rows, start, end, _, _ = sampled(source, lambda: time.sleep(11))
    idle = idle_power(idle_rows, start + 0.5, end)
    results = []
    for batch, requests, tokens in ((1, 1, 1500), (128, 600, 512)):
        rows, _, _, calls, _ = sampled(
            source, lambda r=requests, t=tokens: generate(engine, parameters, r, t)
        )
        first, last, counts = (list(x) for x in zip(*calls, strict=True))
        window = steady_state_window(first, last, batch) if batch > 1 else None
        begin, finish = (window.start_s, window.end_s) if window else (first[0], last[0])
        energy = measure_window(rows, begin, finish, idle_power_w=idle)
        produced = tokens_in_window(first, last, counts, window) if window else counts[0] - 1
        step_s = (finish - begin) / (produced / batch)
        row = {
            "batch": batch,
            "tokens": produced,
            "seconds": finish - begin,
            "energy_j": energy.energy_j,
            "energy_net_j": energy.energy_net_j,
        }
        row |= {
            "joules_per_token": energy.energy_j / produced if energy.energy_j else None,
            "reasons": ",".join(energy.invalid_reasons),
        }
        if card := device_card(source):
            context = 128 + tokens // 2
            row["roofline_ratio"] = float(decode_step_seconds(model, card, batch, context)) / step_s
            row["mbu_ratio"] = float(mbu(decode_step_bytes(model, batch, context), step_s, card))
        results.append(row)
        print(f"\n{row}")
    keep("joules_per_token", results)
    alone, steady = results
    assert alone["energy_j"] and steady["energy_j"], "the energy of a window is invalid"
    assert steady["joules_per_token"] < alone["joules_per_token"]
    for row in results:
        assert 0 < row.get("mbu_ratio", 0.5) <= 1 and 0 < row.get("roofline_ratio", 0.5) <= 1
