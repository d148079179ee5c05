"""Import a million samples from JSON Lines, versus DuckDB's ``read_json`` to Parquet.

Both in the same run, each in a process of its own, in turns, so that drift hits both alike and peak
memory is each one's own. The file has text of 1,000 characters a sample that does not repeat, so
that compression costs what it costs. ``--full`` adds a file of 4 GB and the row-by-row way. Files
go to a temporary folder and are removed.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

LEAST_RATIO = 0.3
MOST_MEMORY_GIB = 1.0
ROUNDS = 3
MAPPING: dict[str, Any] = {
    "columns": {
        "problem": "id",
        "sample_index": "sample",
        "model": "model",
        "answer": "answer",
        "reference": "reference",
        "correct": "correct",
        "output": "output",
        "prompt_tokens": "prompt_tokens",
        "output_tokens": "completion_tokens",
        "logprob": "logprob",
        "latency": {"column": "latency_ms", "unit": "ms"},
        "energy": {"column": "energy_wh", "unit": "Wh"},
        "cost": "usd",
    },
    "latency_meaning": "client, end to end",
    "energy_method": "nvml_counter",
}
PROVENANCE = {
    "task": "bench",
    "task_version": "1",
    "prompt": "cot",
    "sampling": {"temperature": 0.6},
}


def write_samples(path: Path, rows: int, seed: int = 0) -> int:
    """Write ``rows`` samples, about 1.2 kB each; return the file's size in bytes."""
    random = np.random.default_rng(seed)
    words = np.array(
        [
            "therefore",
            "we",
            "compute",
            "the",
            "sum",
            "of",
            "x",
            "and",
            "y",
            "so",
            "that",
            "it",
            "is",
            "equal",
            "to",
            "half",
        ]
    )
    with path.open("w", encoding="utf-8") as handle:
        for begin in range(0, rows, 1_000):
            size = min(1_000, rows - begin)
            picks = random.integers(0, len(words), (size, 170))
            numbers = random.integers(0, 10_000, (size, 40))
            lines = []
            for i in range(size):
                row, text = (
                    begin + i,
                    " ".join(words[picks[i]]) + " " + " ".join(map(str, numbers[i].tolist())),
                )
                sample = {
                    "id": f"q{row // 32}",
                    "sample": row % 32,
                    "model": "m",
                    "answer": str(row % 7),
                    "reference": "3",
                }
                sample |= {
                    "correct": row % 7 == 3,
                    "output": text,
                    "prompt_tokens": 100 + row % 50,
                    "completion_tokens": 200 + row % 90,
                }
                sample |= {
                    "logprob": -0.5 * (row % 77),
                    "latency_ms": 1000.5 + row % 333,
                    "energy_wh": 0.01,
                    "usd": 0.0001,
                }
                lines.append(json.dumps(sample))
            handle.write("\n".join(lines) + "\n")
    return path.stat().st_size


def baseline(source: Path, folder: Path) -> None:
    """DuckDB as it comes."""
    import duckdb

    with duckdb.connect() as con:
        con.execute(
            f"COPY (SELECT * FROM read_json('{source}')) TO '{folder / 'baseline.parquet'}' (FORMAT"
            " parquet)"
        )


def ours(source: Path, folder: Path) -> None:
    """The generic importer: hashed, checked, converted, numbered, sealed."""
    from isocost.importers import import_path

    report = import_path("generic", source, folder / "lake", provenance=PROVENANCE, mapping=MAPPING)
    if report.status != "imported":
        raise RuntimeError(f"nothing was measured: {report.status}")


def row_by_row(source: Path, folder: Path) -> None:
    """The way that a file with a fault goes."""
    from isocost.importers.formats.generic import Generic

    Generic.write_fast = lambda *_: None
    ours(source, folder)


def _child(work: Callable[[Path, Path], None], source: Path, folder: Path, pipe: Any) -> None:
    import duckdb  # noqa: F401 - the cost of starting Python is no cost of importing data

    import isocost.importers  # noqa: F401

    started, before = time.perf_counter(), time.process_time()
    work(source, folder)
    seconds, busy = time.perf_counter() - started, time.process_time() - before
    pipe.send((seconds, busy, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)))


def measure(work: Callable[[Path, Path], None], source: Path) -> tuple[float, float, float]:
    """Seconds, processor seconds and peak GiB of one run in a fresh process.

    Imports of modules are in none of the seconds.
    """
    context = multiprocessing.get_context("spawn")
    receive, send = context.Pipe(duplex=False)
    with tempfile.TemporaryDirectory(dir=source.parent) as folder:
        process = context.Process(target=_child, args=(work, source, Path(folder), send))
        process.start()
        send.close()
        try:
            result = receive.recv()
        except EOFError as error:
            raise RuntimeError(f"{work.__name__} failed") from error
        finally:
            process.join()
    return result


def compare(rows: int, rounds: int, *, with_slow: bool) -> bool:
    """Print one comparison; True when it keeps both limits."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "samples.jsonl"
        size = write_samples(source, rows)
        theirs, mine = [], []
        for _ in range(rounds):
            theirs.append(measure(baseline, source))
            mine.append(measure(ours, source))
        slow = measure(row_by_row, source) if with_slow else None
    base, own = (statistics.median(run[0] for run in runs) for runs in (theirs, mine))
    base_cpu, own_cpu = (statistics.median(run[1] for run in runs) for runs in (theirs, mine))
    memory = max(run[2] for run in mine)
    print(f"{rows:,} samples, {size / 1e9:.2f} GB of JSON Lines, {rounds} rounds in turns, medians")
    print(
        f"  duckdb read_json -> Parquet {base:8.2f} s {base_cpu:8.2f} s of processors "
        f" {max(run[2] for run in theirs):.2f} GiB"
    )
    print(
        f"  isocost import generic      {own:8.2f} s {own_cpu:8.2f} s of processors "
        f" {memory:.2f} GiB"
    )
    print(
        f"  ratio {base / own:.2f} (at least {LEAST_RATIO}), by processor seconds"
        f" {base_cpu / own_cpu:.2f}"
    )
    if slow:
        print(
            f"  the same row by row         {slow[0]:8.2f} s {slow[1]:8.2f} s of processors "
            f" {slow[2]:.2f} GiB"
        )
    return base / own >= LEAST_RATIO and memory < MOST_MEMORY_GIB


def main() -> int:
    """Run the comparison; the exit code is 1 when a limit is broken."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.imports")
    parser.add_argument(
        "--full", action="store_true", help="also a file of 4 GB and the row-by-row way (minutes)"
    )
    parser.add_argument(
        "--rows", type=int, default=1_000_000, help="samples of the first comparison"
    )
    arguments = parser.parse_args()
    kept = compare(arguments.rows, ROUNDS, with_slow=arguments.full)
    if arguments.full:
        kept = compare(3_500_000, 1, with_slow=False) and kept
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
