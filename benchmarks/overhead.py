"""The payload's overhead over bare vLLM: tokens per second on the same prompts.

In one engine, in one run.

The bare loop hands every request to vLLM's add_request and calls step until all have finished:
nothing is decoded, kept or written. The payload does its whole work: bounded in flight, text,
log-probability statistics, step statistics, rows, sealed and fsynced parts, manifest. Both get the
very same SamplingParams objects (with ignore_eos, so that the token counts agree). A round is a
palindrome (bare, payload, payload with telemetry, and back again, see ``paired``), which gives one
ratio to bare; what is printed last is their trimmed mean with its 95 % interval, by the wall clock
and by processor time.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.paired import Way, play, ratio, timed
from isocost.bank.files import Files
from isocost.bank.writer import open_run
from isocost.engines.prepare import prepare
from isocost.engines.vllm import VllmEngine
from isocost.payload.crew import Crew
from isocost.payload.loop import Sink, Stop, drive, warm_up
from isocost.payload.progress import Progress, Reporter
from isocost.payload.work import Work, engine_settings, payload_options, request_of
from isocost.sweep import (
    Budget,
    EngineConfig,
    ModelVariant,
    PlannedPoint,
    PromptSpec,
    Sampling,
    Session,
    TaskSpec,
    make_point,
)
from isocost.telemetry import DeviceReading, PowerSampler

MODEL = "smollm2-135m-instruct"
LEAST_RATIO = 0.95


class KernelFile:
    """A source with RAPL's cost, for machines without a power source.

    A small kernel file is read ten times per second.
    """

    name = "kernel_file"
    unknown_reason = None

    def describe(self) -> dict[str, object]:
        """What it is."""
        return {"source": "a kernel file, for its cost only"}

    def read(self, slow: bool = True) -> list[DeviceReading]:
        """One read."""
        return [
            DeviceReading(
                device_id="none", energy_counter_j=float(len(Path("/proc/stat").read_bytes()))
            )
        ]

    def close(self) -> None:
        """Nothing is held."""


def session_of(
    model: str, *, problems: int, samples: int, tokens: int, batch: int, dtype: str = "float32"
) -> Session:
    engine = EngineConfig(
        engine="vllm",
        model=ModelVariant(
            name=model,
            path=f"cache:{model}",
            revision=None,
            dtype=dtype,
            quantization=None,
            card=None,
        ),
        seed=0,
        max_model_len=512,
        kv_cache_bytes=768 * 2**20,
        max_num_seqs=batch,
        max_num_batched_tokens=4096,
        block_size=None,
        enable_prefix_caching=True,
        enforce_eager=True,
        options={},
    )
    rows = [
        {"question": f"What is {n} + {3 * n + 1}?", "reference": str(4 * n + 1)}
        for n in range(problems)
    ]
    point = make_point(
        sweep="overhead",
        task=TaskSpec(
            name="sums",
            source="inline",
            dataset="sums",
            config={"problems": rows},
            n_problems=problems,
            seed=0,
            verifier="numeric",
        ),
        model=engine.model,
        prompt=PromptSpec(
            name="direct", system=None, template="{question}\nReply with only the number."
        ),
        sampling=Sampling(temperature=0.7, top_p=1.0, top_k=0, min_p=0.0),
        budget=Budget(max_tokens=tokens),
        seed=0,
        method="sample",
        engine=engine,
    )
    return Session(
        session_schema=1,
        session_id="overhead-0000000000",
        sweep="overhead",
        engine=engine,
        points=(PlannedPoint(point=point, samples_per_problem=samples),),
        logprobs_k=5,
        warmup_requests=4,
        part_rows=32,
        telemetry="none",
    )


def same_length(engine: VllmEngine, work: Work) -> list[tuple[str, dict[str, Any], Any]]:
    """Make the engine ignore the end of a text, and return what the bare loop hands over.

    Id, prompt, SamplingParams.
    """
    made = []
    for sample in work.samples(work.plan):
        request = request_of(sample, per_request_seed=False)
        params = engine._sampling(request)
        params.ignore_eos, params.min_tokens = True, params.max_tokens
        made.append(
            (request.request_id, {"prompt_token_ids": engine._prompt_ids(request.messages)}, params)
        )
    return made


def bare(engine: VllmEngine, requests: list[tuple[str, dict[str, Any], Any]]) -> int:
    core, tokens = engine._engine, 0
    for request_id, prompt, params in requests:
        core.add_request(request_id, prompt, params)
    while core.has_unfinished_requests():
        for output in core.step():
            tokens += len(output.outputs[0].token_ids)
    engine._stats.clear()
    return tokens


def payload(engine: VllmEngine, work: Work, *, telemetry: bool) -> int:
    session = work.session
    with (
        tempfile.TemporaryDirectory() as lake,
        Path("/dev/null").open("w") as silence,
        open_run(Files(lake), session.session_id, part_rows=session.part_rows) as (writer, _),
    ):
        sampler = PowerSampler(KernelFile(), 0.1)
        writer.start()
        drain: Callable[[], list[dict[str, Any]]] = sampler.start().drain if telemetry else list
        sink = Sink(
            writer, Crew(engine), logprobs_k=session.logprobs_k, window=2048, drain_telemetry=drain
        )
        progress = Progress(Reporter(stream=silence), work.plan.height, banked=0)
        drive(
            Crew(engine),
            work.samples(work.plan),
            sink,
            progress,
            options=payload_options(session),
            stop=Stop(),
        )
        sampler.stop() if telemetry else None
        sink.take_steps()
        writer.finish("finished")
        return sink.counts.output_tokens


def measure(model: str, *, rounds: int, batch: int, **size: Any) -> dict[str, Way]:
    prepare(model, say=lambda _: None)
    session, tokens = session_of(model, batch=batch, **size), size["tokens"]
    work = Work(session)
    engine = VllmEngine(engine_settings(session, 0))
    engine.check()
    engine.start()
    requests = same_length(engine, work)
    ways: dict[str, Callable[[], int]] = {
        "bare": lambda: bare(engine, requests),
        "payload": lambda: payload(engine, work, telemetry=False),
        "payload with telemetry": lambda: payload(engine, work, telemetry=True),
    }
    print(
        f"{model}: {len(requests)} requests of {tokens} tokens, batch {batch}, {rounds} rounds",
        flush=True,
    )
    with (
        tempfile.TemporaryDirectory() as lake,
        open_run(Files(lake), "warm-0", part_rows=999) as (writer, _),
    ):
        sink = Sink(writer, Crew(engine), logprobs_k=5, window=2048, drain_telemetry=list)
        warm_up(
            Crew(engine),
            itertools.islice(work.samples(work.plan), batch),
            sink,
            max_tokens=tokens,
            stop=Stop(),
        )

    def run(name: str) -> tuple[int, float, float]:
        engine.settle()
        made, wall, cpu = timed(ways[name])
        assert made == len(requests) * tokens, f"{name} generated {made} tokens"
        return made, wall, cpu

    def note(number: int, found: dict[str, Way]) -> None:
        speeds = ", ".join(
            f"{name} {way.tokens[-1] / way.wall_s[-1]:.0f}" for name, way in found.items()
        )
        print(f"  round {number}: tokens/s {speeds}", flush=True)

    found = play({name: partial(run, name) for name in ways}, rounds=rounds, note=note)
    engine.close()
    for name, way in found.items():
        print(f"  {name:23} median {way.speed():7.0f} tokens/s", flush=True)
    return found


def write_csv(path: Path, found: dict[str, Way]) -> None:
    """The payload's speed over bare vLLM, one row per way and clock."""
    lines = ["way,clock,ratio_to_bare,ratio_low,ratio_high"]
    for name in ("payload", "payload with telemetry"):
        for clock, cpu in (("wall", False), ("processor", True)):
            one = ratio(found[name], found["bare"], cpu=cpu)
            lines.append(f"{name},{clock},{one.middle:.4f},{one.low:.4f},{one.high:.4f}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overhead", description=__doc__)
    parser.add_argument("--full", action="store_true", help="more rounds and longer answers")
    parser.add_argument("--model", default=MODEL, help="a model that isocost.engines.prepare makes")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--dtype", default="float32", help="number format (default: %(default)s)")
    parser.add_argument("--csv", type=Path, help="also write the ratios to this file")
    arguments = parser.parse_args()
    # Each round runs every way twice, so that 16 x 2 x 64 tokens are 16 x 4 x 64 a round.
    size = (
        {"problems": 32, "samples": 2, "tokens": 64}
        if arguments.full
        else {"problems": 16, "samples": 2, "tokens": 64}
    )
    found = measure(
        arguments.model,
        rounds=arguments.rounds or (8 if arguments.full else 4),
        batch=32,
        dtype=arguments.dtype,
        **size,
    )
    if arguments.csv:
        write_csv(arguments.csv, found)
    for name in ("payload", "payload with telemetry"):
        for clock, cpu in (("second", False), ("processor second", True)):
            print(
                f"overhead: tokens per {clock}, {name} / bare vLLM:"
                f" {ratio(found[name], found['bare'], cpu=cpu).verdict(LEAST_RATIO)}"
            )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
