"""Costs and telemetry: every cost axis for a million samples, and the sampler's overhead.

Tokens/s with and without the power sampler in one run.

The engine is vLLM on a tiny random model, in short runs with and without the sampler (A B B A, see
``paired``). Where the machine has no power source, the sampler reads counters laid out like RAPL's
in a temporary folder: real reads of real files, whose values mean nothing and are thrown away.
``--full`` takes four and a half minutes of them instead of one. What is not measured is said.
"""

from __future__ import annotations

import argparse
import gc
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.paired import play, ratio, timed
from isocost.axes.compute import Cards, computed
from isocost.axes.registry import all_axes, find
from isocost.costs import load_book
from isocost.telemetry import PowerSampler, PowerSource, open_source
from isocost.telemetry.sources.rapl import RaplSource

AXES_LIMIT_S = 5.0
LEAST_RATIO = 0.99
PERIOD_S = 0.1
# Of each of 32 requests: a run lasts some tenths of a second, far shorter than most disturbances.
TOKENS = 64


def bench_axes(samples: int = 1_000_000) -> None:
    """All axes against the limit, with the bare FLOP formula as baseline."""
    book = load_book()
    cards = Cards(book.model("qwen3-8b"), book.device("h200-sxm"), book.price("gpt-4o-mini"))
    generator = np.random.default_rng(0)
    frame = pl.DataFrame(
        {
            "prompt_tokens": generator.integers(20, 2000, samples),
            "output_tokens": generator.integers(1, 8000, samples),
            "cached_tokens": generator.integers(0, 20, samples),
        }
    )
    axes = [axis for axis in all_axes().values() if axis.is_computed]
    computed(frame.head(10), cards, axes)
    started = time.perf_counter()
    computed(frame, cards, [find("flops")])
    one = time.perf_counter() - started
    started = time.perf_counter()
    _, reasons = computed(frame, cards, axes)
    every = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"cost axes: {len(axes)} axes x {samples:,} samples in {every:.2f} s (limit"
        f" {AXES_LIMIT_S:g} s: {'kept' if every <= AXES_LIMIT_S and not reasons else 'MISSED'}),"
        f" {every / one:.1f} x the FLOP axis alone, peak {peak:.0f} MB"
    )


def counters_in(folder: Path) -> PowerSource:
    """A RAPL tree of two packages with DRAM, for machines without a power source."""
    for zone, name in (("0", "package-0"), ("0:0", "dram"), ("1", "package-1"), ("1:0", "dram")):
        place = folder / f"intel-rapl:{zone}"
        place.mkdir(parents=True)
        for file, text in (
            ("name", name),
            ("energy_uj", "1000000"),
            ("max_energy_range_uj", "262143328850"),
        ):
            (place / file).write_text(text + "\n")
    return RaplSource(folder)


def bench_sampler(seconds: float) -> None:
    """Tokens per second with the sampler over tokens per second without it."""
    source = open_source("auto")
    with tempfile.TemporaryDirectory() as folder:
        note = f"the source {source.name}"
        if source.unknown_reason is not None:
            source, note = (
                counters_in(Path(folder)),
                "RAPL-like files (this machine has no power source; NVML's own cost is unmeasured)",
            )
        try:
            generate = _engine()
        except ImportError as error:
            print(f"sampler overhead: not measured, {error}")
            return
        _rounds(generate, source, note, seconds)


def _rounds(generate: Callable[[], int], source: PowerSource, note: str, seconds: float) -> None:
    generate()
    busy = elapsed = 0.0

    def sampled() -> tuple[int, float, float]:
        nonlocal busy, elapsed
        sampler = PowerSampler(source, PERIOD_S)
        sampler.start()
        made = timed(generate)
        sampler.stop()
        busy, elapsed = busy + sampler.read_cpu_s, elapsed + made[1]
        return made

    gc.collect()
    gc.freeze()  # what the engine holds is not gone through again in the middle of a round
    found = play({"without": lambda: timed(generate), "with": sampled}, seconds=seconds)
    share = busy / elapsed
    each = statistics.median(found["without"].wall_s) / 2
    print(
        f"sampler at {1 / PERIOD_S:g} Hz on {note}; {seconds:g} s of A B B A rounds, {each:.2f} s a"
        " run:"
    )
    print(
        "  tokens per second with over without:"
        f" {ratio(found['with'], found['without']).verdict(LEAST_RATIO)}"
    )
    print(
        "  tokens per processor second with over without:"
        f" {ratio(found['with'], found['without'], cpu=True).verdict(LEAST_RATIO)}"
    )
    print(
        f"  the sampling thread used {share:.3%} of one core (limit 1 %:"
        f" {'kept' if share < 0.01 else 'MISSED'})"
    )


def _engine() -> Callable[[], int]:
    """A function that generates a fixed number of tokens with vLLM and returns how many."""
    os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    # Threads that wait must not spin: on a busy machine they would burn processor time that no
    # token needs.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("KMP_BLOCKTIME", "0")
    from vllm import LLM, SamplingParams

    from isocost.engines.prepare import prepare

    model = prepare("tiny-random-llama", say=lambda _: None)
    llm = LLM(
        model=str(model),
        dtype="float32",
        seed=0,
        max_model_len=256,
        max_num_seqs=64,
        max_num_batched_tokens=4096,
        kv_cache_memory_bytes=64 << 20,
        enforce_eager=True,
        enable_prefix_caching=False,
    )
    parameters = SamplingParams(
        temperature=1.0, max_tokens=TOKENS, ignore_eos=True, detokenize=False
    )
    prompts = [{"prompt_token_ids": [5 + i % 50, 7, 9, 11]} for i in range(32)]

    def generate() -> int:
        return sum(
            len(r.outputs[0].token_ids) for r in llm.generate(prompts, parameters, use_tqdm=False)
        )

    return generate


def main() -> int:
    """Both benchmarks."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.costs")
    parser.add_argument(
        "--full", action="store_true", help="four and a half minutes of rounds in place of one"
    )
    parser.add_argument("--seconds", type=float, help="so many seconds of rounds")
    arguments = parser.parse_args()
    bench_axes()
    bench_sampler(arguments.seconds or (270.0 if arguments.full else 60.0))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
