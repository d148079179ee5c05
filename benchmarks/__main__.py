"""``make bench``: run all benchmarks, each with its named baseline in the same run.

``python -m benchmarks NAME...`` runs some of them; ``--full`` asks for the sizes that take many
minutes.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

# Each is a process of its own, so that one's memory and compiled code do not colour the next one's
# numbers.
ALL = (
    "overhead",
    "meter",
    "servers",
    "bank",
    "imports",
    "replay",
    "counts",
    "costs",
    "frontier",
    "curves",
    "refresh",
    "memory",
    "graders",
)


def main() -> int:
    """Run the named benchmarks; the exit code is the number that failed to run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("names", nargs="*", choices=ALL, help="which; all by default")
    parser.add_argument("--full", action="store_true", help="also the largest sizes")
    arguments = parser.parse_args()
    failed = 0
    for name in arguments.names or ALL:
        print(f"\n== {name} ==", flush=True)
        command = [
            sys.executable,
            "-m",
            f"benchmarks.{name}",
            *(["--full"] if arguments.full else []),
        ]
        failed += subprocess.run(command, check=False).returncode != 0
    return failed


if __name__ == "__main__":
    raise SystemExit(main())
