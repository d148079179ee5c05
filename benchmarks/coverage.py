"""``make coverage``: check that the 95 % intervals contain the truth.

Runs both experiments and writes their tables to ``docs/results``.

``coverage_frontier`` is about accuracies and membership of the frontier, ``coverage_curves`` about
asymptotes and compute to a target.
"""

from __future__ import annotations

import subprocess
import sys

EXPERIMENTS = ("coverage_frontier", "coverage_curves")


def main() -> int:
    """Run each experiment in a process of its own.

    The exit code is the number that failed to run.
    """
    failed = 0
    for name in EXPERIMENTS:
        print(f"\n== {name} ==", flush=True)
        failed += (
            subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode
            != 0
        )
    return failed


if __name__ == "__main__":
    raise SystemExit(main())
