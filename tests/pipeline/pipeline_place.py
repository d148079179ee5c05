"""A sweep on a small random Llama with a data root and a Dagster home of its own, run the way `make
demo` runs.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from isocost.store import Store

POINTS, PROBLEMS, SAMPLES, MAX_TOKENS = 2, 5, 16, 48
"""Long enough to be killed in the middle of generation."""
SWEEP = """
sweep: tiny
description: a random Llama, for tests
models:
  - {{name: tiny-llama, path: "{model}", dtype: float32}}
engine:
  max_model_len: 256
  kv_cache_bytes: 64 MiB
  max_num_seqs: 16
  max_num_batched_tokens: 2048
  enforce_eager: true
tasks:
  - name: sums
    source: reasoning_gym
    dataset: chain_sum
    config: {{min_terms: 2, max_terms: 2, min_digits: 1, max_digits: 1}}
    n_problems: 5
    seed: 3
    verifier: numeric
prompts:
  - {{name: direct, template: "{{question}} Reply with only the number."}}
  - {{name: stepwise, template: "{{question}} Think step by step."}}
grid: {{temperature: 1.0, max_tokens: {max_tokens}}}
samples_per_problem: {samples}
bank: {{part_rows: 8, warmup_requests: 1, logprobs_k: 3}}
"""


@dataclass(frozen=True)
class Place:
    """A sweep with a data root and a Dagster home of its own."""

    repo: Path
    folder: Path
    sweep: Path

    @property
    def store(self) -> Store:
        return Store(self.folder / "data")

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "ISOCOST_DATA": str(self.folder / "data"),
            "DAGSTER_HOME": str(self.folder / "dagster"),
            "COLUMNS": "250",  # the terminal folds a path that is longer than itself
        }

    def start(self) -> subprocess.Popen[str]:
        """Starts the terminal run in a process group of its own."""
        (self.folder / "dagster").mkdir(parents=True, exist_ok=True)
        profile = self.repo / "pipelines" / "profiles" / "dagster.yaml"
        (self.folder / "dagster" / "dagster.yaml").write_text(profile.read_text())
        return subprocess.Popen(
            [sys.executable, "-m", "pipelines.run", str(self.sweep)],
            cwd=self.repo,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self) -> str:
        """Runs to the end; the printed text."""
        process = self.start()
        try:
            text, _ = process.communicate(timeout=420)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        assert process.returncode == 0, text
        return text


@dataclass(frozen=True)
class Killed:
    """What a killed run left: the calls that were sealed, and what its bank had lost."""

    place: Place
    calls: pl.DataFrame
    losses: tuple[object, ...]


def make_place(repo: Path, folder: Path, model: Path) -> Place:
    sweep = folder / "tiny.yaml"
    sweep.write_text(SWEEP.format(model=model, samples=SAMPLES, max_tokens=MAX_TOKENS))
    return Place(repo, folder, sweep)


def sample_counts(store: Store, session_id: str) -> pl.DataFrame:
    """How often each (point, problem, sample) is banked."""
    from isocost.bank.reader import read_raw

    rows = read_raw(
        store.lake,
        "raw_generations",
        session_id,
        columns=["point_id", "problem_id", "sample_index", "is_warmup"],
    )
    return (
        rows.filter(~pl.col("is_warmup")).group_by("point_id", "problem_id", "sample_index").len()
    )


def wait_for_samples(store: Store, process: subprocess.Popen[str], timeout: float = 240) -> None:
    """Waits until a sample is sealed; a part that holds nothing but warm-up does not count."""
    until = time.monotonic() + timeout
    while not _measured(store):
        if process.poll() is not None or time.monotonic() > until:
            text = process.stdout.read() if process.poll() is not None and process.stdout else ""
            pytest.fail(f"the run ended or stalled before a sample was sealed: {text}")
        time.sleep(0.05)


def _measured(store: Store) -> bool:
    parts = sorted((store.lake / "raw" / "generations").glob("*/part-*.parquet"))
    return any(
        not pl.read_parquet(part, columns=["is_warmup"], hive_partitioning=False)["is_warmup"].all()
        for part in parts
    )


def wait_until_gone(group: int) -> None:
    """Waits until no process of a group is left."""
    for _ in range(200):
        if subprocess.run(["pgrep", "-g", str(group)], capture_output=True).returncode:
            return
        time.sleep(0.05)
