"""Refresh after one new session of a hundred, versus building the other ninety-nine.

And a refresh with nothing new.

``python -m benchmarks.refresh`` banks synthetic sessions the way the payload does (session files,
manifests, sealed parts; small texts that the real verifier grades) in a temporary folder. Layout
``tasks``: 20 tasks x 5 models, one session each, so that a new session touches one task of twenty.
Layout ``shared``: every session measures the same two tasks (5 models x several engine seeds), the
worst case: all that compares the points of a task is recomputed. ``--full`` takes more samples,
prompts and problems in the first layout and a hundred sessions in the second, and in the end builds
everything from nothing once more to compare every derived file byte by byte.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from isocost.bank.files import Files
from isocost.bank.writer import open_run
from isocost.store import Store
from isocost.sweep.models import (
    Budget,
    EngineConfig,
    ModelVariant,
    PlannedPoint,
    PromptSpec,
    Sampling,
    Session,
    TaskSpec,
    make_point,
    session_json,
)
from isocost.tasks import load_problems

REPOSITORY = Path(__file__).resolve().parents[1]
LIMIT = 0.10
TRIES = 3
HUNDRED = 100
MODELS = 5


@dataclass(frozen=True)
class Layout:
    """Which sessions there are.

    Attributes:
        name: of the layout.
        tasks: number of tasks.
        variants: models; where a session has all tasks, engines, each of which runs one of five
            models.
        is_shared: whether every session has all tasks.
        problems: per task.
        samples: per problem.
        prompts: per task.
    """

    name: str
    tasks: int
    variants: int
    is_shared: bool
    problems: int
    samples: int
    prompts: tuple[str, ...] = ("direct",)

    def sessions(self) -> list[tuple[int, tuple[int, ...]]]:
        """Variant and tasks of every session; the last one is the new one."""
        if self.is_shared:
            return [(variant, tuple(range(self.tasks))) for variant in range(self.variants)]
        return [
            (variant, (task,)) for variant in range(self.variants) for task in range(self.tasks)
        ]


def _task(folder: Path, number: int, problems: int) -> TaskSpec:
    path = folder / f"task-{number:02d}.jsonl"
    if not path.exists():
        rows = [
            {"question": f"What is {i} + {number}?", "reference": str(i + number)}
            for i in range(problems)
        ]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    fields = {
        "source": "jsonl",
        "dataset": str(path),
        "config": {},
        "n_problems": problems,
        "seed": 0,
        "verifier": "numeric",
    }
    return TaskSpec(name=f"sums-{number:02d}", **fields)


def _session(folder: Path, layout: Layout, number: int, tasks: Iterable[int]) -> Session:
    variant = ModelVariant(
        name=f"model-{number % MODELS}",
        path="nowhere",
        revision=None,
        dtype="float32",
        quantization=None,
        card=None,
    )
    sizes = {
        "max_model_len": 512,
        "kv_cache_bytes": 2**26,
        "max_num_seqs": 32,
        "max_num_batched_tokens": 2048,
        "block_size": None,
    }
    engine = EngineConfig(
        engine="vllm",
        model=variant,
        seed=number // MODELS,
        enable_prefix_caching=True,
        enforce_eager=True,
        options={},
        **sizes,
    )
    points = [
        make_point(
            sweep="synthetic",
            task=_task(folder, task, layout.problems),
            model=variant,
            prompt=PromptSpec(name=prompt, system=None, template="{question}"),
            sampling=Sampling(temperature=1.0, top_p=1.0, top_k=0, min_p=0.0),
            budget=Budget(max_tokens=64),
            seed=0,
            method="sample",
            engine=engine,
        )
        for task in tasks
        for prompt in layout.prompts
    ]
    return Session(
        session_schema=1,
        session_id=f"synthetic-{layout.name}-{number:02d}"
        + ("" if layout.is_shared else f"-{points[0].task.name}"),
        sweep="synthetic",
        engine=engine,
        points=tuple(
            PlannedPoint(point=point, samples_per_problem=layout.samples) for point in points
        ),
        logprobs_k=0,
        warmup_requests=0,
        part_rows=1_000_000,
        telemetry="none",
    )


def bank(store: Store, sources: Path, layout: Layout, number: int, tasks: tuple[int, ...]) -> str:
    """Banks one session as the payload would; its id."""
    session = _session(sources, layout, number, tasks)
    path = store.session_file(session.session_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(session_json(session))
    info = {
        "versions": {"isocost": "0", "vllm": "0"},
        "engine": {"device": "cpu", "resolved": {"max_num_seqs": 32}},
        "telemetry": {"unknown_reason": "none"},
    }
    run = f"run-{session.session_id}"
    with open_run(
        Files(store.lake), session.session_id, run_id=run, part_rows=session.part_rows, info=info
    ) as (writer, _):
        for planned in session.points:
            writer.append(
                "raw_generations", _rows(planned, number % MODELS, layout, writer.manifest.attempt)
            )
        writer.finish("finished")
    return session.session_id


def _rows(planned: PlannedPoint, model: int, layout: Layout, attempt: int) -> list[dict[str, Any]]:
    point, problems = planned.point, load_problems(planned.point.task)
    generator = np.random.default_rng(
        int(hashlib.sha256(point.point_id.encode()).hexdigest()[:8], 16)
    )
    shape = (len(problems), layout.samples)
    hardness = np.linspace(-0.35, 0.35, len(problems))[:, None]
    right = generator.random(shape) < np.clip(
        0.25 + 0.4 * model / MODELS + 0.1 * (point.prompt.name == "stepwise") - hardness, 0.02, 0.98
    )
    wrong, tokens = generator.integers(1, 4, shape), generator.integers(8, 60, shape)
    surprise, start = generator.random(shape), generator.random(shape) * 10
    rows = []
    for p, problem in enumerate(problems):
        for i in range(layout.samples):
            answer = int(problem.reference) + (0 if right[p, i] else int(wrong[p, i]))
            sample = f"{point.point_id}:{problem.problem_id}:{i}"
            text, n = f"Adding them gives {answer}. The answer is {answer}.", int(tokens[p, i])
            begin = float(start[p, i])
            rows.append(
                {
                    "call_id": f"{sample}:0",
                    "sample_id": sample,
                    "point_id": point.point_id,
                    "problem_id": problem.problem_id,
                    "attempt": attempt,
                    "sample_index": i,
                    "call_index": 0,
                    "role": "solve",
                    "task": point.task.name,
                    "model_variant": point.model.name,
                    "prompt_name": point.prompt.name,
                    "prompt_hash": "0" * 16,
                    "output_text": text,
                    "finish_reason": "stop",
                    "prompt_tokens": 20,
                    "output_tokens": n,
                    "cached_tokens": 0,
                    "logprob_sum": -n * float(surprise[p, i]),
                    "arrival_unix_s": 1.8e9 + begin,
                    "queued_s": begin,
                    "scheduled_s": begin + 0.001,
                    "first_token_s": begin + 0.011,
                    "last_token_s": begin + 0.011 + 0.002 * n,
                    "num_preemptions": 0,
                    "is_warmup": False,
                    "completion_hash": hashlib.sha256(text.encode()).hexdigest()[:16],
                }
            )
    return rows


def refresh(root: Path, *, is_shown: bool) -> tuple[float, float]:
    """Run ``isocost refresh`` as a process of its own; seconds and peak GiB."""
    seconds, memory, _ = _refreshed(root, is_shown=is_shown)
    return seconds, memory


def _refreshed(root: Path, *, is_shown: bool, before: str = "") -> tuple[float, float, float]:
    """Seconds, peak GiB and processor seconds; ``before`` is code that runs first."""
    os.sync()  # anything written before is not part of the measurement
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", before + _MEASURED, "--data", str(root), "refresh"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.monotonic() - begun
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    if is_shown:
        print("\n".join(f"    {line}" for line in done.stdout.splitlines()[:-1]))
    memory, processor = map(float, done.stdout.splitlines()[-1].split())
    return seconds, memory, processor


_MEASURED = (
    "import resource, sys; from isocost.cli import main; code = main(); "
    "usage = resource.getrusage(resource.RUSAGE_SELF); "
    "print(usage.ru_maxrss / 2**20, usage.ru_utime + usage.ru_stime); sys.exit(code)"
)
# Switched off before any module takes the functions by name: seals of derived files, checksums and
# page checksums of the bank's parts.
_UNPROVEN = (
    "from types import SimpleNamespace as S; from unittest import mock; import isocost.seals as s; "
    "s.is_what_was_sealed = s.prove_parquet = lambda *_: True; "
    "from isocost.bank import parts, reader; found = parts.pq.ParquetFile; "
    "reader.hashlib = S(sha256=lambda _: S(hexdigest=lambda: mock.ANY)); "
    "read = parts.pq.read_schema; "
    "parts.pq = S(ParquetFile=lambda data, **_: found(data), read_schema=read); "
)


def cost_of_proof(root: Path) -> str:
    """Processor seconds of building everything from nothing, with and without any proof."""
    seconds: dict[str, list[float]] = {"": [], _UNPROVEN: []}
    for _ in range(TRIES):
        for before, found in seconds.items():  # in turns: what else the machine does hits both
            with tempfile.TemporaryDirectory() as folder:
                copy = Path(shutil.copytree(root / "lake", Path(folder) / "lake")).parent
                found.append(_refreshed(copy, is_shown=False, before=before)[2])
    proven, unproven = (statistics.median(found) for found in seconds.values())
    ratio = f"{proven / unproven:.3f}, medians of {TRIES}"
    return f"  proof: {proven:.1f} s of processor, {unproven:.1f} s with it off: ratio {ratio}"


def digests(root: Path) -> dict[str, str]:
    """Checksums of every derived Parquet file and of the exports.

    Records of pieces tell when a file was written, too.
    """
    files = [
        path
        for folder in ("core", "out", "exports")
        for path in (root / folder).rglob("*")
        if path.is_file()
    ]
    names = {path.relative_to(root).as_posix(): path for path in files if "_made" not in path.parts}
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in names.items()}


def measure(
    layout: Layout, folder: Path, *, is_shown: bool, is_compared: bool, has_proof: bool = False
) -> None:
    """Measure one layout and print its lines."""
    store, sources = Store(folder / "store"), folder / "sources"
    sources.mkdir(parents=True)
    *old, new = layout.sessions()
    begun = time.monotonic()
    for number, tasks in old:
        bank(store, sources, layout, number, tasks)
    samples = len(old) * layout.problems * layout.samples * len(layout.prompts) * len(old[0][1])
    print(
        f"{layout.name}: {len(old)} sessions, {samples} samples banked in"
        f" {time.monotonic() - begun:.0f} s",
        flush=True,
    )
    whole, memory = refresh(store.root, is_shown=is_shown)
    print(
        f"  everything, from nothing, of {len(old)} sessions: {whole:.1f} s, peak {memory:.2f} GiB",
        flush=True,
    )
    bank(store, sources, layout, *new)
    seconds = []
    for place in range(
        TRIES
    ):  # on copies, but for the last: one measurement of some seconds is mostly noise
        root = store.root if place == TRIES - 1 else folder / "copy"
        if root != store.root:
            shutil.copytree(store.root, root)
        one, memory = refresh(root, is_shown=is_shown and root == store.root)
        seconds.append(one)
        shutil.rmtree(folder / "copy", ignore_errors=True)
    one, every = statistics.median(seconds), ", ".join(f"{each:.1f}" for each in sorted(seconds))
    print(
        f"  refresh after one new session: {one:.1f} s, the median of {every}; peak"
        f" {memory:.2f} GiB",
        flush=True,
    )
    if has_proof:
        print(cost_of_proof(store.root), flush=True)
    nothing, _ = refresh(store.root, is_shown=False)
    print(f"  refresh with nothing new: {nothing:.1f} s", flush=True)
    goal = (
        f"goal: at most {LIMIT:.2f}"
        if len(old) + 1 >= HUNDRED
        else f"no goal for {len(old) + 1} sessions"
    )
    print(f"  one new session / everything = {one / whole:.3f} ({goal})", flush=True)
    if is_compared:
        found = digests(store.root)
        for name in ("core", "out", "exports"):
            shutil.rmtree(store.root / name)
        store.warehouse.unlink()
        again, _ = refresh(store.root, is_shown=is_shown)
        other = digests(store.root)
        unlike = sorted(name for name in {*found, *other} if found.get(name) != other.get(name))
        print(
            f"  from nothing again: {again:.1f} s; files that differ: {len(unlike)} of"
            f" {len(other)}",
            *unlike[:5],
            flush=True,
        )


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.refresh",
        description=(__doc__ or "").splitlines()[0].replace("``", ""),
    )
    parser.add_argument(
        "--full",
        action="store_true",
        help="larger sessions, a hundred in the second layout, too; compared byte by byte",
    )
    parser.add_argument(
        "--sessions", type=int, metavar="N", help="sessions of the layout shared, at least two"
    )
    parser.add_argument("--steps", action="store_true", help="show what every refresh prints")
    parser.add_argument(
        "--proof",
        action="store_true",
        help="build everything with and without proving what is read",
    )
    parser.add_argument("--only", choices=("tasks", "shared"), help="one layout")
    arguments = parser.parse_args()
    sessions = arguments.sessions or (HUNDRED if arguments.full else 20)
    if sessions < 2:
        parser.error("--sessions: one session is new, so that at least two are needed")
    small, large = (
        {"problems": 20, "samples": 4},
        {"problems": 50, "samples": 8, "prompts": ("direct", "stepwise")},
    )
    layouts = (
        Layout("tasks", 20, MODELS, False, **(large if arguments.full else small)),
        Layout(
            "shared",
            2,
            sessions,
            True,
            **(small if sessions >= HUNDRED else {"problems": 12, "samples": 2}),
        ),
    )
    for layout in layouts:
        if arguments.only in (None, layout.name):
            with tempfile.TemporaryDirectory() as folder:
                shown = {"is_shown": arguments.steps, "is_compared": arguments.full}
                measure(layout, Path(folder), **shown, has_proof=arguments.proof)
    print(
        "peak memory of this process:"
        f" {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
