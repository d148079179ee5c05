"""Counts: import and refresh of a bank of counts, from 1,000 to 10,000 samples per problem.

Only c of n is known.

The cost must not grow with the samples: counts suffice. Every size is imported and refreshed by the
command line, in processes of its own, so that peak memory is theirs; the first size is run once
before the clock starts, for compilation. ``--full`` adds 128 problems of 10,000 samples of five
models, which must end within a minute.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

SIZES = (1_000, 2_000, 4_000, 10_000)
PROBLEMS, MODELS = 20, 1
FULL = (128, 10_000, 5)
LIMIT_S, MOST_EXPONENT = 60.0, 0.5


def counts_file(folder: Path, problems: int, samples: int, model: int) -> Path:
    """One model's counts; difficulty from a beta law."""
    chance = np.random.default_rng([model, problems, samples]).beta(0.5, 1.5, problems)
    rows = [
        {"id": f"q{i}", "c": int(samples * p), "n": samples, "model": f"m{model}", "task": "t"}
        for i, p in enumerate(chance)
    ]
    path = folder / f"m{model}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def _busy() -> float:
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def run(problems: int, samples: int, models: int) -> tuple[float, float, float]:
    """Wall and processor seconds of all imports and the refresh, and peak memory in GiB."""
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        known = ["--task-version", "1", "--prompt", "p", "--sampling", '{"temperature":0.7}']
        files = [counts_file(root, problems, samples, model) for model in range(models)]
        base = [sys.executable, "-m", "isocost", "--data", str(root / "data")]
        commands = [
            *([*base, "import", "counts", str(path), *known] for path in files),
            [*base, "refresh"],
        ]
        started, before = time.perf_counter(), _busy()
        for command in commands:
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
        return time.perf_counter() - started, _busy() - before, peak


def summary(problems: int, samples: int, models: int, spent: tuple[float, float, float]) -> str:
    """One line of the result."""
    bank = f"{problems} problems x {samples:>6,} samples x {models} models"
    return f"{bank}   {spent[0]:6.1f} s   {spent[1]:6.1f} s of processors   peak {spent[2]:.2f} GiB"


def main() -> int:
    """Print seconds, peak memory and the exponent of the processor seconds.

    The exponent is hardly affected by other load. Returns 1 if a limit is exceeded.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.counts")
    parser.add_argument(
        "--full", action="store_true", help="also 128 problems x 10,000 samples x 5 models"
    )
    full = parser.parse_args().full
    run(PROBLEMS, SIZES[0], MODELS)
    seconds = []
    for samples in SIZES:
        spent = run(PROBLEMS, samples, MODELS)
        seconds.append(spent[1])
        print(summary(PROBLEMS, samples, MODELS, spent), flush=True)
    exponent = float(np.polyfit(np.log(SIZES), np.log(seconds), 1)[0])
    print(f"processors' seconds grow as samples^{exponent:.2f} (at most {MOST_EXPONENT})")
    failed = exponent > MOST_EXPONENT
    if full:
        spent = run(*FULL)
        print(f"{summary(*FULL, spent)} (at most {LIMIT_S:.0f} s)")
        failed |= spent[0] > LIMIT_S
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
