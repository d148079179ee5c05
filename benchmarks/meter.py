"""The meter's overhead: tokens and requests per second through the gateway over straight ones.

Both in one run, by the same client, at the same number of requests in flight, in palindromic rounds
(``paired``). The scripted server generates at a fixed pace per request, so what is lost is latency
that the gateway adds, and processor time that it takes from the others on this machine; server,
gateway and client are three processes, as in a session. ``--vllm`` asks ``vllm serve`` with the
small model instead, with ``ignore_eos`` so that the tokens agree. ``--its-hub`` measures no
overhead: it compares the accuracy of its_hub's self-consistency, metered, with the majority vote
that is replayed from plain samples of the same server.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from benchmarks.foreign_environment import ITS_HUB, its_hub_python
from benchmarks.paired import play, ratio, timed
from benchmarks.scripted_server import MODEL, serving

LEAST_RATIO = 0.97
TOKENS, IN_FLIGHT, REQUESTS, TOKEN_S, FIRST_S = 64, 16, 64, 0.025, 0.05
SMALL = "smollm2-135m-instruct"
PROMPT = "What is {a} + {b}? Think step by step in one line, then give the number."


def words(_prompt: str, _number: int, _choice: int) -> list[str]:
    """A long answer."""
    return [" word"] * TOKENS


def main() -> int:
    """Print the ratios; 1 if one is settled to be below what is wanted."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.meter", description=__doc__)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--vllm", action="store_true", help="a real server, on this machine")
    parser.add_argument("--its-hub", action="store_true", help="agreement of accuracies")
    parser.add_argument("--full", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--part", help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--model", default=MODEL, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part:
        return _part(arguments.part, arguments.url, arguments.model)
    if arguments.its_hub:
        return its_hub()
    missed = 0
    if arguments.vllm:
        with _vllm() as url:
            # Eight in flight: two cores generate no faster with more.
            missed += overhead(url, SMALL, arguments.rounds, requests=16, in_flight=8)
            missed += counters(url, SMALL)
    else:
        with _process("server") as (url, _):
            missed += overhead(url, MODEL, arguments.rounds, requests=REQUESTS, in_flight=IN_FLIGHT)
    return missed


def overhead(url: str, model: str, rounds: int, *, requests: int, in_flight: int) -> int:
    """Measure, as streams and as whole answers; the number of ratios that were missed."""
    missed = 0
    print(f"{model}: {requests} requests of {TOKENS} tokens, {in_flight} in flight")
    with _process("gateway", url=url, model=model) as (through, gateway):
        for stream in (True, False):
            make = partial(_asked, model=model, requests=requests, in_flight=in_flight)
            ways = {"straight": url, "metered": through}
            for address in ways.values():
                make(address, stream=stream)  # connections, caches, one-time work
            before = _processor_s(gateway)
            found = play(
                {
                    name: partial(timed, partial(make, address, stream=stream))
                    for name, address in ways.items()
                },
                rounds=rounds,
            )
            kind = "streams" if stream else "whole answers"
            for name, way in found.items():
                per_s = way.speed()
                print(f"{kind}: {name:<9}{per_s:9.1f} tokens/s {per_s / TOKENS:7.2f} requests/s")
            middle = ratio(found["metered"], found["straight"])
            print(f"{kind}: metered over straight {middle.verdict(LEAST_RATIO)}", flush=True)
            spent = 1000 * (_processor_s(gateway) - before) / (2 * rounds * requests)
            print(f"{kind}: the gateway took {spent:.2f} ms of processor time per request\n")
            missed += middle.high < LEAST_RATIO
    return missed


def counters(url: str, model: str) -> int:
    """Compare the tokens of metered calls with vLLM's own counters; 1 if they differ."""
    from isocost.engines.protocol import Address
    from isocost.meter.account import Limits
    from isocost.meter.gateway import Gateway
    from isocost.meter.order import metered_calls

    before = _vllm_counts(url)
    with Gateway(Address(url, model)) as gateway:
        account = gateway.accounts.open(Limits(10**6, 10**9))
        for stream, n in ((False, 1), (False, 3), (True, 1), (True, 3)):
            body = {
                "model": model,
                "messages": [{"role": "user", "content": PROMPT.format(a=n, b=8)}],
                "max_tokens": TOKENS,
                "stream": stream,
                "n": n,
            }
            address = gateway.address(account)
            httpx.post(f"{address}/chat/completions", json=body, timeout=600).raise_for_status()
        exchanges = gateway.accounts.close(account)
    after = _vllm_counts(url)
    calls = metered_calls(exchanges, logprobs_k=0, context=None)
    differ = 0
    for kind, name in (("prompt_tokens", "prompt_tokens"), ("output_tokens", "generation_tokens")):
        counted = int(after[name] - before[name])
        metered = sum(getattr(call.completion, kind) for call in calls)
        print(f"{kind}: {counted} counted by vLLM, {metered} metered in {len(calls)} calls")
        differ |= counted != metered
    return differ


def _vllm_counts(url: str) -> dict[str, float]:
    text = httpx.get(url.removesuffix("/v1") + "/metrics").text
    found = re.findall(r"^vllm:(\w+)_total\{[^}]*\} (\S+)$", text, re.MULTILINE)
    return {name: float(value) for name, value in found}


def _asked(url: str, *, stream: bool, model: str, requests: int, in_flight: int) -> int:
    return asyncio.run(_ask_all(url, model, requests, in_flight, stream))


async def _ask_all(url: str, model: str, requests: int, in_flight: int, stream: bool) -> int:
    turn = asyncio.Semaphore(in_flight)
    limits = httpx.Limits(max_connections=in_flight, max_keepalive_connections=in_flight)
    async with httpx.AsyncClient(timeout=600, limits=limits, trust_env=False) as client:

        async def ask(number: int) -> int:
            body: dict[str, Any] = {
                "model": model,
                "messages": [{"role": "user", "content": PROMPT.format(a=number, b=7)}],
                "max_tokens": TOKENS,
                "ignore_eos": True,
                "stream": stream,
            }
            if stream:
                body["stream_options"] = {"include_usage": True}
            async with (
                turn,
                client.stream("POST", f"{url}/chat/completions", json=body) as answer,
            ):
                answer.raise_for_status()
                data = b"".join([piece async for piece in answer.aiter_raw()])
            if stream:
                events = [line[5:] for line in data.split(b"\n\n") if line.startswith(b"data: {")]
                return int(json.loads(events[-1])["usage"]["completion_tokens"])
            return int(json.loads(data)["usage"]["completion_tokens"])

        return sum(await asyncio.gather(*map(ask, range(requests))))


def _part(name: str, url: str | None, model: str) -> int:
    """The other processes: they say where they are, and end when standard input closes."""
    if name == "server":
        with serving(script=words, token_s=TOKEN_S, first_s=FIRST_S) as server:
            print(server.url, flush=True)
            sys.stdin.read()
        return 0
    from isocost.engines.protocol import Address
    from isocost.meter.account import Limits
    from isocost.meter.gateway import Gateway

    with Gateway(Address(str(url), model)) as gateway:
        print(gateway.address(gateway.accounts.open(Limits(10**9, 10**12))), flush=True)
        sys.stdin.read()
    return 0


def _processor_s(pid: int) -> float:
    """Processor time of a process until now."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def _process(part: str, **named: str) -> Iterator[tuple[str, int]]:
    command = [sys.executable, "-m", "benchmarks.meter", "--part", part]
    for name, value in named.items():
        command += [f"--{name}", value]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        yield process.stdout.readline().strip(), process.pid
        process.stdin.close()


@contextmanager
def _vllm() -> Iterator[str]:
    from isocost.engines.prepare import prepare
    from isocost.engines.protocol import EngineSettings
    from isocost.engines.vllm_serve import VllmServeEngine

    settings = EngineSettings(
        model_path=str(prepare(SMALL)),
        model_name=SMALL,
        dtype="float32",
        quantization=None,
        revision=None,
        seed=0,
        max_model_len=512,
        kv_cache_bytes=2**29,
        max_num_seqs=16,
        max_num_batched_tokens=4096,
        block_size=None,
        enable_prefix_caching=True,
        enforce_eager=True,
        logprobs_k=0,
        options={},
    )
    engine = VllmServeEngine(settings)
    try:
        engine.start()
        yield engine.address().url
    finally:
        engine.close()


N_PROBLEMS, PLAIN, VOTES, METERED = 40, 25, 5, 4
TASK = """
sweep: {name}
models: {{name: scripted, path: scripted}}
engine: {{engine: openai, max_num_seqs: 8, options: {{base_url: "{url}", clients: 3}}}}
tasks:
  - name: sums
    source: inline
    dataset: sums
    n_problems: {n}
    verifier: numeric
    config: {{problems: [{problems}]}}
prompts: {{name: direct, template: "{{question}}"}}
grid: {{temperature: 0.7, max_tokens: 16, method: [{method}]}}
samples_per_problem: {samples}
bank: {{telemetry: none, warmup_requests: 0}}
"""


def its_hub() -> int:
    """Compare accuracies as published; 1 if their intervals do not overlap."""
    from isocost.build import refresh
    from isocost.payload.loop import Stop
    from isocost.payload.progress import Reporter
    from isocost.payload.session import generate
    from isocost.store import Store
    from isocost.sweep import read_session

    client = Path(__file__).with_name("its_hub_client.py")
    command = f"{its_hub_python()} {client} self_consistency {VOTES}"
    outside = json.dumps({"name": "external", "command": command})
    problems = ", ".join(
        f'{{question: "{n} + {n + 3}", reference: "{2 * n + 3}"}}' for n in range(N_PROBLEMS)
    )
    with serving() as server, tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "data")
        for name, method, samples in (("plain", "sample", PLAIN), ("metered", outside, METERED)):
            file = Path(folder) / f"{name}.yaml"
            file.write_text(
                TASK.format(
                    name=name,
                    url=server.url,
                    n=N_PROBLEMS,
                    problems=problems,
                    method=method,
                    samples=samples,
                ),
                encoding="utf-8",
            )
            [session_id] = refresh.plan_sweep(store, file)
            with Reporter(stream=sys.stderr) as reporter:
                outcome = generate(
                    read_session(store.session_file(session_id)),
                    str(store.lake),
                    reporter=reporter,
                    stop=Stop(),
                )
            assert outcome.missing == 0, outcome
        list(refresh.everything(store))
        banked = int(store.read("core_calls")["output_tokens"].sum())
        outcomes = store.read("out_strategy_outcomes").join(
            store.read("core_points").select("point_id", "method"), on="point_id"
        )
    print(f"{ITS_HUB}: self-consistency of {VOTES}, {METERED} samples of {N_PROBLEMS} problems;")
    print(f"majority of {VOTES} replayed from {PLAIN} plain samples per problem; same server\n")
    rows = [
        _accuracy(outcomes, "external", "majority_at_k", 1),
        _accuracy(outcomes, "sample", "majority_at_k", VOTES),
    ]
    print("| method | strategy | accuracy | 95 % interval |\n|---|---|--:|---|")
    for row in rows:
        interval = f"{row['accuracy_low']:.4f} to {row['accuracy_high']:.4f}"
        print(f"| {row['method']} | {row['strategy']} | {row['accuracy']:.4f} | {interval} |")
    print(f"\ntokens: {server.counts['output']} of the server, {banked} banked")
    overlap = max(r["accuracy_low"] for r in rows) <= min(r["accuracy_high"] for r in rows)
    return int(not overlap or banked != server.counts["output"])


def _accuracy(outcomes: Any, method: str, strategy: str, budget: int) -> dict[str, Any]:
    return outcomes.filter(method=method, strategy=strategy, budget=budget).row(0, named=True)


if __name__ == "__main__":
    raise SystemExit(main())
